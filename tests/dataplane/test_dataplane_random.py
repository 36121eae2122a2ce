"""Random scripts on random networks with every feature mixed in, against exact fractions."""

from __future__ import annotations

import random
from fractions import Fraction as Q

import pytest
import simpy
from slow_plane import SlowFlow, SlowPlane, SlowSlice

from dssn_models.plan import LinkPlan, NetworkPlan
from dssn_sim.dataplane import DataPlane, DeviceCapacity
from dssn_sim.dataplane.audit import audit

TIMES = [0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0]


class Checked(DataPlane):
    """A data plane that audits the solver after every solve."""

    def _settle(self):
        dirty = self._dirty
        super()._settle()
        if dirty:
            assert audit(self._state) == []


def amount(rnd, wide):
    if wide:
        return 10.0 ** rnd.uniform(-3, 15)
    return rnd.choice([1.0, 2.0, 4.0, 5.0, 8.0, 10.0, rnd.uniform(0.5, 10.0)])


def script(rnd, links, devices, wide, shared):
    """A list of (time, operation, arguments) in order of time; many times are equal."""
    steps = []
    for i in range(rnd.randint(3, 14)):
        t = rnd.choice([*TIMES, rnd.uniform(0, 3)])
        if devices and rnd.random() < 0.3:
            most = rnd.choice([1.0, 2.0, 4.0, 0.5])
            floor = rnd.choice([0.0, 0.0, most, most / 2])
            args = (i, rnd.randrange(devices), amount(rnd, False), most, floor, rnd.choice([0, 0, 1]))
            steps.append((t, "work", args))
            continue
        route = rnd.sample(range(links), rnd.randint(1, min(3, links)))
        if route[0] in shared and rnd.random() < 0.3:
            route.append(route[0])  # there and back over one medium
        cap = rnd.choice([float("inf"), float("inf"), amount(rnd, wide)])
        weight = rnd.choice([1.0, 1.0, 2.0, 0.5, 7.0])
        steps.append((t, "flow", (i, route, amount(rnd, wide), weight, cap, rnd.choice([0, 0, 1, 2, -1]))))
    for _ in range(rnd.randint(0, 4)):
        t = rnd.choice([*TIMES, rnd.uniform(0, 3)])
        steps.append((t, "rate", (rnd.randrange(links), rnd.choice([0.0, amount(rnd, wide)]))))
    steps.extend(
        (rnd.choice(TIMES), "cores", (rnd.randrange(devices), rnd.choice([0.0, 1.0, 3.0, 8.0])))
        for _ in range(rnd.randint(0, 2) if devices else 0)
    )
    for i in range(rnd.randint(0, 3)):
        t = rnd.choice([0.0, 0.25, rnd.uniform(0, 2)])
        over = rnd.sample(range(links), rnd.randint(1, links))
        steps.append((t, "open", (i, over, rnd.choice([0.1, 0.3, 0.5]), rnd.random() < 0.5)))
        if rnd.random() < 0.6:
            steps.append((t + rnd.choice([0.5, 1.0, rnd.random()]), "close", (i,)))
    steps.extend((rnd.uniform(0, 3), "cancel", (rnd.randrange(14),)) for _ in range(rnd.randint(0, 2)))
    order = {"open": 0, "rate": 1, "cores": 2, "flow": 3, "work": 4, "close": 5, "cancel": 6}
    return sorted(steps, key=lambda s: (s[0], order[s[1]]))


def network(capacities, shared):
    links = tuple(
        LinkPlan(i, f"l{i}", "a", "b", "ip", rate_ab_bps=c, rate_ba_bps=1.0, delay_s=0.0, shared=i in shared)
        for i, c in enumerate(capacities)
    )
    return NetworkPlan(sites=(), links=links)


