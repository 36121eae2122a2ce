# mypy: disable-error-code="no-any-return"
"""The calendar: events in order of (time, sequence number).

A 4-ary heap over a flat array, so the four children of an entry lie side by side. The event that was taken
leaves a *hole* at the top; the next event put in fills it. That is one way down the heap instead of two in
the usual case, the end of one service and the begin of the next.

Nothing is ever removed from the middle. An owner remembers the sequence number of the event it waits for;
an event with another number is stale and is skipped when its time comes.

All functions take ``mem``, the address of a table of addresses (:mod:`dssn_sim.compiled.memory`).
"""

from __future__ import annotations

from math import inf
from typing import Any

from dssn_sim.compiled.memory import HEAD, HEAP
from dssn_sim.dataplane.compiled import inner

__all__ = ["next_time", "put", "room", "take"]


@inner
def room(mem: int) -> int:
    """Return how many events can be put in before the heap must grow (``memory.grow_heap``)."""
    head = HEAD(mem)[0]
    return head.size - head.n


@inner
def _least_child(heap: Any, first: int, n: int) -> int:
    """Return the child to come up: the least of the entries from ``first`` on (four, or up to ``n``)."""
    if first + 4 <= n:
        a, b, c, d = heap[first].time, heap[first + 1].time, heap[first + 2].time, heap[first + 3].time
        e = a if a < b else b
        f = c if c < d else d
        t = e if e < f else f
        # without branches, which the processor would have to guess
        if (a == t) + (b == t) + (c == t) + (d == t) == 1:
            return first + (b == t) + 2 * (c == t) + 3 * (d == t)
    least = first
    for j in range(first + 1, min(first + 4, n)):
        t = heap[least].time
        if heap[j].time < t or (heap[j].time == t and heap[j].seq < heap[least].seq):
            least = j
    return least


@inner
def _down(heap: Any, n: int, time: float, seq: int, what: int, who: int) -> None:
    """Let an entry sink from the top."""
    i = 0
    first = 1
    while first < n:
        least = _least_child(heap, first, n)
        t = heap[least].time
        if time < t or (time == t and seq < heap[least].seq):
            break
        heap[i] = heap[least]
        i = least
        first = 4 * i + 1
    row = heap[i]
    row.time = time
    row.seq = seq
    row.what = what
    row.who = who


@inner
def _close(mem: int) -> None:
    """Close the hole at the top with the last entry."""
    head, heap = HEAD(mem)[0], HEAP(mem)
    head.hole = 0
    head.n -= 1
    n = head.n
    if n > 0:
        last = heap[n]
        _down(heap, n, last.time, last.seq, last.what, last.who)


@inner
def put(mem: int, time: float, what: int, who: int) -> int:
    """Put in an event; return its sequence number (1, 2, ...)."""
    head, heap = HEAD(mem)[0], HEAP(mem)
    head.seq += 1
    seq = head.seq
    if head.hole:
        head.hole = 0
        _down(heap, head.n, time, seq, what, who)
        return seq
    i = head.n
    head.n += 1
    while i > 0:
        up = (i - 1) >> 2
        if heap[up].time <= time:  # an entry that is there has the lower number
            break
        heap[i] = heap[up]
        i = up
    row = heap[i]
    row.time = time
    row.seq = seq
    row.what = what
    row.who = who
    return seq


@inner
def next_time(mem: int) -> float:
    """Return the time of the next event (it may be stale); infinite if there is none."""
    head = HEAD(mem)[0]
    if head.hole:
        _close(mem)
    return HEAP(mem)[0].time if head.n > 0 else inf


@inner
def take(mem: int) -> Any:
    """Take the next event: (sequence number, what, who). Its time is ``next_time``; there must be one."""
    head = HEAD(mem)[0]
    if head.hole:
        _close(mem)
    head.hole = 1
    top = HEAP(mem)[0]
    return top.seq, top.what, top.who
