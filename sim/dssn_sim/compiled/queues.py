# mypy: disable-error-code="no-any-return"
"""Networks of stations driven by events: the loop in machine code (:mod:`.networks` is its Python side).

There is no short cut for networks of a special form. What happens at one time happens in this order: services
end, servers fail or come back, jobs arrive. Nothing random is drawn here.
"""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np

from dssn_sim.compiled.calendar import next_time, room, take
from dssn_sim.compiled.memory import CALLS, Tables, table_at
from dssn_sim.compiled.stations import arrive, count, finish, set_up
from dssn_sim.dataplane.compiled import inner, jit

__all__ = ["COLUMNS", "LOOP", "VISIT", "count_all", "run_events"]

# A job on its way: same rows as CALLS.
VISIT = np.dtype(
    [
        ("job", "i8"),
        ("at", "i8"),  # position in the route of the next station
        ("end", "i8"),
        ("service", "i8"),  # its next service time (by visit)
        ("level", "i8"),
        ("next", "i8"),  # free list
    ]
)
LOOP = np.dtype(
    [
        ("now", "f8"),
        ("job", "i8"),  # next to arrive
        ("jobs", "i8"),
        ("change", "i8"),  # next to happen
        ("changes", "i8"),
        ("free", "i8"),  # first free row of VISITS
        ("spare", "i8"),  # events that may be put in at one time
        ("by_visit", "i8"),  # 1: service times stand job by job; 0: station by station
        ("per_class", "i8"),  # 1: jobs have a class each; 0: one for all
        ("per_route", "i8"),  # the same of routes
    ]
)
COLUMNS: dict[str, Any] = {
    "loop": LOOP,
    "visits": VISIT,
    "arrivals": np.float64,
    "classes": np.int64,
    "offset": np.int64,
    "visited": np.int64,
    "route_of": np.int64,
    "first_service": np.int64,  # by visit: of each job
    "services": np.float64,
    "next_service": np.int64,  # by station
    "ranked": np.int64,  # 1: the station serves by class
    "change_s": np.float64,
    "change_station": np.int64,
    "change_up": np.int64,
    "departure": np.float64,
}
(
    _PROGRESS, _VISITS, _ARRIVALS, _CLASSES, _OFFSET, _VISITED, _ROUTE_OF, _FIRST_SERVICE, _SERVICES, _NEXT_SERVICE,
    _RANKED, _CHANGE_S, _CHANGE_STATION, _CHANGE_UP, _DEPARTURE,
) = (table_at(len(Tables._fields) + i, dtype) for i, dtype in enumerate(COLUMNS.values()))  # fmt: skip


@inner
def _come(mem: int) -> int:
    """Let the next job arrive; return its row, -1 if there is none free."""
    loop = _PROGRESS(mem)[0]
    c = loop.free
    if c >= 0:
        job = loop.job
        loop.job += 1
        visit = _VISITS(mem)[c]
        loop.free = visit.next
        route = _ROUTE_OF(mem)[job * loop.per_route]
        visit.job = job
        visit.at = _OFFSET(mem)[route]
        visit.end = _OFFSET(mem)[route + 1]
        visit.level = _CLASSES(mem)[job * loop.per_class]
        visit.service = _FIRST_SERVICE(mem)[job * loop.by_visit]
    return c


@inner
def _go(mem: int, c: int, now: float) -> None:
    """Let a job go on to its next station, or out of the network."""
    loop, visit = _PROGRESS(mem)[0], _VISITS(mem)[c]
    left_s = now
    if visit.at < visit.end:
        s = _VISITED(mem)[visit.at]
        visit.at += 1
        if loop.by_visit:
            k = visit.service
            visit.service = k + 1
        else:
            k = _NEXT_SERVICE(mem)[s]
            _NEXT_SERVICE(mem)[s] = k + 1
        if arrive(mem, c, s, visit.level * _RANKED(mem)[s], _SERVICES(mem)[k], now):
            return
        left_s = nan
    _DEPARTURE(mem)[visit.job] = left_s
    visit.next = loop.free
    loop.free = c


@jit("int64(int64)")
def run_events(mem: int) -> int:
    """Run until nothing is left to happen (return 0) or a table is full (1: events, 2: jobs)."""
    loop, calls = _PROGRESS(mem)[0], CALLS(mem)
    arrivals, change_s = _ARRIVALS(mem), _CHANGE_S(mem)
    while True:
        if room(mem) < loop.spare:
            return 1
        arrival = arrivals[loop.job] if loop.job < loop.jobs else inf
        change = change_s[loop.change] if loop.change < loop.changes else inf
        now = next_time(mem)
        if now <= arrival and now <= change:
            if now == inf:
                return 0
            seq, _what, c = take(mem)
            if calls[c].event == seq:
                finish(mem, c, now)
                loop.now = now
                _go(mem, c, now)
        elif change <= arrival:
            set_up(mem, _CHANGE_STATION(mem)[loop.change], _CHANGE_UP(mem)[loop.change], change)
            loop.change += 1
            loop.now = change
        else:
            c = _come(mem)
            if c < 0:
                return 2
            loop.now = arrival
            _go(mem, c, arrival)


@jit("void(int64, int64, float64)")
def count_all(mem: int, stations: int, now: float) -> None:
    """Bring the sums of all stations up to ``now``."""
    for s in range(stations):
        count(mem, s, now)
