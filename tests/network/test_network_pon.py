"""A passive optical network as a tree: the nodes of a site share one medium each way."""

import pytest
import simpy

import dssn
from dssn_models.network import topologies as tp
from dssn_models.network.build import Attachment, PlaneSpec, build_network
from dssn_models.network.graph import TopologyError
from dssn_models.network.routing import Router, both_ways
from dssn_models.network.technologies import technology
from dssn_sim.dataplane import DataPlane

PLANES = {"ip": PlaneSpec("ip", 100e9)}
TREE_BPS = 9.95328e9 * 216 / 248


def network(nodes, split, site="site1"):
    far = Attachment("far", "site2", "ip", 100e9, 100e9)
    lines = [Attachment(f"n{i}", site, "pon", 1e9, 1e9, split=split) for i in range(nodes)]
    return build_network(tp.line(2), PLANES, [far, *lines])


def test_rate_of_a_tree_is_that_of_xgs_pon_after_error_correction():
    pon = technology("pon")
    assert pon.tree_bps == pytest.approx(8.669e9, rel=1e-4)
    assert next(c for c in pon.sources if c.name == "tree_bps").confidence == "read"


def test_trees_are_filled_in_order_of_attachment():
    net = network(5, 2)
    trees = [link for link in net.links if link.id.startswith("tree:")]
    assert [t.id for t in trees] == ["tree:site1", "tree:site1#2", "tree:site1#3"]
    assert {(t.rate_ab_bps, t.rate_ba_bps, t.delay_s, t.b) for t in trees} == {
        (TREE_BPS, TREE_BPS, 0.0, "site1")
    }
    drops = [link for link in net.links if link.id.startswith("access:n")]
    assert [d.tree for d in drops] == [trees[i // 2].index for i in range(5)]


def test_route_goes_over_drop_and_tree_each_way():
    net = network(2, 2)
    links = {link.id: link.index for link in net.links}
    drop, tree = links["access:n0"], links["tree:site1"]
    up, down = Router(net).route("n0", "far"), Router(net).route("far", "n0")
    assert up.links[:2] == (2 * drop, 2 * tree)
    assert down.links[-2:] == (2 * tree + 1, 2 * drop + 1)
    assert up.delay_s == Router(network(2, 0)).route("n0", "far").delay_s
    inside = Router(net).route("n0", "n1")
    assert inside.links == (2 * drop, 2 * tree, 2 * tree + 1, 2 * links["access:n1"] + 1)


def test_a_cut_tree_cuts_all_its_nodes_and_no_other():
    net = network(3, 2)
    cut = both_ways([next(link.index for link in net.links if link.id == "tree:site1")])
    router = Router(net)
    assert router.route("n0", "far", avoid_links=cut) is None
    assert router.route("n1", "far", avoid_links=cut) is None
    assert router.route("n2", "far", avoid_links=cut) is not None


@pytest.mark.parametrize("up", [True, False])
@pytest.mark.req("NET-04", "NET-10")
def test_sixteen_nodes_at_once_share_the_tree(up):
    net = network(17, 16)
    router, env = Router(net), simpy.Environment()
    plane = DataPlane(env, net, [])

    def start(i):
        ends = (f"n{i}", "far") if up else ("far", f"n{i}")
        return plane.transfer(router.route(*ends).links, 1e9)

    flows = [start(i) for i in range(17)]
    env.run()
    crowded = 16 * 8e9 / TREE_BPS
    assert [f.value.end_s for f in flows[:16]] == pytest.approx([crowded] * 16)
    assert flows[16].value.end_s == pytest.approx(8.0)  # alone on the next tree: its own gigabit


def test_only_a_pon_has_trees():
    with pytest.raises(TopologyError, match="ip has no trees"):
        build_network(tp.line(2), PLANES, [Attachment("a", "site1", "ip", 1e9, 1e9, split=32)])


def test_from_a_scenario_to_a_run():
    sc = dssn.load("metro", set=["network.access.default.split=3"])
    links = sc.plan.network.links
    assert sum(link.id.startswith("tree:") for link in links) >= 1
    assert all(link.tree >= 0 for link in links if link.id.startswith("access:") and link.technology == "pon")
    result = dssn.run(sc, replications=1)
    used = result.table("links").set_index("link")
    assert used.loc[used.index.str.startswith("tree:"), "bytes"].sum() > 0


def test_split_of_another_line_is_refused():
    with pytest.raises(dssn.Problems, match="split of a ip line"):
        dssn.load("metro", set=["network.access.default.technology=ip", "network.access.default.split=3"])
