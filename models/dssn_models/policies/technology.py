"""Technology policies: which carrier service a delivery orders.

``view.options`` carries what the order asks: ``isolation`` (none, soft, hard) and ``rate_bps`` or None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from dssn_models.policies.api import ChooseTechnology, Decision, PolicyKind, RefuseOrder, TechnologyView, View

__all__ = ["ISOLATION_RANK", "CheapestTechnology", "Fastest", "Fixed", "suitable"]

#: Isolation kinds by strength.
ISOLATION_RANK = {"none": 0, "soft": 1, "hard": 2}


def suitable(view: View) -> Sequence[TechnologyView]:
    """Return the technologies that give the isolation and the rate that the order asks for."""
    wanted = ISOLATION_RANK.get(str(view.options.get("isolation", "none")), 0)
    asked = view.options.get("rate_bps")
    rate = float(asked) if asked is not None else 0.0
    return [
        t
        for t in view.technologies
        if ISOLATION_RANK.get(t.isolation, 0) >= wanted and t.free_bps >= rate
    ]  # fmt: skip


def _smallest(view: View, key: Callable[[TechnologyView], tuple[float, ...]], reason: str) -> Decision:
    if not view.technologies:
        return RefuseOrder("network.no_route")
    found = suitable(view)
    if not found:
        return RefuseOrder("capacity.network")
    best = min(found, key=lambda t: (*key(t), t.name))
    return ChooseTechnology(best.name, reason=reason)


@dataclass
class CheapestTechnology:
    """The lowest price among those that give the isolation and rate asked, then the smallest delay."""

    kind: ClassVar[PolicyKind] = "technology"

    def decide(self, view: View, now: float, rng: np.random.Generator) -> Decision:
        """Return the cheapest suitable technology."""
        return _smallest(view, lambda t: (t.price_cny_per_mbps_month, t.delay_s), "lowest price")


@dataclass
class Fastest:
    """The smallest delay among those that give the isolation and rate asked, then the most free rate."""

    kind: ClassVar[PolicyKind] = "technology"

    def decide(self, view: View, now: float, rng: np.random.Generator) -> Decision:
        """Return the fastest suitable technology."""
        return _smallest(view, lambda t: (t.delay_s, -t.free_bps), "smallest delay")


@dataclass
class Fixed:
    """Always the same technology; an order that it does not reach is refused."""

    kind: ClassVar[PolicyKind] = "technology"
    technology: str = field(default="otn", metadata={"doc": "name of the technology"})

    def decide(self, view: View, now: float, rng: np.random.Generator) -> Decision:
        """Return the fixed technology."""
        if any(t.name == self.technology for t in view.technologies):
            return ChooseTechnology(self.technology, reason="fixed")
        return RefuseOrder("network.no_route")
