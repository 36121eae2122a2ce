"""Findings: facts recomputed from hand-made tables, and said only where the plan has the matter."""

import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fake_run import make_plan

from dssn.report.answer import answer
from dssn.report.charts import event as event_chart
from dssn.report.data import RunData, empty_table
from dssn.report.findings import channels, events, findings, peak, places, streams
from dssn.report.findings.base import mentions
from dssn_models.dist import constant
from dssn_models.plan import ArrivalPlan, FaultPlan, JobStepPlan, ObjectivePlan, SelectorPlan, StreamPlan

HORIZON = 14400.0


def run_of(plan, orders, **tables):
    """Return a run with these orders (dicts); deliveries follow from those that completed."""
    frame = pd.DataFrame(orders)
    columns = {
        "stream": "urgent",
        "channel": "privacy",
        "level": 3,
        "deadline_s": math.nan,
        "reason": "",
        "raw": 0.0,
        "cost": 1.0,
    }
    for name, value in columns.items():
        if name not in frame:
            frame[name] = value
    frame["cls"] = frame.get("cls", frame["stream"])
    done = frame[frame["state"] == "completed"]
    deliveries = done.assign(
        order_to_result_s=done["ended_s"] - done["arrived_s"], cost_cny=done["cost"], raw_exposed=done["raw"], core_s=10.0,
        bill_cny=0.0, trade_to_settle_s=math.nan, run_site="", consumer_site="", engine="e", completed_s=done["ended_s"],
    )  # fmt: skip
    given = {"orders": frame, "deliveries": deliveries, **tables}
    run = {"warmup_s": 0.0, "horizon_s": HORIZON, "confidence": 0.95}
    return RunData(run, {}, {"refusals": empty_table("refusals"), **given}, plan=plan)


def order(replication, number, at, length, state="completed", **more):
    return {
        "replication": replication,
        "order": number,
        "arrived_s": at,
        "ended_s": at + length,
        "state": state,
        **more,
    }


def without_faults(**changes):
    plan = make_plan(faults=False)
    return replace(plan, **{"objectives": (), "question": "", **changes})


# ------------------------------------------------------------------ faults


def stuck(replications=2, gone_at=6600.0):
    """Orders every 10 s that take 20 s; from 3600 s on they stay until ``gone_at``, every tenth to 5400 s fails."""
    plan = without_faults(
        faults=(FaultPlan("node_down", "dsn0", 3600.0, 1800.0),),
        objectives=(ObjectivePlan("order_to_result", 60.0, "urgent"),),
    )
    orders = []
    for r in range(replications):
        for i, at in enumerate(np.arange(0.0, HORIZON, 10.0)):
            until = gone_at + 300.0 * r
            length = max(20.0, until - at) if 3600.0 <= at < until else 20.0
            failed = 3600.0 <= at < 5400.0 and i % 10 == 0
            orders.append(order(r, i, at, length, "failed" if failed else "completed"))
    return run_of(plan, orders)


@pytest.mark.req("NET-23", "DCC-13")
def test_recovery_is_the_time_from_the_end_of_the_fault_until_the_backlog_is_as_before():
    data = stuck()
    (event,) = events.events(data.plan)
    assert (event.kind, event.start_s, event.end_s) == ("fault", 3600.0, 5400.0)
    view = events.EventView(data, event)
    step = view.window_s / 10
    for r, gone in enumerate((6600.0, 6900.0)):
        # The last stuck orders end at `gone`; an order that arrives just before ends up to 20 s later.
        assert view.recovery_s(r) == pytest.approx(gone - 5400.0, abs=2 * step)
        assert view.level(r) == pytest.approx(2.0, abs=0.1)
        assert view.peak(r) == pytest.approx((gone - 3600.0) / 10, rel=0.15)


