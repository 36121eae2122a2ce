"""Engine images: pulled from the registry when cold, verified, started, kept in a cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dssn_models.engines.api import EngineImage
from dssn_models.nodes.images import ImageCache
from dssn_models.plan import NodePlan

if TYPE_CHECKING:
    from dssn_sim.world import Process, World

__all__ = ["Images"]


class Images:
    """Image caches of all nodes (the least recently used image goes first) and the pulls under way."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cache = {n.id: ImageCache(n.cache_bytes) for n in world.plan.nodes}
        for node in world.plan.nodes:
            self.cache[node.id].preload(node.preloaded, {})
        self.pulling: dict[tuple[str, str], Any] = {}
        self.cold = dict.fromkeys(self.cache, 0)
        self.warm = dict.fromkeys(self.cache, 0)

    def load(self, order: Any, node: NodePlan, image: EngineImage) -> Process:
        """Have an engine started on a node; returns True where it was cold.

        Cold start = registry call + transfer of the image + hash check + start; warm = start.
        Two jobs that want one image on one node share the pull.
        """
        world, held = self.world, self.cache[node.id]
        key = (node.id, image.name)
        while key in self.pulling:
            yield self.pulling[key]
        cold = not held.use(image.name)
        if cold:
            self.pulling[key] = done = world.env.event()
            try:
                yield from self._pull(order, node, image)
                held.put(image.name, image.bytes)
            finally:
                del self.pulling[key]
                done.succeed()
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
