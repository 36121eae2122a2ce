"""The command line: reading commands, exit codes, words instead of tracebacks."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dssn.cli.app import app
from dssn.cli.exits import CliError, handle, report_crash
from dssn.cli.helptext import help_text
from dssn.cli.output import plain
from dssn.cli.run_command import choose_folder

COMMANDS = (
    "run", "report", "compare", "sweep", "list", "show", "check", "schema", "policies", "engines", "truth",
    "requirements", "doctor", "new",
)  # fmt: skip


def call(*args, code=0):
    result = CliRunner().invoke(app, [str(a) for a in args])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


# ------------------------------------------------------------------ help


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_by_example(command):
    text = call(command, "--help").output
    assert "Usage:" in text
    if command == "new":
        text = call("new", "policy", "--help").output + call("new", "scenario", "--help").output
    assert f"    dssn {command}" in text


def test_help_lists_every_command():
    text = call("--help").output
    for command in COMMANDS:
        assert f"\n  {command} " in text


def test_examples_keep_their_lines():
    def function():
        """Do it.

        Examples::

            dssn a
            dssn b
        """

    assert help_text(function) == "Do it.\n\nExamples:\n\n\b\n    dssn a\n    dssn b"


def test_the_installed_command_starts_quickly_and_loads_nothing_heavy():
    code = (
        "import sys; sys.argv = ['dssn', '--help']\n"
        "from dssn.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'pandas', 'pyarrow', 'matplotlib', 'scipy', 'simpy', 'numba', 'pydantic', 'networkx', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    started = time.process_time()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr.strip() == "[]"
    assert "Usage: dssn" in done.stdout
    assert time.process_time() - started < 5


# ------------------------------------------------------------------ reading commands


def test_list_as_table_and_json():
    rows = json.loads(call("list", "--json").output)
    assert "metro" in {r["name"] for r in rows}
    assert all(r["title"] and r["question"] for r in rows)
    assert "metro" in call("list").output


def test_show_in_words_json_and_yaml():
    facts = json.loads(call("show", "metro", "--json").output)
    assert facts["name"] == "metro"
    assert facts["sites"] == 5
    assert "busy" in facts["overrides to choose"]
    assert "How long does an order take" in call("show", "metro").output
    text = call("show", "metro", "--yaml", "--set", "run.seed=77").output
    assert "seed: 77" in text


@pytest.mark.parametrize("command", ["policies", "engines"])
def test_catalogues_as_table_and_json(command):
    rows = json.loads(call(command, "--json").output)
    assert len(rows) >= 8
    assert rows[0]["name"] in call(command).output


@pytest.mark.req("TB-12")
def test_doctor_finds_the_simulation_ready():
    findings = json.loads(call("doctor", "--json").output)
    assert {f["part"] for f in findings} == {"simulation", "emulation"}
    for finding in findings:
        assert finding["state"] in ("ok", "missing")
        assert finding["remedy"] or finding["state"] == "ok"
    assert all(f["state"] == "ok" for f in findings if f["part"] == "simulation" and f["needed"])


def test_schema_is_json_schema():
    schema = json.loads(call("schema").output)
    assert schema["$schema"].startswith("https://json-schema.org/")
    call("schema", "--out", "schema.json")
    assert json.loads(Path("schema.json").read_text("utf-8")) == schema


def test_requirements_outside_a_checkout_says_what_is_needed():
    assert "checkout" in call("requirements", code=2).stderr


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["run"], 2, "Missing argument"),
        (["run", "metro", "--replications", "0"], 2, "--replications"),
        (["run", "metro", "--crypto", "real"], 5, "not part of this version"),
        (["run", "metro", "--crypto", "maybe"], 2, "allowed are tables and real"),
        (["run", "metroo"], 3, "did you mean 'metro'"),
        (["run", "metro", "--set", "run.horizon=4"], 3, "bare number"),
        (["run", "metro", "--override", "busyy"], 3, "busy"),
        (["check", "missing.yaml"], 3, "no such file"),
        (["report", "nowhere"], 2, "no such folder"),
        (["compare", "nowhere", "metro"], 3, "nowhere"),
        (["sweep", "metro", "--vary", "run.seed"], 2, "PATH=V1,V2"),
        (["new", "policy", "ok", "--kind", "colour"], 2, "placement"),
        (["new", "policy", "1+1"], 2, "no module name"),
        (["nonsense"], 2, "No such command"),
    ],
)
def test_errors_are_one_line_with_the_right_exit_code(args, code, words):
    result = call(*args, code=code)
    assert words in result.output
    assert "Traceback" not in result.output


def test_check_prints_every_problem_at_once():
    Path("bad.yaml").write_text(
        "dssn: 1\ntitel: x\nnetwork: {topology: {kind: rng}}\nrun: {horizon: 4}\n", "utf-8"
    )
    result = call("check", "bad.yaml", code=3)
    lines = [text for text in result.output.splitlines() if text.startswith("bad.yaml:")]
    assert len(lines) >= 3
    as_json = json.loads(CliRunner().invoke(app, ["check", "bad.yaml", "--json"]).stdout)
    assert as_json["ok"] is False
    assert len(as_json["problems"]) >= 3


def test_check_of_a_good_scenario_is_quiet():
    result = call("check", "metro")
    assert "metro: ok" in result.output


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), 130),
        (CliError("no", 5), 5),
        (ValueError("odd"), 4),
        (PermissionError(13, "Permission denied", "x"), 4),
    ],
)
def test_every_exception_becomes_one_line(error, code, capsys):
    assert handle(error) == code
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("dssn: ")


def test_a_bug_says_where_its_log_is(capsys, tmp_path):
    assert report_crash(RuntimeError("first\nsecond")) == 4
    text = capsys.readouterr().err
    log = Path(text.rsplit("details: ", 1)[1].strip())
    assert "RuntimeError: first" in text
    assert "second" in log.read_text("utf-8")
    assert log.is_relative_to(tmp_path)


def test_debug_shows_the_traceback(monkeypatch, capsys):
    monkeypatch.setenv("DSSN_DEBUG", "1")
    try:
        raise RuntimeError("inner")
    except RuntimeError as error:
        handle(error)
    assert "Traceback" in capsys.readouterr().err


# ------------------------------------------------------------------ small parts


def test_default_folder_is_the_next_free_number(tmp_path):
    assert choose_folder(None, "metro", resume=False) == Path("runs/metro-1")
    for name in ("metro-1", "metro-9", "metro-x", "metro-2-3"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    assert choose_folder(None, "metro", resume=False) == Path("runs/metro-10")
    assert choose_folder(None, "metro", resume=True) == Path("runs/metro-9")
    assert choose_folder(Path("there"), "metro", resume=False) == Path("there")


def test_json_never_holds_nan():
    assert plain({"a": float("nan"), "b": [1.5, float("inf")], "c": (True, None, Path("x"))}) == {
        "a": None,
        "b": [1.5, None],
        "c": [True, None, "x"],
    }


# ------------------------------------------------------------------ new


def test_new_scenario_is_a_copy_that_is_valid():
    call("new", "scenario", "mine", "--from", "metro")
    call("check", "mine.yaml")
    assert "exists already" in call("new", "scenario", "mine", code=2).stderr


@pytest.mark.parametrize("kind", ["placement", "routing", "admission", "queueing", "technology"])
def test_new_policy_writes_a_policy_that_passes_its_own_test(kind):
    text = call("new", "policy", "greenest", "--kind", kind).output
    assert f"--set policies.{kind}=greenest:Greenest" in text
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_greenest.py"],
        capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "exists already" in call("new", "policy", "greenest", code=2).stderr
