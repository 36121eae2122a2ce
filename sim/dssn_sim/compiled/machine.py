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
    BOUND,
    CALL,
    COLUMNS,
    DELIVERIES,
    JOBS,
    LATENCY,
    LINKS,
    MACHINE,
    PATIENCE,
    READY,
    RUNS,
    THREADS,
    TIME,
    TIMER,
    WAKE,
    WORK,
    T,
    add_branch,
    add_thread,
    end_branch,
    note_state,
    ready,
    wait_until,
)
from dssn_sim.compiled.ops_call import (
    DONE,
    REFUSED,
    arrive_at_desk,
    begin_call,
    end_call,
    end_service,
    lose_patience,
)
from dssn_sim.compiled.ops_channel import (
    NO_ROUTE as NO_CHANNEL,
)
from dssn_sim.compiled.ops_channel import (
    OTHER,
    WAITS,
    acquire,
    end_pull,
    fetch_image,
    idle_out,
    opened,
    pull,
    shake,
    start_image,
    verify_image,
)
from dssn_sim.compiled.ops_data import NO_ROUTE
from dssn_sim.compiled.ops_end import close_phase, note_negotiation
from dssn_sim.compiled.ops_job import (
    admits,
    appraise,
    begin_job,
    bind,
    check_nodes,
    collect,
    drop_job,
    enclave,
    granted,
)
from dssn_sim.compiled.stations import END as SERVED
from dssn_sim.dataplane.compiled import inner, jit
from dssn_sim.dataplane.memory import ENDED
from dssn_sim.dataplane.memory import MISC as SOLVER

__all__ = ["advance", "run"]

(
    TAPE, TEMPLATES, CLASSES, JOB_DEFS, PAIR_DEFS, PLACES, NODES, DESKS, ORDERS, XS, PS, PROVIDERS, CALLED, CALLERS, IMAGES,
    CANDIDATES, IN_FLIGHT, FLOW_THREAD, R_PROOFS, R_DECISIONS,
) = (
    T.tape, T.templates, T.classes, T.job_defs, T.pair_defs, T.places, T.nodes, T.desks, T.orders, T.xs, T.ps, T.providers,
    T.called, T.callers, T.images, T.candidates, T.in_flight, T.flow_thread, T.r_proofs, T.r_decisions,
)  # fmt: skip
_settle, _end_due = door("settle"), door("end_due")
_choose_network, _step, _place, _allocate, _clean_up = (
    door("choose_network"), door("step"), door("place"), door("allocate"), door("clean_up"),
)  # fmt: skip
_begin_flow, _finish_flow, _finish_work, _cut = (
    door("begin_flow"), door("finish_flow"), door("finish_work"), door("cut"),
)  # fmt: skip
_fail, _finish, _advance = door("fail"), door("finish"), door("advance")

_ORDERS, _ROOM, _LOOK, _ADMISSION, _NETWORK = (
    tape.ASK.ORDERS, tape.ASK.ROOM, tape.ASK.SAMPLE, tape.ASK.ADMISSION, tape.ASK.NETWORK,
)  # fmt: skip
_QUEUE_FULL, _CERTIFICATE, _DEFECT, _NO_LINK, _UNREACHED, _NODE_DOWN, _NO_ENGINE, _SERVICE_DOWN = (
    tape.REASON[code]
    for code in (
        "capacity.queue", "trust.certificate", "quality.defect", "fault.link", "network.no_route", "fault.node",
        "capacity.engine", "fault.service",
    )
)  # fmt: skip
_NEGOTIATION, _JOB, _ALLOCATION, _TRANSFER = (
    min(n for (machine, _s), n in tape.STATE.items() if machine == name)
    for name in ("negotiation", "job", "allocation", "transfer")
)
_BY_ADMISSION = 1  # kind of decision (r_decisions.kind)


# ------------------------------------------------------------------ larger operations


@inner
def _note_order_state(mem: int, d: int, state: int, step: int) -> None:
    """Move one of an order's machines to a state."""
    row = DELIVERIES(mem)[d]
    if state < _NEGOTIATION:
        row.order = state
    elif state < _JOB:
        row.negotiation = state
    elif state < _ALLOCATION:
        row.job = state
    elif state >= _TRANSFER:
        row.transfer = state
    note_state(mem, d, state, step, MACHINE(mem)[0].now)


