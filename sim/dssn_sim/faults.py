"""The timeline of faults and repairs: links, nodes, sites, services, certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dssn_models.plan import FaultPlan
from dssn_sim.errors import Failure

if TYPE_CHECKING:
    from dssn_sim.world import Process, World

__all__ = ["Faults"]


class Faults:
    """Plays the plan's faults. Overlapping faults on one thing are counted, so repair is right."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._broken: dict[tuple[str, str], int] = {}
        for fault in world.plan.faults:
            world.env.process(self._play(fault))

    def _play(self, fault: FaultPlan) -> Process:
        world = self.world
        yield world.env.timeout(fault.at_s)
        self._alarm(fault, "begins")
        self._switch(fault, broken=True)
        yield world.env.timeout(fault.duration_s)
        self._switch(fault, broken=False)
        self._alarm(fault, "repaired")

    def _alarm(self, fault: FaultPlan, what: str) -> None:
        text = f"{fault.kind} {what}" + (f" ({fault.label})" if fault.label else "")
        self.world.rec.rows["alarms"].append((self.world.env.now, fault.kind, fault.target, -1, text))

    def _switch(self, fault: FaultPlan, *, broken: bool) -> None:
        world = self.world
        match fault.kind:
            case "link_down":
                self._link(world.plan.network.link_index[fault.target], broken=broken)
            case "link_slow":
                self._slow(world.plan.network.link_index[fault.target], fault.factor if broken else 1.0)
            case "node_down":
                self._node(fault.target, broken=broken)
            case "site_down":
                for link in world.plan.network.links:
                    if fault.target in (link.a, link.b):
                        self._link(link.index, broken=broken)
                for node in world.nodes:
                    if node.site == fault.target:
                        self._node(node.id, broken=broken)
                for service in world.plan.services:
                    if service.site == fault.target:
                        self._service(service.id, broken=broken)
            case "service_down":
                self._service(fault.target, broken=broken)
            case "certificate_revoked":
                self._certificate(fault.target, broken=broken)

    def _count(self, kind: str, target: str, *, broken: bool) -> bool:
        """Return whether the state changes: first break or last repair."""
        key = (kind, target)
        n = self._broken.get(key, 0) + (1 if broken else -1)
        self._broken[key] = n
        return n == (1 if broken else 0)

    # ------------------------------------------------------------ links

    def _link(self, index: int, *, broken: bool) -> None:
        world = self.world
        link = world.plan.network.links[index]
        if not self._count("link", link.id, broken=broken):
            return
        ab, ba = (0.0, 0.0) if broken else (link.rate_ab_bps, link.rate_ba_bps)
        world.dp.set_link_rate(2 * index, ab)
        if not link.shared:
            world.dp.set_link_rate(2 * index + 1, ba)
        now = world.env.now
        if broken:
            world.down_links.add(index)
            world.links_changed()
            world.link_down_since[index] = now
            self._reroute_later(index)
        else:
            world.down_links.discard(index)
            world.links_changed()
            world.link_down_s[index] = (
                world.link_down_s.get(index, 0.0) + now - world.link_down_since.pop(index)
            )

    def _reroute_later(self, index: int) -> None:
        """Move the flows of a cut link after the protection's switch time; without protection they wait."""
        routing = self.world.plan.network.routing
        if routing.protection == "none":
            return
        delay = routing.switch_s if routing.protection == "1+1" else routing.restoration_s
        timer = self.world.env.timeout(delay)
        timer.callbacks.append(lambda _e: self._reroute(index))

    def _reroute(self, index: int) -> None:
        world = self.world
        if index not in world.down_links:
            return
        for resource in (2 * index, 2 * index + 1):
            for event in list(world.dp.flows_on(resource)):
                world.dp.cancel(event, "rerouted")

    def _slow(self, index: int, factor: float) -> None:
        link = self.world.plan.network.links[index]
        if index in self.world.down_links:
            return
        self.world.dp.set_link_rate(2 * index, link.rate_ab_bps * factor)
        if not link.shared:
            self.world.dp.set_link_rate(2 * index + 1, link.rate_ba_bps * factor)

    # ------------------------------------------------------------ nodes, services, certificates

    def _node(self, ident: str, *, broken: bool) -> None:
        world = self.world
        if not self._count("node", ident, broken=broken):
            return
        node = world.plan.node_by_id[ident]
        now = world.env.now
        if broken:
            world.down_nodes.add(ident)
            world.node_down_since[ident] = now
            world.dp.set_device(world.node_index[ident], 0.0)
            world.channels.tear_down(ident)
            self._interrupt(ident, Failure("fault.node", ident))
        else:
            world.down_nodes.discard(ident)
            world.node_down_s[ident] += now - world.node_down_since.pop(ident)
            world.dp.set_device(world.node_index[ident], node.cores)
            world.grant_ready()

    def _service(self, ident: str, *, broken: bool) -> None:
        if self._count("service", ident, broken=broken):
            self.world.stations[ident].set_up(not broken)

    def _certificate(self, ident: str, *, broken: bool) -> None:
        world = self.world
        if not self._count("certificate", ident, broken=broken):
            return
        if broken:
            world.revoked.add(ident)
            world.channels.tear_down(ident)
            self._interrupt(ident, Failure("trust.revoked", ident))
        else:
            world.revoked.discard(ident)

    def _interrupt(self, ident: str, failure: Failure) -> None:
        """Interrupt the runs on a node, each once: a second node of theirs that fails at the same time adds nothing."""
        running = self.world.running
        for job in list(running[ident]):
            if job.process is not None and job.process.is_alive:
                for node in job.nodes:
                    running[node.id].pop(job, None)
                job.process.interrupt(failure)
