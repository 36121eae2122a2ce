"""Topologies by name: the national default, imports, and generators.

Generators name their sites ``site1 ... siteN`` and lay them out on a plane around 0 N 0 E, so
that a map can be drawn; their spacing is fibre length (no detour factor applies).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from dssn_models.network.geo import EARTH_RADIUS_M
from dssn_models.network.graph import Edge, Topology, TopologyError
from dssn_models.network.imports import from_graphml, from_networkx, from_topohub, topohub_names
from dssn_models.network.national import REGIONS, china
from dssn_models.plan import SitePlan
from dssn_models.rng import stream

__all__ = [
    "GENERATORS",
    "REGIONS",
    "Edge",
    "Topology",
    "TopologyError",
    "barabasi_albert",
    "china",
    "from_graphml",
    "from_networkx",
    "from_topohub",
    "full_mesh",
    "grid",
    "line",
    "random_geometric",
    "ring",
    "star",
    "topohub_names",
    "tree",
    "waxman",
]

_DEGREE_M = math.pi * EARTH_RADIUS_M / 180
_MAX_SITES = 20_000
_MAX_EDGES = 500_000


def _check(n: int, least: int, what: str) -> None:
    if not least <= n <= _MAX_SITES:
        raise TopologyError(f"{what} has {n} sites; allowed: {least} to {_MAX_SITES}")


def _check_edges(count: float, what: str) -> None:
    if not count <= _MAX_EDGES:
        raise TopologyError(f"{what} has about {count:.0f} edges; allowed: at most {_MAX_EDGES}")


_DRAWING_M = 40 * _DEGREE_M  # wider layouts are drawn smaller; lengths are given, not measured on the map


def _plane(
    name: str,
    points: Sequence[tuple[float, float]],
    pairs: Iterable[tuple[int, int]],
    spacing_m: float | None,
    source: str = "generator",
) -> Topology:
    """Return sites at planar points; edges have length ``spacing_m``, or the planar distance where None."""
    widest = max((abs(c) for point in points for c in point), default=0.0)
    unit = _DEGREE_M * max(1.0, widest / _DRAWING_M)
    sites = tuple(
        SitePlan(f"site{i + 1}", lat=y / unit, lon=x / unit, kind="pop") for i, (x, y) in enumerate(points)
    )
    edges = tuple(
        Edge(
            sites[i].id,
            sites[j].id,
            math.dist(points[i], points[j]) if spacing_m is None else spacing_m,
            routed=True,
        )
        for i, j in pairs
    )
    return Topology(sites, edges, name=name, source=source)


def _circle(n: int, spacing_m: float) -> list[tuple[float, float]]:
    radius = spacing_m / (2 * math.sin(math.pi / n)) if n > 1 else 0.0
    # Clockwise from the north, as a clock face.
    angles = [math.pi / 2 - 2 * math.pi * i / n for i in range(n)]
    return [(radius * math.cos(t), radius * math.sin(t)) for t in angles]


def ring(n: int, spacing_m: float = 20e3) -> Topology:
    """Return ``n`` sites on a ring, neighbours ``spacing_m`` of fibre apart."""
    _check(n, 1, "ring")
    pairs = [(i, (i + 1) % n) for i in range(n)] if n > 2 else [(0, 1)] * (n - 1)
    return _plane("ring", _circle(n, spacing_m), pairs, spacing_m)


def line(n: int, spacing_m: float = 20e3) -> Topology:
    """Return ``n`` sites in a row."""
    _check(n, 1, "line")
    return _plane(
        "line", [(i * spacing_m, 0.0) for i in range(n)], [(i, i + 1) for i in range(n - 1)], spacing_m
    )


def star(n: int, spacing_m: float = 20e3) -> Topology:
    """Return ``site1`` in the middle and ``n - 1`` sites around it."""
    _check(n, 1, "star")
    points = [(0.0, 0.0)]
    for i in range(n - 1):
        t = math.pi / 2 - 2 * math.pi * i / (n - 1)
        points.append((spacing_m * math.cos(t), spacing_m * math.sin(t)))
    return _plane("star", points, [(0, i) for i in range(1, n)], spacing_m)


def grid(rows: int, columns: int, spacing_m: float = 20e3) -> Topology:
    """Return ``rows`` x ``columns`` sites, each joined to its right and lower neighbour."""
    _check(rows * columns, 1, "grid")
    if rows < 1 or columns < 1:
        raise TopologyError(f"grid of {rows} x {columns}; allowed: 1 x 1 or more")
    points = [(c * spacing_m, -r * spacing_m) for r in range(rows) for c in range(columns)]
    pairs = [
        (r * columns + c, r * columns + c + step)
        for r in range(rows)
        for c in range(columns)
        for step, fits in ((1, c + 1 < columns), (columns, r + 1 < rows))
        if fits
    ]
    return _plane("grid", points, pairs, spacing_m)


def full_mesh(n: int, spacing_m: float = 20e3) -> Topology:
    """Return ``n`` sites, each pair joined by ``spacing_m`` of fibre."""
    _check(n, 1, "full mesh")
    if n > 500:
        raise TopologyError(f"full mesh has {n} sites; allowed: at most 500")
    return _plane(
        "full_mesh", _circle(n, spacing_m), [(i, j) for i in range(n) for j in range(i + 1, n)], spacing_m
    )


def tree(depth: int, branching: int, spacing_m: float = 20e3) -> Topology:
    """Return a balanced tree: ``site1`` is the root, each inner site has ``branching`` children."""
    if depth < 0 or branching < 1 or (depth + 1) * math.log10(max(branching, 2)) > 6:
        raise TopologyError(f"tree of depth {depth} and branching {branching} is negative or too large")
    levels = [branching**d for d in range(depth + 1)]
    _check(sum(levels), 1, "tree")
    points: list[tuple[float, float]] = []
    for d, width in enumerate(levels):
        points += [
            ((i - (width - 1) / 2) * spacing_m * branching ** (depth - d), -d * spacing_m)
            for i in range(width)
        ]
    pairs = [((i - 1) // branching, i) for i in range(1, len(points))]
    return _plane("tree", points, pairs, spacing_m)


def _joined(points: Sequence[tuple[float, float]], pairs: set[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the pairs plus the shortest further ones that make the graph connected."""
    import networkx as nx

    g: nx.Graph[int] = nx.Graph()
    g.add_nodes_from(range(len(points)))
    g.add_edges_from(pairs)
    while True:
        parts = [sorted(p) for p in nx.connected_components(g)]
        if len(parts) <= 1:
            break
        parts.sort()
        first = np.array([points[i] for i in parts[0]])
        rest = [i for part in parts[1:] for i in part]
        others = np.array([points[i] for i in rest])
        d = np.hypot(first[:, None, 0] - others[:, 0], first[:, None, 1] - others[:, 1])
        i, j = divmod(int(d.argmin()), len(rest))
        g.add_edge(parts[0][i], rest[j])
    return sorted((min(e), max(e)) for e in g.edges)


