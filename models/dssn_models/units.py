"""Unit strings outside, SI floats inside.

Everything a user writes with a unit is parsed here and nowhere else: bit rates
to bit/s, sizes to bytes, durations to seconds, lengths to metres, money to
CNY, frequencies to 1/s, shares to a fraction. A bare number where a unit is
due is an error that says which units are allowed.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

__all__ = ["KINDS", "UnitError", "UnitKind", "format_quantity", "parse_quantity"]


class UnitError(ValueError):
    """A text that is no quantity of the asked kind.

    Attributes
    ----------
    found : str
        What the user wrote.
    allowed : str
        Which units the kind has, with an example.
    hint : str | None
        The nearest spelling, if one is near.
    """

    def __init__(self, found: str, allowed: str, hint: str | None = None) -> None:
        super().__init__(f"{found}; {allowed}")
        self.found = found
        self.allowed = allowed
        self.hint = hint


@dataclass(frozen=True, slots=True)
class UnitKind:
    """One physical kind: its units as factors to SI, and an example for messages."""

    name: str
    factors: dict[str, float]
    example: str
    signed: bool = False

    @property
    def allowed(self) -> str:
        """The allowed units as a sentence part."""
        return f"allowed: a number with a unit ({', '.join(self.factors)}), for example {self.example!r}"


def _prefixed(unit: str, prefixes: dict[str, float]) -> dict[str, float]:
    return {p + unit: f for p, f in prefixes.items()}


_RATE = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_SIZE = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
_BIN = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}

_DURATION: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "week": 604800.0,
    "year": 31536000.0,
}

KINDS: Final[dict[str, UnitKind]] = {
    k.name: k
    for k in (
        UnitKind("rate", _prefixed("bit/s", _RATE), "10 Gbit/s"),
        UnitKind("size", {**_prefixed("B", _SIZE), **_prefixed("B", _BIN)}, "200 GB"),
        UnitKind("duration", dict(_DURATION), "5 ms"),
        UnitKind("length", {"m": 1.0, "km": 1000.0}, "30 km"),
        UnitKind(
            "frequency",
            {"/s": 1.0, "/min": 1 / 60, "/h": 1 / 3600, "/d": 1 / 86400, "/year": 1 / 31536000},
            "120 /h",
        ),
        UnitKind("money", {"CNY": 1.0, "kCNY": 1e3, "MCNY": 1e6}, "12.5 CNY", signed=True),
        UnitKind("share", {"%": 0.01}, "2 %"),
        UnitKind("work", {"core-s": 1.0, "core-ms": 1e-3, "core-us": 1e-6, "core-h": 3600.0}, "3 core-s"),
    )
}

_QUANTITY: Final = re.compile(r"^\s*([+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(\S.*?)?\s*$")
_LIMIT: Final = 1e30


def parse_quantity(value: object, kind: str) -> float:
    """Return the SI value of a unit string.

    Parameters
    ----------
    value : object
        What stood in the file; only a string with a unit is accepted.
    kind : str
        A key of :data:`KINDS`.

    Returns
    -------
    float
        bit/s, B, s, m, 1/s, CNY, fraction or core-s.

    Raises
    ------
    UnitError
        With what was found, what is allowed and the nearest unit.

    Examples
    --------
    >>> parse_quantity("10 Gbit/s", "rate")
    10000000000.0
    >>> parse_quantity("5 ms", "duration")
    0.005
    """
    unit_kind = KINDS[kind]
    if isinstance(value, bool) or not isinstance(value, str):
        if isinstance(value, int | float) and not isinstance(value, bool):
            first = next(iter(unit_kind.factors))
            common = unit_kind.example.split()[-1]
            raise UnitError(
                f"{value!r} is a bare number where a {kind} is due",
                unit_kind.allowed,
                f"{value} {common}" if common else first,
            )
        raise UnitError(f"{_short(value)} is not a {kind}", unit_kind.allowed)
    match = _QUANTITY.match(value)
    if match is None:
        raise UnitError(f"{_short(value)} is not a {kind}", unit_kind.allowed)
    number, unit = float(match.group(1).replace("_", "")), match.group(2)
    if unit is None:
        raise UnitError(
            f"{value!r} is a bare number where a {kind} is due",
            unit_kind.allowed,
            f"{value.strip()} {unit_kind.example.split()[-1]}",
        )
    if unit not in unit_kind.factors:
        near = _near_unit(unit, unit_kind)
        raise UnitError(
            f"{_short(value)} has unit {_short(unit)}, which is not a unit of {kind}",
            unit_kind.allowed,
            f"{match.group(1)} {near}" if near else None,
        )
    result = number * unit_kind.factors[unit]
    if not math.isfinite(result) or abs(result) > _LIMIT:
        raise UnitError(f"{_short(value)} is too large", f"allowed: at most {_LIMIT:g} in SI units")
    if result < 0 and not unit_kind.signed:
        raise UnitError(f"{_short(value)} is negative", f"allowed: a {kind} of zero or more")
    return result


def _short(value: object, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _near_unit(unit: str, kind: UnitKind) -> str | None:
    """Return the unit the user most likely meant."""
    folded = unit.lower().replace("bps", "bit/s").replace("bits/s", "bit/s").replace("b/s", "bit/s")
    aliases = {
        "sec": "s", "second": "s", "seconds": "s", "minute": "min", "minutes": "min", "m": "min",
        "hour": "h", "hours": "h", "day": "d", "days": "d", "µs": "us", "percent": "%", "rmb": "CNY",
        "yuan": "CNY", "/day": "/d", "/hour": "/h", "/sec": "/s",
    }  # fmt: skip
    folded = aliases.get(folded, folded)
    for candidate in kind.factors:
        if candidate.lower() == folded.lower():
            return candidate
    from difflib import get_close_matches

    close = get_close_matches(folded, list(kind.factors), n=1, cutoff=0.5)
    return close[0] if close else None


_SHOW: Final[dict[str, tuple[tuple[float, str], ...]]] = {
    "rate": ((1e12, "Tbit/s"), (1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s"), (1.0, "bit/s")),
    "size": ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")),
    "duration": ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "us")),
    "length": ((1e3, "km"), (1.0, "m")),
    "frequency": ((1.0, "/s"), (1 / 60, "/min"), (1 / 3600, "/h"), (1 / 86400, "/d")),
    "money": ((1e6, "MCNY"), (1e3, "kCNY"), (1.0, "CNY")),
    "share": ((0.01, "%"),),
    "work": ((3600.0, "core-h"), (1.0, "core-s"), (1e-3, "core-ms")),
}


def format_quantity(value: float, kind: str, digits: int = 3) -> str:
    """Return an SI value as a short unit string for people.

    Examples
    --------
    >>> format_quantity(1.25e9, "rate")
    '1.25 Gbit/s'
    >>> format_quantity(0.0, "duration")
    '0 s'
    """
    if value is None or not math.isfinite(value):
        return "–"
    steps = _SHOW[kind]
    if value == 0:
        base = {"duration": "s", "work": "core-s", "money": "CNY"}.get(kind, steps[-1][1])
        return f"0 {base}"
    for factor, unit in steps:
        if abs(value) >= factor * (1 - 1e-12):
            return f"{_sig(value / factor, digits)} {unit}"
    factor, unit = steps[-1]
    return f"{_sig(value / factor, digits)} {unit}"


def _sig(value: float, digits: int) -> str:
    text = f"{value:.{digits}g}"
    return f"{float(text):.0f}" if "e" in text and abs(value) < 1e15 else text
