"""Rows in, Arrow tables out.

Rows are tuples in the column order of ``dssn_models.results``; they are turned into columns
once, at the end. Nothing here looks at the values.
"""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

from dssn_models.results import SCHEMA_VERSION, TABLES

__all__ = ["Recorder", "arrow_schema"]

_ARROW: Final[dict[str, pa.DataType]] = {
    "int64": pa.int64(),
    "int32": pa.int32(),
    "float64": pa.float64(),
    "string": pa.string(),
    "bool": pa.bool_(),
}


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

    def tables(self, backend: str = "simulation") -> dict[str, pa.Table]:
        """Return every table, also empty ones, in the order of recording."""
        return {name: self._table(name, rows, backend) for name, rows in self.rows.items()}

    def _table(self, name: str, rows: list[tuple[Any, ...]], backend: str) -> pa.Table:
        schema = arrow_schema(name, backend)
        n = len(rows)
        width = len(TABLES[name].columns)
        columns: list[Any] = list(zip(*rows, strict=True)) if rows else [() for _ in range(width)]
        if len(columns) != width:
            raise ValueError(f"table {name}: rows have {len(columns)} values, the schema has {width} columns")
        arrays = [pa.array([self.replication] * n, pa.int32())]
        arrays += [
            pa.array(c, _ARROW[spec.type]) for c, spec in zip(columns, TABLES[name].columns, strict=True)
        ]
        return pa.Table.from_arrays(arrays, schema=schema)