@pytest.mark.req("NET-23", "DCC-13")
def test_cost_of_a_fault_counts_touched_orders_against_those_before():
    data = stuck()
    view = events.EventView(data, events.events(data.plan)[0])
    frame = data.table("orders")
    touched = frame[(frame["arrived_s"] < 5400.0) & (frame["ended_s"] > 3600.0)]
    assert len(view.touched) == len(touched)
    lost = touched[touched["state"] == "failed"].groupby("replication").size().tolist()
    assert view.extra_lost() == pytest.approx([float(n) for n in lost])  # none was lost before
    assert lost == [18, 18]
    late = touched[(touched["state"] == "completed") & (touched["ended_s"] - touched["arrived_s"] > 60.0)]
    assert view.touched["late"].sum() == len(late)
    (found,) = events.finding(data)
    assert "loss of node dsn0 (from 1:00 h to 1:30 h)" in found.sentences[0]
    assert re.search(r"back to normal 2[23]\.\d min .* after its end", found.sentences[0])
    assert "18 orders were lost" in found.sentences[1]


def test_a_fault_whose_backlog_stays_says_so():
    (found,) = events.finding(stuck(gone_at=1e6))
    assert "the backlog was not gone when the run ended 2.5 h after it" in found.sentences[0]


def test_a_fault_that_touches_nothing_leaves_no_backlog():
    plan = without_faults(faults=(FaultPlan("node_down", "dsn0", 3600.0, 1800.0),))
    data = run_of(plan, [order(0, i, at, 20.0) for i, at in enumerate(np.arange(0.0, HORIZON, 10.0))])
    (found,) = events.finding(data)
    assert "no backlog built up" in found.sentences[0]
    assert "No order was lost to it and none was late" in found.sentences[1]


def test_a_fault_at_the_start_has_nothing_to_compare_with():
    plan = without_faults(faults=(FaultPlan("node_down", "dsn0", 0.0, 600.0),))
    data = run_of(plan, [order(0, i, 10.0 * i, 20.0) for i in range(100)])
    (found,) = events.finding(data)
    assert "no level before it" in found.sentences[0]
    assert event_chart.draw(data) == []


def test_overlapping_faults_are_one_event_and_surges_are_events_too():
    bursts = replace(
        make_plan().streams[0],
        arrivals=ArrivalPlan("bursts", rate=0.1, windows=((600.0, 60.0, 5.0), (4000.0, 60.0, 0.5))),
    )
    faults = (FaultPlan("node_down", "a", 100.0, 200.0), FaultPlan("link_down", "b", 250.0, 100.0))
    found = events.events(replace(make_plan(), faults=faults, streams=(bursts,)))
    assert [(e.kind, e.start_s, e.end_s) for e in found] == [("fault", 100.0, 350.0), ("surge", 600.0, 660.0)]
    assert found[0].label == "loss of node a and cut of link b"


def test_the_chart_of_an_event_is_drawn_from_the_same_numbers():
    (chart,) = event_chart.draw(stuck())
    assert chart.key == "event-fault"
    assert "against at most 2 before the loss of node dsn0" in chart.alt


@pytest.mark.req("NET-23")
def test_any_scenario_with_a_fault_gets_the_finding(tmp_path):
    import dssn

    sc = dssn.load(
        "metro",
        set=["run.horizon=40 min", "run.replications=2",
             "workload.tee.arrivals.kind=poisson", "workload.tee.arrivals.windows=null",
             'faults=[{"kind": "node_down", "target": "pool", "at": "15 min", "duration": "5 min"}]'],
    )  # fmt: skip
    res = dssn.run(sc, out=tmp_path / "run", workers=1)
    text = res.answer()
    assert "loss of node pool" in text
    page = res.report().read_text("utf-8")
    assert "before it and touched by it" in page
    assert "event-fault" in page


# ------------------------------------------------------------------ channels


def dual_plan(**changes):
    stream = StreamPlan(
        "urgent", "urgent", ArrivalPlan("poisson", rate=0.1), SelectorPlan(("drn0",)), SelectorPlan(("calls",)), constant(1.0),
        (JobStepPlan("run", "psi.ecdh"),), sensitivity=constant(2.0), threshold=3, alternate=(JobStepPlan("api", "api.query"),),
    )  # fmt: skip
    return without_faults(streams=(stream,), **changes)


