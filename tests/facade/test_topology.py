"""Any networkx graph can carry a scenario."""

import networkx as nx
import pytest

import dssn


@pytest.mark.req("NET-02", "NET-09")
def test_a_scenario_on_a_graph_of_ones_own():
    graph = nx.cycle_graph(5)
    nx.relabel_nodes(graph, {i: f"site{i + 1}" for i in range(5)}, copy=False)
    for a, b in graph.edges:
        graph.edges[a, b]["length_km"] = 123.0
    graph.add_edge("site1", "site3", length_km=40.0)
    sc = dssn.load("metro")
    on_graph = sc.with_topology(graph)
    backbone = [link for link in on_graph.plan.network.links if not link.access and link.technology == "ip"]
    assert len(backbone) == 6
    assert len([x for x in sc.plan.network.links if not x.access and x.technology == "ip"]) == 5
    assert sorted({round(link.length_m) for link in backbone})[0] < 60_000
    assert dssn.loads(on_graph.yaml).hash == on_graph.hash


def test_a_graph_without_the_sites_the_scenario_names_is_told():
    with pytest.raises(dssn.Problems) as told:
        _ = dssn.load("metro").with_topology(nx.path_graph(3)).plan
    assert "site1" in str(told.value)
