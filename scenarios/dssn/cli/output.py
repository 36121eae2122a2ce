"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["emit_json", "heading", "line", "plain", "table"]


def emit_json(value: Any) -> None:
    """Print a value as JSON (UTF-8, two spaces, NaN as null)."""
    json.dump(plain(value), sys.stdout, ensure_ascii=False, indent=2, allow_nan=False)
    sys.stdout.write("\n")


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: NaN and infinities become None, dataclasses mappings."""
    import dataclasses
    import math

    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str | int | bool) or value is None:
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, Iterable):
        return [plain(v) for v in value]
    if hasattr(value, "item"):  # numpy scalar
        return plain(value.item())  # pyright: ignore[reportAttributeAccessIssue]
    return str(value)


def line(text: str = "") -> None:
    """Print a line as it is (no markup), folded by the terminal only."""
    print(text)


def heading(text: str) -> None:
    """Print a heading; bold on a terminal."""
    if sys.stdout.isatty():
        print(f"\033[1m{text}\033[0m")
    else:
        print(text)


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Sequence[str] = (),
    least: Mapping[str, int] | None = None,
    title: str = "",
) -> None:
    """Print a table.

    On a terminal it is fitted to the width; into a file or pipe no line is cut.

    Parameters
    ----------
    columns : sequence of str
        Headings.
    rows : iterable of sequences of str
        Cells; printed as they are, without markup.
    right : sequence of str
        Headings of right-aligned columns.
    least : mapping of str to int
        Heading to the width below which a column is not folded.
    title : str
        Above the table.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 400)
    grid = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, title=title or None, title_justify="left")
    for name in columns:
        grid.add_column(
            name,
            justify="right" if name in right else "left",
            overflow="fold",
            min_width=(least or {}).get(name),
        )
    for row in rows:
        grid.add_row(*(Text(str(cell), style=_STYLE.get(str(cell), "")) for cell in row))
    if sys.stdout.isatty():
        console.print(grid)
        return
    with console.capture() as capture:
        console.print(grid)
    print("\n".join(text.rstrip() for text in capture.get().splitlines()))


_STYLE = {
    "met": "green",
    "missed": "bold red",
    "undecided": "yellow",
    "ok": "green",
    "missing": "yellow",
    "failed": "bold red",
}
