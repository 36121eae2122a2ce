"""Policies given as Python objects: they travel inside the plan, pickled only if workers need it."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, get_args

from dssn_models.plan import Plan, PolicyPlan
from dssn_models.policies.api import PolicyKind

if TYPE_CHECKING:
    import pyarrow as pa

    from dssn_sim.runs import Progress

__all__ = ["SIMULATE", "simulate", "with_objects"]

#: The backend of runs with policy objects, as ``run_plan`` wants it named.
SIMULATE: Final = "dssn.face.objects:simulate"


@dataclass(frozen=True)
class ObjectPolicyPlan(PolicyPlan):
    """A policy plan that carries the policy itself."""

    target: Any = None

    def __repr__(self) -> str:
        return f"ObjectPolicyPlan(kind={self.kind!r}, name={self.name!r})"


class _FunctionPolicy:
    """A plain ``decide`` function as a policy object."""

    def __init__(self, kind: str, function: Callable[..., Any]) -> None:
        self.kind = kind
        self.function = function

    def decide(self, view: Any, now: float, rng: Any) -> Any:
        """Return the function's decision."""
        return self.function(view, now, rng)


def with_objects(plan: Plan, policies: Mapping[str, Any], workers: int | None) -> Plan:
    """Return the plan with these policies: names, objects with ``decide``, classes or functions.

    Raises
    ------
    ValueError
        If a kind is unknown, an object cannot decide, or an object cannot go to worker processes.
    """
    kinds = get_args(PolicyKind)
    chosen: dict[str, PolicyPlan] = dict(plan.policies)
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
            chosen[kind] = ObjectPolicyPlan(kind, f"python:{_name(given)}", {}, target)
    return replace(plan, policies=chosen)


def _as_policy(kind: str, given: Any) -> Any:
    target = given() if isinstance(given, type) else given
    own = getattr(target, "kind", kind)
    if own != kind:
        raise ValueError(f"the object for {kind!r} is a {own} policy")
    if hasattr(target, "decide"):
        return target
    if callable(target):
        return _FunctionPolicy(kind, target)
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


def simulate(plan: Plan, replication: int, progress: Progress | None = None) -> dict[str, pa.Table]:
    """Run one replication with the policy objects of the plan."""
    from dssn_sim.kernel import simulate as run_kernel

    objects = {k: p.target for k, p in plan.policies.items() if isinstance(p, ObjectPolicyPlan)}
    return run_kernel(plan, replication, progress, policies=objects)  # type: ignore[arg-type]
