# mypy: disable-error-code="no-any-return"
"""The data plane as the machine uses it: transfers over routes, work on nodes.

Transfers and work on nodes with shared cores are flows of the solver. Work on reserved cores runs at its own rate
and meets nobody, so it is a timer; only where the roles of one job want more than a node has, all work there
is slowed by one factor and timed anew. That is what the solver does with guaranteed shares.
"""

from __future__ import annotations

from math import inf

from dssn_sim.compiled.doors import door
from dssn_sim.compiled.ops_base import (
    DELIVERIES,
    FLOW,
    LATENCY,
    MACHINE,
    THREADS,
    TIME,
    TIMER,
    WORK,
    T,
    end_branch,
    ready,
    wait_until,
)
from dssn_sim.compiled.ops_route import NO_PATH, UNKNOWN, compose, find_path
from dssn_sim.compiled.tape import DATA
from dssn_sim.dataplane.compiled import inner, jit

__all__ = [
    "ASKS",
    "NO_ROUTE",
    "STARTED",
    "begin_flow",
    "begin_work",
    "cut",
    "finish_flow",
    "finish_work",
    "rescale",
]

PLACES, SUITES, CLASSES, TEMPLATES, NODES, R_FLOWS, FLOW_THREAD, ROUTE, PROVIDERS = (
    T.places, T.suites, T.classes, T.templates, T.nodes, T.r_flows, T.flow_thread, T.route, T.providers,
)  # fmt: skip
_start_flow, _stop_flow = door("start_flow"), door("stop_flow")

_RAW = DATA.index("raw")
# A month of 1 Mbit/s, half used, in bytes (as World._byte_price).
_BYTES_OF_A_MONTH = 1e6 / 8 * (30 * 86400.0) * 0.5
STARTED, NO_ROUTE, ASKS = 0, 1, 2


# ------------------------------------------------------------------ transfers


@jit("int64(int64, int64)")
def begin_flow(mem: int, t: int) -> int:
    """Send what is left of a thread's payload: STARTED, NO_ROUTE, or ASKS (Python, for the paths)."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    d = DELIVERIES(mem)[th.d]
    # A thread with a tape of its own fetches an image: over any plane, in the default suite.
    own = th.pc >= 0
    path = find_path(mem, 0 if own else d.technology, th.a, th.b)
    if path == UNKNOWN:
        return ASKS
    if path == NO_PATH:
        return NO_ROUTE
    compose(mem, path, th.a, th.b)
    th.factor = m.r_overhead * SUITES(mem)[0 if own else TEMPLATES(mem)[d.template].suite].record
    th.price = m.r_price / _BYTES_OF_A_MONTH
    th.latency_s = m.r_delay_s
    if th.ideal_s == 0.0:
        th.ideal_s = (th.payload * th.factor) * 8.0 / m.r_rate + m.r_delay_s if m.r_links > 0 else 0.0
        th.narrow = m.r_narrow
        th.path = path
    th.amount = th.left * th.factor
    if m.r_links == 0:
        wait_until(mem, t, m.now + th.latency_s, LATENCY)
        return STARTED
    cls = CLASSES(mem)[d.cls]
    slot = _start_flow(
        mem, (m.solver, m.route_at, m.r_links, 8.0 * th.amount, cls.weight, inf, 0.0, cls.layer, m.now)
    )
    FLOW_THREAD(mem)[slot] = t
    th.at = slot
    th.wait = FLOW
    m.dirty = 1
    m.flows += 1
    return STARTED


@inner
def _settle_flow(mem: int, t: int) -> None:
    """Record and count what a transfer has moved, all of it or a part."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    d = DELIVERIES(mem)[th.d]
    moved = th.payload - th.left
    if th.wire > 0.0 and d.detail:
        row = R_FLOWS(mem)[m.n_r_flows]
        m.n_r_flows += 1
        row.number = d.number
        row.source = th.a
        row.target = th.b
        row.cls = d.cls
        row.data = th.data
        row.payload = moved
        row.wire = th.wire
        row.start_s = th.start_s
        row.end_s = m.now
        row.ideal_s = th.ideal_s
        row.narrow = th.narrow
        row.path = th.path
    d.wire += th.wire
    d.payload += moved
    d.price += th.wire * th.price
    if th.data == _RAW:
        for k in range(TEMPLATES(mem)[d.template].parties):
            if PROVIDERS(mem)[th.d * m.n_parties + k] == th.a:
                d.raw += moved
                break


