"""Admission policies: take an order or refuse it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from dssn_models.policies.api import Admit, Decision, PolicyKind, RefuseOrder, View
from dssn_models.policies.placement import completion_s

__all__ = ["Always", "DeadlineAware", "MaxInFlight", "TokenBucket"]


@dataclass
class Always:
    """Take every order."""

    kind: ClassVar[PolicyKind] = "admission"

    def decide(self, view: View, now: float, rng: np.random.Generator) -> Decision:
        """Admit."""
        return Admit()


@dataclass
class MaxInFlight:
    """Take orders while fewer than ``limit`` deliveries are under way."""

    kind: ClassVar[PolicyKind] = "admission"
    limit: int = field(default=1000, metadata={"doc": "deliveries under way at most"})

    def decide(self, view: View, now: float, rng: np.random.Generator) -> Decision:
        """Admit below the limit."""
        return Admit() if view.in_flight < self.limit else RefuseOrder("admission.policy")


@dataclass
class TokenBucket:
    """Take orders at a mean ``rate`` with bursts of up to ``burst``; urgent ones may always pass.

    The bucket starts full. Classes with a priority number below ``exempt_below`` take no token.
    """

    kind: ClassVar[PolicyKind] = "admission"
    rate: float = field(default=1.0, metadata={"unit": "frequency", "doc": "orders taken in the long run"})
    burst: float = field(default=10.0, metadata={"doc": "orders taken at once after a quiet time"})
    exempt_below: int = field(
        default=0, metadata={"doc": "classes with a smaller priority number always pass"}
    )
    _tokens: float = field(default=math.nan, init=False, repr=False)
    _filled_s: float = field(default=0.0, init=False, repr=False)

    def decide(self, view: View, now: float, rng: np.random.Generator) -> Decision:
        """Admit while there is a token."""
        if view.job is not None and view.job.priority < self.exempt_below:
            return Admit("exempt class")
        if math.isnan(self._tokens):
            self._tokens = self.burst
        else:
            self._tokens = min(self.burst, self._tokens + (now - self._filled_s) * self.rate)
        self._filled_s = now
        if self._tokens < 1.0:
            return RefuseOrder("admission.policy")
        self._tokens -= 1.0
        return Admit()


@dataclass
class DeadlineAware:
    """Refuse an order that is not expected to meet its deadline.

    Where candidate nodes are shown, the estimate is the best node's completion time (see
    ``placement: joint``); else ``service`` for each round of ``slots`` deliveries under way.
    """

    kind: ClassVar[PolicyKind] = "admission"
    service: float = field(default=10.0, metadata={"unit": "duration", "doc": "time of one delivery alone"})
    slots: int = field(default=100, metadata={"doc": "deliveries that run side by side without waiting"})
    parallel: float = field(default=4.0, metadata={"doc": "cores one job can use"})

    def decide(self, view: View, now: float, rng: np.random.Generator) -> Decision:
        """Admit if the estimated end is not after the deadline."""
        job = view.job
        if job is None or job.deadline_s is None:
            return Admit("no deadline")
        nodes = [c for c in view.candidates if c.up]
        if nodes:
            left = min(completion_s(c, job, self.parallel) for c in nodes)
        else:
            left = self.service * (1 + view.in_flight / max(1, self.slots))
        return Admit() if now + left <= job.deadline_s else RefuseOrder("admission.policy")
