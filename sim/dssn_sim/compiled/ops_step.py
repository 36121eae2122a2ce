# mypy: disable-error-code="no-any-return"
"""One step of an engine: a*C alone, then (1-a)*C beside (1-a)*N, then a*N alone, then the rounds.

See docs/design/activities.md. The work of a step is worked out once, at its begin.
"""

from __future__ import annotations

from dssn_sim.compiled.doors import door
from dssn_sim.compiled.ops_base import (
    BOUND,
    DELIVERIES,
    JOBS,
    MACHINE,
    THREADS,
    TIME,
    T,
    add_branch,
    ready,
    value,
    wait_until,
)
from dssn_sim.compiled.ops_data import STARTED
from dssn_sim.compiled.ops_route import NO_PATH, UNKNOWN, delay_of, find_path
from dssn_sim.dataplane.compiled import inner, jit

__all__ = ["ASKED", "NEXT", "WAITS", "enclave_factor", "step"]

TAPE, JOB_DEFS, STEP_DEFS, WORK_DEFS, SEND_DEFS, ROLE_DEFS, PLACES, NODES, TEES, SPEEDUPS, SUITES, TEMPLATES = (
    T.tape, T.job_defs, T.step_defs, T.work_defs, T.send_defs, T.role_defs, T.places, T.nodes, T.tees, T.speedups,
    T.suites, T.templates,
)  # fmt: skip
_begin_flow, _begin_work = door("begin_flow"), door("begin_work")

NEXT, WAITS, ASKED = 0, 1, 2


@inner
def enclave_factor(mem: int, tee: int, working_set: float) -> float:
    """Factor on CPU time inside an enclave (as ``compute.enclave.enclave_factor``)."""
    row = TEES(mem)[tee]
    if working_set <= row.enclave or working_set <= 0.0:
        return row.slowdown
    beyond = 1.0 - row.enclave / working_set
    return row.slowdown * (1.0 + beyond * (max(row.paging, 1.0) - 1.0))


@inner
def _prepare(mem: int, t: int, step: int) -> bool:
    """Work out the core-seconds of each role, the overlap, and whether anybody sends; False: asks for paths."""
    m, th, sd, places = MACHINE(mem)[0], THREADS(mem)[t], STEP_DEFS(mem)[step], PLACES(mem)
    bound, first, d = BOUND(mem), th.job * m.n_roles, th.d
    delivery, sends, works = DELIVERIES(mem)[d], SEND_DEFS(mem), WORK_DEFS(mem)
    job_def = JOB_DEFS(mem)[JOBS(mem)[th.job].job_def]
    talks = 0
    for i in range(sd.send0, sd.send0 + sd.sends):
        a, b = bound[first + sends[i].source].place, bound[first + sends[i].target].place
        if a != b and value(mem, d, sends[i].payload) > 0.0:
            talks = 1
            if find_path(mem, delivery.technology, a, b) == UNKNOWN:
                return False
    for r in range(job_def.roles):
        bound[first + r].work = 0.0
    share = value(mem, d, sd.accelerable)
    for i in range(sd.work0, sd.work0 + sd.works):
        r = works[i].role
        place = places[bound[first + r].place]
        core_s = value(mem, d, works[i].core_s)
        if place.speedup >= 0 and share > 0.0 and sd.operator >= 0:
            faster = SPEEDUPS(mem)[place.speedup * m.n_operators + sd.operator]
            if faster > 1.0:
                part = min(share, 1.0)
                core_s *= (1.0 - part) + part / faster
        if sd.in_enclave and place.tee >= 0:
            own = value(mem, d, ROLE_DEFS(mem)[job_def.role0 + r].enclave)
            core_s *= enclave_factor(
                mem, place.tee, max(NODES(mem)[bound[first + r].place].enclave_used, own)
            )
        bound[first + r].work += core_s
    bulk = SUITES(mem)[TEMPLATES(mem)[delivery.template].suite].bulk
    for i in range(sd.send0, sd.send0 + sd.sends):
        a, b = first + sends[i].source, first + sends[i].target
        if bound[a].place != bound[b].place:
            cipher = bulk * value(mem, d, sends[i].payload)
            bound[a].work += cipher
            bound[b].work += cipher
    busy = 0
    for r in range(job_def.roles):
        if bound[first + r].work > 0.0:
            busy = 1
    th.factor = min(1.0, max(0.0, value(mem, d, sd.overlap))) if talks and busy else 1.0
    th.data = talks + 2 * busy
    return True


