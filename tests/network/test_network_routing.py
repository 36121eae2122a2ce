import dataclasses
import time
from itertools import combinations, pairwise

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dssn_models.network import topologies as tp
from dssn_models.network.build import Attachment, PlaneSpec, build_network
from dssn_models.network.geo import distances_m
from dssn_models.network.graph import Edge, Topology, TopologyError
from dssn_models.network.routing import Route, Router, both_ways, rtt_matrix
from dssn_models.network.technologies import technology
from dssn_models.plan import RoutingPlan, SitePlan

PLANES = {"otn": PlaneSpec("otn", 100e9, 400e9), "ip": PlaneSpec("ip", 40e9)}


def attach(node, site, tech="pon", up=1e9, down=1e9, **more):
    return Attachment(node, site, tech, up, down, **more)


@pytest.fixture(scope="module")
def national():
    return build_network(
        tp.china(), {**PLANES, "cmnet": PlaneSpec("cmnet", 10e9)},
        [attach(f"n-{s.id}", s.id) for s in tp.china().sites],
    )  # fmt: skip


# ------------------------------------------------------------------ build


@pytest.mark.req("NET-02")
def test_links_of_planes_and_access():
    net = build_network(
        tp.line(3, 10e3), PLANES, [attach("a", "site1", up=1e8, down=5e8), attach("a", "site3", "otn")]
    )
    assert [k.id for k in net.links] == [
        "otn:site1--site2", "otn:site2--site3", "ip:site1--site2", "ip:site2--site3",
        "access:a", "access:a#2",
    ]  # fmt: skip
    assert [k.index for k in net.links] == list(range(6))
    assert net.links[0].rate_ab_bps == 400e9, "core edges carry the core rate"
    assert net.links[2].rate_ab_bps == 40e9
    assert net.links[0].srlg == net.links[2].srlg != net.links[1].srlg, "one duct, two planes"
    up = net.links[4]
    assert (up.a, up.b, up.rate_ab_bps, up.rate_ba_bps, up.access, up.shared) == (
        "a",
        "site1",
        1e8,
        5e8,
        True,
        False,
    )
    for link in net.links:
        tech = technology(link.technology)
        assert (link.loss, link.jitter_s, link.overhead) == (tech.loss, tech.jitter_s, tech.overhead)


@pytest.mark.req("NET-02", "NET-24")
def test_delay_is_length_times_detour_plus_hop():
    sites = (SitePlan("x"), SitePlan("y"))
    planes = {"otn": PlaneSpec("otn", 1e9), "cmnet": PlaneSpec("cmnet", 1e9)}
    on_map = build_network(Topology(sites, (Edge("x", "y", 100e3),)), planes, [], detour_factor=1.5)
    assert on_map.links[0].length_m == pytest.approx(150e3)
    assert on_map.links[0].delay_s == pytest.approx(150 * 4.9e-6 + 15e-6)
    assert on_map.links[1].delay_s == pytest.approx(270 * 4.9e-6 + 50e-6), "the Internet has its own detour"
    fibre = build_network(
        Topology(sites, (Edge("x", "y", 150e3, routed=True),)), planes, [], detour_factor=1.5
    )
    assert [k.delay_s for k in fibre.links] == pytest.approx([k.delay_s for k in on_map.links])


def test_parallel_edges_have_their_own_ids_and_ducts():
    twice = Topology((SitePlan("x"), SitePlan("y")), (Edge("x", "y", 1e3), Edge("x", "y", 2e3)))
    net = build_network(twice, {"ip": PlaneSpec("ip", 1e9)}, [])
    assert [k.id for k in net.links] == ["ip:x--y", "ip:x--y#2"]
    assert net.links[0].srlg != net.links[1].srlg


