"""The busiest stretch of a run whose load changes over the day, or follows a trace, against the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from dssn.report.findings.base import Finding, Grid, clock, completed, quantile_of, share_of, told
from dssn.report.numbers import show

if TYPE_CHECKING:
    import pandas as pd

    from dssn.report.data import RunData

__all__ = ["busiest_window", "finding"]

_WIDTHS_S: Final = (3600.0, 1800.0, 900.0, 600.0, 300.0, 60.0)
_WORDS: Final = ("day", "peak", "busy", "busiest", "hour", "trace", "times")
_LEAST: Final = 40


def busiest_window(data: RunData) -> tuple[float, float] | None:
    """Return (start, end) of the stretch with the most arrivals: an hour, or a quarter of a short run at most."""
    orders = data.after_warmup("orders")
    span = data.horizon_s - data.warmup_s
    width = next((w for w in _WIDTHS_S if w <= span / 4), None)
    if orders.empty or width is None:
        return None
    edges = np.arange(data.warmup_s, data.horizon_s - width / 2, width)
    counts, _ = np.histogram(orders["arrived_s"], np.r_[edges, edges[-1] + width])
    start = float(edges[int(counts.argmax())])
    return start, start + width


def finding(data: RunData) -> list[Finding]:
    """Return what the busiest stretch was like, if the plan's load is not the same all the time."""
    plan = data.plan
    changing = plan is not None and any(
        (s.arrivals.kind == "diurnal" and len(set(s.arrivals.profile)) > 1) or s.arrivals.kind == "trace"
        for s in plan.streams
    )
    window = busiest_window(data) if changing else None
    if window is None:
        return []
    start, end = window
    orders, done = data.after_warmup("orders"), completed(data)
    n = len(data.replications)
    inside = int(_within(orders, window).sum()) / n
    usual = len(orders) / n * (end - start) / (data.horizon_s - data.warmup_s)
    settle = any(o.kpi == "trade_to_settle" for o in data.objectives)
    column = "trade_to_settle_s" if settle else "order_to_result_s"
    what = "from trade to settlement" if settle else "from order to result"
    rows, texts = [], []
    for cls in data.classes:
        own, all_own = done[done["cls"] == cls], orders[orders["cls"] == cls]
        cells = [cls]
        times = []
        for mask, of in (
            (_within(own, window), _within(all_own, window)),
            (~_within(own, window), ~_within(all_own, window)),
        ):
            found = quantile_of(data, own[mask], column, 0.95)
            part = all_own[of]
            lost = share_of(data, part["state"] != "completed", part) if len(part) else None
            cells += [told(found, "s"), told(lost, "share") if lost is not None else "–"]
            times.append((found, int(mask.sum())))
        rows.append(tuple(cells))
        (peak, many), (rest, _) = times
        if many >= _LEAST and np.isfinite(peak.estimate):
            texts.append(f"{cls} {told(peak, 's')} against {told(rest, 's')}")
    sentence = (
        f"In the busiest {show(end - start, 's')} (from {clock(start)} to {clock(end)}) {show(inside, '')} orders "
        f"came, {inside / usual:.2g} times the average; {what} 95 % took at most, against the rest of the run: "
        f"{'; '.join(texts)}."
    )
    grid = Grid(
        f"Busiest {show(end - start, 's')} against the rest",
        ("Class", "95 % within, busiest", "Lost, busiest", "95 % within, rest", "Lost, rest"),
        tuple(rows),
        f"Orders by their arrival, {what}; lost: refused or failed. Intervals in brackets where there are enough orders.",
    )
    return [Finding("peak", (sentence,) if texts else (), _WORDS, (grid,))]


def _within(frame: pd.DataFrame, window: tuple[float, float]) -> pd.Series:
    return (frame["arrived_s"] >= window[0]) & (frame["arrived_s"] < window[1])
