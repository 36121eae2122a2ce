"""What goes in comes out: bytes, core-seconds, meters, money, capacity; on random plans with faults."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from smallplan import NetOrderPlan, network, nodes, plan, replace, stream

from dssn_models.dist import constant
from dssn_models.market.reasons import REASONS
from dssn_models.market.states import is_legal_path
from dssn_models.plan import FaultPlan, JobStepPlan, SelectorPlan
from dssn_sim.kernel import run_world

ENGINES = (
    ("psi.ecdh", "privacy", {"rows": constant(3e4)}),
    ("transfer.bulk", "package", {"size": constant(2e8)}),
    ("api.query", "api", {"calls": constant(5.0)}),
    ("stats.masked", "privacy", {}),
    ("tee.job", "tee", {}),
    ("mpc.semi2k", "privacy", {"rows": constant(1e3)}),
)
TARGETS = {
    "link_down": ("ip:A-B", "otn:B-C", "access:dsn1"),
    "link_slow": ("ip:A-B", "access:drn1"),
    "node_down": ("dsn1", "dsn2", "tee1", "pool1", "drn1"),
    "service_down": ("dsp.scheduling", "ca", "review"),
    "site_down": ("B", "C"),
    "certificate_revoked": ("dsn1",),
}

streams = st.lists(
    st.tuples(
        st.sampled_from(ENGINES),
        st.lists(st.floats(0, 300), min_size=1, max_size=6),
        st.integers(1, 2),
        st.sampled_from(["urgent", "standard", "bulk"]),
        st.sampled_from([
            NetOrderPlan(), NetOrderPlan(technology="otn", rate_bps=2e8, isolation="hard"),
            NetOrderPlan(technology="ip", rate_bps=3e8, isolation="soft", keep_open_s=50.0),
        ]),
    ),
    min_size=1, max_size=4,
)  # fmt: skip
faults = st.lists(
    st.sampled_from(list(TARGETS)).flatmap(
        lambda k: st.tuples(st.just(k), st.sampled_from(TARGETS[k]), st.floats(0, 200), st.floats(0.1, 80))
    ),
    max_size=4,
)


def build(specs, broken, sharing, protection):
    made = [
        stream(
            engine, channel, f"s{i}", sorted(times), parties, cls, params=params, net=net,
            assets=SelectorPlan(("a1", "a2")), exchange="pool1" if i % 2 else None, price_cny=5.0,
        )
        for i, ((engine, channel, params), times, parties, cls, net) in enumerate(specs)
    ]  # fmt: skip
    made_faults = tuple(FaultPlan(k, t, at, d, factor=0.3) for k, t, at, d in broken)
    p = plan(made, nodes=nodes(sharing), network=network(protection), faults=made_faults)
    return replace(p, run=replace(p.run, horizon_s=20000.0, max_retries=3, retry_s=20.0))


@pytest.mark.req("NET-01", "DCC-04", "DCC-11", "DCC-13", "BIZ-06", "OPS-01", "PC-21")
@settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    streams,
    faults,
    st.sampled_from(["reserved", "ps", "slots", "preemptive"]),
    st.sampled_from(["none", "1+1", "restoration"]),
)
def test_everything_is_accounted_for_and_given_back(specs, broken, sharing, protection):
    p = build(specs, broken, sharing, protection)
    world = run_world(p, 0)
    rows = {name: t.to_pylist() for name, t in world.rec.tables().items()}

    orders = rows["orders"]
    assert len(orders) == sum(len(s[1]) for s in specs)
    assert world.in_flight == 0
    assert world.waiting == 0
    for r in orders:
        assert (r["reason"] == "") == (r["state"] == "completed")
        assert r["reason"] == "" or r["reason"] in REASONS

    # Bytes: every flow crosses one access link for each of its ends that is a node.
    ends = {n.id for n in p.nodes}
    expected = {}
    for link in p.network.links:
        if link.access:
            expected[link.id] = 0.0
    for r in rows["flows"]:
        if r["data"] == "control":
            continue
        for end in (r["source"], r["target"]):
            if end in ends:
                expected[f"access:{end}"] += r["wire_bytes"]
    measured = dict.fromkeys(expected, 0.0)
    for r in rows["links"]:
        if r["link"] in measured:
            measured[r["link"]] += r["bytes"]
        assert r["mean_util"] <= 1 + 1e-9
        assert r["peak_util"] <= 1 + 1e-9
    for link, total in expected.items():
        assert measured[link] == pytest.approx(total, rel=1e-9, abs=1e-3), link

    # Core-seconds: executed on nodes = charged to orders (an order refused after it began has no delivery).
    executed = sum(r["core_s"] for r in rows["nodes"])
    assert world.charged_core_s == pytest.approx(executed, rel=1e-9, abs=1e-9)
    # Meters = counters.
    by_order = {r["order"]: r for r in rows["deliveries"]}
    for m in rows["meters"]:
        column = {"core_s": "core_s", "bytes": "bytes_payload"}.get(m["kind"])
        if column:
            assert m["quantity"] == pytest.approx(by_order[m["order"]][column], rel=1e-9)
    # Money: what payers pay is what payees get.
    for order in {r["order"] for r in rows["bills"]}:
        lines = [r for r in rows["bills"] if r["order"] == order]
        paid = sum(r["amount_cny"] for r in lines if r["role"] == "payer")
        got = sum(r["amount_cny"] for r in lines if r["role"] == "payee")
        assert paid == pytest.approx(got, abs=1e-9)

    # Capacity is back.
    for n in p.nodes:
        free = world.allocator.free(n.id)
        assert free[0] == pytest.approx(n.cores)
        assert free[1] == pytest.approx(n.memory_bytes)
        assert world.enclave_used[n.id] == pytest.approx(0, abs=1e-6)
        assert not world.running[n.id]
    for link in p.network.links:
        assert not world.dp.flows_on(2 * link.index)
        assert world.dp.link_free_bps(2 * link.index) == pytest.approx(link.rate_ab_bps)
    assert not any(math.isnan(r["closed_s"]) for r in rows["channels"])
    assert all(s.busy == 0 and s.queue_length == 0 for s in world.stations.values())
    assert not world.requests

    # Raw bytes only in the forms that deliver them.
    for r in rows["deliveries"]:
        if r["channel"] in ("privacy", "tee"):
            assert r["raw_exposed"] == 0
    # State histories are legal.
    paths = {}
    for r in rows["states"]:
        paths.setdefault((r["order"], r["machine"]), []).append(r["state"])
    for (order, machine), path in paths.items():
        kind = machine.split(":")[0]
        runs, current = [], []
        for state in path:
            if current and state in ("Pending",) and kind == "allocation" and current[-1] == "Schedulable":
                runs.append(current)
                current = []
            current.append(state)
        for part in (*runs, current):
            assert is_legal_path(kind, tuple(part)), (order, machine, path)


@pytest.mark.req("FLW-05")
def test_a_failing_branch_of_a_chain_leaves_nothing_behind():
    steps = (
        JobStepPlan("a", "psi.ecdh", params={"rows": constant(1e5)}),
        JobStepPlan("b", "mpc.semi2k", params={"rows": constant(1e8)}, after=("a",)),
        JobStepPlan("c", "transfer.bulk", params={"size": constant(1e9)}, after=("a",)),
    )
    world = run_world(plan([stream(steps=steps)]), 0)
    assert world.rec.rows["orders"][0][11] == "capacity.node"
    assert all(world.allocator.free(n.id)[0] == n.cores for n in world.nodes)
    assert not world.channels.open
