"""What happened when: arrivals and completions, deliveries under way and waiting, refusals and failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dssn.report.charts.base import Chart, NoChart, duration_axis, new_figure
from dssn.report.palette import BAD, INK, class_colours, style
from dssn_models.units import format_quantity

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from dssn.report.data import RunData

    Floats = NDArray[np.float64]

__all__ = ["draw", "under_way"]

_KEY, _TITLE = "timeseries", "What happened when"
_BINS = 96


def under_way(starts: Floats, ends: Floats, at: Floats) -> Floats:
    """Return how many of the intervals [start, end) contain each time of ``at``."""
    began = np.searchsorted(np.sort(starts), at, side="right")
    ended = np.searchsorted(np.sort(ends), at, side="right")
    return np.asarray(began - ended, dtype=float)


def draw(data: RunData) -> Chart | NoChart:
    """Draw the three time series, means over the replications, with faults shaded."""
    orders = data.table("orders")
    if orders.empty:
        return NoChart(_KEY, _TITLE, "No order arrived, so there is no time series.")
    end = max(data.horizon_s, float(orders["ended_s"].quantile(0.999)))
    bins = int(np.clip(len(orders) / max(len(data.replications), 1) / 12, 24, _BINS))
    edges = np.linspace(0.0, end, bins + 1)
    middle = (edges[1:] + edges[:-1]) / 2
    n = max(len(data.replications), 1)
    factor, unit = duration_axis(end)
    classes = data.classes
    colours = class_colours(classes)
    with style():
        losses = len(data.table("refusals")) > 0
        figure = new_figure(7.2, 6.0 if losses else 4.2)
        panels = figure.subplots(3 if losses else 2, 1, sharex=True)
        top, mid, bottom = panels[0], panels[1], panels[-1]
        _arrivals(top, orders, edges, middle / factor, n, classes, colours)
        peak = _under_way(mid, data, middle, factor, n, classes, colours)
        ended = _ended(bottom, data, edges, middle / factor, n) if losses else 0.0
        for axes in panels:
            _faults(axes, data, factor, named=axes is top)
            if data.warmup_s > 0:
                axes.axvspan(0, data.warmup_s / factor, color="#eef1f4", zorder=0)
            axes.set_ylim(bottom=0)
        bottom.set_xlabel(f"time since the start ({unit})")
        bottom.set_xlim(0, end / factor)
    width = format_quantity(float(edges[1] - edges[0]), "duration", 2)
    caption = (
        f"Means over {n} replication{'s' if n > 1 else ''} in steps of {width}; grey: warm-up (not counted in the KPIs)"
        "; shaded: faults. Waiting is counted at the start of each phase that had to wait. "
        "Time series show the course and carry no interval; the KPIs above do."
    )
    lost = (
        f"{ended:.3g} orders per replication were refused or failed"
        if ended
        else "none was refused and none failed"
    )
    alt = f"At most {peak:.3g} deliveries were under way at once; {lost}."
    return Chart(_KEY, _TITLE, caption, alt, figure)


def _arrivals(
    axes: Axes,
    orders: pd.DataFrame,
    edges: Floats,
    x: Floats,
    n: int,
    classes: tuple[str, ...],
    colours: dict[str, str],
) -> None:
    scale = 3600.0 / float(edges[1] - edges[0]) / n
    layers = [np.histogram(orders.loc[orders["cls"] == c, "arrived_s"], edges)[0] * scale for c in classes]
    axes.stackplot(
        x, layers, colors=[colours[c] for c in classes], labels=classes, alpha=0.75, step="mid", lw=0
    )
    done = orders.loc[orders["state"] == "completed", "ended_s"]
    axes.plot(x, np.histogram(done, edges)[0] * scale, color=INK, lw=1.2, label="completed")
    axes.set_title("Arrivals by class, and completions")
    axes.set_ylabel("per hour")
    _legend(axes, 4)


def _under_way(
    axes: Axes,
    data: RunData,
    at: Floats,
    factor: float,
    n: int,
    classes: tuple[str, ...],
    colours: dict[str, str],
) -> float:
    orders, phases = data.table("orders"), data.table("phases")
    layers = []
    for cls in classes:
        part = orders[orders["cls"] == cls]
        ends = part["ended_s"].fillna(np.inf).to_numpy(float)
        layers.append(under_way(part["arrived_s"].to_numpy(float), ends, at) / n)
    axes.stackplot(at / factor, layers, colors=[colours[c] for c in classes], alpha=0.75, lw=0)
    waits = phases[phases["wait_s"] > 0]
    if len(waits):
        start = waits["start_s"].to_numpy(float)
        queued = under_way(start, start + waits["wait_s"].to_numpy(float), at) / (n * data.detail)
        axes.plot(at / factor, queued, color=INK, lw=1.2, label="of them waiting")
        _legend(axes, 1)
    axes.set_title("Deliveries under way")
    axes.set_ylabel("deliveries")
    return float(np.sum(layers, axis=0).max()) if layers else 0.0


def _ended(axes: Axes, data: RunData, edges: Floats, x: Floats, n: int) -> float:
    refusals = data.table("refusals")
    scale = 1 / n
    codes = refusals["reason"].astype(str)
    failed = codes.str.startswith(("fault.", "deadline.", "quality.", "run.", "trust.revoked"))
    layers = [np.histogram(refusals.loc[mask, "at_s"], edges)[0] * scale for mask in (~failed, failed)]
    axes.stackplot(
        x, layers, colors=["#E69F00", BAD], labels=["refused", "failed"], alpha=0.85, step="mid", lw=0
    )
    _legend(axes, 2)
    axes.set_title("Refused and failed orders")
    axes.set_ylabel("orders per step")
    return float(len(refusals)) * scale


def _legend(axes: Axes, columns: int) -> None:
    """Put the legend above the axes at the right, beside the title, where no curve is."""
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.0, 0.98), ncols=columns, borderaxespad=0.0, handlelength=1.4
    )


def _faults(axes: Axes, data: RunData, factor: float, *, named: bool) -> None:
    if data.plan is None:
        return
    for fault in data.plan.faults:
        axes.axvspan(
            fault.at_s / factor, (fault.at_s + fault.duration_s) / factor, color=BAD, alpha=0.12, lw=0
        )
        axes.axvline(fault.at_s / factor, color=BAD, lw=0.8, ls=":")
        if named:
            label = f"{fault.label or fault.kind.replace('_', ' ')}: {fault.target}"
            axes.annotate(
                label, (fault.at_s / factor, 1), xycoords=("data", "axes fraction"), fontsize=7.5, color=BAD,
                xytext=(3, -9), textcoords="offset points",
            )  # fmt: skip
