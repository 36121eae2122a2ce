"""A station serves, queues, drops, fails and is repaired."""

import pytest
import simpy

from dssn_sim.station import Served, Station


def drive(station, env, jobs):
    """Run (arrival, service, priority) jobs; return {job number: (start, end)} and the Served values."""
    seen = {}

    def job(i, arrival, service, priority):
        yield env.timeout(arrival)
        served = yield station.serve(service, priority)
        seen[i] = (env.now, served)

    for i, (arrival, service, priority) in enumerate(jobs):
        env.process(job(i, arrival, service, priority))
    env.run()
    return seen


@pytest.mark.req("NOD-01")
def test_two_servers_take_two_calls_at_once():
    env = simpy.Environment()
    seen = drive(Station(env, 2), env, [(0, 4, 0), (0, 4, 0), (1, 4, 0)])
    assert [seen[i][0] for i in range(3)] == [4, 4, 8]
    assert seen[2][1] == Served(3.0, 4, dropped=False)


def test_priority_goes_first_but_does_not_interrupt():
    env = simpy.Environment()
    seen = drive(Station(env, 1, discipline="priority"), env, [(0, 10, 1), (1, 1, 1), (2, 1, 0)])
    assert seen[0][0] == 10
    assert seen[2][0] == 11
    assert seen[1][0] == 12


def test_full_queue_drops():
    env = simpy.Environment()
    station = Station(env, 1, queue_limit=1)
    seen = drive(station, env, [(0, 5, 0), (1, 5, 0), (2, 5, 0)])
    assert seen[2][1].dropped
    assert seen[2][0] == 2
    assert station.snapshot().dropped == 1
    assert station.snapshot().calls == 2


@pytest.mark.req("NOD-01")
def test_a_call_in_service_when_the_station_fails_is_served_again_first():
    env = simpy.Environment()
    station = Station(env, 1)

    def outage():
        yield env.timeout(3)
        station.set_up(False)
        yield env.timeout(10)
        station.set_up(True)

    env.process(outage())
    seen = drive(station, env, [(0, 5, 0), (1, 5, 0)])
    assert seen[0][0] == 18
    assert seen[1][0] == 23
    use = station.snapshot()
    assert use.down_s == 10
    assert use.busy_s == pytest.approx(3 + 10)


def test_abandoned_calls_are_never_served():
    env = simpy.Environment()
    station = Station(env, 1)
    first = station.serve(5)
    second = station.serve(5)
    station.abandon(second)
    env.run()
    assert first.processed or first.triggered
    assert not second.triggered
    assert station.queue_length == 0


def test_integral_of_busy_servers_is_the_work_done():
    env = simpy.Environment()
    station = Station(env, 3)
    drive(station, env, [(i * 0.3, 1.0 + 0.1 * i, 0) for i in range(20)])
    assert station.snapshot().busy_s == pytest.approx(sum(1.0 + 0.1 * i for i in range(20)), rel=1e-12)


def test_no_server_is_refused():
    with pytest.raises(ValueError, match="at least one server"):
        Station(simpy.Environment(), 0)
