# mypy: disable-error-code="no-any-return"
"""Placement: the shipped policies of ``dssn_models.policies.placement`` on what telemetry last showed.

Same choice as in Python, ties by node id (candidates are sorted by it) and random numbers included. A policy of the
user's own is asked in Python.
"""

from __future__ import annotations

from math import inf

from dssn_sim.compiled import tape
from dssn_sim.compiled.doors import door
from dssn_sim.compiled.draws import policy_uniform
from dssn_sim.compiled.ops_base import BOUND, DELIVERIES, JOBS, MACHINE, THREADS, T, value
from dssn_sim.compiled.ops_job import admits
from dssn_sim.compiled.ops_route import NO_PATH, UNKNOWN, compose, delay_of, find_path
from dssn_sim.compiled.ops_step import enclave_factor
from dssn_sim.dataplane.compiled import inner, jit
from dssn_sim.dataplane.memory import LINKS as SOLVER_LINKS

__all__ = ["POLICIES", "link_free", "look", "place"]

(
    TAPE, JOB_DEFS, ROLE_DEFS, STEP_DEFS, WORK_DEFS, SEND_DEFS, CANDIDATES, PLACES, NODES, TEES, IMAGES, CACHED, FREE_OF,
    ROUTE, SCRATCH, R_DECISIONS,
) = (
    T.tape, T.job_defs, T.role_defs, T.step_defs, T.work_defs, T.send_defs, T.candidates, T.places, T.nodes, T.tees,
    T.images, T.cached, T.free_of, T.route, T.scratch, T.r_decisions,
)  # fmt: skip
_settle = door("settle")

#: Placement policies by number (``machine.placement``).
POLICIES = ("nearest", "least_loaded", "cheapest", "random", "joint", "earliest_finish")
NEAREST, LEAST_LOADED, CHEAPEST, RANDOM, JOINT, EARLIEST, OWN = range(7)
_ASK, _NO_ENGINE, _NO_ROUTE = (
    tape.ASK.PLACEMENT,
    tape.REASON["capacity.engine"],
    tape.REASON["network.no_route"],
)

NEXT, ASKED = 0, 2  # else place() returns -reason


@inner
def look(mem: int) -> None:
    """Take a snapshot of all nodes if the last one belongs to an earlier period."""
    m, nodes = MACHINE(mem)[0], NODES(mem)
    period = m.telemetry_s
    if m.taken_s < 0.0 or period <= 0.0 or m.now // period > m.taken_s // period:
        for i in range(m.n_nodes):
            node = nodes[i]
            node.saw_cores = node.held_cores
            node.saw_memory = node.held_memory
            node.saw_backlog = node.backlog
            node.saw_queue = node.queue
        m.looks += 1
        m.taken_s = m.now


@inner
def link_free(mem: int, link: int) -> float:
    """Return the free rate of a directed link as last reported (bit/s)."""
    m, seen = MACHINE(mem)[0], FREE_OF(mem)[link]
    if seen.look != m.looks:
        if m.dirty:
            m.next_end = _settle(mem, (m.solver, m.now))
            m.dirty = 0
        row = SOLVER_LINKS(m.solver)[link]
        seen.bps = max(row.phys - row.load - row.vl - row.vlc, 0.0)
        seen.look = m.looks
    return seen.bps