def dual_orders():
    """Levels 1 to 4 in turn; level 3 and above take 100 s in private, the others 10 s by API."""
    rows = []
    for r in range(3):
        for i in range(400):
            level = 1 + i % 4
            private = level >= 3
            rows.append(
                order(r, i, 30.0 * i, 100.0 if private else 10.0, level=level, channel="privacy" if private else "api",
                      cost=5.0 if private else 1.0, raw=0.0 if private else 8.0)
            )  # fmt: skip
    return rows


@pytest.mark.req("FLW-07", "SCN-01")
def test_channel_split_and_other_thresholds_follow_from_the_levels():
    nodes = pd.DataFrame({"replication": [0, 1, 2], "node": "dsn0", "util_busy": 0.6, "util_reserved": 0.1})
    plan = dual_plan(objectives=(ObjectivePlan("order_to_result", 50.0, "urgent"),))
    data = run_of(plan, dual_orders(), nodes=nodes)
    deliveries = data.table("deliveries")
    deliveries["core_s"] = np.where(deliveries["channel"] == "privacy", 90.0, 10.0)
    (found,) = channels.finding(data)
    assert "level 3, 50 %" in found.sentences[0].replace("50.0 %", "50 %")
    table = {t.level: t for t in channels.thresholds(data)}
    assert sorted(table) == [1, 2, 3, 4, 5]
    assert [table[t].share.estimate for t in sorted(table)] == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert table[2].mean("cost_cny") == pytest.approx([0.75 * 5 + 0.25 * 1] * 3)
    assert table[4].mean("raw_exposed") == pytest.approx([0.75 * 8] * 3)
    assert table[1].quantile(0.95, "urgent") == [100.0] * 3
    assert table[5].quantile(0.95, None) == [10.0] * 3
    assert table[1].load == pytest.approx(0.6 * 90 / 50)
    verdicts = {t: table[t].verdict(plan.objectives) for t in table}
    assert verdicts == {1: "missed", 2: "missed", 3: "missed", 4: "open", 5: "kept"}


def test_without_a_second_channel_there_is_no_split():
    data = run_of(without_faults(), [order(0, i, 10.0 * i, 20.0) for i in range(50)])
    assert channels.finding(data) == []


# ------------------------------------------------------------------ peak, places, streams


@pytest.mark.req("SCN-05")
def test_the_busiest_hour_is_that_with_most_arrivals():
    profile = (1.0, 3.0, 1.0, 1.0)
    stream = replace(make_plan().streams[0], arrivals=ArrivalPlan("diurnal", rate=0.1, profile=profile))
    rows, number = [], 0
    for r in range(3):
        for hour, gap in enumerate((20.0, 5.0, 20.0, 20.0)):
            for at in np.arange(3600.0 * hour, 3600.0 * (hour + 1), gap):
                rows.append(order(r, number, at, 30.0 if hour == 1 else 3.0))
                number += 1
    data = run_of(without_faults(streams=(stream,)), rows)
    assert peak.busiest_window(data) == (3600.0, 7200.0)
    (found,) = peak.finding(data)
    assert "from 1:00 h to 2:00 h" in found.sentences[0]
    assert "urgent 30 s against 3 s" in found.sentences[0]
    steady = run_of(without_faults(), rows)
    assert peak.finding(steady) == []


