"""Path search on a directed multigraph of resources: shortest trees, k shortest, disjoint pairs.

A path is a tuple of directed resource ids (2*index for a->b, 2*index+1 for b->a). Ties are broken
by weight, hops, then the lowest resource ids, so the answer depends on the Plan alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

__all__ = ["Arc", "disjoint_paths", "k_shortest_paths", "path_to", "shortest_tree"]


class Arc(NamedTuple):
    """One direction of a link, leaving a site."""

    resource: int
    target: int
    weight: float


Graph = Sequence[Sequence[Arc]]
Path = tuple[int, ...]
_NONE: frozenset[int] = frozenset()


def shortest_tree(
    graph: Graph, source: int, avoid: frozenset[int] = _NONE, closed: frozenset[int] = _NONE
) -> tuple[list[float], list[tuple[int, int]]]:
    """Return weights and (previous site, resource) of the shortest paths from ``source`` (Dijkstra).

    ``avoid`` are resources not used, ``closed`` sites not entered. Unreached sites have weight
    infinity and previous site -1.
    """
    best: list[tuple[float, int]] = [(float("inf"), 0)] * len(graph)
    back: list[tuple[int, int]] = [(-1, -1)] * len(graph)
    best[source] = (0.0, 0)
    heap: list[tuple[float, int, int, int, int]] = [(0.0, 0, -1, source, -1)]
    done = [False] * len(graph)
    while heap:
        weight, hops, resource, site, previous = heappop(heap)
        if done[site]:
            continue
        done[site] = True
        back[site] = (previous, resource)
        for arc in graph[site]:
            if done[arc.target] or arc.resource in avoid or arc.target in closed:
                continue
            rank = (weight + arc.weight, hops + 1)
            if rank <= best[arc.target]:
                best[arc.target] = rank
                heappush(heap, (*rank, arc.resource, arc.target, site))
    return [b[0] for b in best], back


def path_to(back: Sequence[tuple[int, int]], source: int, target: int) -> Path | None:
    """Return the resources from the tree's ``source`` to ``target``, or None."""
    if target == source:
        return ()
    path: list[int] = []
    at = target
    while at != source:
        previous, resource = back[at]
        if previous < 0:
            return None
        path.append(resource)
        at = previous
    return tuple(reversed(path))


def _shortest(
    graph: Graph, source: int, target: int, avoid: frozenset[int], closed: frozenset[int]
) -> tuple[float, Path] | None:
    weights, back = shortest_tree(graph, source, avoid, closed)
    path = path_to(back, source, target)
    return None if path is None else (weights[target], path)


def k_shortest_paths(
    graph: Graph,
    source: int,
    target: int,
    k: int,
    avoid: frozenset[int] = _NONE,
    closed: frozenset[int] = _NONE,
) -> list[Path]:
    """Return up to ``k`` loop-free paths in ascending order (Yen 1971)."""
    ends: dict[int, tuple[int, int, float]] = {
        arc.resource: (site, arc.target, arc.weight) for site, arcs in enumerate(graph) for arc in arcs
    }
    first = _shortest(graph, source, target, avoid, closed)
    if first is None or k < 1:
        return []
    found: list[Path] = [first[1]]
    heap: list[tuple[float, int, Path]] = []
    seen = {first[1]}
    while len(found) < k:
        last = found[-1]
        root_weight, root_sites = 0.0, set(closed)
        for i in range(len(last)):
            spur, _, weight = ends[last[i]]
            root = last[:i]
            taken = {p[i] for p in found if len(p) > i and p[:i] == root}
            tail = _shortest(graph, spur, target, avoid | taken, frozenset(root_sites))
            if tail is not None and (path := root + tail[1]) not in seen:
                seen.add(path)
                heappush(heap, (root_weight + tail[0], len(path), path))
            root_weight += weight
            root_sites.add(spur)
        if not heap:
            break
        found.append(heappop(heap)[2])
    return found


def disjoint_paths(
    graph: Graph, source: int, target: int, avoid: frozenset[int] = _NONE, closed: frozenset[int] = _NONE
) -> tuple[Path, Path] | None:
    """Return two paths that share no link in either direction, of least total weight (Bhandari 1994).

    The first path's links are turned round with negative weight, the shortest path in that
    graph is found by label correction, and links used both ways cancel out.
    """
    if source == target:
        return None
    first = _shortest(graph, source, target, avoid, closed)
    if first is None:
        return None
    on_first = set(first[1])
    ends = {arc.resource: (site, arc.target, arc.weight) for site, arcs in enumerate(graph) for arc in arcs}
    second = _residual_path(graph, ends, source, target, on_first, avoid, closed)
    if second is None:
        return None
    kept = [r for r in first[1] if r ^ 1 not in second] + [r for r in second if r ^ 1 not in on_first]
    return _two_walks(kept, ends, source, target)


def _residual_path(
    graph: Graph,
    ends: Mapping[int, tuple[int, int, float]],
    source: int,
    target: int,
    on_first: set[int],
    avoid: frozenset[int],
    closed: frozenset[int],
) -> set[int] | None:
    """Return the resources of the shortest path where ``on_first`` can only be undone."""
    undo: dict[int, list[Arc]] = {}
    for resource in sorted(on_first):
        tail, head, weight = ends[resource]
        undo.setdefault(head, []).append(Arc(resource ^ 1, tail, -weight))
    best = [float("inf")] * len(graph)
    back: list[tuple[int, int]] = [(-1, -1)] * len(graph)
    best[source] = 0.0
    queue, waiting = deque([source]), {source}
    while queue:
        site = queue.popleft()
        waiting.discard(site)
        arcs = [a for a in graph[site] if a.resource not in on_first and a.resource ^ 1 not in on_first]
        for arc in [*arcs, *undo.get(site, ())]:
            if arc.target in closed or (arc.resource in avoid and arc.resource ^ 1 not in on_first):
                continue
            weight, old = best[site] + arc.weight, best[arc.target]
            # The margin keeps rounding from going round in circles of weight zero.
            if old == float("inf") or weight < old - 1e-12 * max(1.0, abs(old)):
                best[arc.target] = weight
                back[arc.target] = (site, arc.resource)
                if arc.target not in waiting:
                    waiting.add(arc.target)
                    queue.append(arc.target)
    path = path_to(back, source, target)
    return None if path is None else set(path)


def _two_walks(
    kept: Sequence[int], ends: Mapping[int, tuple[int, int, float]], source: int, target: int
) -> tuple[Path, Path]:
    """Return the two paths that the kept links form, the lighter one first."""
    leaving: dict[int, list[int]] = {}
    for resource in sorted(kept, reverse=True):
        leaving.setdefault(ends[resource][0], []).append(resource)
    walks: list[tuple[float, int, Path]] = []
    for _ in range(2):
        at, walk = source, []
        while at != target:
            resource = leaving[at].pop()
            walk.append(resource)
            at = ends[resource][1]
        walks.append((sum(ends[r][2] for r in walk), len(walk), tuple(walk)))
    walks.sort()
    return walks[0][2], walks[1][2]
