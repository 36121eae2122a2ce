"""The national default: provincial capitals, hubs, clusters and cities as one backbone.

The pattern, from coarse to fine (sources in ``docs/models/network.md``):

1. core: eight nodes as in ChinaNet, three centres meshed and joined to the other five;
2. core: the eight national hubs meshed;
3. regional: the capitals as a Gabriel graph, made 2-edge-connected by the shortest further edges;
4. city: each hub to its two nearest capitals, each cluster to its hub and the nearest capital, each
   further city to its own capital and the nearest other core site.

Every site then has two edge-disjoint ways to every other, and no single shared duct parts any two.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

from dssn_models.network.geo import bearing_deg, great_circle_m
from dssn_models.network.graph import Edge, Topology
from dssn_models.plan import SitePlan

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["CLUSTER_HUB", "CORE", "CROSS_BORDER", "REGIONS", "china"]

REGIONS: Final[dict[str, tuple[str, ...]]] = {
    "north": ("Beijing", "Tianjin", "Hebei", "Shanxi", "Inner Mongolia"),
    "northeast": ("Liaoning", "Jilin", "Heilongjiang"),
    "east": ("Shanghai", "Jiangsu", "Zhejiang", "Anhui", "Fujian", "Jiangxi", "Shandong"),
    "central": ("Henan", "Hubei", "Hunan"),
    "south": ("Guangdong", "Guangxi", "Hainan", "Hong Kong", "Macao"),
    "southwest": ("Chongqing", "Sichuan", "Guizhou", "Yunnan", "Tibet"),
    "northwest": ("Shaanxi", "Gansu", "Qinghai", "Ningxia", "Xinjiang"),
}
"""The seven macro regions and their provinces."""

CORE: Final = ("Beijing", "Shanghai", "Guangzhou", "Shenyang", "Nanjing", "Wuhan", "Chengdu", "Xi'an")
"""The eight nodes of the ChinaNet core; the first three are its centres."""

CROSS_BORDER: Final = {"Hong Kong": "Shenzhen", "Macao": "Zhuhai"}
"""Sites outside the customs border, and the city next to each."""

# Name in the file -> (site id, province it stands in).
_HUBS: Final = {
    "Beijing-Tianjin-Hebei hub (JJJ)": ("hub-beijing-tianjin-hebei", "Hebei"),
    "Yangtze River Delta hub": ("hub-yangtze-delta", "Shanghai"),
    "Guangdong-Hong Kong-Macao Greater Bay Area hub": ("hub-greater-bay", "Guangdong"),
    "Chengdu-Chongqing hub": ("hub-chengdu-chongqing", "Sichuan"),
    "Inner Mongolia hub": ("hub-inner-mongolia", "Inner Mongolia"),
    "Guizhou hub": ("hub-guizhou", "Guizhou"),
    "Gansu hub": ("hub-gansu", "Gansu"),
    "Ningxia hub": ("hub-ningxia", "Ningxia"),
}
_CLUSTERS: Final = {
    "Zhangjiakou cluster": ("cluster-zhangjiakou", "Hebei", "hub-beijing-tianjin-hebei"),
    "YRD Eco-Green Integration Demonstration Zone cluster": (
        "cluster-yrd-demonstration",
        "Shanghai",
        "hub-yangtze-delta",
    ),
    "Wuhu cluster": ("cluster-wuhu", "Anhui", "hub-yangtze-delta"),
    "Shaoguan cluster": ("cluster-shaoguan", "Guangdong", "hub-greater-bay"),
    "Tianfu cluster": ("cluster-tianfu", "Sichuan", "hub-chengdu-chongqing"),
    "Chongqing cluster": ("cluster-chongqing", "Chongqing", "hub-chengdu-chongqing"),
    "Gui'an cluster": ("cluster-guian", "Guizhou", "hub-guizhou"),
    "Horinger cluster": ("cluster-horinger", "Inner Mongolia", "hub-inner-mongolia"),
    "Qingyang cluster": ("cluster-qingyang", "Gansu", "hub-gansu"),
    "Zhongwei cluster": ("cluster-zhongwei", "Ningxia", "hub-ningxia"),
}
CLUSTER_HUB: Final = {site: hub for site, _, hub in _CLUSTERS.values()}
"""Cluster id to the id of its hub."""

# GDP of the two regions that the file leaves out, CNY, about 2023; assumed.
_BORDER_GDP: Final = {"Hong Kong": 2.7e12, "Macao": 0.33e12}

_MIN_LENGTH_M: Final = 2e3  # two sites of one place still have a campus between them
_DUCT_DEG: Final = 10.0  # edges that leave a site within this angle share the duct out of it


@cache
def _rows() -> tuple[dict[str, str], ...]:
    text = (files("dssn_models.network") / "data" / "china_hubs.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


def _region(province: str) -> str:
    return next(region for region, members in REGIONS.items() if province in members)


def _sites(*, cities: bool) -> tuple[SitePlan, ...]:
    """Return all sites; population and GDP are of the people served from the site.

    A listed city serves itself, with its share of the province's GDP by population; the capital serves
    the rest of the province. Hubs and clusters serve nobody: they are places for machines.
    """
    rows = [r for r in _rows() if cities or r["kind"] != "city"]
    capitals = {r["province"]: r for r in rows if r["kind"] == "province_capital"}
    listed: dict[str, float] = {}
    for r in rows:
        if r["kind"] == "city":
            listed[r["province"]] = listed.get(r["province"], 0.0) + float(r["population"])
    sites = []
    for r in rows:
        name, province, kind, people, gdp = r["name"].split(" (")[0], r["province"], r["kind"], 0.0, 0.0
        if kind == "hub":
            name, province = _HUBS[r["name"]]
        elif kind == "cluster":
            name, province, _ = _CLUSTERS[r["name"]]
        elif province in CROSS_BORDER:
            kind, people, gdp = "cross_border", float(r["population"]), _BORDER_GDP[province]
        else:
            total = float(capitals[province]["province_population"])
            wealth = float(capitals[province]["province_gdp_2023_trn_cny"]) * 1e12
            people = float(r["population"]) if kind == "city" else total - listed.get(province, 0.0)
            gdp = wealth * people / total
        sites.append(
            SitePlan(name, float(r["lat"]), float(r["lon"]), kind, province, _region(province), people, gdp)
        )
    return tuple(sites)


class _Builder:
    """Collects edges, each pair of sites once; the first tier wins."""

    def __init__(self, sites: tuple[SitePlan, ...]) -> None:
        self.by_id = {s.id: s for s in sites}
        self.tiers: dict[tuple[str, str], str] = {}

    def distance(self, a: str, b: str) -> float:
        p, q = self.by_id[a], self.by_id[b]
        return max(_MIN_LENGTH_M, great_circle_m(p.lat, p.lon, q.lat, q.lon))

    def join(self, a: str, b: str, tier: str) -> None:
        if (b, a) not in self.tiers:
            self.tiers.setdefault((a, b), tier)

    def nearest(self, site: str, among: list[str], count: int = 1) -> list[str]:
        return sorted((s for s in among if s != site), key=lambda s: (self.distance(site, s), s))[:count]

    def edges(self) -> tuple[Edge, ...]:
        ducts = self._ducts()
        return tuple(
            Edge(a, b, self.distance(a, b), ducts.get((a, b), ""), tier)
            for (a, b), tier in self.tiers.items()
        )

    def _leaving(self) -> Iterator[tuple[float, tuple[str, str], tuple[str, str], str]]:
        """Yield pairs of edges that leave one site in nearly one direction, with the angle between."""
        at: dict[str, list[tuple[float, tuple[str, str]]]] = {}
        for a, b in self.tiers:
            for near, far in ((a, b), (b, a)):
                p, q = self.by_id[near], self.by_id[far]
                at.setdefault(near, []).append((bearing_deg(p.lat, p.lon, q.lat, q.lon), (a, b)))
        for site, leaving in at.items():
            for (angle, e), (other, f) in combinations(leaving, 2):
                between = abs(angle - other)
                between = min(between, 360 - between)
                if between < _DUCT_DEG and min(self.distance(*e), self.distance(*f)) > 2 * _MIN_LENGTH_M:
                    yield between, e, f, site

    def _ducts(self) -> dict[tuple[str, str], str]:
        """Pair edges that share a duct out of a site, narrowest angle first; no duct may cut the graph."""
        import networkx as nx

        graph: nx.Graph[str] = nx.Graph(list(self.tiers))
        result: dict[tuple[str, str], str] = {}
        for _, e, f, site in sorted(self._leaving()):
            if e in result or f in result:
                continue
            rest = graph.copy()
            rest.remove_edges_from([e, f])
            if nx.is_connected(rest):
                result[e] = result[f] = f"duct:{site}:{'+'.join(sorted({*e, *f} - {site}))}"
        return result


def _gabriel(build: _Builder, names: list[str]) -> list[tuple[str, str]]:
    """Return the Gabriel graph of the sites.

    A pair is joined if no third point c has ``d_ac^2 + d_bc^2 < d_ab^2``.
    """
    d = {(a, b): build.distance(a, b) for a in names for b in names if a != b}
    return [
        (a, b)
        for a, b in combinations(names, 2)
        if not any(d[a, c] ** 2 + d[b, c] ** 2 < d[a, b] ** 2 for c in names if c not in (a, b))
    ]


@cache
def china(cities: bool = True) -> Topology:  # noqa: FBT001 - the option of the scenario file
    """Return the national topology.

    Parameters
    ----------
    cities : bool
        With the 51 further cities (among them Hong Kong and Macao, ``kind`` ``cross_border``);
        without, the capitals serve their whole provinces.

    Returns
    -------
    Topology
        Lengths are great circles; ``build_network`` applies the detour factor.
    """
    import networkx as nx  # costs 0.4 s of start-up, so it is loaded where it is used

    sites = _sites(cities=cities)
    build = _Builder(sites)
    capitals = [s.id for s in sites if s.kind == "province_capital"]
    hubs = [s.id for s in sites if s.kind == "hub"]
    centres, others = CORE[:3], CORE[3:]
    for a, b in [
        *combinations(centres, 2),
        *((c, o) for c in centres for o in others),
        *combinations(hubs, 2),
    ]:
        build.join(a, b, "core")
    pairs = _gabriel(build, capitals)
    regional: nx.Graph[str] = nx.Graph(pairs)
    spare: Any = [
        (a, b, build.distance(a, b)) for a, b in combinations(capitals, 2) if not regional.has_edge(a, b)
    ]
    for a, b in [*pairs, *sorted(nx.k_edge_augmentation(regional, 2, avail=spare))]:
        build.join(a, b, "regional")
    for hub in hubs:
        for capital in build.nearest(hub, capitals, 2):
            build.join(hub, capital, "city")
    for cluster, hub in CLUSTER_HUB.items():
        build.join(cluster, hub, "city")
        build.join(cluster, build.nearest(cluster, capitals)[0], "city")
    capital_of = {s.province: s.id for s in sites if s.kind == "province_capital"}
    for s in sites:
        if s.kind == "cross_border":
            build.join(s.id, "Guangzhou", "city")
            build.join(s.id, CROSS_BORDER[s.id], "city")
        elif s.kind == "city":
            home = capital_of[s.province]
            build.join(s.id, home, "city")
            build.join(s.id, build.nearest(s.id, [c for c in [*capitals, *hubs] if c != home])[0], "city")
    return Topology(
        sites,
        build.edges(),
        name="china",
        source="china_hubs.csv (NBS 2020 and 2023, NDRC 2021-22; see SOURCE.txt)",
        warnings=(
            "cable routes are not public: the edges are a pattern over real places, not a map of fibre",
        ),
    )
