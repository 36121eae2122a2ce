"""Paired comparison of two runs with common random numbers.

Two runs of one seed see the same arrivals and sizes in replication r, so their difference in
replication r is free of what both have in common: the interval of the mean difference is
mostly much narrower than the two intervals suggest (Law, 10.2 and 11.2). Where the same
orders completed in both runs, their times are compared order by order as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dssn_sim.stats.catalogue import TABLES_READ, measure
from dssn_sim.stats.facts import RunFacts
from dssn_sim.stats.intervals import Interval, across, batch_means
from dssn_sim.stats.measures import KPIS, Key, Measures
from dssn_sim.stats.rows import Rows, split_replications
from dssn_sim.stats.warmup import cut

__all__ = ["Comparison", "PairedKpi", "RunLike", "compare", "paired"]

Floats = NDArray[np.float64]
Verdict = Literal["better", "worse", "lower", "higher", "no clear difference", "same"]
Tables = Mapping[str, pa.Table]


class RunLike(Protocol):
    """What :func:`compare` needs of a run folder."""

    @property
    def run(self) -> dict[str, Any]:
        """The run card."""
        ...

    @property
    def facts(self) -> RunFacts:
        """Warm-up, horizon, confidence."""
        ...

    @property
    def tables(self) -> list[str]:
        """Tables kept."""
        ...

    def table(self, name: str) -> pa.Table:
        """Return a table with all replications."""
        ...


@dataclass(frozen=True, slots=True)
class PairedKpi:
    """One KPI in both runs and the paired difference B - A.

    Attributes
    ----------
    a, b : float
        Means over the paired replications (or orders).
    difference, low, high : float
        B - A with its interval; the bounds are None with a reason in ``why_no_interval``.
    relative : float
        ``difference / a``; NaN where a is 0.
    per : str
        ``replication`` or ``order``: what was paired.
    verdict : str
        About B: ``better`` or ``worse`` if the KPI has a direction and the interval excludes 0,
        ``lower`` or ``higher`` if it has none, ``same`` if nothing differs.
    """

    name: str
    stat: str
    cls: str
    part: str
    unit: str
    direction: str
    a: float
    b: float
    difference: float
    low: float | None
    high: float | None
    relative: float
    n: int
    per: str
    method: str
    verdict: Verdict
    why_no_interval: str = ""

    @property
    def key(self) -> str:
        """Its name, for example ``order_to_result.p95[urgent]``."""
        return str(Key(self.name, self.stat, self.cls, self.part))

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"key": self.key, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs compared.

    Attributes
    ----------
    rows : tuple of PairedKpi
        KPI by KPI, paired by replication.
    orders : tuple of PairedKpi
        Times of the orders that completed in both runs, paired order by order.
    replications : tuple of int
        The replications that were paired.
    common : bool
        Whether both runs used one seed.
    notes : tuple of str
        What limits the comparison.
    """

    rows: tuple[PairedKpi, ...]
    orders: tuple[PairedKpi, ...]
    replications: tuple[int, ...]
    common: bool
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "rows": [r.as_dict() for r in self.rows],
            "orders": [r.as_dict() for r in self.orders],
            "replications": list(self.replications),
            "common_random_numbers": self.common,
            "notes": list(self.notes),
        }


def compare(a: RunLike, b: RunLike) -> Comparison:
    """Compare two run folders; differences are B - A."""
    names = [t for t in TABLES_READ if t in a.tables and t in b.tables]
    first = {name: a.table(name) for name in names}
    second = {name: b.table(name) for name in names}
    same_seed = a.run["seed"] == b.run["seed"]
    found = paired(first, second, a.facts, b.facts, common=same_seed)
    notes = list(found.notes)
    for what, x, y in (
        ("horizon", a.facts.horizon_s, b.facts.horizon_s),
        ("warm-up", a.facts.warmup_s, b.facts.warmup_s),
    ):
        if x != y:
            notes.append(f"the {what} differs: {x:g} s and {y:g} s; counts and totals cannot be compared")
    return Comparison(found.rows, found.orders, found.replications, found.common, tuple(notes))


