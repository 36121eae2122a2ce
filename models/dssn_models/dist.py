"""Random quantities of a scenario: a frozen description that samples in bulk.

A distribution never owns a generator; the caller brings one that is keyed by
the *name* of the stream (:mod:`dssn_models.rng`), so a new node or policy never
shifts another's draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Dist", "DistKind", "constant"]

DistKind = Literal["constant", "exponential", "uniform", "lognormal", "pareto", "erlang", "normal", "table"]


@dataclass(frozen=True, slots=True)
class Dist:
    """A random quantity in SI units.

    Attributes
    ----------
    kind : DistKind
        ``constant(a)``, ``exponential(mean a)``, ``uniform(a, b)``, ``lognormal(median a, sigma b)``,
        ``pareto(minimum a, shape b)``, ``erlang(mean a, k b)``, ``normal(mean a, sd b)``,
        ``table(quantile levels in points_p, values in points_x)``.
    a, b : float
        The two parameters.
    low, high : float
        Values outside are clipped to these bounds.
    """

    kind: DistKind
    a: float
    b: float = 0.0
    low: float = 0.0
    high: float = math.inf
    points_p: tuple[float, ...] = ()
    points_x: tuple[float, ...] = ()

    def sample(self, rng: np.random.Generator, n: int) -> NDArray[np.float64]:
        """Return n values, shape (n,), clipped to [low, high]."""
        x: NDArray[np.float64]
        match self.kind:
            case "constant":
                x = np.full(n, self.a)
            case "exponential":
                x = rng.exponential(self.a, n)
            case "uniform":
                x = rng.uniform(self.a, self.b, n)
            case "lognormal":
                x = self.a * np.exp(self.b * rng.standard_normal(n))
            case "pareto":
                x = self.a * (1.0 + rng.pareto(self.b, n))
            case "erlang":
                k = max(1, round(self.b))
                x = rng.gamma(k, self.a / k, n)
            case "normal":
                x = rng.normal(self.a, self.b, n)
            case "table":
                x = np.interp(rng.random(n), self.points_p, self.points_x)
        return np.clip(x, self.low, self.high)

    @property
    def mean(self) -> float:
        """The mean before clipping (``inf`` for a Pareto with shape <= 1)."""
        match self.kind:
            case "constant" | "exponential" | "erlang" | "normal":
                return self.a
            case "uniform":
                return (self.a + self.b) / 2
            case "lognormal":
                return self.a * math.exp(self.b**2 / 2)
            case "pareto":
                return self.a * self.b / (self.b - 1) if self.b > 1 else math.inf
            case "table":
                return float(np.trapezoid(self.points_x, self.points_p))


def constant(value: float) -> Dist:
    """Return the distribution that is always ``value``."""
    return Dist("constant", value)