@jit("void(int64, int64)")
def finish_flow(mem: int, t: int) -> None:
    """Take the last byte of a transfer in."""
    th = THREADS(mem)[t]
    th.wire += th.amount
    th.left = 0.0
    _settle_flow(mem, t)
    if th.pc >= 0:
        ready(mem, t)
    else:
        end_branch(mem, t)


# ------------------------------------------------------------------ work


@inner
def _pace(mem: int, t: int) -> None:
    """Let work on reserved cores run at its node's present factor."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    th.start_s = m.now
    th.rate = th.most * NODES(mem)[th.a].factor
    th.event = 0
    th.wait = TIMER
    if th.rate > 0.0:
        wait_until(mem, t, m.now + th.left / th.rate, TIMER)


@inner
def rescale(mem: int, place: int) -> None:
    """Slow all work on a node down where it wants more cores than there are; back again where it no longer does."""
    m, node, threads = MACHINE(mem)[0], NODES(mem)[place], THREADS(mem)
    cores = PLACES(mem)[place].cores if node.up else 0.0
    factor = cores / node.floors if node.floors > cores * (1.0 + 1e-12) else 1.0
    if factor == node.factor:
        return
    node.factor = factor
    t = node.work
    while t >= 0:
        th = threads[t]
        th.left -= th.rate * (m.now - th.start_s)
        _pace(mem, t)
        t = th.next


@jit("void(int64, int64, float64, float64)")
def begin_work(mem: int, t: int, core_s: float, most: float) -> None:
    """Let a thread work on node ``a``: reference core-seconds on at most so many cores."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    place, node = PLACES(mem)[th.a], NODES(mem)[th.a]
    th.amount = core_s
    th.left = core_s / place.speed
    th.most = most
    if not place.reserved:
        route = ROUTE(mem)
        route[0] = 2 * m.n_links + th.a
        layer = CLASSES(mem)[DELIVERIES(mem)[th.d].cls].layer
        slot = _start_flow(mem, (m.solver, m.route_at, 1, th.left, 1.0, most, 0.0, layer, m.now))
        FLOW_THREAD(mem)[slot] = t
        th.at = slot
        th.wait = WORK
        m.dirty = 1
        return
    th.prev = -1
    th.next = node.work
    if node.work >= 0:
        THREADS(mem)[node.work].prev = t
    node.work = t
    node.floors += most
    _pace(mem, t)
    rescale(mem, th.a)


@inner
def _end_work(mem: int, t: int, done: float) -> None:
    """Count the core-seconds that work has done and free its cores."""
    m, threads = MACHINE(mem)[0], THREADS(mem)
    th = threads[t]
    DELIVERIES(mem)[th.d].core_s += done
    m.charged += done
    if th.wait == WORK:
        return
    node = NODES(mem)[th.a]
    node.core_s += done / PLACES(mem)[th.a].speed
    if th.prev >= 0:
        threads[th.prev].next = th.next
    else:
        node.work = th.next
    if th.next >= 0:
        threads[th.next].prev = th.prev
    node.floors = node.floors - th.most if node.work >= 0 else 0.0
    rescale(mem, th.a)


@jit("void(int64, int64)")
def finish_work(mem: int, t: int) -> None:
    """End the work of a thread."""
    _end_work(mem, t, THREADS(mem)[t].amount)
    end_branch(mem, t)


# ------------------------------------------------------------------ stopped


@jit("void(int64, int64)")
def cut(mem: int, t: int) -> None:
    """Stop the transfer or work of a thread now; what it has done is counted."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    if th.wait == TIMER:
        left = th.left - th.rate * (m.now - th.start_s)
        _end_work(mem, t, max(th.amount - left * PLACES(mem)[th.a].speed, 0.0))
    elif th.wait == WORK:
        left = _stop_flow(mem, (m.solver, th.at, m.now, False))
        m.dirty = 1
        _end_work(mem, t, max(th.amount - left * PLACES(mem)[th.a].speed, 0.0))
    else:
        done = 0.0
        if th.wait == LATENCY:
            done = th.amount
        elif th.wait == FLOW:
            left = _stop_flow(mem, (m.solver, th.at, m.now, False))
            m.dirty = 1
            done = max(th.amount - left / 8.0, 0.0)
        if th.wait != TIME:
            th.wire += done
            th.left = max(0.0, th.left - done / th.factor)
        _settle_flow(mem, t)
