"""The benchmark report: one HTML file that needs nothing else, and the same figures as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from dssn.report.charts.base import Chart, new_figure
from dssn.report.numbers import show
from dssn.report.palette import GREY, NEUTRAL, style
from dssn_sim.bench.tools import REFERENCE

__all__ = ["write_bench_report"]


def write_bench_report(folder: Path, result: dict[str, Any]) -> Path:
    """Write ``bench.html`` and ``bench.json`` into a folder; return the path of the page.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    result : dict
        What ``bench.json`` holds: ``machine``, ``versions``, ``missing``, ``repeats``, ``seed``, ``cases``,
        ``packets`` (or None),
        ``growth`` (points, also none).
    """
    folder.mkdir(parents=True, exist_ok=True)
    pages = {
        "bench.json": json.dumps(result, indent=2, ensure_ascii=False) + "\n",
        "bench.html": _render(result),
    }
    for name, text in pages.items():
        part = folder / f".{name}.part"
        part.write_text(text, encoding="utf-8")
        os.replace(part, folder / name)  # noqa: PTH105  atomic also over an existing file
    return folder / "bench.html"


def _render(result: dict[str, Any]) -> str:
    from jinja2 import Environment, StrictUndefined

    def text(name: str) -> str:
        return files("dssn.report").joinpath(name).read_text("utf-8")

    house = text("template.html")
    css = house[house.index("<style>") + 7 : house.index("</style>")]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    cases = result["cases"]
    points = [p for p in result["growth"] if p["cost"] is not None]
    return environment.from_string(text("bench.html")).render(
        css=css,
        sentences=[_sentence(case) for case in cases],
        warnings=_warnings(result),
        charts=[
            *([_bars(cases)] if any(_measured(case) for case in cases) else []),
            *([_errors(result["packets"]["rows"])] if result["packets"] else []),
            *([_growth_curve(points)] if len(points) > 1 else []),
        ],
        cases=[_case(case) for case in cases],
        packets=result["packets"],
        growth=[_point(p) for p in result["growth"]],
        card=_card(result),
    )


def _measured(case: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in case["rows"] if row["cost"] is not None]


def _sentence(case: dict[str, Any]) -> str:
    rows = _measured(case)
    if not rows or rows[0]["tool"] != case["rows"][0]["tool"]:
        return f"{case['name']}: no figure of ours."
    ours = rows[0]["cost"]["cpu_s"]
    text = f"{case['name']}: {show(ours, 's')} of CPU"
    peers = [row for row in rows[1:] if row["tool"] != REFERENCE]
    if peers:
        best = min(peers, key=lambda r: float(r["cost"]["cpu_s"]))
        ratio = best["cost"]["cpu_s"] / ours
        text += f", {ratio:.1f} times less than {best['tool']}, the best of {len(peers)}"
    if len(rows) > 1:
        worst = max(float(r["difference"]) for r in rows[1:] if r["difference"] is not None)
        text += f"; answers equal to {worst:.0e}"
    return text + "."


def _warnings(result: dict[str, Any]) -> list[str]:
    texts = [f"{m['name']} is not measured: {m['why']}. To add it: {m['remedy']}" for m in result["missing"]]
    load, cores = result["machine"]["load"], result["machine"]["cores"]
    if load is not None and cores and load > cores:
        texts.append(
            f"The machine was busy with other work (load {load:.1f} on {cores} cores); CPU seconds suffer from that too."
        )
    if result["repeats"] < 3:
        texts.append(f"{result['repeats']} run of each tool only: single runs move by a factor of up to 1.4.")
    return texts


def _case(case: dict[str, Any]) -> dict[str, Any]:
    ours = case["rows"][0]["cost"]
    rows = []
    for row in case["rows"]:
        cost = row["cost"]
        shown = {"tool": row["tool"], "version": row["version"], "error": row["error"]}
        if cost is not None:
            shown |= {
                "cpu": show(cost["cpu_s"], "s"),
                "wall": show(cost["wall_s"], "s"),
                "memory": show(cost["memory_bytes"], "B"),
                "ratio": f"{cost['cpu_s'] / ours['cpu_s']:.1f}" if ours else "",
                "runs": row["runs"],
                "difference": "" if row["difference"] is None else f"{row['difference']:.1e}",
            }
        rows.append(shown)
    goals = [_goal(g) for g in case["goals"]]
    unit = "jobs" if case["name"].startswith("W2") else "flows"
    return {**case, "rows": rows, "goals": goals, "unit": unit}


def _goal(goal: dict[str, Any]) -> dict[str, str]:
    return {
        "what": goal["what"],
        "asked": f"{goal['asked']:.3g}",
        "found": f"{goal['found']:.3g}",
        "word": "met" if goal["met"] else "missed",
    }


def _bars(cases: Sequence[dict[str, Any]]) -> Chart:
    """Draw the CPU seconds of every tool, case by case, on one logarithmic axis."""
    labels: list[str] = []
    values: list[float] = []
    colours: list[str] = []
    for case in cases:
        for row in _measured(case):
            labels.append(f"{case['name']}  {row['tool']}")
            values.append(row["cost"]["cpu_s"])
            colours.append(NEUTRAL if row is case["rows"][0] else GREY)
    with style():
        figure = new_figure(7.2, 0.6 + 0.22 * len(labels))
        axes = figure.add_subplot()
        places = range(len(labels))
        axes.barh(places, values, color=colours)
        axes.set_yticks(places, labels)
        axes.invert_yaxis()
        axes.set_xscale("log")
        axes.set_xlabel("CPU seconds of the whole process")
        for y, value in zip(places, values, strict=True):
            axes.annotate(f" {value:.3g}", (value, y), va="center", fontsize=8)
        axes.set_xlim(min(values) / 3, 3 * max(values))
    ours = sum(1 for c in colours if c == NEUTRAL)
    return Chart(
        key="bench-cpu",
        title="CPU seconds",
        caption="Blue: ours; grey: peers. Logarithmic axis, medians of the runs, no interval since there are few.",
        alt=f"CPU seconds of {len(labels) - ours} peers' runs beside {ours} of ours.",
        figure=figure,
    )


def _errors(rows: Sequence[dict[str, Any]]) -> Chart:
    """Draw the predicted over the packet-level transfer time of every case."""
    with style():
        figure = new_figure(7.2, 3.6)
        axes = figure.add_subplot()
        truth = [row["packets_s"] for row in rows]
        axes.plot(truth, [row["predicted_s"] for row in rows], "o", color=NEUTRAL, ms=3.5, alpha=0.6)
        ends = [min(truth), max(truth)]
        axes.plot(ends, ends, color=GREY, lw=1)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("packet level (s)")
        axes.set_ylabel("predicted (s)")
    within = sum(abs(row["error"]) <= 0.2 for row in rows) / len(rows)
    return Chart(
        key="bench-packets",
        title="Transfer times",
        caption="A point a case of W3, mean over its transfers; on the grey line the prediction is right. Logarithmic axes.",
        alt=f"{within:.0%} of {len(rows)} cases are predicted within 20 % of their packet-level time.",
        figure=figure,
    )


def _point(point: dict[str, Any]) -> dict[str, Any]:
    shown = {
        "orders": f"{point['orders']:,}",
        "error": point["error"],
        "goals": [_goal(g) for g in point["goals"]],
    }
    cost = point["cost"]
    if cost is not None:
        shown |= {
            "deliveries": f"{point['deliveries']:,}",
            "cpu": show(cost["cpu_s"], "s"),
            "each": f"{1e3 * point['cpu_per_delivery_s']:.3g} ms",
            "memory": show(cost["memory_bytes"], "B"),
            "events": f"{point['events']:,}",
            "pace": f"{point['events_per_s']:,.0f}",
        }
    return shown


def _growth_curve(points: Sequence[dict[str, Any]]) -> Chart:
    """Draw CPU of a delivery, peak memory and events a second over the number of deliveries."""
    numbers = [p["deliveries"] for p in points]
    panels = (
        ("CPU of a delivery (ms)", [1e3 * p["cpu_per_delivery_s"] for p in points]),
        ("peak memory (MiB)", [p["cost"]["memory_bytes"] / 2**20 for p in points]),
        ("events per CPU second", [p["events_per_s"] for p in points]),
    )
    with style():
        figure = new_figure(7.2, 2.8)
        for k, (label, values) in enumerate(panels):
            axes = figure.add_subplot(1, len(panels), k + 1)
            axes.plot(numbers, values, "o-", color=NEUTRAL)
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_title(label, fontsize=9)
            axes.set_xlabel("deliveries")
            axes.set_ylim(min(values) / 3, 3 * max(values))
    first, last = points[0], points[-1]
    return Chart(
        key="bench-growth",
        title="Growth",
        caption="A day of the national network; capacity grows with the orders, so each node is as busy at every size. "
        "Whole processes, start and report included. Logarithmic axes.",
        alt=f"From {first['deliveries']:,} to {last['deliveries']:,} deliveries the CPU of one goes from "
        f"{1e3 * first['cpu_per_delivery_s']:.3g} to {1e3 * last['cpu_per_delivery_s']:.3g} ms.",
        figure=figure,
    )


def _card(result: dict[str, Any]) -> list[tuple[str, str]]:
    machine = result["machine"]
    return [
        ("Processor", f"{machine['processor']}, {machine['cores']} cores"),
        ("Memory", show(machine["memory_bytes"], "B")),
        ("System", machine["system"]),
        ("Python", machine["python"]),
        ("Load at the start", "unknown" if machine["load"] is None else f"{machine['load']:.2f}"),
        ("Repeats", str(result["repeats"])),
        ("Seed", "that of the published figures" if result["seed"] is None else str(result["seed"])),
        *((tool, version) for tool, version in result["versions"].items()),
    ]
