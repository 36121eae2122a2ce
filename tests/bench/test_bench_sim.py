"""Speed of the control plane: events of a station, orders of a peak day. Run with ``pytest -m bench tests/bench``."""

from dataclasses import replace

import numpy as np
import pytest

from dssn.compile import compile_plan
from dssn.loading import load_scenario
from dssn_sim.clock import Clock
from dssn_sim.kernel import run_world, simulate
from dssn_sim.station import Station

pytestmark = pytest.mark.bench

CUSTOMERS = 100_000
HOURS = 8


def mm1(gaps, services):
    """Run an M/M/1 queue through a station; return the number of SimPy events."""
    env = Clock()
    station = Station(env, 1)

    def arrivals():
        for gap, service in zip(gaps, services, strict=True):
            yield env.timeout(gap)
            station.serve(service)

    env.process(arrivals())
    env.run()
    assert station.snapshot().calls == len(gaps)
    return next(env._eid)


@pytest.mark.benchmark(group="model")
def test_events_of_a_station(benchmark):
    rng = np.random.default_rng(1)
    gaps, services = (rng.exponential(m, CUSTOMERS).tolist() for m in (1.0, 0.7))
    events = benchmark.pedantic(mm1, (gaps, services), rounds=5, warmup_rounds=1)
    assert events >= 2 * CUSTOMERS  # an arrival and an answer each, not a shortcut past the event queue
    benchmark.extra_info["events_per_s"] = events / benchmark.stats.stats.min


@pytest.mark.benchmark(group="scenario")
def test_orders_of_a_peak_day(benchmark):
    plan = compile_plan(load_scenario("exchange-peak-day"))
    plan = replace(plan, run=replace(plan.run, horizon_s=HOURS * 3600.0))
    simulate(plan, 1)  # compiled code is loaded, routes are not kept between runs
    tables = benchmark.pedantic(simulate, (plan, 0), rounds=3)
    orders = tables["orders"].num_rows
    assert orders > 1000
    events = next(run_world(plan, 0).env._eid)
    benchmark.extra_info.update(
        orders_per_s=orders / benchmark.stats.stats.min, events_per_order=events / orders
    )
