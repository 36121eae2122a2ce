"""All-or-nothing allocation of cores and memory over several nodes.

A request names what it needs on each node and holds nothing while it waits; it is granted
when all of it is free at once. So two requests that want the same nodes cannot hold half each:
there is no deadlock by construction (no hold-and-wait).

Waiting requests are looked at in the order of their keys (given by the queueing policy). A later
request may overtake one that does not fit (back-filling), but only ``patience`` times: then the
overtaken request bars its nodes to all that come after it, so nobody starves.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Allocator"]

Key = tuple[float, ...]
_EPS = 1e-9


@dataclass(slots=True)
class _Request:
    ident: int
    needs: Mapping[str, tuple[float, float]]
    place: tuple[Key, int]  # key, then order of asking
    overtaken: int = 0
    granted: bool = False


@dataclass(slots=True)
class _Node:
    cores: float
    memory: float
    free_cores: float
    free_memory: float
    waiting: list[tuple[tuple[Key, int], int]] = field(default_factory=list)
    barring: list[tuple[tuple[Key, int], int]] = field(default_factory=list)


class Allocator:
    """Grants complete sets of resources.

    Parameters
    ----------
    capacities : Mapping
        Node id to (cores, memory in bytes).
    patience : int
        How often a waiting request may be overtaken before it bars its nodes.
    depth : int
        How many waiting requests of a node are looked at when something comes free there.
    """

    def __init__(self, capacities: Mapping[str, tuple[float, float]], *, patience: int = 16, depth: int = 64) -> None:
        self._nodes = {k: _Node(c, m, c, m) for k, (c, m) in capacities.items()}
        self._requests: dict[int, _Request] = {}
        self._patience = patience
        self._depth = depth
        self._seq = 0
        self._dirty: dict[str, None] = {}
        self._new: list[_Request] = []

    # ------------------------------------------------------------ asking and giving back

    def request(self, ident: int, needs: Mapping[str, tuple[float, float]], key: Key) -> None:
        """Ask for (cores, memory) on each node of ``needs``; smaller keys go first.

        Raises
        ------
        ValueError
            If it could never fit, or the id is in use.
        """
        if ident in self._requests:
            raise ValueError(f"request {ident} exists")
        for name, (cores, memory) in needs.items():
            node = self._nodes[name]
            if cores > node.cores + _EPS or memory > node.memory * (1 + _EPS):
                raise ValueError(f"request {ident} can never fit on {name}")
        self._seq += 1
        request = _Request(ident, dict(needs), (key, self._seq))
        self._requests[ident] = request
        for name in needs:
            insort(self._nodes[name].waiting, (request.place, ident))
        self._new.append(request)

    def release(self, ident: int) -> None:
        """Give back what a granted request holds."""
        request = self._requests.pop(ident)
        if not request.granted:
            raise ValueError(f"request {ident} was not granted")
        for name, (cores, memory) in request.needs.items():
            node = self._nodes[name]
            node.free_cores += cores
            node.free_memory += memory
            self._dirty[name] = None

    def cancel(self, ident: int) -> None:
        """Withdraw a waiting request."""
        request = self._requests.pop(ident)
        if request.granted:
            raise ValueError(f"request {ident} was granted; release it")
        self._unlist(request)
        self._dirty.update(dict.fromkeys(request.needs))

    def set_capacity(self, name: str, cores: float, memory: float) -> None:
        """Change a node's capacity; what is held stays held, free capacity may go below zero until released."""
        node = self._nodes[name]
        node.free_cores += cores - node.cores
        node.free_memory += memory - node.memory
        node.cores, node.memory = cores, memory
        self._dirty[name] = None

    # ------------------------------------------------------------ granting

    def ready(self) -> list[int]:
        """Grant what fits now and return the ids, in the order of their keys."""
        if not self._new and not self._dirty:
            return []
        look: dict[tuple[tuple[Key, int], int], None] = {}
        for request in self._new:
            if request.ident in self._requests and not request.granted:
                look[request.place, request.ident] = None
        for name in self._dirty:
            for item in self._nodes[name].waiting[: self._depth]:
                look[item] = None
        self._new.clear()
        self._dirty.clear()
        return [ident for place, ident in sorted(look) if self._try(self._requests[ident])]

    def _try(self, request: _Request) -> bool:
        for name, (cores, memory) in request.needs.items():
            node = self._nodes[name]
            if cores > node.free_cores + _EPS or memory > node.free_memory * (1 + _EPS) + _EPS:
                return False
            if node.barring and node.barring[0][0] < request.place:
                return False
        for name, (cores, memory) in request.needs.items():
            node = self._nodes[name]
            node.free_cores -= cores
            node.free_memory -= memory
        request.granted = True
        self._unlist(request)
        self._count_overtaken(request)
        return True

    def _count_overtaken(self, request: _Request) -> None:
        for name in request.needs:
            node = self._nodes[name]
            for place, ident in node.waiting[: self._depth]:
                if place > request.place:
                    break
                passed = self._requests[ident]
                passed.overtaken += 1
                if passed.overtaken == self._patience:
                    for other in passed.needs:
                        insort(self._nodes[other].barring, (passed.place, ident))

    def _unlist(self, request: _Request) -> None:
        item = (request.place, request.ident)
        for name in request.needs:
            node = self._nodes[name]
            for queue in (node.waiting, node.barring):
                at = bisect_left(queue, item)
                if at < len(queue) and queue[at] == item:
                    del queue[at]
            if request.overtaken >= self._patience:
                self._dirty[name] = None

    # ------------------------------------------------------------ looking

    def free(self, name: str) -> tuple[float, float]:
        """Return free (cores, memory) of a node."""
        node = self._nodes[name]
        return node.free_cores, node.free_memory

    def waiting(self, name: str) -> int:
        """Return how many requests wait for a node."""
        return len(self._nodes[name].waiting)
