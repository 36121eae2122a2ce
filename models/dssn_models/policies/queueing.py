"""Queueing policies: the sort key of a waiting request; the smallest goes first.

Every key ends in arrival time and number, so equal requests are served in order of arrival.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from dssn_models.policies.api import PolicyKind, Rank, View

__all__ = ["EarliestDeadline", "Fifo", "Priority", "ShortestJob"]


@dataclass
class Fifo:
    """First come, first served."""

    kind: ClassVar[PolicyKind] = "queueing"

    def decide(self, view: View, now: float, rng: np.random.Generator) -> Rank:
        """Return the arrival time as key."""
        item = view.queue[0]
        return Rank((item.arrived_s, float(item.id)))


@dataclass
class Priority:
    """By priority class (0 first), first come first served within a class.

    With ``aging`` a request counts as if it had come ``priority * aging`` later, so a low class
    waits at most that much longer than a high one and is never starved.
    """

    kind: ClassVar[PolicyKind] = "queueing"
    aging: float = field(
        default=math.inf,
        metadata={"unit": "duration", "doc": "head start of each class over the next (default: for ever)"},
    )

    def decide(self, view: View, now: float, rng: np.random.Generator) -> Rank:
        """Return (priority, arrival), or with aging the aged arrival, as key."""
        item = view.queue[0]
        if math.isinf(self.aging):
            return Rank((float(item.priority), item.arrived_s, float(item.id)))
        return Rank((item.arrived_s + item.priority * self.aging, float(item.priority), float(item.id)))


@dataclass
class EarliestDeadline:
    """By deadline; requests without one come last."""

    kind: ClassVar[PolicyKind] = "queueing"

    def decide(self, view: View, now: float, rng: np.random.Generator) -> Rank:
        """Return the deadline as key."""
        item = view.queue[0]
        deadline = math.inf if item.deadline_s is None else item.deadline_s
        return Rank((deadline, item.arrived_s, float(item.id)))


@dataclass
class ShortestJob:
    """By the work asked for, least first: short mean times, long waits for big jobs."""

    kind: ClassVar[PolicyKind] = "queueing"

    def decide(self, view: View, now: float, rng: np.random.Generator) -> Rank:
        """Return the work as key."""
        item = view.queue[0]
        return Rank((item.work_core_s, item.arrived_s, float(item.id)))
