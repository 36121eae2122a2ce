"""The life of a delivery on a network small enough to check by hand."""

import math

import pyarrow.compute as pc
import pytest
from smallplan import NetOrderPlan, constant_stream, network, plan, replace, stream

from dssn_models.dist import constant
from dssn_models.market.states import PHASES, is_legal_path
from dssn_models.plan import ClassPlan, FaultPlan, JobStepPlan, SelectorPlan
from dssn_sim.kernel import simulate


def table(tables, name):
    return tables[name].to_pylist()


def only(tables, name="deliveries"):
    rows = table(tables, name)
    assert len(rows) == 1, rows
    return rows[0]


@pytest.mark.req("NOD-01", "NOD-03", "NOD-04", "FLW-02", "OPS-01")
def test_every_phase_happens_in_order_and_the_states_are_legal():
    tables = simulate(plan(), 0)
    delivery = only(tables)
    assert delivery["state"] == "completed"
    phases = [r["phase"] for r in sorted(table(tables, "phases"), key=lambda r: (r["start_s"], r["end_s"]))]
    assert [p for p in PHASES if p in phases] == list(dict.fromkeys(phases))
    assert set(PHASES) - set(phases) == {"attest"}
    for machine in ("order", "negotiation", "job", "allocation", "transfer"):
        path = tuple(r["state"] for r in table(tables, "states") if r["machine"] == machine)
        assert is_legal_path(machine, path), (machine, path)


@pytest.mark.req("FLW-02")
def test_bulk_delivery_takes_the_time_of_its_bytes():
    """100 MB over one 1 Gbit/s access link: 0.8 s times the wire overhead, plus computing."""
    s = stream("transfer.bulk", "package", params={"size": constant(1e8)})
    tables = simulate(plan([s]), 0)
    flows = [r for r in table(tables, "flows") if r["data"] == "raw"]
    wire = sum(r["wire_bytes"] for r in flows)
    assert sum(r["payload_bytes"] for r in flows) == pytest.approx(1e8)
    assert wire >= 1e8
    sent = [(r["end_s"] - r["start_s"]) for r in flows]
    assert sum(sent) >= wire * 8 / 1e9
    assert only(tables)["raw_exposed"] == pytest.approx(1e8)


@pytest.mark.req("PC-21", "NOD-06")
@pytest.mark.parametrize(
    "engine",
    ["psi.ecdh", "psi.kkrt", "psi.rr22", "fl.horizontal", "sgb.secureboost", "mpc.semi2k", "mpc.cheetah",
     "he.paillier", "he.ckks", "stats.masked", "sse.query"],
)  # fmt: skip
def test_privacy_engines_expose_no_raw_byte(engine):
    tables = simulate(plan([stream(engine, params={})]), 0)
    delivery = only(tables)
    assert delivery["state"] == "completed", delivery["reason"]
    assert delivery["raw_exposed"] == 0
    assert not [r for r in table(tables, "flows") if r["data"] == "raw"]
    assert delivery["core_s"] > 0


@pytest.mark.req("PC-15")
def test_tee_job_is_attested_on_a_tee_node():
    tables = simulate(plan([stream("tee.job", "tee", params={})]), 0)
    assert only(tables)["state"] == "completed", only(tables)["reason"]
    enclave = only(tables, "enclaves")
    assert enclave["node"] == "tee1"
    assert enclave["end_s"] > enclave["start_s"]
    metered = [r["quantity"] for r in table(tables, "meters") if r["kind"] == "tee_s"]
    assert metered == [pytest.approx(enclave["end_s"] - enclave["start_s"])]
    assert [r for r in table(tables, "phases") if r["phase"] == "attest"]


