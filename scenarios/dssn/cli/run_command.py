"""``dssn run`` and ``dssn report``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dssn.cli.catalogue import Json, Overrides, Sets, Source
from dssn.cli.exits import BACKEND, FAILED, USAGE, CliError, complain, guarded
from dssn.cli.helptext import help_text
from dssn.cli.output import emit_json, heading, line, table
from dssn.cli.progress import Watcher, say_if_long

if TYPE_CHECKING:
    from dssn.report.data import RunData
    from dssn_models.plan import Plan
    from dssn_sim.runs import RunFolder
    from dssn_sim.stats.kpi import Kpi

__all__ = ["choose_folder", "register", "resumable", "say_if_compiling"]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("run", short_help="Simulate a scenario.", help=help_text(run))(guarded(run))
    app.command("report", short_help="Write the report of a run again.", help=help_text(report))(
        guarded(report)
    )


Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Worker processes [default: by size, at most one a core]."),
]


def run(
    scenario: Source,
    *,
    out: Annotated[Path | None, typer.Option("--out", help="Run folder [default: runs/NAME-N].")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Root of all random streams.")] = None,
    replications: Annotated[
        int | None, typer.Option("--replications", "-n", min=1, max=10000, help="Independent repetitions.")
    ] = None,
    workers: Workers = None,
    override: Overrides = None,
    sets: Sets = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Continue the run in --out, or the newest runs/NAME-N; keep what had finished."
        ),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run that is in --out.")] = False,
    plots: Annotated[bool, typer.Option("--plots", help="Also write every figure as PNG and SVG.")] = False,
    trace: Annotated[
        bool, typer.Option("--trace", help="Also write trace.json for ui.perfetto.dev.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress, no table; only the report's path.")
    ] = False,
    crypto: Annotated[
        str, typer.Option("--crypto", help="tables: costs from tables; real: reserved for a later version.")
    ] = "tables",
    json: Json = False,
) -> None:
    """Simulate a scenario: from order to bill, in virtual time, with several replications.

    Ends with the key figures and their intervals, the answer in words, and the path of report.html.
    Same scenario and seed give the same tables, on any number of workers.

    Examples (the last one after an interruption)::

        dssn run metro
        dssn run exchange-peak-day --replications 5 --out runs/peak
        dssn run metro --override busy --set run.horizon="1 h" --seed 7
        dssn run mine.yaml --out runs/mine --resume
    """
    if crypto == "real":
        raise CliError(
            "--crypto real is not part of this version; runs charge costs from tables (--crypto tables)",
            BACKEND,
        )
    if resume and overwrite:
        raise CliError("--resume keeps what is there and --overwrite replaces it; give one of them")
    if crypto != "tables":
        raise CliError(f"--crypto {crypto}: allowed are tables and real", USAGE)
    from dssn.face.scenario import load

    sc = load(scenario, overrides=override or (), set=sets or ())
    _refuse_if_wrong(sc)
    folder_path = choose_folder(out, sc.name, resume=resume)
    plan = sc.plan
    from dssn_sim.runs import run_plan
    from dssn_sim.runs.claims import check_usable

    check_usable(folder_path)
    say_if_compiling(plan, quiet=quiet or json)
    if not (quiet or json):
        say_if_long(plan, replications, workers)
    with Watcher(replications or plan.run.replications, quiet=quiet or json) as watch, resumable(folder_path):
        folder = run_plan(
            plan, folder_path, sc.yaml, replications, workers, seed, resume, watch, overwrite=overwrite
        )
    if folder.state == "failed":
        _say_failures(folder)
        raise typer.Exit(FAILED)
    from dssn.report.data import RunData
    from dssn.report.html import write_report

    data = RunData.open(folder.path, plan, lean=True)
    path = write_report(folder.path, plots=plots, data=data)
    if trace:
        from dssn.report.trace import write_trace

        write_trace(folder.path)
    _finish(folder, data, path, json=json, quiet=quiet)


def _refuse_if_wrong(sc: Any) -> None:
    from dssn.problems import Problems

    problems = sc.check()
    errors = [p for p in problems if not p.is_warning]
    if errors:
        raise Problems(problems)
    for problem in problems:
        print(problem.render(), file=sys.stderr)


@contextmanager
def resumable(folder: Path) -> Iterator[None]:
    """Let an interruption say how to go on."""
    try:
        yield
    except KeyboardInterrupt as stop:
        stop.add_note(f"what had finished is kept; the same command with --out {folder} --resume goes on")
        raise


def choose_folder(out: Path | None, name: str, *, resume: bool) -> Path:
    """Return the run folder: the one asked for, else the first free ``runs/NAME-N`` (the last one to resume).

    Raises
    ------
    CliError
        If there is nothing to resume.
    """
    if out is not None:
        return out
    base = Path("runs")
    taken = []
    for path in base.glob(f"{name}-*"):
        number = path.name[len(name) + 1 :]
        if number.isdigit():
            taken.append(int(number))
    if resume:
        if not taken:
            raise CliError(f"nothing to resume: there is no {base / name}-N here; name the folder with --out")
        newest = base / f"{name}-{max(taken)}"
        complain(f"resuming {newest}")
        return newest
    return base / f"{name}-{max(taken, default=0) + 1}"


def say_if_compiling(plan: Plan, *, quiet: bool) -> None:
    """Compile what a plan will use before the clock runs, and say so if it was not compiled before."""
    try:
        from dssn_sim.dataplane import compiled
    except ImportError:
        return
    from dssn_sim.choice import KernelError, choose

    modules: tuple[Any, ...] = ()
    with suppress(KernelError):  # the run says it in its own words
        if choose(plan).kernel == "compiled":
            from dssn_sim.compiled import drive

            modules = drive.MODULES
    if compiled.is_warm(*modules):
        return
    if not quiet:
        what = "kernel and data plane" if modules else "data plane"
        print(
            f"dssn: compiling the {what} for this machine (about {20 if modules else 10} s, first run only)",
            file=sys.stderr,
            flush=True,
        )
    compiled.warm_up(*modules)


def _say_failures(folder: RunFolder) -> None:
    """Say why replications failed, each reason once."""
    reasons: dict[str, list[str]] = {}
    for failure in folder.failures:
        text = f"{failure['type']}: {failure['message']}".split("\n", 1)[0]
        reasons.setdefault(text, []).append(str(failure["replication"]))
    for text, numbers in reasons.items():
        plural = "s" if len(numbers) > 1 else ""
        complain(f"replication{plural} {', '.join(numbers)} failed: {text}")
    complain(f"details: {folder.path / 'log.jsonl'}")


def _finish(folder: RunFolder, data: RunData, report_path: Path, *, json: bool, quiet: bool) -> None:
    if json:
        emit_json(_as_json(folder, report_path))
    elif quiet:
        line(str(report_path))
    else:
        _print_result(folder, data, report_path)
    if folder.state == "partial":
        _say_failures(folder)
        raise typer.Exit(FAILED)


def _as_json(folder: RunFolder, report_path: Path) -> dict[str, Any]:
    return {
        "folder": str(folder.path),
        "report": str(report_path),
        "state": folder.state,
        "scenario": folder.run["scenario"],
        "seed": folder.run["seed"],
        "replications": folder.run["replications"],
        "wall_s": folder.run["wall_s"],
        "kpis": [k.as_dict() for k in folder.kpis],
        "objectives": [v.as_dict() for v in folder.objectives],
        "failures": folder.failures,
    }


def _print_result(folder: RunFolder, data: RunData, report_path: Path) -> None:
    from dssn.report.answer import answer, warnings
    from dssn.report.numbers import footnotes, headline, show, show_kpi

    kpis, verdicts = folder.kpis, folder.objectives
    info = folder.run["scenario"]
    heading(f"{info['name']}: {info['title']}")
    if info["question"]:
        line(info["question"])
    line()
    rows = []
    shown = headline(kpis)
    found = [show_kpi(k) for k in shown]
    intervals, notes = footnotes([interval for _, interval in found])
    for k, (value, _), interval in zip(shown, found, intervals, strict=True):
        verdict = next((v for v in verdicts if v.key == k.key), None)
        judged = ""
        if verdict is not None:
            judged = (
                f"{'≤' if verdict.direction == 'max' else '≥'} {show(verdict.bound, k.unit)}: {verdict.met}"
            )
        rows.append((_about(k), value, interval, judged))
    level = f"{show(data.confidence, 'share')} interval"
    heads = ["figure", "value", level, "objective"]
    table(heads, rows, right=["value"], least={"value": 9, level: 18, "objective": 14})
    for note in notes:
        line(note)
    line()
    for sentence in answer(data, kpis, verdicts):
        line(sentence)
    for text in warnings(data, kpis):
        line(f"Note: {text}")
    line()
    n = len(data.replications)
    wall = folder.run["wall_s"]
    line(
        f"{n} replication{'s' if n != 1 else ''}, seed {folder.run['seed']}, {wall:.1f} s. Tables: {folder.path}/tables"
    )
    line(f"Report: {report_path}")


def _about(k: Kpi) -> str:
    """Return what a figure is in few words: ``Order to result p95, urgent``."""
    from dssn.report.numbers import subject, title

    stat = {"p50": "median", "max": "largest", "mean": "mean"}.get(
        k.stat, k.stat if k.stat.startswith("p") else ""
    )
    name = f"{title(k.name)} {stat}".rstrip()
    return name if subject(k) == "all" else f"{name}, {subject(k)}"


def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, for example runs/metro-1.")],
    *,
    plots: Annotated[
        bool, typer.Option("--plots", help="Also write every figure as PNG and SVG to RUN/plots.")
    ] = False,
    trace: Annotated[
        bool, typer.Option("--trace", help="Also write trace.json for ui.perfetto.dev.")
    ] = False,
    compress: Annotated[bool, typer.Option("--gzip", help="Write the trace as trace.json.gz.")] = False,
    json: Json = False,
) -> None:
    """Write report.html of a run again, and on request its figures and a trace.

    Examples::

        dssn report runs/metro-1 --plots
        dssn report runs/metro-1 --trace --gzip
    """
    from dssn.report.html import write_report
    from dssn_sim.runs import RunFolder

    found = RunFolder.open(folder)
    _ = found.summary  # says in words if the run is not finished
    written = {"report": str(write_report(folder, plots=plots))}
    if plots:
        written["plots"] = str(folder / "plots")
    if trace or compress:
        from dssn.report.trace import write_trace

        written["trace"] = str(write_trace(folder, gzip=compress))
    if json:
        emit_json(written)
    else:
        for what, path in written.items():
            line(f"{what.capitalize()}: {path}")
