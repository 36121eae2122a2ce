"""What a fault or a surge did: the backlog it left, when it was gone, and what the orders in between lost.

The **backlog** is the number of orders under way. A window slides over the run; the *level before* is the largest
mean of a window between the start of the comparison and the event. Service is **back to normal** at the first
window after the event's end whose mean is at most that level. Groups whose orders usually take longer than a
window are left out of the backlog of all: their number drifts by itself.

Orders are **touched** by the event if they were under way during it; those that arrived and ended in the time
of comparison before it are what they are held against.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from dssn.report.findings.base import (
    Finding,
    Grid,
    clock,
    described,
    group_of,
    mean_text,
    mentions,
    quantile_of,
    question,
    share_of,
    told,
)
from dssn.report.numbers import show

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from dssn.report.data import RunData
    from dssn_models.plan import Plan

    Floats = NDArray[np.float64]

__all__ = ["Event", "EventView", "events", "finding"]

#: A window is at most this long (s).
_WINDOW_S: Final = 600.0
#: Windows that the time before an event must hold at least.
_WINDOWS_BEFORE: Final = 4
_SHOWN: Final = 2
#: Orders that a group must have before and during an event to be named in a sentence.
_LEAST: Final = 40
_WHAT: Final = {
    "link_down": "cut of link",
    "node_down": "loss of node",
    "site_down": "loss of",
    "service_down": "outage of service",
    "link_slow": "slowdown of link",
    "certificate_revoked": "revocation of the certificate of",
}


@dataclass(frozen=True, slots=True)
class Event:
    """A stretch of the run in which something is not as usual.

    Attributes
    ----------
    kind : str
        ``fault`` or ``surge``.
    label : str
        In words, to stand behind "the".
    start_s, end_s : float
        When, s since the start.
    """

    kind: str
    label: str
    start_s: float
    end_s: float


def events(plan: Plan) -> list[Event]:
    """Return faults and surges of a plan in order of time, those that overlap as one."""
    horizon = plan.run.horizon_s
    found = [
        Event("fault", f"{_WHAT[f.kind]} {f.target}", f.at_s, min(f.at_s + f.duration_s, horizon))
        for f in plan.faults
        if f.at_s < horizon
    ]
    merged = _merged(found)
    surges = [
        Event("surge", f"surge of {s.id.split('.')[0]} × {factor:g}", at, min(at + duration, horizon))
        for s in plan.streams
        if s.arrivals.kind == "bursts"
        for at, duration, factor in s.arrivals.windows
        if factor > 1 and at < horizon
    ]
    return sorted(merged + _merged(surges), key=lambda e: (e.start_s, e.kind))


def _merged(found: Sequence[Event]) -> list[Event]:
    result: list[Event] = []
    for event in sorted(found, key=lambda e: (e.start_s, e.end_s, e.label)):
        last = result[-1] if result else None
        if last is None or event.start_s >= last.end_s:
            result.append(event)
            continue
        label = last.label if event.label in last.label.split(" and ") else f"{last.label} and {event.label}"
        result[-1] = Event(last.kind, label, last.start_s, max(last.end_s, event.end_s))
    return result


class EventView:
    """The orders around one event.

    Parameters
    ----------
    data : RunData
        The run.
    event : Event
        The event.
    """

    def __init__(self, data: RunData, event: Event) -> None:
        self.data = data
        self.event = event
        others = [e.end_s for e in events(data.plan) if e.end_s <= event.start_s] if data.plan else []
        length = event.end_s - event.start_s
        self.before_s = max([data.warmup_s, event.start_s - max(length, 3600.0), *others])
        span = event.start_s - self.before_s
        self.window_s = min(_WINDOW_S, length / _WINDOWS_BEFORE, span / _WINDOWS_BEFORE)
        #: Whether there is a time before to compare with, and orders in it.
        self.comparable = self.window_s > 0 and len(self.before) > 0

    @cached_property
    def orders(self) -> pd.DataFrame:
        """All orders with ``group ended lost late time_s``."""
        orders = self.data.table("orders")
        done = self.data.table("deliveries")[["replication", "order", "order_to_result_s"]]
        frame = orders.merge(done, on=["replication", "order"], how="left")
        ended = frame["ended_s"].fillna(math.inf)
        finished = frame["state"] == "completed"
        time = frame["order_to_result_s"].where(finished)
        bounds = {
            o.cls: o.bound
            for o in self.data.objectives
            if o.kpi == "order_to_result" and o.direction == "max"
        }
        bound = frame["cls"].map(bounds).fillna(bounds.get(None, math.nan)).astype(float)
        bound = bound.fillna(frame["deadline_s"] - frame["arrived_s"])
        return frame.assign(
            group=group_of(self.data)(frame), ended=ended, lost=~finished, late=time > bound, time_s=time
        )

    @cached_property
    def groups(self) -> list[str]:
        """Groups that have touched orders: classes in their order, or streams by name."""
        seen = set(self.touched["group"]) | set(self.before["group"])
        return [c for c in self.data.classes if c in seen] + sorted(seen - set(self.data.classes))

    @cached_property
    def before(self) -> pd.DataFrame:
        """Orders that arrived and ended before the event, in the time of comparison."""
        o = self.orders
        return o[(o["arrived_s"] >= self.before_s) & (o["ended"] <= self.event.start_s)]

    @cached_property
    def touched(self) -> pd.DataFrame:
        """Orders that were under way during the event."""
        o = self.orders
        after_warmup = o["arrived_s"] >= self.data.warmup_s
        return o[after_warmup & (o["arrived_s"] < self.event.end_s) & (o["ended"] > self.event.start_s)]

    @cached_property
    def quick(self) -> list[str]:
        """Groups whose orders usually take less than a window; all if there is none."""
        median = self.before.groupby("group")["time_s"].median()
        return [g for g in self.groups if median.get(g, math.inf) < self.window_s] or self.groups

    def backlog(self, replication: int, group: str | None = None) -> tuple[Floats, Floats]:
        """Return (window starts, mean orders under way in the window) of one replication."""
        o = self.orders
        mask = o["replication"] == replication
        mask &= o["group"].isin(self.quick) if group is None else o["group"] == group
        step = self.window_s / 10
        at = np.arange(self.before_s, self.data.horizon_s, step)
        began = np.searchsorted(np.sort(o.loc[mask, "arrived_s"].to_numpy(float)), at, side="right")
        ended = np.searchsorted(np.sort(o.loc[mask, "ended"].to_numpy(float)), at, side="right")
        total = np.r_[0.0, np.cumsum((began - ended).astype(float))]
        means = (total[10:] - total[:-10]) / 10
        return at[: len(means)], means

    def level(self, replication: int, group: str | None = None) -> float:
        """Return the largest window mean before the event."""
        at, means = self.backlog(replication, group)
        before = means[at + self.window_s <= self.event.start_s]
        return float(before.max()) if len(before) else math.nan

    def peak(self, replication: int, group: str | None = None) -> float:
        """Return the largest window mean from the event's start on."""
        at, means = self.backlog(replication, group)
        after = means[at >= self.event.start_s]
        return float(after.max()) if len(after) else math.nan

    def recovery_s(self, replication: int, group: str | None = None) -> float:
        """Return the time (s) from the event's end until back to normal; NaN if not within the run."""
        at, means = self.backlog(replication, group)
        normal = (at >= self.event.end_s) & (means <= self.level(replication, group))
        if self.peak(replication, group) <= self.level(replication, group):
            return 0.0
        return float(at[normal][0]) - self.event.end_s if normal.any() else math.nan

    def above_s(self, replication: int) -> float:
        """Return for how long (s) during the event the backlog was above its level before."""
        at, means = self.backlog(replication)
        inside = (at >= self.event.start_s) & (at < self.event.end_s)
        return float((means[inside] > self.level(replication)).sum()) * self.window_s / 10

    def recoveries(self, group: str | None = None) -> list[float]:
        """Return the recovery of each replication."""
        return [self.recovery_s(r, group) for r in self.data.replications]

    def extra_lost(self, group: str | None = None) -> list[float]:
        """Return for each replication the touched orders lost beyond those that the rate before explains."""
        found = []
        for r in self.data.replications:
            parts = [f[f["replication"] == r] for f in (self.touched, self.before)]
            if group is not None:
                parts = [p[p["group"] == group] for p in parts]
            touched, before = parts
            rate = float(before["lost"].mean()) if len(before) else 0.0
            found.append(float(touched["lost"].sum()) - rate * len(touched))
        return found