@inner
def _negotiate(mem: int, t: int) -> bool:
    """Exchange the messages of the Dataspace Protocol; False: they are on their way."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    if th.sub == 0:
        th.sub = 1
        th.start_s = m.now
        half = DELIVERIES(mem)[th.d].far_s / 2.0
        if half > 0.0:
            time = m.now
            for _ in range(5):
                time += half
            wait_until(mem, t, time, TIME)
            return False
    th.sub = 0
    note_negotiation(mem, t)
    return True


@inner
def _load(mem: int, t: int, pc: int) -> None:
    """Begin a branch for each node of a run."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    first = th.job * m.n_roles
    for k in range(JOB_DEFS(mem)[JOBS(mem)[th.job].job_def].roles):
        role = BOUND(mem)[first + k]
        if role.first == k:
            child = add_branch(mem, t, pc)
            THREADS(mem)[child].a = role.place
            ready(mem, child)


@inner
def _open(mem: int, t: int, pc: int) -> None:
    """Begin a branch for each pair of nodes of a run that talk."""
    m, th, pairs = MACHINE(mem)[0], THREADS(mem)[t], PAIR_DEFS(mem)
    first, row = th.job * m.n_roles, JOB_DEFS(mem)[JOBS(mem)[th.job].job_def]
    bound = BOUND(mem)
    for i in range(row.pair0, row.pair0 + row.pairs):
        a, b = bound[first + pairs[i].source].place, bound[first + pairs[i].target].place
        known = a == b
        for j in range(row.pair0, i):
            c, e = bound[first + pairs[j].source].place, bound[first + pairs[j].target].place
            known = known or (a == c and b == e) or (a == e and b == c)
        if not known:
            child = add_branch(mem, t, pc)
            THREADS(mem)[child].a = a
            THREADS(mem)[child].b = b
            ready(mem, child)


@inner
def _move(mem: int, t: int) -> None:
    """Begin a transfer; without a route it is tried again until the patience is over."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    if _begin_flow(mem, (mem, t)) != NO_ROUTE:
        return
    if th.waited_s >= m.patience_s:
        th.wait = TIME
        _cut(mem, (mem, t))
        _fail(mem, (mem, t, _NO_LINK, th.a, th.b, False))
        return
    th.waited_s += m.retry_s
    wait_until(mem, t, m.now + m.retry_s, TIME)


@inner
def _calls(mem: int, t: int) -> bool:
    """Begin or end the call at a thread's place; False: it goes no further now."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    row, d = TAPE(mem)[th.pc], DELIVERIES(mem)[th.d]
    if th.sub == 0:
        place = d.consumer
        if row.c == tape.HERE:
            place = th.a
        elif row.c >= 0:
            place = BOUND(mem)[th.job * m.n_roles + row.c].place
        return not begin_call(mem, t, row.a, place)
    said = end_call(mem, t)
    if said == REFUSED:
        _fail(mem, (mem, t, _QUEUE_FULL, DESKS(mem)[th.data].station, -1, True))
        return False
    if said != DONE:
        return False
    if (row.b & tape.NO_WAIT) == 0:
        d.wait_s += th.amount
        d.queue_s += th.amount
    return True


@inner
def _check_nodes(mem: int, t: int) -> bool:
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    wrong = check_nodes(mem, t)
    if wrong == 0:
        return True
    job_def, k = JOB_DEFS(mem)[JOBS(mem)[th.job].job_def], wrong - 1
    place = BOUND(mem)[th.job * m.n_roles + k].place
    _fail(
        mem,
        (mem, t, admits(mem, job_def.engine, th.d, job_def.role0 + k, place), job_def.role0 + k, place, True),
    )
    return False


