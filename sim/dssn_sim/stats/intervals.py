"""Confidence intervals: never a number without one, or without the reason why not.

Across replications: Student t on the replication values (replications are independent
by construction of the random streams). Inside one replication: batch means for means
and shares, order statistics for quantiles. A share that is 0 or 1 everywhere has no
spread to estimate from and falls back to the exact binomial interval.

Formulas: Law, Simulation Modeling and Analysis (5th ed.), 9.4 and 9.5; order statistics
and Clopper-Pearson: Conover, Practical Nonparametric Statistics (3rd ed.), 3.1 and 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Interval",
    "across",
    "batch_means",
    "binomial",
    "least_for_quantile",
    "mean_within",
    "quantile",
    "quantile_across",
    "quantile_interval",
    "share_across",
    "share_within",
    "t_value",
]

Floats = NDArray[np.float64]

#: Batches of one replication; Law 9.5.3 advises 10 to 30.
BATCHES = 20
#: Least observations per batch that still make a mean.
PER_BATCH = 5
#: Least observations beyond a quantile in each replication before replication quantiles are averaged.
BEYOND = 5


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its confidence interval, or why it has none.

    Attributes
    ----------
    estimate : float
        In the unit of the quantity; NaN where nothing was observed.
    low, high : float or None
        Bounds of the interval, or None.
    n : int
        What the spread was estimated from: replications, or observations of one replication.
    method : str
        How, in words.
    why : str
        Why there is no interval; '' if there is one.
    """

    estimate: float
    low: float | None
    high: float | None
    n: int
    method: str = ""
    why: str = ""

    @property
    def half(self) -> float:
        """Half the width, NaN without an interval."""
        if self.low is None or self.high is None:
            return math.nan
        return (self.high - self.low) / 2


def _special() -> ModuleType:
    """Return SciPy's special functions; imported late, as workers and most commands never need them."""
    from scipy import special

    return special


def t_value(confidence: float, freedom: float) -> float:
    """Return the two-sided Student t value.

    Examples
    --------
    >>> round(t_value(0.95, 4), 3)
    2.776
    """
    return float(_special().stdtrit(freedom, 0.5 + confidence / 2))


def _none(estimate: float, n: int, why: str) -> Interval:
    return Interval(estimate, None, None, n, "", why)


