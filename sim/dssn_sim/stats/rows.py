"""Columns of one table as numpy arrays; strings as codes, so that masks are array work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["Rows", "split_replications"]


class Rows:
    """A table (or some of its rows) of one replication."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self._codes: dict[str, tuple[NDArray[np.int64], list[str]]] = {}

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def number(self, name: str) -> NDArray[np.float64]:
        """Return a numeric column as float64."""
        values = self.table.column(name).to_numpy()
        return np.asarray(values, dtype=np.float64)

    def integer(self, name: str) -> NDArray[np.int64]:
        """Return an integer column."""
        return np.asarray(self.table.column(name).to_numpy(), dtype=np.int64)

    def codes(self, name: str) -> tuple[NDArray[np.int64], list[str]]:
        """Return a string column as (codes, values), values sorted."""
        found = self._codes.get(name)
        if found is None:
            column = self.table.column(name)
            if column.null_count:
                column = column.cast(pa.string()).fill_null("")
            coded = column.dictionary_encode().unify_dictionaries().combine_chunks()
            if isinstance(coded, pa.ChunkedArray):
                coded = coded.combine_chunks()
            values: list[str] = coded.dictionary.to_pylist()
            order = np.argsort(np.asarray(values, dtype=object)) if values else np.zeros(0, np.int64)
            rank = np.empty(len(values), np.int64)
            rank[order] = np.arange(len(values))
            indices = np.asarray(coded.indices.to_numpy(zero_copy_only=False), dtype=np.int64)
            found = self._codes[name] = (rank[indices], [values[i] for i in order])
        return found

    def equals(self, name: str, value: str) -> NDArray[np.bool_]:
        """Return where a string column has this value."""
        codes, values = self.codes(name)
        if value not in values:
            return np.zeros(len(codes), dtype=np.bool_)
        return np.asarray(codes == values.index(value))

    def values(self, name: str) -> list[str]:
        """Return the distinct strings of a column, sorted."""
        return self.codes(name)[1]

    def where(self, mask: NDArray[Any]) -> Rows:
        """Return the rows where ``mask`` holds."""
        if mask.all():
            return self
        return Rows(self.table.filter(pa.array(np.asarray(mask, dtype=np.bool_))))


def split_replications(tables: Mapping[str, pa.Table]) -> list[tuple[int, dict[str, pa.Table]]]:
    """Return the tables of each replication, in order of replication.

    Tables need not be sorted. A replication is known from any table, usually ``orders``.
    """
    numbers: set[int] = set()
    columns: dict[str, NDArray[np.int64]] = {}
    for name, table in tables.items():
        column = np.asarray(table.column("replication").to_numpy(), dtype=np.int64)
        columns[name] = column
        numbers.update(int(i) for i in np.unique(column))
    result = []
    for number in sorted(numbers):
        part: dict[str, pa.Table] = {}
        for name, table in tables.items():
            where = np.flatnonzero(columns[name] == number)
            if len(where) and where[-1] - where[0] + 1 == len(where):  # one block: no copy
                part[name] = table.slice(int(where[0]), len(where))
            else:
                part[name] = table.take(pa.array(where))
        result.append((number, part))
    return result
