"""What the report reads: one run folder as data frames.

The folder holds ``run.json``, ``summary.json``, ``scenario.resolved.yaml`` and ``tables/``; see
``docs/design/shape.md``. Tables that are missing are empty frames with the right columns, so
that each figure needs one test only: is there anything to show.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from dssn_models.results import TABLES

if TYPE_CHECKING:
    from dssn_models.plan import ObjectivePlan, Plan

Made = TypeVar("Made")

__all__ = ["RunData", "empty_table"]

#: Columns of the large tables that no figure or text of the report reads; they are not loaded.
_UNREAD = {
    "orders": ("consumer", "providers", "assets", "exchange"),
    "deliveries": (
        "bytes_wire",
        "bytes_payload",
        "result_bytes",
        "attempts",
        "provider_site",
        "reason",
        "slo_hit",
    ),
    "phases": ("node", "detail"),
    "flows": ("source", "target", "payload_bytes", "technology"),
}
_DTYPES = {"int64": "int64", "int32": "int32", "float64": "float64", "string": "object", "bool": "bool"}


def empty_table(name: str) -> pd.DataFrame:
    """Return a table without rows, with the columns of :data:`dssn_models.results.TABLES`."""
    columns = {"replication": pd.Series(dtype="int64")}
    columns |= {c.name: pd.Series(dtype=_DTYPES[c.type]) for c in TABLES[name].columns}
    return pd.DataFrame(columns)


class RunData:
    """One run, read lazily.

    Parameters
    ----------
    run : Mapping
        Content of ``run.json``.
    summary : Mapping
        Content of ``summary.json``.
    tables : Mapping of str to DataFrame, optional
        Tables already in memory; others are read from ``folder``.
    folder : Path, optional
        The run folder.
    plan : Plan, optional
        The plan that ran; without it, it is compiled from ``scenario.resolved.yaml`` when needed.
    lean : bool
        Leave out the columns that no figure or text of the report needs.

    """

    def __init__(
        self,
        run: Mapping[str, Any],
        summary: Mapping[str, Any],
        tables: Mapping[str, pd.DataFrame] | None = None,
        folder: Path | None = None,
        plan: Plan | None = None,
        *,
        lean: bool = False,
    ) -> None:
        self.run = run
        self.summary = summary
        self.folder = folder
        self._tables: dict[str, pd.DataFrame] = dict(tables or {})
        self._plan = plan
        self._lean = lean
        self._kept: dict[tuple[str, ...], Any] = {}

    @classmethod
    def open(cls, folder: Path | str, plan: Plan | None = None, *, lean: bool = False) -> RunData:
        """Read the folder of a run; ``plan`` saves compiling the scenario again.

        Raises
        ------
        FileNotFoundError
            If there is no ``run.json``.
        """
        path = Path(folder)
        run_file = path / "run.json"
        if not run_file.is_file():
            raise FileNotFoundError(f"{path} is not a run folder: it has no run.json")
        summary_file = path / "summary.json"
        summary = json.loads(summary_file.read_text("utf-8")) if summary_file.is_file() else {}
        return cls(json.loads(run_file.read_text("utf-8")), summary, folder=path, plan=plan, lean=lean)

    def once(self, make: Callable[..., Made], *args: str) -> Made:
        """Return ``make(self, *args)``, made once: what several figures need."""
        key = (make.__module__, make.__qualname__, *args)
        if key not in self._kept:
            self._kept[key] = make(self, *args)
        made: Made = self._kept[key]
        return made

    # ------------------------------------------------------------ tables

    def table(self, name: str) -> pd.DataFrame:
        """Return a result table as a data frame (all replications below each other)."""
        if name not in TABLES:
            known = ", ".join(sorted(TABLES))
            raise KeyError(f"no table named {name!r}; there are {known}")
        if name not in self._tables:
            self._tables[name] = self._read(name)
        return self._tables[name]

    def _read(self, name: str) -> pd.DataFrame:
        if self.folder is None:
            return empty_table(name)
        import pyarrow as pa
        import pyarrow.parquet as pq

        files = sorted((self.folder / "tables").glob(f"{name}.parquet"))
        if not files:
            files = sorted(self.folder.glob(f"**/{name}.parquet"))
        if not files:
            return empty_table(name)
        unread = _UNREAD.get(name, ()) if self._lean else ()
        parts = []
        for f in files:
            columns = [c for c in pq.read_schema(f).names if c not in unread]
            parts.append(pq.read_table(f, columns=columns, partitioning=None))  # pyright: ignore[reportArgumentType]
        merged: pa.Table = pa.concat_tables(parts, promote_options="permissive")
        del parts
        frame: pd.DataFrame = merged.to_pandas(split_blocks=True, self_destruct=True)
        if "replication" not in frame.columns:
            frame.insert(0, "replication", 0)
        return frame

    # ------------------------------------------------------------ facts of the run

    @cached_property
    def plan(self) -> Plan | None:
        """The plan that ran, or None if the resolved scenario no longer compiles."""
        if self._plan is not None or self.folder is None:
            return self._plan
        resolved = self.folder / "scenario.resolved.yaml"
        if not resolved.is_file():
            return None
        try:
            from dssn.compile import compile_plan
            from dssn.loading import load_scenario

            plan: Plan = compile_plan(load_scenario(resolved))
        except Exception:  # noqa: BLE001  a report must open for a run of an older version too
            return None
        return plan

    def fact(self, *names: str, default: Any = None) -> Any:
        """Return the first of these keys that ``run.json`` (or a mapping inside it) has."""
        places: list[Mapping[str, Any]] = [self.run]
        places += [v for v in self.run.values() if isinstance(v, Mapping)]
        for name in names:
            for place in places:
                if name in place:
                    return place[name]
        return default

    def run_value(self, name: str, default: float) -> float:
        """Return a number of the run section: from ``run.json``, else from the plan."""
        value = self.fact(name)
        if isinstance(value, int | float):
            return float(value)
        if self.plan is not None:
            return float(getattr(self.plan.run, name, default))
        return default

    @cached_property
    def warmup_s(self) -> float:
        """Orders that arrived before this time are left out of the figures."""
        return self.run_value("warmup_s", 0.0)

    @cached_property
    def horizon_s(self) -> float:
        """No orders arrive after this time (s)."""
        value = self.run_value("horizon_s", 0.0)
        if value > 0:
            return value
        orders = self.table("orders")
        return float(orders["arrived_s"].max()) if len(orders) else 0.0

    @cached_property
    def detail(self) -> float:
        """Share of the orders whose phases, flows and bills are in the tables."""
        return float(self.fact("detail_share", default=1.0))

    @cached_property
    def confidence(self) -> float:
        """Confidence level of the intervals."""
        return self.run_value("confidence", 0.95)

    @cached_property
    def objectives(self) -> tuple[ObjectivePlan, ...]:
        """The objectives that were judged."""
        found = self.fact("objectives")
        if isinstance(found, list | tuple):
            from dssn_models.plan import ObjectivePlan

            return tuple(ObjectivePlan(**o) if isinstance(o, Mapping) else o for o in found)
        return self.plan.objectives if self.plan is not None else ()

    @cached_property
    def replications(self) -> tuple[int, ...]:
        """Numbers of the replications that have orders."""
        orders = self.table("orders")
        return tuple(int(r) for r in sorted(orders["replication"].unique())) if len(orders) else ()

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Priority classes that occur, most urgent first where the plan says so."""
        seen = set(self.table("orders")["cls"].dropna().unique())
        order: Sequence[str] = ()
        if self.plan is not None:
            order = [c.id for c in sorted(self.plan.classes, key=lambda c: c.priority)]
        return tuple([c for c in order if c in seen] + sorted(seen - set(order)))

    @cached_property
    def completed(self) -> pd.DataFrame:
        """The completed deliveries of orders that arrived after the warm-up."""
        frame = self.after_warmup("deliveries")
        done = frame["state"] == "completed"
        return frame if done.all() else frame[done]

    def after_warmup(self, name: str, column: str = "arrived_s") -> pd.DataFrame:
        """Return a table without the rows of the warm-up; replications stay apart by their column."""
        frame = self.table(name)
        if self.warmup_s <= 0 or column not in frame.columns:
            return frame
        return frame[frame[column] >= self.warmup_s]
