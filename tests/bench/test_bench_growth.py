"""The growth curve and the large day: capacity in proportion, costs judged, and orders that are all delivered."""

import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dssn.cli.growth import command
from dssn.compile import compile_plan
from dssn.loading import load_scenario
from dssn_models.market.orders import expected_orders
from dssn_sim.bench.growth import BASE, measure_growth, scaled
from dssn_sim.bench.measure import Cost
from dssn_sim.kernel import simulate


@pytest.fixture(scope="module")
def full():
    return compile_plan(load_scenario("national-day", overrides=["full"]))


def test_orders_and_capacity_grow_together(full):
    large = scaled(full, 10 * BASE)
    assert sum(expected_orders(large).values()) == pytest.approx(10 * BASE)
    assert len(large.nodes) == len(full.nodes) > 3000
    for a, b in zip(full.nodes, large.nodes, strict=True):
        assert (b.cores, b.memory_bytes) == (10 * a.cores, 10 * a.memory_bytes)
    assert large.network.links[0].rate_ab_bps == 10 * full.network.links[0].rate_ab_bps
    assert large.services[0].servers == 10 * full.services[0].servers
    own = scaled(full, BASE)
    assert own.nodes == full.nodes
    assert own.network == full.network


def test_points_are_measured_and_judged(tmp_path, monkeypatch):
    def fake(arguments):
        orders, out = int(arguments[0]), arguments[1]
        (out / "tables").mkdir(parents=True)
        (out / "run.json").write_text(json.dumps({"events": 60 * orders}))
        pq.write_table(pa.table({"order": pa.array(range(10))}), out / "tables" / "deliveries.parquet")
        return Cost(orders / 2e4, 1.0, 3e9)

    monkeypatch.setattr("dssn_sim.bench.growth.measured", fake)
    points = measure_growth([100_000, 10_000_000], lambda n, out: [n, out], tmp_path)
    assert [p.events for p in points] == [6_000_000, 600_000_000]
    found = {g["what"]: (g["found"], g["met"]) for g in points[1].goals}
    assert found == {"bytes of memory": (3e9, True), "CPU of a delivery over that at 10^5": (100.0, False)}


def test_a_size_runs_in_a_process_of_its_own(tmp_path):
    (point,) = measure_growth([300], command, tmp_path)
    assert point.error == ""
    assert point.cost is not None
    assert point.deliveries > 250
    assert point.events > 20 * point.deliveries


def test_the_day_of_10_to_the_6_orders_has_room_for_them():
    day = compile_plan(load_scenario("national-day", overrides=["full", "million"]))
    assert sum(expected_orders(day).values()) == pytest.approx(1e6)
    assert len(day.nodes) > 3000
    tables = simulate(replace(day, run=replace(day.run, horizon_s=240.0)), 0)
    assert tables["orders"].num_rows > 100
    assert set(tables["orders"]["state"].to_pylist()) == {"completed"}
    assert max(tables["deliveries"]["queue_s"].to_pylist()) < 600
