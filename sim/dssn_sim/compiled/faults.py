"""Faults and repairs for the machine, between its events: as ``dssn_sim.faults`` does it with SimPy."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

import numpy as np

from dssn_models.network.routing import both_ways
from dssn_models.plan import FaultPlan
from dssn_sim.compiled import ops_fault, tape
from dssn_sim.compiled.drive import Machine
from dssn_sim.compiled.ops_end import interrupt
from dssn_sim.dataplane import events

__all__ = ["Faults"]

_NODE, _REVOKED = tape.REASON["fault.node"], tape.REASON["trust.revoked"]


class Faults:
    """The timeline of a plan's faults. Overlapping faults on one thing are counted, so repair is right.

    Parameters
    ----------
    machine : Machine
        What breaks.
    alarms : list
        Rows of the alarms table.
    """

    def __init__(self, machine: Machine, alarms: list[tuple[Any, ...]]) -> None:
        self.machine, self.alarms = machine, alarms
        self.plan = machine.assembly.plan
        self._state, self._row = machine.state, machine.state.machine[0]
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._added = 0
        self._broken: dict[tuple[str, str], int] = {}
        self._since: dict[tuple[str, str], float] = {}
        self.link_down_s: dict[int, float] = {}
        self.node_down_s = dict.fromkeys((n.id for n in self.plan.nodes), 0.0)
        self._down: set[int] = set()
        if self.plan.faults:
            # Control messages keep the paths that they had when nothing was down.
            for site in sorted({machine.assembly.plan.network.site_index[n.site] for n in self.plan.nodes}):
                machine.assembly.rtt_from(site)
        for fault in self.plan.faults:
            self._at(fault.at_s, lambda f=fault: self._begin(f))  # type: ignore[misc]

    @property
    def next_s(self) -> float:
        """When something breaks or is repaired next."""
        return self._agenda[0][0] if self._agenda else np.inf

    def play(self) -> None:
        """Do what is due now."""
        while self._agenda and self._agenda[0][0] <= self._row["now"]:
            heapq.heappop(self._agenda)[2]()

    # ------------------------------------------------------------ inside

    def _at(self, time: float, what: Callable[[], None]) -> None:
        self._added += 1
        heapq.heappush(self._agenda, (time, self._added, what))

    def _begin(self, fault: FaultPlan) -> None:
        self._alarm(fault, "begins")
        self._switch(fault, broken=True)
        self._at(float(self._row["now"]) + fault.duration_s, lambda: self._repair(fault))

    def _repair(self, fault: FaultPlan) -> None:
        self._switch(fault, broken=False)
        self._alarm(fault, "repaired")

    def _alarm(self, fault: FaultPlan, what: str) -> None:
        text = f"{fault.kind} {what}" + (f" ({fault.label})" if fault.label else "")
        self.alarms.append((float(self._row["now"]), fault.kind, fault.target, -1, text))

    def _switch(self, fault: FaultPlan, *, broken: bool) -> None:
        network = self.plan.network
        match fault.kind:
            case "link_down":
                self._link(network.link_index[fault.target], broken=broken)
            case "link_slow":
                index = network.link_index[fault.target]
                if index not in self._down:
                    self._rates(index, fault.factor if broken else 1.0)
            case "node_down":
                self._node(fault.target, broken=broken)
            case "site_down":
                for link in network.links:
                    if fault.target in (link.a, link.b):
                        self._link(link.index, broken=broken)
                for node in self.plan.nodes:
                    if node.site == fault.target:
                        self._node(node.id, broken=broken)
                for service in self.plan.services:
                    if service.site == fault.target:
                        self._service(service.id, broken=broken)
            case "service_down":
                self._service(fault.target, broken=broken)
            case "certificate_revoked":
                self._certificate(fault.target, broken=broken)

    def _changes(self, kind: str, target: str, *, broken: bool) -> float | None:
        """Return how long it was down (0: it breaks) if the state changes: first break or last repair."""
        key, now = (kind, target), float(self._row["now"])
        n = self._broken.get(key, 0) + (1 if broken else -1)
        self._broken[key] = n
        if n != (1 if broken else 0):
            return None
        if broken:
            self._since[key] = now
            return 0.0
        return now - self._since.pop(key)

    # ------------------------------------------------------------ links

    def _rates(self, index: int, factor: float) -> None:
        link, solver, now = self.plan.network.links[index], self.machine.solver.mem, float(self._row["now"])
        events.set_capacity(solver, 2 * index, link.rate_ab_bps * factor, link.rate_ab_bps * factor, -1, now)
        if not link.shared:
            events.set_capacity(
                solver, 2 * index + 1, link.rate_ba_bps * factor, link.rate_ba_bps * factor, -1, now
            )
        self._row["dirty"] = 1

    def _link(self, index: int, *, broken: bool) -> None:
        down_s = self._changes("link", str(index), broken=broken)
        if down_s is None:
            return
        self._rates(index, 0.0 if broken else 1.0)
        (self._down.add if broken else self._down.discard)(index)
        self._state.links["down"][index] = broken
        self._row["down_links"] = len(self._down)
        # Paths are asked for anew, around what is down now.
        self.machine.assembly.avoid = both_ways(self._down)
        self._state.path_of[:] = -1
        if not broken:
            self.link_down_s[index] = self.link_down_s.get(index, 0.0) + down_s
            return
        routing = self.plan.network.routing
        if routing.protection != "none":
            delay = routing.switch_s if routing.protection == "1+1" else routing.restoration_s
            self._at(float(self._row["now"]) + delay, lambda: self._reroute(index))

    def _reroute(self, index: int) -> None:
        """Move the transfers on a link that is still down."""
        if index in self._down:
            for link in (2 * index, 2 * index + 1):
                self.machine.make_room()
                ops_fault.reroute(self._state.mem, link)

    # ------------------------------------------------------------ nodes, services, certificates

    def _node(self, ident: str, *, broken: bool) -> None:
        down_s = self._changes("node", ident, broken=broken)
        if down_s is None:
            return
        place = self.machine.assembly.node_index[ident]
        cores = 0.0 if broken else self.plan.nodes[place].cores
        now = float(self._row["now"])
        events.set_capacity(
            self.machine.solver.mem, 2 * len(self.plan.network.links) + place, cores, cores, -1, now
        )
        ops_fault.set_node(self._state.mem, place, not broken)
        if broken:
            self._stop(place, _NODE)
        else:
            self.node_down_s[ident] += down_s

    def _service(self, ident: str, *, broken: bool) -> None:
        if self._changes("service", ident, broken=broken) is not None:
            index = [s.id for s in self.plan.services].index(ident)
            self.machine.make_room()
            ops_fault.set_station(self._state.mem, index, 0 if broken else self.plan.services[index].servers)

    def _certificate(self, ident: str, *, broken: bool) -> None:
        if self._changes("certificate", ident, broken=broken) is None:
            return
        place = self.machine.assembly.node_index[ident]
        self._state.nodes["revoked"][place] = broken
        if broken:
            self._stop(place, _REVOKED)

    def _stop(self, place: int, reason: int) -> None:
        """Close a node's channels and interrupt the runs on it, the earliest first."""
        self.machine.make_room()
        ops_fault.tear_down(self._state.mem, place)
        width = int(self._row["n_roles"])
        jobs = self._state.jobs[: int(self._row["top_jobs"])]
        bound = self._state.bound["place"][: len(jobs) * width].reshape(-1, width)
        roles = self._state.job_defs["roles"][jobs["job_def"]]
        here = ((bound == place) & (np.arange(width) < roles[:, None])).any(axis=1) & (jobs["runs"] == 1)
        found = np.flatnonzero(here)
        for j in found[np.argsort(jobs["since"][found])].tolist():
            self.machine.make_room()
            interrupt(self._state.mem, int(jobs["thread"][j]), reason, place)
