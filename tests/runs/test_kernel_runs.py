"""The run machinery with the real kernel on the metro scenario."""

import pytest

from dssn.compile import compile_plan
from dssn.loading import load_scenario
from dssn_sim.runs import run_plan
from dssn_sim.truth.equality import differences


@pytest.mark.slow
@pytest.mark.req("TB-02", "TB-03", "TB-08")
def test_metro_same_bytes_with_two_workers_and_every_number_explained(tmp_path):
    loaded = load_scenario("metro", sets=["run.horizon=30 min", "run.warmup=5 min", "run.replications=2"])
    plan = compile_plan(loaded)
    one = run_plan(plan, tmp_path / "one", loaded.resolved_yaml, workers=1)
    two = run_plan(plan, tmp_path / "two", loaded.resolved_yaml, workers=2)
    assert one.state == "completed", one.failures
    assert differences(one.path, two.path) == []
    assert one.table("orders").num_rows > 100
    assert one.run["cost_entries"]
    assert all(
        e["source"] and e["confidence"] in ("measured", "read", "assumed") for e in one.run["cost_entries"]
    )
    for kpi in one.kpis:
        assert kpi.low is not None or kpi.why_no_interval, kpi
    assert one.kpi("raw_exposed", "sum", part="privacy and tee").estimate == 0.0
