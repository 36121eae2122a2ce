import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dssn_models.network import topologies as tp
from dssn_models.network.geo import bearing_deg, great_circle_m
from dssn_models.network.graph import Edge, Topology, TopologyError
from dssn_models.network.national import CLUSTER_HUB, CORE
from dssn_models.plan import SitePlan


def simple(topology):
    return nx.Graph(topology.graph())


def test_great_circle_of_known_arcs():
    assert great_circle_m(0, 0, 0, 90) == pytest.approx(10_007_557, rel=1e-6)  # a quarter of 40 030 km
    assert great_circle_m(39.904, 116.407, 31.230, 121.474) == pytest.approx(1067e3, rel=0.005)
    assert bearing_deg(0, 0, 0, 1) == pytest.approx(90)
    assert bearing_deg(0, 0, -1, 0) == pytest.approx(180)


@pytest.mark.req("NET-24", "ECO-04")
def test_china_has_every_place_of_the_file():
    c = tp.china()
    kinds = [s.kind for s in c.sites]
    assert {k: kinds.count(k) for k in set(kinds)} == {
        "province_capital": 31, "hub": 8, "cluster": 10, "city": 49, "cross_border": 2,
    }  # fmt: skip
    assert {s.region for s in c.sites} == set(tp.REGIONS)
    assert sum(len(p) for p in tp.REGIONS.values()) == 31 + 2
    assert {s.id for s in c.sites if s.kind == "cross_border"} == {"Hong Kong", "Macao"}
    assert c.site_by_id["Taizhou"].province == "Zhejiang"
    assert len({s.id for s in c.sites if s.id.startswith("hub-")}) == 8


@pytest.mark.req("NET-24")
@pytest.mark.parametrize("cities", [True, False])
def test_china_serves_the_whole_population_once(cities):
    home = [s for s in tp.china(cities).sites if s.kind != "cross_border"]
    assert sum(s.population for s in home) == pytest.approx(1409.8e6, rel=1e-4)
    assert sum(s.gdp for s in home) == pytest.approx(125.1e12, rel=1e-3)
    assert all(s.population > 0 for s in home if s.kind in {"province_capital", "city"})


@pytest.mark.req("NET-24")
@pytest.mark.parametrize("cities", [True, False])
def test_every_pair_of_china_has_two_edge_disjoint_ways(cities):
    g = simple(tp.china(cities))
    assert nx.is_k_edge_connected(g, 2)
    core = [s.id for s in tp.china(cities).sites if s.kind in {"province_capital", "hub"}]
    for other in core[1:]:
        assert nx.edge_connectivity(g, core[0], other) >= 2


@pytest.mark.req("NET-24")
def test_no_shared_duct_parts_china():
    c = tp.china()
    groups = {e.srlg for e in c.edges if e.srlg}
    assert len(groups) > 20
    for group in groups:
        g = simple(c)
        members = [(e.a, e.b) for e in c.edges if e.srlg == group]
        assert len(members) == 2
        assert set(members[0]) & set(members[1]), "a duct is shared out of one site"
        g.remove_edges_from(members)
        assert nx.is_connected(g), group


@pytest.mark.req("NET-24")
def test_the_pattern_of_china():
    c = tp.china()
    g = simple(c)
    hubs = [s.id for s in c.sites if s.kind == "hub"]
    assert all(g.has_edge(a, b) for a in hubs for b in hubs if a < b), "hubs are meshed"
    for centre in CORE[:3]:
        assert all(g.has_edge(centre, other) for other in CORE if other != centre)
    capital = {s.province: s.id for s in c.sites if s.kind == "province_capital"}
    for s in c.sites:
        if s.kind == "city":
            assert g.has_edge(s.id, capital[s.province])
            assert g.degree(s.id) >= 2
        if s.kind == "cluster":
            assert g.has_edge(s.id, CLUSTER_HUB[s.id])
    for e in c.edges:
        a, b = c.site_by_id[e.a], c.site_by_id[e.b]
        assert e.length_m == pytest.approx(max(2e3, great_circle_m(a.lat, a.lon, b.lat, b.lon)))


