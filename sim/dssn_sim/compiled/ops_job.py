# mypy: disable-error-code="no-any-return"
"""One engine run: its nodes, what it holds there, its enclaves, and how it gives everything back."""

from __future__ import annotations

import numpy as np

from dssn_sim.compiled import tape
from dssn_sim.compiled.doors import door
from dssn_sim.compiled.ops_allocate import add_need, add_request
from dssn_sim.compiled.ops_base import (
    BOUND,
    DELIVERIES,
    GRANT,
    JOBS,
    MACHINE,
    THREADS,
    TIME,
    T,
    note_state,
    value,
    wait_until,
)
from dssn_sim.compiled.ops_channel import release_channel
from dssn_sim.compiled.ops_route import site_rtt
from dssn_sim.dataplane.compiled import inner, jit

__all__ = [
    "admits",
    "allocate",
    "appraise",
    "begin_job",
    "bind",
    "check_nodes",
    "clean_up",
    "collect",
    "enclave",
    "granted",
]

TAPE, JOB_DEFS, ROLE_DEFS, STEP_DEFS, WORK_DEFS, PLACES, NODES, TEES, ENGINES, CLASSES, TEMPLATES, PROVIDERS = (
    T.tape, T.job_defs, T.role_defs, T.step_defs, T.work_defs, T.places, T.nodes, T.tees, T.engines, T.classes,
    T.templates, T.providers,
)  # fmt: skip
HELD, NEEDS, R_ENCLAVES = T.held, T.needs, T.r_enclaves
_request, _give_back = door("request"), door("give_back")

_CONSUMER, _PROVIDER, _ALIAS = tape.Binding.CONSUMER, tape.Binding.PROVIDER, tape.Binding.ALIAS
_NO_ENGINE, _NO_NODE = tape.REASON["capacity.engine"], tape.REASON["capacity.node"]
_PENDING, _RESERVING, _RESERVED, _SCHEDULABLE = (
    tape.STATE["allocation", s] for s in ("Pending", "Reserving", "Reserved", "Schedulable")
)
_RUNNING = tape.STATE["job", "Running"]

# Queueing policies (machine.queueing).
FIFO, PRIORITY, AGING, DEADLINE, SHORTEST = range(5)


# ------------------------------------------------------------------ plan


@inner
def begin_job(mem: int, t: int, job_def: int) -> None:
    """Begin an engine run, or another attempt at it."""
    m, th, jobs = MACHINE(mem)[0], THREADS(mem)[t], JOBS(mem)
    j = m.free_jobs
    if j >= 0:
        m.free_jobs = jobs[j].next
    else:
        j = m.top_jobs
        m.top_jobs += 1
    jobs[j].d = th.d
    jobs[j].thread = t
    jobs[j].pc = th.pc
    jobs[j].job_def = job_def
    jobs[j].request = -1
    jobs[j].held = -1
    jobs[j].runs = 0
    th.job = j
    for k in range(JOB_DEFS(mem)[job_def].roles):
        role = BOUND(mem)[j * m.n_roles + k]
        role.place = -1
        role.enclave = 0.0
        role.promised = 0.0


