"""From orders to completed deliveries: what was lost on the way, by reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from dssn.report.charts.base import Chart, NoChart, interval_half_width, new_figure
from dssn.report.numbers import show
from dssn.report.palette import BAD, GOOD, GREY, NEUTRAL, style
from dssn_models.market.reasons import FAILED, REASONS, REFUSED
from dssn_models.units import format_quantity

if TYPE_CHECKING:
    from dssn.report.data import RunData

__all__ = ["draw", "losses"]

_KEY, _TITLE = "refusals", "Refused and failed orders"


def losses(data: RunData) -> pd.DataFrame:
    """Return refused and failed orders by reason, means per replication, largest first.

    Returns
    -------
    DataFrame
        Columns ``reason kind meaning mean half_width share``; ``share`` is of all orders after the warm-up.
    """
    orders = data.after_warmup("orders")
    columns = ["reason", "kind", "meaning", "mean", "half_width", "share"]
    lost = orders[(orders["reason"].fillna("") != "") & (orders["state"] != "completed")]
    if lost.empty:
        return pd.DataFrame(columns=columns)
    replications = sorted(orders["replication"].unique())
    rows = []
    for reason, part in lost.groupby("reason", observed=True):
        counts = part.groupby("replication").size().reindex(replications, fill_value=0)
        half = interval_half_width(counts.tolist(), data.confidence)
        rows.append(
            {
                "reason": reason,
                "kind": "refused" if reason in REFUSED else "failed" if reason in FAILED else "other",
                "meaning": REASONS.get(str(reason), ""),
                "mean": float(counts.mean()),
                "half_width": float("nan") if half is None else half,
                "share": len(part) / len(orders),
            }
        )
    return (
        pd.DataFrame(rows)
        .sort_values(["mean", "reason"], ascending=[False, True])
        .reset_index(drop=True)[columns]
    )


def draw(data: RunData) -> Chart | NoChart:
    """Draw the waterfall from all orders to completed ones."""
    orders = data.after_warmup("orders")
    if orders.empty:
        return NoChart(_KEY, _TITLE, "No order arrived after the warm-up.")
    frame = losses(data)
    n = max(orders["replication"].nunique(), 1)
    total = len(orders) / n
    if frame.empty:
        done = int((orders["state"] == "completed").sum())
        return NoChart(
            _KEY, _TITLE,
            f"None of the {len(orders)} orders after the warm-up was refused and none failed; {done} were completed.",
        )  # fmt: skip
    shown = frame.head(10)
    rest = float(frame["mean"].sum() - shown["mean"].sum())
    bars = [
        (str(r["reason"]), float(r["mean"]), float(r["half_width"]), str(r["kind"]))
        for _, r in shown.iterrows()
    ]
    if rest > 0:
        bars.append(("all other reasons", rest, float("nan"), "other"))
    completed = float((orders["state"] == "completed").sum()) / n
    with style():
        figure = new_figure(7.2, 1.4 + 0.3 * (len(bars) + 2))
        axes = figure.add_subplot()
        axes.barh(0, total, color=NEUTRAL, height=0.62)
        level = total
        for i, (_, mean, half, kind) in enumerate(bars, start=1):
            axes.barh(
                i, -mean, left=level, color={"refused": "#E69F00", "failed": BAD}.get(kind, GREY), height=0.62
            )
            interval = "" if half != half else f" ± {show(half, '', 2)}"
            axes.text(level - mean, i, f"{show(mean, '')}{interval}  ", va="center", ha="right", fontsize=8)
            level -= mean
        axes.barh(len(bars) + 1, completed, color=GOOD, height=0.62)
        axes.text(total, 0, f" {show(total, '')}", va="center", fontsize=8)
        axes.text(completed, len(bars) + 1, f" {show(completed, '')}", va="center", fontsize=8)
        axes.set_yticks(range(len(bars) + 2), ["orders", *(b[0] for b in bars), "completed"])
        axes.invert_yaxis()
        lowest = level - 0.6 * max(total - level, 0.02 * total)
        axes.set_xlim(max(0.0, lowest), total * 1.0 + 0.08 * (total - max(0.0, lowest)))
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("orders per replication" + (" (axis does not start at 0)" if lowest > 0 else ""))
    caption = "Orders after the warm-up, means over the replications; orange: refused before anything ran, red: failed later."
    caption += (
        f" ± is the {format_quantity(data.confidence, 'share')} interval."
        if n > 1
        else " One replication: no interval."
    )
    top = bars[0]
    lost_share = format_quantity(float(frame["share"].sum()), "share", 2)
    alt = f"{lost_share} of the orders were refused or failed; most often {top[0]} ({REASONS.get(top[0], 'no text')})."
    return Chart(_KEY, _TITLE, caption, alt, figure)