@pytest.mark.req("DCC-11")
def test_two_jobs_that_want_the_same_nodes_run_one_after_the_other_and_never_deadlock():
    a = stream(ident="a", times=[10.0] * 8, parties=2, engine="mpc.semi2k", params={})
    b = stream(
        ident="b",
        times=[10.0] * 8,
        parties=2,
        engine="mpc.semi2k",
        params={},
        assets=SelectorPlan(("a2", "a1")),
    )
    tables = simulate(plan([a, b]), 0)
    assert {r["state"] for r in table(tables, "deliveries")} == {"completed"}
    assert len(table(tables, "deliveries")) == 16
    assert max(r["queue_s"] for r in table(tables, "deliveries")) > 0


@pytest.mark.req("DCC-18")
def test_second_job_finds_the_engine_warm():
    s = stream(times=[10.0, 500.0])
    tables = simulate(plan([s]), 0)
    by_node = {r["node"]: r for r in table(tables, "nodes")}
    assert by_node["dsn1"]["cold_starts"] == 1
    assert by_node["dsn1"]["warm_starts"] == 1
    first, second = sorted(table(tables, "deliveries"), key=lambda r: r["arrived_s"])
    assert second["order_to_result_s"] < first["order_to_result_s"]


@pytest.mark.req("DCC-04")
def test_channel_is_reused_within_its_idle_time_and_none_is_left_open():
    kept = stream(times=[10.0, 100.0], net=NetOrderPlan(keep_open_s=300.0))
    fresh = stream(times=[10.0, 100.0])
    uses = [r["uses"] for r in table(simulate(plan([kept]), 0), "channels")]
    assert uses == [2]
    rows = table(simulate(plan([fresh]), 0), "channels")
    assert [r["uses"] for r in rows] == [1, 1]
    assert not any(math.isnan(r["closed_s"]) for r in rows)


@pytest.mark.req("NET-01", "NET-15")
def test_hard_slice_is_opened_paid_in_time_and_released():
    net = NetOrderPlan(technology="otn", rate_bps=1e8, isolation="hard")
    tables = simulate(plan([stream(net=net)]), 0)
    delivery = only(tables)
    assert delivery["state"] == "completed"
    assert delivery["order_to_open_s"] >= 5.0
    slices = table(tables, "slices")
    assert len(slices) == 2
    assert all(r["closed_s"] > r["opened_s"] for r in slices)


@pytest.mark.req("NET-01")
def test_slice_that_does_not_fit_is_refused_with_its_reason():
    net = NetOrderPlan(technology="otn", rate_bps=6e8, isolation="hard")
    tables = simulate(plan([stream(net=net, times=[10.0, 10.0])]), 0)
    orders = table(tables, "orders")
    assert sorted(r["reason"] for r in orders) == ["", "capacity.network"]
    assert [r["state"] for r in orders if r["reason"]] == ["rejected"]


@pytest.mark.req("NOD-05")
def test_job_larger_than_the_node_is_refused_not_left_hanging():
    tables = simulate(plan([stream("mpc.semi2k", params={"rows": constant(1e8)})]), 0)
    assert only(tables, "orders")["reason"] == "capacity.node"
    assert table(tables, "deliveries") == []


@pytest.mark.req("NET-23")
@pytest.mark.parametrize("protection", ["1+1", "restoration", "none"])
def test_a_cut_in_the_middle_of_a_transfer_delays_it_as_the_protection_says(protection):
    s = stream("transfer.bulk", "package", params={"size": constant(1e9)})
    calm = only(simulate(plan([s], network=network(protection)), 0))
    fault = FaultPlan("link_down", "ip:A-B", 15.0, 60.0)
    cut = only(simulate(plan([s], network=network(protection), faults=(fault,)), 0))
    assert cut["state"] == "completed"
    delay = cut["order_to_result_s"] - calm["order_to_result_s"]
    expected = {"1+1": 0.05, "restoration": 2.0, "none": 60.0}[protection]
    assert delay == pytest.approx(expected, abs=0.6)