@inner
def _down(mem: int, t: int) -> int:
    """Return a node of a run that is down; -1: none."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    for k in range(JOB_DEFS(mem)[JOBS(mem)[th.job].job_def].roles):
        place = BOUND(mem)[th.job * m.n_roles + k].place
        if not NODES(mem)[place].up:
            return place
    return -1


@inner
def _revoked(mem: int, d: int) -> int:
    """Return a party whose certificate is revoked; -1: none."""
    m, row = MACHINE(mem)[0], DELIVERIES(mem)[d]
    if NODES(mem)[row.consumer].revoked:
        return row.consumer
    for k in range(TEMPLATES(mem)[row.template].parties):
        place = PROVIDERS(mem)[d * m.n_parties + k]
        if NODES(mem)[place].revoked:
            return place
    return -1


@inner
def _note_decision(mem: int, d: int, kind: int, choice: int, candidates: int) -> None:
    m, delivery = MACHINE(mem)[0], DELIVERIES(mem)[d]
    if delivery.detail:
        row = R_DECISIONS(mem)[m.n_r_decisions]
        m.n_r_decisions += 1
        row.number = delivery.number
        row.at_s = m.now
        row.kind = kind
        row.choice = choice
        row.candidates = candidates


@inner
def _prove(mem: int, d: int) -> None:
    """Record the evidence of a delivery."""
    m, delivery = MACHINE(mem)[0], DELIVERIES(mem)[d]
    if delivery.detail:
        row = R_PROOFS(mem)[m.n_r_proofs]
        m.n_r_proofs += 1
        row.number = delivery.number
        row.written_s = delivery.written_s
        row.final_s = m.now
        row.result_bytes = delivery.result_bytes
        row.notes = delivery.notes
        row.verdict = delivery.verdict
        row.technology = delivery.technology


@inner
def _chain(mem: int, t: int, n: int) -> None:
    """Begin a thread for each run of a chain."""
    th = THREADS(mem)[t]
    th.data = 0  # links done
    for k in range(n):
        ready(mem, add_branch(mem, t, th.pc + 1 + k))


@inner
def _linked(mem: int, t: int) -> bool:
    """Return whether all runs that this one comes after are done."""
    th = THREADS(mem)[t]
    row, done = TAPE(mem)[th.pc], THREADS(mem)[th.parent].data
    for i in range(row.b, row.b + row.c):  # noqa: SIM110
        if ((done >> CANDIDATES(mem)[i]) & 1) == 0:
            return False
    return True


@inner
def _end_branch(mem: int, t: int, link: int) -> None:
    """End a branch; the runs of a chain that wait look again."""
    threads = THREADS(mem)
    if link > 0:
        parent = threads[threads[t].parent]
        parent.data |= 1 << (link - 1)
        first = t
        while first >= 0:  # in the order of the links
            first = -1
            child = parent.child
            while child >= 0:
                if threads[child].wait == LINKS and (first < 0 or threads[child].pc < threads[first].pc):
                    first = child
                child = threads[child].sister
            if first >= 0:
                ready(mem, first)
    end_branch(mem, t)


@inner
def _mark(mem: int, d: int, what: int) -> None:
    row, now = DELIVERIES(mem)[d], MACHINE(mem)[0].now
    if what == 0:
        row.receipt_s = now
    elif what == 1:
        row.written_s = now
    elif what == 2:
        row.settled_s = now
    else:
        row.opened_s = now


# ------------------------------------------------------------------ one thread


@inner
def _before_run(mem: int, t: int, op: int) -> bool:
    """Operations before a run and after it; False: the thread goes no further now."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    row, d = TAPE(mem)[th.pc], DELIVERIES(mem)[th.d]
    if op == tape.NOTE:
        d.notes |= 1 << row.a
    elif op == tape.MARK:
        _mark(mem, th.d, row.a)
    elif op == tape.ADMIT:
        if row.a == 2 and th.sub == 0:
            th.sub = 1
            m.ask = _ADMISSION
            return False
        choice = m.ask_c if row.a == 2 else 0
        th.sub = 0
        _note_decision(mem, th.d, _BY_ADMISSION, choice, 0)
        if choice < 0:
            _fail(mem, (mem, t, -1 - choice, -1, -1, True))
            return False
    elif op == tape.TRUST:
        place = _revoked(mem, th.d)
        if place >= 0:
            _fail(mem, (mem, t, _CERTIFICATE, place, -1, True))
            return False
    elif op == tape.NEGOTIATE:
        return _negotiate(mem, t)
    elif op == tape.REVIEW or op == tape.HUMAN:
        verdict = d.verdict if op == tape.REVIEW else d.human
        if verdict >= tape.REFUSE:
            _fail(mem, (mem, t, verdict - tape.REFUSE, -1, -1, True))
            return False
        if op == tape.REVIEW and verdict == tape.PASS:
            th.pc = row.a - 1
    elif op == tape.CHOOSE_NETWORK:
        said = _choose_network(mem, (mem, t))
        if said < 0:
            _fail(mem, (mem, t, -said, m.ask_a, m.ask_b, True))
        return said == 0
    elif op == tape.NETWORK_ORDER:
        if th.sub == 0:
            th.sub = 1
            m.ask = _NETWORK
            return False
        th.sub = 0
        if m.ask_c < 0:
            _fail(mem, (mem, t, -1 - m.ask_c, -1, -1, True))
            return False
    elif op == tape.QUALITY:
        if d.defect:
            _fail(mem, (mem, t, _DEFECT, -1, -1, False))
            return False
    elif op == tape.PROVE:
        _prove(mem, th.d)
    elif op == tape.CHAIN:
        if th.sub == 0:
            th.sub = 1
            _chain(mem, t, row.a)
            return False
        th.sub = 0
        th.pc += row.a
    elif op == tape.LINK:
        if not _linked(mem, t):
            th.wait = LINKS
            return False
        th.pc = row.a - 1
    return True


