"""Atomic files, and Parquet whose bytes depend on the data alone.

A file or folder appears under its name only when it is complete and on disk: written
beside it, flushed, renamed. Nothing here writes a clock value, so two runs of one plan
and seed give equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from dssn_models.results import TABLES
from dssn_sim.recorder import ROW_GROUP, arrow_schema

__all__ = [
    "ROW_GROUP",
    "ParquetTable",
    "arrow_schema",
    "conform",
    "file_digest",
    "publish_folder",
    "read_columns",
    "read_json",
    "sync_folder",
    "write_json",
    "write_parquet",
    "write_text",
]

# Fixed, so that a change of the library's defaults does not change our bytes.
_PARQUET: Final[dict[str, Any]] = {
    "compression": "zstd",
    "compression_level": 1,
    "version": "2.6",
    "data_page_version": "1.0",
    "use_dictionary": True,
    "write_statistics": True,
    "store_schema": True,
}


def conform(name: str, table: pa.Table, replication: int, *, backend: str = "simulation") -> pa.Table:
    """Return a table, or a piece of one, in the columns and types of :mod:`dssn_models.results`.

    Parameters
    ----------
    name : str
        Of the table.
    table : pyarrow.Table
        What a backend returned; ``replication`` may be missing and is then filled in.

    Raises
    ------
    ValueError
        For unknown tables and for unknown or missing columns: an error of the backend.
    """
    if name not in TABLES:
        raise ValueError(f"result table that the schema does not know: {name}")
    schema = arrow_schema(name, backend)
    missing = [c for c in schema.names[1:] if c not in table.column_names]
    extra = [c for c in table.column_names if c not in schema.names]
    if missing or extra:
        raise ValueError(f"table {name}: missing columns {missing}, unknown columns {extra}")
    columns = [pa.repeat(pa.scalar(replication, pa.int32()), table.num_rows)]
    columns += [table.column(c).cast(schema.field(c).type) for c in schema.names[1:]]
    return pa.Table.from_arrays(columns, schema=schema)


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write one table and flush it to disk."""
    file = ParquetTable(path, table.schema)
    file.write(table)
    file.close()


class ParquetTable:
    """Writes one Parquet file piece by piece."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path, self.rows = path, 0
        self._writer = pq.ParquetWriter(path, schema, **_PARQUET)

    def write(self, piece: pa.Table) -> None:
        """Append rows, as row groups of their own."""
        if piece.num_rows:
            self._writer.write_table(piece, row_group_size=ROW_GROUP)
            self.rows += piece.num_rows

    def add(self, source: Path) -> None:
        """Append a file of the same schema row group by row group."""
        with pq.ParquetFile(source) as file:
            for group in range(file.num_row_groups):
                self.write(file.read_row_group(group, use_threads=False))

    def close(self) -> None:
        """Finish and flush the file."""
        self._writer.close()
        _sync_file(self.path)


def read_columns(path: Path, columns: Sequence[str] = ()) -> pa.Table:
    """Return columns of a Parquet file (none named: all), strings as numbers and words; for statistics."""
    schema = pq.read_schema(path)
    words = [f.name for f in schema if f.type == pa.string() and (not columns or f.name in columns)]
    with pq.ParquetFile(path, read_dictionary=words) as file:
        return file.read(list(columns) or None, use_threads=False)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with beside.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_folder(path.parent)


def write_json(path: Path, value: object) -> None:
    """Write a JSON file atomically; keys keep their order, non-finite numbers become null."""
    write_text(path, json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Return the value of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def _plain(value: object) -> Any:
    """Return a value that JSON can hold."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(v) for v in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, str | int | bool) or value is None:
        return value
    if hasattr(value, "item"):  # numpy scalar
        return _plain(value.item())  # pyright: ignore[reportAttributeAccessIssue]
    return str(value)


def publish_folder(temporary: Path, final: Path) -> None:
    """Flush a finished temporary folder and give it its name; an older one of that name is replaced."""
    sync_folder(temporary)
    if final.exists():
        old = final.with_name(f".{final.name}.{os.getpid()}.old")
        final.rename(old)
        temporary.rename(final)
        shutil.rmtree(old, ignore_errors=True)
    else:
        temporary.rename(final)
    sync_folder(final.parent)


def sync_folder(path: Path) -> None:
    """Flush a folder's entries to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_file(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
