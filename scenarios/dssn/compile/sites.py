"""Topology of a scenario."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dssn.compile.codes import Loc, RawProblem
from dssn.compile.needs import SITES, unknown
from dssn.problems import nearest
from dssn.schema import network as spec
from dssn_models.network import topologies
from dssn_models.network.build import Attachment, PlaneSpec, build_network
from dssn_models.network.graph import Edge, Topology, TopologyError
from dssn_models.plan import NetworkPlan, RoutingPlan, SitePlan, TcpPlan

if TYPE_CHECKING:
    from dssn.compile.nodes import Placed

__all__ = ["EMPTY", "MAX_LINKS", "build_topology", "lay_links"]

#: Stands for a topology that could not be built.
EMPTY = Topology((), ())
_LOC: Loc = ("network", "topology")
_MAX_FILE: Final = 64_000_000
MAX_LINKS: Final = 500_000


def build_topology(
    asked: spec.Topology, find_file: Callable[[Loc, str], Path], problems: list[RawProblem]
) -> Topology:
    """Return the topology, or an empty one with the reason in ``problems``."""
    if isinstance(asked, spec.ExplicitTopology):
        return _explicit(asked, problems)
    try:
        return _build(asked, find_file)
    except (TopologyError, OSError, UnicodeDecodeError, KeyError) as exc:
        where, hint = _LOC, ""
        if isinstance(asked, spec.HubTopology):
            where, hint = (*_LOC, "name"), nearest(asked.name, topologies.topohub_names())
        elif isinstance(asked, spec.GraphTopology):
            where = (*_LOC, "file")
        text = str(exc.args[0]) if isinstance(exc, KeyError) and exc.args else str(exc)
        problems.append(RawProblem("E304", where, text[:300], "a topology that can be built", hint, SITES))
        return EMPTY


def _build(asked: Any, find_file: Callable[[Loc, str], Path]) -> Topology:
    match asked:
        case spec.ChinaTopology():
            return topologies.china(asked.cities)
        case spec.PathTopology():
            path_like = {"ring": topologies.ring, "line": topologies.line, "star": topologies.star}
            return path_like[asked.kind](asked.sites, asked.spacing)
        case spec.GridTopology():
            return topologies.grid(asked.rows, asked.columns, asked.spacing)
        case spec.TreeTopology():
            return topologies.tree(asked.depth, asked.branching, asked.spacing)
        case spec.MeshTopology():
            return topologies.full_mesh(asked.sites, asked.spacing)
        case spec.RandomTopology():
            return _random(asked)
        case spec.GraphTopology():
            path = find_file((*_LOC, "file"), asked.file)
            if not path.is_file():
                raise TopologyError(f"'{asked.file}' is no file")
            if path.stat().st_size > _MAX_FILE:
                raise TopologyError(f"{asked.file} has more than {_MAX_FILE} bytes")
            return topologies.from_graphml(path.read_bytes(), name=path.stem)
        case spec.HubTopology():
            return topologies.from_topohub(asked.name)
    raise TopologyError(f"kind {asked.kind!r} has no builder")


def _random(asked: spec.RandomTopology) -> Topology:
    match asked.kind:
        case "waxman":
            return topologies.waxman(asked.sites, asked.seed, asked.side)
        case "barabasi_albert":
            return topologies.barabasi_albert(asked.sites, asked.seed, side_m=asked.side)
    return topologies.random_geometric(asked.sites, asked.seed, asked.side)


def lay_links(
    asked: spec.Network, topology: Topology, placed: Sequence[Placed], problems: list[RawProblem]
) -> NetworkPlan:
    """Return the links of all planes and the access lines of all nodes that stand at a known site."""
    planes: dict[str, PlaneSpec] = {
        name: PlaneSpec(
            name, plane.rate * asked.spare, None if plane.core_rate is None else plane.core_rate * asked.spare
        )
        for name, plane in asked.planes.items()
    }
    sites = topology.site_by_id
    lines = [
        Attachment(
            p.node.id, p.node.site, a.technology, a.rate, a.rate_down or a.rate, a.length, split=a.split or 0
        )
        for p in placed
        if p.node.site in sites and p.node.id not in sites
        for a in p.access
    ]
    links = len(topology.edges) * len(planes) + len(lines)
    if links > MAX_LINKS:
        needs = (*SITES, (*_LOC, "edges"), ("network", "planes"), ("nodes",))
        where = ("network", "planes")
        problems.append(RawProblem("E310", where, f"{links} links", f"at most {MAX_LINKS}", "", needs))
        planes, lines = {}, []
    r = asked.routing
    routing = RoutingPlan(
        metric=r.metric,
        protection=r.protection,
        switch_s=r.switch,
        restoration_s=r.restoration,
        default_technology=r.default_technology
        or ("ip" if "ip" in asked.planes else next(iter(asked.planes))),
    )
    network = build_network(
        topology, planes, lines, routing=routing, transport=asked.transport, detour_factor=asked.detour_factor
    )
    return replace(network, tcp=_tcp(asked.tcp))


def _tcp(asked: spec.Tcp) -> TcpPlan:
    return TcpPlan(
        congestion=asked.congestion,
        initial_window=asked.initial_window,
        streams=asked.streams,
        min_rto_s=asked.min_rto,
        max_window_bytes=asked.max_window,
        queue=asked.queue,
        buffer_s=asked.buffer,
    )


def _explicit(asked: spec.ExplicitTopology, problems: list[RawProblem]) -> Topology:
    """Return the sites and spans as written; of what is wrong each part is told, and the rest stands."""
    sites: dict[str, SitePlan] = {}
    for i, s in enumerate(asked.sites):
        if s.id in sites:
            loc: Loc = (*_LOC, "sites", i, "id")
            problems.append(RawProblem("E303", loc, f"a second site '{s.id}'", "a name of its own for each"))
        else:
            sites[s.id] = SitePlan(s.id, s.lat, s.lon, s.kind, s.province, s.region, s.population, s.gdp)
    edges = []
    for i, e in enumerate(asked.edges):
        where: Loc = (*_LOC, "edges", i)
        ends = [(key, name) for key, name in (("a", e.a), ("b", e.b)) if name not in sites]
        problems += [unknown((*where, key), name, "site", sites, SITES) for key, name in ends]
        if e.a == e.b:
            what = f"a span from '{e.a}' to itself"
            needs = ((*where, "a"), (*where, "b"))
            problems.append(RawProblem("E304", where, what, "two different sites", "", needs))
        elif not ends:
            edges.append(Edge(e.a, e.b, e.length, e.srlg, routed=True))
    return Topology(tuple(sites.values()), tuple(edges), name="explicit", source="scenario file")