def finding(data: RunData) -> list[Finding]:
    """Return a finding for each event, the longest ones."""
    if data.plan is None or not len(data.table("orders")):
        return []
    chosen = sorted(events(data.plan), key=lambda e: (e.kind, -(e.end_s - e.start_s)))
    kept: list[Event] = []
    for kind in ("fault", "surge"):
        kept += [e for e in chosen if e.kind == kind][:_SHOWN]
    return [_one(data, e) for e in sorted(kept, key=lambda e: e.start_s)]


_WORDS: Final = {
    "fault": (
        "loss",
        "lose",
        "lost",
        "outage",
        "fault",
        "fail",
        "break",
        "backlog",
        "recover",
        "cut",
        "down",
    ),
    "surge": ("surge", "grow", "epidemic", "burst", "peak", "fold", "wait", "rush"),
}


def _one(data: RunData, event: Event) -> Finding:
    view = EventView(data, event)
    when = f"the {event.label} (from {clock(event.start_s)} to {clock(event.end_s)})"
    words = _WORDS[event.kind]
    if not view.comparable:
        text = f"No order arrived and ended between the warm-up and {when}, so there is no level before it to compare with."
        return Finding(event.kind, (text,), words)
    return Finding(event.kind, (_recovery(view, when), _cost(view)), words, (_grid(view),))


