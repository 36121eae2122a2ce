"""Arrivals and sizes from CSV and Parquet traces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dssn.problems import nearest
from dssn.schema.workload import SizeColumn, TimeColumn, Trace

__all__ = ["TraceData", "TraceError", "read_trace"]

_MAX_BYTES: Final = 2_000_000_000
_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}

Floats = NDArray[np.float64]


class TraceError(ValueError):
    """A trace that cannot be used: where in the ``arrivals`` entry, what was found, what is allowed.

    ``further`` has the other errors of the same kind, if there are several.
    """

    further: tuple[TraceError, ...] = ()

    def __init__(self, loc: tuple[str, ...], found: str, allowed: str, hint: str = "") -> None:
        super().__init__(f"{found}; allowed: {allowed}")
        self.loc, self.found, self.allowed, self.hint = loc, found, allowed, hint


@dataclass(frozen=True)
class TraceData:
    """Orders of a trace, sorted by time: seconds from its first row, sizes, and class ('' where unmapped)."""

    times: Floats
    columns: dict[str, Floats]
    classes: tuple[str, ...]


def read_trace(spec: Trace, path: Path, horizon_s: float) -> TraceData:
    """Return the orders of a trace that arrive before the horizon.

    Times count from ``skip`` after the first row that ``where`` keeps; then ``time_scale`` and ``start`` apply.

    Raises
    ------
    TraceError
        With the place in the entry, what was found and what is allowed.
    """
    table = _read(path, spec.file)
    _check_columns(table, spec)
    keep = np.ones(table.num_rows, dtype=bool)
    for name, wanted in spec.where.items():
        keep &= np.array(
            [str(v) == wanted for v in _column(table, name, ("where", name)).to_pylist()], dtype=bool
        )
    times = _times(table, spec.time)
    keep &= np.isfinite(times)
    sizes = {p: _sizes(table, column, ("sizes", p)) for p, column in spec.sizes.items()}
    for values in sizes.values():
        keep &= np.isfinite(values)
    index = np.flatnonzero(keep)
    if not len(index):
        raise TraceError((), f"no usable row among {table.num_rows}", "at least one row with time and sizes")
    index = index[np.argsort(times[index], kind="stable")]
    origin = times[index[0]] + spec.skip
    index = index[int(np.searchsorted(times[index], origin, side="left")) :]
    if not len(index):
        raise TraceError(
            ("skip",), f"all {table.num_rows} rows lie before {spec.skip:g} s", "a shorter time to skip"
        )
    at = (times[index] - origin) * spec.time_scale + spec.start
    end = min(horizon_s, spec.end if spec.end is not None else horizon_s)
    count = int(np.searchsorted(at, end, side="left"))
    if spec.limit is not None:
        count = min(count, spec.limit)
    index, at = index[:count], at[:count]
    classes = ("",) * count
    if spec.classes is not None:
        raw = _column(table, spec.classes.column, ("classes", "column")).take(index).to_pylist()
        classes = tuple(spec.classes.map.get(str(v), "") for v in raw)
    return TraceData(at, {p: values[index] for p, values in sizes.items()}, classes)


def _read(path: Path, shown: str) -> Any:
    import pyarrow as pa
    from pyarrow import csv, parquet

    try:
        if not path.is_file():
            raise TraceError(("file",), f"'{shown}' is no file", "a CSV or Parquet file")
        if path.stat().st_size > _MAX_BYTES:
            raise TraceError(("file",), f"'{shown}' is larger than 2 GB", "a smaller file")
        if path.suffix.lower() in (".parquet", ".pq"):
            return parquet.read_table(path)
        return csv.read_csv(path)
    except (pa.ArrowException, OSError, ValueError) as exc:
        if isinstance(exc, TraceError):
            raise
        text = str(exc).splitlines()[0][:200] if str(exc) else type(exc).__name__
        raise TraceError(
            ("file",), f"'{shown}' cannot be read: {text}", "a CSV with a header, or Parquet"
        ) from None


def _check_columns(table: Any, spec: Trace) -> None:
    """Raise for all columns at once that the entry names and the table does not have."""
    named: list[tuple[tuple[str, ...], str]] = [(("where", name), name) for name in spec.where]
    named.append((("time", "column"), spec.time.column))
    for parameter, size in spec.sizes.items():
        parts = (("column", size.column), ("minus", size.minus), ("times", size.times))
        named += [(("sizes", parameter, key), name) for key, name in parts if name is not None]
    if spec.classes is not None:
        named.append((("classes", "column"), spec.classes.column))
    lacking = []
    for loc, name in named:
        try:
            _column(table, name, loc)
        except TraceError as exc:
            lacking.append(exc)
    if lacking:
        lacking[0].further = tuple(lacking[1:])
        raise lacking[0]


def _column(table: Any, name: str, loc: tuple[str, ...]) -> Any:
    names = table.column_names
    if names.count(name) != 1:
        shown = ", ".join(names[:30])
        raise TraceError(loc, f"the trace has no column '{name}'", shown, nearest(name, names))
    return table.column(name)


def _times(table: Any, spec: TimeColumn) -> Floats:
    import pyarrow as pa

    column = _column(table, spec.column, ("time", "column"))
    kind = column.type
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if numeric and spec.unit != "timestamp":
        return _floats(column) * _UNITS[spec.unit or "s"]
    if spec.unit not in (None, "timestamp"):
        raise TraceError(("time", "unit"), f"column '{spec.column}' holds {kind}, no numbers", "timestamp")
    if pa.types.is_temporal(kind):
        stamps = np.array(column.to_numpy(), dtype="datetime64[ns]")
    else:
        try:
            stamps = np.array(
                [str(v) if v is not None else "NaT" for v in column.to_pylist()], dtype="datetime64[ns]"
            )
        except ValueError as exc:
            what = f"column '{spec.column}' holds no date: {str(exc)[:80]}"
            raise TraceError(
                ("time", "column"), what, "numbers, or dates such as 2023-11-16 18:15:46.5"
            ) from None
    missing = np.isnat(stamps)
    first = stamps[~missing].min() if not missing.all() else np.datetime64(0, "ns")
    seconds = np.asarray((stamps - first) / np.timedelta64(1, "ns"), dtype=np.float64) * 1e-9
    return np.where(missing, np.nan, seconds)


def _floats(column: Any) -> Floats:
    import pyarrow as pa

    if not (
        pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_null(column.type)
    ):
        raise TypeError(str(column.type))
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _sizes(table: Any, spec: SizeColumn, loc: tuple[str, ...]) -> Floats:
    """Return ``(column - minus) * times * scale`` within its bounds; NaN where a value is missing."""

    def read(key: str, name: str) -> Floats:
        try:
            return _floats(_column(table, name, (*loc, key)))
        except TypeError as exc:
            raise TraceError((*loc, key), f"column '{name}' holds {exc}", "a column of numbers") from None

    values = read("column", spec.column)
    if spec.minus is not None:
        values = values - read("minus", spec.minus)
    if spec.times is not None:
        values = values * read("times", spec.times)
    values = values * spec.scale
    low, high = spec.min if spec.min is not None else 0.0, spec.max if spec.max is not None else np.inf
    return np.clip(values, low, high)
