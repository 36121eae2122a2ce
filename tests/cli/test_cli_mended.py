"""What new users stumbled over: options that contradict or say nothing, folders, interruptions, long runs."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dssn.cli.app import app
from dssn.cli.progress import Watcher, say_if_long
from dssn.face import measured
from dssn.face.scenario import load
from dssn.loading.shelf import library_names
from dssn_sim.runs import ProgressEvent, RunFolder
from dssn_sim.runs.run import expected_orders

SHORT = ("--set", "run.horizon=20 min", "--set", "run.warmup=2 min")


def call(*args, code=0):
    result = CliRunner().invoke(app, [str(a) for a in args])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def no_run(monkeypatch):
    """Fail the test if anything is simulated."""

    def ran(*_args, **_more):
        raise AssertionError("the run began")

    monkeypatch.setattr("dssn_sim.runs.run.compute", ran)


# ------------------------------------------------------------------ options


@pytest.mark.usefixtures("no_run")
@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("show", "metro", "--yaml", "--json"), 2, "give one of them"),
        (("run", "metro", "--resume", "--overwrite"), 2, "give one of them"),
        (("run", "metro", "--resume"), 2, "nothing to resume: there is no runs/metro-N"),
        (("sweep", "metro", "-v", "run.seed=1,2", "--resume"), 2, "nothing to resume"),
        (
            ("run", "metro", "--set", "run.seed="),
            3,
            "run.seed: no value; allowed: one YAML value; null deletes",
        ),
        (("run", "metro", "--set", "policies.placement=nearst"), 3, "did you mean 'nearest'"),
        (("requirements", "--json"), 2, "no checkout of the sources here"),
        (("sweep", "metro", "-v", "run.seed"), 2, "allowed is PATH=V1,V2"),
        (("sweep", "metro", "-v", "run.seed=1,,2"), 2, "allowed is PATH=V1,V2"),
        (("sweep", "metro", "-v", "run.seed=1,1"), 2, "stands there twice"),
        (("sweep", "metro", "-v", "run.seed=1", "-v", "run.seed=2"), 2, "varied already"),
        (("sweep", "metro", "-v", "run.sed=1,2"), 3, "did you mean 'seed'"),
        (
            ("sweep", "metro", "-v", "run.seed=1,2", "--kpi", "order_to_reslt.p95"),
            2,
            "mean 'order_to_result'",
        ),
    ],
)
def test_options_that_cannot_be_meant_are_refused_before_the_run(args, code, words):
    assert words in call(*args, code=code).stderr


@pytest.mark.usefixtures("no_run")
@pytest.mark.parametrize("command", [("run", "metro"), ("sweep", "metro", "--vary", "run.seed=1,2")])
def test_a_folder_that_cannot_be_used_is_a_usage_error_before_the_run(command, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine", "utf-8")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine", "utf-8")
    assert "is a file" in call(*command, "--out", tmp_path / "file", code=2).stderr
    assert "is a file" in call(*command, "--out", tmp_path / "file" / "below", code=2).stderr
    assert "is not empty" in call(*command, "--out", tmp_path / "full", code=2).stderr
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    assert "cannot be written" in call(*command, "--out", tmp_path / "new" / "run", code=2).stderr
    assert not (tmp_path / "new").exists()


def test_a_disk_that_is_full_says_so(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dssn_sim.runs.run.publish_folder", full)
    result = call("run", "metro", *SHORT, "-n", 1, "--out", tmp_path / "r", code=4)
    assert "cannot be written (No space left on device)" in result.stderr
    assert RunFolder.open(tmp_path / "r").state == "failed"


def test_resume_takes_the_newest_folder_and_says_which():
    call("run", "metro", *SHORT, "-n", 1, "--quiet")
    result = call("run", "metro", *SHORT, "-n", 1, "--quiet", "--resume")
    assert "resuming runs/metro-1" in result.stderr
    assert not Path("runs/metro-2").exists()


def test_values_of_a_sweep_may_hold_commas(tmp_path):
    result = call(
        "sweep", "metro", *SHORT, "-n", 1, "--json", "-v",
        "policies.placement=nearest,{use: least_loaded, options: {choices: 2}}", "--out", tmp_path / "s",
    )  # fmt: skip
    points = json.loads(result.stdout)["points"]
    assert [p["state"] for p in points] == ["completed"] * 2
    assert points[1]["set:policies.placement"] == "{use: least_loaded, options: {choices: 2}}"


def test_a_kpi_that_no_run_has_does_not_cost_the_table():
    result = call(
        "sweep", "metro", *SHORT, "-n", 1, "-v", "run.seed=1,2", "--kpi", "order_to_result.p17", code=2
    )
    assert "no KPI order_to_result.p17 in these runs" in result.stderr
    assert "completed" in result.stdout


# ------------------------------------------------------------------ policies of the user


@pytest.mark.parametrize("workers", [1, 2])
def test_a_policy_that_raises_ends_the_run_in_one_line(tmp_path, monkeypatch, workers):
    (tmp_path / "cli_careless.py").write_text(
        "def decide(view, now, rng):\n    return view.candidates[99]\n", "utf-8"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("DSSN_DEBUG", raising=False)
    args = (
        "run",
        "metro",
        *SHORT,
        "-n",
        2,
        "--workers",
        workers,
        "--set",
        "policies.placement=cli_careless:decide",
    )
    result = call(*args, code=4)
    (line,) = [x for x in result.stderr.splitlines() if "policy" in x]
    assert f"placement policy cli_careless:decide failed at {tmp_path}/cli_careless.py:2: IndexError" in line
    assert "virtual time" in line
    assert "order" in line
    assert "Traceback" not in result.output
    monkeypatch.setenv("DSSN_DEBUG", "1")
    assert "return view.candidates[99]" in call(*args, code=4).stderr


# ------------------------------------------------------------------ compare


def test_compare_says_what_differs_and_what_cannot_be_paired(tmp_path):
    def run(name, *more):
        call("run", "metro", *SHORT, "-n", 2, "--quiet", "--out", tmp_path / name, *more)
        return tmp_path / name

    a, b = run("a"), run("b", "--seed", 5, "--set", "policies.placement=random")
    text = call("compare", a, b).stdout
    assert "A and B differ in seed (1, 5), policies.placement" in text
    assert "nothing can be paired" in text
    assert "Note" not in call("compare", a, a).stdout
    c = run("c", "--set", "run.horizon=10 min")
    assert "the horizon differs: 1200 s and 600 s" in call("compare", a, c).stdout


# ------------------------------------------------------------------ how long it takes


def test_long_runs_are_announced_and_short_ones_not(capsys):
    say_if_long(load("metro").plan)
    assert capsys.readouterr().err == ""
    plan = load("metro", set={"run.horizon": "2000 h"}).plan
    say_if_long(plan)
    orders, wall_s = measured.estimate_s(plan)
    told = capsys.readouterr().err
    assert f"about {orders:,.0f} orders".replace(",", " ") in told
    assert measured.about(wall_s) in told
    assert orders == expected_orders(plan) * plan.run.replications
    twice = measured.estimate_s(plan, replications=2 * plan.run.replications)
    assert twice[0] == 2 * orders
    assert twice[1] >= wall_s


def test_check_announces_a_long_run():
    assert "a rough estimate is" in call("check", "metro", "--set", "run.horizon=2000 h").stderr
    assert "estimate" not in call("check", "metro").stderr


def test_every_scenario_of_the_library_is_measured_as_it_stands():
    """After a change of size: ``python -m dssn.face.measured``."""
    figures = measured.measured()
    assert list(figures) == library_names()
    for name, figure in figures.items():
        plan = load(name).plan
        assert figure.orders == round(expected_orders(plan)), name
        assert figure.replications == plan.run.replications, name


def test_list_shows_question_size_and_time():
    text = call("list").stdout
    assert "orders" in text
    assert "takes" in text
    assert measured.machine() in text
    (row,) = [r for r in json.loads(call("list", "--json").stdout) if r["name"] == "metro"]
    assert row["orders"] == measured.measured()["metro"].orders
    assert row["question"].endswith("?")


def test_no_time_left_is_told_before_it_means_something(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("dssn.cli.progress.time.monotonic", lambda: now[0])
    with Watcher(2) as watch:
        now[0] = 11.0
        watch(ProgressEvent(0, 0.001))
        told = capsys.readouterr().err
        assert "0 of 2 replications finished, 0 % of all" in told
        assert "left" not in told
        now[0] = 22.0
        watch(ProgressEvent(0, 0.2))
        assert "10 % of all, about 3 min left" in capsys.readouterr().err


# ------------------------------------------------------------------ ended from outside


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")]
)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_that_is_ended_says_how_to_go_on(tmp_path, number, code, word, workers):
    out = tmp_path / "r"
    command = [
        sys.executable, "-c", "from dssn.cli import main; main()", "run", "metro", "-n", "200", "--workers", str(workers),
        "--out", str(out),
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 90
    while not list(out.glob("replications/0*/done.json")):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    children = _children(process.pid)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == code, told
    assert f"{word}; what had finished is kept; the same command with --out {out} --resume goes on" in told
    assert RunFolder.open(out).state == "interrupted"
    assert list(out.glob("replications/0*/done.json"))
    until = time.monotonic() + 20
    while any(Path(f"/proc/{c}").exists() for c in children) and time.monotonic() < until:
        time.sleep(0.05)
    assert not [c for c in children if Path(f"/proc/{c}").exists()]


def _children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()
