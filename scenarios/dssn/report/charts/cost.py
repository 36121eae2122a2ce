"""What a delivery costs, by engine and class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dssn.report.charts.base import Chart, NoChart, interval_half_width, new_figure
from dssn.report.palette import NEUTRAL, style
from dssn_models.units import format_quantity

if TYPE_CHECKING:
    from dssn.report.data import RunData

__all__ = ["cost_table", "draw"]

_KEY, _TITLE = "cost", "Cost per delivery"


def cost_table(data: RunData) -> pd.DataFrame:
    """Return the mean cost and bill (CNY) of a completed delivery by engine and class.

    Returns
    -------
    DataFrame
        Columns ``engine cls deliveries cost_cny half_width_cny bill_cny``, dearest first.
    """
    frame = data.completed
    columns = ["engine", "cls", "deliveries", "cost_cny", "half_width_cny", "bill_cny"]
    if frame.empty:
        return pd.DataFrame(columns=columns)
    rows = []
    for (engine, cls), part in frame.groupby(["engine", "cls"], observed=True):
        means = part.groupby("replication")["cost_cny"].mean()
        half = interval_half_width(means.tolist(), data.confidence)
        rows.append(
            {
                "engine": engine,
                "cls": cls,
                "deliveries": len(part),
                "cost_cny": float(means.mean()),
                "half_width_cny": float("nan") if half is None else half,
                "bill_cny": float(part["bill_cny"].mean()),
            }
        )
    return (
        pd.DataFrame(rows)
        .sort_values(["cost_cny", "engine"], ascending=[False, True])
        .reset_index(drop=True)[columns]
    )


def draw(data: RunData) -> Chart | NoChart:
    """Draw the mean cost per delivery, one bar an engine and class."""
    frame = cost_table(data)
    if frame.empty:
        return NoChart(
            _KEY, _TITLE, "No delivery was completed after the warm-up, so there is no cost per delivery."
        )
    if not float(frame["cost_cny"].abs().max()) > 0:
        return NoChart(_KEY, _TITLE, "The scenario gives no prices: every delivery costs 0 CNY.")
    shown = frame.head(12)
    n = len(data.replications)
    with style():
        figure = new_figure(7.2, 1.1 + 0.3 * len(shown))
        axes = figure.add_subplot()
        y = np.arange(len(shown))
        axes.barh(y, shown["cost_cny"], color=NEUTRAL, height=0.62)
        half = shown["half_width_cny"].to_numpy(float)
        if np.isfinite(half).any():
            axes.errorbar(
                shown["cost_cny"],
                y,
                xerr=np.nan_to_num(half),
                fmt="none",
                ecolor="#1f2933",
                elinewidth=1,
                capsize=2,
            )
        if (shown["bill_cny"] > 0).any():
            axes.plot(shown["bill_cny"], y, "D", color="#D55E00", ms=4, label="billed")
            axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.0)
        axes.set_yticks(y, [f"{e} / {c}" for e, c in zip(shown["engine"], shown["cls"], strict=True)])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        both = pd.concat([shown["cost_cny"], shown["bill_cny"]])
        positive = both[both > 0]
        if len(positive) and float(positive.max()) > 200 * float(positive.min()):
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda v, _: f"{v:g}")
        axes.set_xlabel("CNY per completed delivery (resources used; diamond: what was billed)")
    caption = "Mean cost of the resources a completed delivery used, by engine and class; prices are those of the scenario."
    caption += (
        f" Whiskers: {format_quantity(data.confidence, 'share')} interval."
        if n > 1
        else " One replication: no interval."
    )
    top = frame.iloc[0]
    alt = f"Dearest: {top['engine']} in class {top['cls']} with {format_quantity(float(top['cost_cny']), 'money')} per delivery."
    return Chart(_KEY, _TITLE, caption, alt, figure)
