"""Routing policies: which of the candidate paths a delivery takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dssn_models.policies.api import ChooseRoute, Decision, PolicyKind, RefuseOrder, RouteView, View

__all__ = ["CheapestRoute", "LeastUtilised", "ShortestDelay"]


def _smallest(view: View, key: Callable[[RouteView], tuple[float, ...]], reason: str) -> Decision:
    if not view.routes:
        return RefuseOrder("network.no_route")
    return ChooseRoute(min(view.routes, key=lambda r: (*key(r), r.id)).id, reason)


@dataclass
class ShortestDelay:
    """The path with the smallest delay, then the fewest hops."""

    kind: ClassVar[PolicyKind] = "routing"

    def decide(self, view: View, now: float, rng: np.random.Generator) -> Decision:
        """Return the path with the smallest delay."""
        return _smallest(view, lambda r: (r.delay_s, r.hops), "smallest delay")


@dataclass
class LeastUtilised:
    """The path whose narrowest link has the most free rate, then the smallest delay."""

    kind: ClassVar[PolicyKind] = "routing"

    def decide(self, view: View, now: float, rng: np.random.Generator) -> Decision:
        """Return the path with the most free rate."""
        return _smallest(view, lambda r: (-r.free_bps, r.delay_s), "most free rate")


@dataclass
class CheapestRoute:
    """The path with the lowest price, then the smallest delay."""

    kind: ClassVar[PolicyKind] = "routing"

    def decide(self, view: View, now: float, rng: np.random.Generator) -> Decision:
        """Return the cheapest path."""
        return _smallest(view, lambda r: (r.price, r.delay_s), "lowest price")
