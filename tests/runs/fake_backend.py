"""A tiny backend for tests of the run machinery: a Lindley queue in numpy, all main tables filled."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from dssn_models.dist import constant
from dssn_models.plan import (
    ArrivalPlan,
    ClassPlan,
    NetworkPlan,
    ObjectivePlan,
    Plan,
    PolicyPlan,
    RunPlan,
    SelectorPlan,
    StreamPlan,
)
from dssn_models.rng import Streams
from dssn_sim.runs.progress import Report


def plan(**run: object) -> Plan:
    """Return a small plan; ``run`` overrides fields of its RunPlan."""
    options = {"horizon_s": 4000.0, "warmup_s": 400.0, "replications": 3, "seed": 7, **run}
    return Plan(
        name="fake", title="Fake", question="Does the machinery hold?", network=NetworkPlan((), ()), nodes=(),
        services=(), parties=(), assets=(),
        classes=(ClassPlan("urgent", 0, deadline_s=8.0), ClassPlan("bulk", 1)),
        streams=(
            StreamPlan(
                "s", "bulk", ArrivalPlan("poisson", rate=0.5), SelectorPlan(("c",)), SelectorPlan(("a",)),
                constant(1.0), (),
            ),
        ),
        policies={"queueing": PolicyPlan("queueing", "fifo", {"speed": 1.0})}, faults=(),
        objectives=(ObjectivePlan("order_to_result", 30.0, None, 0.9),),
        run=RunPlan(**options),  # type: ignore[arg-type]
        scenario_hash="abc123",
    )  # fmt: skip


def simulate(plan: Plan, replication: int, progress: Report | None) -> dict[str, pa.Table]:
    """Return the tables of a single-server queue with two classes (FIFO)."""
    streams = Streams(plan.run.seed, replication)
    speed = float(plan.policies["queueing"].options.get("speed", 1.0))
    arrivals = streams.get("arrivals")
    n = int(plan.run.horizon_s * 0.5)
    at = np.cumsum(arrivals.exponential(2.0, n))
    at = at[at < plan.run.horizon_s]
    n = len(at)
    service = streams.get("service").exponential(1.4, n) / speed
    urgent = streams.get("class").random(n) < 0.3
    end = np.zeros(n)
    free = 0.0
    for i in range(n):
        free = max(free, at[i]) + service[i]
        end[i] = free
        if progress is not None and i % 500 == 0:
            progress(float(at[i] / plan.run.horizon_s), i)
    cls = np.where(urgent, "urgent", "bulk")
    order = np.arange(n)
    rejected = order % 50 == 49
    deadline = np.where(urgent, at + 8.0, np.nan)
    state = np.where(rejected, "rejected", "completed")
    text = lambda value, k=n: pa.array([value] * k, pa.string())  # noqa: E731
    orders = pa.table(
        {
            "order": order, "stream": text("s"), "cls": pa.array(cls.tolist()), "arrived_s": at,
            "consumer": text("c"), "providers": text("p"), "assets": text("a"), "channel": text("privacy"),
            "exchange": text(""), "level": np.full(n, 2), "state": pa.array(state.tolist()),
            "reason": pa.array(np.where(rejected, "capacity.node", "").tolist()), "ended_s": end,
            "deadline_s": deadline,
        }
    )  # fmt: skip
    ok = ~rejected
    m = int(ok.sum())
    zero, span = np.zeros(m), (end - at)[ok]
    wait = span - service[ok]
    deliveries = pa.table(
        {
            "order": order[ok], "stream": text("s", m), "cls": pa.array(cls[ok].tolist()),
            "engine": text("psi.ecdh", m), "channel": text("privacy", m), "arrived_s": at[ok],
            "completed_s": end[ok], "order_to_result_s": span, "order_to_open_s": zero + np.nan,
            "trade_to_settle_s": zero + np.nan, "job_time_s": service[ok], "queue_s": wait,
            "bytes_wire": zero + 10.0, "bytes_payload": zero + 9.0, "core_s": service[ok],
            "raw_exposed": zero,
            "result_bytes": zero + 1.0, "cost_cny": service[ok] * 0.1, "bill_cny": zero + 1.0,
            "attempts": np.ones(m, dtype=np.int64),
            "slo_hit": pa.array((end[ok] <= np.nan_to_num(deadline[ok], nan=np.inf)).tolist()),
            "state": text("completed", m), "reason": text("", m), "consumer_site": text("x", m),
            "provider_site": text("y", m), "run_site": text("", m),
        }
    )  # fmt: skip
    phases = pa.table(
        {
            "order": order[ok], "cls": pa.array(cls[ok].tolist()), "phase": text("run", m), "start_s": at[ok],
            "end_s": end[ok], "wait_s": wait, "node": text("n", m), "detail": text("", m),
        }
    )  # fmt: skip
    busy = float(service.sum() / max(end[-1], 1.0))
    nodes = pa.table(
        {
            "node": ["n"], "role": ["dsn"], "site": ["y"], "size": ["8C16G"], "cores": [8.0],
            "util_busy": [busy], "util_reserved": [busy], "idle_reserved_core_s": [0.0],
            "core_s": [float(service.sum())], "jobs": [m],
            "memory_peak_bytes": [1e9], "down_s": [0.0], "cold_starts": [1], "warm_starts": [m - 1],
            "queue_mean": [0.0], "cost_cny": [1.0], "busy_15min": [busy], "reserved_15min": [busy],
        }
    )  # fmt: skip
    return {"orders": orders, "deliveries": deliveries, "phases": phases, "nodes": nodes}


def failing(plan: Plan, replication: int, progress: Report | None) -> dict[str, pa.Table]:
    """Fail in replication 1 only."""
    if replication == 1:
        raise ValueError("replication one is unlucky")
    return simulate(plan, replication, progress)


def all_failing(plan: Plan, replication: int, progress: Report | None) -> dict[str, pa.Table]:
    """Fail always."""
    raise ZeroDivisionError("no")


def dying(plan: Plan, replication: int, progress: Report | None) -> dict[str, pa.Table]:
    """Kill the own process in replication 1."""
    if replication == 1:
        os._exit(9)
    return simulate(plan, replication, progress)


def slow(plan: Plan, replication: int, progress: Report | None) -> dict[str, pa.Table]:
    """Take a while from replication 1 on."""
    if replication >= 1:
        time.sleep(float(os.environ.get("FAKE_SLEEP_S", "0")))
    return simulate(plan, replication, progress)


def counting(plan: Plan, replication: int, progress: Report | None) -> dict[str, pa.Table]:
    """Leave a mark for each replication computed."""
    (Path(os.environ["FAKE_COUNT"]) / f"{replication}").touch()
    return simulate(plan, replication, progress)


def interrupting(plan: Plan, replication: int, progress: Report | None) -> dict[str, pa.Table]:
    """Behave like Ctrl-C in replication 1."""
    if replication == 1:
        raise KeyboardInterrupt
    return simulate(plan, replication, progress)