def paired(
    a: Tables, b: Tables, facts_a: RunFacts, facts_b: RunFacts | None = None, *, common: bool = True
) -> Comparison:
    """Compare the tables of two runs.

    Parameters
    ----------
    a, b : Mapping
        Table name to Arrow table with all replications.
    facts_a, facts_b : RunFacts
        Of each run; ``facts_b`` defaults to ``facts_a``.
    common : bool
        Whether both used one seed; without, replications are still paired by number but gain
        nothing from it, and orders are not paired.
    """
    facts_b = facts_b or facts_a
    parts_a, parts_b = dict(split_replications(a)), dict(split_replications(b))
    numbers = sorted(set(parts_a) & set(parts_b))
    notes = []
    if not common:
        notes.append(
            "the seeds differ, so the orders are not the same and nothing can be paired: "
            "intervals are as wide as those of independent runs"
        )
    if len(parts_a) != len(parts_b) or len(numbers) < len(parts_a):
        notes.append(f"{len(numbers)} replications are in both runs; the others are left out")
    if len(numbers) == 1:
        notes.append("one replication: only the comparison order by order has intervals")
    values_a = [measure(parts_a[i], i, facts_a) for i in numbers]
    values_b = [measure(parts_b[i], i, facts_b) for i in numbers]
    rows = tuple(_by_replication(values_a, values_b, facts_a.confidence))
    orders: tuple[PairedKpi, ...] = ()
    if common:
        orders, unlike = _by_order(
            [cut(parts_a[i], facts_a.warmup_s) for i in numbers],
            [cut(parts_b[i], facts_b.warmup_s) for i in numbers],
            facts_a,
        )
        if unlike:
            notes.append(
                f"{unlike} orders of one number arrived at different times in the runs: the workloads differ"
            )
    return Comparison(rows, orders, tuple(numbers), common, tuple(notes))


def _by_replication(a: Sequence[Measures], b: Sequence[Measures], confidence: float) -> list[PairedKpi]:
    keys: dict[Key, None] = {}
    for m in (*a, *b):
        keys.update(dict.fromkeys(m.values))
    rank = {name: i for i, name in enumerate(KPIS)}
    rows = []
    for key in sorted(keys, key=lambda k: (rank[k.name], k.part, k.cls != "")):
        pairs = [
            (x.values[key].value, y.values[key].value)
            for x, y in zip(a, b, strict=True)
            if key in x.values and key in y.values
        ]
        if pairs:
            left, right = (np.array(v) for v in zip(*pairs, strict=True))
            interval = across(right - left, confidence)
            rows.append(_row(key, left, right, interval, "replication"))
    return rows


def _row(key: Key, left: Floats, right: Floats, interval: Interval, per: str) -> PairedKpi:
    info = KPIS[key.name]
    a, b = float(left.mean()), float(right.mean())
    return PairedKpi(
        key.name, key.stat, key.cls, key.part, info.unit, info.direction, a, b, interval.estimate,
        interval.low, interval.high, interval.estimate / a if a else math.nan, interval.n, per,
        interval.method,
        _verdict(interval, info.direction), interval.why,
    )  # fmt: skip


def _verdict(interval: Interval, direction: str) -> Verdict:
    if interval.low is None or interval.high is None:
        return "no clear difference"
    if interval.low == interval.high == 0:
        return "same"
    if interval.low <= 0 <= interval.high:
        return "no clear difference"
    up = interval.low > 0
    if not direction:
        return "higher" if up else "lower"
    return "better" if up == (direction == "max") else "worse"


def _by_order(a: Sequence[Tables], b: Sequence[Tables], facts: RunFacts) -> tuple[tuple[PairedKpi, ...], int]:
    """Return times paired order by order, and how many orders of one number are not the same order."""
    columns = {
        "order_to_result": "order_to_result_s",
        "order_to_open": "order_to_open_s",
        "job_time": "job_time_s",
    }
    collected: dict[tuple[str, str], list[tuple[Floats, Floats]]] = {}
    unlike = 0
    for x, y in zip(a, b, strict=True):
        if "deliveries" not in x or "deliveries" not in y:
            continue
        left, right = _completed(x["deliveries"]), _completed(y["deliveries"])
        _, i, j = np.intersect1d(left.integer("order"), right.integer("order"), return_indices=True)
        arrived_a, arrived_b = left.number("arrived_s")[i], right.number("arrived_s")[j]
        same = arrived_a == arrived_b
        unlike += int((~same).sum())
        i, j = i[same], j[same]
        by_time = np.argsort(left.number("arrived_s")[i], kind="stable")
        i, j = i[by_time], j[by_time]
        codes, classes = left.codes("cls")
        masks = [("", np.ones(len(i), dtype=np.bool_))]
        if len(classes) > 1:
            masks += [(c, codes[i] == classes.index(c)) for c in classes]
        for name, column in columns.items():
            time_a, time_b = left.number(column)[i], right.number(column)[j]
            finite = np.isfinite(time_a) & np.isfinite(time_b)
            for cls, mask in masks:
                pick = finite & mask
                if pick.any():
                    collected.setdefault((name, cls), []).append((time_a[pick], time_b[pick]))
    rows = []
    for (name, cls), pairs in collected.items():
        left_all, right_all = (np.concatenate(v) for v in zip(*pairs, strict=True))
        if len(pairs) > 1:
            interval = across([float((r - s).mean()) for s, r in pairs], facts.confidence)
        else:
            interval = batch_means(right_all - left_all, facts.confidence)
        rows.append(_row(Key(name, "mean", cls), left_all, right_all, interval, "order"))
    return tuple(rows), unlike


def _completed(table: pa.Table) -> Rows:
    rows = Rows(table)
    return rows.where(rows.equals("state", "completed"))