@pytest.mark.req("NET-05")
def test_a_move_levels_the_busiest_and_the_idlest_place():
    step = JobStepPlan("run", "tee.job", candidates=("dsn0", "dsn1", "dsn2"))
    stream = replace(make_plan().streams[0], steps=(step,))
    nodes = pd.DataFrame(
        {
            "replication": [0, 0, 0, 1, 1, 1], "node": ["dsn0", "dsn1", "dsn2"] * 2, "role": "dsn",
            "site": ["beijing", "shanghai", "guangzhou"] * 2, "cores": [16.0, 16.0, 32.0] * 2, "jobs": [80, 40, 20] * 2,
            "util_busy": [0.5, 0.2, 0.05] * 2, "util_reserved": [0.8, 0.3, 0.1] * 2, "queue_mean": 0.0,
        }
    )  # fmt: skip
    data = run_of(
        without_faults(streams=(stream,)), [order(0, 0, 0.0, 5.0), order(1, 0, 0.0, 5.0)], nodes=nodes
    )
    shared = places.shared_nodes(data)
    found = places.move(shared, HORIZON)
    level = (0.8 * 16 + 0.1 * 32) / 48
    assert (found.source, found.target) == ("dsn0", "dsn2")
    assert found.level == pytest.approx(level)
    assert found.core_s == pytest.approx((0.8 - level) * 16 * HORIZON)
    assert found.core_s == pytest.approx((level - 0.1) * 32 * HORIZON)
    assert found.jobs == pytest.approx(80 * (0.8 - level) / 0.8)
    (said,) = places.finding(data)
    assert "placement nearest" in said.sentences[0]
    assert "Hottest is dsn0 at beijing, 80 %" in said.sentences[1]
    assert "1 of 3 places run hot" in said.sentences[1]


@pytest.mark.parametrize(
    ("use", "executing", "advice"),
    [
        (0.3, 0.9, "leave the hot ones"),
        (0.8, 0.9, "need more room"),
        (0.3, 0.5, "does not say whether there is room elsewhere"),
    ],
)
def test_hot_places_need_another_placement_only_if_others_have_room(use, executing, advice):
    at = np.arange(60.0, HORIZON, 60.0)
    value = np.where((at > 3600.0) & (at <= 4500.0), use, 0.1)
    samples = pd.DataFrame(
        {"replication": 0, "at_s": at, "kind": "node", "id": "dsn", "metric": "util", "value": value}
    )
    nodes = pd.DataFrame(
        {"replication": 0, "node": ["dsn0", "dsn1"], "role": "dsn", "site": ["beijing", "shanghai"], "cores": 8.0, "jobs": 9,
         "util_busy": [0.4, 0.1], "util_reserved": [0.4, 0.1], "busy_15min": [executing, 0.2],
         "reserved_15min": [0.95, 0.2],
         "queue_mean": 0.0}
    )  # fmt: skip
    step = JobStepPlan("run", "tee.job", candidates=("dsn0", "dsn1"))
    plan = without_faults(streams=(replace(make_plan().streams[0], steps=(step,)),))
    data = run_of(plan, [order(0, 0, 0.0, 5.0)], nodes=nodes, samples=samples)
    assert places.pooled_peak(data, "dsn") == pytest.approx(use)
    (said,) = places.finding(data)
    assert "1 of 2 places run hot" in said.sentences[1]
    assert f"(peak 95 % held by jobs, {100 * executing:.0f} % executing)" in said.sentences[1]
    assert advice in said.sentences[1]


def test_streams_named_in_the_question_are_answered():
    rows = [
        order(0, i, 10.0 * i, 20.0 if i % 2 else 4.0, stream="urgent" if i % 2 else "bulk")
        for i in range(400)
    ]
    data = run_of(without_faults(question="How long does bulk take?"), rows)
    times, cost = streams.finding(data)
    assert times.sentences == ("Bulk: half within 4 s, 95 % within 4 s.",)
    assert "50 % of the cost" in cost.sentences[0]
    assert [row[0] for row in times.grids[0].rows] == ["urgent", "bulk"]


def test_the_question_decides_what_comes_first():
    asked = dual_plan(
        question="How long until the backlog of the outage is gone?", faults=stuck().plan.faults
    )
    data = run_of(asked, dual_orders())
    assert findings(data)[0].topic == "fault"
    other = run_of(replace(asked, question="Which channel should requests use?"), dual_orders())
    assert findings(other)[0].topic == "channels"
    sentences = answer(other, [], [])
    assert sentences[1].startswith("With the threshold at level 3")
    assert mentions("What is shared?", ("share of",)) == 0
