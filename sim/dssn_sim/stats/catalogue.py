"""From the tables of one replication to its KPI values.

Each function reads one or two tables and adds to the :class:`~dssn_sim.stats.measures.Measures`;
a table that was not kept leaves its KPIs out, it never gives a zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dssn_models.market.reasons import REFUSED
from dssn_sim.stats.facts import RunFacts
from dssn_sim.stats.measures import Measures
from dssn_sim.stats.rows import Rows
from dssn_sim.stats.warmup import cut

__all__ = ["PRIVATE_CHANNELS", "TABLES_READ", "measure"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Channels in which raw data must not leave its owner.
PRIVATE_CHANNELS: Final = ("privacy", "tee")

#: Windows of the throughput.
_WINDOWS: Final = 20


def measure(tables: Mapping[str, pa.Table], replication: int, facts: RunFacts) -> Measures:
    """Return the KPI values of one replication, after the warm-up cut.

    Parameters
    ----------
    tables : Mapping
        Tables of one replication, uncut; tables may be missing.
    """
    result = Measures(replication, facts)
    kept = {name: Rows(table) for name, table in cut(tables, facts.warmup_s).items()}
    for reads, add in _STEPS:
        if all(name in kept for name in reads):
            add(result, kept)
    if "deliveries" in tables:
        # Completions count by when they happened, whenever the order arrived.
        _throughput(result, Rows(tables["deliveries"]))
    return result


def _by_class(result: Measures, rows: Rows) -> list[tuple[str, Mask]]:
    """Return (class, mask) for all classes together ('') and for each that occurs."""
    codes, values = rows.codes("cls")
    order = [c for c in result.facts.classes if c in values]
    order += [v for v in values if v not in order]
    masks = [("", np.ones(len(rows), dtype=np.bool_))]
    if len(order) > 1 or len(result.facts.classes) > 1:
        masks += [(cls, np.asarray(codes == values.index(cls))) for cls in order]
    return masks


def _sorted(rows: Rows, column: str) -> Rows:
    """Return the rows in order of a time column, so that batches are neighbours in time."""
    time = rows.number(column)
    if len(time) < 2 or bool(np.all(time[1:] >= time[:-1])):
        return rows
    return Rows(rows.table.take(pa.array(np.argsort(time, kind="stable"))))


def _orders(result: Measures, tables: Mapping[str, Rows]) -> None:
    orders = _sorted(tables["orders"], "arrived_s")
    completed = orders.equals("state", "completed")
    masks = _by_class(result, orders)
    for cls, mask in masks:
        result.number("orders_total", "count", mask.sum(), n=int(mask.sum()), cls=cls)
    for cls, mask in masks:
        result.share("completed_share", completed[mask], cls=cls)
    codes, reasons = orders.codes("reason")
    has = codes != reasons.index("") if "" in reasons else np.ones(len(orders), dtype=np.bool_)
    refused = orders.equals("state", "rejected")
    failed = has & ~completed & ~refused
    for name, total in (("admit_refuse", refused), ("failed_share", failed)):
        for cls, mask in masks:
            result.share(name, total[mask], cls=cls)
        for i, reason in enumerate(reasons):
            hits = total & (codes == i)
            if reason and hits.any():
                result.share(name, hits, part=reason)
    if refused.any():
        groups = np.array([r.split(".")[0] if r in REFUSED else "" for r in reasons], dtype=object)
        for group in sorted({str(g) for g in groups if g}):
            hits = refused & np.isin(codes, np.flatnonzero(groups == group))
            if hits.any():
                result.share("admit_refuse", hits, part=f"{group}.*")


def _deliveries(result: Measures, tables: Mapping[str, Rows]) -> None:
    rows = _sorted(tables["deliveries"], "arrived_s")
    completed = rows.equals("state", "completed")
    done = rows.where(completed)
    masks = _by_class(result, done)
    for name, column in (
        ("order_to_result", "order_to_result_s"),
        ("order_to_open", "order_to_open_s"),
        ("trade_to_settle", "trade_to_settle_s"),
        ("queue_time", "queue_s"),
    ):
        values = done.number(column)
        for cls, mask in masks:
            result.mean(name, values[mask], cls=cls)
    job = done.number("job_time_s")
    for cls, mask in masks:
        result.mean("job_time", job[mask], cls=cls)
    codes, engines = done.codes("engine")
    for i, engine in enumerate(engines):
        if engine:
            result.mean("job_time", job[codes == i], part=engine)
    cost, bill = done.number("cost_cny"), done.number("bill_cny")
    for cls, mask in masks:
        result.mean("unit_cost", cost[mask], cls=cls)
    for cls, mask in masks:
        result.mean("unit_bill", bill[mask], cls=cls)
    raw = rows.number("raw_exposed")
    private = np.zeros(len(rows), dtype=np.bool_)
    for channel in PRIVATE_CHANNELS:
        private |= rows.equals("channel", channel)
    for part, mask in (("privacy and tee", private), ("other channels", ~private)):
        result.number("raw_exposed", "sum", np.nansum(raw[mask]), n=int(mask.sum()), part=part)


def _slo(result: Measures, tables: Mapping[str, Rows]) -> None:
    orders = tables["orders"]
    deadline = np.isfinite(orders.number("deadline_s"))
    if not deadline.any():
        return
    rows = _sorted(tables["deliveries"], "arrived_s")
    with_deadline = np.isin(rows.integer("order"), orders.integer("order")[deadline])
    rows = rows.where(with_deadline)
    hit = np.asarray(rows.table.column("slo_hit").to_numpy(zero_copy_only=False), dtype=np.bool_)
    hit = hit & rows.equals("state", "completed")
    for cls, mask in _by_class(result, rows):
        result.share("slo_hit", hit[mask], cls=cls)


def _throughput(result: Measures, rows: Rows) -> None:
    facts = result.facts
    span = facts.horizon_s - facts.warmup_s
    if span <= 0:
        return
    done = rows.where(rows.equals("state", "completed"))
    at = done.number("completed_s")
    inside = (at >= facts.warmup_s) & (at <= facts.horizon_s)
    edges = np.linspace(facts.warmup_s, facts.horizon_s, _WINDOWS + 1)
    per = 3600.0 * _WINDOWS / span
    for cls, mask in _by_class(result, done):
        counts = np.histogram(at[inside & mask], edges)[0].astype(np.float64)
        result.rate("throughput", counts, per, cls=cls)


def _phases(result: Measures, tables: Mapping[str, Rows]) -> None:
    rows = tables["phases"]
    if len(rows) == 0:
        return
    order, (codes, phases) = rows.integer("order"), rows.codes("phase")
    start = rows.number("start_s")
    span, wait = rows.number("end_s") - start, rows.number("wait_s")
    for i, phase in enumerate(phases):
        here = np.flatnonzero(codes == i)
        # An order may enter a phase more than once (steps of a chain, retries): its times add up.
        numbers, first, where = np.unique(order[here], return_index=True, return_inverse=True)
        by_time = np.argsort(start[here][first], kind="stable")
        for name, values in (("phase_time", span[here]), ("phase_wait", wait[here])):
            totals = np.bincount(where, weights=values, minlength=len(numbers)).astype(np.float64)
            result.mean(name, totals[by_time], part=phase)


def _flows(result: Measures, tables: Mapping[str, Rows]) -> None:
    rows = tables["flows"]
    codes, classes = rows.codes("data")
    wire = rows.number("wire_bytes")
    for name in dict.fromkeys(("control", "protocol", "result", "raw", "image", *classes)):
        mask = codes == classes.index(name) if name in classes else np.zeros(len(rows), dtype=np.bool_)
        total = np.nansum(wire[mask]) / result.facts.detail
        result.number("bytes", "sum", total, n=int(mask.sum()), part=name)


def _nodes(result: Measures, tables: Mapping[str, Rows]) -> None:
    rows = tables["nodes"]
    if len(rows) == 0:
        return
    for part, column in (("nodes busy", "util_busy"), ("nodes held", "util_reserved")):
        _utilisation(result, part, rows.number(column))
    for part, column in (
        ("nodes busy, busiest 15 min", "busy_15min"),
        ("nodes held, busiest 15 min", "reserved_15min"),
    ):
        if column in rows.table.column_names:  # runs of an older version do not have it
            _utilisation(result, part, rows.number(column))
    cold, warm = float(np.nansum(rows.number("cold_starts"))), float(np.nansum(rows.number("warm_starts")))
    result.number("cold_starts", "count", cold, n=len(rows))
    if cold + warm > 0:
        result.number("cache_hit", "share", warm / (cold + warm), n=int(cold + warm))


def _links(result: Measures, tables: Mapping[str, Rows]) -> None:
    if len(tables["links"]):
        _utilisation(result, "links", tables["links"].number("mean_util"))
        if "util_15min" in tables["links"].table.column_names:
            _utilisation(result, "links, busiest 15 min", tables["links"].number("util_15min"))


def _services(result: Measures, tables: Mapping[str, Rows]) -> None:
    if len(tables["services"]):
        _utilisation(result, "services", tables["services"].number("util"))


def _utilisation(result: Measures, part: str, values: Floats) -> None:
    values = values[np.isfinite(values)]
    if len(values):
        result.number("util", "mean", values.mean(), n=len(values), part=part)
        result.number("util", "max", values.max(), n=len(values), part=part)


def _channels(result: Measures, tables: Mapping[str, Rows]) -> None:
    rows = _sorted(tables["channels"], "opened_s")
    result.mean("channel_setup", rows.number("setup_s"))
    leaked = int(np.isnan(rows.number("closed_s")).sum())
    if "slices" in tables:
        leaked += int(np.isnan(tables["slices"].number("closed_s")).sum())
    result.number("channel_leak", "count", leaked, n=len(rows))


def _enclaves(result: Measures, tables: Mapping[str, Rows]) -> None:
    rows = _sorted(tables["enclaves"], "start_s")
    result.mean("attest_time", rows.number("attest_s"))


def _evidence(result: Measures, tables: Mapping[str, Rows]) -> None:
    rows = _sorted(tables["evidence"], "at_s")
    result.mean("evidence_lag", rows.number("final_s") - rows.number("at_s"))


def _bills(result: Measures, tables: Mapping[str, Rows]) -> None:
    rows = tables["bills"]
    amount = rows.number("amount_cny")
    for role in rows.values("role"):
        mask = rows.equals("role", role)
        total = np.nansum(amount[mask]) / result.facts.detail
        result.number("bill_total", "sum", total, n=int(mask.sum()), part=role)


_Step = Callable[[Measures, Mapping[str, Rows]], None]
_STEPS: Final[tuple[tuple[tuple[str, ...], _Step], ...]] = (
    (("orders",), _orders),
    (("deliveries",), _deliveries),
    (("orders", "deliveries"), _slo),
    (("phases",), _phases),
    (("nodes",), _nodes),
    (("links",), _links),
    (("services",), _services),
    (("flows",), _flows),
    (("channels",), _channels),
    (("enclaves",), _enclaves),
    (("evidence",), _evidence),
    (("bills",), _bills),
)

#: What :func:`measure` and the rest of the summary read: table -> columns (empty: all); nothing else is loaded.
TABLES_READ: Final[dict[str, tuple[str, ...]]] = {
    "orders": ("order", "cls", "arrived_s", "state", "reason", "deadline_s"),
    "deliveries": (
        "order", "cls", "engine", "channel", "arrived_s", "completed_s", "order_to_result_s", "order_to_open_s",
        "trade_to_settle_s", "job_time_s", "queue_s", "raw_exposed", "cost_cny", "bill_cny", "slo_hit", "state",
    ),
    "phases": ("order", "phase", "start_s", "end_s", "wait_s"),
    "nodes": (), "links": (), "services": (),
    "flows": ("order", "data", "wire_bytes", "start_s"),
    "channels": ("opened_s", "closed_s", "setup_s"),
    "enclaves": ("order", "start_s", "attest_s"),
    "evidence": ("order", "at_s", "final_s"),
    "bills": ("order", "role", "amount_cny"),
    "slices": ("order", "opened_s", "closed_s"),
}  # fmt: skip
