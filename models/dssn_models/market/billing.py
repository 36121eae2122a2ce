"""The bill of one delivery: meters, rated usage, product price, and the split over the parties."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dssn_models.market.metering import KINDS, Meter
from dssn_models.market.money import MICRO, to_cny, to_micro
from dssn_models.market.orders import Order
from dssn_models.market.settlement import order_shares, split
from dssn_models.market.tariffs import BillLine, Tariff, rate
from dssn_models.plan import Plan

__all__ = ["BillLines", "Biller", "DeliveryBill", "bill_delivery"]


@dataclass(frozen=True, slots=True)
class DeliveryBill:
    """What a delivery's consumer pays, and who gets it.

    Attributes
    ----------
    meters : tuple of Meter
        Usage, all of it booked on the consumer's party.
    lines : tuple of BillLine
        Payer lines (product, then usage by meter kind) and payee lines; both add up to ``total``.
    total : int
        Micro-yuan.
    """

    meters: tuple[Meter, ...]
    lines: tuple[BillLine, ...]
    total: int

    @property
    def total_cny(self) -> float:
        """The total in CNY."""
        return to_cny(self.total)


class BillLines(NamedTuple):
    """Lines of many bills in columns; party, role and item are positions in the tuples of words behind them."""

    at: NDArray[np.int64]  # which delivery
    party: NDArray[np.int64]
    role: NDArray[np.int64]
    item: NDArray[np.int64]
    micro: NDArray[np.int64]
    parties: Sequence[str]
    roles: Sequence[str]
    items: Sequence[str]


class Biller:
    """Makes the bills of a plan; what does not depend on the order is looked up once.

    Parameters
    ----------
    plan : Plan
        Tariff, parties and prices.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._tariff = Tariff.from_mapping(plan.tariff)
        # Of thousands of parties only these take part in a split besides the providers of the order.
        self._takers = tuple(p for p in plan.parties if p.revenue_share > 0 or p.kind == "service")

    def party_of(self, node: str) -> str:
        """Return the party of a node (the node's id if it names none)."""
        found = self._plan.node_by_id.get(node)
        return found.party if found is not None and found.party else node

    def totals(
        self, price_cny: NDArray[np.float64], usage: Mapping[str, NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        """Return what many deliveries cost (CNY): the totals of their bills.

        Parameters
        ----------
        price_cny : array
            Product prices: the stream's and those of the assets.
        usage : Mapping
            Meter kind to quantities (SI), one each delivery.
        """
        total = np.rint(price_cny * MICRO)
        for kind, price in self._tariff.prices.items():
            if kind in usage:
                total += np.rint(np.maximum(usage[kind], 0.0) * price.unit_cny * MICRO)
        return np.asarray(total / MICRO)

    def lines(
        self,
        payer: NDArray[np.int64],
        parties: list[str],
        price_cny: NDArray[np.float64],
        usage: Mapping[str, NDArray[np.float64]],
        order_of: Callable[[int], Order],
    ) -> BillLines:
        """Return the lines of many bills, in the order in which :meth:`bill` has them.

        Parameters
        ----------
        payer : array of int
            Party that pays, a position in ``parties``.
        parties : list of str
            Names of parties; payees that are not among them are added.
        price_cny, usage
            As in :meth:`totals`.
        order_of : callable
            Position to order; only asked where a bill is split over several parties.
        """
        number = {name: i for i, name in enumerate(parties)}

        def code(name: str) -> int:
            if name not in number:
                number[name] = len(parties)
                parties.append(name)
            return number[name]

        product = np.rint(price_cny * MICRO).astype(np.int64)
        kinds = sorted(k for k in usage if k in self._tariff.prices)
        amounts = [product]
        for kind in kinds:
            price = self._tariff.prices[kind].unit_cny
            amounts.append(np.rint(np.maximum(usage[kind], 0.0) * price * MICRO).astype(np.int64))
        matrix = np.stack(amounts, axis=1)
        at, item = np.nonzero(matrix)
        parts = [(at, payer[at], np.zeros(len(at), np.int64), item, matrix[at, item])]
        used = matrix[:, 1:].sum(axis=1)
        operators = order_shares(self._takers, {"": 1.0}, None).usage
        alone = product == 0 if len(operators) == 1 and "" not in operators else np.zeros(len(product), bool)
        sole = np.flatnonzero(alone & (used > 0))
        if len(sole):
            to = np.full(len(sole), code(next(iter(operators))), np.int64)
            parts.append((sole, to, np.ones_like(sole), np.full_like(sole, len(kinds) + 1), used[sole]))
        rest: list[tuple[int, int, int, int, int]] = []
        for i in np.flatnonzero(~alone).tolist():
            found = self._payees(order_of(i), int(product[i]), int(used[i]))
            rest += [
                (i, code(x.party), 1, 0 if x.item == "product" else len(kinds) + 1, x.amount) for x in found
            ]
        if rest:
            parts.append(tuple(np.array(c, np.int64) for c in zip(*rest, strict=True)))  # type: ignore[arg-type]
        columns = [np.concatenate(c) for c in zip(*parts, strict=True)]
        order = np.lexsort((columns[2], columns[0]))
        where, party, role, what, micro = (c[order] for c in columns)
        items = ("product", *kinds, "usage")
        return BillLines(where, party, role, what, micro, parties, ("payer", "payee"), items)

    def _payees(self, order: Order, product: int, used: int) -> tuple[BillLine, ...]:
        """Return who gets what of an order."""
        providers: dict[str, float] = {}
        for node, asset in zip(order.providers, order.assets, strict=True):
            name = self.party_of(node)
            providers[name] = providers.get(name, 0.0) + self._plan.asset_by_id[asset].price_cny
        exchange = self.party_of(order.stream.exchange) if order.stream.exchange else None
        shares = order_shares(self._takers, providers or {self.party_of(order.consumer): 1.0}, exchange)
        return split(order.index, product, used, shares).lines

    def bill(self, order: Order, usage: Mapping[str, float]) -> DeliveryBill:
        """Return the bill of a delivery.

        Parameters
        ----------
        order : Order
            The consumer pays the stream's price plus the prices of the assets; the providers get it, less
            the shares of exchange, service, merchant and regulator.
        usage : Mapping
            Meter kind to quantity (SI); kinds without a price are metered and cost nothing, words that are
            no meter kind are left out.
        """
        plan, index = self._plan, order.index
        payer = self.party_of(order.consumer)
        meters = tuple(
            Meter(index, payer, kind, quantity)
            for kind, quantity in sorted(usage.items())
            if kind in KINDS and quantity > 0
        )
        product_cny = order.stream.price_cny
        for asset in order.assets:
            product_cny += plan.asset_by_id[asset].price_cny
        product = to_micro(product_cny)
        rated = [line for line in rate(meters, self._tariff) if line.amount]
        used = sum(line.amount for line in rated)
        payees = self._payees(order, product, used)
        if product:
            rated.insert(0, BillLine(index, payer, "payer", "product", product))
        return DeliveryBill(meters, (*rated, *payees), product + used)


def bill_delivery(plan: Plan, order: Order, usage: Mapping[str, float]) -> DeliveryBill:
    """Return the bill of one delivery; for many of one plan keep a :class:`Biller`."""
    return Biller(plan).bill(order, usage)
