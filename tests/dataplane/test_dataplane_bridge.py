"""The data plane under SimPy: what its events mean, one behaviour a test."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest
import simpy

from dssn_models.plan import LinkPlan, NetworkPlan
from dssn_sim.dataplane import DataPlane, DeviceCapacity
from dssn_sim.dataplane.audit import audit

MBIT = 1e6


def plane(rates, cores=(), *, shared=False, speed=1.0):
    env = simpy.Environment()
    links = tuple(
        LinkPlan(i, f"l{i}", "a", "b", "ip", rate_ab_bps=r, rate_ba_bps=r, delay_s=0.0, shared=shared)
        for i, r in enumerate(rates)
    )
    devices = [DeviceCapacity(f"d{i}", c, speed) for i, c in enumerate(cores)]
    return env, DataPlane(env, NetworkPlan(sites=(), links=links), devices)


def at(env, t, call):
    def wait():
        yield env.timeout(t)
        call()

    env.process(wait())


def test_event_fires_latency_after_the_last_byte():
    env, dp = plane([8 * MBIT])
    act = dp.transfer([0], 1e6, latency_s=0.25)
    env.run()
    assert act.value.end_s == pytest.approx(1.25)
    assert env.now == pytest.approx(1.25)
    assert act.value.done == 1e6
    assert act.value.reason == ""


def test_transfer_inside_a_node_takes_the_latency_only():
    env, dp = plane([8 * MBIT])
    act = dp.transfer([], 1e9, latency_s=0.5)
    none = dp.transfer([0], 0.0)
    env.run()
    assert act.value.end_s == 0.5
    assert none.value.end_s == 0.0


def test_two_directions_do_not_share_but_a_shared_medium_does():
    env, dp = plane([8 * MBIT])
    there, back = dp.transfer([0], 1e6), dp.transfer([1], 1e6)
    env.run()
    assert (there.value.end_s, back.value.end_s) == pytest.approx((1.0, 1.0))
    env, dp = plane([8 * MBIT], shared=True)
    there, back = dp.transfer([0], 1e6), dp.transfer([1], 1e6)
    env.run()
    assert (there.value.end_s, back.value.end_s) == pytest.approx((2.0, 2.0))
    assert dp.link_use()[0].bytes == pytest.approx(2e6)


@pytest.mark.req("NET-23")
def test_cut_link_stalls_its_flows_until_repair():
    env, dp = plane([8 * MBIT, 8 * MBIT])
    cut, other = dp.transfer([0, 2], 2e6), dp.transfer([2], 2e6)
    at(env, 1.0, lambda: dp.set_link_rate(0, 0.0))
    at(env, 10.0, lambda: dp.set_link_rate(0, 8 * MBIT))
    env.run()
    # up to 1 s each moved 0.5 MB; then the other has the link to itself
    assert other.value.end_s == pytest.approx(2.5)
    assert cut.value.end_s == pytest.approx(11.5)


def test_all_links_down_leaves_nothing_scheduled():
    env, dp = plane([8 * MBIT])
    act = dp.transfer([0], 1e6)
    at(env, 0.5, lambda: dp.set_link_rate(0, 0.0))
    env.run()  # must end although the flow does not
    assert not act.triggered
    assert dp.flows_on(0) == [act]
    outcome = dp.cancel(act, "fault.link")
    env.run()
    assert outcome == act.value
    assert outcome.done == pytest.approx(0.5e6)
    assert outcome.reason == "fault.link"


def test_cancel_gives_the_part_done_and_frees_the_link():
    env, dp = plane([8 * MBIT])
    gone, stays = dp.transfer([0], 1e6), dp.transfer([0], 1e6)
    at(env, 0.5, lambda: dp.cancel(gone, "deadline.missed"))
    env.run()
    assert gone.value.done == pytest.approx(0.25e6)
    assert (gone.value.start_s, gone.value.end_s) == (0.0, 0.5)
    assert stays.value.end_s == pytest.approx(1.25)


def test_cancel_while_the_last_byte_travels():
    env, dp = plane([8 * MBIT])
    act = dp.transfer([0], 1e6, latency_s=5.0)
    at(env, 2.0, lambda: dp.cancel(act, "deadline.missed"))
    env.run()
    assert act.value.end_s == 2.0
    assert act.value.done == 1e6


def test_cancel_after_the_end_changes_nothing():
    env, dp = plane([8 * MBIT])
    act = dp.transfer([0], 1e6)
    env.run()
    assert dp.cancel(act, "deadline.missed").reason == ""


@pytest.mark.req("NET-14")
def test_priority_zero_goes_first():
    env, dp = plane([8 * MBIT])
    low, high = dp.transfer([0], 1e6, priority=5), dp.transfer([0], 1e6, priority=-3)
    env.run()
    assert high.value.end_s == pytest.approx(1.0)
    assert low.value.end_s == pytest.approx(2.0)


@pytest.mark.req("NET-10", "NET-15")
def test_hard_slice_is_never_shared():
    env, dp = plane([10 * MBIT])
    held = dp.open_slice([0], 4 * MBIT, hard=True)
    inside = [dp.transfer([0], 1e6, slice_id=held) for _ in range(2)]
    outside = dp.transfer([0], 3e6)
    env.run()
    assert [a.value.end_s for a in inside] == pytest.approx([4.0, 4.0])  # 2 Mbit/s each
    assert outside.value.end_s == pytest.approx(4.0)  # 6 Mbit/s, and not more after them
    late = dp.transfer([0], 3e6)
    env.run()
    assert late.value.end_s - late.value.start_s == pytest.approx(4.0)


@pytest.mark.req("NET-16")
def test_soft_slice_has_its_minimum_and_lends_what_is_idle():
    env, dp = plane([10 * MBIT])
    held = dp.open_slice([0], 6 * MBIT, hard=False)
    alone = dp.transfer([0], 1.25e6)
    env.run()
    assert alone.value.end_s == pytest.approx(1.0)  # the idle slice is lent out
    inside = dp.transfer([0], 1e9, slice_id=held, weight=1.0)
    outside = [dp.transfer([0], 1e9) for _ in range(3)]
    env.run(until=env.now + 1.0)
    assert dp.rate(inside) == pytest.approx(7 * MBIT)  # its 6, and a quarter of the other 4
    assert dp.rate(outside[0]) == pytest.approx(1 * MBIT)


def test_slices_are_admitted_up_to_the_rate():
    _, dp = plane([10 * MBIT, 5 * MBIT])
    first = dp.open_slice([0, 2], 4 * MBIT, hard=True)
    assert first >= 0
    assert dp.open_slice([0, 2], 2 * MBIT, hard=False) == -1  # no room on the second link
    assert dp.open_slice([0], 6 * MBIT, hard=False) >= 0
    assert dp.open_slice([0], 1.0, hard=True) == -1
    dp.close_slice(first)
    assert dp.open_slice([0, 2], 4 * MBIT, hard=False) >= 0


def test_closed_slice_lets_its_flow_go_on_as_best_effort():
    env, dp = plane([8 * MBIT])
    held = dp.open_slice([0], 2 * MBIT, hard=True)
    act = dp.transfer([0], 1e6, slice_id=held)
    at(env, 2.0, lambda: dp.close_slice(held))
    env.run()
    assert act.value.end_s == pytest.approx(2.5)
    assert dp.link_use()[0].reserved_s == pytest.approx(0.5)  # a quarter of the link for 2 s


def test_all_capacity_is_back_after_the_end():
    env, dp = plane([10 * MBIT] * 4, [8.0])
    rnd = random.Random(3)
    slices = []
    for i in range(200):
        route = [2 * x for x in rnd.sample(range(4), 2)]

        def start(route=route, i=i):
            held = dp.open_slice(route, rnd.uniform(0.1, 1.0) * MBIT, hard=bool(i % 2))
            slices.append(held)
            act = dp.transfer(route, rnd.uniform(1e3, 1e6), slice_id=held, priority=i % 3)
            dp.execute(0, rnd.random(), max_cores=2.0, min_share=1.0 * (i % 2))
            if i % 5 == 0:
                at(env, 0.3, lambda: dp.cancel(act, "deadline.missed"))
            at(env, 5.0, lambda: dp.close_slice(held))

        at(env, rnd.uniform(0, 60), start)
    env.run()
    assert -1 in slices
    for link in range(8):
        assert dp.link_free_bps(link) == 10 * MBIT
        assert dp.flows_on(link) == []
    assert dp.open_slice([0, 2, 4, 6], 10 * MBIT, hard=True) >= 0
    misc = dp._state.misc[0]
    assert misc["active"] == 0
    assert (dp._state.table == 0).all()  # no pair of node and group is left
    rest = dp._state.links["base"] + dp._state.links["basec"]
    assert rest.tolist() == pytest.approx([0.0] * len(rest), abs=1e-9)


def test_what_went_in_came_out():
    env, dp = plane([3 * MBIT, 7 * MBIT, 5 * MBIT], [4.0, 2.0], speed=2.0)
    rnd = random.Random(5)
    acts = []

    def start():
        route = [2 * x for x in rnd.sample(range(3), rnd.randint(1, 3))]
        acts.append((route, dp.transfer(route, rnd.lognormvariate(11, 2), cap_bps=rnd.choice([1e6, 1e9]))))
        device = rnd.randrange(2)
        work = dp.execute(device, rnd.expovariate(1.0), max_cores=rnd.choice([1.0, 4.0]))
        acts.append((device, work))

    for _ in range(1500):
        at(env, rnd.uniform(0, 400), start)
    env.run(until=200.0)
    dp.reset_use()
    moved_before = {id(a): _done(dp, a) for _, a in acts}
    env.run()
    links, devices = dp.link_use(), dp.device_use()
    for link in (0, 2, 4):
        want = sum(
            a.amount - moved_before.get(id(a), 0.0) for r, a in acts if isinstance(r, list) and link in r
        )
        assert links[link].bytes == pytest.approx(want, rel=1e-9)
        rate = float(dp._rate[link])
        assert links[link].busy_s * rate / 8 == pytest.approx(want, rel=1e-9)
        assert links[link].peak <= 1.0 + 1e-9
    for d in (0, 1):
        want = sum(a.amount - moved_before.get(id(a), 0.0) for r, a in acts if r == d) / 2.0
        assert devices[d].core_s == pytest.approx(want, rel=1e-9)


def _done(dp, act):
    if act.slot < 0:
        return act.amount if act.triggered else 0.0
    flow = dp._state.flows[act.slot]
    return float(flow["counted"]) / act.scale


def test_simultaneous_starts_are_one_solve():
    env, dp = plane([8 * MBIT] * 3)
    for i in range(500):
        dp.transfer([0, 2, 4][: 1 + i % 3], 1e6)
    env.run(until=0.001)
    assert int(dp._state.misc[0]["solves"]) == 1
    assert audit(dp._state) == []


def test_reserved_work_is_not_slowed_by_others():
    env, dp = plane([], [4.0])
    kept = dp.execute(0, 6.0, max_cores=3.0, min_share=3.0)
    others = [dp.execute(0, 1.0, max_cores=4.0) for _ in range(4)]
    env.run()
    assert kept.value.end_s == pytest.approx(2.0)
    # four share the fourth core until the reserved work ends, then all four
    assert [a.value.end_s for a in others] == pytest.approx([2.5] * 4)


def test_device_down_stops_work_until_it_is_back():
    env, dp = plane([], [2.0], speed=2.0)
    act = dp.execute(0, 8.0, max_cores=2.0, min_share=1.0)
    at(env, 1.0, lambda: dp.set_device(0, 0.0))
    at(env, 5.0, lambda: dp.set_device(0, 2.0))
    env.run()
    assert act.value.end_s == pytest.approx(6.0)
    assert dp.device_use()[0].core_s == pytest.approx(4.0)


def test_work_priority_preempts_and_resumes():
    env, dp = plane([], [1.0])
    low = dp.execute(0, 2.0, max_cores=1.0, priority=1)
    at(env, 1.0, lambda: dp.execute(0, 1.0, max_cores=1.0, priority=0))
    env.run()
    assert low.value.end_s == pytest.approx(3.0)


@pytest.mark.parametrize("law", ["exponential", "constant"])
def test_processor_sharing_mean_sojourn(law):
    """M/G/1-PS: E[S] = E[B] / (1 - rho) for every law of the work (insensitivity)."""
    env, dp = plane([], [1.0])
    rnd = random.Random(11)
    n, rho = 30000, 0.6
    sojourn = []

    def source():
        for _ in range(n):
            yield env.timeout(rnd.expovariate(rho))
            act = dp.execute(0, rnd.expovariate(1.0) if law == "exponential" else 1.0, max_cores=1.0)
            act.callbacks.append(lambda e: sojourn.append(e.value.end_s - e.value.start_s))

    env.process(source())
    env.run()
    assert len(sojourn) == n
    # standard error of the mean is about 2.5 % for n = 30000 at this load (correlated sojourns)
    assert sum(sojourn) / n == pytest.approx(1 / (1 - rho), rel=0.07)


def _digest():
    env, dp = plane([3 * MBIT, 7 * MBIT, 5 * MBIT], [4.0])
    rnd = random.Random(9)
    ends = []

    def start():
        act = dp.transfer(
            [2 * x for x in rnd.sample(range(3), 2)], rnd.lognormvariate(11, 2), priority=rnd.randrange(2)
        )
        act.callbacks.append(lambda e: ends.append((act.number, e.value)))

    for _ in range(800):
        at(env, rnd.uniform(0, 100), start)
    env.run()
    return ends


def test_same_calls_same_bits():
    assert _digest() == _digest()


def test_import_of_the_package_stays_light():
    code = "import sys, dssn_sim.dataplane; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_wrong_arguments_are_refused():
    _, dp = plane([1.0])
    with pytest.raises(ValueError, match="weight"):
        dp.transfer([0], 1.0, weight=0.0)
    with pytest.raises(ValueError, match="256"):
        dp.transfer([0] * 257, 1.0)
