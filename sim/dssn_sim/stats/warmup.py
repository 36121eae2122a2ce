"""The warm-up cut, and a hint whether it is long enough.

Orders that arrived before the end of the warm-up count in no KPI; rows that belong to an
order go with it, rows that belong to none go by their time. Totals of links, nodes and
services already start at the warm-up's end (the kernel resets them there).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dssn_models.results import TABLES
from dssn_sim.stats.facts import RunFacts
from dssn_sim.stats.rows import Rows

__all__ = ["WarmupHint", "cut", "hint", "mser5", "welch"]

Floats = NDArray[np.float64]

_TIME_COLUMNS = ("arrived_s", "start_s", "at_s", "opened_s")


def cut(tables: Mapping[str, pa.Table], warmup_s: float) -> dict[str, pa.Table]:
    """Return one replication's tables without what belongs to the warm-up.

    Parameters
    ----------
    tables : Mapping
        Tables of a single replication.
    warmup_s : float
        End of the warm-up, s.
    """
    if warmup_s <= 0:
        return dict(tables)
    kept: NDArray[np.int64] | None = None
    if "orders" in tables:
        orders = Rows(tables["orders"])
        kept = orders.integer("order")[orders.number("arrived_s") >= warmup_s]
    result = {}
    for name, table in tables.items():
        names = TABLES[name].names
        time = next((c for c in _TIME_COLUMNS if c in names), None)
        rows = Rows(table)
        if "order" in names and kept is not None:
            numbers = rows.integer("order")
            mask = np.isin(numbers, kept)
            if time is not None:
                mask |= (numbers < 0) & (rows.number(time) >= warmup_s)
        elif time is not None:
            mask = rows.number(time) >= warmup_s
        else:
            result[name] = table
            continue
        result[name] = rows.where(mask).table
    return result


def mser5(values: Floats, batch: int = 5) -> int:
    """Return how many leading observations MSER-5 would drop.

    White, Cobb and Spratt, "A comparison of five steady-state truncation heuristics for
    simulation", WSC 2000: the truncation that gives the smallest standard error of the mean of
    batches of five, looked for in the first half.

    Examples
    --------
    >>> import numpy as np
    >>> mser5(np.r_[np.full(50, 9.0), np.tile([1.0, 2.0, 3.0, 2.0, 2.0], 100)])
    50
    """
    count = len(values) // batch
    if count < 4:
        return 0
    means = values[: count * batch].reshape(count, batch).mean(axis=1)
    # Sums of the tail from each batch on.
    left = np.arange(count, 0, -1, dtype=np.float64)
    first = np.cumsum(means[::-1])[::-1]
    second = np.cumsum((means**2)[::-1])[::-1]
    error = np.maximum(second - first**2 / left, 0.0) / left**2
    return int(np.argmin(error[: max(1, count // 2)])) * batch


def welch(series: list[Floats], window: int) -> Floats:
    """Return Welch's moving average over replications (Law, 9.5.1).

    Parameters
    ----------
    series : list of array
        The i-th observation of each replication; cut to the shortest.
    window : int
        Half width of the moving average, in observations.
    """
    length = min((len(s) for s in series), default=0)
    if length == 0:
        return np.zeros(0)
    mean = np.mean([s[:length] for s in series], axis=0)
    total = np.concatenate([[0.0], np.cumsum(mean)])
    i = np.arange(max(0, length - window))
    half = np.minimum(i, window)
    return np.asarray((total[i + half + 1] - total[i - half]) / (2 * half + 1), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class WarmupHint:
    """What MSER-5 says about the warm-up.

    Attributes
    ----------
    suggested_s : float
        End of the warm-up by MSER-5, s; NaN if there is too little to tell.
    used_s : float
        The warm-up of the run, s.
    enough : bool
        Whether the run's warm-up is at least the suggested one.
    text : str
        The same in words.
    """

    suggested_s: float
    used_s: float
    enough: bool
    text: str


def hint(replications: list[Mapping[str, pa.Table]], facts: RunFacts) -> WarmupHint:
    """Return the MSER-5 hint on ``order_to_result_s`` in order of arrival, warm-up included.

    The i-th deliveries of all replications are averaged first, which leaves the transient and
    takes away noise (Law, 9.5.1).
    """
    times: list[Floats] = []
    starts: list[Floats] = []
    for tables in replications:
        if "deliveries" not in tables:
            continue
        rows = Rows(tables["deliveries"])
        arrived, time = rows.number("arrived_s"), rows.number("order_to_result_s")
        usable = np.isfinite(time)
        arrived, time = arrived[usable], time[usable]
        order = np.argsort(arrived, kind="stable")
        times.append(time[order])
        starts.append(arrived[order])
    used = facts.warmup_s
    if not facts.steady:
        text = (
            "the load changes by design (profile, burst, trace or fault): the KPIs are those of this window"
        )
        return WarmupHint(math.nan, used, True, text)
    length = min((len(t) for t in times), default=0)
    if length < 100:
        return WarmupHint(math.nan, used, True, "fewer than 100 deliveries: no hint on the warm-up")
    dropped = mser5(np.mean([t[:length] for t in times], axis=0))
    suggested = float(np.mean([s[dropped] for s in starts])) if dropped else 0.0
    if dropped >= (length // 10) * 5 - 5:  # the minimum sits at the end of the search range
        text = (
            "MSER-5 finds no steady part: the load changes over the whole run (daily profile, surge or "
            "overload), so read the KPIs as those of this window"
        )
        return WarmupHint(suggested, used, False, text)
    enough = used >= suggested
    text = f"MSER-5 puts the end of the warm-up at {suggested:.0f} s; the run cuts at {used:.0f} s"
    return WarmupHint(suggested, used, enough, text if enough else text + ": lengthen the warm-up")
