"""Topology: sites and edges before technologies are put on them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from dssn_models.plan import SitePlan

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["Edge", "Topology", "TopologyError"]


class TopologyError(ValueError):
    """A topology that cannot be built, with what was found and what is allowed."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One physical connection between two sites.

    Attributes
    ----------
    length_m : float
        Length on the map (great circle), or of the fibre itself if ``routed``.
    srlg : str
        Shared-risk group: edges of one group run in one duct. '' is a duct of its own.
    tier : str
        ``core`` | ``regional`` | ``city``; planes may have another rate on the core.
    routed : bool
        ``length_m`` is fibre already, so that no detour factor is due.
    """

    a: str
    b: str
    length_m: float
    srlg: str = ""
    tier: str = "core"
    routed: bool = False


@dataclass(frozen=True)
class Topology:
    """Sites and the edges between them; unique site ids, edges between known sites.

    Attributes
    ----------
    length_meaningful : bool
        False where the source gives drawing coordinates only; lengths are then stand-ins.
    warnings : tuple of str
        What a reader of results should know about this topology.
    """

    sites: tuple[SitePlan, ...]
    edges: tuple[Edge, ...]
    name: str = ""
    source: str = ""
    length_meaningful: bool = True
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        ids = {s.id for s in self.sites}
        if len(ids) != len(self.sites):
            seen: set[str] = set()
            twice = sorted({s.id for s in self.sites if s.id in seen or seen.add(s.id)})  # type: ignore[func-returns-value]
            raise TopologyError(f"site ids occur more than once: {', '.join(twice[:5])}")
        for e in self.edges:
            for end in (e.a, e.b):
                if end not in ids:
                    raise TopologyError(f"edge {e.a}--{e.b} ends at {end!r}, which is not a site")
            if e.a == e.b:
                raise TopologyError(f"edge {e.a}--{e.b} joins a site to itself")
            if not 0 <= e.length_m < 1e9:
                raise TopologyError(f"edge {e.a}--{e.b} has length {e.length_m} m; allowed: 0 to 1e9")

    @cached_property
    def site_by_id(self) -> dict[str, SitePlan]:
        """Site id to site."""
        return {s.id: s for s in self.sites}

    def graph(self) -> nx.MultiGraph[str]:
        """Return a networkx multigraph: edge attribute ``length_m``, key the edge's index."""
        import networkx as nx  # costs 0.4 s of start-up, so it is loaded where it is used

        g: nx.MultiGraph[str] = nx.MultiGraph()
        g.add_nodes_from(s.id for s in self.sites)
        for i, e in enumerate(self.edges):
            g.add_edge(e.a, e.b, key=i, length_m=e.length_m, tier=e.tier, srlg=e.srlg)
        return g