def both(seed, wide):
    """Run one random script on both planes; return (fast results, slow results, planes)."""
    rnd = random.Random(seed)
    links, devices = rnd.randint(1, 6), rnd.randint(0, 2)
    capacities = [amount(rnd, wide) for _ in range(links)]
    cores = [rnd.choice([1.0, 4.0, 6.0]) for _ in range(devices)]
    speeds = [rnd.choice([1.0, 2.0, 0.5]) for _ in range(devices)]
    shared = set(rnd.sample(range(links), rnd.randint(0, links // 2)))  # half-duplex: one resource both ways
    steps = script(rnd, links, devices, wide, shared)
    env = simpy.Environment()
    fast = Checked(
        env,
        network(capacities, shared),
        [DeviceCapacity(f"d{i}", c, s) for i, (c, s) in enumerate(zip(cores, speeds, strict=True))],
    )
    slow = SlowPlane([Q(c) for c in capacities] + [Q(c) for c in cores])
    acts, slices, slice_use = {}, {}, {}

    def play():
        for t, kind, args in steps:
            if t > env.now:
                yield env.timeout(t - env.now)
            slow.run(Q(env.now))
            if kind == "flow":
                i, route, size, weight, cap, priority = args
                held = slice_use.get(i % 4, -1)
                held = held if held in slow.slices else -1
                acts[i] = fast.transfer(
                    [2 * x + (x in shared and i % 2) for x in route],
                    size / 8,
                    weight=weight,
                    cap_bps=cap,
                    priority=priority,
                    slice_id=slices.get(held, -1),
                )
                slow.flows[i] = SlowFlow(
                    i,
                    route,
                    Q(size / 8) * 8,
                    Q(weight),
                    None if cap == float("inf") else Q(cap),
                    priority,
                    held,
                )
            elif kind == "work":
                i, d, work, most, floor, priority = args
                acts[i] = fast.execute(d, work, max_cores=most, min_share=floor, priority=priority)
                slow.flows[i] = SlowFlow(
                    i, [links + d], Q(work) / Q(speeds[d]), Q(1), Q(most), priority, floor=Q(floor)
                )
            elif kind == "rate":
                fast.set_link_rate(2 * args[0], args[1])
                slow.capacity[args[0]] = Q(args[1])
            elif kind == "cores":
                fast.set_device(*args)
                slow.capacity[links + args[0]] = Q(args[1])
            elif kind == "open":
                i, over, share, hard = args
                rate = share * min(float(slow.capacity[x]) for x in over)
                number = fast.open_slice([2 * x for x in over], rate, hard=hard) if rate > 0 else -1
                room = all(
                    sum(s.rate for s in slow.slices.values() if x in s.links) + Q(rate)
                    <= slow.capacity[x] * (1 + Q(1, 10**12))
                    for x in over
                )
                assert (number >= 0) == (room and rate > 0)
                if number >= 0:
                    slices[i] = number
                    slice_use[i] = i
                    slow.slices[i] = SlowSlice(over, Q(rate), hard)
            elif kind == "close" and args[0] in slow.slices:
                fast.close_slice(slices[args[0]])
                del slow.slices[args[0]]
            elif kind == "cancel" and args[0] in slow.flows and acts[args[0]].slot >= 0:
                outcome = fast.cancel(acts[args[0]], "fault.link")
                gone = slow.flows.pop(args[0])
                size = acts[args[0]].amount * acts[args[0]].scale
                assert outcome.done * acts[args[0]].scale == pytest.approx(
                    size - float(gone.left), rel=1e-9, abs=1e-9 * size
                )

    env.process(play())
    env.run()
    slow.run(None)
    return acts, fast, slow, links, env


def compare(seed, wide):
    acts, fast, slow, links, env = both(seed, wide)
    for i, act in acts.items():
        if i in slow.finished:
            assert act.processed, (seed, i, "did not finish")
            assert act.value.end_s == pytest.approx(float(slow.finished[i]), rel=1e-9), (seed, i)
        elif i in slow.flows:
            assert not act.triggered, (seed, i, "finished, but should be stalled")
    use = fast.link_use()
    slow.run(max(Q(env.now), slow.now))
    for x in range(links):
        # what a stalled flow has moved is known to 16 digits of its size
        sizes = sum(a.amount * a.scale for a in acts.values() for y in a.route if y == 2 * x)
        assert use[2 * x].bytes * 8 == pytest.approx(float(slow.moved[x]), rel=1e-9, abs=1e-12 * sizes), (
            seed,
            x,
        )
        assert use[2 * x].peak <= 1 + 1e-9
    for d, total in enumerate(fast.device_use()):
        assert total.core_s == pytest.approx(float(slow.moved[links + d]), rel=1e-9), (seed, d)


@pytest.mark.parametrize("block", range(8))
@pytest.mark.req("NET-04", "NET-10", "NET-14", "NET-15", "NET-16")
def test_random_scripts_match_exact_fractions(block):
    for seed in range(block * 25, block * 25 + 25):
        compare(seed, wide=False)


@pytest.mark.parametrize("block", range(4))
def test_random_scripts_over_eighteen_orders_of_magnitude(block):
    for seed in range(1000 + block * 25, 1000 + block * 25 + 25):
        compare(seed, wide=True)


@pytest.mark.bench
@pytest.mark.parametrize("block", range(40))
@pytest.mark.req("NET-10", "NET-14", "NET-16")
def test_four_thousand_more(block):
    """Minutes of CPU: ``pytest -m bench tests/dataplane``."""
    for seed in range(10_000 + block * 100, 10_000 + block * 100 + 100):
        compare(seed, wide=seed % 2 == 1)
