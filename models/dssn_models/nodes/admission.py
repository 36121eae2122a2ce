"""Does an engine fit a node? Answered before anything is reserved, with a reason code."""

from __future__ import annotations

from typing import Final

from dssn_models.engines.api import Engine, RoleNeed
from dssn_models.plan import NodePlan

__all__ = ["CLASS_LIMITS", "admit"]

#: Our reading of "light, medium, heavy engine" by footprint: smallest node (cores, memory in bytes) that takes one.
CLASS_LIMITS: Final[dict[str, tuple[float, float]]] = {
    "light": (1.0, 0.5e9),
    "medium": (2.0, 4e9),
    "heavy": (8.0, 16e9),
}


def admit(engine: Engine, need: RoleNeed, node: NodePlan, *, confidential: bool = False) -> str:
    """Return '' if a role of the engine can run on the node, else a reason code.

    ``capacity.engine`` where the node lacks the engine or a TEE, ``capacity.node`` where it is too small.
    """
    if node.engines and engine.name not in node.engines:
        return "capacity.engine"
    if (need.enclave_bytes > 0 or confidential) and node.tee is None:
        return "capacity.engine"
    cores, memory = CLASS_LIMITS[engine.weight]
    if node.cores < max(need.min_cores, cores) or node.memory_bytes < max(need.memory_bytes, memory):
        return "capacity.node"
    return ""
