"""KPIs of a run: one number each, with its interval or the reason why it has none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from dssn_models.market.orders import detail_share
from dssn_models.plan import ObjectivePlan, Plan
from dssn_sim.stats.catalogue import measure
from dssn_sim.stats.facts import RunFacts
from dssn_sim.stats.intervals import (
    Interval,
    across,
    mean_within,
    quantile_across,
    quantile_interval,
    share_across,
    share_within,
)
from dssn_sim.stats.measures import KPIS, Key, Measure, Measures, quantile_name
from dssn_sim.stats.rows import split_replications

__all__ = ["Kpi", "Verdict", "combine", "judge", "kpis", "measures"]

Met = Literal["met", "missed", "undecided", ""]


@dataclass(frozen=True, slots=True)
class Kpi:
    """One number of a run.

    Attributes
    ----------
    name : str
        Of the KPI catalogue (:data:`dssn_sim.stats.measures.KPIS`).
    stat : str
        ``mean`` ``p50`` ``p95`` ``p99`` ``share`` ``sum`` ``max`` ``count`` ``rate``.
    cls, part : str
        Priority class and engine, phase, reason ...; '' for all.
    unit : str
        SI; shares are fractions.
    direction : str
        ``min``: less is better; ``max``; '' neither.
    estimate : float
        NaN if nothing was observed.
    low, high : float or None
        The interval; None with a reason in ``why_no_interval``.
    n : int
        Replications, or observations where the interval comes from inside a replication.
    observations : int
        Orders, deliveries, records behind the number in all replications.
    method : str
        How the interval was made.
    objective : str
        The objective in words, '' if none; ``met`` judges it.
    """

    name: str
    cls: str
    unit: str
    direction: str
    estimate: float
    low: float | None
    high: float | None
    n: int
    method: str
    objective: str = ""
    met: Met = ""
    stat: str = "mean"
    part: str = ""
    observations: int = 0
    why_no_interval: str = ""

    @property
    def key(self) -> str:
        """Its name for people and for sweeps, for example ``order_to_result.p95[urgent]``."""
        return str(Key(self.name, self.stat, self.cls, self.part))

    @property
    def meaning(self) -> str:
        """The definition in the catalogue."""
        return KPIS[self.name].meaning

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"key": self.key, **asdict(self)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Kpi:
        """Return the KPI that :meth:`as_dict` gave."""
        fields = {k: v for k, v in value.items() if k != "key"}
        if fields["estimate"] is None:
            fields["estimate"] = math.nan
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class Verdict:
    """An objective and what the run says about it.

    Attributes
    ----------
    text : str
        The objective in words.
    met : str
        ``met``, ``missed`` or ``undecided`` (the interval straddles the bound, or there is none).
    key : str
        The KPI it was judged by.
    why : str
        Why undecided, or missed without a number; '' otherwise.
    """

    text: str
    kpi: str
    cls: str
    stat: str
    bound: float
    direction: str
    met: Met
    estimate: float
    low: float | None
    high: float | None
    key: str
    why: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def measures(tables: Mapping[str, pa.Table], facts: RunFacts) -> list[Measures]:
    """Return the KPI values of each replication in the tables."""
    return [measure(part, number, facts) for number, part in split_replications(tables)]


def kpis(tables: Mapping[str, pa.Table], plan: Plan | RunFacts) -> list[Kpi]:
    """Return all KPIs of a run with intervals, objectives judged.

    Parameters
    ----------
    tables : Mapping
        Table name to Arrow table with all replications (column ``replication``).
    plan : Plan or RunFacts
        Gives warm-up, horizon, confidence, classes and objectives.
    """
    facts = plan if isinstance(plan, RunFacts) else RunFacts.of(plan, detail_share(plan))
    return combine(measures(tables, facts), facts)


def combine(replications: Sequence[Measures], facts: RunFacts) -> list[Kpi]:
    """Return the KPIs from the values of the replications."""
    keys = _keys(replications)
    result = []
    for key in keys:
        found = [_value(m, key) for m in replications]
        present = [m for m in found if m is not None]
        if not present:
            continue
        interval = _possible(_interval(key, present, facts.confidence), present, KPIS[key.name].unit)
        info = KPIS[key.name]
        result.append(
            Kpi(
                key.name, key.cls, info.unit, info.direction, interval.estimate, interval.low, interval.high,
                interval.n, interval.method, stat=key.stat, part=key.part,
                observations=sum(m.n for m in present), why_no_interval=interval.why,
            )
        )  # fmt: skip
    verdicts = {v.key: v for v in judge(result, facts.objectives)}
    return [
        replace(k, objective=verdicts[k.key].text, met=verdicts[k.key].met) if k.key in verdicts else k
        for k in result
    ]


def _keys(replications: Sequence[Measures]) -> list[Key]:
    """Return all keys in catalogue order; inside a KPI as first met."""
    seen: dict[Key, None] = {}
    for m in replications:
        seen.update(dict.fromkeys(m.values))
    rank = {name: i for i, name in enumerate(KPIS)}
    return sorted(seen, key=lambda k: (rank[k.name], k.part, k.cls != ""))


def _value(found: Measures, key: Key) -> Measure | None:
    """Return a replication's value; a reason or side that did not occur is a true zero there."""
    value = found.values.get(key)
    if value is not None:
        return value
    if key.part and key.name in ("admit_refuse", "failed_share"):
        whole = found.values.get(Key(key.name, key.stat, key.cls))
        if whole is not None and whole.sample is not None:
            return Measure(0.0, whole.n, np.zeros(whole.n))
    if key.part and key.stat == "sum" and Key("orders_total", "count") in found.values:
        return Measure(0.0, 0)
    return None


