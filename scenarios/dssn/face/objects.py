"""Policies given in Python: names go into the plan, objects travel beside it."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dssn_models.plan import Plan, PolicyPlan
from dssn_models.policies.api import PolicyKind
from dssn_models.policies.registry import KINDS, as_policy

__all__ = ["with_policies"]


def with_policies(
    plan: Plan, policies: Mapping[str, Any], workers: int | None
) -> tuple[Plan, dict[str, Any]]:
    """Return the plan with these policies named, and those that are objects.

    Parameters
    ----------
    plan : Plan
        The plan to change.
    policies : mapping
        Kind to name, :class:`PolicyPlan`, object with ``decide``, class, or function.
    workers : int or None
        With more than one, objects must be picklable.

    Raises
    ------
    ValueError
        If a kind is unknown, an object cannot decide, or an object cannot go to worker processes.
    """
    chosen: dict[str, PolicyPlan] = dict(plan.policies)
    objects: dict[str, Any] = {}
    for kind, given in policies.items():
        known: PolicyKind | None = next((k for k in KINDS if k == kind), None)
        if known is None:
            raise ValueError(f"no policy kind {kind!r}; there are {', '.join(KINDS)}")
        if isinstance(given, PolicyPlan):
            chosen[kind] = given
        elif isinstance(given, str):
            chosen[kind] = PolicyPlan(kind, given)
        else:
            target = as_policy(given, known)
            if workers is not None and workers > 1:
                _check_pickles(kind, target)
            objects[kind] = target
            name = getattr(given, "__qualname__", type(given).__qualname__)
            chosen[kind] = PolicyPlan(kind, f"python:{name}")
    return replace(plan, policies=chosen), objects


def _check_pickles(kind: str, target: Any) -> None:
    try:
        pickle.dumps(target)
    except Exception as error:
        raise ValueError(
            f"the {kind} policy cannot be sent to worker processes ({error}); use workers=1, or put it "
            "into a module that can be imported"
        ) from error