@inner
def bind(mem: int, t: int) -> None:
    """Bind the roles of consumer and providers to their nodes."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    job_def = JOB_DEFS(mem)[JOBS(mem)[th.job].job_def]
    bound = BOUND(mem)
    for k in range(job_def.roles):
        role = ROLE_DEFS(mem)[job_def.role0 + k]
        if role.bind == _CONSUMER:
            bound[th.job * m.n_roles + k].place = DELIVERIES(mem)[th.d].consumer
        elif role.bind == _PROVIDER:
            bound[th.job * m.n_roles + k].place = PROVIDERS(mem)[th.d * m.n_parties + role.arg]


@inner
def admits(mem: int, engine: int, d: int, role: int, place: int) -> int:
    """Return 0 if a node can run a role of an engine, else the reason (as ``nodes.admission.admit``)."""
    row, need, node = ENGINES(mem)[engine], ROLE_DEFS(mem)[role], PLACES(mem)[place]
    if node.engines != 0 and (node.engines & row.bit) == 0:
        return _NO_ENGINE
    if ((row.forms >> np.uint64(node.form)) & np.uint64(1)) == 0:
        return _NO_ENGINE
    if node.cores < row.cores or node.memory < row.memory:
        return _NO_ENGINE
    enclave_bytes = value(mem, d, need.enclave)
    if enclave_bytes > 0.0 and node.tee < 0:
        return _NO_ENGINE
    if node.cores < value(mem, d, need.min_cores):
        return _NO_NODE
    if node.memory < max(value(mem, d, need.memory), enclave_bytes):
        return _NO_NODE
    return 0


@inner
def check_nodes(mem: int, t: int) -> int:
    """See that every node can run its roles and promise the work to them; 0 or the position of the role that cannot + 1."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    job = JOBS(mem)[th.job]
    job_def = JOB_DEFS(mem)[job.job_def]
    first, bound, nodes = th.job * m.n_roles, BOUND(mem), NODES(mem)
    for k in range(job_def.roles):
        role = ROLE_DEFS(mem)[job_def.role0 + k]
        if role.bind == _ALIAS:
            bound[first + k].place = bound[first + role.arg].place
        bound[first + k].first = k
        for i in range(k):
            if bound[first + i].place == bound[first + k].place:
                bound[first + k].first = i
                break
        if (
            role.bind != _ALIAS
            and admits(mem, job_def.engine, th.d, job_def.role0 + k, bound[first + k].place) != 0
        ):
            return k + 1
    for s in range(job_def.step0, job_def.step0 + job_def.steps):
        sd = STEP_DEFS(mem)[s]
        for i in range(sd.work0, sd.work0 + sd.works):
            work = WORK_DEFS(mem)[i]
            bound[first + bound[first + work.role].first].promised += value(mem, th.d, work.core_s)
    for k in range(job_def.roles):
        if bound[first + k].first == k:
            node = nodes[bound[first + k].place]
            node.backlog = max(0.0, node.backlog + bound[first + k].promised)
    m.arrivals += 1
    job.since = m.arrivals
    job.runs = 1
    return 0


# ------------------------------------------------------------------ co-allocation


@inner
def _work(mem: int, d: int, job_def: int) -> float:
    """Return the core-seconds of all roles and steps of a run."""
    row, total = JOB_DEFS(mem)[job_def], 0.0
    for s in range(row.step0, row.step0 + row.steps):
        sd = STEP_DEFS(mem)[s]
        for i in range(sd.work0, sd.work0 + sd.works):
            total += value(mem, d, WORK_DEFS(mem)[i].core_s)
    return total


@jit("void(int64, int64)")
def allocate(mem: int, t: int) -> None:
    """Ask for cores and memory on all nodes of a run at once."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    d, job = DELIVERIES(mem)[th.d], JOBS(mem)[th.job]
    job_def = JOB_DEFS(mem)[job.job_def]
    priority = float(CLASSES(mem)[d.cls].priority)
    number = float(d.number)
    key0, key1, key2 = m.now, number, 0.0
    if m.queueing == PRIORITY:
        key0, key1, key2 = priority, m.now, number
    elif m.queueing == AGING:
        key0, key1, key2 = m.now + priority * m.aging, priority, number
    elif m.queueing == DEADLINE:
        key0, key1, key2 = d.deadline_s, m.now, number
    elif m.queueing == SHORTEST:
        key0, key1, key2 = _work(mem, th.d, job.job_def), m.now, number
    note_state(mem, th.d, _PENDING, TAPE(mem)[th.pc].a, m.now)
    note_state(mem, th.d, _RESERVING, TAPE(mem)[th.pc].a, m.now)
    r = add_request(mem, t, key0, key1, key2)
    for k in range(job_def.roles):
        role = ROLE_DEFS(mem)[job_def.role0 + k]
        if role.bind == _ALIAS:
            continue
        place = BOUND(mem)[th.job * m.n_roles + k].place
        node, need = PLACES(mem)[place], NEEDS(mem)[add_need(mem, r, place)]
        cores = min(value(mem, th.d, role.cores), node.cores) if node.reserved else 0.0
        need.cores_f = min(node.cores, need.cores_f + cores)
        need.memory_f = min(node.memory, need.memory_f + value(mem, th.d, role.memory))
        need.cores = np.int64(np.rint(need.cores_f * 1e6))
        need.memory = np.int64(np.rint(need.memory_f))
    job.request = r
    th.start_s = m.now
    th.wait = GRANT
    th.sub = 1
    m.waiting += 1
    _request(mem, (mem, r))


@inner
def stop_waiting(mem: int, t: int) -> None:
    """Count the time that a run has waited for its nodes."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    d = DELIVERIES(mem)[th.d]
    m.waiting -= 1
    d.queue_s += m.now - th.start_s
    d.wait_s += m.now - th.start_s


