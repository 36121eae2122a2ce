# mypy: disable-error-code="no-any-return"
"""The machine: reads the tapes of all deliveries and keeps the time.

A *thread* is a place on a tape: of a delivery, of a run in a chain, of a branch (an image on a node, a channel of a
pair), or of a transfer or work that a step has begun (no tape). ``advance`` lets one thread go on until it waits;
``run`` takes what happens next: a thread that is ready, the end of flows, an order, an event of the calendar. All that
happens at one time is one solve of the data plane.

The machine returns to Python with a question (``tape.ASK``) and goes on where it stopped when it is entered again.
"""

from __future__ import annotations

from math import inf, nan

from dssn_sim.compiled import tape
from dssn_sim.compiled.calendar import next_time, room, take
from dssn_sim.compiled.doors import door
from dssn_sim.compiled.memory import CALLS
from dssn_sim.compiled.ops_base import (
    ARRIVE,
    CALL,
    COLUMNS,
    DELIVERIES,
    LATENCY,
    MACHINE,
    PATIENCE,
    READY,
    RUNS,
    THREADS,
    TIMER,
    WAKE,
    WORK,
    T,
    add_thread,
    ready,
    wait_until,
)
from dssn_sim.compiled.ops_call import (
    arrive_at_desk,
    end_service,
    lose_patience,
)
from dssn_sim.compiled.ops_channel import (
    idle_out,
)
from dssn_sim.compiled.ops_end import close_phase
from dssn_sim.compiled.ops_life import (
    around_run,
    call,
    in_branch,
    in_run,
    leave_branch,
    move,
    note_order_state,
)
from dssn_sim.compiled.stations import END as SERVED
from dssn_sim.dataplane.compiled import inner, jit
from dssn_sim.dataplane.memory import ENDED
from dssn_sim.dataplane.memory import MISC as SOLVER

__all__ = ["advance", "run"]

TAPE, TEMPLATES, DESKS, ORDERS, XS, PS, PROVIDERS, CALLED, IN_FLIGHT, FLOW_THREAD = (
    T.tape, T.templates, T.desks, T.orders, T.xs, T.ps, T.providers, T.called, T.in_flight, T.flow_thread,
)  # fmt: skip
_settle = door("settle")
_end_due = door("end_due")
_step = door("step")
_finish_flow = door("finish_flow")
_finish_work = door("finish_work")
_fail = door("fail")
_finish = door("finish")
_advance = door("advance")

_ORDERS = tape.ASK.ORDERS
_ROOM = tape.ASK.ROOM
_LOOK = tape.ASK.SAMPLE
_SERVICE_DOWN = tape.REASON["fault.service"]


