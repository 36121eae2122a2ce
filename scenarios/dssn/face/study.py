"""Running, comparing and sweeping scenarios from Python."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dssn.face.result import Result
from dssn.face.scenario import Scenario, as_names, as_sets, load

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from dssn.report.charts.base import Chart
    from dssn_models.plan import Plan
    from dssn_sim.runs import Progress
    from dssn_sim.runs.sweep import SweepFolder
    from dssn_sim.stats.compare import Comparison as PairedComparison

__all__ = ["Comparison", "Sweep", "compare", "open_run", "run", "sweep"]


def run(
    scenario: Scenario | str | Path,
    *,
    replications: int | None = None,
    seed: int | None = None,
    workers: int | None = None,
    policies: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Simulate a scenario and return its result.

    Parameters
    ----------
    scenario : Scenario, str or path
        From :func:`load`, or what :func:`load` takes.
    replications, seed : int, optional
        Instead of the scenario's.
    workers : int, optional
        Worker processes; the result does not depend on it. None: by the size of the run, and 1 with policy
        objects.
    policies : mapping, optional
        Kind to policy: a name, an object with ``decide(view, now, rng)``, its class, or a function. With
        ``workers`` above 1 an object must be picklable, that is, its class must live in an importable module.
    out : path, optional
        Run folder to keep. Without it the folder is temporary and goes with the result.
    overwrite, resume : bool
        What to do with a run that is already in ``out``.
    progress : callable, optional
        Gets a ``ProgressEvent`` a few times a second.

    Raises
    ------
    Problems
        If the scenario is invalid.
    dssn_sim.runs.RunError
        If the folder cannot be used, or no replication finished.
    """
    from dssn_sim.runs import RunError, run_plan

    sc = scenario if isinstance(scenario, Scenario) else load(scenario)
    plan = sc.plan
    objects: dict[str, Any] = {}
    if policies:
        from dssn.face.objects import with_policies

        plan, objects = with_policies(plan, policies, workers)
        workers = workers or (1 if objects else None)
    keep = None
    if out is None:
        keep = tempfile.TemporaryDirectory(prefix="dssn-", ignore_cleanup_errors=True)
        out = Path(keep.name) / sc.name
    folder = run_plan(
        plan, out, sc.yaml, replications, workers, seed, resume, progress,
        overwrite=overwrite, policies=objects or None,
    )  # fmt: skip
    if folder.state == "failed":
        first = folder.failures[0] if folder.failures else {}
        raise RunError(
            f"no replication finished: {first.get('type', '')}: {first.get('message', 'see log.jsonl')}"
        )
    return Result(folder, plan, keep)


def open_run(path: str | Path) -> Result:
    """Return the result in a run folder that was written earlier."""
    from dssn_sim.runs import RunFolder

    return Result(RunFolder.open(path))


# ------------------------------------------------------------------ compare


class Comparison:
    """Two runs compared replication by replication (differences are B - A).

    Attributes
    ----------
    table : DataFrame
        One row a KPI: ``a b difference low high relative verdict ...``, SI units.
    orders : DataFrame
        The same for times of orders that were completed in both runs, paired order by order.
    notes : list of str
        What limits the comparison.
    """

    def __init__(self, paired: PairedComparison, name_a: str, name_b: str) -> None:
        self._paired = paired
        self.name_a = name_a
        self.name_b = name_b

    @property
    def notes(self) -> list[str]:
        """What limits the comparison; empty if nothing does."""
        return list(self._paired.notes)

    @cached_property
    def table(self) -> pd.DataFrame:
        """KPIs paired by replication."""
        import pandas as pd

        return pd.DataFrame([r.as_dict() for r in self._paired.rows]).set_index("key")

    @cached_property
    def orders(self) -> pd.DataFrame:
        """Times paired order by order; empty if the seeds differ."""
        import pandas as pd

        rows = [r.as_dict() for r in self._paired.orders]
        return pd.DataFrame(rows).set_index("key") if rows else pd.DataFrame(columns=self.table.columns)

    def rows(self, *, every: bool = False) -> list[tuple[str, ...]]:
        """Return cells in words: KPI, of, statistic, A, B, difference, interval, verdict.

        Parameters
        ----------
        every : bool
            All KPIs; otherwise those of the first table of a report.
        """
        from dssn.report.numbers import headline, show, show_estimate, statistic, subject, title

        found: list[tuple[str, ...]] = []
        chosen = list(self._paired.rows) if every else headline(self._paired.rows)
        for r in chosen:
            like = max(abs(r.a), abs(r.b))
            sign = "+" if r.difference > 1e-9 * like else ""
            relative = f" ({sign}{show(r.relative, 'share', 2)})" if r.relative == r.relative else ""
            difference = show(r.difference if abs(r.difference) > 1e-9 * like else 0.0, r.unit)
            interval = f"none: {r.why_no_interval}"
            if r.low is not None and r.high is not None:
                difference, interval = show_estimate(r.difference, r.low, r.high, r.unit, like)
            found.append(
                (
                    title(r.name), subject(r), statistic(r.stat), show(r.a, r.unit), show(r.b, r.unit),
                    f"{sign}{difference}{relative}", interval, r.verdict,
                )
            )  # fmt: skip
        return found

    def __repr__(self) -> str:
        return f"Comparison({self.name_a!r}, {self.name_b!r}, {len(self._paired.replications)} replications)"

    def _repr_html_(self) -> str:
        """Show the first KPIs with paired differences."""
        heads = (
            "KPI",
            "of",
            "statistic",
            f"A: {self.name_a}",
            f"B: {self.name_b}",
            "B - A",
            "interval",
            "B is",
        )
        head = "".join(f"<th>{escape(h)}</th>" for h in heads)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in self.rows()
        )
        notes = "".join(f"<p>{escape(n)}</p>" for n in self.notes)
        return f"<table><tr>{head}</tr>{body}</table>{notes}"


