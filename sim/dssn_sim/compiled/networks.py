"""Networks of stations: jobs that come at given times and visit stations along routes.

Each visit needs one server for a given service time. Stations have several servers, queues in order of arrival, last come
first, or by class with or without preemption, room for so many that wait, and servers that fail and come back. Routes
may come back to a station (feedback). Everything random is drawn beforehand, so a run is a function of its columns:
:func:`sample_routes` draws routes from routing probabilities, :func:`sample_failures` draws failures. The
events run in machine code (:mod:`.queues`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dssn_sim.compiled.memory import Tables, addresses, grow_heap, new_tables
from dssn_sim.compiled.queues import COLUMNS, LOOP, VISIT, count_all, run_events

__all__ = ["Changes", "Outcome", "QueueStation", "Routes", "run_network", "sample_failures", "sample_routes"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class QueueStation:
    """A station of a network.

    Attributes
    ----------
    servers
        Identical servers.
    discipline
        Order of service; ``priority`` serves class 0 first, first come first served within a class.
    preemptive
        With ``priority``: an urgent job takes the server of a less urgent one, which later goes on where it stopped.
    limit
        A job that finds so many waiting is lost; None: no limit.
    resumes
        A service that a failure interrupts goes on where it stopped (else it starts again).
    """

    servers: int
    discipline: Literal["fifo", "lifo", "priority"] = "fifo"
    preemptive: bool = False
    limit: int | None = None
    resumes: bool = False


@dataclass(frozen=True)
class Routes:
    """Stations visited: route ``r`` is ``stations[offset[r]:offset[r + 1]]``.

    Attributes
    ----------
    of
        Route of every job; None: job i takes route i, or all take the only one.
    """

    offset: Ints
    stations: Ints
    of: Ints | None = None


@dataclass(frozen=True)
class Changes:
    """Failures and repairs, by time: at ``at_s`` the number of servers at work of ``station`` becomes ``up``."""

    at_s: Floats
    station: Ints
    up: Ints


@dataclass(frozen=True)
class Outcome:
    """What became of the jobs, and how busy the stations were.

    Attributes
    ----------
    departure_s
        When each job left; NaN: it was lost at a full station; inf: it never leaves (its station stays down).
    end_s
        Time of the last thing that happened; the sums below run from 0 to it.
    served, lost
        Services ended and jobs refused, by station.
    busy_s, queue_s, down_s
        Servers x s at work, jobs x s waiting, s without any server at work, by station.
    """

    departure_s: Floats
    end_s: float
    served: Ints
    lost: Ints
    busy_s: Floats
    queue_s: Floats
    down_s: Floats


class _Memory:
    """Tables of one run, grown when they are full."""

    def __init__(self, stations: Sequence[QueueStation], classes: int, columns: dict[str, Any]) -> None:
        levels = [classes if s.discipline == "priority" else 1 for s in stations]
        servers = [s.servers for s in stations]
        spare = max(2, *servers)
        self.tables = new_tables(len(stations), sum(levels), 0, 64 + 2 * sum(servers))
        rows = self.tables.stations
        rows["servers"] = rows["up"] = servers
        rows["limit"] = [-1 if s.limit is None else s.limit for s in stations]
        rows["lifo"] = [s.discipline == "lifo" for s in stations]
        rows["preempts"] = [s.preemptive for s in stations]
        rows["resumes"] = [s.resumes for s in stations]
        rows["levels"] = levels
        rows["first"] = np.cumsum([0, *levels[:-1]])
        self.loop = np.zeros(1, LOOP)
        self.loop["free"] = -1
        self.loop["spare"] = spare
        self.columns: dict[str, Any] = {"loop": self.loop, "visits": np.zeros(0, VISIT)}
        self.columns.update({k: np.ascontiguousarray(v, COLUMNS[k]) for k, v in columns.items()})
        self.loop["jobs"] = len(self.columns["arrivals"])
        self.loop["changes"] = len(self.columns["change_s"])
        self.loop["per_class"] = len(self.columns["classes"]) > 1
        self.loop["per_route"] = len(self.columns["route_of"]) > 1
        self.more_jobs()

    def more_jobs(self) -> None:
        old = self.columns["visits"]
        size = max(256, 2 * len(old))
        visits = np.zeros(size, VISIT)
        visits[: len(old)] = old
        visits["next"][len(old) :] = np.arange(len(old) + 1, size + 1)
        visits["next"][-1] = self.loop["free"][0]
        self.loop["free"] = len(old)
        calls = np.zeros(size, self.tables.calls.dtype)
        calls[: len(old)] = self.tables.calls
        self.columns["visits"] = visits
        self._use(self.tables._replace(calls=calls))

    def more_events(self) -> None:
        self._use(grow_heap(self.tables))

    def _use(self, tables: Tables) -> None:
        self.tables = tables
        self.addresses = addresses([*tables, *(self.columns[name] for name in COLUMNS)])

    @property
    def mem(self) -> int:
        return int(self.addresses.ctypes.data)


def run_network(
    stations: Sequence[QueueStation],
    arrivals: Floats,
    routes: Routes,
    services: Floats | Sequence[Floats],
    *,
    classes: Ints | None = None,
    changes: Changes | None = None,
) -> Outcome:
    """Run jobs through a network of stations until nothing is left to happen.

    Parameters
    ----------
    stations
        The network.
    arrivals
        When each job comes (s, ascending, from 0 on).
    routes
        Where it goes.
    services
        Service times (s): one array a station, the k-th for the k-th job to come to it; or one array for all,
        job by job in the order of the visits.
    classes
        Class of each job, 0 the most urgent; None: all 0.
    changes
        Failures and repairs.

    Returns
    -------
    Outcome
        Departures by job, sums by station.

    Raises
    ------
    ValueError
        If the columns do not fit each other.
    """
    n = len(arrivals)
    offset, visited = np.asarray(routes.offset, np.int64), np.asarray(routes.stations, np.int64)
    _require(
        bool(((visited >= 0) & (visited < len(stations))).all()), f"stations are 0 to {len(stations) - 1}"
    )
    route_of = _route_of(routes, n)
    lengths = np.broadcast_to(np.diff(offset)[route_of], n)
    next_service, first_service, by_visit = np.zeros(1, np.int64), np.zeros(1, np.int64), False
    if isinstance(services, np.ndarray) and services.ndim == 1:
        flat, first_service, by_visit = services, np.cumsum(lengths) - lengths, True
        _require(
            len(flat) == lengths.sum(), f"{lengths.sum()} visits need as many service times, got {len(flat)}"
        )
    else:
        flat, next_service = _by_station(services, _calls_due(len(stations), offset, visited, route_of, n))
    ranks = np.zeros(1, np.int64) if classes is None else np.asarray(classes, np.int64)
    changes = changes or Changes(np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64))
    _check(stations, arrivals, visited, flat, ranks, changes)
    columns = {
        "arrivals": arrivals, "classes": ranks, "offset": offset, "visited": visited, "route_of": route_of,
        "first_service": first_service, "services": flat, "next_service": next_service,
        "ranked": [s.discipline == "priority" for s in stations], "change_s": changes.at_s,
        "change_station": changes.station, "change_up": changes.up, "departure": np.full(n, inf),
    }  # fmt: skip
    memory = _Memory(stations, int(ranks.max(initial=0)) + 1, columns)
    memory.loop["by_visit"] = by_visit
    while full := run_events(memory.mem):
        if full == 1:
            memory.more_events()
        else:
            memory.more_jobs()
    end_s = float(memory.loop["now"][0])
    count_all(memory.mem, len(stations), end_s)
    rows: Any = memory.tables.stations
    sums: list[Any] = [rows[k].copy() for k in ("calls", "refused", "busy_s", "queue_s", "down_s")]
    return Outcome(memory.columns["departure"], end_s, *sums)


def _require(true: bool, message: str) -> None:  # noqa: FBT001
    if not true:
        raise ValueError(message)


def _route_of(routes: Routes, jobs: int) -> Ints:
    if routes.of is not None:
        of = np.ascontiguousarray(routes.of, np.int64)
        _require(len(of) == jobs, f"{jobs} jobs need as many routes, got {len(of)}")
        _require(
            not jobs or 0 <= of.min() <= of.max() < len(routes.offset) - 1,
            "a job takes a route that is not there",
        )
        return of
    if len(routes.offset) == 2:
        return np.zeros(1, np.int64)
    _require(len(routes.offset) == jobs + 1, f"{jobs} jobs need as many routes, got {len(routes.offset) - 1}")
    return np.arange(jobs)


def _calls_due(stations: int, offset: Ints, visited: Ints, route_of: Ints, jobs: int) -> Ints:
    """Return how many calls each station can get."""
    taken = np.bincount(route_of, minlength=len(offset) - 1) * (jobs if len(route_of) == 1 else 1)
    return np.bincount(visited, np.repeat(taken, np.diff(offset)), stations).astype(np.int64)


def _by_station(services: Floats | Sequence[Floats], due: Ints) -> tuple[Floats, Ints]:
    """Return all service times in one array, and where those of each station begin."""
    _require(len(services) == len(due), f"{len(due)} stations need as many columns of service times")
    lengths = np.array([len(s) for s in services])
    for i, (have, need) in enumerate(zip(lengths, due, strict=True)):
        _require(have >= need, f"station {i} can get {need} jobs but has {have} service times")
    flat = services.reshape(-1) if isinstance(services, np.ndarray) else np.concatenate(services)
    return flat, np.cumsum(lengths) - lengths


def _check(
    stations: Sequence[QueueStation],
    arrivals: Floats,
    visited: Ints,
    services: Floats,
    ranks: Ints,
    changes: Changes,
) -> None:
    n = len(stations)
    for station in stations:
        _require(station.limit is None or station.limit >= 0, "a queue has room for 0 or more")
        _require(
            station.discipline == "priority" or not station.preemptive, "preemption needs discipline priority"
        )
    _require(
        n > 0 and all(s.servers > 0 for s in stations), "a network needs stations with a server at least"
    )
    _require(not len(arrivals) or arrivals[0] >= 0, "arrivals begin at 0 or later")
    _require(bool(np.all(arrivals[1:] >= arrivals[:-1])), "arrivals must ascend")
    _require(not len(services) or services.min() >= 0, "service times are 0 or more")
    _require(
        len(ranks) in (1, len(arrivals)) and ranks.min(initial=0) >= 0, "one class for every job, 0 or more"
    )
    _require(
        len(changes.at_s) == len(changes.station) == len(changes.up), "columns of changes differ in length"
    )
    _require(bool(np.all(changes.at_s[1:] >= changes.at_s[:-1])), "changes must ascend")
    servers = np.array([s.servers for s in stations])
    for s in np.unique(changes.station).tolist():
        up = changes.up[changes.station == s]
        _require(
            0 <= s < n and 0 <= up.min() <= up.max() <= servers[s],
            f"station {s} cannot have {up.max()} servers at work",
        )


def sample_routes(entry: Floats, onward: Floats, jobs: int, rng: np.random.Generator) -> Routes:
    """Draw a route for every job from routing probabilities.

    Parameters
    ----------
    entry
        Probability of each station to be the first.
    onward
        ``onward[i, j]``: probability to go from station i to j; what a row lacks to 1 is the probability to leave.
    """
    p_first = np.cumsum(np.append(entry, max(0.0, 1.0 - float(np.sum(entry)))))
    rows = np.cumsum(onward, axis=1)
    stations = len(entry)
    at = np.minimum(np.searchsorted(p_first, rng.random(jobs), side="right"), stations)
    who, seen = [], []
    alive = np.arange(jobs)[at < stations]
    at = at[at < stations]
    while len(alive):
        who.append(alive)
        seen.append(at)
        at = (rng.random(len(alive))[:, None] >= rows[at]).sum(axis=1)
        alive, at = alive[at < stations], at[at < stations]
    owners = np.concatenate([*who, np.zeros(0, np.int64)])
    order = np.argsort(owners, kind="stable")
    offset = np.zeros(jobs + 1, np.int64)
    offset[1:] = np.cumsum(np.bincount(owners, minlength=jobs))
    return Routes(offset, np.concatenate([*seen, np.zeros(0, np.int64)])[order])


def sample_failures(
    servers: Sequence[int],
    up_s: Sequence[float],
    down_s: Sequence[float],
    until_s: float,
    rng: np.random.Generator,
) -> Changes:
    """Draw failures and repairs of every server by itself, exponential with these means (inf: never fails)."""
    columns: list[tuple[Floats, Ints, Ints]] = []
    for s, (c, mean_up, mean_down) in enumerate(zip(servers, up_s, down_s, strict=True)):
        if mean_up == inf:
            continue
        each = [_breakdowns(mean_up, mean_down, until_s, rng) for _ in range(c)]
        at = np.concatenate(each)
        step = np.concatenate([np.tile([-1, 1], len(times) // 2) for times in each])
        order = np.argsort(at, kind="stable")
        columns.append((at[order], np.full(len(at), s), c + np.cumsum(step[order])))
    if not columns:
        return Changes(np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64))
    at, station, up = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    order = np.argsort(at, kind="stable")
    return Changes(at[order], station[order], up[order])


def _breakdowns(mean_up: float, mean_down: float, until_s: float, rng: np.random.Generator) -> Floats:
    """Return when one server fails and is back, in turn; the last failure is before ``until_s``."""
    times: Floats = np.zeros(0)
    while not len(times) or times[-1] < until_s:
        gaps = rng.exponential((mean_up, mean_down), (64, 2)).ravel()
        times = np.append(times, (times[-1] if len(times) else 0.0) + np.cumsum(gaps))
    return times[: 2 * int(np.searchsorted(times[::2], until_s))]