@pytest.mark.req("DCC-13")
def test_a_job_on_a_failed_node_is_retried_and_its_capacity_comes_back():
    s = stream("transfer.bulk", "package", params={"size": constant(1e9)})
    fault = FaultPlan("node_down", "dsn1", 15.0, 20.0)
    tables = simulate(plan([s], faults=(fault,)), 0)
    delivery = only(tables)
    assert delivery["state"] == "completed"
    assert delivery["attempts"] == 2
    assert {r["node"]: r["down_s"] for r in table(tables, "nodes")}["dsn1"] == pytest.approx(20.0)


@pytest.mark.req("DCC-13")
def test_a_node_that_stays_down_fails_the_order_with_its_reason():
    fault = FaultPlan("node_down", "dsn1", 5.0, 3000.0)
    tables = simulate(plan(faults=(fault,)), 0)
    assert only(tables)["state"] == "failed"
    assert only(tables)["reason"] == "fault.node"


@pytest.mark.req("DCC-10")
def test_a_revoked_certificate_refuses_new_orders():
    fault = FaultPlan("certificate_revoked", "dsn1", 5.0, 3000.0)
    tables = simulate(plan(faults=(fault,)), 0)
    assert only(tables, "orders")["reason"] == "trust.certificate"


@pytest.mark.req("NOD-01", "NOD-06")
def test_a_service_outage_stops_only_its_own_operations():
    """The job that already runs goes through the outage of the scheduling service."""
    s = stream("transfer.bulk", "package", params={"size": constant(1e9)}, times=[10.0, 16.0])
    fault = FaultPlan("service_down", "dsp.scheduling", 14.0, 40.0)
    first, second = sorted(
        table(simulate(plan([s], faults=(fault,)), 0), "deliveries"), key=lambda r: r["arrived_s"]
    )
    assert first["state"] == second["state"] == "completed"
    assert first["order_to_result_s"] < 30
    assert second["order_to_result_s"] > 35


@pytest.mark.req("FLW-05")
def test_chain_of_four_takes_its_critical_path():
    steps = (
        JobStepPlan("psi", "psi.ecdh", params={"rows": constant(1e5)}),
        JobStepPlan("stats", "stats.masked", after=("psi",)),
        JobStepPlan("train", "sgb.secureboost", params={"rows": constant(2e4)}, after=("psi",)),
        JobStepPlan("report", "transfer.bulk", params={"size": constant(1e6)}, after=("stats", "train")),
    )
    tables = simulate(plan([stream(steps=steps)]), 0)
    assert only(tables)["state"] == "completed", only(tables)["reason"]
    span = {}
    for r in table(tables, "phases"):
        if r["phase"] == "run":
            span[r["detail"]] = (r["start_s"], r["end_s"])
    assert span["transfer.bulk"][0] >= max(span["stats.masked"][1], span["sgb.secureboost"][1])
    assert min(span["stats.masked"][0], span["sgb.secureboost"][0]) >= span["psi.ecdh"][1]


@pytest.mark.req("NET-14")
def test_classes_share_by_strict_priority():
    def bulk(ident, cls, **more):
        return stream(
            "transfer.bulk", "package", ident=ident, cls=cls, params={"size": constant(2e9)}, **more
        )

    tables = simulate(plan([bulk("u", "urgent"), bulk("b", "bulk")], classes=(
        ClassPlan("urgent", 0, 1.0), ClassPlan("standard", 1, 1.0), ClassPlan("bulk", 2, 1.0))), 0)  # fmt: skip
    ends = {r["cls"]: r["completed_s"] for r in table(tables, "deliveries")}
    assert ends["bulk"] > ends["urgent"] + 10


@pytest.mark.req("BIZ-13")
def test_exchange_orders_have_a_settlement_time():
    tables = simulate(plan([stream(exchange="pool1")]), 0)
    delivery = only(tables)
    assert delivery["trade_to_settle_s"] >= delivery["order_to_result_s"]
    assert math.isnan(only(simulate(plan(), 0))["trade_to_settle_s"])


