"""Policies given in Python: names go into the plan, objects travel beside it."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, get_args

from dssn_models.plan import Plan, PolicyPlan
from dssn_models.policies.api import PolicyKind

__all__ = ["with_policies"]


class FunctionPolicy:
    """A plain ``decide(view, now, rng)`` function as a policy object."""

    def __init__(self, kind: str, function: Callable[..., Any]) -> None:
        self.kind = kind
        self.name = str(getattr(function, "__qualname__", "function"))
        self.function = function

    def decide(self, view: Any, now: float, rng: Any) -> Any:
        """Return the function's decision."""
        return self.function(view, now, rng)


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
    kinds = get_args(PolicyKind)
    chosen: dict[str, PolicyPlan] = dict(plan.policies)
    objects: dict[str, Any] = {}
    for kind, given in policies.items():
        if kind not in kinds:
            raise ValueError(f"no policy kind {kind!r}; there are {', '.join(kinds)}")
        if isinstance(given, PolicyPlan):
            chosen[kind] = given
        elif isinstance(given, str):
            chosen[kind] = PolicyPlan(kind, given)
        else:
            target = _as_policy(kind, given)
            if workers is not None and workers > 1:
                _check_pickles(kind, target)
            objects[kind] = target
            chosen[kind] = PolicyPlan(kind, f"python:{_name(given)}")
    return replace(plan, policies=chosen), objects


def _as_policy(kind: str, given: Any) -> Any:
    target = given() if isinstance(given, type) else given
    own = getattr(target, "kind", kind)
    if own != kind:
        raise ValueError(f"the object for {kind!r} is a {own} policy")
    if hasattr(target, "decide"):
        return target
    if callable(target):
        return FunctionPolicy(kind, target)
    raise ValueError(f"{given!r} is no policy: it has no decide(view, now, rng) and cannot be called")


def _name(given: Any) -> str:
    return str(getattr(given, "__qualname__", type(given).__qualname__))


def _check_pickles(kind: str, target: Any) -> None:
    try:
        pickle.dumps(target)
    except Exception as error:
        raise ValueError(
            f"the {kind} policy cannot be sent to worker processes ({error}); use workers=1, or put its class "
            "into a module that can be imported"
        ) from error
