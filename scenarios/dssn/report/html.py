"""The HTML report: one file that needs nothing else, light, and fit for A4 paper."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dssn.report.answer import answer, warnings
from dssn.report.binding import find_binding
from dssn.report.charts import cdf, cost, event, flowmap, phases, refusals, timeseries, utilisation
from dssn.report.charts.base import Chart, NoChart
from dssn.report.data import RunData
from dssn.report.facts import assumed, run_card, simulated
from dssn.report.findings import findings, relevance
from dssn.report.numbers import headline, show, show_estimate, show_kpi, statistic, subject, title

if TYPE_CHECKING:
    from dssn_models.plan import Plan
    from dssn_sim.stats.kpi import Kpi, Verdict

__all__ = ["all_charts", "read_kpis", "render", "write_report"]

#: Name of a chart -> how to draw it; the keys are what ``--plots`` and the Python face use.
CHARTS: dict[str, Callable[[RunData], Chart | NoChart]] = {
    "phases": phases.draw,
    "cdf": cdf.draw,
    "timeseries": timeseries.draw,
    "utilisation": utilisation.draw,
    "map": flowmap.draw,
    "refusals": refusals.draw,
    "cost": cost.draw,
}
_MORE_CDFS = ("trade_to_settle_s", "order_to_open_s")


def read_kpis(data: RunData) -> tuple[list[Kpi], list[Verdict]]:
    """Return KPIs and verdicts: from ``summary.json``, else computed from the tables."""
    from dssn_sim.stats.kpi import Kpi, Verdict

    found = data.summary.get("kpis")
    if found:
        kpis = [Kpi.from_dict(k) for k in found]
        stored = data.summary.get("objectives") or data.summary.get("verdicts") or []
        return kpis, [Verdict(**{**v, "estimate": _nan(v["estimate"])}) for v in stored]
    return [], []


def _nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def all_charts(data: RunData) -> list[Chart | NoChart]:
    """Return every figure of the report, in order; the further distributions only where they have values."""
    charts: list[Chart | NoChart] = []
    for name, draw in CHARTS.items():
        charts.append(draw(data))
        if name == "timeseries":
            charts += event.draw(data)
        if name == "cdf":
            more = [cdf.draw(data, column) for column in _MORE_CDFS]
            charts += [c for c in more if isinstance(c, Chart) and c.informative]
    return charts


def write_report(
    folder: Path | str, *, plots: bool = False, plan: Plan | None = None, data: RunData | None = None
) -> Path:
    """Write ``report.html`` into a run folder and return its path.

    Parameters
    ----------
    folder : Path or str
        A run folder (with ``run.json``).
    plots : bool
        Also write each figure as PNG and SVG into ``plots/``.
    plan : Plan, optional
        The plan that ran, if at hand; else the resolved scenario is compiled again for the map.
    data : RunData, optional
        Of this folder, if already open.
    """
    path = Path(folder)
    data = RunData.open(path, plan, lean=True) if data is None else data
    charts = all_charts(data)
    if plots:
        for chart in charts:
            if isinstance(chart, Chart):
                chart.save(path / "plots")
    target = path / "report.html"
    partial_file = path / ".report.html.part"
    partial_file.write_text(render(data, charts), encoding="utf-8")
    os.replace(partial_file, target)  # noqa: PTH105  atomic also over an existing file
    return target


def render(data: RunData, charts: Sequence[Chart | NoChart] | None = None) -> str:
    """Return the report as HTML."""
    from importlib.resources import files

    from jinja2 import Environment, StrictUndefined

    kpis, verdicts = read_kpis(data)
    drawn = {c.key: c for c in (all_charts(data) if charts is None else charts)}
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals["figure"] = partial(_figure, drawn)
    template = environment.from_string(files("dssn.report").joinpath("template.html").read_text("utf-8"))
    plan = data.plan
    mattered, others = assumed(data)
    found = findings(data)
    return template.render(
        title=_text(data, "title") or "Run report",
        name=data.fact("name", "scenario", default=""),
        question=_text(data, "question"),
        sentences=answer(data, kpis, verdicts, found),
        warnings=warnings(data, kpis),
        verdicts=[_verdict_row(v) for v in verdicts],
        headline=[_kpi_row(k) for k in headline(kpis)],
        kpis=[_kpi_row(k) for k in kpis],
        phase_rows=_phase_rows(data),
        shared_links=show(lost["link"], "s") if (lost := find_binding(data).lost_s) else "",
        grids=[grid for finding in found if relevance(data, finding) for grid in finding.grids],
        more_grids=[grid for finding in found if not relevance(data, finding) for grid in finding.grids],
        events=[k for k in drawn if k.startswith("event-")],
        more_cdfs=[k for k in drawn if k.startswith("cdf-") and k != "cdf-order-to-result"],
        losses=_loss_rows(data),
        assumed=mattered,
        other_assumed=others,
        simulated=simulated(data),
        faults=_fault_rows(data),
        card=run_card(data),
        replications=len(data.replications),
        confidence=show(data.confidence, "share"),
        sites=len(plan.network.sites) if plan else None,
        nodes=len(plan.nodes) if plan else None,
        links=len(plan.network.links) if plan else None,
        horizon=show(data.horizon_s, "s"),
    )


def _text(data: RunData, name: str) -> str:
    found = data.fact(name, default="")
    if not found and data.plan is not None:
        found = getattr(data.plan, name, "")
    return str(found)


def _figure(drawn: dict[str, Chart | NoChart], key: str) -> Any:
    from markupsafe import Markup, escape

    chart = drawn.get(key)
    if chart is None:
        return Markup("")
    if isinstance(chart, NoChart):
        return Markup('<p class="none">{}</p>').format(chart.sentence)
    caption = Markup("<figcaption><strong>{}</strong> {}</figcaption>").format(chart.alt, chart.caption)
    return Markup("<figure>") + Markup(chart.svg()) + caption + Markup("</figure>") + escape("")


def _kpi_row(k: Kpi) -> dict[str, str]:
    value, interval = show_kpi(k)
    return {
        "title": title(k.name),
        "key": k.key,
        "subject": subject(k),
        "stat": statistic(k.stat),
        "value": value,
        "interval": interval,
        "method": k.method,
        "objective": k.objective,
        "met": k.met,
    }


def _verdict_row(v: Verdict) -> dict[str, str]:
    from dssn_sim.stats.measures import KPIS

    unit = KPIS[v.kpi].unit if v.kpi in KPIS else ""
    value, interval = show(v.estimate, unit), f"none: {v.why}"
    if v.low is not None and v.high is not None:
        value, interval = show_estimate(v.estimate, v.low, v.high, unit)
    return {
        "title": title(v.kpi),
        "cls": v.cls or "all",
        "stat": statistic(v.stat),
        "asked": f"{'at most' if v.direction == 'max' else 'at least'} {show(v.bound, unit)}",
        "value": value,
        "interval": interval,
        "met": v.met,
        "why": v.why,
    }


def _phase_rows(data: RunData) -> list[dict[str, str]]:
    frame = phases.phase_means(data)
    return [
        {
            "cls": str(r["cls"]),
            "phase": str(r["phase"]).replace("_", " "),
            "mean": show(float(r["mean_s"]), "s"),
            "half": f"± {show(float(r['half_width_s']), 's')}"
            if r["half_width_s"] == r["half_width_s"]
            else "one replication",
            "wait": show(float(r["wait_s"]), "s"),
            "share": show(float(r["share"]), "share", 2),
        }
        for _, r in frame.iterrows()
    ]


def _loss_rows(data: RunData) -> list[dict[str, str]]:
    return [
        {
            "reason": str(r["reason"]),
            "kind": str(r["kind"]),
            "meaning": str(r["meaning"]),
            "mean": show(float(r["mean"]), ""),
            "half": f"± {show(float(r['half_width']), '', 2)}"
            if r["half_width"] == r["half_width"]
            else "one replication",
            "share": show(float(r["share"]), "share", 2),
        }
        for _, r in refusals.losses(data).iterrows()
    ]


def _fault_rows(data: RunData) -> list[dict[str, str]]:
    if data.plan is None:
        return []
    return [
        {
            "what": f.label or f.kind.replace("_", " "),
            "target": f.target,
            "at": show(f.at_s, "s"),
            "duration": show(f.duration_s, "s"),
        }
        for f in data.plan.faults
    ]
