"""KPIs from hand-made tables: definitions, warm-up cut, objectives, binding resource."""

import math

import numpy as np
import pyarrow as pa
import pytest

from dssn_models.plan import ObjectivePlan
from dssn_models.results import TABLES
from dssn_sim.runs.writing import arrow_schema
from dssn_sim.stats import RunFacts, binding, kpis
from dssn_sim.stats.kpi import Kpi, judge
from dssn_sim.stats.measures import KPIS
from dssn_sim.stats.rows import split_replications
from dssn_sim.stats.warmup import cut, hint, mser5, welch

EMPTY = {"int64": 0, "int32": 0, "float64": math.nan, "string": "", "bool": False}
FACTS = RunFacts(1000.0, 100.0, 0.95, ("urgent", "bulk"))


def table(name, rows, replication=0):
    """Return a result table; columns that a row leaves out are empty."""
    schema = arrow_schema(name)
    columns = {"replication": [r.get("replication", replication) for r in rows]}
    for c in TABLES[name].columns:
        columns[c.name] = [r.get(c.name, EMPTY[c.type]) for r in rows]
    return pa.table({k: pa.array(v, schema.field(k).type) for k, v in columns.items()}, schema=schema)


def order(i, at, cls="bulk", state="completed", reason="", deadline=math.nan, replication=0):
    return {
        "order": i, "arrived_s": at, "cls": cls, "state": state, "reason": reason, "deadline_s": deadline,
        "replication": replication, "channel": "privacy",
    }  # fmt: skip


def delivery(i, at, time, cls="bulk", state="completed", **more):
    return {
        "order": i, "arrived_s": at, "cls": cls, "state": state, "order_to_result_s": time,
        "completed_s": at + time, "job_time_s": time / 2, "queue_s": 0.0, "cost_cny": 2.0, "bill_cny": 3.0,
        "raw_exposed": 0.0, "engine": "psi.ecdh", "channel": "privacy", "slo_hit": True, **more,
    }  # fmt: skip


def small(replications=1):
    """Four orders a replication: one in the warm-up, one refused, one failed, one completed late."""
    orders, deliveries = [], []
    for r in range(replications):
        orders += [
            order(0, 50.0, replication=r), order(1, 200.0, "urgent", deadline=210.0, replication=r),
            order(2, 300.0, "bulk", "rejected", "capacity.node", replication=r),
            order(3, 400.0, "bulk", "failed", "fault.node", replication=r),
            order(4, 500.0, "urgent", deadline=600.0, replication=r),
        ]  # fmt: skip
        deliveries += [
            delivery(0, 50.0, 900.0, replication=r),
            delivery(1, 200.0, 20.0 + r, "urgent", slo_hit=False, replication=r),
            delivery(3, 400.0, math.nan, "bulk", "failed", reason="fault.node", slo_hit=False, raw_exposed=5.0,
                     channel="package", replication=r),
            delivery(4, 500.0, 30.0 + r, "urgent", replication=r),
        ]  # fmt: skip
    return {"orders": table("orders", orders), "deliveries": table("deliveries", deliveries)}


def by_key(found):
    return {k.key: k for k in found}


@pytest.mark.req("TB-08")
def test_definitions_and_warm_up_cut():
    found = by_key(kpis(small(), FACTS))
    assert found["orders_total.count"].estimate == 4
    assert found["completed_share.share"].estimate == 0.5
    assert found["order_to_result.mean"].estimate == 25.0
    assert found["order_to_result.mean[urgent]"].estimate == 25.0
    assert found["job_time.mean[psi.ecdh]"].estimate == 12.5
    assert found["admit_refuse.share[capacity.node]"].estimate == 0.25
    assert found["admit_refuse.share[capacity.*]"].estimate == 0.25
    assert found["failed_share.share[fault.node]"].estimate == 0.25
    assert found["slo_hit.share[urgent]"].estimate == 0.5
    assert "slo_hit.share[bulk]" not in found  # no deadline, no share
    assert found["unit_cost.mean"].estimate == 2.0
    assert found["raw_exposed.sum[privacy and tee]"].estimate == 0.0
    assert found["raw_exposed.sum[other channels]"].estimate == 5.0
    # Completions at 950 (arrived in the warm-up), 220 and 530 in 900 s.
    assert math.isclose(found["throughput.rate"].estimate, 3 * 3600 / 900)