@pytest.mark.req("NET-24")
@pytest.mark.parametrize(
    ("topology", "graph"),
    [
        (tp.ring(5), nx.cycle_graph(5)),
        (tp.ring(2), nx.path_graph(2)),
        (tp.line(6), nx.path_graph(6)),
        (tp.star(7), nx.star_graph(6)),
        (tp.grid(3, 4), nx.grid_2d_graph(3, 4)),
        (tp.full_mesh(6), nx.complete_graph(6)),
        (tp.tree(3, 2), nx.balanced_tree(2, 3)),
        (tp.tree(4, 1), nx.path_graph(5)),
        (tp.ring(1), nx.empty_graph(1)),
    ],
    ids=lambda x: getattr(x, "name", ""),
)
def test_generators_are_the_textbook_graphs(topology, graph):
    assert nx.is_isomorphic(simple(topology), graph)
    assert topology.sites[0].id == "site1"
    assert all(e.routed and e.length_m == 20e3 for e in topology.edges)


def test_wide_layouts_stay_on_the_map():
    for t in (tp.line(20_000), tp.tree(12, 2), tp.ring(9000)):
        assert max(abs(s.lat) for s in t.sites) <= 41
        assert max(abs(s.lon) for s in t.sites) <= 41


@pytest.mark.req("NET-24")
@pytest.mark.parametrize("make", [tp.random_geometric, tp.waxman, tp.barabasi_albert])
def test_random_generators_are_connected_and_repeat_by_seed(make):
    a, again, other = make(60, 4), make(60, 4), make(60, 5)
    assert a == again
    assert a.edges != other.edges
    assert nx.is_connected(simple(a))
    for e in a.edges:
        p, q = a.site_by_id[e.a], a.site_by_id[e.b]
        # Planar distance near the equator: great circle within 1 % over 1 400 km.
        assert e.length_m == pytest.approx(great_circle_m(p.lat, p.lon, q.lat, q.lon), rel=0.01)


@settings(derandomize=True, max_examples=40, deadline=None)
@given(n=st.integers(2, 40), seed=st.integers(0, 10**6), radius=st.floats(1e3, 5e5))
def test_random_geometric_always_joins_up(n, seed, radius):
    assert nx.is_connected(simple(tp.random_geometric(n, seed, radius_m=radius)))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: tp.ring(0), "allowed: 1 to"),
        (lambda: tp.ring(10**6), "allowed: 1 to"),
        (lambda: tp.grid(-2, -3), "1 x 1"),
        (lambda: tp.tree(60, 9), "too large"),
        (lambda: tp.full_mesh(5000), "at most 500"),
        (lambda: tp.barabasi_albert(5, 1, 9), "links per site"),
        (lambda: tp.random_geometric(5000, 1, radius_m=1e6), "edges; allowed"),
        (lambda: tp.waxman(2000, 1, alpha=1.0, beta=100.0), "edges; allowed"),
        (lambda: tp.barabasi_albert(20_000, 1, 9000), "edges; allowed"),
        (lambda: Topology((SitePlan("a"), SitePlan("a")), ()), "more than once: a"),
        (lambda: Topology((SitePlan("a"),), (Edge("a", "b", 1.0),)), "'b', which is not a site"),
        (lambda: Topology((SitePlan("a"),), (Edge("a", "a", 1.0),)), "to itself"),
        (lambda: Topology((SitePlan("a"), SitePlan("b")), (Edge("a", "b", float("nan")),)), "length"),
    ],
)
def test_impossible_topologies_say_what_is_allowed(make, words):
    with pytest.raises(TopologyError, match=words):
        make()


@pytest.mark.req("NET-24")
def test_topohub_chinanet_is_the_published_one():
    t = tp.from_topohub("topozoo/Chinanet")
    assert (len(t.sites), len(t.edges)) == (38, 62)
    lengths = [e.length_m / 1e3 for e in t.edges]
    assert sum(lengths) / 62 == pytest.approx(912, abs=1)
    assert max(lengths) == pytest.approx(2565, abs=1)
    g = simple(t)
    assert nx.diameter(g) == 4
    assert t == tp.from_topohub("chinanet"), "the group may be left out"
    assert "Hong Kong" in t.warnings[0]


@pytest.mark.req("NET-24")
def test_topohub_drawings_are_flagged():
    for name in ("sndlib/france", "sndlib/ta2", "sndlib/zib54"):
        t = tp.from_topohub(name, default_length_m=250e3)
        assert not t.length_meaningful
        assert "lengths mean nothing" in t.warnings[0]
        assert {e.length_m for e in t.edges} == {250e3}
        assert all(-90 <= s.lat <= 90 for s in t.sites)
    assert tp.from_topohub("sndlib/germany50").length_meaningful


