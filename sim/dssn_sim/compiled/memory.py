"""Tables by address for events and stations, as in :mod:`dssn_sim.dataplane.memory`.

Compiled code takes one number, ``mem``: the address of an array of addresses of tables. The first
entries are those of ``Tables`` in this order; a larger kernel appends its own after them and uses
the same functions on its own array.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dssn_sim.dataplane.memory import array_at

__all__ = [
    "CALENDAR",
    "CALL",
    "CALLS",
    "EVENT",
    "HEAD",
    "HEAP",
    "LEVEL",
    "LEVELS",
    "STATION",
    "STATIONS",
    "Tables",
    "addresses",
    "grow_heap",
    "new_tables",
    "table_at",
]

# One event of the calendar.
EVENT = np.dtype([("time", "f8"), ("seq", "i8"), ("what", "i4"), ("who", "i4")], align=True)
# The calendar (one row).
CALENDAR = np.dtype(
    [
        ("n", "i8"),  # entries, the hole included
        ("size", "i8"),  # length of the heap's array
        ("seq", "i8"),  # last sequence number given
        ("hole", "i8"),  # 1: the top entry was taken
    ],
    align=True,
)
STATION = np.dtype(
    [
        ("servers", "i4"),  # installed
        ("up", "i4"),  # of these, not failed
        ("busy", "i4"),
        ("waiting", "i4"),
        ("limit", "i4"),  # calls waiting beyond this number are refused; -1: no limit
        ("first", "i4"),  # row in LEVELS of its most urgent class
        ("levels", "i4"),  # its number of classes
        ("lifo", "i4"),  # 1: within a class, last come first served
        ("preempts", "i4"),  # 1: a more urgent call takes the server of a less urgent one
        ("resumes", "i4"),  # 1: after a failure service goes on where it stopped; 0: starts again
        ("calls", "i8"),  # services ended
        ("refused", "i8"),
        ("changed_s", "f8"),  # the sums below are valid up to this time
        ("busy_s", "f8"),  # servers x seconds at work
        ("queue_s", "f8"),  # calls x seconds waiting
        ("down_s", "f8"),  # seconds without any server up
    ],
    align=True,
)
# Calls of one class at one station; -1 is none.
LEVEL = np.dtype(
    [
        ("wait_first", "i4"),  # waiting, in the order in which they will be served
        ("wait_last", "i4"),
        ("serve_first", "i4"),  # in service, in order of begin
        ("serve_last", "i4"),
    ],
    align=True,
)
CALL = np.dtype(
    [
        ("left_s", "f8"),  # service still needed
        ("began_s", "f8"),  # begin of the present (last) stretch of service
        ("event", "i8"),  # sequence number of its end of service; 0: waiting, -1: not at a station
        ("next", "i4"),
        ("prev", "i4"),
        ("station", "i4"),
        ("level", "i4"),  # row in LEVELS
    ],
    align=True,
)


class Tables(NamedTuple):
    """The tables of calendar and stations."""

    head: Any
    heap: Any
    stations: Any
    levels: Any
    calls: Any


def new_tables(stations: int, levels: int, calls: int, events: int) -> Tables:
    """Return empty tables of these lengths."""
    tables = Tables(
        np.zeros(1, CALENDAR),
        np.zeros(events, EVENT),
        np.zeros(stations, STATION),
        np.zeros(levels, LEVEL),
        np.zeros(calls, CALL),
    )
    tables.head["size"] = events
    tables.levels[:] = (-1, -1, -1, -1)
    tables.calls["event"] = -1
    return tables


def grow_heap(tables: Tables) -> Tables:
    """Return tables with twice the room for events."""
    old = tables.heap
    heap = np.zeros(2 * len(old), EVENT)
    heap[: len(old)] = old
    tables.head["size"] = len(heap)
    return tables._replace(heap=heap)


def addresses(tables: Sequence[Any]) -> Any:
    """Return the array of addresses; ``mem`` is its own address. Keep it and the tables alive."""
    return np.array([table.ctypes.data for table in tables], np.int64)


def table_at(position: int, dtype: Any) -> Any:
    """Return the function (for compiled code) that turns ``mem`` into the table at a position."""
    return array_at(dtype, 8 * position)


HEAD = table_at(0, CALENDAR)
HEAP = table_at(1, EVENT)
STATIONS = table_at(2, STATION)
LEVELS = table_at(3, LEVEL)
CALLS = table_at(4, CALL)
