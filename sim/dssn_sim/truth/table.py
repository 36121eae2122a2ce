"""The truth table: our building blocks against closed forms.

Every simulated row has a 99 % interval from batch means with control variates (Lavenberg and
Welch, Management Science 27 (1981) 322-335). Twelve such intervals of one seed hold all their
closed forms with a probability of about 0.99^12 = 0.89 only, if everything is right. The seed is
therefore fixed (1, the first one tried), and :func:`coverage` tells how many of many seeds fall inside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dssn_sim.dataplane.batch import solve_static
from dssn_sim.stats.intervals import Interval, t_value
from dssn_sim.truth.cases import CASES, Case, Observed
from dssn_sim.truth.shares import NETWORKS

__all__ = ["CONFIDENCE", "SEED", "WIDTH", "Coverage", "Row", "controlled_mean", "coverage", "truth_table"]

Floats = NDArray[np.float64]

SEED: Final = 1
CONFIDENCE: Final = 0.99
#: Widest interval of the full table, as a share of the value.
WIDTH: Final = 0.03
#: The quick table has an eighth of the customers: intervals sqrt(8) as wide, and noisier widths.
QUICK: Final = 8
QUICK_WIDTH: Final = 0.12
#: Shares are exact up to rounding.
EXACT: Final = 1e-9

_BATCHES: Final = 50


@dataclass(frozen=True, slots=True)
class Row:
    """One closed form and what came out.

    Attributes
    ----------
    case, block, formula, quantity : str
        What was simulated, with which building block, against which closed form.
    closed, simulated : float
        Closed form and estimate.
    low, high : float
        99 % interval; for exact rows the largest deviation around the closed form.
    width : float
        Width of the interval as a share of the closed form.
    inside : bool
        Whether the closed form lies in the interval (exact rows: deviation below 1e-9).
    narrow : bool
        Whether the width is within the bound.
    observations : int
        Customers, or flows.
    """

    case: str
    block: str
    formula: str
    quantity: str
    closed: float
    simulated: float
    low: float
    high: float
    width: float
    inside: bool
    narrow: bool
    observations: int

    @property
    def ok(self) -> bool:
        """Whether the row passes."""
        return self.inside and self.narrow


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many seeds gave an interval that holds the closed form."""

    case: str
    quantity: str
    inside: int
    seeds: int


def truth_table(quick: bool = False, seed: int = SEED) -> list[Row]:  # noqa: FBT001  fixed signature
    """Return the truth table.

    Parameters
    ----------
    quick : bool
        An eighth of the customers and a bound of 12 % instead of 3 % on the width.
    """
    rows = _shares()
    for case in CASES:
        rows += _rows(case, seed, case.customers // QUICK if quick else case.customers, quick)
    return rows


def coverage(seeds: Sequence[int], share: float = 1 / QUICK) -> list[Coverage]:
    """Return for each simulated row how many seeds fall inside their 99 % interval.

    Parameters
    ----------
    share : float
        Customers of each run as a share of the full table's.
    """
    counts: dict[tuple[str, str], int] = {}
    for seed in seeds:
        for case in CASES:
            for row in _rows(case, seed, int(case.customers * share), True):
                key = (row.case, row.quantity)
                counts[key] = counts.get(key, 0) + row.inside
    return [Coverage(case, quantity, n, len(seeds)) for (case, quantity), n in counts.items()]


def controlled_mean(
    observed: Observed, confidence: float = CONFIDENCE, batches: int = _BATCHES, skip: float = 0.01
) -> Interval:
    """Return the mean with its batch-means interval, inputs of known mean taken as control variates.

    Batches in which more customers came, or with more work, than the known means say have longer
    queues; the regression on the inputs takes that part of the noise away and leaves the
    estimate unbiased up to the square of the batch count's inverse.

    Parameters
    ----------
    skip : float
        Leading share left out (the system starts empty).
    """
    first = int(len(observed.values) * skip)
    size = (len(observed.values) - first) // batches

    def means(x: Floats) -> Floats:
        return np.asarray(x[first : first + size * batches].reshape(batches, size).mean(axis=1))

    y = means(observed.values)
    q = len(observed.controls)
    ones = np.ones((batches, 1))
    x = np.column_stack([means(c) - m for c, m in observed.controls]) if q else np.zeros((batches, 0))
    design = np.hstack([ones, x])
    solution = np.linalg.lstsq(design, y, rcond=None)[0]
    residual = y - design @ solution
    freedom = batches - q - 1
    variance = float(residual @ residual) / freedom * float(np.linalg.inv(design.T @ design)[0, 0])
    half = t_value(confidence, freedom) * math.sqrt(variance)
    estimate = float(solution[0])
    method = f"{batches} batch means, {q} control variates"
    return Interval(estimate, estimate - half, estimate + half, size * batches, method)


def _rows(case: Case, seed: int, customers: int, quick: bool) -> list[Row]:  # noqa: FBT001
    rows = []
    for observed in case.run(seed, customers):
        found = controlled_mean(observed)
        low, high = found.low or 0.0, found.high or 0.0
        width = (high - low) / observed.closed
        rows.append(
            Row(
                case.name, case.block, case.formula, observed.quantity, observed.closed, found.estimate, low,
                high, width, low <= observed.closed <= high, width < (QUICK_WIDTH if quick else WIDTH),
                len(observed.values),
            )
        )  # fmt: skip
    return rows


def _shares() -> list[Row]:
    """Return the exact rows: the flow whose share deviates most."""
    rows = []
    for case in NETWORKS:
        found = solve_static(case.capacities, case.routes, weights=case.weights, caps=case.caps)
        errors = np.abs(found - np.array(case.shares)) / np.array(case.shares)
        worst = int(np.argmax(errors))
        error = float(errors[worst])
        closed = case.shares[worst]
        rows.append(
            Row(
                f"max-min: {case.name}", "data plane solver", "water filling",
                f"share of flow {worst} (worst of {len(errors)})", closed, float(found[worst]),
                closed * (1 - error), closed * (1 + error), 2 * error, error <= EXACT, error <= EXACT,
                len(errors),
            )
        )  # fmt: skip
    return rows
