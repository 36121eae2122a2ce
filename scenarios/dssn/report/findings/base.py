"""What a finding is, and the few sums that all findings need: per replication first, interval over them last."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dssn.report.numbers import show, show_estimate

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from dssn.report.data import RunData
    from dssn_sim.stats.intervals import Interval

__all__ = [
    "Finding",
    "Grid",
    "clock",
    "completed",
    "described",
    "group_of",
    "mean_text",
    "mentions",
    "per_replication",
    "quantile_of",
    "question",
    "share_of",
    "told",
]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of a finding, cells in words.

    Attributes
    ----------
    title, note : str
        Heading, and what a reader must know below it.
    heads : tuple of str
        Column heads.
    rows : tuple of tuple of str
        Cells.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a run says about one matter.

    Attributes
    ----------
    topic : str
        Short name.
    sentences : tuple of str
        The most important first; none if only the table is of use.
    words : tuple of str
        Beginnings of words of a question which this finding answers.
    grids : tuple of Grid
        Tables for the details.
    """

    topic: str
    sentences: tuple[str, ...]
    words: tuple[str, ...] = ()
    grids: tuple[Grid, ...] = ()


def mentions(text: str, words: Sequence[str]) -> int:
    """Return how many of these beginnings of words a text holds.

    Examples
    --------
    >>> mentions("How long until the backlog is gone?", ("backlog", "how long", "fault"))
    2
    """
    lower = text.lower()
    return sum(bool(re.search(rf"\b{re.escape(w.lower())}", lower)) for w in words)


def question(data: RunData) -> str:
    """Return the question of the scenario."""
    return str(data.fact("question", default="") or (data.plan.question if data.plan else ""))


def group_of(data: RunData) -> Callable[[pd.DataFrame], pd.Series]:
    """Return how orders are grouped: by stream, or by class if the question says so or streams are many.

    Streams that a scenario multiplies (``regional-query.Beijing``) count as one.
    """
    orders = data.table("orders")
    streams = len({s.split(".")[0] for s in orders["stream"].unique()})
    if mentions(question(data), ("class",)) or streams > 7:
        return lambda frame: frame["cls"]
    return lambda frame: base_of(frame["stream"])


def base_of(streams: pd.Series) -> pd.Series:
    """Return the scenario's stream of each stream: ``regional-query`` of ``regional-query.Beijing``."""
    return streams.map({s: s.split(".")[0] for s in streams.unique()})


def completed(data: RunData) -> pd.DataFrame:
    """Return the completed deliveries of orders that arrived after the warm-up."""
    return data.completed


def per_replication(data: RunData, values: pd.Series, frame: pd.DataFrame) -> list[NDArray[np.float64]]:
    """Return a column of a table as one array for each replication."""
    numbers = frame["replication"].to_numpy()
    column = values.to_numpy(dtype=float)
    return [column[numbers == r] for r in data.replications]


def quantile_of(data: RunData, frame: pd.DataFrame, column: str, q: float) -> Interval:
    """Return a quantile of a column over the replications, as the KPIs are made."""
    from dssn_sim.stats.intervals import quantile_across

    samples = [x[np.isfinite(x)] for x in per_replication(data, frame[column], frame)]
    return quantile_across(samples, q, data.confidence)


def share_of(data: RunData, hits: pd.Series, frame: pd.DataFrame) -> Interval:
    """Return the share of rows that are hits, over the replications that have rows."""
    from dssn_sim.stats.intervals import share_across, share_within

    samples = [x for x in per_replication(data, hits, frame) if len(x)]
    if len(samples) == 1:
        return share_within(samples[0], data.confidence)
    return share_across([float(x.mean()) for x in samples], int(hits.sum()), len(frame), data.confidence)


def mean_text(data: RunData, values: Sequence[float], unit: str, *, least: float | None = 0.0) -> str:
    """Return the mean of the replications' values with its interval in words."""
    from dssn_sim.stats.intervals import across

    return told(across(values, data.confidence), unit, least=least)


def told(interval: Interval, unit: str, *, least: float | None = 0.0) -> str:
    """Return an estimate in words: with its interval if it has one, cut at ``least``, and that of a share at 100 %.

    Examples
    --------
    >>> from dssn_sim.stats.intervals import Interval
    >>> told(Interval(90.0, -6.0, 186.0, 3), "s"), told(Interval(0.0, 0.0, 0.0, 3), "share")
    ('1.50 min (0.00 – 3.10 min)', '0 %')
    >>> told(Interval(0.892, 0.23, 1.555, 3), "share")
    '89.2 % (23.0 – 100 %)'
    """
    low, high = interval.low, interval.high
    if low is None or high is None or low == high:
        return show(interval.estimate, unit)
    if least is not None:
        low = max(low, least)
        high = min(high, max(1.0, interval.estimate)) if unit == "share" else high
    value, bounds = show_estimate(interval.estimate, low, high, unit)
    return f"{value} ({bounds})"


def clock(seconds: float) -> str:
    """Return a time of the run as hours and minutes since its start.

    Examples
    --------
    >>> clock(3 * 3600), clock(37 * 60 + 30)
    ('3:00 h', '0:38 h')
    """
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02d} h"


def described(items: Sequence[str]) -> str:
    """Return items as a list in words.

    Examples
    --------
    >>> described(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)