@inner
def _reach(mem: int, t: int, place: int, role: int) -> tuple[float, float]:
    """Return the largest round-trip time and the smallest free rate to the parties of a job; (-1, 0): asks for paths."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    bound, first = BOUND(mem), th.job * m.n_roles
    technology = DELIVERIES(mem)[th.d].technology
    roles = JOB_DEFS(mem)[JOBS(mem)[th.job].job_def].roles
    rtt, free, parties = 0.0, inf, 0
    for k in range(roles + 1):
        # With nobody bound yet the consumer is the only party.
        party = bound[first + k].place if k < roles else DELIVERIES(mem)[th.d].consumer
        if k == role or party < 0 or (k == roles and parties > 0):
            continue
        parties += 1
        if party == place:
            continue
        path = find_path(mem, technology, party, place)
        if path == UNKNOWN:
            return -1.0, 0.0
        if path == NO_PATH:
            return inf, 0.0
        rtt = max(rtt, 2.0 * delay_of(mem, path, party, place))
        if m.look_at_links:
            compose(mem, path, party, place)
            for i in range(m.r_links):
                free = min(free, link_free(mem, ROUTE(mem)[i]))
    return rtt, free


@inner
def _start(mem: int, t: int, place: int, role: int, free_bps: float) -> tuple[float, float]:
    """Return (seconds before work can begin, CPU factor of the work) on a node."""
    m, th, node = MACHINE(mem)[0], THREADS(mem)[t], PLACES(mem)[place]
    job_def = JOB_DEFS(mem)[JOBS(mem)[th.job].job_def]
    image = IMAGES(mem)[job_def.image]
    start = image.start_s / node.speed
    if not CACHED(mem)[place * m.n_images + job_def.image].held:
        start += image.bytes * 8.0 / max(free_bps, 1.0) + image.bytes * image.verify_s_per_byte
    size = value(mem, th.d, ROLE_DEFS(mem)[job_def.role0 + role].enclave)
    if node.tee < 0 or size <= 0.0:
        return start, 1.0
    tee = TEES(mem)[node.tee]
    within = min(size, tee.enclave)
    start += (
        tee.start_s
        + tee.start_s_per_byte * (within + tee.eviction * (size - within))
        + tee.quote_s
        + tee.verify_s
    )
    return start, enclave_factor(mem, node.tee, NODES(mem)[place].enclave_used + size)


@inner
def _facts(mem: int, t: int, role: int) -> tuple[float, float, float]:
    """Return work, traffic and rounds of a role over all steps of its run."""
    th = THREADS(mem)[t]
    job_def = JOB_DEFS(mem)[JOBS(mem)[th.job].job_def]
    work, traffic, rounds = 0.0, 0.0, 0.0
    for s in range(job_def.step0, job_def.step0 + job_def.steps):
        sd = STEP_DEFS(mem)[s]
        rounds += value(mem, th.d, sd.rounds)
        for i in range(sd.work0, sd.work0 + sd.works):
            if WORK_DEFS(mem)[i].role == role:
                work += value(mem, th.d, WORK_DEFS(mem)[i].core_s)
        for i in range(sd.send0, sd.send0 + sd.sends):
            if role == SEND_DEFS(mem)[i].source or role == SEND_DEFS(mem)[i].target:
                traffic += value(mem, th.d, SEND_DEFS(mem)[i].payload)
    return work, traffic, rounds


@inner
def _key(
    mem: int, t: int, place: int, role: int, rtt: float, free: float, facts: tuple[float, float, float]
) -> tuple[float, float, float, float]:
    """Return what the policy compares; the smallest is chosen."""
    m, node, seen = MACHINE(mem)[0], PLACES(mem)[place], NODES(mem)[place]
    policy, power = m.placement, max(node.cores * node.speed, 1e-9)
    if policy == NEAREST:
        return rtt, 0.0, 0.0, 0.0
    if policy == CHEAPEST:
        return node.price / power, rtt, 0.0, 0.0
    free_cores = max(0.0, node.cores - seen.saw_cores)
    if policy == LEAST_LOADED:
        return seen.saw_backlog / power, float(seen.saw_queue), -free_cores / max(node.cores, 1e-9), rtt
    wait = 0.0 if seen.saw_queue == 0 and free_cores >= 1.0 else seen.saw_backlog / power
    start, slowdown = _start(mem, t, place, role, free)
    job_def = JOB_DEFS(mem)[JOBS(mem)[THREADS(mem)[t].job].job_def]
    cores = min(value(mem, THREADS(mem)[t].d, ROLE_DEFS(mem)[job_def.role0 + role].cores), node.cores)
    work = facts[0] * slowdown / max(1e-9, cores * node.speed)
    if policy == EARLIEST:
        return wait + start + work, seen.saw_backlog, rtt, 0.0
    move = facts[1] * 8.0 / max(free, 1e3)
    return wait + (start + work) + move + max(1.0, facts[2]) * rtt, seen.saw_backlog, 0.0, 0.0


@inner
def _usable(mem: int, t: int, role: int) -> tuple[int, int]:
    """Write the candidates that are up, can run the role and are reached into scratch; (how many, how many are up)."""
    th = THREADS(mem)[t]
    job_def = JOB_DEFS(mem)[JOBS(mem)[th.job].job_def]
    rd, out = ROLE_DEFS(mem)[job_def.role0 + role], SCRATCH(mem)
    n, up = 0, 0
    for i in range(rd.first, rd.first + rd.count):
        place = CANDIDATES(mem)[i]
        if not NODES(mem)[place].up or admits(mem, job_def.engine, th.d, job_def.role0 + role, place) != 0:
            continue
        if up == 0:
            look(mem)
        up += 1
        rtt, _free = _reach(mem, t, place, role)
        if rtt < 0.0:
            return -1, 0
        if rtt < inf:
            out[n] = place
            n += 1
    return n, up


@inner
def _sample(mem: int, t: int, n: int) -> int:
    """Keep ``choices`` of n candidates drawn at random, in their order; how many are left."""
    m, d, out = MACHINE(mem)[0], DELIVERIES(mem)[THREADS(mem)[t].d], SCRATCH(mem)
    if m.choices <= 0 or n <= m.choices:
        return n
    left = n
    for i in range(m.choices):
        # The drawn one goes behind those that are left, which keep their order.
        k = int(policy_uniform(m.policy_key, d.number, d.decided, i) * left)
        drawn = out[k]
        for j in range(k, n - 1):
            out[j] = out[j + 1]
        out[n - 1] = drawn
        left -= 1
    # The drawn ones stand last; bring them to the front by id.
    for i in range(m.choices):
        place = out[left + i]
        j = i
        while j > 0 and PLACES(mem)[out[j - 1]].rank > PLACES(mem)[place].rank:
            out[j] = out[j - 1]
            j -= 1
        out[j] = place
    return m.choices


@inner
def _choose(mem: int, t: int, role: int, n: int) -> int:
    """Return the node that the policy chooses among n candidates in scratch."""
    m, d, out = MACHINE(mem)[0], DELIVERIES(mem)[THREADS(mem)[t].d], SCRATCH(mem)
    if m.placement == RANDOM:
        return out[int(policy_uniform(m.policy_key, d.number, d.decided, 0) * n)]
    facts = (0.0, 0.0, 0.0)
    if m.placement >= JOINT:
        facts = _facts(mem, t, role)
    best = -1
    least = (inf, inf, inf, inf)
    for i in range(n):
        rtt, free = _reach(mem, t, out[i], role)
        key = _key(mem, t, out[i], role, rtt, free, facts)
        if best < 0 or key < least:
            best = out[i]
            least = key
    return best


@jit("int64(int64, int64)")
def place(mem: int, t: int) -> int:
    """Place the role that a thread's tape names; NEXT, ASKED or -reason."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    d, role = DELIVERIES(mem)[th.d], TAPE(mem)[th.pc].a
    if m.placement == OWN and th.sub == 0:
        th.sub = 1
        m.ask = _ASK
        return ASKED
    if m.placement == OWN:
        th.sub = 0
        choice = m.ask_c
        up = m.ask_b
    else:
        n, up = _usable(mem, t, role)
        if n < 0:
            return ASKED
        choice = -1 - _NO_ROUTE
        if n > 0:
            n = _sample(mem, t, n)
            choice = _choose(mem, t, role, n)
    m.ask_a = -2  # what a refusal names: that the policy decided, or the role without a candidate
    if up == 0:
        m.ask_a = JOB_DEFS(mem)[JOBS(mem)[th.job].job_def].role0 + role
        return -_NO_ENGINE
    if d.detail:
        row = R_DECISIONS(mem)[m.n_r_decisions]
        m.n_r_decisions += 1
        row.number = d.number
        row.at_s = m.now
        row.kind = 0
        row.choice = choice
        row.candidates = up
    d.decided += 1
    if choice < 0:
        return choice + 1
    BOUND(mem)[th.job * m.n_roles + role].place = choice
    return NEXT
