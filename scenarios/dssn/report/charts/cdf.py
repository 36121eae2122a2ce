"""Distribution of a time or size per class, with a band over the replications."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dssn.report.charts.base import Chart, NoChart, duration_axis, new_figure
from dssn.report.palette import GREY, class_colours, style
from dssn_models.results import TABLES
from dssn_models.units import format_quantity

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from dssn.report.data import RunData

__all__ = ["draw"]

_GRID = 160
_POOLED = " The line is of all replications together; the quantiles in words are means over the replications, as in the tables."
_UNIT_KIND = {"s": "duration", "B": "size", "CNY": "money", "core-s": "work"}


def draw(
    data: RunData, column: str = "order_to_result_s", by: str = "cls", table: str = "deliveries"
) -> Chart | NoChart:
    """Draw the cumulative distribution of a column, one line per value of ``by``.

    Parameters
    ----------
    data : RunData
        The run.
    column : str
        A numeric column of ``table``.
    by : str
        Column that separates the lines (``cls``, ``stream``, ``engine``, ``channel`` ...).
    table : str
        Result table.
    """
    key = f"cdf-{column.removesuffix('_s').replace('_', '-')}"
    name = column.removesuffix("_s")
    title = f"Distribution of {name.replace('_', ' ')}"
    frame = data.completed if table == "deliveries" else data.after_warmup(table)
    known = np.isfinite(frame[column].astype(float))
    frame = frame.loc[known, list(dict.fromkeys(("replication", column, by)))]
    if frame.empty:
        return NoChart(key, title, f"No completed delivery after the warm-up has a value of {name}.")
    spread = float(frame[column].max()) > 1.001 * float(frame[column].min())
    groups = _groups(data, frame, by)
    values = frame[column].to_numpy(dtype=float)
    kind = _UNIT_KIND.get(next((c.unit for c in TABLES[table].columns if c.name == column), ""), "")
    factor, unit = _axis(float(np.quantile(values, 0.99)), kind)
    positive = values[values > 0]
    log = (
        len(positive) > 0
        and len(positive) > 0.98 * len(values)
        and np.quantile(positive, 0.99) > 30 * np.quantile(positive, 0.01)
    )
    grid = _grid(positive if log else values, log=bool(log))
    colours = class_colours(groups if by != "cls" else data.classes)
    with style():
        figure = new_figure(7.2, 3.4)
        axes = figure.add_subplot()
        for group in groups:
            part = frame[frame[by] == group]
            _line(axes, part, column, grid, factor, colours[group], f"{group} ({len(part)})")
        if log:
            axes.set_xscale("log")
            _log_ticks(axes, kind, factor, float(grid[0]))
            unit = "" if kind == "duration" else unit
        axes.set_xlim(float(grid[0]) / factor, float(grid[-1]) / factor)
        marked = _objectives(axes, data, name, factor, colours if by == "cls" else {})
        axes.set_ylim(0, 1.01)
        axes.set_yticks([0, 0.25, 0.5, 0.75, 0.95, 1], ["0", "25 %", "50 %", "75 %", "95 %", "100 %"])
        axes.set_xlabel(f"{name.replace('_', ' ')}{f' ({unit})' if unit else ''}")
        axes.set_ylabel("share of deliveries")
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, borderaxespad=0.2)
    n = frame["replication"].nunique()
    band = (
        f"The band spans the {n} replications (lowest to highest curve)."
        if n > 1
        else "One replication: no band."
    )
    caption = (
        "Share of completed deliveries within the time on the axis, after the warm-up; numbers of deliveries in "
        f"brackets. {band}" + (_POOLED if n > 1 else "")
    )
    if kind != "duration":
        caption = caption.replace("within the time", "up to the value")
    return Chart(
        key,
        title,
        caption + (" Dashed lines: objectives." if marked else ""),
        _finding(frame, groups, column, by, kind),
        figure,
        spread,
    )


def _groups(data: RunData, frame: pd.DataFrame, by: str) -> list[str]:
    found = frame[by].value_counts()
    if by == "cls":
        return [c for c in data.classes if c in found.index]
    return [str(g) for g in found.index[:7]]


def _axis(largest: float, kind: str) -> tuple[float, str]:
    if kind == "duration":
        return duration_axis(largest)
    if kind == "size":
        for factor, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
            if largest >= 2 * factor:
                return factor, unit
        return 1.0, "B"
    return 1.0, {"money": "CNY", "work": "core-s"}.get(kind, "")


def _grid(values: NDArray[np.float64], *, log: bool) -> NDArray[np.float64]:
    low, high = float(values.min()), float(np.quantile(values, 0.9995))
    if high <= low:
        high = low * 1.1 + 1e-9
        low = low * 0.9
    grid = np.geomspace(low, high, _GRID) if log else np.linspace(low, high, _GRID)
    return np.asarray(grid, dtype=float)


def _line(
    axes: Axes,
    part: pd.DataFrame,
    column: str,
    grid: NDArray[np.float64],
    factor: float,
    colour: str,
    label: str,
) -> None:
    curves = []
    for _, rep in part.groupby("replication"):
        ordered = np.sort(rep[column].to_numpy(dtype=float))
        curves.append(np.searchsorted(ordered, grid, side="right") / len(ordered))
    stack = np.vstack(curves)
    if len(curves) > 1:
        axes.fill_between(
            grid / factor, stack.min(axis=0), stack.max(axis=0), color=colour, alpha=0.22, linewidth=0
        )
    pooled = np.sort(part[column].to_numpy(dtype=float))
    axes.plot(
        grid / factor,
        np.searchsorted(pooled, grid, side="right") / len(pooled),
        color=colour,
        lw=1.6,
        label=label,
    )


_ROUND_S = (1e-3, 1e-2, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 36000.0, 86400.0, 864000.0)


def _log_ticks(axes: Axes, kind: str, factor: float, low: float) -> None:
    """Mark a logarithmic time axis at 1 s, 10 s, 1 min, 10 min, 1 h ...; others at plain numbers."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    round_ones = [t for t in _ROUND_S if t >= low / 2] if kind == "duration" else []
    if len(round_ones) >= 2:
        axes.xaxis.set_major_locator(FixedLocator([t / factor for t in round_ones]))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda x, _: format_quantity(x * factor, kind) if kind == "duration" else f"{x:g}")
    )


