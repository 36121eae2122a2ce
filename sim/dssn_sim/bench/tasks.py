"""Workload W2: jobs through stations in a row, each with several servers, first come first served.

The k-th job to come to a station takes the k-th service time there. A file holds native doubles: the number of
jobs, the arrivals in order, then the service times of one station after the other.
Answers are ``id,sojourn_s`` a line with nine decimals, or native doubles if the name ends in ``.bin``.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dssn_sim.bench.errors import BenchInputError

__all__ = [
    "SERVERS",
    "TaskTable",
    "departures",
    "exact_departures",
    "read_tasks",
    "run_tasks",
    "write_sojourns",
    "write_tasks",
]

Floats = npt.NDArray[np.float64]

#: Servers of the stations, in order.
SERVERS = (8, 4, 16, 2, 8)
_LOAD = 0.85


class TaskTable(NamedTuple):
    """Jobs and service times (s)."""

    arrivals: Floats
    services: Floats  # [station, k]


def write_tasks(path: Path, jobs: int, seed: int = 11, servers: Sequence[int] = SERVERS) -> None:
    """Write jobs that come with rate 1/s to stations under a load of 0.85, all times exponential."""
    draw = random.Random(seed).expovariate
    t = 0.0
    arrivals = []
    for _ in range(jobs):
        t += draw(1.0)
        arrivals.append(t)
    with path.open("wb") as file:
        np.array([jobs, *arrivals], np.float64).tofile(file)
        for c in servers:
            mean = _LOAD * c
            np.array([draw(1.0 / mean) for _ in range(jobs)], np.float64).tofile(file)


def read_tasks(path: Path, stations: int = len(SERVERS)) -> TaskTable:
    """Read a file of tasks.

    Raises
    ------
    BenchInputError
        If it does not hold what its first number and the number of stations ask for.
    """
    if path.stat().st_size % 8:
        raise BenchInputError(f"{path}: not a file of doubles ({path.stat().st_size} bytes)")
    values = np.fromfile(path, np.float64)
    jobs = int(values[0]) if len(values) and values[0] in range(1, len(values)) else 0
    if len(values) != 1 + jobs * (1 + stations) or not jobs:
        raise BenchInputError(
            f"{path}: {len(values)} numbers; {stations} stations need 1 + jobs x {1 + stations}, the first the "
            f"number of jobs (other stations: give their servers)"
        )
    return TaskTable(values[1 : jobs + 1], values[jobs + 1 :].reshape(stations, jobs))


def departures(tasks: TaskTable, servers: Sequence[int] = SERVERS) -> Floats:
    """Return when each job leaves (s), by events."""
    from dssn_sim.compiled.networks import QueueStation, Routes, run_network

    row = Routes(np.array([0, len(servers)]), np.arange(len(servers)))
    return run_network([QueueStation(c) for c in servers], tasks.arrivals, row, tasks.services).departure_s


def exact_departures(tasks: TaskTable, servers: Sequence[int] = SERVERS) -> Floats:
    """Return the same by the recursion of Kiefer and Wolfowitz (1955), which needs no events but only fits a row."""
    arrivals = tasks.arrivals.tolist()
    coming = [(t, i) for i, t in enumerate(arrivals)]
    for c, services in zip(servers, tasks.services, strict=True):
        free = [0.0] * c
        leaving = []
        for (t, i), service in zip(coming, services.tolist(), strict=True):
            end = max(t, free[0]) + service
            heapq.heapreplace(free, end)
            leaving.append((end, i))
        leaving.sort()
        coming = leaving
    result = np.empty(len(arrivals))
    for end, i in coming:
        result[i] = end
    return result


def write_sojourns(path: Path, sojourn_s: Floats) -> None:
    """Write the answers."""
    if path.suffix == ".bin":
        sojourn_s.tofile(path)
        return
    from dssn_sim.bench.flows import write_finish

    write_finish(path, sojourn_s)


def run_tasks(path: Path, out: Path | None = None, servers: Sequence[int] = SERVERS) -> dict[str, float]:
    """Run a file of tasks and write the answers.

    Returns
    -------
    dict
        ``jobs``, ``stages``, ``mean_sojourn`` (s) and ``last``, the time of the last departure (s).
    """
    tasks = read_tasks(path, len(servers))
    try:
        departure = departures(tasks, servers)
    except ValueError as error:
        raise BenchInputError(f"{path}: {error}") from None
    sojourn = departure - tasks.arrivals
    if out is not None:
        write_sojourns(out, sojourn)
    return {
        "jobs": len(sojourn),
        "stages": len(servers),
        "mean_sojourn": float(sojourn.mean()),
        "last": float(departure.max()),
    }
