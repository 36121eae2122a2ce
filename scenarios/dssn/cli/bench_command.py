"""``dssn bench``: the workloads side by side with the peers, and our side alone on any file."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from dssn.cli.bench_files import compile_if_needed, run, say
from dssn.cli.exits import FAILED, CliError, guarded
from dssn.cli.helptext import help_text
from dssn.cli.output import emit_json, heading, line, table

__all__ = ["register"]

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    group = typer.Typer(
        invoke_without_command=True,
        callback=guarded(bench),
        help=help_text(bench),
        short_help="Speed, memory and exactness beside the peers.",
    )
    # ``dssn.cli.main`` runs these two before it loads Typer; here they are for the help and for embedded use
    as_they_are = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
    for name, text in (
        ("flows", "Flows over a network, from a file."),
        ("tasks", "Jobs through stations, from a file."),
    ):
        group.command(name, help=text, context_settings=as_they_are)(guarded(_from_file))
    app.add_typer(group, name="bench")


def _from_file(context: typer.Context) -> None:
    run([context.info_name or "", *context.args])


def bench(
    context: typer.Context,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes, one run each: under 2 min.")] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="CASE", help="This case only; may be repeated.")
    ] = None,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Runs of each tool (--quick: 1).")] = 3,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Other flows and jobs than the published.")
    ] = None,
    packets: Annotated[
        Path | None,
        typer.Option("--packets", metavar="TABLE", help="Transfers at packet level, to compare with (W3)."),
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Compare with the slow exact solver as well.")
    ] = False,
    growth: Annotated[
        float | None,
        typer.Option(
            "--growth", metavar="ORDERS", help="The growth curve alone, up to so many orders (1e6, 1e7)."
        ),
    ] = None,
    peer_python: Annotated[
        str | None,
        typer.Option(
            "--peer-python", metavar="PYTHON", help="The Python with the peers' packages, if not this."
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for bench.html and bench.json.")] = Path("bench"),
    json: Json = False,
) -> None:
    """Measure the workloads beside whatever peers are installed.

    Each run is a process of its own; CPU seconds (user and system) and peak memory are those of the whole process.
    The tools take turns, ours first, and medians are shown. All answers are compared with ours. The full
    measurement takes over an hour with all peers; a tool that needs over a minute runs once. It ends with the
    growth curve: a day of the national network with 10^4 to 10^7 orders.

    Cases: W1-low, W1-high, W1-over, W1-round, W1-capped, W1-low-1e6, W2. docs/bench.md explains them.

    Examples::

        dssn bench --quick
        dssn bench --only W1-low --only W2 --repeats 5
        dssn bench --growth 1e6
        dssn bench --quick --packets w3_packets.csv
        dssn bench flows --topology topology.json --flows flows.csv --out finish.csv
        dssn bench tasks --input tasks.bin --out sojourn.csv
    """
    if context.invoked_subcommand is not None:
        return
    compile_if_needed(queues=True)
    from dssn.report.bench_page import write_bench_report
    from dssn_sim.bench.suite import CASES, QUICK

    known = {c.name: c for c in (QUICK if quick else CASES)}
    unknown = [name for name in only or () if name not in known]
    if unknown:
        raise CliError(f"no case {', '.join(unknown)}; there are {', '.join(known)}")
    cases = [] if growth is not None else [known[name] for name in only or known]
    result = _measure(cases, 1 if quick else repeats, seed, peer_python or sys.executable, exact=exact)
    result["packets"] = None if packets is None else _packets(packets)
    largest = growth if growth is not None else 0 if quick or only else 1e7
    result["growth"] = _growth(largest)
    page = write_bench_report(out, result)
    if json:
        emit_json(result)
    else:
        _show(result)
        line(f"report: {page}")
    ours = [row["error"] for case in result["cases"] for row in case["rows"][:1]]
    if any(ours) or any(point["error"] for point in result["growth"]):
        raise typer.Exit(FAILED)


def _measure(cases: list[Any], repeats: int, seed: int | None, python: str, *, exact: bool) -> dict[str, Any]:
    from dataclasses import asdict
    from importlib.metadata import version

    from dssn_sim.bench.measure import machine
    from dssn_sim.bench.suite import judged, measure_case
    from dssn_sim.bench.tools import find_tools, plain_reference

    ours = [sys.executable, "-c", "from dssn.cli import main; main()"]
    tools, missing = find_tools(ours, version("dssn-testbed"), python) if cases else ([], [])
    if exact:
        tools.append(plain_reference())
    for peer in missing:
        say(f"{peer.name} is not measured ({peer.why}); to add it: {peer.remedy}")
    result: dict[str, Any] = {
        "machine": machine(),
        "versions": {t.name: t.version for t in tools},
        "missing": [asdict(m) for m in missing],
        "repeats": repeats,
        "seed": seed,
        "cases": [],
    }
    with tempfile.TemporaryDirectory(prefix="dssn-bench-") as folder:
        for case in cases:
            rows = measure_case(case, tools, Path(folder) / case.name, repeats, seed=seed, say=say)
            goals = list(judged(case, rows))
            result["cases"].append(
                {"name": case.name, "title": case.title, "size": case.size, "goals": goals}
                | {"rows": [row.as_dict() for row in rows]}
            )
    return result


def _growth(largest: float) -> list[dict[str, Any]]:
    """Return the points of the growth curve up to so many orders."""
    from dssn.cli.growth import command
    from dssn_sim.bench.growth import SIZES, measure_growth
    from dssn_sim.compiled.drive import MODULES
    from dssn_sim.dataplane import compiled

    sizes = [n for n in SIZES if n <= largest]
    if sizes and not compiled.is_warm(*MODULES):
        say("compiling the kernel for this machine (about 15 s, once)")
        compiled.warm_up(*MODULES)
    with tempfile.TemporaryDirectory(prefix="dssn-growth-") as folder:
        return [p.as_dict() for p in measure_growth(sizes, command, Path(folder), say)]


def _packets(path: Path) -> dict[str, Any]:
    """Return workload W3: transfer times under ``transport: tcp`` beside those of a packet-level table."""
    from dssn_sim.bench.errors import BenchInputError
    from dssn_sim.bench.packets import compare, summary

    say(f"W3: predicting the transfers of {path}")
    try:
        rows = compare(path)
    except (BenchInputError, KeyError, ValueError) as error:
        raise CliError(f"{path}: {error}") from None
    names = ("group", "cases", "median", "p90", "largest")
    return {
        "rows": [
            {
                "case": r.name,
                "transfers": r.flows,
                "predicted_s": r.predicted_s,
                "packets_s": r.packets_s,
                "error": r.error,
            }
            for r in rows
        ],
        "summary": [dict(zip(names, group, strict=True)) for group in summary(rows)],
    }


def _goal(goal: dict[str, Any]) -> str:
    word = "met" if goal["met"] else "missed"
    return f"{goal['what']}: asked {goal['asked']:g}, found {goal['found']:.3g}: {word}"


def _show(result: dict[str, Any]) -> None:
    for case in result["cases"]:
        heading(
            f"{case['name']}: {case['title']}, {case['size']:,} {'jobs' if case['name'] == 'W2' else 'flows'}"
        )
        ours = case["rows"][0]["cost"]
        rows = []
        for row in case["rows"]:
            cost = row["cost"]
            if cost is None:
                rows.append((row["tool"], row["version"], row["error"], "", "", "", ""))
                continue
            ratio = f"{cost['cpu_s'] / ours['cpu_s']:.1f}" if ours else ""
            gap = "" if row["difference"] is None else f"{row['difference']:.1e}"
            rows.append(
                (row["tool"], row["version"], f"{cost['cpu_s']:.2f}", ratio, f"{cost['memory_bytes'] / 2**20:.0f}",
                 str(row["runs"]), gap)
            )  # fmt: skip
        columns = ["tool", "version", "CPU s", "ratio", "MiB", "runs", "largest difference"]
        table(columns, rows, right=columns[2:])
        for goal in case["goals"]:
            line(_goal(goal))
        line()
    if result["growth"]:
        heading("Growth: a day of the national network, as many times the capacity as orders")
        columns = ["orders", "deliveries", "CPU s", "CPU ms each", "MiB", "events", "events/s"]
        shown = [
            (f"{p['orders']:,}", p["error"], "", "", "", "", "") if p["error"] else
            (f"{p['orders']:,}", f"{p['deliveries']:,}", f"{p['cost']['cpu_s']:.1f}", f"{1e3 * p['cpu_per_delivery_s']:.3f}",
             f"{p['cost']['memory_bytes'] / 2**20:.0f}", f"{p['events']:,}", f"{p['events_per_s']:,.0f}")
            for p in result["growth"]
        ]  # fmt: skip
        table(columns, shown, right=columns)
        for goal in (g for p in result["growth"] for g in p["goals"]):
            line(_goal(goal))
        line()
    if result["packets"] is not None:
        heading("W3: mean transfer times of a case under transport: tcp beside packet level, error")
        columns = ["group", "cases", "median", "90 %", "largest"]
        groups = [
            (g["group"], str(g["cases"]), *(f"{g[k]:.1%}" for k in ("median", "p90", "largest")))
            for g in result["packets"]["summary"]
        ]
        table(columns, groups, right=columns[1:])
        line()
