"""Commands that simulate: run, report, compare, sweep, on a short metro."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dssn.cli.app import app
from dssn.cli.progress import Watcher
from dssn_sim.runs import ProgressEvent

SHORT = ("--set", "run.horizon=20 min", "--set", "run.warmup=2 min", "--replications", "2")


def call(*args, code=0):
    result = CliRunner().invoke(app, [str(a) for a in args])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "run"
    result = call("run", "metro", *SHORT, "--out", path, "--trace")
    return path, result


@pytest.mark.req("OPS-03", "TB-08")
def test_run_ends_with_key_figures_answer_and_report(folder):
    path, result = folder
    text = result.stdout
    assert "metro: Ten nodes in one metropolitan network" in text
    assert "95 % interval" in text
    assert "Order to result" in text
    assert "objective" in text
    assert text.rstrip().endswith(f"Report: {path / 'report.html'}")
    assert (path / "report.html").is_file()
    assert json.loads((path / "trace.json").read_text("utf-8"))["traceEvents"]


@pytest.mark.req("TB-08")
def test_one_replication_says_once_why_figures_have_no_interval(tmp_path):
    text = call("run", "metro", *SHORT[:-1], "1", "--out", tmp_path / "one").stdout
    assert text.count("a time average kept as a total of one replication has no spread") == 1
    assert sum(row.rstrip().endswith("—") for row in text.splitlines()) >= 7


def test_existing_folder_is_not_overwritten_unasked(folder):
    path, _ = folder
    assert "holds a run already" in call("run", "metro", *SHORT, "--out", path, code=2).stderr


def test_resume_of_a_finished_run_changes_nothing(folder):
    path, _ = folder
    before = (path / "tables" / "deliveries.parquet").read_bytes()
    call("run", "metro", *SHORT, "--out", path, "--resume", "--quiet")
    assert (path / "tables" / "deliveries.parquet").read_bytes() == before


def test_json_of_a_run_is_one_document(tmp_path):
    result = call("run", "metro", *SHORT, "--out", tmp_path / "r", "--json", "--seed", "9")
    value = json.loads(result.stdout)
    assert value["seed"] == 9
    assert value["state"] == "completed"
    assert any(k["key"] == "order_to_result.p95" for k in value["kpis"])


def test_report_can_be_written_again_with_figures(folder):
    path, _ = folder
    written = json.loads(call("report", path, "--plots", "--gzip", "--json").stdout)
    assert set(written) == {"report", "plots", "trace"}
    assert written["trace"].endswith(".json.gz")
    assert (path / "plots" / "phases.svg").is_file()


@pytest.mark.req("TB-08")
def test_compare_pairs_by_replication(folder, tmp_path, monkeypatch):
    path, _ = folder
    monkeypatch.chdir(tmp_path)
    same = call("compare", path, path)
    assert "same" in same.stdout
    result = call(
        "compare",
        path,
        "metro",
        "--set-b",
        "run.horizon=20 min",
        "--set-b",
        "run.warmup=2 min",
        "-n",
        "2",
        "--json",
    )
    value = json.loads(result.stdout)
    assert value["common_random_numbers"] is True
    assert all(r["difference"] == 0 for r in value["orders"])
    assert Path(value["b"]).name == "metro-1"


def test_compare_refuses_settings_for_a_finished_run(folder):
    path, _ = folder
    assert "finished run" in call("compare", path, path, "--set-a", "run.seed=2", code=2).stderr


def test_sweep_gives_a_table_a_plot_and_an_index(tmp_path):
    result = call(
        "sweep", "metro", "--vary", "workload.psi.arrivals.rate=30 /h,120 /h", *SHORT, "--out", tmp_path / "s"
    )
    assert "30 /h" in result.stdout
    assert (tmp_path / "s" / "index.parquet").is_file()
    assert (tmp_path / "s" / "sweep-order_to_result-p95.png").is_file()


def test_sweep_with_an_invalid_point_runs_the_others(tmp_path):
    result = call("sweep", "metro", "--vary", "run.seed=1,minus", *SHORT, "--out", tmp_path / "s", code=4)
    assert "invalid" in result.stderr
    assert "completed" in result.stdout


def test_own_policy_beside_the_scenario_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    call("new", "policy", "cli_run_greenest", "--kind", "placement")
    result = call(
        "run", "metro", *SHORT, "--set", "policies.placement=cli_run_greenest:CliRunGreenest", "--quiet"
    )
    run = json.loads((Path(result.stdout.strip()).parent / "run.json").read_text("utf-8"))
    assert run["policies"]["placement"]["name"] == "cli_run_greenest:CliRunGreenest"


# ------------------------------------------------------------------ progress


def test_progress_is_silent_below_two_seconds_and_says_lines_after_ten(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("dssn.cli.progress.time.monotonic", lambda: now[0])
    with Watcher(2) as watch:
        now[0] = 1.0
        watch(ProgressEvent(0, 0.2))
        now[0] = 5.0
        watch(ProgressEvent(0, 0.5))
        assert capsys.readouterr().err == ""
        now[0] = 11.0
        watch(ProgressEvent(0, 1.0, state="finished"))
        assert "1 of 2 replications finished, 50 % of all, about 11 s left" in capsys.readouterr().err
        now[0] = 15.0
        watch(ProgressEvent(1, 0.5))
        assert capsys.readouterr().err == ""


def test_quiet_progress_says_nothing(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("dssn.cli.progress.time.monotonic", lambda: now[0])
    with Watcher(1, quiet=True) as watch:
        now[0] = 100.0
        watch(ProgressEvent(0, 0.5))
    assert capsys.readouterr().err == ""