@pytest.mark.parametrize(
    ("planes", "attachments", "detour", "error", "words"),
    [
        (PLANES, [attach("a", "nowhere")], 1.3, TopologyError, "'nowhere', which is not a site"),
        (PLANES, [attach("site1", "site1")], 1.3, TopologyError, "id of a site"),
        (PLANES, [attach("a", "site1", up=0)], 1.3, TopologyError, "rates over 0"),
        ({"x": PlaneSpec("otn", 0)}, [], 1.3, TopologyError, "rate 0"),
        ({"x": PlaneSpec("otn", 1e9, -1)}, [], 1.3, TopologyError, "rate -1"),
        ({"x": PlaneSpec("otm", 1e9)}, [], 1.3, KeyError, "not a technology"),
        (PLANES, [], 0.9, TopologyError, "at least 1"),
    ],
)
def test_impossible_networks_say_why(planes, attachments, detour, error, words):
    with pytest.raises(error, match=words):
        build_network(tp.ring(3), planes, attachments, detour_factor=detour)


@pytest.mark.req("NET-24")
def test_five_thousand_nodes_build_within_a_second():
    c = tp.china()
    attachments = [attach(f"n{i}", c.sites[i % 100].id) for i in range(5000)]
    best = min(_timed(lambda: build_network(c, PLANES, attachments)) for _ in range(3))
    assert best < 1.0


def _timed(call):
    start = time.process_time()
    call()
    return time.process_time() - start


# ------------------------------------------------------------------ routes


@pytest.mark.req("NET-24")
def test_round_trip_of_a_line_is_the_closed_form():
    net = build_network(
        tp.line(5, 100e3), {"otn": PlaneSpec("otn", 1e9)}, [attach("a", "site1"), attach("b", "site5")]
    )
    route = Router(net).route("a", "b", "otn")
    pon = (0.9e-3 + 62.5e-6) / 2
    expected = 4 * (100 * 4.9e-6 + 15e-6) + 2 * (5 * 4.9e-6 + pon)
    assert route.delay_s == pytest.approx(expected, rel=1e-12)
    assert route.links == (8, 0, 2, 4, 6, 11)
    assert route.hops == 6
    assert route.sites == ("site1", "site2", "site3", "site4", "site5")
    assert route.technologies == ("pon", "otn")
    assert route.length_m == pytest.approx(410e3)
    assert route.overhead == max(technology("pon").overhead, technology("otn").overhead)
    assert route.loss == pytest.approx(1 - (1 - 1e-6) ** 2)
    price = technology("otn").price_cny_per_mbps_month * 0.5 * 400 / 1500 + 2 * 171.4 * 0.25
    assert route.price == pytest.approx(price)
    back = Router(net).route("b", "a", "otn")
    assert back.links == (10, 7, 5, 3, 1, 9)
    assert back.delay_s == pytest.approx(route.delay_s, rel=1e-12)


def test_ends_on_one_site_one_node_and_bare_sites():
    net = build_network(tp.line(2), PLANES, [attach("a", "site1"), attach("b", "site1")])
    r = Router(net)
    assert r.route("a", "a") == Route((), 0.0, 1.0, 0.0, 0.0, 0, ("site1",), (), 0.0)
    assert r.route("a", "b").links == (4, 7)
    assert r.route("a", "b").sites == ("site1",)
    assert r.route("site1", "site2", "otn").links == (0,)
    assert r.route("a", "site2", "ip").links == (4, 2)
    assert r.route("site1", "site1").links == ()


def test_a_shared_link_is_one_resource_both_ways():
    net = build_network(tp.line(2), PLANES, [attach("a", "site1", half_duplex=True), attach("b", "site2")])
    assert Router(net).route("a", "b", "ip").links[0] == 4
    assert Router(net).route("b", "a", "ip").links[-1] == 4


@pytest.mark.req("NET-02")
def test_sdwan_adds_its_boxes_once_a_path():
    spec = {"sdwan": PlaneSpec("sdwan", 1e9), "cmnet": PlaneSpec("cmnet", 1e9)}
    net = build_network(tp.line(4), spec, [attach("a", "site1"), attach("b", "site4")])
    r = Router(net)
    assert r.route("a", "b", "sdwan").delay_s - r.route("a", "b", "cmnet").delay_s == pytest.approx(1.2e-3)
    assert rtt_matrix(net, "sdwan")[0, 3] == pytest.approx(2 * r.route("site1", "site4", "sdwan").delay_s)


