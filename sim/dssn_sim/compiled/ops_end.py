# mypy: disable-error-code="no-any-return"
"""How things end: phases, deliveries, and whatever is refused, fails or is stopped.

A branch that fails tells its parent, which goes on at this instant with that error; a run cleans up and may be tried
again; a delivery ends. What ran beside the one that failed is stopped after that, as ``dssn_sim.fork`` does it.
"""

from __future__ import annotations

from dssn_sim.compiled import tape
from dssn_sim.compiled.doors import door
from dssn_sim.compiled.ops_base import (
    BRANCHES,
    CALL,
    CHANNEL,
    DELIVERIES,
    FLOW,
    GRANT,
    JOBS,
    LATENCY,
    MACHINE,
    OVER,
    PULL,
    READY,
    RUNS,
    THREADS,
    TIME,
    TIMER,
    WORK,
    T,
    drop_thread,
    note_state,
    ready,
    wait_until,
)
from dssn_sim.compiled.ops_channel import drop_channel, end_pull, stop_waiting_for
from dssn_sim.compiled.ops_job import drop_job, stop_waiting
from dssn_sim.dataplane.compiled import inner, jit

__all__ = ["close_phase", "fail", "finish", "interrupt", "note_negotiation"]

TAPE, CALLERS, TEMPLATES, IN_FLIGHT, R_PHASES, R_REFUSALS, R_ENDS = (
    T.tape, T.callers, T.templates, T.in_flight, T.r_phases, T.r_refusals, T.r_ends,
)  # fmt: skip
_clean_up, _cut = door("clean_up"), door("cut")

COMPLETED, FAILED, REJECTED = 0, 1, 2
_FETCH, _NEGOTIATE = tape.FETCH, tape.NEGOTIATE
_FAULTS = tuple(tape.REASON[f"fault.{what}"] for what in ("node", "link", "service"))
_STATE = tape.STATE
_TERMINATED, _CUT, _JOB_FAILED = (
    _STATE["negotiation", "TERMINATED"], _STATE["transfer", "TERMINATED"], _STATE["job", "Failed"],
)  # fmt: skip
_FINALIZED, _SUSPENDED, _PENDING, _RUNNING = (
    _STATE["negotiation", "FINALIZED"], _STATE["transfer", "SUSPENDED"], _STATE["job", "Pending"], _STATE["job", "Running"],
)  # fmt: skip
_NEGOTIATED = tuple(
    _STATE["negotiation", s] for s in ("OFFERED", "ACCEPTED", "AGREED", "VERIFIED", "FINALIZED")
)
_ACKNOWLEDGED, _IN_PROGRESS, _HELD, _ORDER_FAILED, _ORDER_REJECTED = (
    _STATE["order", s] for s in ("acknowledged", "inProgress", "held", "failed", "rejected")
)


@inner
def close_phase(mem: int, t: int) -> None:
    """Record the phase that a thread is in."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    d = DELIVERIES(mem)[th.d]
    if th.phase >= 0 and d.detail:
        row = R_PHASES(mem)[m.n_r_phases]
        m.n_r_phases += 1
        row.number = d.number
        row.start_s = th.phase_s
        row.end_s = m.now
        row.wait_s = max(0.0, d.wait_s - th.phase_wait)
        row.phase = th.phase
        row.step = th.detail
        row.cls = d.cls
    th.phase = -1


@inner
def note_negotiation(mem: int, t: int) -> None:
    """Record the states that a negotiation has reached since it began its messages."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    half, at = DELIVERIES(mem)[th.d].far_s / 2.0, th.start_s
    for state in _NEGOTIATED:
        at += half
        if at <= m.now:
            DELIVERIES(mem)[th.d].negotiation = state
            note_state(mem, th.d, state, -1, at)


@jit("void(int64, int64, int64)")
def finish(mem: int, t: int, state: int) -> None:
    """End a delivery and its main thread."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    d = DELIVERIES(mem)[th.d]
    if state == REJECTED and (d.order == _ACKNOWLEDGED or d.order == _IN_PROGRESS):
        note_state(mem, th.d, _ORDER_REJECTED, -1, m.now)
    elif state == FAILED and (d.order == _IN_PROGRESS or d.order == _HELD):
        note_state(mem, th.d, _ORDER_FAILED, -1, m.now)
    row = R_ENDS(mem)[m.n_r_ends]
    m.n_r_ends += 1
    row.number = d.number
    row.ended_s = m.now
    row.arrived_s = d.arrived_s
    row.deadline_s = d.deadline_s
    row.opened_s = d.opened_s
    row.receipt_s = d.receipt_s
    row.settled_s = d.settled_s
    row.job_began_s = d.job_began_s
    row.job_ended_s = d.job_ended_s
    row.queue_s = d.queue_s
    row.wire = d.wire
    row.payload = d.payload
    row.core_s = d.core_s
    row.raw = d.raw
    row.result_bytes = d.result_bytes
    row.price = d.price
    row.tee_s = d.tee_s
    row.control_bytes = d.control_bytes
    row.template = d.template
    row.consumer = d.consumer
    row.run_place = d.run_place
    row.attempts = d.attempts
    row.technology = d.technology
    row.jobs = d.jobs
    row.reason = d.reason
    row.state = state
    row.phase = d.phase
    row.detail = d.detail
    m.in_flight -= 1
    IN_FLIGHT(mem)[d.cls] -= 1
    if state == COMPLETED:
        m.done += 1
    else:
        m.failed += 1
    d.main = -1
    d.next = m.free_deliveries
    m.free_deliveries = th.d
    drop_thread(mem, t)


@inner
def _stopped(mem: int, t: int, reason: int, about: int, about2: int, refused: bool) -> None:  # noqa: FBT001
    """End a delivery early, with its reason."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    d = DELIVERIES(mem)[th.d]
    d.reason = reason
    if d.negotiation >= 0 and d.negotiation < _FINALIZED:
        note_state(mem, th.d, _TERMINATED, -1, m.now)
    if d.transfer >= 0 and d.transfer <= _SUSPENDED:
        note_state(mem, th.d, _CUT, -1, m.now)
    if d.job == _PENDING or d.job == _RUNNING:
        note_state(mem, th.d, _JOB_FAILED, -1, m.now)
    row = R_REFUSALS(mem)[m.n_r_refusals]
    m.n_r_refusals += 1
    row.at_s = m.now
    row.number = d.number
    row.reason = reason
    row.about = about
    row.about2 = about2
    row.phase = d.phase
    row.template = d.template
    finish(mem, t, REJECTED if refused else FAILED)


