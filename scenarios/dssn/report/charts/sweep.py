"""A KPI over the settings of a sweep, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dssn.report.charts.base import Chart, new_figure
from dssn.report.numbers import show, title
from dssn.report.palette import OKABE_ITO, style
from dssn_models.units import KINDS, UnitError, parse_quantity

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["draw", "numeric"]

_AXES: Final = {
    "s": ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms")),
    "share": ((0.01, "%"),),
    "B": ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")),
}


def draw(frame: pd.DataFrame, settings: Sequence[str], kpi: str, *, unit: str | None = None) -> Chart:
    """Draw a KPI against the first setting, one line per combination of the others.

    Parameters
    ----------
    frame : DataFrame
        The index of a sweep.
    settings : sequence of str
        Paths that were varied.
    kpi : str
        A KPI column, for example ``order_to_result.p95[urgent]``.
    unit : str, optional
        SI unit of the KPI; taken from the KPI catalogue otherwise.

    Raises
    ------
    KeyError
        If no point has the KPI.
    """
    if kpi not in frame.columns:
        known = ", ".join(c for c in frame.columns if "." in c and ":" not in c)
        raise KeyError(f"no KPI {kpi!r} in this sweep; there are {known}")
    unit = _unit(kpi) if unit is None else unit
    values = frame[kpi].to_numpy(dtype=float)
    largest = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 1.0
    factor, label = next(((f, u) for f, u in _AXES.get(unit, ()) if largest >= 1.5 * f), (1.0, unit))
    first, others = f"set:{settings[0]}", [f"set:{s}" for s in settings[1:]]
    x, ticks = numeric(frame[first].tolist())
    work = frame.assign(_x=x)
    with style():
        figure = new_figure(7.2, 3.6)
        axes = figure.add_subplot()
        groups = work.groupby(others, sort=False, dropna=False) if others else [((), work)]
        for i, (key, part) in enumerate(groups):
            part = part.sort_values("_x")
            low, high = part.get(f"{kpi}:low"), part.get(f"{kpi}:high")
            y = part[kpi].to_numpy(dtype=float) / factor
            colour = OKABE_ITO[i % len(OKABE_ITO)]
            name = ", ".join(
                f"{o.removeprefix('set:').rsplit('.', 1)[-1]} {k}" for o, k in zip(others, key, strict=True)
            )
            axes.plot(part["_x"], y, "o-", color=colour, ms=4, label=name or None)
            if low is not None and high is not None:
                bounds = (low.to_numpy(dtype=float) / factor, high.to_numpy(dtype=float) / factor)
                axes.fill_between(part["_x"], *bounds, color=colour, alpha=0.2, lw=0)
        if ticks is not None:
            axes.set_xticks(range(len(ticks)), ticks)
        else:
            shown = work.drop_duplicates("_x").sort_values("_x")
            axes.set_xticks(shown["_x"], [str(v) for v in shown[first]])
        axes.set_xlabel(settings[0])
        axes.set_ylabel(f"{kpi}{f' ({label})' if label else ''}")
        if others:
            axes.legend()
    best = frame.iloc[int(np.nanargmin(values))] if np.isfinite(values).any() else None
    alt = (
        "No point has a value."
        if best is None
        else f"Lowest at {best[first]}: {show(float(best[kpi]), unit)}."
    )
    caption = (
        f"{title(kpi.split('.')[0])} over {settings[0]}; band: interval over the replications of each point."
    )
    return Chart(
        f"sweep-{kpi.split('[')[0].replace('.', '-')}", f"{kpi} over {settings[0]}", caption, alt, figure
    )


def _unit(kpi: str) -> str:
    from dssn_sim.stats.measures import KPIS

    name = kpi.split(".", 1)[0]
    return KPIS[name].unit if name in KPIS else ""


def numeric(values: Sequence[Any]) -> tuple[list[float], list[str] | None]:
    """Return positions on an axis: numbers and quantities by value, other things by order with their labels.

    Examples
    --------
    >>> numeric(["1 Gbit/s", "500 Mbit/s"])
    ([1000000000.0, 500000000.0], None)
    >>> numeric(["nearest", "random", "nearest"])
    ([0.0, 1.0, 0.0], ['nearest', 'random'])
    """
    try:
        return [float(v) for v in values], None
    except (TypeError, ValueError):
        pass
    for kind in KINDS:
        try:
            return [parse_quantity(v, kind) for v in values], None
        except UnitError:
            continue
    labels = list(dict.fromkeys(str(v) for v in values))
    return [float(labels.index(str(v))) for v in values], labels