def test_the_default_technology_and_its_fallbacks():
    sites = tuple(SitePlan(x) for x in "pqrs")
    otn = Topology(sites, (Edge("p", "q", 1e3), Edge("q", "r", 1e3)))
    net = build_network(otn, {"otn": PlaneSpec("otn", 1e9)}, [])
    ip = build_network(
        Topology(sites, (Edge("r", "s", 1e3), Edge("p", "q", 1e3))), {"ip": PlaneSpec("ip", 1e9)}, []
    )
    links = net.links + tuple(dataclasses.replace(k, index=k.index + 2) for k in ip.links)
    r = Router(dataclasses.replace(net, links=links))
    assert r.planes == ("ip", "otn")
    assert r.route("p", "q").technologies == ("ip",), "the default where it connects"
    assert r.route("p", "r").technologies == ("otn",), "then any plane that does"
    assert r.route("p", "s").technologies == ("otn", "ip"), "then all planes, joined at sites"
    assert r.technologies("p", "q") == ("ip", "otn")
    assert r.technologies("p", "s") == ()
    assert r.route("p", "s", "otn") is None
    assert "part" in r.explain("p", "s", "otn") or "no link in the otn plane" in r.explain("p", "s", "otn")
    assert r.explain("p", "s") == ""


@pytest.mark.req("NET-23")
def test_why_there_is_no_route():
    net = build_network(tp.line(3), PLANES, [attach("a", "site1"), attach("b", "site3")])
    r = Router(net)
    cut = both_ways([0, 2])  # both planes between site1 and site2
    assert r.route("a", "b", avoid_links=cut) is None
    assert r.route("a", "b", "otn", avoid_links=frozenset({0})) is None
    assert r.route("b", "a", "otn", avoid_links=frozenset({0})) is not None, "one direction only"
    assert r.route("a", "b", avoid_sites=frozenset({"site2"})) is None
    assert r.route("a", "b", avoid_links=both_ways([4])) is None
    assert "to be avoided" in r.explain("a", "b", avoid_links=cut)
    assert "to be avoided" in r.explain("a", "b", avoid_sites=frozenset({"site2"}))
    assert "every site of 'a'" in r.explain("a", "b", avoid_sites=frozenset({"site1"}))
    assert "every access link of 'a'" in r.explain("a", "b", avoid_links=both_ways([4]))
    assert "'spn' (ip, otn)" in r.explain("a", "b", "spn")
    assert "'x' is neither" in r.explain("x", "b")
    assert r.route("x", "b") is None
    assert r.route("a", "a", avoid_links=cut) is not None
    lone = Topology((SitePlan("p"), SitePlan("q")), ())
    assert "no plane" in Router(build_network(lone, PLANES, [])).explain("p", "q", "ip")
    assert "has no link" in Router(build_network(lone, PLANES, [])).explain("p", "q")


@pytest.mark.req("NET-23")
def test_a_second_access_link_is_used_when_the_first_is_cut():
    net = build_network(
        tp.ring(4), PLANES, [attach("a", "site1"), attach("a", "site2"), attach("b", "site3")]
    )
    r = Router(net)
    first = r.route("a", "b")
    assert first.sites[0] == "site2", "the nearer of two"
    other = r.route("a", "b", avoid_links=both_ways([first.links[0] >> 1]))
    assert other.sites[0] == "site1"


