"""Reading commands: list, show, check, schema, policies, engines, truth, requirements."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from dssn.cli.exits import FAILED, INVALID, OK, CliError, guarded
from dssn.cli.helptext import help_text
from dssn.cli.output import emit_json, heading, line, plain, table
from dssn.cli.progress import say_if_long
from dssn.face.measured import about, machine, measured

if TYPE_CHECKING:
    from dssn_models.plan import ObjectivePlan
    from dssn_sim.truth.table import Row

__all__ = ["register"]

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Source = Annotated[str, typer.Argument(metavar="SCENARIO", help="Library name or path of a YAML file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--override", "-o", metavar="NAME", help="Apply a named override of the file; may be repeated."
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="PATH=VALUE", help="Set one value, last; may be repeated."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    commands: tuple[tuple[str, Any, str], ...] = (
        ("list", list_scenarios, "The scenarios that ship with it."),
        ("show", show, "What a scenario holds."),
        ("check", check, "Every problem of a scenario, nothing run."),
        ("schema", schema, "The JSON schema of scenario files."),
        ("policies", policies, "The policies, and where each comes from."),
        ("engines", engines, "The engines and their parameters."),
        ("truth", truth, "The simulator against closed forms."),
        ("requirements", requirements, "Which requirements have a test."),
    )
    for name, function, short in commands:
        app.command(name, short_help=short, help=help_text(function))(guarded(cast(Any, function)))


def list_scenarios(*, json: Json = False) -> None:
    """List the scenarios that ship with the testbed: the question each answers, its size, how long a run takes.

    Example::

        dssn list
    """
    from dssn.loading import list_library

    figures = measured()
    rows = [(*row, figures[row[0]]) for row in list_library()]
    if json:
        emit_json(
            [
                {"name": n, "title": t, "question": q, "orders": m.orders, "replications": m.replications, "wall_s": m.wall_s}
                for n, t, q, m in rows
            ]
        )  # fmt: skip
        return
    heads = ["name", "title", "question", "orders", "takes"]
    shown = [
        (n, t, q, f"{m.replications} x {m.orders:,}".replace(",", " "), about(m.wall_s))
        for n, t, q, m in rows
    ]
    table(heads, shown, right=heads[3:], least={"name": 20, "orders": 11, "takes": 6})
    line()
    line(f"Times: {machine()}. Run one with: dssn run NAME")


def show(
    scenario: Source, *, override: Overrides = None, sets: Sets = None, yaml: bool = typer.Option(
        False, "--yaml", help="Print the merged scenario as YAML."
    ), json: Json = False,
) -> None:  # fmt: skip
    """Show what a scenario holds after imports, overrides and --set.

    Examples::

        dssn show metro
        dssn show metro --yaml > mine.yaml
        dssn show metro --override busy --json
    """
    from dssn.face.scenario import load

    if yaml and json:
        raise CliError("--yaml and --json are two forms of output; give one of them")
    sc = load(scenario, overrides=override or (), set=sets or ())
    if yaml:
        line(sc.yaml.rstrip("\n"))
        return
    from dssn.loading.load import open_document

    facts = {**_facts(sc), "overrides to choose": list(open_document(scenario)[0].overrides)}
    if json:
        emit_json(facts)
        return
    heading(f"{sc.name}: {sc.title}")
    if sc.question:
        line(sc.question)
    line()
    table(
        ["part", "content"],
        [(k, _words(v)) for k, v in facts.items() if k not in ("name", "title", "question") and v],
    )


def _facts(sc: Any) -> dict[str, Any]:
    plan = sc.plan
    from dssn.report.numbers import show as quantity

    def count(values: list[str]) -> dict[str, int]:
        return {v: values.count(v) for v in dict.fromkeys(values)}

    return {
        "name": sc.name,
        "title": sc.title,
        "question": sc.question,
        "hash": sc.hash,
        "sites": len(plan.network.sites),
        "links": count([("access " if link.access else "") + link.technology for link in plan.network.links]),
        "nodes": count([f"{n.role} {n.size}" for n in plan.nodes]),
        "services": count([s.kind for s in plan.services]),
        "assets": len(plan.assets),
        "classes": [c.id for c in plan.classes],
        "streams": {
            s.id: f"{s.cls}, {s.arrivals.kind}, {'+'.join(t.engine for t in s.steps)}" for s in plan.streams
        },
        "policies": {k: p.name for k, p in plan.policies.items()},
        "faults": [
            f"{f.kind} {f.target} at {quantity(f.at_s, 's')} for {quantity(f.duration_s, 's')}"
            for f in plan.faults
        ],
        "objectives": [_objective(o) for o in plan.objectives],
        "overrides applied": list(sc.overrides),
        "horizon": quantity(plan.run.horizon_s, "s"),
        "warm-up": quantity(plan.run.warmup_s, "s"),
        "replications": plan.run.replications,
        "seed": plan.run.seed,
    }


def _objective(o: ObjectivePlan) -> str:
    from dssn.report.numbers import show as quantity
    from dssn.report.numbers import statistic
    from dssn_sim.stats.measures import KPIS

    what = o.kpi + (f" of {o.cls}" if o.cls else "")
    if o.quantile is not None:
        what += ", " + statistic(f"p{100 * o.quantile:g}")
    unit = KPIS[o.kpi].unit if o.kpi in KPIS else ""
    return f"{what}: {'at most' if o.direction == 'max' else 'at least'} {quantity(o.bound, unit)}"


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{k}: {v}" if isinstance(v, str) else f"{v} {k}" for k, v in value.items())
    if isinstance(value, list):
        return (
            "\n".join(str(v) for v in value)
            if any(" " in str(v) for v in value)
            else ", ".join(map(str, value))
        )
    return str(value)


def check(
    files: Annotated[list[str], typer.Argument(metavar="SCENARIO...", help="Library names or paths.")],
    *,
    override: Overrides = None,
    sets: Sets = None,
    json: Json = False,
) -> None:
    """Check scenarios: print every problem at once, with file, line and column; run nothing.

    Exit code 3 if there is a problem; warnings (codes W...) alone give 0.

    Examples::

        dssn check mine.yaml
        dssn check mine.yaml --set run.horizon="2 h"
        dssn check scenarios/*.yaml --json
    """
    from dssn.checks import check as check_file
    from dssn.face.scenario import load

    found = [p for file in files for p in check_file(file, tuple(override or ()), tuple(sets or ()))]
    errors = [p for p in found if not p.is_warning]
    if json:
        emit_json({"ok": not errors, "problems": [p.to_json() for p in found]})
    else:
        for problem in found:
            line(problem.render())
        names = files[0] if len(files) == 1 else f"{len(files)} scenarios"
        count = f"{len(errors)} problem{'s' if len(errors) != 1 else ''}"
        warned = f", {len(found) - len(errors)} warnings" if len(found) > len(errors) else ""
        print(f"{names}: {'ok' if not found else count + warned}", file=sys.stderr)
        if len(files) == 1 and not errors:
            say_if_long(load(files[0], overrides=override or (), set=sets or ()).plan)
    raise typer.Exit(INVALID if errors else OK)


def schema(*, out: Annotated[Path | None, typer.Option("--out", help="Write to a file.")] = None) -> None:
    """Print the JSON schema of scenario files, for completion in editors.

    Example, and the first line of a scenario that uses it::

        dssn schema --out dssn.schema.json
        # yaml-language-server: $schema=dssn.schema.json
    """
    import json

    from dssn.schema import json_schema

    text = json.dumps(json_schema(), indent=2, ensure_ascii=False)
    if out is None:
        line(text)
    else:
        out.write_text(text + "\n", encoding="utf-8")
        line(f"wrote {out}")


def policies(*, json: Json = False) -> None:
    """List the policies: kind, name and where each comes from.

    A scenario names one under policies:, or module:object of your own.

    Examples::

        dssn policies
        dssn run metro --set policies.placement=random
        dssn new policy greenest --kind placement
    """
    from dssn_models.policies.registry import available

    found = available()
    if json:
        emit_json([{"kind": p.kind, "name": p.name, "origin": p.origin, "doc": p.doc} for p in found])
        return
    table(
        ["kind", "name", "origin", "what it does"],
        [(p.kind, p.name, p.origin, p.doc.split("\n", 1)[0]) for p in found],
    )


def engines(*, json: Json = False) -> None:
    """List the engines: what each computes, how heavy it is, what leaves the owner.

    Examples (JSON also gives the parameters with unit and default)::

        dssn engines
        dssn engines --json
    """
    from dssn_models.engines.registry import REGISTRY

    if json:
        emit_json(
            [
                {
                    "name": n, "title": e.title, "weight": e.weight, "confidentiality": e.confidentiality,
                    "profiles": list(e.profiles()),
                    "parameters": {
                        k: {"default": d, "unit": u, "meaning": m} for k, (d, u, m) in e.parameters().items()
                    },
                }
                for n, e in sorted(REGISTRY.items())
            ]
        )  # fmt: skip
        return
    table(
        ["name", "title", "weight", "confidentiality", "profiles"],
        [
            (n, e.title, e.weight, e.confidentiality, ", ".join(e.profiles()))
            for n, e in sorted(REGISTRY.items())
        ],
    )


def truth(
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="An eighth of the customers, a wider bound.")
    ] = False,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Of the simulated rows.")] = None,
    json: Json = False,
) -> None:
    """Compare the simulator's parts with closed forms (M/M/1, Erlang B, Jackson, max-min ...).

    Each row: the formula's value, the simulated one with its 99 % interval, the interval's width, and whether
    both are as they should be. Exit code 4 if a row is not.

    Examples::

        dssn truth
        dssn truth --quick --json
    """
    from dssn_sim.truth.table import SEED, truth_table

    rows = truth_table(quick, SEED if seed is None else seed)
    if json:
        emit_json([{**plain(r), "ok": r.ok} for r in rows])
    else:
        table(
            ["case", "quantity", "closed form", "simulated", "99 % interval", "width", "ok"],
            [
                (
                    r.case,
                    r.quantity,
                    f"{r.closed:.5f}",
                    f"{r.simulated:.5f}",
                    *_spread(r),
                    "yes" if r.ok else "NO",
                )
                for r in rows
            ],
            right=["closed form", "simulated", "width"],
        )
        line()
        line(f"{sum(r.ok for r in rows)} of {len(rows)} rows hold.")
    if not all(r.ok for r in rows):
        raise typer.Exit(FAILED)


def _spread(row: Row) -> tuple[str, str]:
    """Return interval and width; the exact rows have a deviation instead."""
    if row.case.startswith("max-min"):
        return "exact", f"{row.width / 2:.0e}"
    return f"{row.low:.5f} – {row.high:.5f}", f"{100 * row.width:.2f} %"


def requirements(
    *,
    write: Annotated[
        bool, typer.Option("--write", help="Also write docs/coverage.md (in a checkout of the sources).")
    ] = False,
    missing: Annotated[bool, typer.Option("--missing", help="Only those without a test.")] = False,
    json: Json = False,
) -> None:
    """Show which requirements have a test, found by their marks in the sources of the tests.

    Works in a checkout: it reads docs/requirements.csv and tests/.

    Examples::

        dssn requirements --missing
        dssn requirements --write
    """
    from dssn.report.requirements import coverage, find_root, summary, write_coverage

    root = find_root(Path.cwd())
    if root is None:
        raise CliError(
            "no checkout of the sources here: docs/requirements.csv and tests/ are needed; change to its folder"
        )
    rows = coverage(root)
    if write:
        line(f"wrote {write_coverage(root, rows)}")
    shown = [r for r in rows if not (missing and r.tests)]
    if json:
        emit_json([r.as_dict() for r in shown])
        return
    table(
        ["id", "title", "layer", "mode", "priority", "tests"],
        [
            (r.id, r.title, r.layer, r.mode, r.priority, str(len(r.tests)) if r.tests else "not yet")
            for r in shown
        ],
    )
    line()
    line(summary(rows))
