"""Are the result tables of two runs the same, byte for byte?"""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

__all__ = ["differences", "tables_equal"]

_BLOCK = 1 << 20


def tables_equal(first: str | Path, second: str | Path) -> bool:
    """Return whether ``tables/`` of two run folders hold the same files with the same bytes."""
    return not differences(first, second)


def differences(first: str | Path, second: str | Path) -> list[str]:
    """Return one line for each file of ``tables/`` that differs, naming the first column that does."""
    a, b = Path(first) / "tables", Path(second) / "tables"
    for folder in (a, b):
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder}: no tables to compare")
    names_a, names_b = ({p.name for p in folder.iterdir()} for folder in (a, b))
    lines = [f"{name}: only in {a}" for name in sorted(names_a - names_b)]
    lines += [f"{name}: only in {b}" for name in sorted(names_b - names_a)]
    lines += [
        f"{name}: {_first_difference(a / name, b / name)}"
        for name in sorted(names_a & names_b)
        if not _same_bytes(a / name, b / name)
    ]
    return lines


def _same_bytes(a: Path, b: Path) -> bool:
    if a.stat().st_size != b.stat().st_size:
        return False
    with a.open("rb") as left, b.open("rb") as right:
        while block := left.read(_BLOCK):
            if block != right.read(_BLOCK):
                return False
    return True


def _first_difference(a: Path, b: Path) -> str:
    left, right = (pq.read_table(p, partitioning=None) for p in (a, b))  # pyright: ignore[reportArgumentType]
    if left.num_rows != right.num_rows:
        return f"{left.num_rows} and {right.num_rows} rows"
    if left.column_names != right.column_names:
        return "other columns"
    for name in left.column_names:
        if not left.column(name).equals(right.column(name)):
            values = zip(left.column(name).to_pylist(), right.column(name).to_pylist(), strict=True)
            # NaN differs from itself; a pair of NaN is no difference.
            row = next((i for i, (x, y) in enumerate(values) if x != y and not (x != x and y != y)), -1)
            if row >= 0:
                return f"column {name} differs from row {row} on"
    return "same values, other bytes (metadata or encoding)"
