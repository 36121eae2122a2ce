"""``import dssn``: what a notebook needs, as documented."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import dssn
from dssn.report.charts.base import Chart, NoChart
from dssn_models.policies.api import Choose

SHORT = {"run.horizon": "20 min", "run.warmup": "2 min"}


@pytest.fixture(scope="module")
def sc():
    return dssn.load("metro", set=SHORT)


@pytest.fixture(scope="module")
def res(sc):
    return dssn.run(sc, replications=2)


def test_public_names_are_few_exist_and_are_documented():
    assert len(dssn.__all__) <= 22
    page = (Path(__file__).parents[2] / "docs" / "python.md").read_text("utf-8")
    for name in dssn.__all__:
        assert getattr(dssn, name).__doc__, name
        assert f"`{name}" in page or f"dssn.{name}" in page, f"{name} is not in docs/python.md"


def test_import_is_cheap():
    code = "import sys, dssn; print(sorted({'numpy', 'pandas', 'pydantic'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(AttributeError, match="there are Comparison"):
        _ = dssn.lode


def test_catalogues_are_frames():
    assert {"name", "title", "question", "orders", "wall_s"} <= set(dssn.scenarios().columns)
    assert "nearest" in set(dssn.policies()["name"])
    assert "psi.ecdh" in set(dssn.engines()["name"])


def test_scenario_shows_itself(sc):
    assert sc.name == "metro"
    assert sc.question.endswith("?")
    html = sc._repr_html_()
    assert "5 sites" in html
    assert dssn.loads(sc.yaml).hash == sc.hash


def test_vary_leaves_the_original(sc):
    other = sc.vary(set={"run.seed": 42})
    assert other.plan.run.seed == 42
    assert sc.plan.run.seed != 42
    assert other.plan.run.horizon_s == 1200.0
    with pytest.raises(ValueError, match="made from text"):
        dssn.loads(sc.yaml).vary("busy")


def test_invalid_scenarios_raise_every_problem():
    with pytest.raises(dssn.Problems) as caught:
        dssn.load("metro", set={"run.horizon": "4", "run.seed": "x"})
    assert len(caught.value.problems) == 2
    assert dssn.check("metro") == [p for p in dssn.check("metro") if p.is_warning]


@pytest.mark.req("TB-08")
def test_kpis_are_a_frame_with_intervals(res):
    row = res.kpis.loc["order_to_result.p95"]
    assert row["low"] <= row["estimate"] <= row["high"]
    assert res.kpi("order_to_result", "p95") == row["estimate"]
    assert set(res.objectives["met"]) <= {"met", "missed", "undecided"}


def test_tables_in_three_forms(res):
    frame = res.table("deliveries")
    assert isinstance(frame, pd.DataFrame)
    assert isinstance(res.arrow("deliveries"), pa.Table)
    assert res.sql("select count(*) as n from deliveries")["n"][0] == len(frame)
    assert set(res.table("orders", replication=1)["replication"]) == {1}


def test_result_shows_itself_and_answers(res):
    assert "Order to result" in res._repr_html_()
    assert "objective" in res.answer()


def test_every_plot_is_a_chart_or_a_sentence(res):
    charts = [res.plot.cdf("order_to_result"), res.plot.phases(), res.plot.timeseries(), res.plot.refusals()]
    for chart in charts:
        assert isinstance(chart, Chart | NoChart)
    assert charts[0]._repr_png_().startswith(b"\x89PNG")


def test_report_and_trace_are_written(res):
    assert res.report().read_text("utf-8").startswith("<!DOCTYPE html>")
    assert res.trace(gzip=True).name == "trace.json.gz"


def test_open_run_reads_what_run_wrote(sc, tmp_path):
    first = dssn.run(sc, replications=1, out=tmp_path / "kept")
    again = dssn.open_run(tmp_path / "kept")
    pd.testing.assert_frame_equal(first.kpis, again.kpis)


class Last:
    """A placement that takes the last candidate, and counts how often it was asked."""

    kind = "placement"

    def __init__(self):
        self.asked = 0

    def decide(self, view, now, rng):
        self.asked += 1
        return Choose(view.candidates[-1].id, "last")


def first_by_name(view, now, rng):
    return Choose(min(c.id for c in view.candidates), "by name")


@pytest.mark.req("NET-08")
def test_policies_as_objects_classes_functions_and_names(sc):
    policy = Last()
    res = dssn.run(sc, replications=1, policies={"placement": policy})
    decided = res.table("decisions")
    decided = decided[decided["kind"] == "placement"]
    assert policy.asked == len(decided) > 0
    assert set(decided["reason"]) == {"last"}
    assert res.info["policies"]["placement"]["name"] == "python:Last"
    by_function = dssn.run(sc, replications=1, policies={"placement": first_by_name}).table("decisions")
    assert "by name" in set(by_function["reason"])
    named = dssn.run(sc, replications=1, policies={"placement": "random"})
    assert named.info["policies"]["placement"]["name"] == "random"


def test_policy_objects_that_cannot_travel_are_refused_for_workers(sc):
    with pytest.raises(dssn.Problems, match="workers=1"):
        dssn.run(sc, replications=2, workers=2, policies={"placement": lambda view, now, rng: None})


def test_wrong_policies_are_problems_before_the_run(sc):
    def ran(event):
        raise AssertionError("the run began")

    wrong = {"colour": Last(), "routing": Last(), "placement": "nearst"}
    with pytest.raises(dssn.Problems) as caught:
        dssn.run(sc, policies=wrong, progress=ran)
    found = {p.path: p for p in caught.value.problems}
    assert set(found) == set(wrong)
    assert found["placement"].hint == "nearest"
    assert "placement policy" in found["routing"].found


def careless(view, now, rng):
    return {}["gone"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_policy_that_raises_is_one_exception_with_its_place(sc, tmp_path, workers):
    with pytest.raises(dssn.PolicyFailed, match="placement policy careless failed at") as caught:
        dssn.run(sc, replications=2, workers=workers, policies={"placement": careless}, out=tmp_path / "r")
    failed = caught.value
    assert failed.where == f"{__file__}:{careless.__code__.co_firstlineno + 1}"
    assert isinstance(failed.__cause__, KeyError)
    assert dssn.open_run(tmp_path / "r").state == "failed"


def test_a_policy_that_raises_fails_its_point_of_a_sweep_only(sc, tmp_path, monkeypatch):
    (tmp_path / "face_careless.py").write_text("def decide(view, now, rng):\n    return 1 / 0\n", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = dssn.sweep(sc, {"policies.placement": ["face_careless:decide", "random"]}, replications=1)
    assert list(found.table["state"]) == ["failed", "completed"]
    assert "face_careless.py:2: ZeroDivisionError" in found.table["problem"][0]


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda r: r.plot.cdf("order_to_reslt"), "did you mean 'order_to_result_s'"),
        (lambda r: r.plot.cdf("state"), "no column of numbers"),
        (lambda r: r.plot.cdf(by="clas"), "did you mean 'cls'"),
        (lambda r: r.plot.cdf(table="delivery"), "did you mean 'deliveries'"),
        (lambda r: r.table("delivery"), "did you mean 'deliveries'"),
        (lambda r: r.arrow("delivery"), "did you mean 'deliveries'"),
        (lambda r: r.table("orders", replication=2), "no replication '2'; there are 0, 1"),
        (lambda r: r.kpi("order_to_reslt"), "did you mean 'order_to_result'"),
        (lambda r: r.kpi("order_to_result", "p96"), "order_to_result.p50, order_to_result.p95"),
        (lambda r: r.sql("select nosuch from orders"), "nosuch"),
    ],
)
def test_names_that_are_not_there_are_told_with_those_that_are(res, ask, words):
    with pytest.raises(dssn.RunError, match=r"no |nosuch") as caught:
        ask(res)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("design", "words"),
    [
        ({"run.seed": 3}, "run.seed: a list of values is due, got 3"),
        ({"run.seed": "12"}, "got '12'"),
        ({}, "no points"),
    ],
)
def test_a_design_that_is_none_is_refused(sc, design, words):
    with pytest.raises(dssn.RunError, match=words):
        dssn.sweep(sc, design, replications=1)


@pytest.mark.parametrize("seed", [-1, "a", 1.5])
def test_a_seed_that_is_none_is_refused(sc, seed):
    with pytest.raises(dssn.RunError, match="a whole number of zero or more"):
        dssn.run(sc, seed=seed, replications=1)


def test_one_override_and_one_setting_may_stand_alone():
    alone = dssn.load("metro", overrides="busy", set="run.seed=3")
    assert alone.hash == dssn.load("metro", overrides=["busy"], set={"run.seed": 3}).hash


def test_python_values_are_set_as_yaml(sc):
    other = sc.vary(set={"run.drain": False, "run.seed": np.int64(7), "run.warmup": None})
    assert (other.plan.run.drain, other.plan.run.seed, other.plan.run.warmup_s) == (False, 7, 0.0)


def test_a_chart_saves_into_a_folder_named_by_text(res, tmp_path):
    assert [p.name for p in res.plot.phases().save(str(tmp_path / "figures"))] == ["phases.png", "phases.svg"]


def test_what_cannot_be_drawn_has_a_caption():
    assert NoChart("k", "title", "No order arrived.").caption == "No order arrived."


@pytest.mark.req("TB-08")
def test_compare_shows_paired_differences(sc, res):
    other = dssn.run(sc.vary(set={"workload.psi.arrivals.rate": "600 /h"}), replications=2)
    found = dssn.compare(res, other)
    row = found.table.loc["orders_total.count"]
    assert row["difference"] == row["b"] - row["a"]
    assert row["difference"] > 0
    assert "B is" in found._repr_html_()
    assert len(found.rows(every=True)) > len(found.rows())


def test_sweep_is_a_frame_with_a_plot(sc):
    found = dssn.sweep(sc, {"policies.placement": ["nearest", "random"]}, replications=1)
    assert list(found.table["set:policies.placement"]) == ["nearest", "random"]
    assert set(found.table["state"]) == {"completed"}
    chart = found.plot("order_to_result.p95")
    assert chart.figure.axes[0].get_xlabel() == "policies.placement"
    assert found.result(found.table["point"][0]).kpi("orders_total", "count") > 0
    with pytest.raises(dssn.RunError, match=r"no KPI .* did you mean 'order_to_result.p95'"):
        found.plot("order_to_reslt.p95")
    with pytest.raises(dssn.RunError, match="no point"):
        found.result("9")
