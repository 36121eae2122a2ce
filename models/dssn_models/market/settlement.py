"""Settlement: the revenue of an order split over the six parties [BIZ-07, BIZ-13].

The price of the product goes to the providers after the shares of the other parties; usage of network and
nodes goes to the service parties. Shares add up to the bill exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from dssn_models.market.money import apportion, to_cny
from dssn_models.market.tariffs import BillLine
from dssn_models.plan import PartyPlan, Plan

__all__ = ["PARTY_KINDS", "Shares", "Split", "order_shares", "share_problems", "split"]

PARTY_KINDS: Final[tuple[str, ...]] = ("provider", "consumer", "exchange", "regulator", "merchant", "service")

#: Kinds that take a share of an order's product price; the provider takes what is left.
_SHARING: Final = ("service", "merchant", "regulator")


@dataclass(frozen=True, slots=True)
class Shares:
    """Who takes which part: ``product`` of the product price, ``usage`` of metered usage (weights)."""

    product: Mapping[str, float]
    usage: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Split:
    """Payee lines of an order."""

    lines: tuple[BillLine, ...]

    @property
    def total(self) -> int:
        """Sum of all payees (micro-yuan)."""
        return sum(line.amount for line in self.lines)

    @property
    def total_cny(self) -> float:
        """Sum of all payees in CNY."""
        return to_cny(self.total)


def share_problems(plan: Plan) -> list[str]:
    """Return what is wrong with the revenue shares of a plan's parties (for checks before a run)."""
    out = [f"party {p.id}: share {p.revenue_share:g}" for p in plan.parties if not 0 <= p.revenue_share <= 1]
    fixed = sum(p.revenue_share for p in plan.parties if p.kind in _SHARING)
    top = max((p.revenue_share for p in plan.parties if p.kind == "exchange"), default=0.0)
    if fixed + top > 1 + 1e-12:
        out.append(f"the parties' shares of one order add up to {fixed + top:.3g}, more than 1")
    return out


def order_shares(
    parties: Iterable[PartyPlan], providers: Mapping[str, float], exchange: str | None
) -> Shares:
    """Return the weights by which an order's revenue is split.

    Parameters
    ----------
    parties : iterable of PartyPlan
        All parties; service, merchant and regulator take their ``revenue_share`` of every order.
    providers : Mapping
        Provider party to the price of its assets (CNY); they divide what is left by price, equally if all
        prices are zero.
    exchange : str or None
        Party of the exchange that closed the trade; it takes its share, others take none.

    Notes
    -----
    Shares that add up to more than 1 (see :func:`share_problems`) are scaled down to 1.
    """
    parties = list(parties)
    takers = {p.id: p.revenue_share for p in parties if p.kind in _SHARING and p.revenue_share > 0}
    takers |= {p.id: p.revenue_share for p in parties if p.id == exchange and p.revenue_share > 0}
    taken = min(1.0, sum(takers.values()))
    weights = {name: price for name, price in providers.items() if price > 0} or dict.fromkeys(providers, 1.0)
    total = sum(weights.values())
    product = dict(takers)
    for name, weight in weights.items():
        product[name] = product.get(name, 0.0) + (1.0 - taken) * weight / total
    operators = {p.id: max(p.revenue_share, 0.0) for p in parties if p.kind == "service"}
    if operators and not any(operators.values()):
        operators = dict.fromkeys(operators, 1.0)
    return Shares(product, operators or product)


def split(order: int, product: int, usage: int, shares: Shares) -> Split:
    """Return the payee lines of an order.

    Parameters
    ----------
    order : int
        Number of the order.
    product, usage : int
        What the payer pays for the product and for metered usage (micro-yuan).
    shares : Shares
        From :func:`order_shares`.

    Examples
    --------
    >>> s = split(0, 100_000_000, 7, Shares({"dssn": 0.1, "bank": 0.9}, {"dssn": 1.0}))
    >>> [(x.party, x.item, x.amount) for x in s.lines]
    [('bank', 'product', 90000000), ('dssn', 'product', 10000000), ('dssn', 'usage', 7)]
    """
    lines = [
        BillLine(order, party, "payee", item, part)
        for item, amount, weights in (("product", product, shares.product), ("usage", usage, shares.usage))
        if amount
        for party, part in apportion(amount, weights).items()
        if part
    ]
    return Split(tuple(sorted(lines)))