@pytest.mark.req("TB-08")
def test_every_number_has_an_interval_or_a_reason():
    for tables in (small(1), small(4)):
        for k in kpis(tables, FACTS):
            assert (k.low is not None and k.high is not None and k.method) or k.why_no_interval, k
            if k.low is not None:
                assert k.low <= k.estimate <= k.high


def test_replications_give_student_t_intervals():
    found = by_key(kpis(small(4), FACTS))
    mean = found["order_to_result.mean"]
    assert mean.estimate == 26.5
    assert mean.n == 4
    assert "4 replications" in mean.method
    half = 3.182446 * np.std([25, 26, 27, 28], ddof=1) / 2
    assert math.isclose(mean.high - mean.estimate, half, rel_tol=1e-6)
    # Two deliveries a replication are too few for a p99 of a replication, eight for one of the run.
    p99 = found["order_to_result.p99"]
    assert p99.low is None
    assert "368" in p99.why_no_interval


def test_intervals_of_what_cannot_be_negative_stop_at_zero():
    flows = [{"order": -1, "start_s": 200.0, "wire_bytes": 9.0, "data": "image", "replication": 2}]
    found = by_key(kpis({**small(3), "flows": table("flows", flows)}, FACTS))
    image = found["bytes.sum[image]"]
    assert (image.estimate, image.low) == (3.0, 0.0)
    assert image.high > 9.0
    assert "cut at 0" in image.method


def test_intervals_of_a_utilisation_stop_at_one_whole():
    services = [
        table("services", [{"service": "ca", "kind": "ca", "util": u}], r) for r, u in enumerate((0.75, 1.0))
    ]
    found = by_key(kpis({**small(2), "services": pa.concat_tables(services)}, FACTS))["util.max[services]"]
    assert (found.estimate, found.low, found.high) == (0.875, 0.0, 1.0)
    assert "cut at 0, cut at 100 %" in found.method
    busy = binding([{"services": s} for s in services], FACTS).busiest[0]
    assert (busy.low, busy.high) == (0.0, 1.0)


def test_a_reason_that_some_replications_lack_counts_as_zero_there():
    orders = [order(i, 200.0 + i, replication=r) for r in range(2) for i in range(10)]
    orders[3] = order(3, 203.0, "bulk", "rejected", "price.limit")
    found = by_key(kpis({"orders": table("orders", orders)}, FACTS))
    assert found["admit_refuse.share[price.limit]"].estimate == 0.05
    assert found["admit_refuse.share[price.limit]"].n == 2


def test_phases_sum_per_order_and_leave_with_their_order():
    phases = [
        {"order": 0, "phase": "run", "start_s": 150.0, "end_s": 250.0, "wait_s": 9.0},  # of a warm-up order
        {"order": 1, "phase": "run", "start_s": 200.0, "end_s": 204.0, "wait_s": 1.0},
        {"order": 1, "phase": "run", "start_s": 204.0, "end_s": 206.0, "wait_s": 0.0},
        {"order": 4, "phase": "run", "start_s": 500.0, "end_s": 510.0, "wait_s": 0.0},
    ]
    tables = {**small(), "phases": table("phases", phases)}
    found = by_key(kpis(tables, FACTS))
    assert found["phase_time.mean[run]"].estimate == 8.0
    assert found["phase_wait.mean[run]"].estimate == 0.5


def test_cut_keeps_rows_without_an_order_by_their_time():
    flows = [
        {"order": -1, "start_s": 50.0, "wire_bytes": 1.0, "data": "image"},
        {"order": -1, "start_s": 150.0, "wire_bytes": 2.0, "data": "image"},
        {"order": 0, "start_s": 150.0, "wire_bytes": 4.0, "data": "raw"},
        {"order": 1, "start_s": 210.0, "wire_bytes": 8.0, "data": "result"},
    ]
    tables = {**small(), "flows": table("flows", flows)}
    assert cut(tables, 100.0)["flows"].column("wire_bytes").to_pylist() == [2.0, 8.0]
    assert cut(tables, 0.0)["flows"].num_rows == 4
    found = by_key(kpis(tables, FACTS))
    assert found["bytes.sum[image]"].estimate == 2.0
    assert found["bytes.sum[raw]"].estimate == 0.0


