"""Money in whole micro-yuan, so that shares add up to the bill exactly.

One micro-yuan is 10^-6 CNY: fine enough for one row of an API answer (10^-6 CNY), and 2^53 of them, the
largest whole number a float holds, are 9 billion CNY.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

__all__ = ["MICRO", "apportion", "to_cny", "to_micro"]

MICRO: Final = 1_000_000
_GRAIN: Final = 1 << 50  # weights count to one part in 10^15 of the largest


def to_micro(amount_cny: float | Fraction) -> int:
    """Return CNY as whole micro-yuan, halves to even.

    Examples
    --------
    >>> to_micro(0.01)
    10000
    """
    if isinstance(amount_cny, float):
        return round(amount_cny * MICRO)
    return round(Fraction(amount_cny) * MICRO)


def to_cny(amount: int) -> float:
    """Return micro-yuan as CNY."""
    return amount / MICRO


def apportion(amount: int, weights: Mapping[str, float]) -> dict[str, int]:
    """Split an amount by weights so that the parts add up to it exactly.

    Each part is its exact share rounded down; what is left goes, one unit each, to the largest remainders
    (Hamilton's method), ties by name.

    Parameters
    ----------
    amount : int
        Micro-yuan, zero or more.
    weights : Mapping
        Name to weight, zero or more, not all zero.

    Raises
    ------
    ValueError
        Negative amount or weight, or no positive weight.

    Examples
    --------
    >>> apportion(100, {"a": 1, "b": 1, "c": 1})
    {'a': 34, 'b': 33, 'c': 33}
    """
    top = max(weights.values(), default=0.0)
    if amount < 0 or not (top > 0 and math.isfinite(top)) or min(weights.values()) < 0:
        raise ValueError(f"cannot split {amount} by {dict(weights)}")
    whole = {name: round(w / top * _GRAIN) for name, w in weights.items()}
    total = sum(whole.values())
    if len(whole) == 1:
        return dict.fromkeys(whole, amount)
    parts = {name: amount * w // total for name, w in whole.items()}
    left = amount - sum(parts.values())
    if left:
        for name in sorted(whole, key=lambda n: (-(amount * whole[n] % total), n))[:left]:
            parts[name] += 1
    return parts