def _interval(key: Key, found: Sequence[Measure], confidence: float) -> Interval:
    if len(found) == 1:
        if KPIS[key.name].invariant == key.part:
            value = found[0].value
            return Interval(value, value, value, found[0].n, "exact: counted in full, holds in every run")
        return _one(key, found[0], confidence)
    values = [m.value for m in found]
    if key.stat == "share":
        trials = sum(m.n for m in found)
        hits = round(sum(m.value * m.n for m in found))
        return share_across(values, hits, trials, confidence)
    q = found[0].q
    if math.isnan(q):
        return across(values, confidence)
    return quantile_across([m.sample for m in found if m.sample is not None], q, confidence)


def _possible(interval: Interval, found: Sequence[Measure], unit: str) -> Interval:
    """Return the interval cut to what is possible: nothing below 0, no share above 1, whatever Student t says."""
    values = [m.value for m in found]
    if interval.low is not None and interval.low < 0 <= min(values):
        interval = replace(interval, low=0.0, method=f"{interval.method}, cut at 0")
    if unit == "share" and interval.high is not None and max(values) <= 1 < interval.high:
        interval = replace(interval, high=1.0, method=f"{interval.method}, cut at 100 %")
    return interval


def _one(key: Key, found: Measure, confidence: float) -> Interval:
    if key.stat == "share":
        if found.sample is None:
            hits = round(found.value * found.n)
            return Interval(
                found.value, None, None, found.n, "", f"one replication: {hits} of {found.n}, totals only"
            )
        return share_within(found.sample, confidence)
    if not math.isnan(found.q) and found.sample is not None:
        return quantile_interval(found.sample, found.q, confidence)
    if key.stat == "rate" and found.sample is not None:
        half = across(found.sample, confidence).half  # windows of equal length are the batches
        low, high = max(0.0, found.value - half), found.value + half
        return Interval(found.value, low, high, found.n, f"{len(found.sample)} windows of one replication")
    if key.stat == "mean" and found.sample is not None:
        return mean_within(found.sample, confidence)
    kind = {"count": "a count", "sum": "a total"}.get(key.stat, "a time average kept as a total")
    return Interval(found.value, None, None, found.n, "", f"{kind} of one replication has no spread")