def _scatter(n: int, seed: int, side_m: float, kind: str) -> list[tuple[float, float]]:
    rng = stream(seed, 0, "topology", kind)
    return [(float(x), float(y)) for x, y in (rng.random((n, 2)) - 0.5) * side_m]


def random_geometric(n: int, seed: int, side_m: float = 1000e3, radius_m: float | None = None) -> Topology:
    """Return ``n`` sites uniform on a square, joined where nearer than ``radius_m``.

    The default radius is ``1.2 * side * sqrt(log n / (pi n))``, a little over the connectivity
    threshold (Penrose 1997); parts that stay apart are joined by their shortest gap.
    """
    _check(n, 1, "random geometric graph")
    points = _scatter(n, seed, side_m, "random_geometric")
    radius = (
        radius_m if radius_m is not None else 1.2 * side_m * math.sqrt(math.log(max(n, 2)) / (math.pi * n))
    )
    _check_edges(n * (n - 1) / 2 * min(1.0, math.pi * (radius / side_m) ** 2), "random geometric graph")
    import networkx as nx

    g = nx.random_geometric_graph(n, radius, pos=dict(enumerate(points)))
    return _plane("random_geometric", points, _joined(points, set(g.edges)), None)


def waxman(n: int, seed: int, side_m: float = 1000e3, alpha: float = 0.4, beta: float = 0.2) -> Topology:
    """Return ``n`` sites uniform on a square, joined with probability ``alpha * exp(-d / (beta * L))``.

    L is the diagonal (Waxman 1988); parts that stay apart are joined by their shortest gap.
    """
    _check(n, 1, "Waxman graph")
    if n > 3000:
        raise TopologyError(f"Waxman graph has {n} sites; allowed: at most 3000")
    points = _scatter(n, seed, side_m, "waxman")
    xy = np.array(points)
    d = np.hypot(xy[:, None, 0] - xy[:, 0], xy[:, None, 1] - xy[:, 1])
    chance = alpha * np.exp(-d / (beta * side_m * math.sqrt(2)))
    hit = np.triu(stream(seed, 0, "topology", "waxman", "edges").random((n, n)) < chance, 1)
    _check_edges(int(hit.sum()), "Waxman graph")
    return _plane("waxman", points, _joined(points, {(int(i), int(j)) for i, j in np.argwhere(hit)}), None)


def barabasi_albert(n: int, seed: int, links_per_site: int = 2, side_m: float = 1000e3) -> Topology:
    """Return a preferential-attachment graph: each new site joins ``links_per_site`` older ones."""
    _check(n, 2, "Barabasi-Albert graph")
    if not 1 <= links_per_site < n:
        raise TopologyError(f"{links_per_site} links per site; allowed: 1 to {n - 1}")
    _check_edges(n * links_per_site, "Barabasi-Albert graph")
    points = _scatter(n, seed, side_m, "barabasi_albert")
    import networkx as nx

    g = nx.barabasi_albert_graph(n, links_per_site, seed=seed)
    return _plane("barabasi_albert", points, _joined(points, set(g.edges)), None)


GENERATORS = {
    "ring": ring,
    "line": line,
    "star": star,
    "grid": grid,
    "full_mesh": full_mesh,
    "tree": tree,
    "random_geometric": random_geometric,
    "waxman": waxman,
    "barabasi_albert": barabasi_albert,
}
"""Generator name to function, for callers that take the name from a file."""
