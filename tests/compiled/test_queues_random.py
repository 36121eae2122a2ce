"""The compiled loop equals slow and other simulations of the same network, job by job."""

import numpy as np
import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_network import run_slowly

from dssn_sim.bench.tasks import TaskTable, departures, exact_departures
from dssn_sim.compiled.networks import (
    Changes,
    QueueStation,
    Routes,
    run_network,
    sample_failures,
    sample_routes,
)
from dssn_sim.station import Station


def csr(routes):
    offset = np.cumsum([0, *map(len, routes)])
    return Routes(offset, np.array([s for r in routes for s in r], np.int64))


def per_job(routes, values):
    return [values[a:b].tolist() for a, b in zip(routes.offset, routes.offset[1:], strict=False)]


def draw_network(seed, *, whole=False, kinds=("fifo", "lifo", "priority")):
    """Return a random small network under heavy load, with feedback, losses and failures."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 4))
    stations = []
    for _ in range(n):
        kind = str(rng.choice(kinds))
        limit = None if rng.random() < 0.6 else int(rng.integers(0, 4))
        preemptive = not whole and kind == "priority" and rng.random() < 0.6
        resumes = not whole and bool(rng.random() < 0.5)
        stations.append(QueueStation(int(rng.integers(1, 4)), kind, preemptive, limit, resumes))
    jobs = 60
    arrivals = np.cumsum(rng.exponential(1.0, jobs))
    p = rng.dirichlet(np.ones(n + 1), n)[:, :n]
    routes = sample_routes(np.full(n, 0.95 / n), p, jobs, rng)
    services = rng.exponential(n * 0.8, len(routes.stations))
    classes = rng.integers(0, 3, jobs)
    servers = [1] * n if whole else [s.servers for s in stations]
    changes = sample_failures(servers, rng.choice([5.0, 20.0, np.inf], n), [3.0] * n, 60.0, rng)
    if whole:
        changes = Changes(
            changes.at_s,
            changes.station,
            changes.up * np.array([s.servers for s in stations])[changes.station],
        )
    return stations, arrivals, routes, services, classes, changes


def run(network):
    stations, arrivals, routes, services, classes, changes = network
    return run_network(stations, arrivals, routes, services, classes=classes, changes=changes)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.integers(0, 10**6))
def test_equals_a_slow_simulation(seed):
    network = draw_network(seed)
    stations, arrivals, routes, services, classes, changes = network
    slow = run_slowly(
        stations, arrivals.tolist(), per_job(routes, routes.stations), per_job(routes, services), classes.tolist(),
        list(zip(changes.at_s.tolist(), changes.station.tolist(), changes.up.tolist(), strict=True)),
    )  # fmt: skip
    np.testing.assert_allclose(run(network).departure_s, slow, rtol=1e-12, atol=1e-9)


def run_simpy(stations, arrivals, routes, services, classes, changes):
    env = simpy.Environment()
    real = [Station(env, s.servers, discipline=s.discipline, queue_limit=s.limit) for s in stations]
    left = np.full(len(arrivals), np.inf)

    def outages():
        for t, s, up in zip(changes.at_s, changes.station, changes.up, strict=True):
            yield env.timeout(t - env.now)
            real[s].set_up(bool(up))

    def job(i):
        yield env.timeout(arrivals[i])
        for k in range(routes.offset[i], routes.offset[i + 1]):
            served = yield real[routes.stations[k]].serve(services[k], int(classes[i]))
            if served.dropped:
                left[i] = np.nan
                return
        left[i] = env.now

    env.process(outages())
    for i in range(len(arrivals)):
        env.process(job(i))
    env.run()
    return left, [s.snapshot() for s in real], env.now


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.integers(0, 10**6))
def test_equals_the_stations_of_the_simpy_kernel(seed):
    network = draw_network(seed, whole=True, kinds=("fifo", "priority"))
    outcome = run(network)
    left, uses, _end = run_simpy(*network)
    np.testing.assert_allclose(outcome.departure_s, left, rtol=1e-12, atol=1e-9)
    assert outcome.served.tolist() == [u.calls for u in uses]
    assert outcome.lost.tolist() == [u.dropped for u in uses]
    np.testing.assert_allclose(outcome.busy_s, [u.busy_s for u in uses], atol=1e-9)
    np.testing.assert_allclose(outcome.down_s, [u.down_s for u in uses], atol=1e-9)


@pytest.mark.parametrize("servers", [(1,), (8, 4, 16, 2, 8), (3, 1, 2)])
def test_a_row_of_stations_equals_the_recursion_to_the_last_digit(servers):
    rng = np.random.default_rng(len(servers))
    arrivals = np.cumsum(rng.exponential(1.0, 20_000))
    services = np.array([rng.exponential(0.85 * c, 20_000) for c in servers])
    tasks = TaskTable(arrivals, services)
    np.testing.assert_array_equal(departures(tasks, servers), exact_departures(tasks, servers))


def test_jobs_of_one_time_and_equal_services_keep_their_order():
    tasks = TaskTable(np.repeat(np.arange(50.0), 4), np.full((3, 200), 0.5))
    np.testing.assert_array_equal(departures(tasks, (2, 1, 3)), exact_departures(tasks, (2, 1, 3)))


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.integers(0, 10**6))
def test_nothing_is_lost_from_the_books(seed):
    network = draw_network(seed)
    stations, arrivals, routes, services, _classes, _changes = network
    outcome = run(network)
    left = outcome.departure_s
    assert np.isnan(left).sum() == outcome.lost.sum()
    through = np.isfinite(left)
    assert (left[through] >= arrivals[through]).all()
    # every failure is repaired in the end, so nobody stays for ever
    assert not np.isinf(left).any()
    work = np.array([services[a:b].sum() for a, b in zip(routes.offset, routes.offset[1:], strict=False)])
    assert (left[through] - arrivals[through] >= work[through] - 1e-9).all()
    servers = np.array([s.servers for s in stations])
    assert (outcome.busy_s <= servers * (outcome.end_s - outcome.down_s) + 1e-9).all()
    if not outcome.lost.any() and all(s.resumes for s in stations):
        # what the stations worked is what the jobs needed; time in the network is time served and waited
        np.testing.assert_allclose(outcome.busy_s.sum(), work.sum())
        np.testing.assert_allclose((left - arrivals).sum(), outcome.busy_s.sum() + outcome.queue_s.sum())
    again = run(network)
    assert again.departure_s.tobytes() == left.tobytes()
    assert again.queue_s.tobytes() == outcome.queue_s.tobytes()


def test_many_at_once_grow_the_tables():
    jobs = 5000
    arrivals = np.zeros(jobs)
    outcome = run_network([QueueStation(2)], arrivals, csr([[0]]), np.ones((1, jobs)))
    assert outcome.end_s == jobs / 2
    # each more urgent than the one before: thousands of stale ends wait in the calendar
    outcome = run_network(
        [QueueStation(1, "priority", preemptive=True)], np.arange(jobs) * 1e-3, csr([[0]]), np.full((1, jobs), 100.0),
        classes=np.arange(jobs)[::-1],
    )  # fmt: skip
    assert outcome.departure_s[-1] == pytest.approx((jobs - 1) * 1e-3 + 100)
    assert outcome.end_s == pytest.approx(jobs * 100.0)
    assert (np.diff(outcome.departure_s) < 0).all()


def test_a_station_that_stays_down_keeps_its_jobs():
    down = Changes(np.array([0.5]), np.array([0]), np.array([0]))
    outcome = run_network([QueueStation(1)], np.array([0.0, 1.0]), csr([[0]]), np.ones((1, 2)), changes=down)
    assert np.isinf(outcome.departure_s).all()
    assert outcome.end_s == 1.0


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"services": np.ones((1, 2))}, "station 0 can get 3 jobs but has 2"),
        ({"services": np.ones(4)}, "3 visits need as many"),
        ({"arrivals": np.array([0.0, 2.0, 1.0])}, "arrivals must ascend"),
        ({"arrivals": np.array([0.0, np.nan, 1.0])}, "arrivals must ascend"),
        ({"routes": csr([[1]])}, "stations are 0 to 0"),
        ({"routes": csr([[0], [0]])}, "3 jobs need as many routes"),
        ({"services": np.array([[1.0, -1.0, 1.0]])}, "service times are 0 or more"),
        ({"services": np.array([[1.0, np.nan, 1.0]])}, "service times are 0 or more"),
        ({"classes": np.array([0, 1])}, "one class for every job"),
        ({"stations": [QueueStation(1, preemptive=True)]}, "preemption needs"),
        ({"stations": [QueueStation(0)]}, "a server at least"),
        ({"changes": Changes(np.array([1.0]), np.array([0]), np.array([2]))}, "cannot have 2 servers"),
    ],
)
def test_columns_that_do_not_fit_are_refused(kwargs, message):
    given = {
        "stations": [QueueStation(1)],
        "arrivals": np.arange(3.0),
        "routes": csr([[0]]),
        "services": np.ones((1, 3)),
    }
    with pytest.raises(ValueError, match=message):
        run_network(**{**given, **kwargs})
