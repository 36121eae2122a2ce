"""What policies see of nodes: counters kept as things happen, shown as old as the telemetry period."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dssn_models.compute.enclave import enclave_factor, enclave_start_s
from dssn_models.engines.api import EngineImage
from dssn_models.plan import NodePlan
from dssn_models.policies.api import NodeView

if TYPE_CHECKING:
    from dssn_sim.world import World

__all__ = ["Telemetry"]


class Telemetry:
    """Live node state in arrays, and a snapshot that is at most one period old.

    The snapshot is taken lazily at the first look after each period boundary, from the state as
    it was left by the last change before the look; with period 0 every look is fresh.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        nodes = world.plan.nodes
        n = len(nodes)
        self.cores = np.array([x.cores for x in nodes])
        self.memory = np.array([x.memory_bytes for x in nodes])
        self.held_cores = np.zeros(n)
        self.held_memory = np.zeros(n)
        self.queue = np.zeros(n, dtype=np.int64)
        self.backlog = np.zeros(n)
        self.held_integral = np.zeros(n)
        self.queue_integral = np.zeros(n)
        self.peak_memory = np.zeros(n)
        self._changed = np.zeros(n)
        self._taken_s = -1.0
        self._snapshot: tuple[np.ndarray[Any, Any], ...] = ()
        self._link_free: dict[int, float] = {}

    # ------------------------------------------------------------ changes

    def _touch(self, i: int) -> None:
        now = self.world.env.now
        dt = now - self._changed[i]
        if dt > 0:
            self.held_integral[i] += self.held_cores[i] * dt
            self.queue_integral[i] += self.queue[i] * dt
            self._changed[i] = now

    def asked(self, needs: dict[str, tuple[float, float]], sign: int) -> None:
        """Count a request that starts (+1) or stops (-1) waiting."""
        for node in needs:
            i = self.world.node_index[node]
            self._touch(i)
            self.queue[i] += sign

    def held(self, needs: dict[str, tuple[float, float]], sign: int) -> None:
        """Count cores and memory that a job takes (+1) or gives back (-1)."""
        for node, (cores, memory) in needs.items():
            i = self.world.node_index[node]
            self._touch(i)
            self.held_cores[i] += sign * cores
            self.held_memory[i] += sign * memory
            self.peak_memory[i] = max(self.peak_memory[i], self.held_memory[i])

    def promised(self, node: str, work_core_s: float) -> None:
        """Count work that was promised to a node (negative: done or given up)."""
        i = self.world.node_index[node]
        self.backlog[i] = max(0.0, self.backlog[i] + work_core_s)

    def reset(self) -> None:
        """Forget time averages (end of warm-up)."""
        for i in range(len(self.cores)):
            self._touch(i)
        self.held_integral[:] = 0.0
        self.queue_integral[:] = 0.0

    def held_core_s(self) -> np.ndarray[Any, Any]:
        """Return core-seconds held on each node up to now."""
        return self.held_integral + self.held_cores * (self.world.env.now - self._changed)

    def close(self) -> None:
        """Bring the integrals up to now."""
        for i in range(len(self.cores)):
            self._touch(i)

    # ------------------------------------------------------------ views

    @property
    def age_s(self) -> float:
        """How old the snapshot is."""
        return self.world.env.now - self._taken_s if self._taken_s >= 0 else 0.0

    def refresh(self) -> None:
        """Take a snapshot if the last one belongs to an earlier period."""
        period, now = self.world.plan.run.telemetry_s, self.world.env.now
        if self._taken_s < 0 or period <= 0 or now // period > self._taken_s // period:
            self._snapshot = (
                self.held_cores.copy(),
                self.held_memory.copy(),
                self.queue.copy(),
                self.backlog.copy(),
            )
            self._link_free.clear()
            self._taken_s = now

    def link_free(self, link: int) -> float:
        """Return the free rate of a directed link as last reported (bit/s)."""
        free = self._link_free.get(link)
        if free is None:
            free = self._link_free[link] = self.world.dp.link_free_bps(link)
        return free

    def views(
        self,
        candidates: tuple[str, ...],
        parties: tuple[str, ...],
        technology: str | None,
        image: EngineImage,
        enclave_bytes: float,
    ) -> list[NodeView]:
        """Return the views of candidate nodes for a role of an engine whose other parties are given."""
        world = self.world
        self.refresh()
        held, memory, queue, backlog = self._snapshot
        out = []
        for ident in candidates:
            i = world.node_index[ident]
            node = world.nodes[i]
            rtt, free = 0.0, float("inf")
            for party in parties:
                route = world.route(party, ident, technology)
                if route is None:
                    rtt, free = float("inf"), 0.0
                    break
                rtt = max(rtt, 2 * route.delay_s)
                for link in route.links:
                    free = min(free, self.link_free(link))
            start, slowdown = self._start(node, image, enclave_bytes, free)
            out.append(
                NodeView(
                    ident, node.site, node.role, node.cores, node.core_speed,
                    max(0.0, float(self.cores[i] - held[i])), max(0.0, float(self.memory[i] - memory[i])),
                    int(queue[i]), float(backlog[i]), node.price_cny_per_hour, rtt, free,
                    ident not in world.down_nodes, node.tee is not None, start, slowdown,
                )
            )  # fmt: skip
        return out

    def _start(
        self, node: NodePlan, image: EngineImage, enclave_bytes: float, free_bps: float
    ) -> tuple[float, float]:
        """Return (seconds before work can begin, CPU factor of the work) on a node."""
        start = image.start_s / node.core_speed
        if image.name not in self.world.images.cache[node.id]:
            start += image.bytes * 8 / max(free_bps, 1.0) + image.bytes * image.verify_s_per_byte
        if node.tee is None or enclave_bytes <= 0:
            return start, 1.0
        load = self.world.enclave_used[node.id] + enclave_bytes
        start += enclave_start_s(node.tee, enclave_bytes) + node.tee.quote_s + node.tee.verify_s
        return start, enclave_factor(node.tee, load)
