"""Closed forms of queueing theory, in plain functions.

Notation: arrival rate ``lam`` (1/s), mean service time ``s`` (s), ``rho`` the load of one server.
Sources: Kleinrock, Queueing Systems I (1975) and II (1976); Harchol-Balter, Performance Modeling
and Design of Computer Systems (2013); Cobham, Operations Research 2 (1954) 70-76.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "cobham_waits",
    "erlang_b",
    "erlang_c",
    "jackson_loads",
    "jackson_time",
    "mg1_wait",
    "mm1_number",
    "mm1_time",
    "mmc_wait",
    "ps_time",
]


def mm1_time(lam: float, s: float) -> float:
    """Return the mean time in an M/M/1 system, s: ``s / (1 - rho)`` (Kleinrock I, 3.2).

    Examples
    --------
    >>> mm1_time(0.5, 1.0)
    2.0
    """
    return s / (1 - _load(lam * s))


def mm1_number(lam: float, s: float) -> float:
    """Return the mean number in an M/M/1 system: ``rho / (1 - rho)``."""
    rho = _load(lam * s)
    return rho / (1 - rho)


def erlang_b(servers: int, offered: float) -> float:
    """Return the blocking probability of M/G/c/c by the stable recursion (Kleinrock I, 3.6).

    Examples
    --------
    >>> round(erlang_b(5, 3.0), 6)
    0.110054
    """
    blocked = 1.0
    for k in range(1, servers + 1):
        blocked = offered * blocked / (k + offered * blocked)
    return blocked


def erlang_c(servers: int, offered: float) -> float:
    """Return the probability of waiting in M/M/c (Harchol-Balter, 14.3)."""
    rho = _load(offered / servers)
    b = erlang_b(servers, offered)
    return b / (1 - rho * (1 - b))


def mmc_wait(lam: float, s: float, servers: int) -> float:
    """Return the mean wait in M/M/c, s: ``C * s / (c (1 - rho))``."""
    offered = lam * s
    return erlang_c(servers, offered) * s / (servers - offered)


def mg1_wait(lam: float, s: float, scv: float) -> float:
    """Return the mean wait in M/G/1, s (Pollaczek-Khinchine; Kleinrock I, 5.6).

    Parameters
    ----------
    scv : float
        Squared coefficient of variation of the service time: 0 for M/D/1, 1 for M/M/1.

    Examples
    --------
    >>> mg1_wait(0.5, 1.0, 0.0)
    0.5
    """
    rho = _load(lam * s)
    return rho * s * (1 + scv) / (2 * (1 - rho))


def ps_time(lam: float, s: float) -> float:
    """Return the mean time in M/G/1 with processor sharing, s: ``s / (1 - rho)`` for any service.

    Kleinrock II, 4.4: the mean depends on the service distribution by its mean only.
    """
    return s / (1 - _load(lam * s))


def cobham_waits(rates: Sequence[float], means: Sequence[float], second: Sequence[float]) -> list[float]:
    """Return the mean wait of each class in non-preemptive priority M/G/1, class 0 first, s.

    ``W_k = W_0 / ((1 - sigma_{k-1}) (1 - sigma_k))`` with ``W_0 = sum(lam_i E[S_i^2]) / 2``.

    Parameters
    ----------
    second : sequence of float
        Second moments of the service times, s^2.
    """
    residual = sum(lam * m2 for lam, m2 in zip(rates, second, strict=True)) / 2
    waits, below = [], 0.0
    for lam, s in zip(rates, means, strict=True):
        above = below + lam * s
        waits.append(residual / ((1 - below) * (1 - _load(above))))
        below = above
    return waits


def jackson_loads(external: Sequence[float], routing: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Return the arrival rate of each station: ``lambda = gamma + lambda P`` (Kleinrock I, 4.8)."""
    p = np.asarray(routing, dtype=np.float64)
    loads = np.linalg.solve(np.eye(len(p)) - p.T, np.asarray(external, dtype=np.float64))
    return np.asarray(loads, dtype=np.float64)


def jackson_time(
    external: Sequence[float], routing: Sequence[Sequence[float]], means: Sequence[float]
) -> float:
    """Return the mean time of a job in an open network of M/M/1 stations, s (Little over all stations)."""
    loads = jackson_loads(external, routing)
    number = sum(mm1_number(float(lam), s) for lam, s in zip(loads, means, strict=True))
    return number / sum(external)


def _load(rho: float) -> float:
    if not 0 <= rho < 1:
        raise ValueError(f"load {rho:g}: a stable queue needs a load below 1")
    return rho
