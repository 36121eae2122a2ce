"""Topologies made elsewhere: GraphML, networkx graphs, TopoHub.

Nothing is read from a path here; callers pass text, bytes or a graph. TopoHub's data come
from the installed package.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from dssn_models.network.geo import great_circle_m
from dssn_models.network.graph import Edge, Topology, TopologyError
from dssn_models.plan import SitePlan

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["DEFAULT_LENGTH_M", "from_graphml", "from_networkx", "from_topohub", "topohub_names"]

DEFAULT_LENGTH_M: Final = 100e3
"""Stands in where a source gives neither a length nor two usable positions."""

_DRAWING: Final = frozenset({"sndlib/france", "sndlib/ta2", "sndlib/zib54"})  # drawing coordinates
_LENGTHS: Final = (
    ("length_m", 1.0),
    ("length_km", 1e3),
    ("dist_km", 1e3),
    ("distance_km", 1e3),
    ("dist", 1e3),
)
_MAX_TEXT: Final = 64_000_000


def _number(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _position(data: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return (lat, lon) from any of the usual attribute names."""
    folded = {str(k).lower(): v for k, v in data.items()}
    pos = folded.get("pos")
    if isinstance(pos, list | tuple) and len(pos) == 2:
        lon, lat = _number(pos[0]), _number(pos[1])
    else:
        lat = next((n for k in ("latitude", "lat") if (n := _number(folded.get(k))) is not None), None)
        lon = next(
            (n for k in ("longitude", "lon", "lng") if (n := _number(folded.get(k))) is not None), None
        )
    if lat is None or lon is None or not (-90 <= lat <= 90 and -180 <= lon <= 180):
        return None
    return lat, lon


def _names(graph: nx.Graph[Any]) -> dict[Any, str]:
    """Return a unique, readable id for each node: label or name, numbered where it repeats."""
    raw: dict[Any, str] = {}
    for node, data in graph.nodes(data=True):
        text = next(
            (str(data[k]).strip() for k in ("label", "name") if str(data.get(k) or "").strip()), str(node)
        )
        raw[node] = text
    count = Counter(raw.values())
    taken: set[str] = set()
    result: dict[Any, str] = {}
    for node, text in raw.items():
        name = text if count[text] == 1 else f"{text}-{node}"
        while name in taken:
            name += "'"
        taken.add(name)
        result[node] = name
    return result


def _guess_missing(
    graph: nx.Graph[Any], known: dict[Any, tuple[float, float]]
) -> dict[Any, tuple[float, float]]:
    """Return positions for nodes without one: the mean of their neighbours, spread outwards."""
    found = dict(known)
    while True:
        new = {}
        for node in graph.nodes:
            if node in found:
                continue
            near = [found[v] for v in graph.neighbors(node) if v in found]
            if near:
                new[node] = (sum(p[0] for p in near) / len(near), sum(p[1] for p in near) / len(near))
        if not new:
            return found
        found.update(new)


def from_networkx(
    graph: nx.Graph[Any],
    *,
    name: str = "",
    source: str = "networkx graph",
    default_length_m: float = DEFAULT_LENGTH_M,
) -> Topology:
    """Return a topology from any networkx graph.

    Parameters
    ----------
    graph : networkx.Graph
        Directed graphs are read as undirected; self-loops are dropped, parallel edges kept.
        Node attributes used: ``label`` or ``name``; ``pos`` (lon, lat), or latitude and longitude;
        ``kind``, ``province``, ``region``, ``population``, ``gdp``. Edge attributes used: ``length_m``,
        ``length_km``, ``dist`` (km), ``srlg``, ``tier``. A missing length is the great circle.
    default_length_m : float
        Length of an edge where neither a length nor positions are known.
    """
    import networkx as nx  # costs 0.4 s of start-up, so it is loaded where it is used

    if graph.number_of_nodes() == 0:
        raise TopologyError("the graph has no nodes")
    undirected = nx.MultiGraph(graph) if graph.is_multigraph() else nx.Graph(graph)
    names = _names(undirected)
    known = {n: p for n, data in undirected.nodes(data=True) if (p := _position(data)) is not None}
    positions = _guess_missing(undirected, known)
    sites = []
    for node, data in undirected.nodes(data=True):
        lat, lon = positions.get(node, (0.0, 0.0))
        sites.append(
            SitePlan(
                names[node],
                lat=lat,
                lon=lon,
                kind=str(data.get("kind") or "pop"),
                province=str(data.get("province") or ""),
                region=str(data.get("region") or ""),
                population=_number(data.get("population")) or 0.0,
                gdp=_number(data.get("gdp")) or 0.0,
            )
        )
    edges, stand_ins = [], 0
    for u, v, data in undirected.edges(data=True):
        if u == v:
            continue
        length = next(
            (n * f for k, f in _LENGTHS if (n := _number(data.get(k))) is not None and n >= 0), None
        )
        if length is None and u in known and v in known:
            length = great_circle_m(*known[u], *known[v])
        if length is None:
            length, stand_ins = default_length_m, stand_ins + 1
        edges.append(
            Edge(names[u], names[v], length, str(data.get("srlg") or ""), str(data.get("tier") or "core"))
        )
    warnings = []
    if stand_ins:
        warnings.append(
            f"{stand_ins} of {len(edges)} links have no known length; {default_length_m / 1e3:g} km stands in"
        )
    if not nx.is_connected(undirected):
        warnings.append(
            f"the topology has {nx.number_connected_components(undirected)} parts that no link joins"
        )
    return Topology(
        tuple(sites),
        tuple(edges),
        name=name or str(graph.graph.get("name") or graph.graph.get("Network") or ""),
        source=source,
        length_meaningful=stand_ins < len(edges) or not edges,
        warnings=tuple(warnings),
    )


