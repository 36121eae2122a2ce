"""Cost tables: constants with unit, source and confidence, read from package data.

A table is a JSON file of groups; a group names its source and confidence once, an entry is
``key: [value, unit, spread or null, note]``. The shipped table is ``reference``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from importlib import resources
from typing import Any, Final

from dssn_models.engines.api import CostSource

__all__ = ["CONFIDENCES", "CostEntry", "CostTable", "available_tables", "cost_table", "parse_table"]

CONFIDENCES: Final = ("measured", "read", "assumed")
_DATA: Final = "data"


@dataclass(frozen=True, slots=True)
class CostEntry:
    """One constant of a table.

    Attributes
    ----------
    key : str
        For example ``psi.kkrt.bits_per_row``.
    value : float
        In the unit given; seconds are CPU seconds of the table's machine.
    unit : str
        Unit in words.
    source : str
        Measurement, paper, documentation page or standard.
    confidence : str
        ``measured`` | ``read`` | ``assumed``.
    machine, date : str
        Where and when; empty for what no machine was needed for.
    spread : tuple of float or None
        Lowest and highest value seen, where known.
    note : str
        What a user of the figure should know.
    """

    key: str
    value: float
    unit: str
    source: str
    confidence: str
    machine: str = ""
    date: str = ""
    spread: tuple[float, float] | None = None
    note: str = ""

    @property
    def cost_source(self) -> CostSource:
        """The entry as engines hand it on."""
        return CostSource(self.key, self.value, self.unit, self.source, self.confidence)


@dataclass(frozen=True)
class CostTable:
    """A named set of constants."""

    name: str
    title: str
    machine: str
    date: str
    note: str
    entries: Mapping[str, CostEntry] = field(repr=False)

    def entry(self, key: str) -> CostEntry:
        """Return the entry, or raise KeyError that names the nearest keys."""
        found = self.entries.get(key)
        if found is None:
            near = get_close_matches(key, self.entries, n=3, cutoff=0.4)
            hint = f"; nearest: {', '.join(near)}" if near else ""
            raise KeyError(f"cost table {self.name!r} has no entry {key!r}{hint}")
        return found

    def get(self, key: str) -> CostSource:
        """Return the entry's value with unit, source and confidence."""
        return self.entry(key).cost_source

    def value(self, key: str) -> float:
        """Return the entry's value in its unit."""
        return self.entry(key).value

    def keys(self) -> Iterator[str]:
        """Keys in the order of the file."""
        return iter(self.entries)

    def with_values(self, values: Mapping[str, float], name: str | None = None) -> CostTable:
        """Return a copy with some values replaced (a recalibration, or a what-if)."""
        entries = dict(self.entries)
        for key, value in values.items():
            old = self.entry(key)
            entries[key] = CostEntry(
                key, value, old.unit, old.source, old.confidence, old.machine, old.date, None, old.note
            )
        return CostTable(name or self.name, self.title, self.machine, self.date, self.note, entries)


def parse_table(text: str) -> CostTable:
    """Return the table that a JSON text describes.

    Raises
    ------
    ValueError
        If a value is not a finite number of zero or more, a confidence is unknown, a source
        is empty, or a key stands twice.
    """
    raw = json.loads(text)
    entries: dict[str, CostEntry] = {}
    for group in raw["groups"]:
        _check(
            group["confidence"] in CONFIDENCES, f"confidence {group['confidence']!r}: one of {CONFIDENCES}"
        )
        _check(bool(group["source"].strip()), "a group without source")
        measured = group["confidence"] == "measured"
        machine = group.get("machine", raw["machine"] if measured else "")
        date = group.get("date", raw["date"] if measured else "")
        for key, row in group["entries"].items():
            _check(key not in entries, f"{key}: stands twice")
            entries[key] = _entry(key, row, group, machine, date)
    return CostTable(raw["name"], raw["title"], raw["machine"], raw["date"], raw.get("note", ""), entries)


def _entry(key: str, row: list[Any], group: Mapping[str, Any], machine: str, date: str) -> CostEntry:
    value, unit = row[0], row[1]
    spread = row[2] if len(row) > 2 else None
    note = row[3] if len(row) > 3 else ""
    _check(isinstance(value, int | float) and math.isfinite(value) and value >= 0, f"{key}: value {value!r}")
    _check(bool(unit), f"{key}: no unit")
    return CostEntry(
        key=key,
        value=float(value),
        unit=unit,
        source=group["source"],
        confidence=group["confidence"],
        machine=machine,
        date=date,
        spread=(float(spread[0]), float(spread[1])) if spread else None,
        note=note,
    )


def _check(condition: bool, message: str) -> None:  # noqa: FBT001
    if not condition:
        raise ValueError(f"cost table: {message}")


def available_tables() -> tuple[str, ...]:
    """Names of the tables shipped with the package."""
    folder = resources.files("dssn_models.crypto") / _DATA
    return tuple(sorted(f.name.removesuffix(".json") for f in folder.iterdir() if f.name.endswith(".json")))


@lru_cache(maxsize=16)
def cost_table(name: str = "reference") -> CostTable:
    """Return a shipped cost table.

    Raises
    ------
    KeyError
        If there is none of that name; the message lists those there are.
    """
    if name not in available_tables():
        raise KeyError(f"no cost table {name!r}; there are: {', '.join(available_tables())}")
    text = (resources.files("dssn_models.crypto") / _DATA / f"{name}.json").read_text(encoding="utf-8")
    return parse_table(text)
