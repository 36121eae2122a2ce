"""The answer in words: what was asked, what came out, how sure it is, what binds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dssn.report.binding import find_binding
from dssn.report.charts.phases import phase_means
from dssn.report.charts.refusals import losses
from dssn.report.findings import Finding, findings, relevance
from dssn.report.findings.base import mentions, question, share_of, told
from dssn.report.numbers import show, show_estimate, show_kpi, statistic, title

if TYPE_CHECKING:
    from dssn.report.data import RunData
    from dssn_sim.stats.kpi import Kpi, Verdict

__all__ = ["answer", "warnings"]


#: Sentences at most besides the first, if the verdicts leave as many; and how many findings there are room for at least.
_MOST, _LEAST = 6, 3


def answer(
    data: RunData, kpis: Sequence[Kpi], verdicts: Sequence[Verdict], found: Sequence[Finding] | None = None
) -> list[str]:
    """Return the answer as sentences: the verdict, what the question asks for, objectives not met, what else matters.

    Parameters
    ----------
    data : RunData
        The run.
    kpis, verdicts : sequence
        Of ``summary.json``.
    found : sequence of Finding, optional
        The findings of the run, if already at hand.
    """
    found = findings(data) if found is None else found
    asked = [f for f in found if relevance(data, f) > 0]
    first = [s for f in asked for s in f.sentences if s]
    general = [
        Finding("times", tuple(_times(data, kpis)), ("how long", "time", "take", "settle")),
        Finding("losses", tuple(_losses(data, kpis)), ("fail", "refuse", "lost", "reject")),
        Finding("binding", (find_binding(data).sentence,), ("bind", "bottleneck", "capacity", "carry")),
    ]
    general.sort(key=lambda f: -relevance(data, f))
    rest = [s for f in general for s in f.sentences]
    rest += [s for f in found if f not in asked for s in f.sentences[:1]]
    rest += _phases(data)
    head, *details = _verdicts(verdicts)
    room = max(_MOST - len(details), _LEAST)
    return [
        head,
        *first[:room],
        *details,
        *[s for s in rest if s][: max(room - len(first), 0)],
        *_exposure(kpis),
    ]


def _verdicts(verdicts: Sequence[Verdict]) -> list[str]:
    if not verdicts:
        return ["The scenario sets no objectives, so nothing is judged."]
    missed = [v for v in verdicts if v.met == "missed"]
    unsure = [v for v in verdicts if v.met == "undecided"]
    n = len(verdicts)
    if not missed and not unsure:
        return [
            "The objective is met."
            if n == 1
            else f"All {n} objectives are met, each with its whole interval."
        ]
    words = [f"{len(group)} {word}" for group, word in ((missed, "missed"), (unsure, "undecided")) if group]
    met = n - len(missed) - len(unsure)
    if met:
        words.append(f"{met} met")
    if n == 1:
        parts = ["The objective is missed." if missed else "The objective is undecided."]
    else:
        parts = [f"Of {n} objectives: {', '.join(words)}."]
    parts += [f"Missed: {_one(v)}." for v in missed]
    parts += [f"Undecided: {_one(v)}; {v.why}." if v.why else f"Undecided: {_one(v)}." for v in unsure]
    return parts


def _one(v: Verdict) -> str:
    unit = _unit(v.kpi)
    who = f" in class {v.cls}" if v.cls else ""
    sign = "at most" if v.direction == "max" else "at least"
    if v.low is not None and v.high is not None:
        value, interval = show_estimate(v.estimate, v.low, v.high, unit)
        found = f"{value} (interval {interval})"
    else:
        found = v.why if v.met == "missed" and v.why else show(v.estimate, unit)
    return f"{title(v.kpi).lower()}{who}, {statistic(v.stat)}: {found}, asked {sign} {show(v.bound, unit)}"


def _unit(name: str) -> str:
    from dssn_sim.stats.measures import KPIS

    return KPIS[name].unit if name in KPIS else ""


def _find(kpis: Sequence[Kpi], name: str, stat: str, part: str = "") -> Kpi | None:
    return next((k for k in kpis if (k.name, k.stat, k.cls, k.part) == (name, stat, "", part)), None)


def _with_interval(kpi: Kpi) -> str:
    value, interval = show_kpi(kpi)
    return f"{value} (interval {interval})"


def _times(data: RunData, kpis: Sequence[Kpi]) -> list[str]:
    """Return median and tail: from trade to settlement if the question asks for it, else from order to receipt."""
    settle = mentions(question(data), ("settle",)) > 0
    name, what = (
        ("trade_to_settle", "trade to settlement")
        if settle
        else ("order_to_result", "order to signed receipt")
    )
    median, tail = _find(kpis, name, "p50"), _find(kpis, name, "p95")
    if median is None or tail is None:
        return []
    return [
        f"From {what} half of the deliveries took at most {show(median.estimate, 's')} and 95 % at most {_with_interval(tail)}."
    ]


def _losses(data: RunData, kpis: Sequence[Kpi]) -> list[str]:
    """Return how many orders came and which share of them was lost, for which reasons."""
    orders = data.after_warmup("orders")
    count = _find(kpis, "orders_total", "count")
    if orders.empty or count is None:
        return []
    many = f"{show(count.estimate, '')} orders per replication"
    frame = losses(data)
    if frame.empty:
        return [f"All {many} were completed."]
    share = told(share_of(data, orders["state"] != "completed", orders), "share")
    reasons = [
        f"{r['reason']} {show(float(r['share']), 'share', 2)}{f' ({m})' if (m := r['meaning']) else ''}"
        for _, r in frame.head(3).iterrows()
    ]
    return [f"Of {many} {share} were refused or failed: {', '.join(reasons)}."]


def _phases(data: RunData) -> list[str]:
    frame = phase_means(data)
    if frame.empty:
        return []
    total = frame.groupby("phase")["mean_s"].mean().sort_values(ascending=False)
    share = total / total.sum() if total.sum() > 0 else total
    top = [
        f"{str(p).replace('_', ' ')} ({show(float(s), 'share', 2)})"
        for p, s in share.head(3).items()
        if s > 0.005
    ]
    return [f"Most time goes into the phases {', '.join(top)} (classes weighted equally)."] if top else []


def _exposure(kpis: Sequence[Kpi]) -> list[str]:
    kpi = _find(kpis, "raw_exposed", "sum", "privacy and tee")
    if kpi is None:
        return []
    if kpi.estimate == 0:
        return []
    return [f"WARNING: {show(kpi.estimate, 'B')} of raw data left their owner in privacy or TEE deliveries."]


def warnings(data: RunData, kpis: Sequence[Kpi]) -> list[str]:
    """Return what a reader must know before trusting the numbers."""
    found = [str(w) for w in data.fact("warnings", default=()) or ()]
    n = len(data.replications)
    if n < 2:
        found.append(
            "One replication only: intervals come from inside the run or are missing. Use --replications 5 or more."
        )
    elif n < 5:
        found.append(f"Only {n} replications: intervals are wide. Five or more are usual.")
    asked = data.fact("replications", default=n)
    if isinstance(asked, int) and asked > n > 0:
        found.append(
            f"{asked - n} of {asked} replications have no result; the numbers rest on the other {n}."
        )
    failures = data.run.get("failures", ()) or ()
    found += [
        f"Replication {f.get('replication')} failed: {f.get('message')}"
        for f in failures
        if isinstance(f, dict)
    ]
    leak = _find(kpis, "channel_leak", "count")
    if leak is not None and leak.estimate > 0:
        found.append(f"{show(leak.estimate, '')} channels or slices were never closed.")
    warmup = data.summary.get("warmup") or {}
    if warmup.get("enough") is False:
        found.append(f"Warm-up: {warmup.get('text')}.")
    late = data.after_warmup("orders")
    late_share = float((late["reason"] == "run.horizon").mean()) if len(late) else 0.0
    if late_share > 0.01:
        found.append(
            f"{show(late_share, 'share')} of the orders were still under way when the run ended: the offered load may be "
            "larger than the capacity, and times are then too optimistic."
        )
    return found