@pytest.mark.req("BIZ-13")
def test_a_defective_product_fails_and_is_not_billed():
    tables = simulate(plan([stream(quality_defect=1.0)]), 0)
    assert only(tables)["reason"] == "quality.defect"
    assert table(tables, "bills") == []


@pytest.mark.req("TB-02")
def test_same_seed_same_tables_and_another_seed_another():
    s = constant_stream(40)
    one, two = simulate(plan([s]), 0), simulate(plan([s]), 0)
    assert all(one[name].to_pandas().equals(two[name].to_pandas()) for name in one)
    other = simulate(plan([s]), 1)
    assert not one["deliveries"].equals(other["deliveries"])


@pytest.mark.req("TB-02")
def test_a_further_stream_does_not_move_the_draws_of_the_first():
    s = constant_stream(40)
    alone = simulate(plan([s]), 0)["orders"]
    both = simulate(plan([s, stream(ident="z", times=[5000.0])]), 0)["orders"]
    both = both.filter(pc.equal(both["stream"], s.id))
    assert sorted(alone["arrived_s"].to_pylist()) == sorted(both["arrived_s"].to_pylist())


@pytest.mark.req("BIZ-06")
def test_meters_equal_the_counters():
    tables = simulate(plan([constant_stream(20)]), 0)
    delivered = {r["order"]: r for r in table(tables, "deliveries")}
    metered = [r for r in table(tables, "meters") if r["kind"] == "core_s"]
    assert len(metered) == len(delivered)
    for r in metered:
        assert r["quantity"] == pytest.approx(delivered[r["order"]]["core_s"], rel=1e-9)
    executed = sum(r["core_s"] for r in table(tables, "nodes"))
    assert sum(r["core_s"] for r in delivered.values()) == pytest.approx(executed, rel=1e-9)


@pytest.mark.req("NET-14")
def test_late_orders_are_ended_with_a_reason():
    p = plan([stream("transfer.bulk", "package", params={"size": constant(1e13)})])
    p = replace(p, run=replace(p.run, drain_limit_s=100.0))
    assert only(simulate(p, 0))["reason"] == "run.horizon"


@pytest.mark.req("DCC-13", "PC-21")
def test_bytes_of_a_transfer_that_was_interrupted_are_recorded_and_count_as_exposed():
    s = stream("transfer.bulk", "package", params={"size": constant(1e9)})
    fault = FaultPlan("node_down", "dsn1", 18.0, 20.0)
    tables = simulate(plan([s], faults=(fault,)), 0)
    delivery = only(tables)
    raw = [r for r in table(tables, "flows") if r["data"] == "raw"]
    assert delivery["attempts"] == 2
    assert len(raw) == 2
    assert 0 < raw[0]["payload_bytes"] < 1e9
    assert raw[1]["payload_bytes"] == pytest.approx(1e9)
    assert delivery["raw_exposed"] == pytest.approx(sum(r["payload_bytes"] for r in raw))
    access = [
        r["bytes"] for r in table(tables, "links") if r["link"] == "access:dsn1" and r["direction"] == "ab"
    ]
    assert access[0] >= sum(r["wire_bytes"] for r in raw) * (1 - 1e-9)


@pytest.mark.req("NET-01", "NET-15")
def test_slices_cannot_lock_out_the_images_that_their_owners_wait_for():
    """Five hard slices would take the whole access link; the fifth is refused and the rest complete."""
    net = NetOrderPlan(technology="otn", rate_bps=2e8, isolation="hard")
    tables = simulate(plan([stream(ident="a", times=[0.0]), stream(ident="b", times=[0.0] * 5, net=net)]), 0)
    states = sorted((r["state"], r["reason"]) for r in table(tables, "orders"))
    assert states == [("completed", "")] * 5 + [("rejected", "capacity.network")]
