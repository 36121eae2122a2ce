"""``dssn compare`` and ``dssn sweep``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dssn.cli.catalogue import Json, Overrides, Sets, Source
from dssn.cli.exits import FAILED, USAGE, CliError, guarded
from dssn.cli.helptext import help_text
from dssn.cli.output import emit_json, line, table
from dssn.cli.progress import Watcher, say_if_long
from dssn.cli.run_command import Workers, choose_folder, resumable, say_if_compiling

if TYPE_CHECKING:
    import pandas as pd

    from dssn.face.result import Result

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("compare", short_help="Compare two runs or scenarios, paired.", help=help_text(compare))(
        guarded(compare)
    )
    app.command("sweep", short_help="Run a scenario at many settings.", help=help_text(sweep))(guarded(sweep))


Replications = Annotated[
    int | None, typer.Option("--replications", "-n", min=1, max=10000, help="Of each run.")
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="The same for all runs.")]


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="Run folder, or scenario (name or path).")],
    b: Annotated[str, typer.Argument(metavar="B", help="The same, to be compared with A.")],
    *,
    override_a: Annotated[
        list[str] | None, typer.Option("--override-a", help="Override for scenario A.")
    ] = None,
    override_b: Annotated[
        list[str] | None, typer.Option("--override-b", help="Override for scenario B.")
    ] = None,
    set_a: Annotated[
        list[str] | None, typer.Option("--set-a", metavar="PATH=VALUE", help="Setting for A.")
    ] = None,
    set_b: Annotated[
        list[str] | None, typer.Option("--set-b", metavar="PATH=VALUE", help="Setting for B.")
    ] = None,
    replications: Replications = None,
    seed: Seed = None,
    workers: Workers = None,
    every: Annotated[bool, typer.Option("--all", help="All KPIs, not only the first table.")] = False,
    json: Json = False,
) -> None:
    """Compare two runs: differences B - A, paired by replication, with intervals.

    With one seed both see the same orders, so small differences show. A scenario is run first, into runs/.

    Examples::

        dssn compare runs/metro-1 runs/metro-2
        dssn compare metro metro --set-b policies.placement=random
        dssn compare metro metro --override-b busy -n 10
    """
    from dssn.face.study import compare as compare_results

    first = _result(a, override_a, set_a, replications, seed, workers, quiet=json)
    second = _result(b, override_b, set_b, replications, seed, workers, quiet=json)
    found = compare_results(first, second)
    if json:
        emit_json({"a": str(first.path), "b": str(second.path), **found._paired.as_dict()})
        return
    line(f"A: {first.path}")
    line(f"B: {second.path}")
    line()
    level = f"{100 * first._folder.facts.confidence:.3g} % interval"
    heads = ["figure", "of", "statistic", "A", "B", "B - A", level, "B is"]
    table(heads, found.rows(every=every), right=["A", "B", "B - A"])
    for note in found.notes:
        line(f"Note: {note}")


def _result(
    source: str, overrides: list[str] | None, sets: list[str] | None, replications: int | None, seed: int | None,
    workers: int | None, *, quiet: bool,
) -> Result:  # fmt: skip
    """Open a run folder, or run a scenario into a new one."""
    from dssn.face.scenario import load
    from dssn.face.study import open_run, run

    if (Path(source) / "run.json").is_file():
        if overrides or sets:
            raise CliError(f"{source} is a finished run; overrides and settings go with a scenario", USAGE)
        return open_run(source)
    sc = load(source, overrides=overrides or (), set=sets or ())
    out = choose_folder(None, sc.name, resume=False)
    say_if_compiling(sc.plan, quiet=quiet)
    with Watcher(replications or sc.plan.run.replications, quiet=quiet) as watch:
        return run(sc, out=out, replications=replications, seed=seed, workers=workers, progress=watch)


def sweep(
    scenario: Source,
    *,
    vary: Annotated[
        list[str],
        typer.Option(
            "--vary", "-v", metavar="PATH=V1,V2,...", help="Values of a setting; repeat for a grid."
        ),
    ],
    kpi: Annotated[
        list[str] | None,
        typer.Option(
            "--kpi", help="KPIs to show [default: order_to_result.p50, .p95, completed_share.share]."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Sweep folder [default: runs/NAME-sweep-N].")
    ] = None,
    replications: Replications = None,
    seed: Seed = None,
    workers: Workers = None,
    override: Overrides = None,
    sets: Sets = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep what an interrupted sweep has finished.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the sweep in --out.")] = False,
    json: Json = False,
) -> None:
    """Run a scenario at every combination of some settings, with one seed; print a table and draw a plot.

    A point that fails does not stop the others (exit code 4 tells).

    Examples::

        dssn sweep metro --vary "workload.psi.arrivals.rate=30 /h,60 /h,120 /h"
        dssn sweep metro -v policies.queueing=priority,shortest_job -v "run.horizon=1 h,2 h" -n 5
    """
    from dssn.face.study import sweep as run_sweep

    if resume and overwrite:
        raise CliError("--resume keeps what is there and --overwrite replaces it; give one of them")
    design = _design(vary)
    _check_kpis(kpi or ())
    points = 1
    for values in design.values():
        points *= len(values)
    name = Path(scenario).stem
    from dssn.face.scenario import load
    from dssn_sim.runs.claims import check_usable

    first = load(scenario, overrides=override or (), set=sets or ())
    _check_paths(scenario, design, override or (), sets or ())
    folder = choose_folder(out, f"{name}-sweep", resume=resume)
    check_usable(folder)
    say_if_compiling(first.plan, quiet=json)
    total = points * (replications or first.plan.run.replications)
    if not json:
        say_if_long(first.plan, total, workers)
    with Watcher(total, quiet=json, what="runs") as watch, resumable(folder):
        found = run_sweep(
            scenario, design, replications=replications, seed=seed, workers=workers, overrides=override or (),
            set=sets or (), out=folder, resume=resume, overwrite=overwrite, progress=watch,
        )  # fmt: skip
    keys = [k for k in kpi or _DEFAULT_KPIS if k in found.table.columns]
    plots = [found.plot(k).save(folder)[0] for k in keys]
    if json:
        emit_json(
            {
                "folder": str(folder),
                "points": found.table.to_dict("records"),
                "plots": [str(p) for p in plots],
            }
        )
    else:
        _print_sweep(found.table, found.settings, keys)
        for path in plots:
            line(f"Plot: {path}")
        line(f"Index: {folder / 'index.parquet'}")
    if (found.table["state"] != "completed").any():
        for row in found.table.to_dict("records"):
            if row["state"] != "completed":
                print(f"dssn: point {row['point']}: {row['state']}: {row['problem']}", file=sys.stderr)
        raise typer.Exit(FAILED)
    missing = [k for k in kpi or () if k not in keys]
    if missing:
        known = ", ".join(c for c in found.table.columns if "." in c and ":" not in c)
        raise CliError(f"no KPI {', '.join(missing)} in these runs; there are {known}", USAGE)


_DEFAULT_KPIS = ("order_to_result.p50", "order_to_result.p95", "completed_share.share")


def _design(texts: Sequence[str]) -> dict[str, list[str]]:
    design: dict[str, list[str]] = {}
    for text in texts:
        path, sign, rest = text.partition("=")
        path, values = path.strip(), _values(rest)
        if not sign or not path or not all(values):
            raise CliError(f"--vary {text!r}: allowed is PATH=V1,V2,..., for example 'run.seed=1,2,3'", USAGE)
        if path in design:
            raise CliError(f"--vary {text!r}: {path} is varied already; give all its values at once", USAGE)
        if len(set(values)) < len(values):
            raise CliError(f"--vary {text!r}: a value stands there twice", USAGE)
        design[path] = values
    return design


def _values(text: str) -> list[str]:
    """Return what stands between commas; those inside brackets and quotes separate nothing.

    Examples
    --------
    >>> _values("[1, 2], 'a,b',3 /h")
    ['[1, 2]', "'a,b'", '3 /h']
    """
    values, depth, quote = [""], 0, ""
    for c in text:
        if quote:
            quote = "" if c == quote else quote
        elif c in "'\"":
            quote = c
        else:
            depth += (c in "[{") - (c in "]}")
        if c == "," and not quote and depth <= 0:
            values.append("")
        else:
            values[-1] += c
    return [v.strip() for v in values]


def _check_paths(
    scenario: str, design: dict[str, list[str]], overrides: Sequence[str], sets: Sequence[str]
) -> None:
    """Raise the problems of a path at which no value gives a scenario, before anything is run."""
    from dssn.face.scenario import load
    from dssn.problems import Problems

    for path, values in design.items():
        first: Problems | None = None
        for value in values:
            try:
                _ = load(scenario, overrides=overrides, set=[*sets, f"{path}={value}"]).plan
                break
            except Problems as error:
                first = first or error
        else:
            if first is not None:
                raise first


def _check_kpis(keys: Sequence[str]) -> None:
    from dssn.problems import nearest
    from dssn_sim.stats.measures import KPIS

    for key in keys:
        name = key.split(".", 1)[0]
        if name not in KPIS or "." not in key:
            near = nearest(name, KPIS)
            hint = f"; did you mean '{near}'?" if near and near != name else ""
            raise CliError(
                f"--kpi {key}: allowed is NAME.STATISTIC, NAME one of {', '.join(KPIS)}{hint}", USAGE
            )


def _print_sweep(frame: pd.DataFrame, settings: list[str], keys: list[str]) -> None:
    from dssn.report.numbers import show, show_estimate
    from dssn_sim.stats.measures import KPIS

    rows = []
    for record in frame.to_dict("records"):
        cells = [str(record[f"set:{s}"]) for s in settings]
        for key in keys:
            unit = KPIS[key.split(".", 1)[0]].unit
            low, high = record.get(f"{key}:low"), record.get(f"{key}:high")
            if low is not None and high is not None and low == low:
                value, interval = show_estimate(record[key], low, high, unit)
                cells.append(f"{value} [{interval}]")
            else:
                cells.append(f"{show(record[key], unit)} (no interval)")
        rows.append((*cells, str(record["state"])))
    table([*settings, *keys, "state"], rows)
    line()
