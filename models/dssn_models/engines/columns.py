"""Costs of many orders at once, by the engines' own formulas.

An engine's ``build`` is ordinary arithmetic with a few branches. Handed a :class:`Column` (the values of
one parameter over many orders) instead of a number, the same code computes all orders together, as long as
every branch goes the same way for all of them. Where it would not, the column says so, the orders are
split by that question and each part is computed again. So there is one formula, and the orders of one
group have the same steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dssn_models.engines.api import JobCost

__all__ = ["Column", "CostGroup", "exp", "grouped", "values_of"]


class _SplitError(Exception):
    """A question that some orders answer with yes and others with no."""

    def __init__(self, answer: NDArray[np.bool_]) -> None:
        self.answer = answer


class Column(np.ndarray[Any, np.dtype[Any]]):
    """Values of many orders that behave like one number."""

    def __bool__(self) -> bool:
        yes = np.asarray(self) != 0
        if yes.all():
            return True
        if not yes.any():
            return False
        raise _SplitError(yes)

    def __ceil__(self) -> Column:
        return np.ceil(self)  # type: ignore[return-value]

    def __floor__(self) -> Column:
        return np.floor(self)  # type: ignore[return-value]

    # numpy's own powers differ from Python's in the last digit.
    def __pow__(self, exponent: Any, _mod: None = None) -> Column:
        return _each(pow, self, exponent)

    def __rpow__(self, base: Any, _mod: None = None) -> Column:
        return _each(pow, base, self)


def _each(function: Callable[..., float], *numbers: Any) -> Column:
    columns = np.broadcast_arrays(*(np.asarray(x) for x in numbers))
    values = map(function, *(c.tolist() for c in columns))
    return np.fromiter(values, dtype=np.float64, count=columns[0].size).view(Column)


def exp(x: float) -> float:
    """Return e to the power of a number, or of each value of a column."""
    number: Any = _each(math.exp, x) if isinstance(x, Column) else math.exp(x)
    return number  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class CostGroup:
    """Orders with the same steps, and their costs.

    Attributes
    ----------
    rows : array of int
        Positions of the orders in the columns that were asked for.
    cost : JobCost
        As of one order, with a column of the length of ``rows`` in place of every number that differs.
    """

    rows: NDArray[np.int64]
    cost: JobCost


def values_of(number: Any, n: int) -> NDArray[np.float64]:
    """Return a number of a group's cost as a plain array of n values."""
    return np.ascontiguousarray(np.broadcast_to(np.asarray(number, dtype=np.float64), n))


def grouped(
    build: Callable[[Mapping[str, Any]], JobCost], params: Mapping[str, Any], n: int
) -> list[CostGroup]:
    """Compute ``build(params)`` for n orders at once, split where their branches differ."""
    groups: list[CostGroup] = []
    parts = [np.arange(n, dtype=np.int64)] if n else []
    while parts:
        rows = parts.pop()
        mine = {k: v[rows].view(Column) if isinstance(v, np.ndarray) else v for k, v in params.items()}
        try:
            groups.append(CostGroup(rows, build(mine)))
        except _SplitError as split:
            # The part that begins with the lower order comes first.
            both = [rows[split.answer], rows[~split.answer]]
            parts += sorted(both, key=lambda part: -part[0])
    return groups