def across(values: Sequence[float] | Floats, confidence: float = 0.95) -> Interval:
    """Return the mean over replications with its Student t interval."""
    x = np.asarray(values, dtype=np.float64)
    x = x[np.isfinite(x)]
    n = len(x)
    if n == 0:
        return _none(math.nan, 0, "nothing was observed")
    mean = float(x.mean())
    if n == 1:
        return _none(mean, 1, "observed in one replication only")
    if x.min() == x.max():  # exact, where the rounding of a standard deviation would not be
        same = float(x[0])
        return Interval(same, same, same, n, f"the same in all {n} replications")
    half = t_value(confidence, n - 1) * float(x.std(ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n, f"Student t over {n} replications")


def binomial(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Return a share with its exact (Clopper-Pearson) interval, trials taken as independent.

    Examples
    --------
    >>> round(binomial(0, 100).high, 4)
    0.0362
    """
    if trials <= 0:
        return _none(math.nan, 0, "nothing was observed")
    special = _special()
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else float(special.betaincinv(successes, trials - successes + 1, tail))
    high = (
        1.0 if successes == trials else float(special.betaincinv(successes + 1, trials - successes, 1 - tail))
    )
    return Interval(successes / trials, low, high, trials, f"exact binomial over {trials} orders")


def share_across(values: Sequence[float], successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Return a share over replications; exact binomial where all replications agree on 0 or 1."""
    interval = across(values, confidence)
    if interval.low is None or interval.high is None:
        return interval
    if interval.low == interval.high and interval.estimate in (0.0, 1.0):
        return binomial(successes, trials, confidence)
    return Interval(
        interval.estimate, max(0.0, interval.low), min(1.0, interval.high), interval.n, interval.method
    )


def batch_means(values: Floats, confidence: float = 0.95, batches: int = BATCHES) -> Interval:
    """Return the mean of one replication's observations with its batch-means interval.

    The observations stay in order of time, so that neighbours which influenced each other
    mostly share a batch. The observations that do not fill the last batch are left out of
    the spread, not of the estimate.
    """
    n = len(values)
    if n == 0:
        return _none(math.nan, 0, "nothing was observed")
    mean = float(values.mean())
    count = min(batches, n // PER_BATCH)
    if count < 5:
        return _none(mean, n, f"one replication with {n} observations; an interval needs {5 * PER_BATCH}")
    size = n // count
    means = values[: size * count].reshape(count, size).mean(axis=1)
    half = t_value(confidence, count - 1) * float(means.std(ddof=1)) / math.sqrt(count)
    return Interval(mean, mean - half, mean + half, n, f"{count} batch means of one replication")


def mean_within(values: Floats, confidence: float = 0.95) -> Interval:
    """Return the mean of one replication (batch means)."""
    return batch_means(values, confidence)


def share_within(hits: Floats, confidence: float = 0.95) -> Interval:
    """Return the share of one replication: batch means, or exact binomial where hits (or misses) are rare."""
    n = len(hits)
    successes = int(hits.sum())
    if min(successes, n - successes) < 10 or n < 5 * PER_BATCH:
        return binomial(successes, n, confidence)
    found = batch_means(hits, confidence)
    if found.low is None or found.high is None:
        return binomial(successes, n, confidence)
    return Interval(found.estimate, max(0.0, found.low), min(1.0, found.high), n, found.method)


def quantile(values: Floats, q: float) -> float:
    """Return the sample quantile: the smallest value with at least ``q`` of the sample at or below it."""
    if len(values) == 0:
        return math.nan
    return float(np.quantile(values, q, method="inverted_cdf"))


def least_for_quantile(q: float, confidence: float = 0.95) -> int:
    """Return how many observations a two-sided order-statistic interval of this quantile needs.

    Examples
    --------
    >>> least_for_quantile(0.5), least_for_quantile(0.95), least_for_quantile(0.99)
    (6, 72, 368)
    """
    tail = (1 - confidence) / 2
    return max(math.ceil(math.log(tail) / math.log(q)), math.ceil(math.log(tail) / math.log1p(-q)))


def _ranks(n: int, q: float, confidence: float) -> tuple[int, int] | None:
    """Return the 1-based ranks (l, u) with P(X_l <= quantile <= X_u) >= confidence."""
    tail = (1 - confidence) / 2
    if n < least_for_quantile(q, confidence):
        return None
    spread = 8 * math.sqrt(n * q * (1 - q)) + 8
    k = np.arange(max(0, math.floor(n * q - spread)), min(n, math.ceil(n * q + spread)) + 1)
    below = _special().bdtr(k, n, q)  # P(at most k observations at or below the quantile)
    low = k[below <= tail]
    high = k[1 - below <= tail]
    if len(low) == 0 or len(high) == 0:
        return None
    lower, upper = int(low[-1]) + 1, int(high[0]) + 1
    return (lower, upper) if upper <= n else None


def quantile_interval(
    values: Floats, q: float, confidence: float = 0.95, *, ordered_in_time: bool = True
) -> Interval:
    """Return a quantile of one sample with its order-statistic (binomial) interval.

    The binomial interval takes observations as independent. Where the sample is long enough
    (``20 * 20``), the batch means of the indicator "at or below the quantile" measure how far
    queueing makes neighbours alike, and the wider of both intervals is given.

    Parameters
    ----------
    values : array
        In order of time.
    q : float
        In (0, 1).
    """
    n = len(values)
    estimate = quantile(values, q)
    if n == 0:
        return _none(estimate, 0, "nothing was observed")
    ranks = _ranks(n, q, confidence)
    if ranks is None:
        need = least_for_quantile(q, confidence)
        return _none(estimate, n, f"{n} observations; the interval of this quantile needs at least {need}")
    lower, upper = ranks
    method = f"order statistics of {n} observations"
    if ordered_in_time and n >= BATCHES * BATCHES:
        hits = (values <= estimate).astype(np.float64)
        half = batch_means(hits, confidence).half
        wide_low, wide_high = math.floor(n * (q - half)), math.ceil(n * (q + half))
        if wide_low < lower or wide_high > upper:
            if wide_low < 1 or wide_high > n:
                return _none(estimate, n, f"{n} observations too much alike in time for this quantile")
            lower, upper = min(lower, wide_low), max(upper, wide_high)
            method += f", widened for correlation by {BATCHES} batches"
    part = np.partition(values, (lower - 1, upper - 1))
    return Interval(estimate, float(part[lower - 1]), float(part[upper - 1]), n, method)


def quantile_across(samples: Sequence[Floats], q: float, confidence: float = 0.95) -> Interval:
    """Return a quantile over replications: the mean of their quantiles, or that of all observations if few.

    Below :data:`BEYOND` observations beyond the quantile a replication's own quantile is biased; then all
    are pooled. One replication is judged by its order statistics.

    Parameters
    ----------
    samples : sequence of array
        The observations of each replication, in order of time.
    q : float
        In (0, 1).
    """
    samples = [s for s in samples if len(s)]
    if not samples:
        return _none(math.nan, 0, "nothing was observed")
    if len(samples) == 1:
        return quantile_interval(samples[0], q, confidence)
    if min(len(s) for s in samples) * min(q, 1 - q) >= BEYOND:
        return across([quantile(s, q) for s in samples], confidence)
    inside = quantile_interval(np.concatenate(samples), q, confidence, ordered_in_time=False)
    if inside.low is None:
        return inside
    return replace(inside, method=f"{inside.method} of {len(samples)} replications pooled")