@pytest.mark.parametrize("metric", ["delay", "hops", "price"])
def test_routes_equal_networkx_on_the_national_network(metric):
    net = build_network(tp.china(), PLANES, [], routing=RoutingPlan(metric=metric))
    r = Router(net)
    g = nx.Graph()
    for link in net.links:
        if link.technology == "otn":
            w = {"delay": link.delay_s, "hops": 1.0, "price": link.price_cny_per_mbps_month}[metric]
            g.add_edge(link.a, link.b, w=w)
    for src in ("Beijing", "Sanya", "hub-guizhou"):
        expected = nx.single_source_dijkstra_path_length(g, src, weight="w")
        for s in net.sites:
            route = r.route(src, s.id, "otn")
            value = {"delay": route.delay_s, "hops": route.hops, "price": route.price}[metric]
            assert value == pytest.approx(expected[s.id], rel=1e-12, abs=1e-15)
            _check_walk(net, route, src, s.id)


def _check_walk(net, route, src, dst):
    at = src
    for resource in route.links:
        link = net.links[resource >> 1]
        start, end = (link.b, link.a) if resource & 1 else (link.a, link.b)
        assert start == at
        at = end
    assert at == dst


graphs = st.integers(4, 9).flatmap(
    lambda n: st.tuples(
        st.just(n),
        st.lists(
            st.tuples(st.integers(0, n - 1), st.integers(0, n - 1), st.integers(0, 6)),
            min_size=3, max_size=22, unique_by=lambda e: (min(e[:2]), max(e[:2])),
        ),
    )
)  # fmt: skip


def _random_network(n, edges):
    sites = tuple(SitePlan(f"s{i}") for i in range(n))
    topo = Topology(sites, tuple(Edge(f"s{a}", f"s{b}", w * 1e3) for a, b, w in edges if a != b))
    return build_network(topo, {"otn": PlaneSpec("otn", 1e9)}, [])


@settings(derandomize=True, max_examples=120, deadline=None)
@given(graphs)
def test_k_shortest_equals_networkx(case):
    net = _random_network(*case)
    r = Router(net)
    g = nx.Graph()
    g.add_nodes_from(s.id for s in net.sites)
    g.add_edges_from((k.a, k.b, {"w": k.delay_s}) for k in net.links)
    got = r.candidates("s0", "s1", "otn", 6)
    try:
        all_paths = [nx.path_weight(g, p, "w") for p in nx.shortest_simple_paths(g, "s0", "s1", weight="w")]
    except nx.NetworkXNoPath:
        assert got == []
        assert r.explain("s0", "s1", "otn")
        return
    assert [x.delay_s for x in got] == pytest.approx(sorted(all_paths)[:6], rel=1e-9)
    assert len({x.links for x in got}) == len(got)
    for x in got:
        _check_walk(net, x, "s0", "s1")
        assert len(set(x.sites)) == len(x.sites)


@pytest.mark.req("NET-23")
@settings(derandomize=True, max_examples=120, deadline=None)
@given(graphs)
def test_disjoint_pair_is_the_lightest_there_is(case):
    net = _random_network(*case)
    pair = Router(net).disjoint_pair("s0", "s1", "otn")
    g = nx.Graph()
    g.add_nodes_from(s.id for s in net.sites)
    g.add_edges_from((k.a, k.b, {"w": k.delay_s, "i": k.index}) for k in net.links)
    paths = [
        (sum(g[a][b]["w"] for a, b in pairwise(p)), {g[a][b]["i"] for a, b in pairwise(p)})
        for p in nx.all_simple_paths(g, "s0", "s1")
    ]
    totals = [p[0] + q[0] for p, q in combinations(paths, 2) if not p[1] & q[1]]
    if not totals:
        assert pair is None
        return
    assert pair[0].delay_s + pair[1].delay_s == pytest.approx(min(totals), rel=1e-9)
    assert not {x >> 1 for x in pair[0].links} & {x >> 1 for x in pair[1].links}
    for route in pair:
        _check_walk(net, route, "s0", "s1")


