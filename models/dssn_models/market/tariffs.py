"""Tariffs: what metered usage costs [BIZ-07].

Kinds: price per unit; a free allowance (package) before it; tiers by volume; a base fee per order. Rating is
a pure function of meters and tariff, so rating the same meters again gives the same bill.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from dssn_models.market.metering import KINDS, Meter
from dssn_models.market.money import MICRO, to_cny, to_micro

__all__ = ["BillLine", "Price", "Tariff", "TariffError", "rate"]


class TariffError(ValueError):
    """A tariff that cannot be applied."""


class BillLine(NamedTuple):
    """One line of a bill; ``amount`` in micro-yuan."""

    order: int
    party: str
    role: str  # payer | payee
    item: str
    amount: int

    @property
    def amount_cny(self) -> float:
        """The amount in CNY."""
        return to_cny(self.amount)


@dataclass(frozen=True, slots=True)
class Price:
    """Price of one meter kind.

    Attributes
    ----------
    unit_cny : float
        CNY per unit, up to the first tier.
    allowance : float
        Units free of charge per order (package).
    tiers : tuple of (units, CNY per unit)
        Above so many charged units the price changes to this, ascending.
    """

    unit_cny: float
    allowance: float = 0.0
    tiers: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        if not self.tiers and 0 <= self.unit_cny < math.inf and self.allowance >= 0:
            return  # the usual case, quickly: a bill is made for every order
        starts = [t[0] for t in self.tiers]
        prices = [self.unit_cny, *(t[1] for t in self.tiers)]
        if any(not (p >= 0 and math.isfinite(p)) for p in prices) or not self.allowance >= 0:
            raise TariffError(f"prices {prices} and allowance {self.allowance} must be zero or more")
        if starts != sorted(set(starts)) or any(s <= 0 for s in starts):
            raise TariffError(f"tiers must begin at ascending quantities above zero: {starts}")

    def amount(self, quantity: float) -> int:
        """Return the price of a quantity (micro-yuan), rounded once."""
        if not self.tiers:
            return round(max(0.0, quantity - self.allowance) * self.unit_cny * MICRO)
        left = max(Fraction(0), Fraction(quantity) - Fraction(self.allowance))
        edges = [Fraction(0), *(Fraction(t[0]) for t in self.tiers)]
        prices = [Fraction(self.unit_cny), *(Fraction(t[1]) for t in self.tiers)]
        total = Fraction(0)
        for i, (edge, price) in enumerate(zip(edges, prices, strict=True)):
            if left <= edge:
                break
            upper = left if i + 1 == len(edges) else min(left, edges[i + 1])
            total += (upper - edge) * price
        return to_micro(total)


@dataclass(frozen=True)
class Tariff:
    """Meter kind to price, and a base fee per order (CNY)."""

    prices: Mapping[str, Price] = field(default_factory=dict)
    base_cny: float = 0.0

    @classmethod
    def from_mapping(cls, data: Mapping[str, float]) -> Tariff:
        """Return the tariff of a plan (meter kind -> CNY per unit).

        Raises
        ------
        TariffError
            An unknown meter kind or a negative price.
        """
        for kind in data:
            if kind not in KINDS:
                raise TariffError(f"{kind!r} is no meter kind; allowed: {', '.join(KINDS)}")
        return cls({kind: Price(price) for kind, price in data.items() if price})


def rate(meters: Iterable[Meter], tariff: Tariff | Mapping[str, float]) -> list[BillLine]:
    """Return the bill lines of metered usage, sorted by order, party and item.

    Meters of one order, party and kind are added before tiers apply. Usage without a price gives no line.

    Parameters
    ----------
    meters : iterable of Meter
        Usage.
    tariff : Tariff or Mapping
        Prices; a mapping is meter kind -> CNY per unit.
    """
    if not isinstance(tariff, Tariff):
        tariff = Tariff.from_mapping(tariff)
    totals: dict[tuple[int, str, str], list[float]] = {}
    payers: set[tuple[int, str]] = set()
    for m in meters:
        totals.setdefault((m.order, m.party, m.kind), []).append(m.quantity)
        payers.add((m.order, m.party))
    lines = [
        BillLine(order, party, "payer", kind, tariff.prices[kind].amount(math.fsum(parts)))
        for (order, party, kind), parts in totals.items()
        if kind in tariff.prices
    ]
    if tariff.base_cny:
        lines += [
            BillLine(order, party, "payer", "base", to_micro(tariff.base_cny)) for order, party in payers
        ]
    return sorted(lines)