# ------------------------------------------------------------------ stopping


@inner
def _detach(mem: int, t: int) -> None:
    """Take a thread away from what it waits for."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    wait = th.wait
    fetches = th.pc >= 0 and TAPE(mem)[th.pc].op == _FETCH
    if wait == CALL:
        if th.at >= 0:
            CALLERS(mem)[th.at].thread = -1  # it is served all the same
    elif wait in (PULL, CHANNEL):
        stop_waiting_for(mem, t)
    elif wait in (FLOW, LATENCY, WORK, TIMER) or (wait == TIME and (th.pc < 0 or fetches)):
        _cut(mem, (mem, t))
    elif wait == GRANT:
        stop_waiting(mem, t)
    elif wait == RUNS:
        for i in range(m.ready_n):
            k = (m.ready_first + i) % m.size_ready
            if READY(mem)[k] == t:
                READY(mem)[k] = -1
        if th.job >= 0 and JOBS(mem)[th.job].thread == t and JOBS(mem)[th.job].request >= 0 and th.sub == 1:
            stop_waiting(mem, t)  # granted, but it has not gone on yet
    if wait == TIME and th.pc >= 0 and TAPE(mem)[th.pc].op == _NEGOTIATE:
        note_negotiation(mem, t)
    th.event = 0
    if fetches and th.sub == 1:
        th.a = th.b  # its node, in place of the registry


@inner
def _give_up(mem: int, t: int) -> None:
    """Give up the image or channel that others wait for."""
    th = THREADS(mem)[t]
    if th.owns == 1:
        end_pull(mem, t, False)
    elif th.owns == 2:
        th.owns = 0
        drop_channel(mem, th.path)


@inner
def _stop_branches(mem: int, first: int) -> None:
    """Stop branches that have no branches of their own."""
    threads = THREADS(mem)
    t = first
    while t >= 0:
        after = threads[t].sister
        if threads[t].wait != OVER:
            _detach(mem, t)
            _give_up(mem, t)
        drop_thread(mem, t)
        t = after


@inner
def _stop_all(mem: int, first: int) -> None:
    """Stop the branches of a thread: those of one run, or the runs of a chain."""
    threads = THREADS(mem)
    t = first
    while t >= 0:
        th = threads[t]
        after = th.sister
        if th.wait == OVER:
            drop_thread(mem, t)
        elif th.job >= 0 and JOBS(mem)[th.job].thread == t:
            if th.wait != BRANCHES:
                _detach(mem, t)
            _stop_branches(mem, th.child)
            close_phase(mem, t)
            _clean_up(mem, (mem, th.job))
            drop_job(mem, t)
            drop_thread(mem, t)
        else:
            _detach(mem, t)
            _give_up(mem, t)
            drop_thread(mem, t)
        t = after


@jit("void(int64, int64, int64, int64, int64, boolean)")
def fail(mem: int, t: int, reason: int, about: int, about2: int, refused: bool) -> None:  # noqa: FBT001
    """Let a thread that waits for nothing fail (``refused``: or be refused)."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    d, branches = DELIVERIES(mem)[th.d], th.child
    th.child = -1
    th.children = 0
    th.reason = 0
    close_phase(mem, t)
    again = False
    if th.job >= 0 and JOBS(mem)[th.job].thread == t:
        pc = JOBS(mem)[th.job].pc
        _clean_up(mem, (mem, th.job))
        drop_job(mem, t)
        for fault in _FAULTS:
            if reason == fault and d.attempts <= m.max_retries:
                again = True
        if again:
            d.attempts += 1
            th.pc = pc
            th.sub = 0
            wait_until(mem, t, m.now + m.retry_s, TIME)
    else:
        _give_up(mem, t)
    if not again:
        p = th.parent
        if p >= 0:
            th.wait = OVER
            parent = THREADS(mem)[p]
            if parent.reason == 0:
                parent.reason = reason
                parent.about = about
                parent.about2 = about2
                parent.refused = refused
                ready(mem, p)
        else:
            _stopped(mem, t, reason, about, about2, refused)
    _stop_all(mem, branches)


@jit("void(int64, int64, int64, int64)")
def interrupt(mem: int, t: int, reason: int, about: int) -> None:
    """Interrupt a main thread, or the run of a chain, wherever it is."""
    if THREADS(mem)[t].wait != BRANCHES:
        _detach(mem, t)
    fail(mem, t, reason, about, -1, False)
