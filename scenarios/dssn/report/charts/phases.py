"""Where the time of a delivery goes: mean time per phase, stacked, one bar a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from dssn.report.charts.base import Chart, NoChart, interval_half_width, new_figure
from dssn.report.palette import phase_colours, style
from dssn_models.market.states import PHASES
from dssn_models.units import format_quantity

if TYPE_CHECKING:
    from dssn.report.data import RunData

__all__ = ["draw", "phase_means"]

_KEY, _TITLE = "phases", "Where the time goes"
_SHOWN = 7  # phases with a colour of their own; the rest is "other"


def phase_means(data: RunData) -> pd.DataFrame:
    """Return the mean time (s) per delivery of each class and phase.

    Returns
    -------
    DataFrame
        Columns ``cls phase mean_s wait_s half_width_s share``; ``half_width_s`` is NaN with one replication.
        Only completed deliveries that arrived after the warm-up count.
    """
    return data.once(_phase_means)


def _phase_means(data: RunData) -> pd.DataFrame:
    deliveries = data.completed
    phases = data.table("phases")
    columns = ["cls", "phase", "mean_s", "wait_s", "half_width_s", "share"]
    if deliveries.empty or phases.empty:
        return pd.DataFrame(columns=columns)
    keys = ["replication", "order"]
    if data.detail < 1:  # of the other orders no phases are kept
        deliveries = deliveries.merge(phases[keys].drop_duplicates(), on=keys)
    used = phases.merge(deliveries[keys], on=keys)
    used = used.assign(length=used["end_s"] - used["start_s"])
    total = used.groupby(["replication", "cls", "phase"], observed=True)[["length", "wait_s"]].sum()
    count = deliveries.groupby(["replication", "cls"], observed=True).size()
    whole = total.index.to_frame()[["replication", "cls"]].apply(tuple, axis=1).map(count)
    per = total.div(whole.to_numpy(), axis=0)
    rows = []
    replications = sorted(deliveries["replication"].unique())
    for (cls, phase), part in per.groupby(level=["cls", "phase"], observed=True):
        by_rep = part.droplevel(["cls", "phase"]).reindex(replications, fill_value=0.0)
        half = interval_half_width(by_rep["length"].tolist(), data.confidence)
        rows.append(
            {
                "cls": cls,
                "phase": phase,
                "mean_s": float(by_rep["length"].mean()),
                "wait_s": float(by_rep["wait_s"].mean()),
                "half_width_s": float("nan") if half is None else half,
            }
        )
    frame = pd.DataFrame(rows)
    frame["share"] = frame["mean_s"] / frame.groupby("cls")["mean_s"].transform("sum").replace(
        0.0, float("nan")
    )
    rank = {p: i for i, p in enumerate(PHASES)}
    return frame.sort_values(["cls", "phase"], key=lambda s: s.map(rank) if s.name == "phase" else s)[columns]


def _folded(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the frame with small phases folded into ``other``, and the phases shown in order."""
    weight = frame.groupby("phase")["share"].max().sort_values(ascending=False)
    big = [p for p in PHASES if p in set(weight.index[:_SHOWN]) and weight[p] >= 0.01]
    folded = frame.assign(phase=frame["phase"].where(frame["phase"].isin(big), "other"))
    folded = folded.groupby(["cls", "phase"], as_index=False)[["mean_s", "wait_s", "share"]].sum()
    return folded, [*big, *(["other"] if (folded["phase"] == "other").any() else [])]


def draw(data: RunData) -> Chart | NoChart:
    """Draw stacked bars of mean phase time by class; waiting is hatched."""
    frame = phase_means(data)
    if frame.empty or frame["mean_s"].sum() <= 0:
        return NoChart(
            _KEY, _TITLE, "No delivery was completed after the warm-up, so there is no phase breakdown."
        )
    folded, shown = _folded(frame)
    classes = [c for c in data.classes if c in set(folded["cls"])]
    totals = folded.groupby("cls")["mean_s"].sum()
    colours = phase_colours(shown)
    with style():
        figure = new_figure(7.2, 1.3 + 0.42 * len(classes))
        axes = figure.add_subplot()
        for row, cls in enumerate(classes):
            left = 0.0
            part = folded[folded["cls"] == cls]
            times = dict(zip(part["phase"], zip(part["mean_s"], part["wait_s"], strict=True), strict=True))
            whole = float(totals[cls])
            for phase in shown:
                if phase not in times or whole <= 0:
                    continue
                mean = float(times[phase][0]) / whole
                wait = min(float(times[phase][1]) / whole, mean)
                axes.barh(row, mean - wait, left=left, height=0.64, color=colours[phase])
                axes.barh(row, wait, left=left + mean - wait, height=0.64, color=colours[phase], hatch="////")
                left += mean
            axes.text(1.0, row, f"  {format_quantity(whole, 'duration')}", va="center", fontsize=8.5)
        axes.set_yticks(range(len(classes)), classes)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlim(0, 1.12)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
        axes.set_xlabel("share of the mean time per delivery (its length at the right)")
        from matplotlib.patches import Patch

        handles = [Patch(color=colours[p], label=p.replace("_", " ")) for p in shown]
        handles.append(Patch(facecolor="#9aa5b1", hatch="////", label="of it waiting"))
        figure.legend(handles=handles, loc="outside lower center", ncols=5)
    return Chart(_KEY, _TITLE, _caption(data), _finding(folded, classes), figure)


def _caption(data: RunData) -> str:
    text = (
        "Mean time per completed delivery by phase, each class to 100 %; the hatched part was spent waiting for a service "
        "or a node (not for links that others used as well). Phases "
        "of one order can overlap, so the sum can be longer than order to result."
    )
    if len(data.replications) < 2:
        return text + " One replication: no interval."
    return text + " Intervals of each phase stand in the table below."


def _finding(folded: pd.DataFrame, classes: list[str]) -> str:
    parts = []
    for cls in classes:
        part = folded[(folded["cls"] == cls) & (folded["phase"] != "other")]
        if part.empty:
            continue
        top = part.iloc[int(part["mean_s"].to_numpy(float).argmax())]
        share = format_quantity(float(top["share"]), "share", 2)
        parts.append(f"class {cls} spends most time in {str(top['phase']).replace('_', ' ')} ({share})")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}." if text else "No phase stands out."
