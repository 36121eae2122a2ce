"""``dssn bench``: costs of a whole process, cases with peers in turn, goals, report, exit codes."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from dssn.cli.app import app
from dssn.report.bench_page import write_bench_report
from dssn_sim.bench.growth import Point
from dssn_sim.bench.measure import Cost, PeerError, machine, measured, median_cost
from dssn_sim.bench.suite import CASES, QUICK, Case, Row, judged, measure_case
from dssn_sim.bench.tools import Tool, find_tools

DSSN = [sys.executable, "-c", "from dssn.cli import main; main()"]


def test_cost_is_that_of_the_whole_process():
    work = "import time; b = bytearray(120_000_000); e = time.process_time() + 0.3\nwhile time.process_time() < e: pass"
    cost = measured([sys.executable, "-c", work])
    assert 0.3 <= cost.cpu_s < 3
    assert cost.wall_s >= 0.3
    assert 120e6 < cost.memory_bytes < 240e6
    # a small program started by a large one is still small
    assert measured([sys.executable, "-c", "pass"]).memory_bytes < 60e6


def test_a_program_that_fails_says_why():
    with pytest.raises(PeerError, match="exit 3: no such thing"):
        measured([sys.executable, "-c", "import sys; print('no such thing', file=sys.stderr); sys.exit(3)"])
    with pytest.raises(PeerError, match=r"stopped after 0\.2 s"):
        measured([sys.executable, "-c", "import time; time.sleep(5)"], timeout_s=0.2)


def test_median_is_taken_figure_by_figure():
    costs = [Cost(1, 9, 5), Cost(3, 1, 6), Cost(2, 4, 1)]
    assert median_cost(costs) == Cost(2, 4, 5)


def test_goals_compare_with_the_first_peer_that_ran():
    case = Case("x", "", "low", 10, ratio=10, cpu_s=1.5, memory_bytes=100)
    rows = [
        Row("ours", "", Cost(2, 2, 90)),
        Row("broken", "", error="exit 1"),
        Row("peer", "", Cost(30, 30, 1)),
    ]
    goals = {g["what"]: (g["found"], g["met"]) for g in judged(case, rows)}
    assert goals == {"times less CPU": (15, True), "CPU s": (2, False), "bytes of memory": (90, True)}
    assert list(judged(case, [Row("ours", "")])) == []


def test_quick_has_the_cases_small_and_without_goals():
    assert {c.name for c in QUICK} == {c.name for c in CASES} - {"W1-low-1e6"}
    assert all(c.size <= 50_000 and c.ratio is None for c in QUICK)


@pytest.mark.parametrize("variant", ["low", "tasks"])
def test_tools_take_turns_and_answers_are_compared(variant, tmp_path):
    tools, _ = find_tools(DSSN, "1", sys.executable)
    chosen = [t for t in tools if t.name in ("DSSN", "SimPy, callbacks", "SimGrid (C++)")]
    twin = Tool("DSSN", "twin", *([*DSSN, "bench", kind] for kind in ("flows", "tasks")))
    said = []
    rows = measure_case(
        Case("c", "", variant, 200),
        [*chosen, twin],
        tmp_path,
        2,
        seed=5,
        say=lambda text: said.append(text[3:]),
    )
    names = [row.tool for row in rows]
    assert said == [f"{name}, {turn} of 2" for turn in (1, 2) for name in names]
    assert all(row.error == "" and row.runs == 2 for row in rows)
    assert rows[0].difference is None
    assert max(row.difference for row in rows[1:]) < 1e-6
    assert len(names) >= (3 if variant == "tasks" else 2)


def test_a_peer_that_fails_leaves_the_others_their_figures(tmp_path):
    good, _ = find_tools(DSSN, "1", sys.executable)
    bad = Tool("bad", "1", tasks=(sys.executable, "-c", "raise SystemExit('out of order')"))
    rows = measure_case(Case("c", "", "tasks", 50), [good[0], bad], tmp_path, 1)
    assert rows[0].cost is not None
    assert "out of order" in rows[1].error


def test_missing_peers_are_named_with_their_remedy(tmp_path):
    shadow = tmp_path / "python"
    shadow.write_text("#!/bin/sh\nexit 1\n")
    shadow.chmod(0o755)
    _, missing = find_tools(DSSN, "1", str(shadow))
    assert {"SimPy", "Ciw", "salabim", "SimGrid (Python)"} <= {m.name for m in missing}
    assert all(m.remedy for m in missing)


def test_report_has_every_case_and_escapes_what_it_was_told(tmp_path):
    rows = [
        Row("DSSN", "1", Cost(1, 1, 1e8), 3),
        Row("peer <x>", "2", Cost(25, 25, 1e7), 3, 1e-9),
        Row("b", "", error="exit 1"),
    ]
    case = Case("W1-low", "title", "low", 100, ratio=20)
    result = {
        "growth": [
            Point(n, n, 60 * n, Cost(n / 1e4, 1, 1e8)).as_dict() for n in (10_000, 100_000)
        ] + [Point(10**6, error="exit 9").as_dict()],
        "machine": machine(), "versions": {"DSSN": "1"}, "repeats": 3, "seed": None,
        "packets": {
            "rows": [{"case": "db-x", "transfers": 2, "predicted_s": 1.1, "packets_s": 1.0, "error": 0.1}],
            "summary": [{"group": "all", "cases": 1, "median": 0.1, "p90": 0.1, "largest": 0.1}],
        },
        "missing": [{"name": "Ciw", "why": "not there", "remedy": "pip install ciw"}],
        "cases": [{"name": case.name, "title": case.title, "size": case.size, "goals": list(judged(case, rows)),
                   "rows": [r.as_dict() for r in rows]}],
    }  # fmt: skip
    page = write_bench_report(tmp_path / "new", result)
    text = page.read_text("utf-8")
    assert "25.0 times less than peer &lt;x&gt;" in text
    assert "peer <x>" not in text
    assert "pip install ciw" in text
    assert "100% of 1 cases are predicted within 20 %" in text
    assert "From 10,000 to 100,000 deliveries the CPU of one goes from 0.1 to 0.1 ms" in text
    assert "exit 9" in text
    assert ">met<" in text
    assert "<svg" in text
    assert "http" not in text.replace("http://www.w3.org", "")  # nothing is loaded from elsewhere
    assert json.loads((tmp_path / "new" / "bench.json").read_text("utf-8")) == json.loads(json.dumps(result))


def test_command_names_unknown_cases():
    result = CliRunner().invoke(app, ["bench", "--only", "W9"])
    assert result.exit_code == 2
    assert "no case W9; there are W1-low" in result.output


def run(*args):
    return subprocess.run([*DSSN, "bench", *map(str, args)], capture_output=True, text=True, check=False)


def test_flows_from_files(tmp_path):
    net, flows, out = tmp_path / "net.json", tmp_path / "flows.csv", tmp_path / "finish.csv"
    net.write_text(
        '{"nodes": [], "links": [{"id": 0, "cap_bps": 8e3, "lat_s": 0.5}, {"id": 1, "cap_bps": 0, "lat_s": 0}]}'
    )
    flows.write_text("0,1000,0,1,0,0\n1,1000,0,1,4000,0\n0,1,0,1,0,1\n")
    done = run("flows", "--topology", net, "--flows", flows, "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"flows": 3, "never_end": [2]}
    assert "capacity.network: 1 flows" in done.stderr
    assert out.read_text() == "0,1.500000000\n1,3.500000000\n2,inf\n"
    flows.write_text("0,1000,0,1,0,2\n")
    wrong = run("flows", "--topology", net, "--flows", flows, "--out", out)
    assert wrong.returncode == 2
    assert f"dssn: {flows}:1: " in wrong.stderr
    assert "Traceback" not in wrong.stderr
    gone = run("flows", "--topology", net, "--flows", tmp_path / "none.csv", "--out", out)
    assert (gone.returncode, "none.csv: no such file" in gone.stderr) == (4, True)