@jit("void(int64, int64)")
def advance(mem: int, t: int) -> None:
    """Let a thread go on until it waits, ends, or asks Python something."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    if th.reason != 0:  # a branch has failed
        _fail(mem, (mem, t, th.reason, th.about, th.about2, th.refused != 0))
        return
    if th.pc < 0:
        move(mem, t)
        return
    while True:
        row = TAPE(mem)[th.pc]
        op = row.op
        if op == tape.CALL:
            goes_on = call(mem, t)
        elif op == tape.PHASE:
            d = DELIVERIES(mem)[th.d]
            d.phase = row.a
            th.phase = row.a
            th.detail = row.b
            th.phase_s = m.now
            th.phase_wait = d.wait_s
            goes_on = True
        elif op == tape.PHASE_END:
            close_phase(mem, t)
            goes_on = True
        elif op == tape.STATE_IS:
            note_order_state(mem, th.d, row.a, row.b)
            goes_on = True
        elif op == tape.STEP:
            goes_on = _step(mem, (mem, t)) == 0
        elif op == tape.END:
            _finish(mem, (mem, t, 0))
            return
        elif op == tape.BRANCH_END:
            leave_branch(mem, t, row.a)
            return
        elif op >= tape.PULL and op <= tape.OPENED:
            goes_on = in_branch(mem, t, op)
        elif (op >= tape.JOB and op <= tape.JOB_END) or op == tape.NODES_UP:
            goes_on = in_run(mem, t, op)
        else:
            goes_on = around_run(mem, t, op)
        if not goes_on:
            return
        th.pc += 1


# ------------------------------------------------------------------ the loop


@inner
def _begin_order(mem: int) -> None:
    """Begin the life of the next order."""
    m, deliveries = MACHINE(mem)[0], DELIVERIES(mem)
    order = ORDERS(mem)[m.next_order]
    m.next_order += 1
    slot = m.free_deliveries
    if slot >= 0:
        m.free_deliveries = deliveries[slot].next
    else:
        slot = m.top_deliveries
        m.top_deliveries += 1
    d, template = deliveries[slot], TEMPLATES(mem)[order.template]
    d.arrived_s = order.arrived_s
    d.far_s = order.far_s
    d.deadline_s = order.deadline_s
    d.number = order.number
    d.template = order.template
    d.cls = template.cls
    d.consumer = order.consumer
    d.technology = template.technology
    d.verdict = order.verdict
    d.human = order.human
    d.defect = order.defect
    d.detail = order.detail
    d.opened_s = nan
    d.receipt_s = nan
    d.settled_s = nan
    d.job_began_s = nan
    d.job_ended_s = nan
    d.control_bytes = 0.0
    d.wire = 0.0
    d.payload = 0.0
    d.raw = 0.0
    d.core_s = 0.0
    d.queue_s = 0.0
    d.attest_s = 0.0
    d.price = 0.0
    d.wait_s = 0.0
    d.tee_s = 0.0
    d.result_bytes = 0.0
    d.run_place = -1
    d.attempts = 1
    d.jobs = 0
    d.decided = 0
    d.reason = 0
    d.phase = 0
    d.notes = 0
    d.order = -1
    d.negotiation = -1
    d.job = -1
    d.transfer = -1
    columns, xs = COLUMNS(mem), XS(mem)
    for k in range(template.columns):
        columns[slot * m.n_columns + k] = xs[order.x + k]
    for k in range(template.parties):
        PROVIDERS(mem)[slot * m.n_parties + k] = PS(mem)[order.p + k]
    for k in range(m.n_operations):
        CALLED(mem)[slot * m.n_operations + k] = 0
    m.arrived += 1
    m.in_flight += 1
    IN_FLIGHT(mem)[template.cls] += 1
    d.main = add_thread(mem, slot, -1, template.start)
    ready(mem, d.main)


@inner
def _end_flows(mem: int) -> None:
    """Hand out the ends of flows and shared work that are due now."""
    m, threads = MACHINE(mem)[0], THREADS(mem)
    for i in range(_end_due(mem, (m.solver, m.now))):
        t = FLOW_THREAD(mem)[ENDED(m.solver)[i]]
        th = threads[t]
        if th.wait == WORK:
            _finish_work(mem, (mem, t))
        elif th.latency_s > 0.0:
            wait_until(mem, t, m.now + th.latency_s, LATENCY)
        else:
            _finish_flow(mem, (mem, t))
    m.dirty = 1


@inner
def _take(mem: int) -> None:
    """Take the next event of the calendar."""
    seq, what, who = take(mem)
    if what == WAKE:
        th = THREADS(mem)[who]
        if th.event != seq:
            return
        if th.wait == TIMER:
            _finish_work(mem, (mem, who))
        elif th.wait == LATENCY:
            _finish_flow(mem, (mem, who))
        else:
            th.wait = RUNS
            ready(mem, who)
    elif what == SERVED:
        if CALLS(mem)[who].event == seq:
            end_service(mem, who)
    elif what == ARRIVE:
        arrive_at_desk(mem, who)
    elif what == PATIENCE:
        th = THREADS(mem)[who]
        if th.patience == seq and th.wait == CALL and lose_patience(mem, who):
            _fail(mem, (mem, who, _SERVICE_DOWN, DESKS(mem)[th.data].station, -1, False))
    else:
        idle_out(mem, who)


@inner
def _short(mem: int) -> bool:
    """Return whether the next event might find a table full."""
    m, spare = MACHINE(mem)[0], MACHINE(mem)[0].spare
    solver = SOLVER(m.solver)[0]
    return (
        room(mem) < spare
        or m.top_deliveries >= m.size_deliveries
        or m.top_threads + spare > m.size_threads
        or m.top_jobs + spare > m.size_jobs
        or m.top_held + spare > m.size_held
        or m.top_callers + spare > m.size_callers
        or m.top_channels + spare > m.size_channels
        or m.top_requests >= m.size_requests
        or m.top_needs + spare > m.size_needs
        or solver.top_flow + spare > solver.size_flows
        or solver.top_leg + spare * m.longest > solver.size_legs
        or m.n_r_ends + spare > m.size_r_ends
        or m.n_r_refusals + spare > m.size_r_refusals
        or m.n_r_phases + spare > m.size_r_phases
        or m.n_r_states + spare > m.size_r_states
        or m.n_r_flows + spare > m.size_r_flows
        or m.n_r_proofs + spare > m.size_r_proofs
        or m.n_r_enclaves + spare > m.size_r_enclaves
        or m.n_r_channels + spare > m.size_r_channels
        or m.n_r_decisions + spare > m.size_r_decisions
        or m.n_r_waits + spare > m.size_r_waits
    )


@jit("int64(int64)")
def run(mem: int) -> int:
    """Let time pass until ``until_s``, the end of the drain, or a question to Python (``tape.ASK``)."""
    m = MACHINE(mem)[0]
    m.ask = 0
    while True:
        if _short(mem):
            return _ROOM
        if m.ready_n > 0:
            t = READY(mem)[m.ready_first]
            m.ready_first = (m.ready_first + 1) % m.size_ready
            m.ready_n -= 1
            if t < 0:
                continue
            _advance(mem, (mem, t))
            if m.ask != 0:
                m.ready_first = (m.ready_first + m.size_ready - 1) % m.size_ready
                READY(mem)[m.ready_first] = t
                m.ready_n += 1
                m.ask_thread = t
                return m.ask
            continue
        if m.draining and m.in_flight == 0:
            return 0
        due = next_time(mem)
        order = inf
        if m.next_order < m.n_orders:
            order = ORDERS(mem)[m.next_order].arrived_s
        elif m.more_orders:
            return _ORDERS
        if m.dirty and min(due, order) > m.now:
            m.next_end = _settle(mem, (m.solver, m.now))
            m.dirty = 0
        first = min(due, order)
        if not m.dirty:
            first = min(first, m.next_end)
        if first >= m.until_s:
            m.now = m.until_s
            return _LOOK
        m.now = max(m.now, first)
        m.events += 1
        if not m.dirty and m.next_end <= first:
            _end_flows(mem)
        elif order <= due:
            _begin_order(mem)
        else:
            _take(mem)