def compare(a: Result | str | Path, b: Result | str | Path) -> Comparison:
    """Compare two results, or two run folders, with paired differences.

    Two runs of one seed see the same orders, so most of the noise cancels.

    Parameters
    ----------
    a, b : Result, str or path
        Results of :func:`run`, or run folders.

    Raises
    ------
    RunError
        If one is no finished run, or no replication is in both.
    """
    from dssn.face.differences import differences
    from dssn_sim.runs.errors import RunError
    from dssn_sim.stats.compare import compare as compare_folders

    first = a if isinstance(a, Result) else open_run(a)
    second = b if isinstance(b, Result) else open_run(b)
    paired = compare_folders(first._folder, second._folder)
    if not paired.replications:
        raise RunError(
            f"{first.path} and {second.path} have no replication of one number: nothing to compare"
        )
    notes = (*differences(first._folder, second._folder), *paired.notes)
    if paired.common and not paired.orders:
        notes += ("no order is the same in both runs: only replications are paired, not orders",)
    return Comparison(replace(paired, notes=notes), _label(first), _label(second))


def _label(result: Result) -> str:
    return str(result.path.name)


# ------------------------------------------------------------------ sweep


class Sweep:
    """A scenario run at several settings.

    Attributes
    ----------
    table : DataFrame
        One row a point: ``set:PATH`` columns, ``state``, and for each KPI its estimate, ``:low`` and ``:high``.
    path : Path
        The sweep folder, with one run folder a point.
    """

    def __init__(self, folder: SweepFolder, keep: Any = None) -> None:
        self._folder = folder
        self._keep = keep

    @property
    def path(self) -> Path:
        """The sweep folder."""
        return self._folder.path

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a point."""
        return self._folder.pandas()

    @property
    def settings(self) -> list[str]:
        """The paths that were varied."""
        return [c.removeprefix("set:") for c in self.table.columns if c.startswith("set:")]

    def result(self, point: str) -> Result:
        """Return the result of one point, by its id in ``table.point``."""
        return Result(self._folder.run(point), keep=self._keep)

    def plot(self, kpi: str = "order_to_result.p95", **options: Any) -> Chart:
        """Draw a KPI against the first setting, one line per value of the second, with intervals.

        Raises
        ------
        RunError
            If no point has this KPI.
        """
        from dssn.report.charts import sweep as chart
        from dssn_sim.runs.errors import unknown

        if kpi not in self.table.columns:
            raise unknown("KPI", kpi, [c for c in self.table.columns if "." in c and ":" not in c])

        return chart.draw(self.table, self.settings, kpi, **options)

    def figure(self, kpi: str = "order_to_result.p95") -> Figure:
        """Return the matplotlib figure of :meth:`plot`."""
        return self.plot(kpi).figure

    def __repr__(self) -> str:
        return f"Sweep({', '.join(self.settings)}: {len(self.table)} points)"

    def _repr_html_(self) -> str:
        """Show settings and state."""
        columns = [c for c in self.table.columns if c.startswith("set:")]
        shown = [
            *columns,
            "state",
            *[c for c in ("order_to_result.p50", "order_to_result.p95") if c in self.table],
        ]
        return str(self.table[shown].to_html(index=False))


def sweep(
    scenario: Scenario | str | Path,
    vary: Mapping[str, Sequence[Any]],
    *,
    replications: int | None = None,
    seed: int | None = None,
    workers: int | None = None,
    overrides: Sequence[str] = (),
    set: Mapping[str, Any] | Sequence[str] = (),  # noqa: A002  as on the command line
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Sweep:
    """Run a scenario at every combination of settings, all with one seed.

    Parameters
    ----------
    scenario : Scenario, str or path
        What to vary.
    vary : mapping
        Path to values, as ``--set`` takes them: ``{"workload.psi.arrivals.rate": ["60 /h", "120 /h"]}``.
    replications, seed, workers : int, optional
        As in :func:`run`.
    overrides, set : sequence or mapping
        Fixed changes, applied before the varied ones.
    out : path, optional
        Sweep folder to keep; otherwise temporary.
    resume, overwrite : bool
        What to do with a sweep that is already in ``out``.
    """
    from dssn_sim.runs.sweep import sweep as sweep_plans

    source, before, fixed = _source(scenario, overrides, set)

    def make(settings: Mapping[str, Any]) -> tuple[Plan, str]:
        sc = load(source, overrides=before, set=[*fixed, *as_sets(settings)])
        return sc.plan, sc.yaml

    keep = None
    if out is None:
        keep = tempfile.TemporaryDirectory(prefix="dssn-sweep-", ignore_cleanup_errors=True)
        out = Path(keep.name) / "sweep"
    folder = sweep_plans(
        make, {k: _listed(v) for k, v in vary.items()}, out, base=str(source), replications=replications,
        workers=workers, seed=seed, resume=resume, overwrite=overwrite, progress=progress,
    )  # fmt: skip
    return Sweep(folder, keep)


def _listed(values: Any) -> Any:
    """Return arrays, ranges and the like as a list; what is no collection is refused further down."""
    return values if isinstance(values, str) or not isinstance(values, Iterable) else list(values)


def _source(
    scenario: Scenario | str | Path, overrides: Sequence[str], settings: Mapping[str, Any] | Sequence[str]
) -> tuple[str | Path, list[str], list[str]]:
    pairs = as_sets(settings)
    if not isinstance(scenario, Scenario):
        return scenario, list(as_names(overrides)), pairs
    source, before, sets = scenario.origin()
    return source, [*before, *as_names(overrides)], [*sets, *pairs]
