# mypy: disable-error-code="no-any-return"
"""What all operations use: tables, values of the order, threads and their waiting, rows of results."""

from __future__ import annotations

from typing import Any, Final

from dssn_sim.compiled.calendar import put
from dssn_sim.compiled.layout import TABLES
from dssn_sim.compiled.memory import table_at
from dssn_sim.dataplane.compiled import inner

__all__ = [
    "T",
    "add_branch",
    "add_thread",
    "drop_thread",
    "end_branch",
    "note_state",
    "ready",
    "value",
    "wait_until",
]


class _Tables:
    """``T.threads(mem)`` is the table of threads, and so on; made on first use."""

    def __getattr__(self, name: str) -> Any:
        table = table_at(list(TABLES).index(name), TABLES[name])
        setattr(self, name, table)
        return table


T: Final = _Tables()
MACHINE, THREADS, DELIVERIES, JOBS, BOUND = T.machine, T.threads, T.deliveries, T.jobs, T.bound
COLUMNS, CONSTS, READY, R_STATES = T.columns, T.consts, T.ready, T.r_states

# What a thread waits for (``threads.wait``).
RUNS, TIME, CALL, GRANT, PULL, CHANNEL, FLOW, LATENCY, WORK, TIMER, BRANCHES, LINKS, OVER = range(13)

# Kinds of events in the calendar; 0 is stations.END.
ARRIVE, WAKE, IDLE, PATIENCE = 1, 2, 3, 4


@inner
def value(mem: int, d: int, ref: int) -> float:
    """Return what a reference stands for."""
    if ref < 0:
        return CONSTS(mem)[-1 - ref]
    return COLUMNS(mem)[d * MACHINE(mem)[0].n_columns + ref]


@inner
def add_thread(mem: int, d: int, job: int, pc: int) -> int:
    """Return a new thread."""
    m, threads = MACHINE(mem)[0], THREADS(mem)
    t = m.free_threads
    if t >= 0:
        m.free_threads = threads[t].next
    else:
        t = m.top_threads
        m.top_threads += 1
    th = threads[t]
    th.d = d
    th.job = job
    th.pc = pc
    th.event = 0
    th.patience = 0
    th.at = -1
    th.parent = -1
    th.children = 0
    th.child = -1
    th.sister = -1
    th.next = -1
    th.prev = -1
    th.reason = 0
    th.refused = 0
    th.owns = 0
    th.wait = RUNS
    th.sub = 0
    th.phase = -1
    return t


@inner
def drop_thread(mem: int, t: int) -> None:
    """Give a thread's row back."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    th.wait = OVER
    th.event = 0
    th.next = m.free_threads
    m.free_threads = t


@inner
def ready(mem: int, t: int) -> None:
    """Let a thread go on at this instant, behind all that are ready."""
    m = MACHINE(mem)[0]
    THREADS(mem)[t].wait = RUNS
    READY(mem)[(m.ready_first + m.ready_n) % m.size_ready] = t
    m.ready_n += 1


@inner
def wait_until(mem: int, t: int, time: float, wait: int) -> None:
    """Let a thread wait for a time."""
    th = THREADS(mem)[t]
    th.wait = wait
    th.event = put(mem, time, WAKE, t)


@inner
def note_state(mem: int, d: int, state: int, step: int, at: float) -> None:
    """Record a state of one of the order's machines."""
    if DELIVERIES(mem)[d].detail:
        m = MACHINE(mem)[0]
        row = R_STATES(mem)[m.n_r_states]
        m.n_r_states += 1
        row.number = DELIVERIES(mem)[d].number
        row.at_s = at
        row.state = state
        row.step = step


@inner
def end_branch(mem: int, t: int) -> None:
    """End a branch well; the last one lets its parent go on, and their rows are given back."""
    threads = THREADS(mem)
    threads[t].wait = OVER
    threads[t].event = 0
    p = threads[t].parent
    parent = threads[p]
    parent.children -= 1
    if parent.children > 0 or parent.reason != 0:
        return
    child = parent.child
    parent.child = -1
    while child >= 0:
        sister = threads[child].sister
        drop_thread(mem, child)
        child = sister
    ready(mem, p)


@inner
def add_branch(mem: int, p: int, pc: int) -> int:
    """Return a new branch of a thread."""
    threads = THREADS(mem)
    parent = threads[p]
    t = add_thread(mem, parent.d, parent.job, pc)
    th = threads[t]
    th.parent = p
    th.sister = parent.child
    parent.child = t
    parent.children += 1
    parent.wait = BRANCHES
    return t
