"""What own policies see of the nodes of the machine, as ``telemetry.Telemetry`` shows it in the SimPy kernel."""

from __future__ import annotations

from functools import lru_cache
from itertools import takewhile
from math import inf

import numpy as np
from numpy.typing import NDArray

from dssn_models.compute.enclave import enclave_factor, enclave_start_s
from dssn_models.engines.api import EngineImage
from dssn_models.policies.api import NodeView
from dssn_sim.compiled.drive import Machine
from dssn_sim.compiled.ops_route import UNKNOWN
from dssn_sim.dataplane import events

__all__ = ["Sight"]

#: What telemetry shows of a node, and what it is.
_SEEN = (
    ("saw_cores", "held_cores"), ("saw_memory", "held_memory"), ("saw_backlog", "backlog"), ("saw_queue", "queue"),
)  # fmt: skip

_Reach = tuple[float, tuple[int, ...]]  # seconds, directed links


class Sight:
    """Views of nodes on the machine's own snapshot, so that its shipped policies look at the same one."""

    def __init__(self, machine: Machine) -> None:
        self._machine, self._state = machine, machine.state
        self._assembly = a = machine.assembly
        self._nodes, self._row = a.plan.nodes, self._state.machine[0]
        self._site = self._state.places["site"].tolist()
        self._access = {link.a: link for link in a.plan.network.links if link.access}
        self._free: dict[int, float] = {}  # of the directed links that were looked at since the last snapshot
        self._looks, self._avoid = -1, a.avoid
        self._path = lru_cache(None)(self._find_path)
        self._reach = lru_cache(1 << 16)(self._find_reach)

    @property
    def age_s(self) -> float:
        """How old the snapshot is."""
        return float(self._row["now"] - self._row["taken_s"]) if self._row["taken_s"] >= 0 else 0.0

    def _look(self) -> None:
        """Take a snapshot of all nodes if the last one belongs to an earlier period (as ``ops_place.look``)."""
        row, nodes = self._row, self._state.nodes
        now, taken, period = float(row["now"]), float(row["taken_s"]), float(row["telemetry_s"])
        if taken < 0 or period <= 0 or now // period > taken // period:
            for seen, live in _SEEN:
                nodes[seen] = nodes[live]
            row["looks"] += 1
            row["taken_s"] = now
        if self._looks != row["looks"]:
            self._looks = int(row["looks"])
            self._free.clear()
        if self._avoid is not self._assembly.avoid:
            self._avoid = self._assembly.avoid
            self._path.cache_clear()
            self._reach.cache_clear()

    def _look_at(self, links: set[int]) -> None:
        """Remember the free rates of links that nobody has looked at since the last snapshot (as ``ops_place.link_free``)."""
        row, seen, at = self._row, self._state.free_of, np.array(sorted(links), np.int64)
        new = at[seen["look"][at] != row["looks"]]
        if len(new):
            if row["dirty"]:
                row["next_end"] = events.settle(self._machine.solver.mem, float(row["now"]))
                row["dirty"] = 0
            rows = self._machine.solver.links[new]
            seen["bps"][new] = np.maximum(rows["phys"] - rows["load"] - rows["vl"] - rows["vlc"], 0.0)
            seen["look"][new] = row["looks"]
        self._free.update(zip(at.tolist(), seen["bps"][at].tolist(), strict=True))

    def views(
        self,
        nodes: NDArray[np.int64],
        image: tuple[EngineImage, int],
        enclave: float,
        parties: tuple[int, ...],
        technology: int,
    ) -> list[NodeView]:
        """Return the views of nodes.

        Parameters
        ----------
        nodes : array of int
            Which.
        image : (EngineImage, int)
            What the role needs there, and its number.
        enclave : float
            Bytes of enclave memory of the role.
        parties : tuple of int
            Nodes of the other roles.
        technology : int
            Code of the carrier service ordered; 0: none.
        """
        self._look()
        state, (needed, number) = self._state, image
        live = state.nodes[nodes]
        held = state.cached["held"][nodes * int(self._row["n_images"]) + number].tolist()
        seen = zip(
            nodes.tolist(), held, live["saw_cores"].tolist(), live["saw_memory"].tolist(),
            live["saw_queue"].tolist(), live["saw_backlog"].tolist(), live["enclave_used"].tolist(), strict=True,
        )  # fmt: skip
        # As far as the first party that a node does not reach.
        reaches = [[self._reach(technology, party, i) for party in parties] for i in nodes.tolist()]
        known = [[reach for reach in takewhile(bool, of) if reach] for of in reaches]
        if missing := {x for of in known for reach in of for x in reach[1]} - self._free.keys():
            self._look_at(missing)
        out = []
        for (i, warm, cores, memory, queue, backlog, enclaves), reached in zip(seen, known, strict=True):
            node, rtt, free = self._nodes[i], inf, 0.0
            if len(reached) == len(parties):
                rtt = max(reach[0] for reach in reached)
                free = min((self._free[x] for reach in reached for x in reach[1]), default=inf)
            start, slowdown = needed.start_s / node.core_speed, 1.0
            if not warm:
                start += needed.bytes * 8 / max(free, 1.0) + needed.bytes * needed.verify_s_per_byte
            if node.tee is not None and enclave > 0:
                start += enclave_start_s(node.tee, enclave) + node.tee.quote_s + node.tee.verify_s
                slowdown = enclave_factor(node.tee, enclaves + enclave)
            out.append(
                NodeView(
                    node.id, node.site, node.role, node.cores, node.core_speed, max(0.0, node.cores - cores),
                    max(0.0, node.memory_bytes - memory), queue, backlog, node.price_cny_per_hour, rtt, free, True,
                    node.tee is not None, start, slowdown,
                )
            )  # fmt: skip
        return out

    def _find_reach(self, technology: int, party: int, place: int) -> _Reach | None:
        """Return round-trip time and links from a party to a node (as ``ops_route.compose``); None: no path."""
        if party == place:
            return 0.0, ()
        up, down = (self._access.get(self._nodes[i].id) for i in (party, place))
        path = self._path(technology, self._site[party], self._site[place])
        if path is None or any(link and 2 * link.index in self._avoid for link in (up, down)):
            return None
        delay, links = path
        if up:
            delay, links = delay + up.delay_s, (2 * up.index, *links)
        if down:
            delay, links = delay + down.delay_s, (*links, 2 * down.index + (not down.shared))
        return 2 * delay, links

    def _find_path(self, technology: int, source: int, target: int) -> _Reach | None:
        """Return delay and links of the path between two sites."""
        state, n = self._state, self._assembly.n_sites
        at = (technology * n + source) * n + target
        if state.path_of[at] == UNKNOWN:
            self._assembly.fill_paths(technology, source)
        if state.path_of[at] < 0:
            return None
        row = state.paths[state.path_of[at]]
        return float(row["delay_s"]), tuple(state.path_links[row["first"] :][: row["count"]].tolist())
