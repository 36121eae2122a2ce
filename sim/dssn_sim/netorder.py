"""The network order of a delivery: which carrier service, and slices where a rate is ordered."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from dssn_models.network.routing import Route
from dssn_models.policies.api import ChooseTechnology, RefuseOrder, TechnologyView, View
from dssn_sim.errors import Refusal

if TYPE_CHECKING:
    from dssn_sim.delivery import Delivery
    from dssn_sim.world import Process, World

__all__ = ["Offers", "order_network", "release_slices"]


class Offers:
    """Carrier services between pairs of nodes: all but the free rate is known once per pair."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._known: dict[tuple[str, str, frozenset[int]], list[tuple[Route, TechnologyView]]] = {}

    def views(self, a: str, b: str) -> list[TechnologyView]:
        """Return the services that reach from a to b now, with their free rate as last reported."""
        world = self.world
        key = (a, b, world.avoid)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._look_up(a, b)
        world.telemetry.refresh()
        free = world.telemetry.link_free
        return [
            TechnologyView(
                v.name, v.delay_s, min((free(r) for r in route.links), default=math.inf),
                v.price_cny_per_mbps_month, v.isolation, v.setup_s, v.loss, v.availability,
            )
            for route, v in known
        ]  # fmt: skip

    def _look_up(self, a: str, b: str) -> list[tuple[Route, TechnologyView]]:
        world = self.world
        found = []
        for name in world.router.planes:
            route = world.route(a, b, name)
            if route is None:
                continue
            links = [world.plan.network.links[r // 2] for r in route.links]
            core = [link for link in links if not link.access] or links
            view = TechnologyView(
                name, route.delay_s, 0.0, route.price, core[0].isolation if core else "none",
                max((link.setup_s for link in links), default=0.0), route.loss,
                math.prod(link.availability for link in links),
            )  # fmt: skip
            found.append((route, view))
        return found


def order_network(d: Delivery) -> Process:
    """Choose the carrier service and, where a rate is ordered, open slices to and from every provider.

    Raises
    ------
    Refusal
        ``network.no_route``, ``capacity.network`` (no room, or too long a delay), or the policy's reason.
    """
    net, world = d.order.stream.net, d.world
    began = world.env.now
    rate: float | None = net.rate_bps
    isolation: str = net.isolation
    if d.technology is None and "technology" in world.policies:
        rate, isolation = _choose(d, rate, isolation)
    if rate is None or isolation == "none":
        return
    yield from d.call("dsp.scheduling", "network_order")
    setup = 0.0
    for provider in d.order.providers:
        for a, b in ((provider, d.order.consumer), (d.order.consumer, provider)):
            route = _usable_route(d, a, b)
            ident = world.dp.open_slice(route.links, rate, hard=isolation == "hard")
            if ident < 0:
                raise Refusal("capacity.network", f"no room for the slice {a} -> {b}")
            d.slices[a, b] = (ident, route)
            setup = max([setup, *(world.plan.network.links[r // 2].setup_s for r in route.links)])
            d.slice_rows.append(
                (d.index, d.technology or "", isolation, rate, began, len(route.links), route.delay_s)
            )
    yield world.env.timeout(setup)
    d.opened_s = world.env.now
    d.note("network", f"{d.technology} {isolation}")


def _usable_route(d: Delivery, a: str, b: str) -> Route:
    most = d.order.stream.net.max_delay_s
    route = d.world.route(a, b, d.technology)
    if route is None:
        raise Refusal("network.no_route", f"{a} -> {b} over {d.technology}")
    if most is not None and route.delay_s > most:
        raise Refusal("capacity.network", f"delay {route.delay_s * 1e3:.2f} ms over {d.technology}")
    return route


def _choose(d: Delivery, rate: float | None, isolation: str) -> tuple[float | None, str]:
    world, order = d.world, d.order
    views = world.offers.views(order.consumer, order.providers[0])
    if not views:
        if order.consumer == order.providers[0]:
            return rate, isolation
        raise Refusal("network.no_route", f"{order.consumer} - {order.providers[0]}")
    view = View(
        technologies=views,
        in_flight=world.in_flight,
        state_age_s=world.telemetry.age_s,
        options={"isolation": isolation, "rate_bps": rate},
    )
    decision = world.decide("technology", view, d.index, len(views))
    if isinstance(decision, RefuseOrder):
        raise Refusal(decision.reason, "technology policy")
    if not isinstance(decision, ChooseTechnology):
        return rate, isolation
    d.technology = decision.technology
    return decision.rate_bps if decision.rate_bps is not None else rate, decision.isolation or isolation


def release_slices(d: Delivery) -> None:
    """Close the delivery's slices and record them."""
    now = d.world.env.now
    for ident, _route in d.slices.values():
        d.world.dp.close_slice(ident)
    d.slices.clear()
    for index, technology, isolation, rate, opened, hops, delay in d.slice_rows:
        d.world.rec.rows["slices"].append((index, technology, isolation, rate, opened, now, hops, delay))
