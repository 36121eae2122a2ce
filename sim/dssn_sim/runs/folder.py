"""The run folder as its reader sees it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from dssn_models.results import SCHEMA_VERSION, TABLES
from dssn_sim.runs.errors import FolderError, RunError, unknown
from dssn_sim.runs.writing import read_json
from dssn_sim.stats.facts import RunFacts
from dssn_sim.stats.kpi import Kpi, Verdict
from dssn_sim.stats.measures import Key

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RunFolder"]


class RunFolder:
    """A finished run: what was asked, what came out.

    Attributes
    ----------
    path : Path
        The folder.
    run : dict
        ``run.json``: versions, seeds, exit state, failures.

    Examples
    --------
    ::

        res = RunFolder.open("out")
        res.kpis[0].estimate
        res.sql("select cls, avg(order_to_result_s) from deliveries group by cls")
    """

    def __init__(self, path: Path, run: dict[str, Any]) -> None:
        self.path = path
        self.run = run

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r}, {self.run['scenario']['name']!r}, {self.state})"

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Open a run folder.

        Raises
        ------
        RunError
            If there is no such folder, it holds no run, or another version wrote it.
        """
        folder = Path(path)
        if not folder.exists():
            raise FolderError(f"{folder}: no such folder")
        if not folder.is_dir():
            raise FolderError(f"{folder}: is a file; a run is a folder with run.json and tables/")
        if not (folder / "run.json").is_file():
            if (folder / "index.parquet").is_file() or (folder / "sweep.json").is_file():
                raise FolderError(f"{folder}: is a sweep, not a run; its runs are under {folder / 'points'}")
            raise FolderError(f"{folder}: is no run folder (run.json is missing)")
        try:
            run = read_json(folder / "run.json")
            version = run["schema_version"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{folder / 'run.json'}: cannot be read ({error})") from error
        if version != SCHEMA_VERSION:
            raise RunError(
                f"{folder}: written with result schema {version}; this version reads {SCHEMA_VERSION}"
            )
        return cls(folder, run)

    # ---------------------------------------------------------------- state

    @property
    def state(self) -> str:
        """``completed`` | ``partial`` | ``failed`` | ``interrupted`` | ``running`` (or killed)."""
        return str(self.run["exit_state"])

    @property
    def failures(self) -> list[dict[str, Any]]:
        """Replications that failed: replication, origin, type, message, where."""
        return list(self.run["failures"])

    @property
    def resolved_yaml(self) -> str:
        """The scenario as it was run."""
        return (self.path / "scenario.resolved.yaml").read_text(encoding="utf-8")

    @property
    def facts(self) -> RunFacts:
        """Horizon, warm-up, confidence, classes, objectives."""
        return RunFacts.from_dict(self.run["facts"])

    # ---------------------------------------------------------------- results

    @cached_property
    def summary(self) -> dict[str, Any]:
        """``summary.json``: KPIs, objectives, binding resource, warm-up hint."""
        path = self.path / "summary.json"
        if not path.is_file():
            raise RunError(self._unfinished())
        value: dict[str, Any] = read_json(path)
        return value

    @property
    def kpis(self) -> list[Kpi]:
        """All KPIs with their intervals."""
        return [Kpi.from_dict(k) for k in self.summary["kpis"]]

    def kpi(self, name: str, stat: str | None = None, cls: str = "", part: str = "") -> Kpi:
        """Return one KPI.

        Raises
        ------
        RunError
            With the names that there are.
        """
        named = [k for k in self.kpis if k.name == name]
        if not named:
            raise unknown("KPI", name, sorted({k.name for k in self.kpis}))
        for k in named:
            if k.cls == cls and k.part == part and stat in (None, k.stat):
                return k
        asked = str(Key(name, stat or named[0].stat, cls, part))
        raise unknown("KPI", asked, [k.key for k in named])

    @property
    def objectives(self) -> list[Verdict]:
        """The verdict on each objective."""
        return [
            Verdict(**{**v, "estimate": float("nan") if v["estimate"] is None else v["estimate"]})
            for v in self.summary["objectives"]
        ]

    @property
    def replications(self) -> list[int]:
        """Numbers of the replications that finished."""
        failed = {f["replication"] for f in self.failures}
        return [i for i in range(self.run["replications"]) if i not in failed]

    @property
    def tables(self) -> list[str]:
        """Names of the tables that were kept."""
        return [name for name in TABLES if (self.path / "tables" / f"{name}.parquet").is_file()]

    def table_path(self, name: str) -> Path:
        """Return the Parquet file of a table.

        Raises
        ------
        RunError
            If there is no such table, it was not kept, or the run did not finish.
        """
        if name not in TABLES:
            raise unknown("result table", name, TABLES)
        path = self.path / "tables" / f"{name}.parquet"
        if not path.is_file():
            if not (self.path / "tables").is_dir():
                raise RunError(self._unfinished())
            raise RunError(f"{self.path}: table {name!r} was not kept in this run")
        return path

    def table(self, name: str, replication: int | None = None, columns: list[str] | None = None) -> pa.Table:
        """Return a table with all replications, or with one.

        Raises
        ------
        RunError
            If there is no such table or replication.
        """
        path = self.table_path(name)
        done = self.replications
        if replication is not None and replication not in done:
            raise unknown("replication", str(replication), map(str, done))
        filters = None if replication is None else [("replication", "=", replication)]
        # One file, no threads: row order is that of the file.
        return pq.read_table(
            path,
            columns=columns,
            filters=filters,
            partitioning=None,  # pyright: ignore[reportArgumentType]
            use_threads=False,
        )

    def pandas(self, name: str, replication: int | None = None) -> pd.DataFrame:
        """Return a table as a pandas data frame."""
        frame: pd.DataFrame = self.table(name, replication).to_pandas()
        return frame

    def sql(self, query: str) -> pd.DataFrame:
        """Return the answer of DuckDB to a query; every table of the run is a view.

        ``order`` is a word of SQL: write ``"order"`` for the column.

        Raises
        ------
        RunError
            If DuckDB refuses the query.
        """
        import duckdb

        names = self.tables
        if not names:
            raise RunError(self._unfinished())
        with duckdb.connect() as connection:
            for name in names:
                file = str(self.table_path(name)).replace("'", "''")
                connection.execute(f"create view {name} as select * from read_parquet('{file}')")
            try:
                frame: pd.DataFrame = connection.execute(query).df()
            except duckdb.Error as error:
                raise RunError(f"{self.path}: {error}") from error
        return frame

    def _unfinished(self) -> str:
        done = len(list((self.path / "replications").glob("[0-9]*")))
        asked = self.run.get("replications", "?")
        return (
            f"{self.path}: the run is not finished (state {self.state}, {done} of {asked} replications "
            "done); resume it to get its tables"
        )
