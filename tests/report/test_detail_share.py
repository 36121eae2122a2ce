"""A run that keeps the details of a share of its orders says what one with all details says."""

from dataclasses import replace

import pytest

from dssn.compile import compile_plan
from dssn.loading import load_scenario
from dssn.report.binding import find_binding
from dssn.report.charts.phases import phase_means
from dssn.report.data import RunData
from dssn_sim.runs import run_plan


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    plan = compile_plan(load_scenario("metro"))
    found = {}
    for share in (1.0, 0.3):
        of = replace(plan, run=replace(plan.run, detail=share, replications=1))
        folder = tmp_path_factory.mktemp(f"share{share}")
        found[share] = run_plan(of, folder, "", workers=1), RunData.open(folder, of, lean=True)
    return found


@pytest.mark.req("OPS-03")
def test_totals_and_means_are_those_of_all_orders(runs):
    (whole, all_data), (part, some_data) = runs[1.0], runs[0.3]
    assert len(some_data.table("phases")) < 0.5 * len(all_data.table("phases"))
    for name, key, within in (
        ("bytes", "control", 0.15), ("phase_time", "deliver", 0.15), ("bill_total", "payer", 0.5),  # bills differ much
    ):  # fmt: skip
        a, b = (run.kpi(name, part=key).estimate for run in (whole, part))
        assert b == pytest.approx(a, rel=within)
    a, b = (phase_means(d).set_index(["cls", "phase"])["mean_s"].sum() for d in (all_data, some_data))
    assert b == pytest.approx(a, rel=0.25)
    assert find_binding(some_data).kind == find_binding(all_data).kind
