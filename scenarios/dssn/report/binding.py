"""The binding resource: what deliveries waited for most.

Lost time per completed order is counted for three kinds of resource: control-plane services (waiting in
their queues), nodes (waiting for co-allocation) and links (transfer time beyond that of the idle path).
The largest binds, unless waiting as a whole is a small part of the way from order to result.

A mean over a run hides its peak. So the same is counted for every quarter of an hour, and nodes and links that were
nearly full in their busiest one are named, whatever binds over the whole run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dssn.report.charts.utilisation import busiest
from dssn.report.findings.base import clock
from dssn.report.numbers import show

if TYPE_CHECKING:
    import pandas as pd

    from dssn.report.data import RunData

__all__ = ["Binding", "find_binding", "waiting"]

#: Below this share of order-to-result, waiting binds nothing.
THRESHOLD = 0.05
#: From this use on in its busiest quarter of an hour, a node or link is nearly full.
FULL = 0.9
#: Orders that a quarter of an hour needs to be judged, all replications together.
LEAST = 20
_WINDOW_S = 900.0


@dataclass(frozen=True, slots=True)
class Binding:
    """The binding resource and why.

    Attributes
    ----------
    kind : str
        ``service`` ``node`` ``link`` or ``none``.
    name : str
        The resource; '' for none.
    lost_s : dict
        Lost time per order (s) by kind.
    sentence : str
        For the report.
    """

    kind: str
    name: str
    lost_s: dict[str, float]
    sentence: str


def find_binding(data: RunData) -> Binding:
    """Return what deliveries waited for most."""
    return data.once(_find_binding)


def _find_binding(data: RunData) -> Binding:
    orders = data.after_warmup("orders")
    done = data.completed
    if done.empty:
        return Binding(
            "none",
            "",
            {},
            "No delivery was completed after the warm-up, so no resource can be named as binding.",
        )
    count = max(len(orders), 1)
    services, top_service, part_service = _services(data, count)
    nodes, top_node, part_node = _nodes(data, count * data.detail)
    links, top_link, part_link = _links(data, count * data.detail)
    lost = {"service": services, "node": nodes, "link": links}
    parts = {"service": part_service, "node": part_node, "link": part_link}
    names = {"service": top_service, "node": top_node, "link": top_link}
    kind = max(lost, key=lambda k: lost[k])
    mean = float(done["order_to_result_s"].mean())
    if mean <= 0 or lost[kind] < THRESHOLD * mean:
        share = show(sum(lost.values()) / mean if mean > 0 else 0.0, "share", 2)
        return Binding(
            "none", "", lost,
            f"No resource binds over the whole run: orders waited {share} of the time from order to result; {_highest(data)}"
            f"{_worst_window(data)}{_nearly_full(data)}{_queued(data, nodes)}",
        )  # fmt: skip
    words = {
        "service": "control-plane services",
        "node": "free cores and memory on nodes",
        "link": "bandwidth",
    }
    where = f"{names[kind]} ({show(parts[kind], 'share', 2)} of it)"
    where = (
        f"spread over many {_PLURAL[kind]}, most on {where}" if parts[kind] < 0.1 else f"above all {where}"
    )
    text = (
        f"The binding resource is {words[kind]}, {where}: per order {show(lost[kind], 's')} were lost waiting for it "
        f"({show(lost[kind] / mean, 'share', 2)} of the mean time from order to result"
        + (", more than all of it because transfers wait side by side)" if lost[kind] > mean else ")")
    )
    others = [f"{show(lost[k], 's')} for {_PLURAL[k]}" for k in lost if k != kind]
    return Binding(
        kind,
        names[kind],
        lost,
        f"{text}; against {' and '.join(others)}. {_use(data, kind, names[kind])}".strip()
        + _nearly_full(data, names[kind]),
    )


_PLURAL = {"service": "services", "node": "nodes", "link": "links"}


def _top(values: pd.Series[float]) -> float:
    """Return the largest value as a share of the sum."""
    total = float(values.sum())
    return float(values.max()) / total if total > 0 else 0.0


def _services(data: RunData, count: int) -> tuple[float, str, float]:
    frame = data.table("services")
    if frame.empty:
        return 0.0, "", 0.0
    waited = (frame["calls"] * frame["wait_mean_s"].fillna(0.0)).groupby(frame["service"]).sum()
    return float(waited.sum()) / count, str(waited.idxmax()), _top(waited)


def _nodes(data: RunData, count: float) -> tuple[float, str, float]:
    phases = data.after_warmup("phases", "start_s")
    waited = float(phases.loc[phases["phase"] == "coallocate", "wait_s"].sum())
    nodes = data.table("nodes")
    if nodes.empty:
        return waited / count, "", 0.0
    queue = nodes.groupby("node")["queue_mean"].mean()
    name = (
        str(queue.idxmax())
        if float(queue.max()) > 0
        else str(nodes.groupby("node")["util_reserved"].mean().idxmax())
    )
    return waited / count, name, _top(queue)


def _links(data: RunData, count: float) -> tuple[float, str, float]:
    flows = data.after_warmup("flows", "start_s")
    if flows.empty:
        return 0.0, "", 0.0
    slow = (flows["end_s"] - flows["start_s"] - flows["ideal_s"]).clip(lower=0.0)
    slow = slow.where(np.isfinite(slow), 0.0)
    by_link = slow.groupby(flows["bottleneck"]).sum()
    return float(slow.sum()) / count, str(by_link.idxmax()), _top(by_link)


def _use(data: RunData, kind: str, name: str) -> str:
    frame = busiest(data, _PLURAL[kind])
    own = frame["id"].str.rsplit(" ", n=1).str[0] if kind == "link" else frame["id"]
    rows = frame[own == name] if len(frame) else frame
    if rows.empty:
        return ""
    row = rows.iloc[0]
    text = f"On average {row['id']} was busy {show(float(row['mean']), 'share')} of the time"
    if kind == "node":
        text += f" and held by jobs {show(float(row['extra']), 'share')}"
    if np.isfinite(row["peak"]):
        text += f", in its busiest quarter of an hour {show(float(row['peak']), 'share')}"
    return text + "."


def _worst_window(data: RunData) -> str:
    """Name the quarter of an hour in which orders lost most of their time waiting, if that was much."""
    lost = waiting(data)
    if lost.empty:
        return ""
    values = lost.to_numpy(float)
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    share, start = float(values[row, column]), float(lost.index.to_numpy(float)[row])
    if share < 2 * THRESHOLD:
        return ""
    what = ("free cores and memory on nodes", "bandwidth")[int(column)]
    begin, end = clock(start * _WINDOW_S), clock((start + 1) * _WINDOW_S)
    more = "more than all" if share > 1 else show(share, "share", 2)
    return f" But from {begin} to {end} orders lost {more} of that time waiting for {what}."


def waiting(data: RunData) -> pd.DataFrame:
    """Return what the orders of each quarter of an hour lost waiting, as a share of their mean time.

    Returns
    -------
    DataFrame
        Index: number of the quarter; columns ``node`` and ``link``. Orders count where they arrived.
    """
    done = data.completed
    keys = ["replication", "order"]
    slots = done[[*keys, "order_to_result_s"]].assign(slot=done["arrived_s"] // _WINDOW_S)
    phases, flows = data.table("phases"), data.table("flows")
    held = phases[phases["phase"] == "coallocate"].groupby(keys)["wait_s"].sum().rename("node")
    slow = (flows["end_s"] - flows["start_s"] - flows["ideal_s"]).clip(lower=0.0)
    slow = slow.where(np.isfinite(slow), 0.0).groupby([flows[k] for k in keys]).sum().rename("link")
    if data.detail < 1:  # of the other orders it is not known
        slots = slots.merge(phases[keys].drop_duplicates(), on=keys)
    lost = slots.join(held, on=keys).join(slow, on=keys).fillna({"node": 0.0, "link": 0.0})
    by_slot = lost.groupby("slot")
    sums = by_slot[["node", "link", "order_to_result_s"]].sum()[by_slot.size() >= LEAST]
    return sums[["node", "link"]].div(sums["order_to_result_s"], axis=0)


def _nearly_full(data: RunData, but: str = "") -> str:
    """Name the nodes and links that were nearly full in their busiest quarter of an hour."""
    found = []
    busy = _executing(data)
    for table in ("nodes", "links"):
        frame = busiest(data, table)
        full = frame[frame["peak"] >= FULL].sort_values(["peak", "id"], ascending=[False, True])
        rows = (
            full[full["id"].str.rsplit(" ", n=1).str[0] != but]
            if table == "links"
            else full[full["id"] != but]
        )
        names = [
            f"{r['id']} ({show(float(r['peak']), 'share', 2)}{busy.get(str(r['id']), '')})"
            for _, r in rows.head(3).iterrows()
        ]
        if names:
            more = f" and {len(rows) - 3} more" if len(rows) > 3 else ""
            found.append(", ".join(names) + more)
    return f" Nearly full in their busiest quarter of an hour: {'; '.join(found)}." if found else ""


def _executing(data: RunData) -> dict[str, str]:
    """Return in words what the peak of each node was: cores held by jobs, or cores that executed."""
    nodes = data.table("nodes")
    if nodes.empty or "busy_15min" not in nodes:
        return {}
    peaks = nodes.groupby("node")[["busy_15min", "reserved_15min"]].mean()
    return {
        str(node): f" held by jobs, {show(busy, 'share', 2)} executing" if held > busy else " executing"
        for node, busy, held in zip(peaks.index, *peaks.to_numpy(float).T, strict=True)
    }


def _queued(data: RunData, waited_s: float) -> str:
    """Say what nearly full nodes meant for orders, if waiting for them did not bind."""
    frame = busiest(data, "nodes")
    full = frame[frame["peak"] >= FULL]
    if full.empty:
        return ""
    text = f" Orders queued little for nodes: {show(waited_s, 's')} each."
    if (full["extra"] == 0).any():  # cores are not held there
        text += " On nodes that share their cores among jobs work does not queue but takes longer, which is not counted here."
    return text


def _highest(data: RunData) -> str:
    parts = []
    for table, noun in (("nodes", "node"), ("links", "link"), ("services", "service")):
        frame = busiest(data, table)
        if len(frame):
            parts.append(
                f"the busiest {noun} ({frame.iloc[0]['id']}) was in use {show(float(frame.iloc[0]['mean']), 'share')}"
            )
    return (", ".join(parts) or "utilisation is not recorded") + "."
