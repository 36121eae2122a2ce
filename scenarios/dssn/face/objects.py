"""Policies given in Python: names go into the plan, objects travel beside it."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dssn.problems import Problem, Problems
from dssn_models.plan import Plan, PolicyPlan
from dssn_models.policies.registry import PolicyError, as_kind, as_policy, label, resolve

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
    Problems
        If a kind or name is unknown, an object cannot decide, or it cannot go to worker processes.
    """
    chosen: dict[str, PolicyPlan] = dict(plan.policies)
    objects: dict[str, Any] = {}
    problems: list[Problem] = []
    for kind, given in policies.items():
        try:
            if isinstance(given, str | PolicyPlan):
                named = given if isinstance(given, PolicyPlan) else PolicyPlan(kind, given)
                resolve(named)
                chosen[kind] = named
            else:
                objects[kind] = as_policy(given, as_kind(kind))
                if workers is not None and workers > 1:
                    _check_pickles(objects[kind])
                chosen[kind] = PolicyPlan(kind, f"python:{label(objects[kind])}")
        except PolicyError as error:
            problems.append(Problem("E313", "policies", 0, 0, kind, error.found, error.allowed, error.hint))
    if problems:
        raise Problems(problems)
    return replace(plan, policies=chosen), objects


def _check_pickles(target: Any) -> None:
    try:
        pickle.dumps(target)
    except Exception as error:
        raise PolicyError(
            "import",
            f"an object that cannot be sent to worker processes ({error})",
            "workers=1, or a class or function in a module that can be imported",
        ) from error