def from_graphml(
    text: str | bytes, *, name: str = "", default_length_m: float = DEFAULT_LENGTH_M
) -> Topology:
    """Return a topology from GraphML text, for example of the Internet Topology Zoo.

    Raises
    ------
    TopologyError
        If the text is no GraphML, has a document type declaration (entity expansion), or no nodes.
    """
    import networkx as nx

    if len(text) > _MAX_TEXT:
        raise TopologyError(f"GraphML text of {len(text)} characters; allowed: at most {_MAX_TEXT}")
    data = text.encode() if isinstance(text, str) else text
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise TopologyError("GraphML with a document type declaration is not read")
    try:
        graph = nx.parse_graphml(data.decode())
    except Exception as err:  # noqa: BLE001 - the parser raises a dozen kinds; the caller gets one
        raise TopologyError(f"the text is not GraphML ({type(err).__name__}: {err})") from None
    if name == "":
        name = str(graph.graph.get("Network") or graph.graph.get("label") or "")
    return from_networkx(graph, name=name, source="GraphML", default_length_m=default_length_m)


@cache
def topohub_names() -> tuple[str, ...]:
    """Return all names of the TopoHub package, for example ``topozoo/Chinanet``."""
    found: list[str] = []

    def walk(folder: Any, prefix: str) -> None:
        for item in folder.iterdir():
            if item.name.endswith(".json"):
                found.append(f"{prefix}{item.name[:-5]}")
            elif item.is_dir() and not item.name.startswith("_"):
                walk(item, f"{prefix}{item.name}/")

    walk(files("topohub") / "data", "")
    return tuple(sorted(found))


def _resolve(name: str) -> str:
    """Return the full TopoHub name; the group may be left out and case is free."""
    names = topohub_names()
    if re.fullmatch(r"[\w./-]+", name) and name in names:
        return name
    folded = name.lower()
    hits = [n for n in names if n.lower() == folded] or [
        n for n in names if n.lower().rsplit("/", 1)[-1] == folded
    ]
    if len(hits) == 1:
        return hits[0]
    by_last = {n.rsplit("/", 1)[-1].lower(): n for n in reversed(names)}
    near = hits or get_close_matches(name, names, n=3, cutoff=0.6)
    near = near or [
        by_last[k] for k in get_close_matches(folded.rsplit("/", 1)[-1], list(by_last), n=3, cutoff=0.5)
    ]
    hint = f"; near: {', '.join(near[:5])}" if near else ""
    groups = ", ".join(sorted({n.split("/")[0] for n in names}))
    raise TopologyError(f"{name[:60]!r} is not a TopoHub topology (groups: {groups}){hint}")


def from_topohub(name: str, *, default_length_m: float = 300e3) -> Topology:
    """Return a topology of the TopoHub package.

    Parameters
    ----------
    name : str
        ``topozoo/Chinanet``, ``sndlib/germany50``, ``gabriel/25/0`` ..., or the last part alone.
    default_length_m : float
        Length of every link where the source has drawing coordinates only
        (``length_meaningful`` is then False).
    """
    import networkx as nx
    import topohub

    key = _resolve(name)
    data: dict[str, Any] = topohub.get(key)  # type: ignore[no-untyped-call]
    drawing = key in _DRAWING or key.startswith("gabriel/")
    graph: nx.Graph[Any] = nx.Graph()
    for node in data["nodes"]:
        attributes = {"name": node.get("name")}
        if not drawing:
            attributes["pos"] = node.get("pos")
        graph.add_node(node["id"], **attributes)
    for edge in data["edges"]:
        extra = {} if key in _DRAWING else {"dist": edge.get("dist")}
        graph.add_edge(edge["source"], edge["target"], **extra)
    result = from_networkx(
        graph, name=key, source=f"topohub {topohub.__version__}: {key}", default_length_m=default_length_m
    )
    sites, warnings, meaningful = result.sites, list(result.warnings), True
    if key in _DRAWING:
        meaningful = False
        warnings = [
            f"{key} has drawing coordinates, so lengths mean nothing; {default_length_m / 1e3:g} km stands in"
        ]
    if drawing:
        # Drawing units: kept as a picture of a few degrees around 0 N 0 E.
        sites = _drawing_sites(result.sites, data["nodes"])
    if key == "topozoo/Chinanet":
        warnings.append("topozoo/Chinanet places Hong Kong at 100.5 E, 1400 km too far west")
    return Topology(sites, result.edges, result.name, result.source, meaningful, tuple(warnings))


def _drawing_sites(sites: tuple[SitePlan, ...], nodes: list[dict[str, Any]]) -> tuple[SitePlan, ...]:
    positions = [node.get("pos") or (0.0, 0.0) for node in nodes]
    xs, ys = [float(p[0]) for p in positions], [float(p[1]) for p in positions]
    scale = 10.0 / max(max(xs) - min(xs), max(ys) - min(ys), 1e-9)
    return tuple(
        SitePlan(s.id, lat=(y - min(ys)) * scale, lon=(x - min(xs)) * scale, kind="pop")
        for s, x, y in zip(sites, xs, ys, strict=True)
    )
