"""How busy links, nodes and services were: the busiest of each, and how all are spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dssn.report.charts.base import Chart, NoChart, interval_half_width, new_figure, shorten
from dssn.report.palette import BAD, NEUTRAL, OTHER, style
from dssn_models.units import format_quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dssn.report.data import RunData

__all__ = ["busiest", "draw"]

_KEY, _TITLE = "utilisation", "What was busy"
_TOP = 8
_VALUE = {"links": "mean_util", "nodes": "util_busy", "services": "util"}
_EXTRA = {"links": "", "nodes": "util_reserved", "services": ""}
#: The busiest quarter of an hour; runs of an older version do not have it.
_PEAK = {"links": ("util_15min",), "nodes": ("busy_15min", "reserved_15min"), "services": ()}


def busiest(data: RunData, table: str) -> pd.DataFrame:
    """Return the mean utilisation of every link, node or service over the replications, busiest first.

    Returns
    -------
    DataFrame
        Columns ``id label mean half_width extra peak``; ``extra`` is the reserved share of nodes, ``peak`` the
        largest mean over 15 min (nodes: cores executing or held, whichever is more).
    """
    return data.once(_busiest, table)


def _busiest(data: RunData, table: str) -> pd.DataFrame:
    frame = data.table(table)
    if frame.empty:
        return pd.DataFrame(columns=["id", "label", "mean", "half_width", "extra", "peak"])
    value, extra = _VALUE[table], _EXTRA[table]
    links = table == "links"
    ident = frame["link"] + " " + frame["direction"] if links else frame[table.removesuffix("s")]
    peaks = [c for c in _PEAK[table] if c in frame]
    groups = pd.DataFrame(
        {
            "id": ident,
            "label": ident + " (" + frame["size"] + ")" if table == "nodes" else ident,
            "mean": frame[value],
            "extra": frame[extra] if extra else float("nan"),
            "peak": frame[peaks].max(axis=1) if peaks else float("nan"),
        }
    ).groupby("id", observed=True)
    rows = groups[["mean", "extra", "peak"]].mean()
    rows.insert(0, "label", groups["label"].first())
    halves = [interval_half_width(part.tolist(), data.confidence) for _, part in groups["mean"]]
    rows.insert(2, "half_width", [float("nan") if half is None else half for half in halves])
    return rows.reset_index().sort_values(["mean", "id"], ascending=[False, True], ignore_index=True)


def draw(data: RunData) -> Chart | NoChart:
    """Draw the busiest links, nodes and services, and the spread of all."""
    tables = {name: busiest(data, name) for name in ("nodes", "links", "services")}
    present = [name for name, frame in tables.items() if len(frame)]
    if not present:
        return NoChart(_KEY, _TITLE, "The run has no node, link or service table, so utilisation is unknown.")
    rows = [min(len(tables[name]), _TOP) for name in present]
    with style():
        figure = new_figure(7.2, 1.0 + sum(0.18 * r + 0.5 for r in rows) + 1.6)
        panels = figure.subplots(len(present) + 1, 1, height_ratios=[*[r + 1.5 for r in rows], 8])
        for axes, name in zip(panels, present, strict=False):
            _bars(axes, tables[name].head(_TOP), name, len(tables[name]))
        _spread(panels[-1], {name: tables[name] for name in present})
    n = len(data.replications)
    caption = (
        "Time averages after the warm-up. Nodes: cores executing (blue) and cores held by jobs (grey). "
        "Tick: busiest quarter of an hour (of nodes executing or held, whichever is more), mean over the replications. "
    )
    caption += (
        f"Whiskers: {format_quantity(data.confidence, 'share')} interval over {n} replications."
        if n > 1
        else "One replication: no interval."
    )
    tops = [
        f"{tables[name].iloc[0]['id']} at {format_quantity(float(tables[name].iloc[0]['mean']), 'share')}"
        for name in present
    ]
    alt = (
        "Busiest "
        + "; busiest ".join(f"{name[:-1]}: {top}" for name, top in zip(present, tops, strict=True))
        + "."
    )
    return Chart(_KEY, _TITLE, caption, alt, figure)


def _bars(axes: Axes, frame: pd.DataFrame, name: str, total: int) -> None:
    y = np.arange(len(frame))
    if name == "nodes":
        axes.barh(y, frame["extra"], color=OTHER, height=0.75)
        axes.barh(y, frame["mean"], color=NEUTRAL, height=0.45)
    else:
        axes.barh(y, frame["mean"], color=NEUTRAL, height=0.6)
    axes.plot(frame["peak"], y, "|", color=BAD, ms=9, mew=2)
    half = frame["half_width"].to_numpy(float)
    if np.isfinite(half).any():
        axes.errorbar(
            frame["mean"], y, xerr=np.nan_to_num(half), fmt="none", ecolor="#1f2933", elinewidth=1, capsize=2
        )
    axes.set_yticks(y, [shorten(str(label), 34) for label in frame["label"]], fontsize=8)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    top = float(np.nanmax([frame[c].max() for c in ("mean", "extra", "peak")]))
    limit = 1.0 if top > 0.5 else max(top * 1.15, 0.001)
    axes.set_xlim(0, limit)
    axes.xaxis.set_major_formatter(_percent)
    axes.set_title(f"Busiest {name} ({len(frame)} of {total})")


def _percent(value: float, _position: float) -> str:
    return format_quantity(value, "share") if value else "0 %"


def _spread(axes: Axes, tables: dict[str, pd.DataFrame]) -> None:
    colours = {"nodes": "#0072B2", "links": "#E69F00", "services": "#009E73"}
    for name, frame in tables.items():
        values = np.sort(frame["mean"].to_numpy(float))
        share = np.arange(1, len(values) + 1) / len(values)
        axes.step(
            np.r_[0, values],
            np.r_[0, share],
            where="post",
            color=colours[name],
            lw=1.6,
            label=f"{name} ({len(values)})",
        )
    largest = max(float(f["mean"].max()) for f in tables.values())
    axes.set_xlim(0, 1.0 if largest > 0.5 else max(largest * 1.1, 0.001))
    axes.set_ylim(0, 1.02)
    axes.xaxis.set_major_formatter(_percent)
    axes.yaxis.set_major_formatter(_percent)
    axes.set_title("All of them")
    axes.set_xlabel("average utilisation")
    axes.set_ylabel("share of them")
    axes.legend(loc="lower right")