@inner
def granted(mem: int, t: int) -> None:
    """Go on with all nodes in hand."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    d, first = DELIVERIES(mem)[th.d], th.job * m.n_roles
    th.sub = 0
    stop_waiting(mem, t)
    note_state(mem, th.d, _RESERVED, TAPE(mem)[th.pc].a, m.now)
    note_state(mem, th.d, _SCHEDULABLE, TAPE(mem)[th.pc].a, m.now)
    for k in range(JOB_DEFS(mem)[JOBS(mem)[th.job].job_def].roles):
        if BOUND(mem)[first + k].first == k:
            NODES(mem)[BOUND(mem)[first + k].place].jobs += 1
    if d.job_began_s != d.job_began_s:
        d.job_began_s = m.now
        d.job = _RUNNING
        note_state(mem, th.d, _RUNNING, -1, m.now)


# ------------------------------------------------------------------ enclaves


@inner
def enclave(mem: int, t: int, k: int) -> bool:
    """Build an enclave for a role and quote it; False: the role needs none."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    role = BOUND(mem)[th.job * m.n_roles + k]
    tee = PLACES(mem)[role.place].tee
    size = value(mem, th.d, ROLE_DEFS(mem)[JOB_DEFS(mem)[JOBS(mem)[th.job].job_def].role0 + k].enclave)
    if size <= 0.0 or tee < 0:
        return False
    row, node = TEES(mem)[tee], NODES(mem)[role.place]
    node.enclave_used += size
    role.enclave = size
    role.began_s = m.now
    role.paged = min(size, max(0.0, node.enclave_used - row.enclave))
    within = min(size, row.enclave)
    start_s = row.start_s + row.start_s_per_byte * (within + row.eviction * (size - within))
    wait_until(mem, t, m.now + (start_s + row.quote_s), TIME)
    return True


@inner
def appraise(mem: int, t: int, k: int) -> bool:
    """Have an enclave's quote appraised and the key released to it; False: Python is asked for a round-trip time."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    place = BOUND(mem)[th.job * m.n_roles + k].place
    rtt = site_rtt(mem, DELIVERIES(mem)[th.d].consumer, place)
    if rtt != rtt:
        return False
    wait_until(mem, t, m.now + (TEES(mem)[PLACES(mem)[place].tee].verify_s + rtt), TIME)
    return True


# ------------------------------------------------------------------ the end


@jit("void(int64, int64)")
def clean_up(mem: int, j: int) -> None:
    """Give back everything an attempt holds; the row stays until its thread has taken the results."""
    m, job, held = MACHINE(mem)[0], JOBS(mem)[j], HELD(mem)
    d, job_def = DELIVERIES(mem)[job.d], JOB_DEFS(mem)[job.job_def]
    i = job.held
    while i >= 0:
        release_channel(mem, held[i].channel, TEMPLATES(mem)[d.template].keep_open_s)
        after = held[i].next
        held[i].next = m.free_held
        m.free_held = i
        i = after
    job.held = -1
    for k in range(job_def.roles):
        role = BOUND(mem)[j * m.n_roles + k]
        if role.enclave > 0.0:
            NODES(mem)[role.place].enclave_used -= role.enclave
            d.tee_s += m.now - role.began_s
            if d.detail:
                row = R_ENCLAVES(mem)[m.n_r_enclaves]
                m.n_r_enclaves += 1
                row.number = d.number
                row.bytes = role.enclave
                row.start_s = role.began_s
                row.end_s = m.now
                row.paged = role.paged
                row.attest_s = d.attest_s
                row.place = role.place
    if job.runs:
        for k in range(job_def.roles):
            role = BOUND(mem)[j * m.n_roles + k]
            if role.first == k:
                node = NODES(mem)[role.place]
                node.backlog = max(0.0, node.backlog - role.promised)
    job.runs = 0
    if job.request >= 0:
        _give_back(mem, (mem, job.request))
        job.request = -1


@inner
def drop_job(mem: int, t: int) -> None:
    """Give the row of a thread's run back."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    JOBS(mem)[th.job].next = m.free_jobs
    m.free_jobs = th.job
    th.job = -1


@inner
def collect(mem: int, t: int) -> None:
    """Take a finished run's results into the delivery."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    d, job_def = DELIVERIES(mem)[th.d], JOB_DEFS(mem)[JOBS(mem)[th.job].job_def]
    d.job_ended_s = m.now
    d.result_bytes = value(mem, th.d, job_def.result)
    d.jobs += 1
    if d.run_place < 0:
        d.run_place = d.consumer
    for k in range(job_def.roles):
        if ROLE_DEFS(mem)[job_def.role0 + k].reported:
            d.run_place = BOUND(mem)[th.job * m.n_roles + k].place
            break
