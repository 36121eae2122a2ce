"""When orders arrive: times of one stream, drawn in bulk.

Random arrivals are a Poisson process of rate 1 in "operational time", mapped to virtual time by the
inverse of the integrated rate (Çinlar's method; Lewis and Shedler 1979 give thinning as the other way).
The map is exact for rates that are constant piece by piece, wastes no draw, and two runs that differ in
their rates only see the same unit process (common random numbers).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dssn_models.dist import Dist
from dssn_models.plan import ArrivalPlan

__all__ = ["MAX_ORDERS", "DrawError", "arrival_times", "expected_count", "rate_steps"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DAY_S: Final = 86400.0
#: More orders of one stream than this are refused (8 columns of 8 B each would pass 1 GiB).
MAX_ORDERS: Final = 20_000_000
_BLOCK: Final = 4096


class DrawError(ValueError):
    """Orders that cannot be drawn: too many, or a choice with nothing to choose from."""


def window(plan: ArrivalPlan, horizon_s: float) -> tuple[float, float]:
    """Return the first and last moment (s) at which orders of the stream may arrive."""
    end = horizon_s if plan.end_s is None else min(plan.end_s, horizon_s)
    return plan.start_s, max(plan.start_s, end)


def rate_steps(plan: ArrivalPlan, horizon_s: float) -> tuple[Floats, Floats]:
    """Return the rate of a random stream as steps.

    Returns
    -------
    edges : ndarray, shape (k + 1,)
        Times (s), ascending, from the start to the end of the stream.
    rates : ndarray, shape (k,)
        Rate (1/s) between edges: the mean rate times the profile's entry (scaled to mean 1), times the
        factor of each window that covers the step.
    """
    start, end = window(plan, horizon_s)
    edges = {start, end}
    profile = np.asarray(plan.profile, dtype=float)
    slot = DAY_S / max(1, len(profile))
    if len(profile):
        first, last = int(np.floor(start / slot)), int(np.ceil(end / slot))
        edges.update(float(x) for x in np.arange(first, last + 1) * slot)
    for begin, duration, _factor in plan.windows:
        edges.update((begin, begin + duration))
    at = np.array(sorted(e for e in edges if start <= e <= end))
    if len(at) < 2:
        return np.array([start, start]), np.zeros(1)
    middle = (at[:-1] + at[1:]) / 2
    rates = np.full(len(middle), plan.rate)
    if len(profile) and profile.sum() > 0:
        rates *= (profile / profile.mean())[((middle % DAY_S) // slot).astype(int) % len(profile)]
    elif len(profile):
        rates[:] = 0.0
    for begin, duration, factor in plan.windows:
        rates[(middle >= begin) & (middle < begin + duration)] *= factor
    return at, rates


def expected_count(plan: ArrivalPlan, horizon_s: float) -> float:
    """Return the mean number of orders of a stream (for checks before a run)."""
    start, end = window(plan, horizon_s)
    if plan.kind in ("schedule", "trace"):
        times = np.asarray(plan.times)
        count = float(np.count_nonzero((times >= start) & (times < end)))
    elif plan.kind == "renewal":
        mean = plan.gap.mean if plan.gap is not None else np.inf
        count = (end - start) / mean if mean > 0 else np.inf
    else:
        edges, rates = rate_steps(plan, horizon_s)
        count = float(np.dot(np.diff(edges), rates))
    return count if plan.limit is None else min(count, float(plan.limit))


def _unit_poisson(rng: np.random.Generator, total: float, limit: int | None) -> Floats:
    """Return the points of a Poisson process of rate 1 in [0, total).

    Drawn gap by gap, so a longer horizon or a higher rate only adds points at the end.
    """
    if total > 2 * MAX_ORDERS and (limit is None or limit > MAX_ORDERS):
        raise DrawError(f"about {total:.3g} orders in one stream; at most {MAX_ORDERS}")
    blocks: list[Floats] = []
    reached, count = 0.0, 0
    while reached < total and (limit is None or count < limit):
        points = reached + np.cumsum(rng.exponential(1.0, _BLOCK))
        reached = float(points[-1])
        count += _BLOCK
        blocks.append(points)
    points = np.concatenate(blocks) if blocks else np.empty(0)
    points = points[points < total]
    return points if limit is None else points[:limit]


def _renewal(
    rng: np.random.Generator, gap: Dist | None, start: float, end: float, limit: int | None
) -> Floats:
    if gap is None:
        raise DrawError("renewal arrivals without a gap")
    blocks: list[Floats] = []
    reached, count = start, 0
    while reached < end and (limit is None or count < limit):
        points = reached + np.cumsum(gap.sample(rng, _BLOCK))
        if not points[-1] > reached:
            raise DrawError(f"{_BLOCK} gaps of zero in a row")
        reached = float(points[-1])
        count += _BLOCK
        blocks.append(points)
        if count > MAX_ORDERS:
            raise DrawError(f"more than {MAX_ORDERS} orders in one stream")
    points = np.concatenate(blocks) if blocks else np.empty(0)
    points = points[points < end]
    return points if limit is None else points[:limit]


def arrival_times(plan: ArrivalPlan, horizon_s: float, rng: np.random.Generator) -> tuple[Floats, Ints]:
    """Return when the orders of a stream arrive.

    Parameters
    ----------
    plan : ArrivalPlan
        Kind and parameters.
    horizon_s : float
        End of the run (s); no order arrives at or after it.
    rng : numpy.random.Generator
        The stream's own generator for arrivals.

    Returns
    -------
    times : ndarray of float, shape (n,)
        Ascending (s).
    rows : ndarray of int, shape (n,)
        Index into ``plan.times`` and ``plan.columns`` for a schedule or trace, else 0 ... n-1.
    """
    start, end = window(plan, horizon_s)
    if plan.kind in ("schedule", "trace"):
        given = np.asarray(plan.times, dtype=float)
        rows = np.flatnonzero((given >= start) & (given < end))
        rows = rows[np.argsort(given[rows], kind="stable")][: plan.limit]
        return given[rows], rows.astype(np.int64)
    if plan.kind == "renewal":
        times = _renewal(rng, plan.gap, start, end, plan.limit)
    else:
        edges, rates = rate_steps(plan, horizon_s)
        passed = np.concatenate(([0.0], np.cumsum(np.diff(edges) * rates)))
        points = _unit_poisson(rng, float(passed[-1]), plan.limit)
        times = np.interp(points, passed, edges)
    return times, np.arange(len(times), dtype=np.int64)