def _recovery(view: EventView, when: str) -> str:
    data, event = view.data, view.event
    times = view.recoveries()
    level = float(np.mean([view.level(r) for r in data.replications]))
    peak = mean_text(data, [view.peak(r) for r in data.replications], "")
    build = f"orders under way rose to {peak}, against at most {show(level, '')} before"
    above = [view.above_s(r) for r in data.replications]
    if all(t == 0 for t in times):
        if max(above) == 0:
            return f"In {when} no backlog built up: {build.replace('rose to', 'reached')}."
        length = show(event.end_s - event.start_s, "s")
        return (
            f"The backlog of {when} was gone before its end: {build}, and were above that for {mean_text(data, above, 's')} "
            f"of its {length}{_normal(view)}."
        )
    if event.end_s >= data.horizon_s:
        return f"In {when} {build}; it lasts until the end of the run, so no recovery is seen."
    gone = [t for t in times if not math.isnan(t)]
    if not gone:
        left = show(data.horizon_s - event.end_s, "s")
        return f"In {when} {build}; the backlog was not gone when the run ended {left} after it."
    some = "" if len(gone) == len(times) else f", in {len(gone)} of {len(times)} replications"
    slow = [
        f"{g} {told_times(data, view.recoveries(g))}"
        for g in view.quick
        if len(view.quick) > 1 and any(t != 0 for t in view.recoveries(g))
    ]
    by = f" ({described(slow[:4])})" if len(slow) > 1 else ""
    return (
        f"After {when} service was back to normal {mean_text(data, gone, 's')} after its end{some}{by}: "
        f"{build}{_normal(view)}."
    )


def _normal(view: EventView) -> str:
    slow = [g for g in view.groups if g not in view.quick]
    left = f"; without {described(slow)}, whose orders take longer than that" if slow else ""
    return f" (normal: a mean over {show(view.window_s, 's', 2)} no higher than any before it{left})"


