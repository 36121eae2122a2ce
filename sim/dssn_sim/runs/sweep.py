"""Sweeps: many runs of one scenario with different settings, one run folder each.

``OUT/points/<id>/`` holds the runs, ``OUT/index.parquet`` one row a point with settings, state
and KPIs. All points share the seed, so that they differ by their settings alone. Points and
replications share one pool of workers.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from dssn_models.plan import Plan
from dssn_models.results import SCHEMA_VERSION
from dssn_sim.runs.claims import check_usable
from dssn_sim.runs.errors import FailureInfo, FolderError, RunError, unknown
from dssn_sim.runs.folder import RunFolder
from dssn_sim.runs.progress import Progress
from dssn_sim.runs.run import DEFAULT_SIMULATE, Job, begin, close, execute, finish
from dssn_sim.runs.writing import read_json, write_json, write_parquet

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Design", "MakePlan", "SweepFolder", "points_of", "sweep"]

#: Settings of a point to (plan, resolved YAML); raises for settings that make no valid scenario.
MakePlan = Callable[[Mapping[str, Any]], tuple[Plan, str]]
#: Path to its values (all combinations), or the points themselves.
Design = Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]]

#: Points in memory at once; together they share the pool.
_AT_ONCE: Final = 32


@dataclass(frozen=True, slots=True)
class Point:
    """One setting of a sweep."""

    id: str
    sets: Mapping[str, Any]


class SweepFolder:
    """A finished sweep.

    Attributes
    ----------
    path : Path
        The folder.
    index : pyarrow.Table
        One row a point: ``point``, the settings, ``state``, ``problem``, and for each KPI its
        estimate, ``<key>:low`` and ``<key>:high``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.index = pq.read_table(path / "index.parquet", partitioning=None)  # pyright: ignore[reportArgumentType]

    def __repr__(self) -> str:
        return f"SweepFolder({str(self.path)!r}, {self.index.num_rows} points)"

    @classmethod
    def open(cls, path: str | Path) -> SweepFolder:
        """Open a sweep folder.

        Raises
        ------
        RunError
            If it holds no finished sweep.
        """
        folder = Path(path)
        if not (folder / "sweep.json").is_file():
            raise RunError(f"{folder}: is no sweep folder (sweep.json is missing)")
        if not (folder / "index.parquet").is_file():
            raise RunError(f"{folder}: the sweep is not finished; resume it")
        return cls(folder)

    @property
    def points(self) -> list[str]:
        """Ids of the points, in order of the design."""
        ids: list[str] = self.index.column("point").to_pylist()
        return ids

    def run(self, point: str) -> RunFolder:
        """Open the run of a point.

        Raises
        ------
        RunError
            If there is no such point, or it was invalid and has no run.
        """
        if point not in self.points:
            raise unknown("point", point, self.points)
        return RunFolder.open(self.path / "points" / point)

    def pandas(self) -> pd.DataFrame:
        """Return the index as a pandas data frame."""
        frame: pd.DataFrame = self.index.to_pandas()
        return frame


def points_of(design: Design) -> list[Point]:
    """Return the points of a design; ids start with their position and end with a hash of the settings.

    Examples
    --------
    >>> [dict(p.sets) for p in points_of({"a": [1, 2], "b": ["x"]})]
    [{'a': 1, 'b': 'x'}, {'a': 2, 'b': 'x'}]
    """
    if isinstance(design, Mapping):
        for path, values in design.items():
            if isinstance(values, str) or not isinstance(values, Sequence):
                raise RunError(f"sweep: {path}: a list of values is due, got {values!r}")
        settings = [
            dict(zip(design, combination, strict=True)) for combination in itertools.product(*design.values())
        ]
    else:
        settings = [dict(point) for point in design]
    if not any(settings):
        raise RunError("sweep: the design has no points")
    points = []
    for i, sets in enumerate(settings):
        text = json.dumps(sets, sort_keys=True, default=str, ensure_ascii=False)
        points.append(Point(f"{i:04d}-{hashlib.sha256(text.encode()).hexdigest()[:8]}", sets))
    return points


