"""Engine images: pulled from the registry when cold, verified, started, kept in a cache."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from dssn_models.engines.api import EngineImage
from dssn_models.plan import NodePlan

if TYPE_CHECKING:
    from dssn_sim.world import Process, World

__all__ = ["Images"]


class Images:
    """Image caches of all nodes (least recently used goes first) and the pulls under way."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cache: dict[str, OrderedDict[str, float]] = {
            n.id: OrderedDict((name, 0.0) for name in n.preloaded) for n in world.plan.nodes
        }
        self.pulling: dict[tuple[str, str], Any] = {}
        self.cold = dict.fromkeys(self.cache, 0)
        self.warm = dict.fromkeys(self.cache, 0)

    def load(self, order: Any, node: NodePlan, image: EngineImage) -> Process:
        """Have an engine started on a node; returns True where it was cold.

        Cold start = registry call + transfer of the image + hash check + start; warm = start.
        Two jobs that want one image on one node share the pull.
        """
        world, held = self.world, self.cache[node.id]
        cold = False
        key = (node.id, image.name)
        while image.name not in held:
            under_way = self.pulling.get(key)
            if under_way is not None:
                yield under_way
                continue
            cold = True
            self.pulling[key] = done = world.env.event()
            try:
                yield from self._pull(order, node, image)
                self._keep(node, image)
            finally:
                del self.pulling[key]
                done.succeed()
        held.move_to_end(image.name)
        counter = self.cold if cold else self.warm
        counter[node.id] += 1
        if image.start_s > 0:
            yield world.env.timeout(image.start_s / node.core_speed)
        return cold

    def _pull(self, order: Any, node: NodePlan, image: EngineImage) -> Process:
        world = self.world
        yield from world.call(order, "registry", "pull", node, order.cls.priority)
        registry = world.service_for("registry", node.site)
        if registry is not None:
            yield from world.move(order, registry.site, node.id, image.bytes, "image")
        if image.verify_s_per_byte > 0:
            yield world.env.timeout(image.bytes * image.verify_s_per_byte / node.core_speed)

    def _keep(self, node: NodePlan, image: EngineImage) -> None:
        held = self.cache[node.id]
        held[image.name] = image.bytes
        while sum(held.values()) > node.cache_bytes and len(held) > 1:
            held.popitem(last=False)