@pytest.mark.req("NET-23", "NET-24")
def test_every_core_pair_has_two_duct_disjoint_routes(national):
    r = Router(national)
    core = [s.id for s in national.sites if s.kind == "hub"] + [
        "Beijing",
        "Urumqi",
        "Lhasa",
        "Haikou",
        "Harbin",
    ]
    for a, b in combinations(core, 2):
        first, second = r.disjoint_pair(a, b, "otn")
        ducts = [{national.links[x >> 1].srlg for x in route.links} for route in (first, second)]
        assert not ducts[0] & ducts[1], (a, b)


def test_answers_do_not_depend_on_what_was_asked_before(national):
    a, b = Router(national), Router(national)
    ids = [s.id for s in national.sites]
    asked = [(f"n-{ids[i]}", f"n-{ids[(i * 37 + 11) % 100]}") for i in range(100)]
    first = [a.route(*pair) for pair in asked]
    second = [b.route(*pair) for pair in reversed(asked)]
    assert first == second[::-1]
    for pair, route in zip(asked, first, strict=True):
        assert a.candidates(*pair, k=1)[0] == route
        assert a.candidates(*pair, k=3)[0] == route


def test_a_known_pair_costs_little(national):
    r = Router(national)
    r.route("n-Beijing", "n-Lhasa")
    calls = 100_000

    def ask():
        for _ in range(calls):
            r.route("n-Beijing", "n-Lhasa")

    assert min(_timed(ask) for _ in range(3)) / calls < 2e-6


# ------------------------------------------------------------------ distance model


@pytest.mark.req("NET-24")
def test_rtt_matrix_matches_the_distance_model(national):
    m = rtt_matrix(national, "otn")
    straight = (
        2 * distances_m([s.lat for s in national.sites], [s.lon for s in national.sites]) / 1e3 * 4.9e-6 * 1.3
    )
    assert np.allclose(m, m.T, rtol=1e-12)
    assert np.all(np.diag(m) == 0)
    assert np.all(m >= straight - 1e-12), "no path is shorter than the straight fibre"
    for link in national.links:
        if link.technology == "otn" and link.length_m > 2.7e3:
            i, j = national.site_index[link.a], national.site_index[link.b]
            assert m[i, j] <= straight[i, j] + 2 * 15e-6 + 1e-12
    far = straight > 5e-3
    assert np.median(m[far] / straight[far]) < 1.25, "routes bend little beyond the fibre's own detour"
    r = Router(national)
    ids = [s.id for s in national.sites]
    for i in range(0, 100, 9):
        for j in range(0, 100, 7):
            assert m[i, j] == pytest.approx(2 * r.route(ids[i], ids[j], "otn").delay_s, rel=1e-12, abs=1e-15)


@pytest.mark.req("NET-24")
@pytest.mark.parametrize(
    ("a", "b", "low_ms", "high_ms"),
    [
        # Round trips on operators' product sheets, from memory, so a wide gate: half to all of the figure.
        ("Beijing", "Shanghai", 20, 24),
        ("Beijing", "Guangzhou", 34, 38),
        ("Shanghai", "Guangzhou", 26, 30),
        ("Beijing", "Chengdu", 33, 38),
        ("Beijing", "Urumqi", 50, 60),
    ],
)
def test_round_trips_are_of_the_size_that_operators_name(national, a, b, low_ms, high_ms):
    rtt = 2e3 * Router(national).route(a, b, "otn").delay_s
    assert 0.5 * low_ms < rtt < high_ms


@pytest.mark.req("NET-24")
def test_public_internet_is_slower_than_the_fibre(national):
    otn, net = rtt_matrix(national, "otn"), rtt_matrix(national, "cmnet")
    off = ~np.eye(100, dtype=bool)
    assert np.all(net[off] > otn[off])
    far = otn > 5e-3
    assert np.median(net[far] / otn[far]) == pytest.approx(2.7 / 1.3, rel=0.02)


def test_unconnected_sites_are_infinitely_far():
    net = build_network(Topology((SitePlan("p"), SitePlan("q")), ()), PLANES, [])
    m = rtt_matrix(net, "otn")
    assert m[0, 1] == np.inf
    assert m[0, 0] == 0
