"""Accelerator cards that serve one step at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import simpy

from dssn_models.compute.accelerate import best_accelerator
from dssn_models.engines.api import Step
from dssn_models.plan import NodePlan

if TYPE_CHECKING:
    from dssn_sim.world import Process

__all__ = ["Cards"]


class Cards:
    """The exclusive cards of all nodes.

    A step that uses one holds it while it computes on the node; others wait by priority, then arrival. A card is
    taken before cores (of a node with slots), never after, so cards and cores cannot block each other.
    """

    def __init__(self, env: simpy.Environment, nodes: Sequence[NodePlan]) -> None:
        self._env = env
        count = Counter[tuple[str, str]]()
        for node in nodes:
            for card in node.accelerators:
                if card.exclusive:
                    count[node.id, card.kind] += card.count
        self._cards = {key: simpy.PriorityResource(env, n) for key, n in count.items() if n > 0}

    def use(self, node: NodePlan, step: Step, priority: int, work: Process) -> Process:
        """Do the work of a step on a node, with a card where it needs one."""
        found = best_accelerator(step.operator, node.accelerators) if step.accelerable > 0 else None
        card = self._cards.get((node.id, found[0].kind)) if found else None
        if card is None:
            return (yield from work)
        with card.request(priority=priority) as mine:
            yield mine
            return (yield from work)
