"""Whether a node can run an engine at all: class, image, cores, memory, enclave.

Checked before a job queues, so a job that is too big is refused with a reason and never waits for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from dssn_models.engines.api import Engine, RoleNeed
from dssn_models.plan import NodePlan

__all__ = ["WEIGHTS", "WeightClass", "admit", "density", "explain"]


class WeightClass(NamedTuple):
    """What an engine of a weight class asks of the node it is installed on."""

    forms: frozenset[str]
    cores: float
    memory_bytes: float
    source: str
    confidence: str  # measured | read | assumed


_SERVERS = frozenset({"box", "rack", "cloud", "tee_box"})

#: Weight class of engines to the least node. A light engine is one process that fits a gateway; a medium
#: one a container on an all-in-one box; a heavy one a set of services that wants a small server.
WEIGHTS: Final[Mapping[str, WeightClass]] = {
    "light": WeightClass(_SERVERS | {"agent"}, 1.0, 1e9, "one process, gateway or SDK form", "assumed"),
    "medium": WeightClass(_SERVERS, 2.0, 4e9, "one container beside the node's own services", "assumed"),
    "heavy": WeightClass(_SERVERS, 8.0, 16e9, "8C16G: smallest size of published tests", "assumed"),
}


def explain(engine: Engine, need: RoleNeed, node: NodePlan) -> tuple[str, str]:
    """Return (reason code, text) why a node cannot run a role of an engine; ('', '') if it can.

    Parameters
    ----------
    engine : Engine
        Its name and weight class (light, medium, heavy) are looked at.
    need : RoleNeed
        What the role asks for (cores, bytes).
    node : NodePlan
        The node at full capacity; how busy it is does not matter here.
    """
    if node.engines and engine.name not in node.engines:
        return "capacity.engine", f"{node.id} does not offer {engine.name} ({', '.join(node.engines)})"
    weight = WEIGHTS[engine.weight]
    if node.form not in weight.forms:
        return "capacity.engine", f"a node of form {node.form} takes no {engine.weight} engine"
    if node.cores < weight.cores or node.memory_bytes < weight.memory_bytes:
        return "capacity.engine", f"{node.size} is too small for a {engine.weight} engine"
    if need.enclave_bytes > 0 and node.tee is None:
        return "capacity.engine", f"{node.id} has no TEE"
    if node.cores < need.min_cores:
        return "capacity.node", f"{need.min_cores:g} cores needed, {node.id} has {node.cores:g}"
    memory = max(need.memory_bytes, need.enclave_bytes)
    if node.memory_bytes < memory:
        return "capacity.node", f"{memory / 1e9:g} GB needed, {node.id} has {node.memory_bytes / 1e9:g} GB"
    return "", ""


def admit(engine: Engine, need: RoleNeed, node: NodePlan) -> str:
    """Return '' if the node can run this role of the engine, else a reason code (see :func:`explain`)."""
    return explain(engine, need, node)[0]


def density(engine: Engine, need: RoleNeed, node: NodePlan) -> int:
    """Return how many runs of a role the node holds side by side (0: it takes none)."""
    if admit(engine, need, node):
        return 0
    by_memory = node.memory_bytes // need.memory_bytes if need.memory_bytes > 0 else float("inf")
    by_cores = node.cores // need.cores if need.cores > 0 and node.sharing == "reserved" else float("inf")
    fits = min(by_memory, max(1.0, by_cores))
    return int(fits) if fits != float("inf") else 1