@inner
def _in_run(mem: int, t: int, op: int) -> bool:
    """Operations of a run; False: the thread goes no further now."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    row, d = TAPE(mem)[th.pc], DELIVERIES(mem)[th.d]
    again = th.sub == 1
    if op == tape.JOB:
        begin_job(mem, t, row.a)
    elif op == tape.BIND:
        bind(mem, t)
    elif op == tape.PLACE:
        said = _place(mem, (mem, t))
        if said < 0:
            # What it names: the role without a candidate, or that the policy decided.
            role = JOB_DEFS(mem)[JOBS(mem)[th.job].job_def].role0 + row.a
            _fail(mem, (mem, t, -said, role if -said == _NO_ENGINE else -2, -1, True))
        return said == 0
    elif op == tape.CHECK_NODES:
        return _check_nodes(mem, t)
    elif op == tape.NODES_UP:
        place = _down(mem, t)
        if place >= 0:
            _fail(mem, (mem, t, _NODE_DOWN, place, -1, False))
            return False
    elif op == tape.ALLOCATE:
        if not again:
            _allocate(mem, (mem, t))
            return False
        granted(mem, t)
    elif op == tape.LOAD or op == tape.OPEN:
        th.sub = 1 - th.sub
        if not again:
            if op == tape.LOAD:
                _load(mem, t, row.a)
            else:
                _open(mem, t, row.a)
            if th.children > 0:
                return False
            th.sub = 0
    elif op == tape.ATTEST_BEGIN:
        th.start_s = m.now
    elif op == tape.ATTEST_END:
        d.attest_s += m.now - th.start_s
    elif op == tape.ENCLAVE:
        th.sub = 1 - th.sub
        if not again:
            if enclave(mem, t, row.a):
                return False
            th.sub = 0
            th.pc = row.b - 1
    elif op == tape.APPRAISE:
        if not again:
            if appraise(mem, t, row.a):
                th.sub = 1
            return False
        th.sub = 0
    elif op == tape.JOB_END:
        _clean_up(mem, (mem, th.job))
        collect(mem, t)
        drop_job(mem, t)
    return True


@inner
def _in_branch(mem: int, t: int, op: int) -> bool:
    """Operations of branches: images and channels; False: the thread goes no further now."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    row, again = TAPE(mem)[th.pc], th.sub == 1
    if op == tape.ACQUIRE and not again:
        for place in (th.a, th.b):
            if NODES(mem)[place].revoked:
                _fail(mem, (mem, t, _CERTIFICATE, place, -1, True))
                return False
    if op == tape.PULL or op == tape.ACQUIRE:
        said = pull(mem, t) if op == tape.PULL else acquire(mem, t)
        if said == WAITS:
            return False
        if said == OTHER:
            th.pc = row.a - 1
    elif op == tape.FETCH:
        if not again and not fetch_image(mem, t):
            return True
        th.sub = 1
        if th.left > 0.0:
            _move(mem, t)
            return False
        th.a = th.b  # its node again, in place of the registry
        th.sub = 0
    elif op == tape.VERIFY:
        if not again and verify_image(mem, t):
            th.sub = 1
            return False
        th.sub = 0
        end_pull(mem, t, True)
    elif op == tape.START:
        if not again and start_image(mem, t):
            th.sub = 1
            return False
        th.sub = 0
    elif op == tape.SHAKE:
        if not again:
            said = shake(mem, t)
            if said == NO_CHANNEL:
                reason = _NO_LINK if m.down_links > 0 else _UNREACHED
                _fail(mem, (mem, t, reason, th.a, th.b, m.down_links == 0))
            elif said == WAITS:
                th.sub = 1
            return False
        th.sub = 0
    elif op == tape.OPENED:
        opened(mem, t)
    return True


@jit("void(int64, int64)")
def advance(mem: int, t: int) -> None:
    """Let a thread go on until it waits, ends, or asks Python something."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    if th.reason != 0:  # a branch has failed
        _fail(mem, (mem, t, th.reason, th.about, th.about2, th.refused != 0))
        return
    if th.pc < 0:
        _move(mem, t)
        return
    while True:
        row = TAPE(mem)[th.pc]
        op = row.op
        if op == tape.CALL:
            goes_on = _calls(mem, t)
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
            _note_order_state(mem, th.d, row.a, row.b)
            goes_on = True
        elif op == tape.STEP:
            goes_on = _step(mem, (mem, t)) == 0
        elif op == tape.END:
            _finish(mem, (mem, t, 0))
            return
        elif op == tape.BRANCH_END:
            _end_branch(mem, t, row.a)
            return
        elif op >= tape.PULL and op <= tape.OPENED:
            goes_on = _in_branch(mem, t, op)
        elif (op >= tape.JOB and op <= tape.JOB_END) or op == tape.NODES_UP:
            goes_on = _in_run(mem, t, op)
        else:
            goes_on = _before_run(mem, t, op)
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
