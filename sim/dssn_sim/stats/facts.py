"""The few facts of a plan that statistics need; kept in ``run.json`` so that a folder explains itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dssn_models.plan import ObjectivePlan, Plan

__all__ = ["RunFacts"]


@dataclass(frozen=True)
class RunFacts:
    """Horizon, warm-up, confidence, classes and objectives of a run.

    Attributes
    ----------
    horizon_s, warmup_s : float
        Orders that arrived before ``warmup_s`` count in no KPI.
    confidence : float
        Of every interval, for example 0.95.
    classes : tuple of str
        Priority classes in order.
    objectives : tuple of ObjectivePlan
        To be judged.
    steady : bool
        Whether the load is meant to be the same all the time (no daily profile, burst, trace or fault).
    detail : float
        Share of the orders whose flows, phases and bills are in the tables.
    """

    horizon_s: float
    warmup_s: float
    confidence: float
    classes: tuple[str, ...]
    objectives: tuple[ObjectivePlan, ...] = ()
    steady: bool = True
    detail: float = 1.0

    @classmethod
    def of(cls, plan: Plan, detail: float = 1.0) -> RunFacts:
        """Return the facts of a plan of which details of a share of the orders are kept."""
        run = plan.run
        return cls(
            run.horizon_s,
            run.warmup_s,
            run.confidence,
            tuple(c.id for c in plan.classes),
            plan.objectives,
            not plan.faults and all(s.arrivals.kind in ("poisson", "renewal") for s in plan.streams),
            detail,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return them for JSON."""
        return {
            "horizon_s": self.horizon_s,
            "warmup_s": self.warmup_s,
            "confidence": self.confidence,
            "classes": list(self.classes),
            "objectives": [asdict(o) for o in self.objectives],
            "steady": self.steady,
            "detail": self.detail,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> RunFacts:
        """Return the facts that :meth:`as_dict` gave."""
        return cls(
            float(value["horizon_s"]),
            float(value["warmup_s"]),
            float(value["confidence"]),
            tuple(value["classes"]),
            tuple(ObjectivePlan(**o) for o in value["objectives"]),
            bool(value.get("steady", True)),
            float(value.get("detail", 1.0)),
        )