def test_every_topohub_group_loads():
    for name in (
        "topozoo/Cernet",
        "sndlib/germany50",
        "backbone/africa",
        "gabriel/25/0",
        "caida/2024-08/5384",
    ):
        t = tp.from_topohub(name)
        assert len(t.sites) > 1
        assert len(t.edges) > 0
    assert len(tp.from_topohub("topozoo/Cernet").sites) == 37


@pytest.mark.parametrize(
    "name", ["Chinanett", "topozoo/Cernet2", "../../../etc/passwd", "", "topozoo", "x" * 5000]
)
def test_unknown_topohub_names_list_near_ones(name):
    with pytest.raises(TopologyError, match="is not a TopoHub topology") as caught:
        tp.from_topohub(name)
    assert len(str(caught.value)) < 400
    if name == "Chinanett":
        assert "topozoo/Chinanet" in str(caught.value)


ZOO = """<?xml version="1.0" encoding="utf-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
  <key attr.name="Latitude" attr.type="double" for="node" id="d1"/>
  <key attr.name="Longitude" attr.type="double" for="node" id="d2"/>
  <key attr.name="label" attr.type="string" for="node" id="d3"/>
  <key attr.name="LinkLabel" attr.type="string" for="edge" id="d4"/>
  <key attr.name="Network" attr.type="string" for="graph" id="d5"/>
  <graph edgedefault="undirected">
    <data key="d5">Tiny</data>
    <node id="0"><data key="d1">39.9</data><data key="d2">116.4</data><data key="d3">Beijing</data></node>
    <node id="1"><data key="d1">31.2</data><data key="d2">121.5</data><data key="d3">Shanghai</data></node>
    <node id="2"><data key="d3">None</data></node>
    <node id="3"><data key="d3">None</data></node>
    <edge source="0" target="1"><data key="d4">OC-192</data></edge>
    <edge source="1" target="2"/>
    <edge source="2" target="3"/>
    <edge source="3" target="3"/>
  </graph>
</graphml>
"""


@pytest.mark.req("NET-24")
@pytest.mark.parametrize("text", [ZOO, ZOO.encode()], ids=["text", "bytes"])
def test_graphml_of_the_topology_zoo(text):
    t = tp.from_graphml(text)
    assert [s.id for s in t.sites] == ["Beijing", "Shanghai", "None-2", "None-3"]
    assert t.name == "Tiny"
    assert t.edges[0].length_m == pytest.approx(great_circle_m(39.9, 116.4, 31.2, 121.5))
    assert [e.length_m for e in t.edges[1:]] == [100e3, 100e3], "the stand-in length; the loop is dropped"
    assert "2 of 3 links have no known length" in t.warnings[0]
    assert (t.sites[3].lat, t.sites[3].lon) == (31.2, 121.5), "drawn at its neighbours"


@pytest.mark.parametrize(
    "text",
    [
        "", "no xml", "<graphml/>", b"\xff\xfe\x00", "<a><b></a>",
        ZOO.replace("<graphml", '<!DOCTYPE x [<!ENTITY a "aa">]><graphml', 1),
        '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><graph edgedefault="undirected"/></graphml>',
        ZOO.replace('attr.type="double"', 'attr.type="nonsense"'),
    ],
)  # fmt: skip
def test_bad_graphml_is_one_kind_of_error(text):
    with pytest.raises(TopologyError):
        tp.from_graphml(text)


@pytest.mark.req("NET-24")
def test_any_networkx_graph():
    g = nx.MultiDiGraph()
    g.add_node("x", lat=10.0, lon=20.0, population="5", kind="city")
    g.add_node(7, pos=(21.0, 10.0))
    g.add_edge("x", 7, length_km=12.5, srlg="duct1", tier="regional")
    g.add_edge("x", 7)
    t = tp.from_networkx(g, name="mine")
    assert t.sites[0] == SitePlan("x", 10.0, 20.0, "city", population=5.0)
    assert t.edges[0] == Edge("x", "7", 12.5e3, "duct1", "regional")
    assert t.edges[1].length_m == pytest.approx(great_circle_m(10, 20, 10, 21))
    apart = tp.from_networkx(nx.empty_graph(3))
    assert "3 parts" in apart.warnings[0]
    odd = nx.Graph()
    odd.add_node(1, Latitude="north", Longitude=None, name="  ")
    odd.add_edge(1, 2, dist="far", length_m=-3)
    assert tp.from_networkx(odd).edges[0].length_m == 100e3
    with pytest.raises(TopologyError, match="no nodes"):
        tp.from_networkx(nx.Graph())
