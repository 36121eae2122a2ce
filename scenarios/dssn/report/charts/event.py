"""Orders under way around a fault or a surge, with its time shaded and the level before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dssn.report.charts.base import Chart, duration_axis, new_figure
from dssn.report.findings.events import EventView, events
from dssn.report.palette import BAD, GREY, INK, class_colours, style
from dssn_models.units import format_quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dssn.report.data import RunData

__all__ = ["draw"]

_TITLE = "Before, during and after"


def draw(data: RunData) -> list[Chart]:
    """Draw the longest fault and the longest surge of the run; none if it has neither."""
    if data.plan is None or data.table("orders").empty:
        return []
    found = []
    for kind in ("fault", "surge"):
        own = [e for e in events(data.plan) if e.kind == kind]
        view = EventView(data, max(own, key=lambda e: e.end_s - e.start_s)) if own else None
        if view is not None and view.comparable:
            found.append(_one(data, view))
    return found


def _one(data: RunData, view: EventView) -> Chart:
    event, n = view.event, len(data.replications)
    factor, unit = duration_axis(data.horizon_s)
    colours = class_colours(view.groups)
    with style():
        figure = new_figure(7.2, 4.6)
        top, bottom = figure.subplots(2, 1, sharex=True)
        _backlog(top, view, factor)
        _times(bottom, view, factor, colours)
        for axes in (top, bottom):
            axes.axvspan(event.start_s / factor, event.end_s / factor, color=BAD, alpha=0.13, lw=0)
            axes.set_xlim(view.before_s / factor, data.horizon_s / factor)
        top.annotate(
            event.label, (event.start_s / factor, 1), xycoords=("data", "axes fraction"), fontsize=8, color=BAD,
            xytext=(3, -10), textcoords="offset points",
        )  # fmt: skip
        bottom.set_xlabel(f"time since the start ({unit})")
    width = format_quantity(view.window_s, "duration", 2)
    peak = float(np.mean([view.peak(r) for r in data.replications]))
    level = float(np.mean([view.level(r) for r in data.replications]))
    band = "; the band spans the replications" if n > 1 else "; one replication, no band"
    left = [g for g in view.groups if g not in view.quick]
    without = f" Without {', '.join(left)}, whose orders take longer than a window." if left else ""
    caption = (
        f"Shaded: the {event.label}. Above: orders under way, mean over windows of {width} that begin at the "
        f"time shown{band}; dashed: largest such mean before.{without} Below: 95 % of the orders that arrived in "
        "a window took at most this long, all replications together."
    )
    alt = f"Orders under way rise to {peak:.3g} against at most {level:.3g} before the {event.label}."
    return Chart(f"event-{event.kind}", _TITLE, caption, alt, figure)


def _backlog(axes: Axes, view: EventView, factor: float) -> None:
    curves = [view.backlog(r) for r in view.data.replications]
    at = curves[0][0]
    stack = np.vstack([means for _, means in curves])
    if len(stack) > 1:
        axes.fill_between(at / factor, stack.min(axis=0), stack.max(axis=0), color=GREY, alpha=0.25, lw=0)
    axes.plot(at / factor, stack.mean(axis=0), color=INK, lw=1.5, label="under way")
    level = float(np.mean([view.level(r) for r in view.data.replications]))
    axes.axhline(level, color=GREY, ls="--", lw=1.0, label="largest before")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("orders")
    axes.set_title("Backlog: orders under way")
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.98), ncols=2, borderaxespad=0.0)


def _times(axes: Axes, view: EventView, factor: float, colours: dict[str, str]) -> None:
    data, width = view.data, view.window_s
    edges = np.arange(view.before_s, data.horizon_s, width)
    longest = 0.0
    done = view.orders[view.orders["time_s"].notna()]
    curves = {}
    for group in view.groups:
        own = done[done["group"] == group]
        slot = np.floor((own["arrived_s"] - view.before_s) / width).astype(int)
        found = own.groupby(slot)["time_s"].quantile(0.95).reindex(range(len(edges)))
        curves[group] = found.to_numpy(float)
        longest = max(longest, float(np.nanmax(curves[group], initial=0.0)))
    scale, unit = duration_axis(longest)
    for group, values in curves.items():
        axes.step(
            (edges + width / 2) / factor,
            values / scale,
            where="mid",
            color=colours[group],
            lw=1.3,
            label=group,
        )
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda v, _: f"{v:g}")
    axes.set_ylabel(f"95 % within ({unit})")
    axes.set_title("Order to result, by arrival")
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.98), ncols=4, borderaxespad=0.0)