def _objectives(axes: Axes, data: RunData, name: str, factor: float, colours: dict[str, str]) -> bool:
    """Mark the objectives of this KPI, widening the axis to those not too far away; return whether there are any."""
    low, high = axes.get_xlim()
    near = [o for o in data.objectives if o.kpi == name and low <= o.bound / factor <= 20 * high]
    for objective in near:
        position = objective.bound / factor
        high = max(high, position * 1.1)
        colour = colours.get(objective.cls or "", GREY)
        axes.axvline(position, color=colour, ls="--", lw=1.1)
        if objective.quantile is not None:
            axes.plot([position], [objective.quantile], marker="v", color=colour, ms=6)
    axes.set_xlim(low, high)
    return bool(near)


def _finding(frame: pd.DataFrame, groups: list[str], column: str, by: str, kind: str) -> str:
    from dssn_sim.stats.intervals import quantile_across

    parts = []
    for group in groups:
        part = frame[frame[by] == group]
        samples = [rep[column].to_numpy(dtype=float) for _, rep in part.groupby("replication")]
        p50, p95 = (quantile_across(samples, q).estimate for q in (0.5, 0.95))  # as the KPIs are made
        low, high = (format_quantity(float(v), kind) if kind else f"{v:.3g}" for v in (p50, p95))
        parts.append(f"{group}: median {low}, 95 % within {high}")
    return "; ".join(parts) + "."