def sweep(
    make_plan: MakePlan,
    design: Design,
    out: str | Path,
    *,
    base: str = "",
    replications: int | None = None,
    workers: int | None = None,
    seed: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    executor: Executor | None = None,
    simulate: str = DEFAULT_SIMULATE,
    tables: Collection[str] | None = None,
) -> SweepFolder:
    """Run every point of a design.

    Parameters
    ----------
    make_plan : callable
        Settings (path to value) to (plan, resolved YAML). What it raises is recorded with the point.
    design : Mapping or sequence
        Path to list of values (every combination), or a list of points.
    out : path
        The sweep folder.
    base : str
        Name of the scenario, for the record.
    resume : bool
        Keep finished replications; ``design`` must be the same or longer.

    Returns
    -------
    SweepFolder
        Points that failed have their state and problem in the index; they do not stop the others.
    """
    points = points_of(design)
    path = Path(out)
    _claim(path, points, base, resume=resume, overwrite=overwrite)
    rows: list[dict[str, Any]] = []
    for first in range(0, len(points), _AT_ONCE):
        some = points[first : first + _AT_ONCE]
        jobs: dict[str, Job] = {}
        problems: dict[str, FailureInfo] = {}
        finished: set[str] = set()
        try:
            for point in some:
                try:
                    plan, resolved = make_plan(point.sets)
                except Exception as error:  # noqa: BLE001  a point without a plan must not stop the others
                    problems[point.id] = FailureInfo(-1, "plan", type(error).__name__, str(error))
                    continue
                folder = path / "points" / point.id
                known = (folder / "run.json").is_file()
                jobs[point.id] = begin(
                    plan, folder, resolved, replications=replications, seed=seed, resume=resume and known,
                    overwrite=overwrite and known, simulate=simulate, tables=tables, label=point.id,
                )  # fmt: skip
            execute(list(jobs.values()), workers=workers, executor=executor, progress=progress)
            for point in some:
                job = jobs.get(point.id)
                rows.append(_row(point, None if job is None else finish(job), problems.get(point.id)))
                finished.add(point.id)
        except BaseException as error:
            state = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            for name, job in jobs.items():
                if name not in finished:
                    close(job, state)
            raise
        finally:
            for job in jobs.values():
                job.lock.close()
    write_parquet(path / ".index.tmp", _index(points, rows))
    (path / ".index.tmp").replace(path / "index.parquet")
    return SweepFolder(path)


def _claim(path: Path, points: Sequence[Point], base: str, *, resume: bool, overwrite: bool) -> None:
    """Write the design, or check it against the one that is there."""
    ids = [p.id for p in points]
    card = path / "sweep.json"
    check_usable(path)
    if card.is_file():
        before = [p["id"] for p in read_json(card)["points"]]
        if not resume and not overwrite:
            raise FolderError(
                f"{path}: holds a sweep already; resume it, overwrite it or choose another folder"
            )
        if resume and ids[: len(before)] != before:
            raise FolderError(f"{path}: was swept with another design; resume needs the same points first")
    elif path.is_dir() and not all(p.name.startswith(".sweep.json.") for p in path.iterdir()):
        raise FolderError(f"{path}: is not empty and holds no sweep; choose another folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / "index.parquet").unlink(missing_ok=True)
        write_json(
            card,
            {
                "schema_version": SCHEMA_VERSION,
                "base": base,
                "points": [{"id": p.id, "sets": dict(p.sets)} for p in points],
            },
        )
    except OSError as error:
        raise FolderError(f"{path}: cannot be written ({error.strerror})") from error


def _row(point: Point, run: RunFolder | None, problem: FailureInfo | None) -> dict[str, Any]:
    row: dict[str, Any] = {"point": point.id, "state": "invalid" if run is None else run.state, "problem": ""}
    if problem is not None:
        # The words of the checks stand for themselves.
        row["problem"] = (
            problem.message if problem.type == "Problems" else f"{problem.type}: {problem.message}"
        )
    elif run is not None and run.failures:
        first = run.failures[0]
        row["problem"] = f"replication {first['replication']}: {first['type']}: {first['message']}"
    if run is not None and run.state in ("completed", "partial"):
        for kpi in run.kpis:
            row[kpi.key] = kpi.estimate
            row[f"{kpi.key}:low"] = kpi.low
            row[f"{kpi.key}:high"] = kpi.high
    return row


def _index(points: Sequence[Point], rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return one row a point; numbers stay numbers where all values of a setting are numbers."""
    columns: dict[str, pa.Array] = {"point": pa.array([r["point"] for r in rows], pa.string())}
    for path in dict.fromkeys(name for p in points for name in p.sets):
        values = [p.sets.get(path) for p in points]
        numeric = all((isinstance(v, int | float) and not isinstance(v, bool)) or v is None for v in values)
        if numeric:
            columns[f"set:{path}"] = pa.array([None if v is None else float(v) for v in values], pa.float64())
        else:
            columns[f"set:{path}"] = pa.array([None if v is None else str(v) for v in values], pa.string())
    for name in ("state", "problem"):
        columns[name] = pa.array([r[name] for r in rows], pa.string())
    names = dict.fromkeys(k for r in rows for k in r if k not in ("point", "state", "problem"))
    for name in names:
        columns[name] = pa.array([r.get(name) for r in rows], pa.float64())
    return pa.table(columns)
