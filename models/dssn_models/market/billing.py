"""The bill of one delivery: meters, rated usage, product price, and the split over the parties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dssn_models.market.metering import KINDS, Meter
from dssn_models.market.money import to_cny, to_micro
from dssn_models.market.orders import Order
from dssn_models.market.settlement import order_shares, split
from dssn_models.market.tariffs import BillLine, rate
from dssn_models.plan import Plan

__all__ = ["DeliveryBill", "bill_delivery"]


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


def party_of(plan: Plan, node: str) -> str:
    """Return the party of a node (the node's id if it names none)."""
    found = plan.node_by_id.get(node)
    return found.party if found is not None and found.party else node


def bill_delivery(plan: Plan, order: Order, usage: Mapping[str, float]) -> DeliveryBill:
    """Return the bill of a delivery.

    Parameters
    ----------
    plan : Plan
        Tariff, parties and prices.
    order : Order
        The consumer pays the stream's price plus the prices of the assets; the providers get it, less the
        shares of exchange, service, merchant and regulator.
    usage : Mapping
        Meter kind to quantity (SI); kinds without a price are metered and cost nothing.
    """
    payer = party_of(plan, order.consumer)
    meters = tuple(
        Meter(order.index, payer, kind, quantity)
        for kind, quantity in sorted(usage.items())
        if kind in KINDS and quantity > 0
    )
    providers: dict[str, float] = {}
    product_cny = order.stream.price_cny
    for node, asset in zip(order.providers, order.assets, strict=True):
        price = plan.asset_by_id[asset].price_cny
        product_cny += price
        name = party_of(plan, node)
        providers[name] = providers.get(name, 0.0) + price
    product = to_micro(product_cny)
    rated = [line for line in rate(meters, plan.tariff) if line.amount]
    used = sum(line.amount for line in rated)
    exchange = party_of(plan, order.stream.exchange) if order.stream.exchange else None
    shares = order_shares(plan.parties, providers or {payer: 1.0}, exchange)
    lines = list(split(order.index, product, used, shares).lines)
    if product:
        rated.insert(0, BillLine(order.index, payer, "payer", "product", product))
    return DeliveryBill(meters, (*rated, *lines), product + used)
