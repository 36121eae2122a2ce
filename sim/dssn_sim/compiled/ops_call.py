# mypy: disable-error-code="no-any-return"
"""Calls of control-plane services: the way there, the station, the way back, the next block of a ledger."""

from __future__ import annotations

import math

from dssn_sim.compiled.calendar import put
from dssn_sim.compiled.draws import CONSTANT, TABLE, draw, draw_table
from dssn_sim.compiled.memory import CALLS, STATIONS
from dssn_sim.compiled.ops_base import (
    ARRIVE,
    CALL,
    DELIVERIES,
    MACHINE,
    PATIENCE,
    THREADS,
    TIME,
    WAKE,
    T,
    ready,
    wait_until,
)
from dssn_sim.compiled.stations import arrive, finish, withdraw
from dssn_sim.dataplane.compiled import inner

__all__ = ["DONE", "DROPPED", "arrive_at_desk", "begin_call", "end_call", "end_service", "lose_patience"]

CALLERS, DESKS, DESK_OF, DISTS, CALLED = T.callers, T.desks, T.desk_of, T.dists, T.called
POINTS_P, POINTS_X, PLACES, CLASSES, R_WAITS = T.points_p, T.points_x, T.places, T.classes, T.r_waits

GIVEN_UP = -2  # callers.thread of a call that was given up on its way
DROPPED = -2  # threads.at of a call that found the queue full
DONE, GOES_ON, REFUSED = 0, 1, 2  # what end_call says


@inner
def _service_time(mem: int, d: int, desk: int) -> float:
    """Return the time of a call: a function of the operation, the order and how often it has called before."""
    m, row = MACHINE(mem)[0], DESKS(mem)[desk]
    dist = DISTS(mem)[row.dist]
    if dist.kind == CONSTANT:
        return min(max(dist.a, dist.low), dist.high)
    called = CALLED(mem)
    at = d * m.n_operations + row.operation
    n = called[at]
    called[at] = n + 1
    number = DELIVERIES(mem)[d].number
    if dist.kind == TABLE:
        return draw_table(
            POINTS_P(mem), POINTS_X(mem), dist.first, dist.count, dist.low, dist.high, row.key, number, n
        )
    return draw(dist.kind, dist.a, dist.b, dist.low, dist.high, row.key, number, n)


@inner
def begin_call(mem: int, t: int, operation: int, place: int) -> bool:
    """Let a thread call an operation from a place; False: the scenario has no such service, nothing happens."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    desk = DESK_OF(mem)[operation * m.n_sites + PLACES(mem)[place].site]
    if desk < 0:
        return False
    row, callers = DESKS(mem)[desk], CALLERS(mem)
    DELIVERIES(mem)[th.d].control_bytes += row.bytes
    c = m.free_callers
    if c >= 0:
        m.free_callers = callers[c].next
    else:
        c = m.top_callers
        m.top_callers += 1
    callers[c].thread = t
    callers[c].arrived_s = -1.0
    callers[c].desk = desk
    callers[c].service_s = _service_time(mem, th.d, desk)
    callers[c].level = CLASSES(mem)[DELIVERIES(mem)[th.d].cls].layer if row.by_priority else 0
    th.wait = CALL
    th.at = c
    th.data = desk
    th.sub = 1
    # Only who calls a service that is down gives up.
    th.patience = 0 if STATIONS(mem)[row.station].up > 0 else put(mem, m.now + m.give_up_s, PATIENCE, t)
    if row.before_s > 0.0:
        put(mem, m.now + row.before_s, ARRIVE, c)
    else:
        arrive_at_desk(mem, c)
    return True


@inner
def _answer(mem: int, c: int, at: int, wait_s: float) -> None:
    """Send the answer of a call back to its thread (if it still waits) and forget the call."""
    m, callers = MACHINE(mem)[0], CALLERS(mem)
    t = callers[c].thread
    if t >= 0:
        th = THREADS(mem)[t]
        th.at = at
        th.amount = wait_s
        th.event = put(mem, m.now + DESKS(mem)[callers[c].desk].after_s, WAKE, t)
    _drop_caller(mem, c)


@inner
def _drop_caller(mem: int, c: int) -> None:
    m = MACHINE(mem)[0]
    CALLERS(mem)[c].next = m.free_callers
    m.free_callers = c


@inner
def lose_patience(mem: int, t: int) -> bool:
    """Give the call of a thread up, unless it is answered: then the thread goes on; True: given up."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    c = th.at
    if c < 0:
        ready(mem, t)
        return False
    CALLERS(mem)[c].thread = -1  # in service: it is served all the same
    if CALLERS(mem)[c].arrived_s < 0.0:
        CALLERS(mem)[c].thread = GIVEN_UP
    elif withdraw(mem, c, m.now):
        _drop_caller(mem, c)
    return True


@inner
def arrive_at_desk(mem: int, c: int) -> None:
    """Let a call come to its station."""
    m, row = MACHINE(mem)[0], CALLERS(mem)[c]
    row.arrived_s = m.now
    if row.thread == GIVEN_UP:
        _drop_caller(mem, c)
        return
    if not arrive(mem, c, DESKS(mem)[row.desk].station, row.level, row.service_s, m.now):
        _answer(mem, c, DROPPED, 0.0)


@inner
def end_service(mem: int, c: int) -> None:
    """End the service of a call."""
    m = MACHINE(mem)[0]
    wait_s = CALLS(mem)[c].began_s - CALLERS(mem)[c].arrived_s
    if wait_s > 0.0:
        row = R_WAITS(mem)[m.n_r_waits]
        m.n_r_waits += 1
        row.wait_s = wait_s
        row.station = CALLS(mem)[c].station
    finish(mem, c, m.now)
    _answer(mem, c, -1, wait_s)


@inner
def end_call(mem: int, t: int) -> int:
    """Take the answer of a call: DONE, GOES_ON (a block must close first) or REFUSED (the queue was full)."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    if th.sub == 1:
        if th.at == DROPPED:
            return REFUSED
        desk = DESKS(mem)[th.data]
        if desk.batch_s > 0.0:
            # A record becomes final with the block that closes after it was ordered.
            blocks = math.floor(m.now / desk.batch_s) + 1.0
            th.sub = 2
            wait_until(mem, t, m.now + (blocks * desk.batch_s - m.now + 0.5 * desk.rtt_s), TIME)
            return GOES_ON
    th.sub = 0
    return DONE
