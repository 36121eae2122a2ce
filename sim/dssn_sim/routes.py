"""What a route costs and how fast it is alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from dssn_models.network.routing import Route
from dssn_models.plan import LinkPlan

__all__ = ["byte_price", "ideal", "narrowest"]

_SECONDS_PER_MONTH: Final = 30 * 86400.0


def narrowest(links: Sequence[LinkPlan], route: Route) -> tuple[float, int]:
    """Return the lowest rate of a route (bit/s) and the directed resource that has it; (inf, -1) without links."""
    rate, where = math.inf, -1
    for resource in route.links:
        link = links[resource // 2]
        here = link.rate_ab_bps if resource % 2 == 0 else link.rate_ba_bps
        if here < rate:
            rate, where = here, resource
    return rate, where


def ideal(links: Sequence[LinkPlan], route: Route, wire_bytes: float) -> tuple[float, str, str]:
    """Return the time of a transfer alone on its path (s), the narrowest link and the technologies."""
    rate, where = narrowest(links, route)
    time = wire_bytes * 8 / rate + route.delay_s if route.links else 0.0
    return time, links[where // 2].id if where >= 0 else "", "+".join(route.technologies)


def byte_price(route: Route) -> float:
    """Return CNY per wire byte: the monthly price of 1 Mbit/s spread over a half-used month."""
    return route.price / (1e6 / 8 * _SECONDS_PER_MONTH * 0.5)
