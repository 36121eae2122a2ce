"""Accelerators: Amdahl's law over the operator that a card covers."""

from __future__ import annotations

from collections.abc import Sequence

from dssn_models.plan import AcceleratorPlan

__all__ = ["accelerated_work", "best_accelerator"]


def best_accelerator(
    operator: str, accelerators: Sequence[AcceleratorPlan]
) -> tuple[AcceleratorPlan, float] | None:
    """Return the card with the largest speed-up of an operator, and that speed-up; None if none covers it."""
    best: tuple[AcceleratorPlan, float] | None = None
    for card in accelerators:
        speedup = card.speedup.get(operator, 1.0) if card.count > 0 else 1.0
        if speedup > 1.0 and (best is None or speedup > best[1]):
            best = (card, speedup)
    return best


def accelerated_work(
    work_core_s: float, operator: str, accelerable: float, accelerators: Sequence[AcceleratorPlan]
) -> float:
    """Core-seconds left when a card takes over its operator (Amdahl 1967).

    ``work * ((1 - f) + f / s)`` with ``f`` the share of the work that the operator covers and ``s`` the
    speed-up of the best card. A step uses one card; several cards serve several jobs.
    """
    if not operator or accelerable <= 0:
        return work_core_s
    found = best_accelerator(operator, accelerators)
    if found is None:
        return work_core_s
    share = min(accelerable, 1.0)
    return work_core_s * ((1.0 - share) + share / found[1])
