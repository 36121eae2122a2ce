"""Reserved rates: what a soft slice guarantees to each of its flows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Slice", "guarantees"]


@dataclass(slots=True)
class Slice:
    """A reserved rate on some links.

    Hard: every link gets a share of its own (``cuts``: link to solver resource) that nobody else
    may use. Soft: the flows get a guaranteed part; what they leave idle is free for all.
    """

    id: int
    links: tuple[int, ...]
    rate_bps: float
    hard: bool
    cuts: dict[int, int] = field(default_factory=dict)
    flows: dict[int, Any] = field(default_factory=dict)  # activity number -> activity


def guarantees(
    rates: Mapping[int, float], flows: Sequence[tuple[tuple[int, ...], float, float]]
) -> list[float]:
    """Divide reserved rates among flows: weighted max-min, each within its cap.

    Parameters
    ----------
    rates
        Reserved rate by link (bit/s).
    flows
        (route, weight, cap) of each flow. A flow that leaves the slice's links is guaranteed
        nothing, since the other links promise nothing.

    Returns
    -------
    list of float
        Guaranteed rate of each flow (bit/s).
    """
    out = [0.0] * len(flows)
    free = [i for i, (route, _, _) in enumerate(flows) if all(x in rates for x in route)]
    while free:
        # progressive filling from scratch each round; slices hold few flows
        level, full = min((flows[i][2] / flows[i][1], -1) for i in free)
        for x in rates:
            weight = sum(flows[i][1] * flows[i][0].count(x) for i in free)
            if weight > 0.0:
                used = sum(out[i] * flows[i][0].count(x) for i in range(len(flows)) if i not in free)
                here = max(rates[x] - used, 0.0) / weight
                if here < level:
                    level, full = here, x
        fixed = [i for i in free if (full >= 0 and full in flows[i][0]) or flows[i][2] / flows[i][1] <= level]
        for i in fixed:
            out[i] = min(level * flows[i][1], flows[i][2])
        free = [i for i in free if i not in fixed]
    return out
