"""Routes between nodes over the planes of a network.

Each technology is a plane of its own; planes meet at sites. A node's access link joins any
plane. Answers are kept per pair, so that asking again costs one look-up.

Directed resources are numbered as in ``NetworkPlan``: ``2*index`` for a->b, ``2*index+1`` for
b->a. A ``shared`` link is ``2*index`` both ways.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from dssn_models.network.search import Arc, Path, disjoint_paths, k_shortest_paths, path_to, shortest_tree
from dssn_models.network.technologies import TECHNOLOGIES
from dssn_models.plan import LinkPlan, NetworkPlan

__all__ = ["Route", "Router", "both_ways", "rtt_matrix"]

_EMPTY: Final[frozenset[int]] = frozenset()
_NO_SITES: Final[frozenset[str]] = frozenset()
_KEEP: Final = 1_000_000  # answers kept before the cache is emptied
_YEN_FOR_DUCTS: Final = 8  # candidates tried as working path of a duct-disjoint pair


class Route(NamedTuple):
    """A path between two nodes or sites.

    Attributes
    ----------
    links : tuple of int
        Directed resource ids in order; empty on one node.
    delay_s : float
        One way, unloaded.
    overhead : float
        Bytes on the wire per payload byte, the largest of the links.
    loss : float
        Packet loss ratio of the path, links independent.
    length_m : float
        Fibre length.
    hops : int
        Number of links.
    sites : tuple of str
        Sites passed, first and last included.
    technologies : tuple of str
        Technologies in order of first use.
    price : float
        CNY per Mbit/s and month.
    """

    links: tuple[int, ...]
    delay_s: float
    overhead: float
    loss: float
    length_m: float
    hops: int
    sites: tuple[str, ...]
    technologies: tuple[str, ...]
    price: float


@dataclass(frozen=True, slots=True)
class _End:
    """A node's or site's way into the network: the access link, if any, and the site."""

    site: int
    link: LinkPlan | None

    def indices(self) -> tuple[int, ...]:
        """Return the links from the node to the site, in order."""
        if self.link is None:
            return ()
        return (self.link.index,) if self.link.tree < 0 else (self.link.index, self.link.tree)


def both_ways(indices: Iterable[int]) -> frozenset[int]:
    """Return the directed resources of links given by index, for ``avoid_links``."""
    return frozenset(r for i in indices for r in (2 * i, 2 * i + 1))


class Router:
    """Finds routes in one network.

    Parameters
    ----------
    network : NetworkPlan
        Its ``routing.metric`` is what a route minimises: delay, hops or price. Ties go to fewer
        hops, then lower link indices.
    """

    def __init__(self, network: NetworkPlan) -> None:
        self.network = network
        self._site = network.site_index
        self._names = tuple(s.id for s in network.sites)
        self._ends: dict[str, list[_End]] = {}
        self._graphs: dict[str, list[list[Arc]]] = {}
        n = len(network.sites)
        for link in network.links:
            if link.access:
                self._ends.setdefault(link.a, []).append(_End(self._site[link.b], link))
                continue
            graph = self._graphs.setdefault(link.technology, [[] for _ in range(n)])
            a, b, weight = self._site[link.a], self._site[link.b], self._weight(link)
            graph[a].append(Arc(2 * link.index, b, weight))
            graph[b].append(Arc(2 * link.index + 1, a, weight))
        for name, index in self._site.items():
            self._ends[name] = [_End(index, None)]
        groups: dict[str, list[int]] = {}
        for link in network.links:
            if link.srlg:
                groups.setdefault(link.srlg, []).append(link.index)
        self._by_srlg: dict[str, frozenset[int]] = {
            group: both_ways(members) for group, members in groups.items()
        }
        # '' is all planes at once: the last resort where no single plane connects.
        self._graphs[""] = [[arc for g in self._graphs.values() for arc in g[i]] for i in range(n)]
        default = network.routing.default_technology
        self._planes = tuple(sorted((t for t in self._graphs if t), key=lambda t: (t != default,)))
        self._trees: dict[tuple[object, ...], tuple[list[float], list[tuple[int, int]]]] = {}
        self._routes: dict[tuple[object, ...], Route | None] = {}
        self._middles: dict[tuple[int, Path], Route] = {}
        self._between: dict[tuple[int, int, str | None], Route | None] = {}

    def _weight(self, link: LinkPlan) -> float:
        metric = self.network.routing.metric
        if metric == "hops":
            return 1.0
        return link.delay_s if metric == "delay" else link.price_cny_per_mbps_month

    @property
    def planes(self) -> tuple[str, ...]:
        """Technologies that have backbone links, the default first."""
        return self._planes

    def route(
        self,
        src_node: str,
        dst_node: str,
        technology: str | None = None,
        *,
        avoid_links: frozenset[int] = _EMPTY,
        avoid_sites: frozenset[str] = _NO_SITES,
    ) -> Route | None:
        """Return the best route, or None if there is none (see :meth:`explain`).

        Parameters
        ----------
        src_node, dst_node : str
            Node ids; a site id stands for equipment at the site, with no access link.
        technology : str, optional
            The plane to use. None: the default technology, else the first single plane that
            connects, else all planes joined at sites.
        avoid_links : frozenset of int
            Directed resources not to use, access links included; see :func:`both_ways`.
        avoid_sites : frozenset of str
            Sites not to touch, not even at the ends.
        """
        key: tuple[object, ...] = (
            (src_node, dst_node, technology)
            if not avoid_links and not avoid_sites
            else (src_node, dst_node, technology, avoid_links, avoid_sites)
        )
        try:
            return self._routes[key]
        except KeyError:
            pass
        found = self.candidates(
            src_node, dst_node, technology, 1, avoid_links=avoid_links, avoid_sites=avoid_sites
        )
        if len(self._routes) >= _KEEP:
            self._routes.clear()
        result = self._routes[key] = found[0] if found else None
        return result

    def candidates(
        self,
        src: str,
        dst: str,
        technology: str | None = None,
        k: int = 3,
        *,
        avoid_links: frozenset[int] = _EMPTY,
        avoid_sites: frozenset[str] = _NO_SITES,
    ) -> list[Route]:
        """Return up to ``k`` loop-free routes, the best first."""
        if src == dst and src in self._ends:
            site = self._names[self._ends[src][0].site]
            return [Route((), 0.0, 1.0, 0.0, 0.0, 0, (site,), (), 0.0)]
        closed = self._closed(avoid_sites)
        ranked: list[tuple[float, int, tuple[int, ...], Route]] = []
        plane = self._plane_for(src, dst, technology, avoid_links, closed)
        if plane is None:
            return []
        graph = self._graphs[plane]
        for a, b in self._pairs(src, dst, avoid_links, closed):
            paths: list[Path]
            if k == 1:
                path = path_to(self._tree(plane, a.site, avoid_links, closed)[1], a.site, b.site)
                paths = [] if path is None else [path]
            else:
                paths = k_shortest_paths(graph, a.site, b.site, k, avoid_links, closed)
            for path in paths:
                route = self._assemble(a, path, b)
                ranked.append((self._rank(a, path, b), route.hops, route.links, route))
        return [r[3] for r in sorted(ranked, key=lambda r: r[:3])[:k]]

    def disjoint_pair(
        self,
        src: str,
        dst: str,
        technology: str | None = None,
        *,
        avoid_links: frozenset[int] = _EMPTY,
        avoid_sites: frozenset[str] = _NO_SITES,
    ) -> tuple[Route, Route] | None:
        """Return a working and a protecting route that share no link between the sites.

        Of least total weight among link-disjoint pairs. If that pair shares a duct
        (shared-risk group), a duct-disjoint pair is looked for among the eight best working
        paths, and taken if there is one. A node with one access link has it on both routes.
        """
        closed = self._closed(avoid_sites)
        plane = self._plane_for(src, dst, technology, avoid_links, closed)
        if plane is None:
            return None
        graph = self._graphs[plane]
        best: tuple[float, Route, Route] | None = None
        for a, b in self._pairs(src, dst, avoid_links, closed):
            if a.site == b.site:
                continue
            pair = disjoint_paths(graph, a.site, b.site, avoid_links, closed)
            if pair is None:
                continue
            if self._share_duct(*pair):
                pair = self._duct_disjoint(plane, a.site, b.site, avoid_links, closed) or pair
            weight = sum(self._rank(a, p, b) for p in pair)
            if best is None or weight < best[0]:
                best = (weight, self._assemble(a, pair[0], b), self._assemble(a, pair[1], b))
        return None if best is None else best[1:]

    def technologies(self, src: str, dst: str) -> tuple[str, ...]:
        """Return the planes that alone reach from one end to the other, the default first."""
        return tuple(p for p in self._planes if self._plane_for(src, dst, p, _EMPTY, _EMPTY) is not None)

    def explain(
        self,
        src: str,
        dst: str,
        technology: str | None = None,
        *,
        avoid_links: frozenset[int] = _EMPTY,
        avoid_sites: frozenset[str] = _NO_SITES,
    ) -> str:
        """Return why there is no route, in words; '' where there is one."""
        if self.route(src, dst, technology, avoid_links=avoid_links, avoid_sites=avoid_sites) is not None:
            return ""
        for end in (src, dst):
            if end not in self._ends:
                return f"{end!r} is neither a site nor a node with an access link"
            if all(self._names[e.site] in avoid_sites for e in self._ends[end]):
                return f"every site of {end!r} is to be avoided"
            if not any(self._usable(e, avoid_links, _EMPTY) for e in self._ends[end]):
                return f"every access link of {end!r} is to be avoided"
        if technology is not None and technology not in self._planes:
            have = ", ".join(self._planes) or "it has none"
            return f"the network has no plane of technology {technology!r} ({have})"
        planes = [technology] if technology is not None else list(self._planes)
        what = f"the {technology} plane" if technology is not None else "any plane"
        for end in (src, dst):
            site = self._ends[end][0].site
            if not any(self._graphs[p][site] for p in planes):
                return f"site {self._names[site]!r} of {end!r} has no link in {what}"
        if (avoid_links or avoid_sites) and self.route(src, dst, technology) is not None:
            return f"all paths in {what} use a link or site that is to be avoided"
        a, b = (self._names[self._ends[e][0].site] for e in (src, dst))
        return f"{a!r} and {b!r} are in parts of the network that {what} does not join"

    # ------------------------------------------------------------------ inside

    def _closed(self, avoid_sites: frozenset[str]) -> frozenset[int]:
        return frozenset(self._site[s] for s in avoid_sites if s in self._site) if avoid_sites else _EMPTY

    @staticmethod
    def _usable(end: _End, avoid: frozenset[int], closed: frozenset[int]) -> bool:
        if end.site in closed:
            return False
        return not any(2 * i in avoid or 2 * i + 1 in avoid for i in end.indices())

    def _pairs(
        self, src: str, dst: str, avoid: frozenset[int], closed: frozenset[int]
    ) -> list[tuple[_End, _End]]:
        """Return the usable combinations of access links."""
        return [
            (a, b)
            for a in self._ends.get(src, ())
            if self._usable(a, avoid, closed)
            for b in self._ends.get(dst, ())
            if self._usable(b, avoid, closed)
        ]

    def _tree(
        self, plane: str, source: int, avoid: frozenset[int], closed: frozenset[int]
    ) -> tuple[list[float], list[tuple[int, int]]]:
        key = (plane, source, avoid, closed)
        tree = self._trees.get(key)
        if tree is None:
            if len(self._trees) >= max(1000, 4_000_000 // max(1, len(self._names))):
                self._trees.clear()
            tree = self._trees[key] = shortest_tree(self._graphs[plane], source, avoid, closed)
        return tree

    def _connects(
        self, plane: str, src: str, dst: str, avoid: frozenset[int], closed: frozenset[int]
    ) -> bool:
        return any(
            a.site == b.site or self._tree(plane, a.site, avoid, closed)[1][b.site][0] >= 0
            for a, b in self._pairs(src, dst, avoid, closed)
        )

    def _plane_for(
        self, src: str, dst: str, technology: str | None, avoid: frozenset[int], closed: frozenset[int]
    ) -> str | None:
        """Return the plane that serves the pair, '' for all planes joined, None if nothing does."""
        if technology is not None:
            known = technology in self._planes
            return technology if known and self._connects(technology, src, dst, avoid, closed) else None
        for plane in (*self._planes, ""):
            if self._connects(plane, src, dst, avoid, closed):
                return plane
        return None

    def _rank(self, a: _End, path: Path, b: _End) -> float:
        links = self.network.links
        ends = sum(self._weight(e.link) for e in (a, b) if e.link is not None)
        return ends + sum(self._weight(links[r >> 1]) for r in path)

    def _assemble(self, a: _End, path: Path, b: _End) -> Route:
        """Return the route: access link up, path, access link down."""
        key = (a.site, path)
        middle = self._middles.get(key)
        if middle is None:
            if len(self._middles) >= _KEEP:
                self._middles.clear()
            middle = self._middles[key] = self._middle(a.site, path)
        return self._join(a.link, middle, b.link)

    def _middle(self, source: int, path: Path) -> Route:
        """Return the route from site to site over these resources."""
        links = self.network.links
        used = [links[r >> 1] for r in path]
        sites = [self._names[source]]
        kept = 1.0
        for r, link in zip(path, used, strict=True):
            sites.append(link.a if r & 1 else link.b)
            kept *= 1.0 - link.loss
        planes = tuple(dict.fromkeys(link.technology for link in used))
        boxes = max((TECHNOLOGIES[t].end_s for t in planes if t in TECHNOLOGIES), default=0.0)
        return Route(
            links=tuple(r & ~1 if link.shared else r for r, link in zip(path, used, strict=True)),
            delay_s=sum(link.delay_s for link in used) + 2 * boxes,
            overhead=max((link.overhead for link in used), default=1.0),
            loss=1.0 - kept,
            length_m=sum(link.length_m for link in used),
            hops=len(used),
            sites=tuple(sites),
            technologies=planes,
            price=sum(link.price_cny_per_mbps_month for link in used),
        )

    @staticmethod
    def _join(up: LinkPlan | None, middle: Route, down: LinkPlan | None) -> Route:
        """Return ``middle`` with the access links before and after it."""
        links, delay, overhead, loss, length, hops, sites, planes, price = middle
        for link, resource, first in ((up, 0, True), (down, 1, False)):
            if link is None:
                continue
            directed: tuple[int, ...] = (2 * link.index + (0 if link.shared else resource),)
            if link.tree >= 0:  # the shared part lies between the node's own and the site
                shared = 2 * link.tree + resource
                directed = (*directed, shared) if first else (shared, *directed)
            links = directed + links if first else links + directed
            delay += link.delay_s
            overhead = max(overhead, link.overhead)
            loss = 1.0 - (1.0 - loss) * (1.0 - link.loss)
            length += link.length_m
            hops += 1
            price += link.price_cny_per_mbps_month
            if link.technology not in planes:
                planes = (link.technology, *planes) if first else (*planes, link.technology)
        return Route(links, delay, overhead, loss, length, hops, sites, planes, price)

    def _share_duct(self, p: Path, q: Path) -> bool:
        links = self.network.links
        ducts = {links[r >> 1].srlg for r in p} - {""}
        return any(links[r >> 1].srlg in ducts for r in q)

    def _duct_disjoint(
        self, plane: str, source: int, target: int, avoid: frozenset[int], closed: frozenset[int]
    ) -> tuple[Path, Path] | None:
        links, graph = self.network.links, self._graphs[plane]
        best: tuple[float, Path, Path] | None = None
        for working in k_shortest_paths(graph, source, target, _YEN_FOR_DUCTS, avoid, closed):
            shared = both_ways(r >> 1 for r in working)
            for r in working:
                shared |= self._by_srlg.get(links[r >> 1].srlg, _EMPTY)
            weights, back = shortest_tree(graph, source, avoid | shared, closed)
            other = path_to(back, source, target)
            if other is not None:
                total = weights[target] + sum(self._weight(links[r >> 1]) for r in working)
                if best is None or total < best[0]:
                    best = (total, working, other)
        return None if best is None else best[1:]


def rtt_matrix(network: NetworkPlan, technology: str | None = None) -> npt.NDArray[np.float64]:
    """Return round-trip times (s) between all sites on the paths of least delay.

    Parameters
    ----------
    network : NetworkPlan
    technology : str, optional
        One plane; None: the default technology.

    Returns
    -------
    ndarray of shape (sites, sites)
        Infinity where the plane does not connect; rows and columns in the order of ``network.sites``.
    """
    from scipy.sparse import csr_matrix  # costs 0.3 s of start-up, so it is loaded where it is used
    from scipy.sparse.csgraph import dijkstra

    name = technology if technology is not None else network.routing.default_technology
    n, index = len(network.sites), network.site_index
    best: dict[tuple[int, int], float] = {}
    for link in network.links:
        if link.access or link.technology != name:
            continue
        i, j = index[link.a], index[link.b]
        for key in ((i, j), (j, i)):
            # csgraph drops explicit zeros; a femtosecond keeps the edge.
            best[key] = min(best.get(key, np.inf), max(link.delay_s, 1e-15))
    rows, columns = (np.array([k[i] for k in best], dtype=np.int64) for i in (0, 1))
    delays = dijkstra(csr_matrix((np.array(list(best.values()), dtype=float), (rows, columns)), shape=(n, n)))
    boxes = 2 * TECHNOLOGIES[name].end_s if name in TECHNOLOGIES else 0.0
    result: npt.NDArray[np.float64] = 2 * (np.asarray(delays, dtype=float) + boxes)
    np.fill_diagonal(result, 0.0)
    return result