def test_records_leaks_and_totals():
    tables = {
        **small(),
        "evidence": table("evidence", [{"order": 1, "at_s": 220.0, "final_s": 223.0}]),
        "channels": table(
            "channels",
            [{"opened_s": 200.0, "closed_s": 300.0, "setup_s": 0.5}, {"opened_s": 210.0, "setup_s": 0.7}],
        ),
        "enclaves": table("enclaves", [{"order": 4, "start_s": 501.0, "attest_s": 0.2}]),
        "bills": table("bills", [{"order": 1, "role": "payer", "amount_cny": 7.0}]),
        "nodes": table(
            "nodes",
            [
                {"node": "a", "role": "dsn", "size": "8C16G", "util_busy": 0.2, "util_reserved": 0.6,
                 "cold_starts": 1, "warm_starts": 3},
                {"node": "b", "role": "dsn", "size": "8C16G", "util_busy": 0.1, "util_reserved": 0.1},
            ],
        ),
        "links": table("links", [{"link": "ab", "direction": "ab", "technology": "otn", "mean_util": 0.3}]),
        "services": table("services", [{"service": "ca", "kind": "ca", "util": 0.5}]),
    }  # fmt: skip
    found = by_key(kpis(tables, FACTS))
    assert found["evidence_lag.mean"].estimate == 3.0
    assert found["channel_leak.count"].estimate == 1.0
    assert found["attest_time.mean"].estimate == 0.2
    assert found["bill_total.sum[payer]"].estimate == 7.0
    assert found["cache_hit.share"].estimate == 0.75
    assert found["util.max[nodes held]"].estimate == 0.6
    assert math.isclose(found["util.mean[nodes busy]"].estimate, 0.15)
    top = binding([tables], FACTS)
    assert (top.busiest[0].kind, top.busiest[0].id, top.busiest[0].group) == ("node", "a", "dsn 8C16G")
    assert math.isclose(top.busiest[0].group_util, 0.35)
    assert "node a (dsn 8C16G) at 60 %" in top.text


def test_binding_phase_is_the_one_that_waits_most():
    phases = [
        {"order": 1, "phase": "coallocate", "start_s": 200.0, "end_s": 210.0, "wait_s": 9.0},
        {"order": 1, "phase": "network_order", "start_s": 210.0, "end_s": 212.0, "wait_s": 1.0},
    ]
    found = binding([{**small(), "phases": table("phases", phases)}], FACTS)
    assert found.waits[0][0] == "coallocate"
    assert math.isclose(found.waits[0][1], 0.9)
    assert "90 % is in the phase coallocate" in found.text


def test_no_orders_at_all():
    tables = {"orders": table("orders", []), "deliveries": table("deliveries", [])}
    assert kpis(tables, FACTS) == []
    verdicts = judge([], (ObjectivePlan("order_to_result", 1.0),))
    assert verdicts[0].met == "undecided"
    assert verdicts[0].why == "nothing was observed"


# ------------------------------------------------------------------ objectives


def kpi(estimate, low, high, name="order_to_result", stat="p95", cls=""):
    return Kpi(name, cls, KPIS[name].unit, "min", estimate, low, high, 5, "t", stat=stat)


@pytest.mark.parametrize(
    ("low", "high", "direction", "met"),
    [
        (1.0, 2.0, "max", "met"), (1.0, 4.0, "max", "undecided"), (3.5, 4.0, "max", "missed"),
        (3.5, 4.0, "min", "met"), (1.0, 2.0, "min", "missed"), (1.0, 3.0, "max", "met"), (None, None, "max", "undecided"),
    ],
)  # fmt: skip
def test_objectives_are_met_missed_or_undecided(low, high, direction, met):
    objective = ObjectivePlan("order_to_result", 3.0, None, 0.95, direction)
    (found,) = judge([kpi(1.5, low, high)], (objective,))
    assert found.met == met
    assert (found.why != "") == (met == "undecided") or low is None


