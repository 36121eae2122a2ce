# mypy: disable-error-code="no-any-return"
"""The operations of a tape: around a run, in a run, in a branch. Each says whether its thread goes on now."""

from __future__ import annotations

from dssn_sim.compiled import tape
from dssn_sim.compiled.doors import door
from dssn_sim.compiled.ops_base import (
    BOUND,
    DELIVERIES,
    JOBS,
    LINKS,
    MACHINE,
    THREADS,
    TIME,
    T,
    add_branch,
    end_branch,
    note_state,
    ready,
    wait_until,
)
from dssn_sim.compiled.ops_call import (
    DONE,
    REFUSED,
    begin_call,
    end_call,
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
    opened,
    pull,
    shake,
    start_image,
    verify_image,
)
from dssn_sim.compiled.ops_data import NO_ROUTE
from dssn_sim.compiled.ops_end import note_negotiation
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
from dssn_sim.dataplane.compiled import inner

__all__ = ["around_run", "call", "in_branch", "in_run", "leave_branch", "move", "note_order_state"]

(TAPE, TEMPLATES, JOB_DEFS, PAIR_DEFS, NODES, DESKS, PROVIDERS, CANDIDATES, R_PROOFS, R_DECISIONS) = (
    T.tape, T.templates, T.job_defs, T.pair_defs, T.nodes, T.desks, T.providers, T.candidates, T.r_proofs, T.r_decisions,
)  # fmt: skip
_choose_network = door("choose_network")
_place = door("place")
_allocate = door("allocate")
_clean_up = door("clean_up")
_begin_flow = door("begin_flow")
_cut = door("cut")
_fail = door("fail")

_ADMISSION = tape.ASK.ADMISSION
_NETWORK = tape.ASK.NETWORK
_QUEUE_FULL = tape.REASON["capacity.queue"]
_CERTIFICATE = tape.REASON["trust.certificate"]
_DEFECT = tape.REASON["quality.defect"]
_NO_LINK = tape.REASON["fault.link"]
_UNREACHED = tape.REASON["network.no_route"]
_NODE_DOWN = tape.REASON["fault.node"]
_NEGOTIATION, _JOB, _ALLOCATION, _TRANSFER = (
    min(n for (machine, _s), n in tape.STATE.items() if machine == name)
    for name in ("negotiation", "job", "allocation", "transfer")
)
_BY_ADMISSION = 1  # kind of decision (r_decisions.kind)


@inner
def note_order_state(mem: int, d: int, state: int, step: int) -> None:
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
def move(mem: int, t: int) -> None:
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
def call(mem: int, t: int) -> bool:
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
def leave_branch(mem: int, t: int, link: int) -> None:
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
def around_run(mem: int, t: int, op: int) -> bool:
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
            _fail(mem, (mem, t, -1 - choice, -2, -1, True))
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
def in_run(mem: int, t: int, op: int) -> bool:
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
            _fail(mem, (mem, t, -said, m.ask_a, -1, True))
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
def in_branch(mem: int, t: int, op: int) -> bool:
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
            move(mem, t)
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
