"""Rows in, Arrow tables out.

Rows are tuples in the column order of ``dssn_models.results``; they are turned into columns
block by block as the run goes on. Nothing here looks at the values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from dssn_models.results import SCHEMA_VERSION, TABLES

__all__ = ["ROW_GROUP", "Pieces", "Recorder", "arrow_schema", "arrow_type", "joined"]

_ARROW: Final[dict[str, pa.DataType]] = {
    "int64": pa.int64(),
    "int32": pa.int32(),
    "float64": pa.float64(),
    "string": pa.string(),
    "bool": pa.bool_(),
}

#: Rows of one row group of a result file; also the most that are turned, written or merged at once.
ROW_GROUP: Final = 131_072

#: Rows that are packed at a time.
_BLOCK: Final = 2048


def arrow_type(name: str) -> pa.DataType:
    """Return the Arrow type of a column type of ``dssn_models.results``."""
    return _ARROW[name]


def arrow_schema(name: str, backend: str = "simulation") -> pa.Schema:
    """Return the Arrow schema of a result table: ``replication`` first, units as field metadata."""
    fields = [pa.field("replication", pa.int32())]
    fields += [
        pa.field(c.name, _ARROW[c.type], metadata={"unit": c.unit, "meaning": c.meaning})
        for c in TABLES[name].columns
    ]
    return pa.schema(
        fields,
        metadata={"backend": backend, "schema_version": str(SCHEMA_VERSION), "table": name},
    )


@dataclass(frozen=True)
class Pieces:
    """The tables of a replication that is over, piece by piece as (name, rows); to be gone through once.

    The pieces of a table come in order, those of different tables mixed. ``events``: how many the kernel took, if
    it counts them.
    """

    tables: Iterator[tuple[str, pa.Table]]
    events: int | None = None

    def __iter__(self) -> Iterator[tuple[str, pa.Table]]:
        return self.tables


def joined(pieces: Iterable[tuple[str, pa.Table]]) -> dict[str, pa.Table]:
    """Return every table from its pieces, also those without any."""
    found: dict[str, list[pa.Table]] = {name: [arrow_schema(name).empty_table()] for name in TABLES}
    for name, piece in pieces:
        found[name].append(piece)
    return {name: pa.concat_tables(parts) for name, parts in found.items()}


class Recorder:
    """Collects the rows of one replication.

    Parameters
    ----------
    replication : int
        Written into the first column of every table.
    """

    def __init__(self, replication: int) -> None:
        self.replication = replication
        self.rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in TABLES}
        self._packed: dict[str, list[list[pa.Array]]] = {name: [] for name in TABLES}

    def pack(self) -> None:
        """Turn long lists of rows into columns: while they are in the cache, and before they fill the memory."""
        for name, rows in self.rows.items():
            if len(rows) >= _BLOCK:
                self._packed[name].append(_columns(name, rows))
                rows.clear()

    def tables(self, backend: str = "simulation") -> dict[str, pa.Table]:
        """Return every table, also empty ones, in the order of recording."""
        return {name: self._table(name, rows, backend) for name, rows in self.rows.items()}

    def _table(self, name: str, rows: list[tuple[Any, ...]], backend: str) -> pa.Table:
        blocks = [*self._packed[name], _columns(name, rows)]
        arrays = [pa.concat_arrays(parts) for parts in zip(*blocks, strict=True)]
        number = pa.array([self.replication], pa.int32())[0]
        return pa.Table.from_arrays(
            [pa.repeat(number, len(arrays[0])), *arrays], schema=arrow_schema(name, backend)
        )


def _columns(name: str, rows: list[tuple[Any, ...]]) -> list[pa.Array]:
    specs = TABLES[name].columns
    columns: list[Any] = list(zip(*rows, strict=True)) if rows else [() for _ in specs]
    if len(columns) != len(specs):
        raise ValueError(
            f"table {name}: rows have {len(columns)} values, the schema has {len(specs)} columns"
        )
    return [pa.array(c, _ARROW[spec.type]) for c, spec in zip(columns, specs, strict=True)]