def test_objectives_of_shares_and_of_other_quantiles():
    objectives = (
        ObjectivePlan("slo_hit", 0.4, "urgent", 0.95, "min"),
        ObjectivePlan("order_to_result", 1e6, "urgent", 0.8, "max"),
        ObjectivePlan("raw_exposed", 0.0, None, None, "max"),
    )
    facts = RunFacts(1000.0, 100.0, 0.95, ("urgent", "bulk"), objectives)
    found = kpis(small(40), facts)
    share = by_key(found)["slo_hit.share[urgent]"]
    assert share.objective == "slo_hit.share[urgent] at least 40 %"
    assert by_key(found)["order_to_result.p80[urgent]"].met == "met"
    verdicts = judge(found, objectives)
    assert verdicts[2].estimate == 5.0  # the worst part decides
    assert verdicts[2].met == "missed"


def test_an_invariant_is_judged_without_an_interval():
    clean, leaky = small(1), small(1)
    leaky["deliveries"] = table(
        "deliveries",
        [delivery(1, 200.0, 20.0, "urgent", raw_exposed=7.0), delivery(4, 500.0, 30.0, "urgent")],
    )
    objective = (ObjectivePlan("raw_exposed", 5.0, None, None, "max"),)
    (held,) = judge(kpis({**clean, "deliveries": leaky["deliveries"]}, FACTS), objective)
    assert (held.met, held.estimate, held.key) == ("missed", 7.0, "raw_exposed.sum[privacy and tee]")
    none = table("deliveries", [delivery(1, 200.0, 20.0, "urgent")])
    found = kpis({**clean, "deliveries": none}, FACTS)
    (held,) = judge(found, (ObjectivePlan("raw_exposed", 0.0, None, None, "max"),))
    assert (held.met, held.why) == ("met", "")
    assert by_key(found)["raw_exposed.sum[privacy and tee]"].method.startswith("exact")
    # What chance decides still needs an interval.
    (count,) = judge(found, (ObjectivePlan("orders_total", 100.0, None, None, "max"),))
    assert count.met == "undecided"


def test_an_objective_on_deliveries_is_missed_if_no_order_completed():
    orders = [order(i, 200.0 + i, state="rejected", reason="capacity.node") for i in range(5)]
    orders += [order(9, 300.0, "urgent")]
    tables = {
        "orders": table("orders", orders),
        "deliveries": table("deliveries", [delivery(9, 300.0, 4.0, "urgent")]),
    }
    found = kpis(tables, FACTS)
    bulk, nothing = judge(
        found, (ObjectivePlan("order_to_result", 60.0, "bulk"), ObjectivePlan("evidence_lag", 1.0))
    )
    assert (bulk.met, bulk.why) == ("missed", "no order completed")
    assert math.isnan(bulk.estimate)
    assert (nothing.met, nothing.why) == ("undecided", "nothing was observed")


def test_kpi_survives_json():
    for k in kpis(small(3), FACTS):
        again = Kpi.from_dict(k.as_dict())
        assert again == k or math.isnan(k.estimate)


# ------------------------------------------------------------------ warm-up


def test_mser5_finds_the_transient_and_leaves_steady_series_alone():
    rng = np.random.default_rng(3)
    steady = rng.normal(1.0, 0.3, 2000)
    transient = steady + 5 * np.exp(-np.arange(2000) / 60)
    assert 100 <= mser5(transient) <= 500
    assert mser5(np.ones(19)) == 0


def test_welch_is_a_moving_average_over_replications():
    series = [np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([3.0, 4.0, 5.0, 6.0, 7.0])]
    assert welch(series, 1).tolist() == [2.0, 3.0, 4.0, 5.0]
    assert len(welch([], 2)) == 0


def test_hint_says_when_the_load_never_settles():
    rows = [delivery(i, float(i), 1.0 + i) for i in range(400)]
    found = hint([{"deliveries": table("deliveries", rows)}], FACTS)
    assert not found.enough
    assert "no steady part" in found.text
    few = hint([{"deliveries": table("deliveries", rows[:50])}], FACTS)
    assert math.isnan(few.suggested_s)


def test_split_replications_needs_no_order():
    rows = [order(i, float(i), replication=i % 2) for i in range(6)]
    parts = dict(split_replications({"orders": table("orders", rows)}))
    assert parts[0]["orders"].column("order").to_pylist() == [0, 2, 4]
    assert parts[1]["orders"].column("order").to_pylist() == [1, 3, 5]


def test_no_warm_up_hint_where_the_load_changes_by_design():
    from dataclasses import replace

    from dssn_sim.stats.warmup import hint

    told = hint([], replace(FACTS, steady=False))
    assert told.enough
    assert "by design" in told.text