# ------------------------------------------------------------------ objectives


def judge(found: Sequence[Kpi], objectives: Sequence[ObjectivePlan]) -> list[Verdict]:
    """Return the verdict on each objective.

    ``met`` or ``missed`` only if the whole interval lies on one side of the bound. Two exceptions: an
    invariant is judged by what was counted, and what only completed deliveries have is missed if no order completed.
    """
    by_key = {(k.name, k.stat, k.cls): k for k in found if not k.part}
    by_part = {(k.name, k.stat, k.part): k for k in found if k.part}
    return [_judge_one(o, by_key, by_part) for o in objectives]


def _judge_one(
    o: ObjectivePlan, by_key: Mapping[tuple[str, str, str], Kpi], by_part: Mapping[tuple[str, str, str], Kpi]
) -> Verdict:
    cls = o.cls or ""
    wanted = [quantile_name(o.quantile)] if o.quantile is not None else ["mean"]
    # A KPI without quantiles is judged as it is: shares, rates, totals.
    candidates = [*wanted, "share", "rate", "count", "mean", "sum", "max"]
    kpi = next((by_key[o.kpi, s, cls] for s in candidates if (o.kpi, s, cls) in by_key), None)
    if kpi is None and not cls:
        parts = [k for (n, s, _), k in by_part.items() if n == o.kpi and s in candidates]
        sign = 1 if o.direction == "max" else -1
        exact = KPIS[o.kpi].invariant if o.kpi in KPIS else None
        # The worst part decides; of equal ones that which needs no interval.
        kpi = max(parts, key=lambda k: (sign * k.estimate, k.part == exact), default=None)
    stat = kpi.stat if kpi else wanted[0]
    least_or_most = "at most" if o.direction == "max" else "at least"
    unit = KPIS[o.kpi].unit if o.kpi in KPIS else ""
    text = f"{Key(o.kpi, stat, cls)} {least_or_most} {_show(o.bound, unit)}"
    if kpi is None:
        nothing: tuple[Met, str] = ("undecided", "nothing was observed")
        if o.kpi in KPIS and KPIS[o.kpi].delivered and _none_completed(by_key, cls):
            nothing = ("missed", "no order completed")
        return Verdict(
            text, o.kpi, cls, stat, o.bound, o.direction, nothing[0], math.nan, None, None, "", nothing[1]
        )
    met, why = _met(kpi, o)
    return Verdict(
        text, o.kpi, cls, stat, o.bound, o.direction, met, kpi.estimate, kpi.low, kpi.high, kpi.key, why
    )


def _none_completed(by_key: Mapping[tuple[str, str, str], Kpi], cls: str) -> bool:
    """Return whether orders (of a class) arrived and none was completed."""
    share = by_key.get(("completed_share", "share", cls)) or by_key.get(("completed_share", "share", ""))
    return share is not None and share.estimate == 0


def _met(kpi: Kpi, o: ObjectivePlan) -> tuple[Met, str]:
    if KPIS[kpi.name].invariant == kpi.part:
        holds = kpi.estimate <= o.bound if o.direction == "max" else kpi.estimate >= o.bound
        return ("met" if holds else "missed"), ""
    if kpi.low is None or kpi.high is None:
        return "undecided", kpi.why_no_interval
    inside = kpi.high <= o.bound if o.direction == "max" else kpi.low >= o.bound
    outside = kpi.low > o.bound if o.direction == "max" else kpi.high < o.bound
    if inside:
        return "met", ""
    if outside:
        return "missed", ""
    return "undecided", "the interval straddles the bound: more replications or a longer run decide it"


def _show(value: float, unit: str) -> str:
    if unit == "share":
        return f"{100 * value:.4g} %"
    return f"{value:.6g} {unit}".strip()
