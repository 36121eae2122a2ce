"""A made-up run with the real schema: tables drawn from a seed, a small plan, a run folder.

Stands in for the simulator, so that reports are tested without it. ``simulate`` has the signature of a backend.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from dssn_models.dist import constant
from dssn_models.market.states import PHASES
from dssn_models.plan import (
    ArrivalPlan,
    AssetPlan,
    ClassPlan,
    FaultPlan,
    JobStepPlan,
    LinkPlan,
    NetworkPlan,
    NodePlan,
    ObjectivePlan,
    OperationPlan,
    Plan,
    PolicyPlan,
    RunPlan,
    SelectorPlan,
    ServicePlan,
    SitePlan,
    StreamPlan,
)
from dssn_models.results import TABLES

CITIES = (
    ("beijing", 39.9, 116.4), ("shanghai", 31.2, 121.5), ("guangzhou", 23.1, 113.3), ("chengdu", 30.7, 104.1),
    ("xian", 34.3, 108.9), ("wuhan", 30.6, 114.3), ("guiyang", 26.6, 106.7), ("hohhot", 40.8, 111.7),
)  # fmt: skip
CLASSES = (("urgent", 0), ("standard", 1), ("bulk", 2))
ENGINES = {"urgent": "tee.job", "standard": "psi.ecdh", "bulk": "api.query"}
MEAN_S = {"urgent": 40.0, "standard": 300.0, "bulk": 6.0}


def make_plan(
    *, geographic: bool = True, replications: int = 3, horizon_s: float = 14400.0, faults: bool = True
) -> Plan:
    sites = tuple(SitePlan(name, lat, lon) if geographic else SitePlan(name) for name, lat, lon in CITIES)
    pairs = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (5, 1), (5, 3), (6, 2), (6, 3), (7, 0), (7, 4)]
    links = [
        LinkPlan(i, f"{CITIES[a][0]}-{CITIES[b][0]}", CITIES[a][0], CITIES[b][0], "otn", 1e11, 1e11, 5e-3)
        for i, (a, b) in enumerate(pairs)
    ]
    nodes = tuple(
        NodePlan(f"{role}{i}", role, CITIES[i][0], "carrier", size="16C32G", cores=16.0)
        for i in range(len(CITIES))
        for role in ("dsn", "drn")
    )
    links += [
        LinkPlan(len(links) + i, f"access-{n.id}", n.id, n.site, "pon", 1e9, 1e9, 1e-3, access=True)
        for i, n in enumerate(nodes)
    ]
    operations = {
        "catalogue": OperationPlan(constant(0.02), source="guess for tests"),
        "plan": OperationPlan(constant(0.1)),
    }
    streams = tuple(
        StreamPlan(
            cls, cls, ArrivalPlan("poisson", rate=0.01), SelectorPlan(("drn0",)), SelectorPlan(("calls",)),
            constant(1.0), (JobStepPlan("run", ENGINES[cls]),),
        )
        for cls, _ in CLASSES
    )  # fmt: skip
    return Plan(
        name="fake",
        title="A made-up run <with> awkward & characters",
        question="Does the report show what the tables hold?",
        network=NetworkPlan(sites, tuple(links)),
        nodes=nodes,
        services=(ServicePlan("dsp1", "dsp.access", "beijing", 2, operations),),
        parties=(),
        assets=(AssetPlan("calls", "dsn0"),),
        classes=tuple(ClassPlan(c, p) for c, p in CLASSES),
        streams=streams,
        policies={"placement": PolicyPlan("placement", "nearest")},
        faults=(FaultPlan("link_down", "beijing-shanghai", 7200.0, 1200.0, label="trunk cut"),)
        if faults
        else (),
        objectives=(
            ObjectivePlan("order_to_result", 3600.0, "standard", 0.95),
            ObjectivePlan("order_to_result", 10.0, "urgent", 0.95),
            ObjectivePlan("completed_share", 0.5, None, None, "min"),
        ),
        run=RunPlan(horizon_s, warmup_s=1800.0, replications=replications, seed=7),
        assumptions=(("row size", "256 B", "typical record"),),
        scenario_hash="ab" * 32,
    )


class Tables:
    """Collects rows by table and turns them into Arrow."""

    def __init__(self, replication: int) -> None:
        self.replication = replication
        self.rows: dict[str, list[dict[str, object]]] = {name: [] for name in TABLES}

    def add(self, table: str, **row: object) -> None:
        self.rows[table].append(row)

    def arrow(self) -> dict[str, pa.Table]:
        types = {"int64": pa.int64(), "float64": pa.float64(), "string": pa.string(), "bool": pa.bool_()}
        blank = {"int64": 0, "float64": float("nan"), "string": "", "bool": False}
        found = {}
        for name, table in TABLES.items():
            rows = self.rows[name]
            columns = {"replication": pa.array([self.replication] * len(rows), pa.int64())}
            for c in table.columns:
                columns[c.name] = pa.array([r.get(c.name, blank[c.type]) for r in rows], types[c.type])
            found[name] = pa.table(columns)
        return found


def simulate(
    plan: Plan, replication: int, progress: object = None, *, orders: int = 400
) -> dict[str, pa.Table]:
    """Return tables of one replication: plausible times, some refusals, a fault's failures."""
    rng = np.random.default_rng([plan.run.seed, replication])
    tables = Tables(replication)
    arrived = np.sort(rng.uniform(0, plan.run.horizon_s, orders))
    for i, at in enumerate(arrived):
        _order(tables, plan, rng, i, float(at))
    for link in plan.network.links:
        for direction in ("ab", "ba"):
            util = float(rng.beta(1.2, 6))
            tables.add(
                "links", link=link.id, direction=direction, technology=link.technology, capacity_bps=link.rate_ab_bps,
                mean_util=util, peak_util=min(1.0, util * 2), bytes=util * link.rate_ab_bps * 100, down_s=0.0, reserved_mean=0.0,
            )  # fmt: skip
    for node in plan.nodes:
        busy = float(rng.beta(2, 4))
        tables.add(
            "nodes", node=node.id, role=node.role, site=node.site, size=node.size, cores=node.cores, util_busy=busy,
            util_reserved=min(1.0, busy * 1.5), core_s=1e4 * busy, jobs=10, queue_mean=busy * 3, cold_starts=1, warm_starts=9,
        )  # fmt: skip
    tables.add(
        "services", service="dsp1", kind="dsp.access", site="beijing", servers=2, calls=orders, util=0.1,
        wait_mean_s=0.01, wait_p99_s=0.2,
    )  # fmt: skip
    return tables.arrow()


