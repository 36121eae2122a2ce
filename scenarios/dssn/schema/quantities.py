"""Quantities with a unit, and random quantities.

``Rate``, ``Size``, ``Duration``, ... hold SI floats; a file has unit strings. ``RandomDuration``,
``RandomSize``, ``Amount``, ... hold a :class:`dssn_models.dist.Dist`; a file has a plain value or one of

- ``{exponential: {mean}}``
- ``{uniform: {low, high}}``
- ``{lognormal: {median, sigma}}``
- ``{pareto: {minimum, shape}}``
- ``{erlang: {mean, k}}``
- ``{normal: {mean, sd}}``
- ``{quantiles: {"1 %": ..., "50 %": ..., "99 %": ...}}``, straight lines between the levels
- ``{mix: {1: 70 %, 3: 30 %}}``, these values with these shares

all but ``mix`` with optional bounds ``min`` and ``max``, at which draws are clipped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from dssn.problems import shorten
from dssn.schema.base import show_quantity
from dssn.schema.errors import (
    FORM,
    ITEMS,
    MISSING,
    QUANTITY,
    RANGE,
    REFUSED,
    TYPE,
    UNIT,
    UNKNOWN_KEY,
    Line,
    choice,
    error,
    line,
    raise_lines,
)
from dssn_models.dist import Dist, constant
from dssn_models.units import KINDS, UnitError, parse_quantity

__all__ = [
    "DISTRIBUTIONS",
    "Amount",
    "Duration",
    "Frequency",
    "Length",
    "Money",
    "RandomDuration",
    "RandomLevel",
    "RandomSize",
    "Rate",
    "Share",
    "Size",
    "parse_distribution",
    "parse_value",
    "quantity_schema",
]

#: distribution name -> {parameter: "value" (has the unit of the quantity) or "number"}
DISTRIBUTIONS: Final[dict[str, dict[str, str]]] = {
    "constant": {"value": "value"},
    "exponential": {"mean": "value"},
    "uniform": {"low": "value", "high": "value"},
    "lognormal": {"median": "value", "sigma": "number"},
    "pareto": {"minimum": "value", "shape": "number"},
    "erlang": {"mean": "value", "k": "number"},
    "normal": {"mean": "value", "sd": "value"},
    "quantiles": {},
    "mix": {},
}

_LIMIT: Final = 1e15


def parse_value(value: object, kind: str) -> float:
    """Return a quantity of ``kind`` ('' is a plain number) in SI units, or raise the custom error."""
    if kind in KINDS:
        try:
            number = parse_quantity(value, kind)
            return round(number, 15) if kind == "share" else number  # 95 % is 0.95, not 95 times 0.01
        except UnitError as exc:
            allowed = exc.allowed.removeprefix("allowed: ")
            raise error(
                UNIT if "bare number" in exc.found else QUANTITY, exc.found, allowed, exc.hint or ""
            ) from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise error(TYPE, f"{shorten(value)} is not a number", "a number without a unit")
    number = float(value) if abs(value) <= _LIMIT else math.inf
    if not math.isfinite(number):
        raise error(RANGE, f"{shorten(value)} is too large", f"a number within ±{_LIMIT:g}")
    return number


def parse_distribution(value: object, kind: str, low: float = 0.0) -> Dist:
    """Return the distribution of a plain value or of ``{name: {parameters}}``.

    Parameters
    ----------
    value : object
        What stood in the file.
    kind : str
        Unit kind of the quantity, '' for a plain number.
    low : float
        Lower bound of every draw, SI.

    Raises
    ------
    PydanticCustomError
        For a plain value that does not fit.
    pydantic.ValidationError
        For faults inside a distribution, each with its place.
    """
    if not isinstance(value, Mapping):
        number = parse_value(value, kind)
        if number < low:
            raise error(RANGE, f"{shorten(value)} is below {low:g}", f"{low:g} or more")
        return constant(number)
    if len(value) != 1:
        raise error(
            ITEMS,
            f"{len(value)} keys where one distribution is due",
            "{name: {parameters}}, with one of the names " + ", ".join(DISTRIBUTIONS),
        )
    name, body = next(iter(value.items()))
    if name not in DISTRIBUTIONS:
        raise choice(name, list(DISTRIBUTIONS), "a distribution")
    if not isinstance(body, Mapping):
        fields = ", ".join(DISTRIBUTIONS[name]) or (
            "value: share" if name == "mix" else "levels such as '50 %'"
        )
        raise error(TYPE, f"{shorten(body)} where the parameters of {name} are due", f"{{{fields}}}")
    if name == "quantiles":
        return _quantiles(body, kind, low)
    if name == "mix":
        return _mix(body, kind, low)
    return _named(str(name), body, kind, low)


def _named(name: str, body: Mapping[Any, Any], kind: str, low: float) -> Dist:
    lines: list[Line] = []
    wanted = {**DISTRIBUTIONS[name], "min": "value", "max": "value"}
    got: dict[str, float] = {}
    for key, raw in body.items():
        if key not in wanted:
            lines.append(
                line(
                    choice(key, list(wanted), f"a parameter of {name}", UNKNOWN_KEY),
                    name,
                    str(key),
                    found=raw,
                )
            )
            continue
        try:
            got[key] = parse_value(raw, kind if wanted[key] == "value" else "")
        except PydanticCustomError as exc:
            lines.append(line(exc, name, str(key), found=raw))
    for key in DISTRIBUTIONS[name]:
        if key not in body:
            fault = error(MISSING, f"{key} of {name} is missing", ", ".join(DISTRIBUTIONS[name]))
            lines.append(line(fault, name, found=dict(body)))
    if not lines:
        lines += _sane(name, got)
    if lines:
        raise_lines("distribution", lines)
    a, b = (*(got[key] for key in DISTRIBUTIONS[name]), 0.0)[:2]
    return Dist(name, a, b, low=max(low, got.get("min", low)), high=got.get("max", math.inf))  # type: ignore[arg-type]


def _sane(name: str, got: Mapping[str, float]) -> list[Line]:
    """Return the faults of parameters that are well formed but make no distribution."""
    faults: list[Line] = []

    def fault(key: str, allowed: str) -> None:
        faults.append(
            line(error(RANGE, f"{key} of {name} is {got[key]:g}", allowed), name, key, found=got[key])
        )

    for key in ("mean", "median", "minimum", "shape", "k"):
        if key in got and got[key] <= 0:
            fault(key, "a value above zero")
    for key in ("sigma", "sd"):
        if key in got and not got[key] >= 0:
            fault(key, "zero or more")
    if got.get("sigma", 0.0) > 10:
        fault("sigma", "at most 10 (the logarithm's standard deviation)")
    if name == "erlang" and got.get("k", 1.0) != round(got.get("k", 1.0)):
        fault("k", "a whole number")
    if name == "uniform" and got["high"] < got["low"]:
        fault("high", "not below low")
    if "min" in got and "max" in got and got["max"] < got["min"]:
        fault("max", "not below min")
    return faults


_PLAIN: Final = re.compile(r"^-?\d+(\.\d+)?$")
_LEVEL: Final = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*%\s*$")


def _quantiles(body: Mapping[Any, Any], kind: str, low: float) -> Dist:
    lines: list[Line] = []
    points: list[tuple[float, float]] = []
    bounds: dict[str, float] = {}
    for key, raw in body.items():
        match = _LEVEL.match(key) if isinstance(key, str) else None
        try:
            if key in ("min", "max"):
                bounds[key] = parse_value(raw, kind)
            elif match is None or float(match.group(1)) > 100:
                raise error(FORM, f"{shorten(key)} is no quantile level", "0 % to 100 %, for example '50 %'")
            else:
                points.append((float(match.group(1)) / 100, parse_value(raw, kind)))
        except PydanticCustomError as exc:
            lines.append(line(exc, "quantiles", str(key), found=raw))
    points.sort()
    if not lines and len(points) < 2:
        lines.append(line(error(ITEMS, f"{len(points)} quantiles", "two or more"), "quantiles"))
    if any(x2 < x1 for (_, x1), (_, x2) in pairwise(points)):
        fault = error(REFUSED, "quantiles that fall as the level rises", "values that do not fall")
        lines.append(line(fault, "quantiles"))
    if lines:
        raise_lines("distribution", lines)
    return Dist(
        "table",
        0.0,
        low=max(low, bounds.get("min", low)),
        high=bounds.get("max", math.inf),
        points_p=tuple(p for p, _ in points),
        points_x=tuple(x for _, x in points),
    )


def _mix(body: Mapping[Any, Any], kind: str, low: float) -> Dist:
    """Return a table that jumps from value to value, so that each has its share of the draws."""
    lines: list[Line] = []
    parts: list[tuple[float, float]] = []
    for key, raw in body.items():
        try:
            value = float(key) if kind not in KINDS and isinstance(key, str) and _PLAIN.match(key) else key
            parts.append((parse_value(value, kind), parse_value(raw, "share")))
            if parts[-1][0] < low:
                raise error(RANGE, f"{shorten(key)} is below {low:g}", f"{low:g} or more")
        except PydanticCustomError as exc:
            lines.append(line(exc, "mix", str(key), found=raw))
    total = sum(share for _, share in parts)
    if not lines and abs(total - 1) > 1e-6:
        lines.append(line(error(REFUSED, f"shares that sum to {100 * total:.4g} %", "a sum of 100 %"), "mix"))
    if lines:
        raise_lines("distribution", lines)
    parts.sort()
    ends = [0.0]
    for _, share in parts:
        ends.append(ends[-1] + share)
    ends[-1] = 1.0
    return Dist(
        "table",
        0.0,
        points_p=tuple(p for pair in pairwise(ends) for p in pair),
        points_x=tuple(x for x, _ in parts for _ in range(2)),
    )


# ------------------------------------------------------------------ JSON schema


def quantity_schema(kind: str) -> dict[str, Any]:
    """Return the JSON schema of a plain quantity, so that editors help with units."""
    if kind not in KINDS:
        return {"type": "number"}
    unit_kind = KINDS[kind]
    units = "|".join(re.escape(u).replace("\\-", "-") for u in unit_kind.factors)
    return {
        "type": "string",
        "pattern": rf"^\s*[+-]?[0-9][0-9_]*\.?[0-9]*([eE][+-]?[0-9]+)?\s*({units})\s*$",
        "examples": [unit_kind.example],
        "x-unit": kind,
    }


def distribution_schema(kind: str) -> dict[str, Any]:
    """Return the JSON schema of a value or distribution."""
    plain = quantity_schema(kind)
    value = {k: v for k, v in plain.items() if k != "x-unit"}
    variants = [plain]
    for name, fields in DISTRIBUTIONS.items():
        if name == "quantiles":
            body: dict[str, Any] = {"type": "object", "additionalProperties": value}
        elif name == "mix":
            body = {"type": "object", "additionalProperties": quantity_schema("share")}
        else:
            kinds = {**fields, "min": "value", "max": "value"}
            properties = {f: value if k == "value" else {"type": "number"} for f, k in kinds.items()}
            body = {
                "type": "object",
                "properties": properties,
                "required": list(fields),
                "additionalProperties": False,
            }
        variants.append(
            {"type": "object", "properties": {name: body}, "required": [name], "additionalProperties": False}
        )
    return {"anyOf": variants}


@dataclass(frozen=True, slots=True)
class Unit:
    """Annotation: a unit string in the file, an SI float in Python."""

    kind: str
    positive: bool = False
    most: float = math.inf

    def parse(self, value: object) -> float:
        """Return the SI value, or raise the error that says what is wrong."""
        number = parse_value(value, self.kind)
        if self.positive and number <= 0:
            raise error(RANGE, f"{shorten(value)} is not above zero", f"a {self.kind} above zero")
        if number > self.most:
            raise error(
                RANGE, f"{shorten(value)} is too large", f"at most {show_quantity(self.most, self.kind)}"
            )
        return number

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema that pydantic runs."""
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Return the JSON schema with a pattern of the allowed units."""
        return quantity_schema(self.kind)


@dataclass(frozen=True, slots=True)
class Random:
    """Annotation: a value or a distribution in the file, a :class:`Dist` in Python."""

    kind: str
    low: float = 0.0

    def parse(self, value: object) -> Dist:
        """Return the distribution, or raise the errors that say what is wrong."""
        return parse_distribution(value, self.kind, self.low)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema that pydantic runs."""
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Return the JSON schema of the plain value and of each distribution."""
        return distribution_schema(self.kind)


Rate = Annotated[float, Unit("rate", positive=True)]
Size = Annotated[float, Unit("size")]
Duration = Annotated[float, Unit("duration")]
Length = Annotated[float, Unit("length", most=4e7)]
Frequency = Annotated[float, Unit("frequency", positive=True)]
Money = Annotated[float, Unit("money")]
Share = Annotated[float, Unit("share", most=1.0)]
RandomDuration = Annotated[Dist, Random("duration")]
RandomSize = Annotated[Dist, Random("size")]
Amount = Annotated[Dist, Random("")]
RandomLevel = Annotated[Dist, Random("", 1.0)]
