"""``dssn bench flows`` and ``dssn bench tasks``: our side alone on any file.

The time of the whole process is what counts here, and Typer takes 70 ms of it, a sixth of 10^5 flows. So these two
have a plain parser, and ``dssn.cli.main`` comes here before it loads Typer.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["COMMANDS", "compile_if_needed", "run", "say"]

COMMANDS = ("flows", "tasks")

_FLOWS = """Run flows over a network, exact max-min, and write when each is finished.

FLOWS has start_s,size_bytes,src,dst,cap_bps,route a line (cap 0: none; route: link ids joined by '-').
A flow that crosses a link without capacity never ends: its time is inf, and a line on stderr says so.

    dssn bench flows --topology topology.json --flows flows.csv --out finish.csv
"""
_TASKS = """Run jobs through stations in a row, first come first served, and write how long each took.

The file holds native doubles: the number of jobs, the arrivals in order, then the service times of one station
after the other. The k-th job to come to a station takes the k-th service time there.

    dssn bench tasks --input tasks.bin --out sojourn.csv
"""


def say(text: str) -> None:
    """Write a line to stderr."""
    print(f"dssn: {text}", file=sys.stderr, flush=True)


def compile_if_needed(*, queues: bool) -> None:
    """Compile what was never compiled on this machine, and say so."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # nothing here uses them, and starting them takes time
    from dssn_sim.bench import textio
    from dssn_sim.dataplane import compiled

    further: tuple[Any, ...] = (textio,)
    if queues:
        from dssn_sim.compiled import queues as loop

        further = (textio, loop)
    if not compiled.is_warm(*further):
        say("compiling for this machine (about 15 s, once)")
        compiled.warm_up(*further)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dssn bench")
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, text: str) -> argparse.ArgumentParser:
        layout = argparse.RawDescriptionHelpFormatter
        return commands.add_parser(name, description=text, formatter_class=layout)

    flows = add("flows", _FLOWS)
    flows.add_argument("--topology", type=Path, required=True, help="nodes and directed links (JSON)")
    flows.add_argument("--flows", type=Path, required=True, help="a flow a line (CSV)")
    flows.add_argument("--out", type=Path, required=True, help="where to write id,finish_s")
    tasks = add("tasks", _TASKS)
    tasks.add_argument("--input", type=Path, required=True, help="jobs, arrivals, service times (doubles)")
    tasks.add_argument("--out", type=Path, required=True, help="where to write id,sojourn_s (.bin: doubles)")
    tasks.add_argument("--servers", default="8,4,16,2,8", help="servers of the stations, in order")
    for command in (flows, tasks):
        command.add_argument("--json", action="store_true", help="print JSON for programs")
    return parser


def run(argv: Sequence[str]) -> None:
    """Run with the arguments after ``dssn bench``; leaves by ``SystemExit`` if something is wrong."""
    given = _parser().parse_args(argv)
    compile_if_needed(queues=given.command == "tasks")
    from dssn_sim.bench.errors import BenchInputError

    try:
        found, text = {"flows": _flows, "tasks": _tasks}[given.command](given)
    except BenchInputError as error:
        say(str(error))
        sys.exit(2)
    except OSError as error:
        say(f"{error.filename}: {(error.strerror or 'cannot be used').lower()}")
        sys.exit(4)
    print(json.dumps(found) if given.json else text)


def _flows(given: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from dssn_sim.bench.flows import read_flows, run_flow_table, write_finish
    from dssn_sim.bench.topology import read_topology

    topology = read_topology(given.topology)
    finish = run_flow_table(topology, read_flows(given.flows, len(topology["links"])))
    write_finish(given.out, finish)
    stalled = [int(i) for i in (finish == float("inf")).nonzero()[0]]
    if stalled:
        shown = ", ".join(map(str, stalled[:5])) + (" ..." if len(stalled) > 5 else "")
        say(f"capacity.network: {len(stalled)} flows cross a link without capacity and never end: {shown}")
    return {"flows": len(finish), "never_end": stalled}, f"{len(finish)} flows -> {given.out}"


def _tasks(given: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from dssn_sim.bench.errors import BenchInputError
    from dssn_sim.bench.tasks import run_tasks

    servers = [int(c) if c.isdigit() else 0 for c in given.servers.split(",")]
    if min(servers) < 1:
        raise BenchInputError(f"--servers {given.servers}: whole numbers over 0, joined by commas")
    found = run_tasks(given.input, given.out, servers)
    return found, f"{found['jobs']} jobs, mean sojourn {found['mean_sojourn']:.6f} s -> {given.out}"
