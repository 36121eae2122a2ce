"""The bill of one delivery: meters, rated usage, product price, and the split over the parties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dssn_models.market.metering import KINDS, Meter
from dssn_models.market.money import MICRO, to_cny, to_micro
from dssn_models.market.orders import Order
from dssn_models.market.settlement import order_shares, split
from dssn_models.market.tariffs import BillLine, Tariff, rate
from dssn_models.plan import Plan

__all__ = ["Biller", "DeliveryBill", "bill_delivery"]


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
        providers: dict[str, float] = {}
        product_cny = order.stream.price_cny
        for node, asset in zip(order.providers, order.assets, strict=True):
            price = plan.asset_by_id[asset].price_cny
            product_cny += price
            name = self.party_of(node)
            providers[name] = providers.get(name, 0.0) + price
        product = to_micro(product_cny)
        rated = [line for line in rate(meters, self._tariff) if line.amount]
        used = sum(line.amount for line in rated)
        exchange = self.party_of(order.stream.exchange) if order.stream.exchange else None
        shares = order_shares(self._takers, providers or {payer: 1.0}, exchange)
        payees = split(index, product, used, shares).lines
        if product:
            rated.insert(0, BillLine(index, payer, "payer", "product", product))
        return DeliveryBill(meters, (*rated, *payees), product + used)


def bill_delivery(plan: Plan, order: Order, usage: Mapping[str, float]) -> DeliveryBill:
    """Return the bill of one delivery; for many of one plan keep a :class:`Biller`."""
    return Biller(plan).bill(order, usage)
