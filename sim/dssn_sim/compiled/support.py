"""Whether the compiled kernel can run a plan, and if not, why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from dssn_models.engines.registry import REGISTRY
from dssn_models.plan import Plan, StreamPlan
from dssn_models.policies.api import PolicyKind
from dssn_sim.compiled.lives import bound_order, candidates_of

__all__ = ["ASKED", "COMPILED", "why_not"]

#: Kinds of policies that the machine asks in Python where they have no compiled twin.
ASKED: Final[tuple[PolicyKind, ...]] = ("placement", "admission")

#: Policies that have a compiled twin.
COMPILED: Final = {
    "placement": ("nearest", "least_loaded", "cheapest", "random", "joint", "earliest_finish"),
    "routing": ("shortest_delay",),
    "admission": ("always",),
    "technology": ("cheapest", "fastest", "fixed"),
    "queueing": ("fifo", "priority", "earliest_deadline", "shortest_job"),
}


def why_not(plan: Plan, policies: Mapping[str, Any] | None = None) -> str:
    """Return what in a plan only the SimPy kernel can run; '' if nothing.

    Parameters
    ----------
    plan : Plan
        What to run.
    policies : Mapping, optional
        Policy objects that replace those of the plan.
    """
    if others := sorted(set(policies or ()) - set(ASKED)):
        return f"a policy given as an object ({', '.join(others)})"
    if plan.network.transport != "fluid":
        return f"transport {plan.network.transport}"
    for node in plan.nodes:
        if node.sharing in ("slots", "preemptive"):
            return f"{node.sharing} sharing of cores (node {node.id})"
    if any(card.exclusive for n in plan.nodes for card in n.accelerators):
        return "exclusive accelerator cards"
    for kind, policy in plan.policies.items():
        if kind == "technology" and all(s.net.technology is not None for s in plan.streams):
            continue  # nothing to decide
        if kind not in ASKED and policy.name not in COMPILED[kind]:
            return f"{kind} policy {policy.name}"
    if "placement" not in {*plan.policies, *(policies or ())} and any(_placed(plan, s) for s in plan.streams):
        return "no placement policy"
    if any(n > 1 for n in Counter(link.a for link in plan.network.links if link.access).values()):
        return "nodes with several access links"
    if any(link.tree >= 0 for link in plan.network.links):
        return "access trees (PON with a split)"
    for stream in plan.streams:
        found = _stream(plan, stream)
        if found:
            return f"{found} (stream {stream.id})"
    return ""


def _stream(plan: Plan, stream: StreamPlan) -> str:
    net = stream.net
    if net.rate_bps is not None and net.isolation != "none":
        return "slices"
    for role, step in _placed(plan, stream):
        if not candidates_of(plan, step, role):
            return f"no pool for role {role}"
    return ""


def _placed(plan: Plan, stream: StreamPlan) -> list[tuple[str, Any]]:
    """Return the roles that a policy places, with their steps."""
    return [
        (role, step)
        for step in (*stream.steps, *stream.alternate)
        for role in bound_order(list(REGISTRY[step.engine].roles(2)))
        if role != "guest" and not role.startswith("host")
    ]
