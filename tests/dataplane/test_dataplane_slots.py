"""Devices that give their cores out whole: by hand, against compiled stations, and against formulas."""

import numpy as np
import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dssn_models.plan import NetworkPlan
from dssn_sim.compiled.networks import QueueStation, Routes, run_network
from dssn_sim.dataplane import DataPlane, DeviceCapacity
from dssn_sim.truth.closed import cobham_waits

ONE = Routes(np.array([0, 1]), np.array([0]))


def run(works, *, cores=1.0, sharing="preemptive", speed=1.0, act=None):
    """Run (arrival, core-seconds, cores, priority) works; return when each ended and the core-seconds done."""
    env = simpy.Environment()
    plane = DataPlane(env, NetworkPlan((), ()), [DeviceCapacity("d", cores, speed, sharing)])
    outcomes = {}

    def one(i, arrival, work, most, priority):
        yield env.timeout(arrival)
        event = plane.execute(0, work, max_cores=most, priority=priority)
        outcomes[i] = event
        outcomes[i] = yield event

    for i, row in enumerate(works):
        env.process(one(i, *row))
    if act is not None:
        env.process(act(env, plane, outcomes))
    env.run()
    return [outcomes[i].end_s for i in range(len(works))], plane.device_use()[0].core_s


def test_an_urgent_work_interrupts_and_the_other_goes_on():
    works = [(0, 10, 1, 1), (2, 3, 1, 0), (4, 1, 1, 1)]
    assert run(works) == ([13, 5, 14], 14)
    assert run(works, sharing="slots") == ([10, 13, 14], 14)


def test_equal_priority_does_not_interrupt():
    assert run([(0, 10, 1, 1), (2, 3, 1, 1)])[0] == [10, 13]


def test_only_as_many_are_interrupted_as_needed_and_none_in_vain():
    # four cores: 2 (class 1), 1 (class 2), 1 (class 0); a work of class 0 that needs 3 takes the first two
    works = [(0, 8, 2, 1), (0, 8, 1, 2), (0, 8, 1, 0), (2, 6, 3, 0)]
    assert run(works, cores=4)[0] == [6, 10, 8, 4]
    # it needs 4: the core of class 0 cannot be taken, so nobody stops; nobody passes it either
    works = [(0, 8, 2, 1), (0, 8, 1, 2), (0, 8, 1, 0), (2, 8, 4, 0), (3, 1, 1, 2)]
    assert run(works, cores=4)[0] == [4, 8, 8, 10, 11]


def test_what_arrives_at_one_time_begins_in_order_of_priority():
    assert run([(0, 1, 1, 2), (0, 1, 1, 1), (0, 1, 1, 0)], sharing="slots")[0] == [3, 2, 1]


def test_a_work_that_asks_for_more_gets_all_cores_at_their_speed():
    assert run([(0, 8, 100, 1), (1, 8, 2, 1)], cores=2, speed=2.0)[0] == [2, 4]


def test_a_work_that_waits_can_be_cancelled_and_one_that_was_interrupted_says_how_far_it_came():
    ended = {}

    def act(env, plane, events):
        yield env.timeout(4)
        ended["interrupted"] = plane.cancel(events[0], "fault.node")
        ended["waiting"] = plane.cancel(events[2], "fault.node")

    assert run([(0, 10, 1, 1), (2, 3, 1, 0), (3, 1, 1, 2), (3, 1, 1, 2)], act=act)[0] == [4, 5, 4, 6]
    assert (ended["interrupted"].done, ended["waiting"].done) == (2, 0)


def test_a_device_that_is_down_keeps_its_works():
    def act(env, plane, _events):
        yield env.timeout(2)
        plane.set_device(0, 0.0)
        yield env.timeout(10)
        plane.set_device(0, 1.0)

    assert run([(0, 5, 1, 1), (1, 2, 1, 1), (3, 1, 1, 0)], act=act)[0] == [16, 18, 13]


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_equals_the_compiled_station(seed, preemptive):
    rng = np.random.default_rng(seed)
    cores = int(rng.integers(1, 4))
    arrivals = np.cumsum(rng.exponential(1.0, 50))
    works = rng.exponential(0.95 * cores, 50)
    classes = rng.integers(0, 4, 50)
    there = run_network([QueueStation(cores, "priority", preemptive)], arrivals, ONE, works, classes=classes)
    rows = [(a, w, 1, int(c)) for a, w, c in zip(arrivals, works, classes, strict=True)]
    here, done = run(rows, cores=cores, sharing="preemptive" if preemptive else "slots")
    np.testing.assert_allclose(here, there.departure_s, rtol=1e-9)
    assert done == pytest.approx(works.sum(), rel=1e-9)


RATES, MEANS, SECOND = np.array([0.3, 0.4]), np.array([1.0, 0.9]), np.array([1.0, 2 * 0.81])


@pytest.mark.parametrize("sharing", ["preemptive", "slots"])
def test_mg1_with_two_classes_inside_the_interval(sharing):
    """Constant and exponential work on one core: preempt-resume (Kleinrock II, 3.6) and Cobham's formula."""

    def replicate(rng):
        arrivals = np.cumsum(rng.exponential(1 / RATES.sum(), 3000))
        classes = rng.choice(2, 3000, p=RATES / RATES.sum())
        works = np.where(classes == 0, 1.0, rng.exponential(0.9, 3000))
        rows = [(a, w, 1, int(c)) for a, w, c in zip(arrivals, works, classes, strict=True)]
        stay = (np.array(run(rows, sharing=sharing)[0]) - arrivals)[300:]
        return [stay[classes[300:] == k].mean() for k in range(2)]

    load = np.concatenate([[0.0], np.cumsum(RATES * MEANS)])
    if sharing == "preemptive":
        rest = np.cumsum(RATES * SECOND) / 2
        expected = MEANS / (1 - load[:-1]) + rest / ((1 - load[:-1]) * (1 - load[1:]))
    else:
        expected = MEANS + cobham_waits(RATES, MEANS, SECOND)
    means = np.array([replicate(np.random.default_rng([7, r])) for r in range(15)])
    half = stats.t.ppf(0.995, 14) * means.std(axis=0, ddof=1) / np.sqrt(15)
    assert (half < 0.1 * means.mean(axis=0)).all()
    assert (np.abs(means.mean(axis=0) - expected) <= half).all()
