"""All-or-nothing allocation of cores and memory on several nodes at once.

A job of several parties needs all its nodes at the same time. Here a request holds nothing while it
waits and takes everything when it is granted, so two jobs that want the same nodes crosswise cannot
lock each other out.

Order and back-fill
    Waiting requests are ordered by (key, order of arrival). A request is granted when all its needs fit
    and no *guarded* request before it shares a node with it. A later request that fits may thus pass an
    earlier one that does not (back-fill), which counts as one bypass of the request at the head of
    each shared node's queue; a request bypassed ``max_bypass`` times becomes guarded, and its nodes
    drain for it. The first request of all is head of all its queues, so it is granted after finitely
    many bypasses and releases, and by induction so is every other.

Cost
    A release looks at the first ``window`` waiting requests of the nodes it freed and at no others.
    Per node these stand in a short sorted list; the rest stands in a heap. Amounts are whole numbers
    (micro-cores, bytes), so what comes back is exactly what was taken.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Hashable, Mapping
from heapq import heappop, heappush
from typing import Any, Generic, NamedTuple, TypeVar

__all__ = ["AllocationError", "Allocator", "Free"]

Ident = TypeVar("Ident", bound=Hashable)
_MICRO = 1_000_000


class AllocationError(ValueError):
    """A request that can never be granted, or an id that is used wrongly."""


class Free(NamedTuple):
    """What a node has free: cores and bytes of memory."""

    cores: float
    memory_bytes: float


class _Request(Generic[Ident]):
    """One request; ``rank`` is its place in the order."""

    __slots__ = ("bypassed", "guarded", "ident", "needs", "rank", "state")

    def __init__(
        self, ident: Ident, needs: dict[str, tuple[int, int]], rank: tuple[tuple[float, ...], int]
    ) -> None:
        self.ident = ident
        self.needs = needs
        self.rank = rank
        self.state = "waiting"  # waiting | granted | gone
        self.bypassed = 0
        self.guarded = False

    def __lt__(self, other: _Request[Ident]) -> bool:
        return self.rank < other.rank


class _Node(Generic[Ident]):
    """Capacity, what is free, and the queue of one node."""

    __slots__ = ("cores", "far", "free_cores", "free_memory", "guards", "largest", "memory", "near")

    def __init__(self, cores: int, memory: int) -> None:
        self.cores = self.free_cores = cores
        self.memory = self.free_memory = memory
        self.largest = (cores, memory)  # the largest capacity so far: what is feasible after repair
        self.near: list[_Request[Ident]] = []  # first requests in order
        self.far: list[_Request[Ident]] = []  # heap of the rest, with requests that have gone
        self.guards: list[_Request[Ident]] = []  # guarded requests in order

    def insert(self, request: _Request[Ident], window: int) -> None:
        if self.far and request > self.near[-1]:
            heappush(self.far, request)
            return
        insort(self.near, request)
        if len(self.near) > 2 * window:
            heappush(self.far, self.near.pop())

    def remove(self, request: _Request[Ident], window: int) -> None:
        """Take a request that has left the waiting state out of the queue."""
        near = self.near
        i = bisect_left(near, request)
        if i < len(near) and near[i] is request:
            del near[i]
        if request.guarded:
            del self.guards[bisect_left(self.guards, request)]
        far = self.far
        while far and (far[0].state != "waiting" or len(near) < window):
            first = heappop(far)
            if first.state == "waiting":
                near.append(first)


def _rank(request: _Request[Any]) -> tuple[tuple[float, ...], int]:
    return request.rank


class Allocator(Generic[Ident]):
    """Grants requests for cores and memory on several nodes, each wholly or not at all.

    Parameters
    ----------
    capacities : Mapping
        Node id to (cores, bytes of memory).
    window : int
        How many waiting requests of a node are looked at for back-fill.
    max_bypass : int
        How often a request may be passed by later ones before its nodes are kept for it (0: never,
        requests that share a node go strictly in order).

    Examples
    --------
    >>> a = Allocator({"x": (8, 16e9), "y": (8, 16e9)})
    >>> a.request("job1", {"x": (8, 1e9), "y": (8, 1e9)}, (0.0,))
    >>> a.request("job2", {"y": (4, 1e9), "x": (4, 1e9)}, (1.0,))
    >>> a.ready()
    ['job1']
    >>> a.release("job1")
    >>> a.ready()
    ['job2']
    """

    def __init__(
        self, capacities: Mapping[str, tuple[float, float]], *, window: int = 32, max_bypass: int = 64
    ) -> None:
        if window < 1 or max_bypass < 0:
            raise AllocationError(f"window {window} and max_bypass {max_bypass}: need at least 1 and 0")
        self._nodes: dict[str, _Node[Ident]] = {
            name: _Node(round(cores * _MICRO), round(memory)) for name, (cores, memory) in capacities.items()
        }
        self._requests: dict[Ident, _Request[Ident]] = {}
        self._window = window
        self._max_bypass = max_bypass
        self._arrivals = 0
        self._new: list[_Request[Ident]] = []
        self._dirty: dict[str, None] = {}
        self._waiting = 0

    # ------------------------------------------------------------ what is where

    def __len__(self) -> int:
        """Return how many requests are waiting or hold nodes."""
        return len(self._requests)

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return self._waiting

    def free(self, node: str) -> Free:
        """Return the free cores and memory of a node (negative after a cut below what is held)."""
        n = self._nodes[node]
        return Free(n.free_cores / _MICRO, float(n.free_memory))

    def is_granted(self, ident: Ident) -> bool:
        """Return whether the request holds its nodes."""
        return self._requests[ident].state == "granted"

    def feasible(self, needs: Mapping[str, tuple[float, float]]) -> bool:
        """Return whether the needs fit empty nodes at their full capacity."""
        return not self._infeasible(self._whole(needs))

    # ------------------------------------------------------------ changes

    def request(self, ident: Ident, needs: Mapping[str, tuple[float, float]], key: tuple[float, ...]) -> None:
        """Queue a request; :meth:`ready` will name it when it is granted.

        Parameters
        ----------
        ident : Hashable
            New name of the request.
        needs : Mapping
            Node id to (cores, bytes of memory); zero is allowed.
        key : tuple of float
            Place in the order, smallest first; equal keys go by order of arrival.

        Raises
        ------
        AllocationError
            The id is in use, a node is unknown, the needs are negative or exceed a node's full
            capacity, or the key holds NaN.
        """
        if ident in self._requests:
            raise AllocationError(f"request {ident!r} exists already")
        if any(part != part for part in key):
            raise AllocationError(f"request {ident!r}: key {key} holds NaN")
        whole = self._whole(needs)
        problem = self._infeasible(whole)
        if problem:
            raise AllocationError(f"request {ident!r}: {problem}")
        self._arrivals += 1
        request = _Request(ident, whole, (key, self._arrivals))
        self._requests[ident] = request
        self._waiting += 1
        for name in whole:
            self._nodes[name].insert(request, self._window)
        if self._max_bypass == 0:
            self._guard(request)
        self._new.append(request)

    def release(self, ident: Ident) -> None:
        """Give back what a granted request holds."""
        request = self._take(ident, "granted")
        for name, (cores, memory) in request.needs.items():
            node = self._nodes[name]
            node.free_cores += cores
            node.free_memory += memory
            self._dirty[name] = None
        request.state = "gone"

    def cancel(self, ident: Ident) -> None:
        """Withdraw a waiting request."""
        request = self._take(ident, "waiting")
        self._leave(request, "gone")

    def set_capacity(self, node: str, cores: float, memory_bytes: float) -> None:
        """Change the capacity of a node (0 and 0: down).

        Requests that hold the node keep it; nothing more is granted until enough has come back. A
        waiting request that the node is now too small for keeps its place, but holds back nobody else.
        """
        n = self._nodes[node]
        new_cores, new_memory = round(cores * _MICRO), round(memory_bytes)
        n.free_cores += new_cores - n.cores
        n.free_memory += new_memory - n.memory
        n.cores, n.memory = new_cores, new_memory
        n.largest = (max(n.largest[0], new_cores), max(n.largest[1], new_memory))
        self._dirty[node] = None
        for guard in n.guards:
            self._dirty.update(dict.fromkeys(guard.needs))

    def ready(self) -> list[Ident]:
        """Grant what can be granted now and return the ids, in the order in which they were granted."""
        granted: list[Ident] = []
        while self._new or self._dirty:
            for request in self._candidates():
                if request.state == "waiting" and self._may_go(request):
                    self._grant(request)
                    granted.append(request.ident)
        return granted

    # ------------------------------------------------------------ inside

    @staticmethod
    def _whole(needs: Mapping[str, tuple[float, float]]) -> dict[str, tuple[int, int]]:
        return {name: (round(cores * _MICRO), round(memory)) for name, (cores, memory) in needs.items()}

    def _infeasible(self, needs: Mapping[str, tuple[int, int]]) -> str:
        for name, (cores, memory) in needs.items():
            node = self._nodes.get(name)
            if node is None:
                return f"there is no node {name!r}"
            if cores < 0 or memory < 0:
                return f"negative needs on {name!r}"
            if cores > node.largest[0] or memory > node.largest[1]:
                return f"{cores / _MICRO:g} cores and {memory:g} B are more than node {name!r} has"
        return ""

    def _take(self, ident: Ident, state: str) -> _Request[Ident]:
        request = self._requests.get(ident)
        if request is None or request.state != state:
            raise AllocationError(f"request {ident!r} is not {state}")
        del self._requests[ident]
        return request

    def _candidates(self) -> list[_Request[Ident]]:
        """Return, in order, the requests that a change since the last look may have made possible."""
        found: dict[int, _Request[Ident]] = {r.rank[1]: r for r in self._new}
        for name in self._dirty:
            node = self._nodes[name]
            cores, memory = node.free_cores, node.free_memory
            for request in node.near[: self._window]:
                need = request.needs[name]
                if need[0] <= cores and need[1] <= memory:
                    found[request.rank[1]] = request
        self._new.clear()
        self._dirty.clear()
        return sorted(found.values(), key=_rank)

    def _may_go(self, request: _Request[Ident]) -> bool:
        nodes = self._nodes
        for name, (cores, memory) in request.needs.items():
            node = nodes[name]
            if cores > node.free_cores or memory > node.free_memory:
                return False
        for name in request.needs:
            for guard in nodes[name].guards:
                if guard.rank >= request.rank:
                    break
                if not self._stuck(guard):
                    return False
        return True

    def _stuck(self, request: _Request[Ident]) -> bool:
        """Return whether a node is now too small for the request even when empty."""
        nodes = self._nodes
        return any(
            cores > nodes[name].cores or memory > nodes[name].memory
            for name, (cores, memory) in request.needs.items()
        )

    def _grant(self, request: _Request[Ident]) -> None:
        for name, (cores, memory) in request.needs.items():
            node = self._nodes[name]
            node.free_cores -= cores
            node.free_memory -= memory
        self._count_bypasses(request)
        self._leave(request, "granted")

    def _count_bypasses(self, request: _Request[Ident]) -> None:
        heads: dict[int, _Request[Ident]] = {}
        for name in request.needs:
            head = self._nodes[name].near[0]
            if head.rank < request.rank:
                heads[head.rank[1]] = head
        for head in heads.values():
            head.bypassed += 1
            if head.bypassed >= self._max_bypass and not head.guarded and not self._stuck(head):
                self._guard(head)

    def _guard(self, request: _Request[Ident]) -> None:
        request.guarded = True
        for name in request.needs:
            insort(self._nodes[name].guards, request)

    def _leave(self, request: _Request[Ident], state: str) -> None:
        """Take a request out of the queues; what stood behind it may now be possible."""
        request.state = state
        self._waiting -= 1
        for name in request.needs:
            node = self._nodes[name]
            # Behind a full window there may be requests that have never been looked at.
            unseen = len(node.near) > self._window or bool(node.far)
            node.remove(request, self._window)
            if request.guarded or unseen:
                self._dirty[name] = None