@inner
def _compute(mem: int, t: int, step: int, share: float) -> None:
    """Begin a share of the work of every role."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    bound, first, d = BOUND(mem), th.job * m.n_roles, th.d
    job_def = JOB_DEFS(mem)[JOBS(mem)[th.job].job_def]
    most = value(mem, d, STEP_DEFS(mem)[step].cores)
    for r in range(job_def.roles):
        role = bound[first + r]
        if role.work > 0.0:
            child = add_branch(mem, t, -1)
            THREADS(mem)[child].a = role.place
            cores = min(
                min(value(mem, d, ROLE_DEFS(mem)[job_def.role0 + r].cores), PLACES(mem)[role.place].cores),
                most,
            )
            _begin_work(mem, (mem, child, role.work * share, cores))


@inner
def _send(mem: int, t: int, step: int, share: float) -> None:
    """Begin a share of every transfer."""
    m, th, sd = MACHINE(mem)[0], THREADS(mem)[t], STEP_DEFS(mem)[step]
    bound, first, sends = BOUND(mem), th.job * m.n_roles, SEND_DEFS(mem)
    for i in range(sd.send0, sd.send0 + sd.sends):
        a, b = bound[first + sends[i].source].place, bound[first + sends[i].target].place
        payload = value(mem, th.d, sends[i].payload)
        if a == b or payload <= 0.0:
            continue
        child = add_branch(mem, t, -1)
        row = THREADS(mem)[child]
        row.a = a
        row.b = b
        row.data = sd.data
        row.payload = payload * share
        row.left = row.payload
        row.wire = 0.0
        row.ideal_s = 0.0
        row.waited_s = 0.0
        row.start_s = m.now
        if _begin_flow(mem, (mem, child)) != STARTED:
            m.ask = 0
            ready(mem, child)  # it looks again: asks for itself, or waits if there is still no route


@inner
def _widest(mem: int, t: int, step: int) -> float:
    """Return the round-trip time of the widest pair that talks in a step (s); -1: asks for paths."""
    m, th, sd = MACHINE(mem)[0], THREADS(mem)[t], STEP_DEFS(mem)[step]
    bound, first, sends = BOUND(mem), th.job * m.n_roles, SEND_DEFS(mem)
    technology = DELIVERIES(mem)[th.d].technology
    job_def = JOB_DEFS(mem)[JOBS(mem)[th.job].job_def]
    widest = 0.0
    pairs = sd.sends if sd.sends > 0 else job_def.roles * job_def.roles
    for i in range(pairs):
        if sd.sends > 0:
            r, s = sends[sd.send0 + i].source, sends[sd.send0 + i].target
        else:
            r, s = i // job_def.roles, i % job_def.roles
            if ROLE_DEFS(mem)[job_def.role0 + r].order >= ROLE_DEFS(mem)[job_def.role0 + s].order:
                continue
        a, b = bound[first + r].place, bound[first + s].place
        if a == b:
            continue
        path = find_path(mem, technology, a, b)
        if path == UNKNOWN:
            return -1.0
        if path != NO_PATH:
            widest = max(widest, 2.0 * delay_of(mem, path, a, b))
    return widest


@jit("int64(int64, int64)")
def step(mem: int, t: int) -> int:
    """Begin or go on with the step at a thread's place on the tape; NEXT, WAITS or ASKED."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    number = TAPE(mem)[th.pc].a
    if th.sub == 0:
        if not _prepare(mem, t, number):
            return ASKED
        th.sub = 1
    a, talks, busy = th.factor, th.data & 1, th.data >> 1
    while th.sub <= 3:
        part = th.sub
        th.sub += 1
        if part == 1 and busy and a > 0.0:
            _compute(mem, t, number, a)
        elif part == 2 and a < 1.0:
            _compute(mem, t, number, 1.0 - a)
            _send(mem, t, number, 1.0 - a)
        elif part == 3 and talks and a > 0.0:
            _send(mem, t, number, a)
        if th.children > 0:
            return WAITS
    rounds = value(mem, th.d, STEP_DEFS(mem)[number].rounds)
    if th.sub == 4 and rounds > 0.0:
        widest = _widest(mem, t, number)
        if widest < 0.0:
            return ASKED
        th.sub = 5
        if rounds * widest > 0.0:
            wait_until(mem, t, m.now + rounds * widest, TIME)
            return WAITS
    th.sub = 0
    return NEXT