def told_times(data: RunData, times: Sequence[float]) -> str:
    """Return recovery times in words; those beyond the end of the run are counted."""
    gone = [t for t in times if not math.isnan(t)]
    if not gone:
        return "not within the run"
    late = f", {len(times) - len(gone)} of {len(times)} not within the run" if len(gone) < len(times) else ""
    return mean_text(data, gone, "s") + late


def _cost(view: EventView) -> str:
    """Say what touched orders lost against those before, group by group, the worst first."""
    found = []
    for group in view.groups:
        touched = view.touched[view.touched["group"] == group]
        before = view.before[view.before["group"] == group]
        if min(len(touched), len(before)) < _LEAST:
            continue
        parts = []
        lost = share_of(view.data, touched["lost"], touched)
        base = float(before["lost"].mean()) if len(before) else 0.0
        if lost.estimate > 0 or base > 0:
            parts.append(f"{told(lost, 'share')} lost against {show(base, 'share', 2)} before")
        late = share_of(view.data, touched["late"], touched)
        if late.estimate > 0:
            was = float(before["late"].mean()) if len(before) else 0.0
            parts.append(f"{told(late, 'share')} late against {show(was, 'share', 2)}")
        now, then = (quantile_of(view.data, f, "time_s", 0.95) for f in (touched, before))
        ratio = now.estimate / then.estimate if then.estimate > 0 else math.nan
        if math.isfinite(now.estimate):
            parts.append(f"95 % within {told(now, 's')} against {show(then.estimate, 's')}")
        named = mentions(question(view.data), (group,))
        worst = (named, lost.estimate - base, ratio if math.isfinite(ratio) else 0.0)
        found.append((worst, f"{group}: {', '.join(parts)}"))
    found.sort(key=lambda f: f[0], reverse=True)
    extra = view.extra_lost()
    more = mean_text(view.data, extra, "", least=None)
    any_late = bool(view.touched["late"].any())
    head = f"Beyond the rate before, {more} orders were lost to it"
    if max(extra) <= 0:
        head = "No order was lost to it" if any_late else "No order was lost to it and none was late"
    if not found:
        return f"{head}."
    return f"{head}; of the orders under way in it, {'; '.join(text for _, text in found[:4])}."


def _grid(view: EventView) -> Grid:
    rows = []
    for group in view.groups:
        touched = view.touched[view.touched["group"] == group]
        before = view.before[view.before["group"] == group]
        cells = [group, _count(view, before), _count(view, touched)]
        for frame in (before, touched):
            refused = frame["state"] == "rejected"
            cells += [
                told(share_of(view.data, hits, frame), "share") if len(frame) else "–"
                for hits in (refused, frame["lost"] & ~refused, frame["late"])
            ]
        cells += [told(quantile_of(view.data, f, "time_s", 0.95), "s") for f in (before, touched)]
        cells.append(mean_text(view.data, view.extra_lost(group), "", least=None))
        cells.append(told_times(view.data, view.recoveries(group)))
        rows.append(tuple(cells))
    heads = (
        "Group", "Orders before", "Touched", "Refused before", "Failed before", "Late before", "Refused", "Failed", "Late",
        "95 % within, before", "95 % within", "Lost beyond the rate before", "Back to normal after",
    )  # fmt: skip
    columns = tuple(zip(heads, *rows, strict=True))  # a figure a line, a group a column: fits a page
    return Grid(
        f"The {view.event.label}: before it and touched by it",
        columns[0],
        columns[1:],
        f"Before: orders that arrived and ended between {clock(view.before_s)} and {clock(view.event.start_s)}. "
        f"Touched: under way between {clock(view.event.start_s)} and {clock(view.event.end_s)}. Late: completed "
        "beyond the objective of the class, or beyond the deadline where there is none. Back to normal: from the "
        f"event's end to the first window of {show(view.window_s, 's', 2)} with on average no more orders under way "
        "than in the worst such window before. Intervals in brackets.",
    )


def _count(view: EventView, frame: pd.DataFrame) -> str:
    return show(len(frame) / max(len(view.data.replications), 1), "")