def _order(tables: Tables, plan: Plan, rng: np.random.Generator, i: int, at: float) -> None:
    cls = CLASSES[i % 3][0]
    common = {"order": i, "stream": cls, "cls": cls}
    common_order = {
        **common,
        "arrived_s": at,
        "consumer": "drn0",
        "providers": "dsn0",
        "assets": "calls",
        "channel": "privacy",
    }
    draw = rng.random()
    if draw < 0.06:
        reason = "compliance.level" if draw < 0.04 else "capacity.network"
        tables.add("orders", **common_order, state="rejected", reason=reason, ended_s=at + 1)
        tables.add("refusals", at_s=at + 1, **common, phase="review", reason=reason)
        return
    faulty = any(f.at_s <= at <= f.at_s + f.duration_s for f in plan.faults)
    length = float(rng.lognormal(np.log(MEAN_S[cls]), 0.6)) * (3.0 if faulty else 1.0)
    failed = faulty and draw < 0.3
    state, reason = ("failed", "fault.link") if failed else ("completed", "")
    tables.add("orders", **common_order, state=state, reason=reason, ended_s=at + length)
    if failed:
        tables.add("refusals", at_s=at + length, **common, phase="run", reason=reason)
    tables.add(
        "deliveries", **common, engine=ENGINES[cls], channel="privacy", arrived_s=at, completed_s=at + length,
        order_to_result_s=length, job_time_s=length * 0.7, queue_s=length * 0.3, bytes_wire=1e7, bytes_payload=9e6,
        core_s=length, raw_exposed=0.0, cost_cny=length / 100, bill_cny=length / 50, attempts=1, slo_hit=True, state=state,
        reason=reason, trade_to_settle_s=float("nan"), order_to_open_s=1.0,
    )  # fmt: skip
    weights = rng.dirichlet(np.linspace(0.2, 3, len(PHASES)))
    start = at
    for phase, weight in zip(PHASES, weights, strict=True):
        end = start + length * float(weight)
        wait = 0.6 * (end - start) if phase == "coallocate" else 0.0
        tables.add(
            "phases", order=i, cls=cls, phase=phase, start_s=start, end_s=end, wait_s=wait, node="dsn0"
        )
        start = end
    tables.add(
        "flows", order=i, source="dsn0", target="drn0", cls=cls, data="protocol", payload_bytes=9e6, wire_bytes=1e7,
        start_s=at, end_s=at + 2.0, ideal_s=1.5, bottleneck="access-drn0", technology="otn",
    )  # fmt: skip
    if cls == "urgent":
        tables.add(
            "enclaves",
            order=i,
            node="dsn0",
            profile="sgx2",
            bytes=1e8,
            start_s=at,
            end_s=at + 1,
            attest_s=0.05,
        )


def empty(plan: Plan, replication: int, progress: object = None) -> dict[str, pa.Table]:
    """Return a replication in which nothing happened."""
    return Tables(replication).arrow()


def write_run(
    folder: Path, plan: Plan | None = None, backend: str = "fake_run:simulate", **options: object
) -> Path:
    """Write a run folder of made-up tables and return its path."""
    from dssn_sim.runs import run_plan

    used = plan or make_plan()
    run_plan(used, folder, "title: made up\n", workers=1, simulate=backend, **options)
    return folder
