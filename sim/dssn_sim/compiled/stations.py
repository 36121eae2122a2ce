# mypy: disable-error-code="no-any-return"
"""Stations in compiled code: servers behind a queue, classes of urgency, failures.

A station has ``servers`` identical servers, of which ``up`` work at present. Calls of a more urgent class
(0 first) are served first, within a class in order of arrival (or last come first, ``lifo``). Where the
station ``preempts``, a call takes the server of the least urgent call in service, the latest begun of them,
if that is less urgent than itself; that call waits at the head of its class and later goes on where it
stopped. Servers that fail interrupt in the same order; the interrupted calls start again, or go on where
they stopped if the station ``resumes``. A call that finds ``limit`` calls waiting is refused; interrupted calls
always have a place, but nobody is preempted while the queue is full.

A call is a row of ``CALLS``; its owner chooses the row. The end of service is an event ``(END, row)`` of the
calendar; the loop that takes it calls :func:`finish` if the event is not stale::

    now = next_time(mem)
    seq, what, c = take(mem)
    if what == END and CALLS(mem)[c].event == seq:
        finish(mem, c, now)

All functions take ``mem``, the address of a table of addresses (:mod:`dssn_sim.compiled.memory`), and the
present time; :func:`calendar.room` must be 1 for :func:`arrive` and :func:`finish`, and the number of
servers that come up for :func:`set_up`. The semantics of ``preempts = 0``, ``resumes = 0`` are those of
:class:`dssn_sim.station.Station`.
"""

from __future__ import annotations

from dssn_sim.compiled.calendar import put
from dssn_sim.compiled.memory import CALLS, LEVELS, STATIONS
from dssn_sim.dataplane.compiled import inner

__all__ = ["END", "arrive", "count", "finish", "set_up", "withdraw"]

END = 0  # what happens: a service ends


@inner
def count(mem: int, s: int, now: float) -> None:
    """Bring the sums of a station up to ``now``."""
    st = STATIONS(mem)[s]
    d = now - st.changed_s
    st.changed_s = now
    st.busy_s += st.busy * d
    st.queue_s += st.waiting * d
    if st.up == 0:
        st.down_s += d


@inner
def _begin(mem: int, c: int, now: float) -> None:
    """Give a server to a call that is in no list (the sums are up to date)."""
    calls = CALLS(mem)
    call = calls[c]
    STATIONS(mem)[call.station].busy += 1
    level = LEVELS(mem)[call.level]
    call.began_s = now
    call.event = put(mem, now + call.left_s, END, c)
    call.next = -1
    call.prev = level.serve_last
    if level.serve_last >= 0:
        calls[level.serve_last].next = c
    else:
        level.serve_first = c
    level.serve_last = c


@inner
def _leave_server(mem: int, c: int) -> None:
    calls = CALLS(mem)
    call = calls[c]
    STATIONS(mem)[call.station].busy -= 1
    level = LEVELS(mem)[call.level]
    if call.prev >= 0:
        calls[call.prev].next = call.next
    else:
        level.serve_first = call.next
    if call.next >= 0:
        calls[call.next].prev = call.prev
    else:
        level.serve_last = call.prev


@inner
def _wait_first(mem: int, c: int) -> None:
    calls = CALLS(mem)
    call = calls[c]
    STATIONS(mem)[call.station].waiting += 1
    level = LEVELS(mem)[call.level]
    call.event = 0
    call.prev = -1
    call.next = level.wait_first
    if level.wait_first >= 0:
        calls[level.wait_first].prev = c
    else:
        level.wait_last = c
    level.wait_first = c


@inner
def _wait_last(mem: int, c: int) -> None:
    calls = CALLS(mem)
    call = calls[c]
    STATIONS(mem)[call.station].waiting += 1
    level = LEVELS(mem)[call.level]
    call.event = 0
    call.next = -1
    call.prev = level.wait_last
    if level.wait_last >= 0:
        calls[level.wait_last].next = c
    else:
        level.wait_first = c
    level.wait_last = c


@inner
def _leave_queue(mem: int, c: int) -> None:
    calls = CALLS(mem)
    call = calls[c]
    STATIONS(mem)[call.station].waiting -= 1
    level = LEVELS(mem)[call.level]
    if call.prev >= 0:
        calls[call.prev].next = call.next
    else:
        level.wait_first = call.next
    if call.next >= 0:
        calls[call.next].prev = call.prev
    else:
        level.wait_last = call.prev


@inner
def _start_waiting(mem: int, s: int, now: float) -> None:
    """Begin the calls that wait while servers are free (the sums are up to date)."""
    st, levels = STATIONS(mem)[s], LEVELS(mem)
    k = st.first
    while st.waiting > 0 and st.busy < st.up:
        while levels[k].wait_first < 0:
            k += 1
        c = levels[k].wait_first
        _leave_queue(mem, c)
        _begin(mem, c, now)


@inner
def _interrupt(mem: int, c: int, now: float, resumes: int) -> None:
    """Take the server from a call; it waits at the head of its class. Its event goes stale."""
    call = CALLS(mem)[c]
    if resumes:
        call.left_s = max(call.left_s - (now - call.began_s), 0.0)
    _leave_server(mem, c)
    _wait_first(mem, c)


@inner
def _least_urgent(mem: int, s: int) -> int:
    """Return the call in service to interrupt first: the least urgent, latest begun; -1: none."""
    st, levels = STATIONS(mem)[s], LEVELS(mem)
    for k in range(st.first + st.levels - 1, st.first - 1, -1):
        if levels[k].serve_last >= 0:
            return levels[k].serve_last
    return -1


@inner
def arrive(mem: int, c: int, s: int, level: int, service_s: float, now: float) -> bool:
    """Let call ``c`` come to station ``s`` in class ``level`` (0 first); return False if it is refused."""
    st, call = STATIONS(mem)[s], CALLS(mem)[c]
    count(mem, s, now)
    call.station = s
    call.level = st.first + level
    call.left_s = service_s
    if st.busy < st.up:
        _begin(mem, c, now)
        return True
    if st.limit >= 0 and st.waiting >= st.limit:
        st.refused += 1
        call.event = -1
        return False
    if st.preempts and st.busy > 0:
        other = _least_urgent(mem, s)
        if CALLS(mem)[other].level > call.level:
            _interrupt(mem, other, now, 1)
            _begin(mem, c, now)
            return True
    if st.lifo:
        _wait_first(mem, c)
    else:
        _wait_last(mem, c)
    return True


@inner
def finish(mem: int, c: int, now: float) -> None:
    """End the service of call ``c`` (its event has come) and begin the next that waits."""
    call = CALLS(mem)[c]
    s = call.station
    st = STATIONS(mem)[s]
    count(mem, s, now)
    st.calls += 1
    _leave_server(mem, c)
    call.event = -1
    if st.waiting > 0:
        _start_waiting(mem, s, now)


@inner
def set_up(mem: int, s: int, up: int, now: float) -> None:
    """Let ``up`` of the servers work from now on (0: the station is down)."""
    st = STATIONS(mem)[s]
    count(mem, s, now)
    st.up = up
    while st.busy > up:
        _interrupt(mem, _least_urgent(mem, s), now, st.resumes)
    _start_waiting(mem, s, now)


@inner
def withdraw(mem: int, c: int, now: float) -> bool:
    """Take a waiting call out of its queue; return False if it does not wait (any more)."""
    call = CALLS(mem)[c]
    if call.event != 0:
        return False
    count(mem, call.station, now)
    _leave_queue(mem, c)
    call.event = -1
    return True
