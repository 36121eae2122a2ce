# mypy: disable-error-code="no-any-return"
"""What happens to the solver: flows start and end, capacities change, time passes.

Operations only mark what they touch; :func:`settle` solves once for all that happened at one
time, layer by layer: a priority layer gets what the layers above it left.
"""

from __future__ import annotations

from math import inf

from dssn_sim.dataplane.compiled import inner, jit
from dssn_sim.dataplane.fill import EPS, enlist
from dssn_sim.dataplane.groups import (
    advance,
    hold_at_cap,
    put,
    release_from_cap,
    remaining,
    set_time_key,
    take,
    two_sum_error,
)
from dssn_sim.dataplane.heaps import ph_insert, ph_remove
from dssn_sim.dataplane.memory import (
    DIRTY,
    DLINKS,
    ENDED,
    ENDS,
    FLOWS,
    FREE_LEGS,
    LEGS,
    LINKS,
    MARKS,
    MISC,
    NODE_OF,
    NODES,
    ORDER,
    THEAP,
    TKEY,
    floats_at,
    ints_at,
)
from dssn_sim.dataplane.restore import solve_layer
from dssn_sim.dataplane.totals import (
    count,
    dirty_link,
    dirty_node,
    integrate_all,
    move_reservation,
    new_loads,
    reset_totals,
    set_capacity,
    touch,
)

__all__ = [
    "end_due",
    "integrate_all",
    "move_reservation",
    "next_end",
    "rate_of",
    "reset_totals",
    "run_batch",
    "set_capacity",
    "set_guarantee",
    "settle",
    "start_flow",
    "stop_flow",
]


@inner
def _node_cap(mem: int, layer: int, link: int) -> float:
    """Return what the layers above leave of a link; a rest below rounding is nothing."""
    misc = MISC(mem)[0]
    links, nodes, node_of, order = LINKS(mem), NODES(mem), NODE_OF(mem), ORDER(mem)
    row = links[link]
    c = row.cap - (row.base + row.basec)
    for j in range(misc.n_layers):
        k = order[j]
        if k == layer:
            break
        n = node_of[k * misc.stride + link]
        if n >= 0:
            c -= nodes[n].sum
    if c <= 8.0 * EPS * row.cap:
        return 0.0
    return c


@inner
def _node(mem: int, layer: int, link: int) -> int:
    misc = MISC(mem)[0]
    nodes, node_of = NODES(mem), NODE_OF(mem)
    n = node_of[layer * misc.stride + link]
    if n < 0:
        n = misc.n_nodes
        misc.n_nodes += 1
        node_of[layer * misc.stride + link] = n
        node = nodes[n]
        node.link = link
        node.layer = layer
        node.glist = -1
        node.llist = -1
        node.root = -1
        node.kroot = -1
        node.croot = -1
        node.own = -1
        node.cap = _node_cap(mem, layer, link)
    return n


@inner
def _enter(mem: int, f: int, now: float) -> None:
    """Give a flow whose row and legs are set its first place; the fill corrects it."""
    nodes, flows, legs = NODES(mem), FLOWS(mem), LEGS(mem)
    flow = flows[f]
    best = -1
    share = inf
    for leg in range(flow.r0, flow.r0 + flow.rn):
        n = legs[leg].node
        dirty_node(mem, n)
        node = nodes[n]
        s = (node.cap - node.sum) / flow.w
        if node.gsize > 0:
            s = node.lam * node.gsize / (node.gsize + 1.0)
        if s < share:
            share = s
            best = n
    if flow.cap / flow.w <= share:
        hold_at_cap(mem, f, flow.rem, now)
    else:
        advance(mem, best, now)
        put(mem, f, best, flow.rem)


@inner
def _leave(mem: int, f: int, now: float) -> float:
    """Take a flow out of its group or off its cap; return what is left to move."""
    misc = MISC(mem)[0]
    flows, legs, ends = FLOWS(mem), LEGS(mem), ENDS(mem)
    flow = flows[f]
    left = remaining(mem, f, now) if flow.timed else 0.0
    for leg in range(flow.r0, flow.r0 + flow.rn):
        dirty_node(mem, legs[leg].node)
    if flow.bott >= 0:
        advance(mem, flow.bott, now)
        taken = take(mem, f)
        if not flow.timed:
            left = taken
    else:
        release_from_cap(mem, f, now)
    if flow.g > 0.0:
        misc.troot = ph_remove(ends, misc.troot, f)
    flow.timed = 0
    return left


@inner
def _add_base(mem: int, f: int, g: float) -> None:
    links, nodes, flows, legs = LINKS(mem), NODES(mem), FLOWS(mem), LEGS(mem)
    flow = flows[f]
    for leg in range(flow.r0, flow.r0 + flow.rn):
        link = nodes[legs[leg].node].link
        row = links[link]
        s = row.base + g
        row.basec += two_sum_error(row.base, g, s)
        row.base = s
        dirty_link(mem, link)


@inner
def _guarded(mem: int, f: int, now: float) -> None:
    """Keep a flow with a guaranteed part by time."""
    misc = MISC(mem)[0]
    flows, ends = FLOWS(mem), ENDS(mem)
    flow = flows[f]
    flow.timed = 1
    flow.t0 = now
    flow.rate = 0.0
    misc.troot = ph_insert(ends, misc.troot, f, inf)


@jit("int64(int64, int64, int64, float64, float64, float64, float64, int64, float64)")
def start_flow(
    mem: int,
    route: int,
    rn: int,
    size: float,
    w: float,
    cap: float,
    g: float,
    layer: int,
    now: float,
) -> int:
    """Start a flow; return its row.

    ``route`` is the address of its ``rn`` links (one at least), ``cap`` is its highest rate,
    ``g`` the guaranteed part of it (already granted).
    """
    misc = MISC(mem)[0]
    flows, legs, free_legs = FLOWS(mem), LEGS(mem), FREE_LEGS(mem)
    f = misc.free_flow
    if f >= 0:
        misc.free_flow = flows[f].free
    else:
        f = misc.top_flow
        misc.top_flow += 1
    links = ints_at(route)
    r0 = free_legs[rn]
    if r0 >= 0:
        free_legs[rn] = legs[r0].next
    else:
        r0 = misc.top_leg
        misc.top_leg += rn
    flow = flows[f]
    flow.r0 = r0
    flow.rn = rn
    flow.w = w
    flow.cap = max(cap - g, 0.0)
    flow.g = g
    flow.size = size
    flow.rem = size
    flow.counted = 0.0
    flow.layer = layer
    flow.timed = 0
    flow.bott = -1
    flow.on = -1
    flow.op = -1
    for i in range(rn):
        leg = legs[r0 + i]
        leg.flow = f
        leg.node = _node(mem, layer, links[i])
        leg.pair = -1
        leg.next = -1
        leg.prev = -1
    if g > 0.0:
        _guarded(mem, f, now)
        _add_base(mem, f, g)
    misc.active += 1
    _enter(mem, f, now)
    return f


@jit("float64(int64, int64, float64, boolean)")
def stop_flow(mem: int, f: int, now: float, ended: bool) -> float:  # noqa: FBT001
    """Remove a flow and free its row; return what was left to move (nothing, if it ended)."""
    misc = MISC(mem)[0]
    flows, legs, free_legs = FLOWS(mem), LEGS(mem), FREE_LEGS(mem)
    flow = flows[f]
    left = _leave(mem, f, now)
    if ended:
        left = 0.0
    count(mem, f, left)
    if flow.g > 0.0:
        _add_base(mem, f, -flow.g)
    for leg in range(flow.r0, flow.r0 + flow.rn):
        legs[leg].flow = -1
    legs[flow.r0].next = free_legs[flow.rn]
    free_legs[flow.rn] = flow.r0
    flow.bott = -2
    flow.free = misc.free_flow
    misc.free_flow = f
    misc.active -= 1
    return left


@jit("void(int64, int64, float64, float64)")
def set_guarantee(mem: int, f: int, g: float, now: float) -> None:
    """Change the guaranteed part of a running flow."""
    flows = FLOWS(mem)
    flow = flows[f]
    if g == flow.g:
        return
    flow.rem = _leave(mem, f, now)
    if flow.g > 0.0:
        _add_base(mem, f, -flow.g)
    flow.cap = max(flow.cap + flow.g - g, 0.0)
    flow.g = g
    if g > 0.0:
        _guarded(mem, f, now)
        _add_base(mem, f, g)
    _enter(mem, f, now)


@jit("float64(int64, int64)")
def rate_of(mem: int, f: int) -> float:
    """Return the present rate of a flow (after :func:`settle`)."""
    nodes, flows = NODES(mem), FLOWS(mem)
    flow = flows[f]
    if flow.timed:
        return flow.rate
    return flow.w * nodes[flow.bott].lam


@jit("float64(int64)")
def next_end(mem: int) -> float:
    """Return the time of the next end (inf: none)."""
    misc = MISC(mem)[0]
    ends, theap, tkey = ENDS(mem), THEAP(mem), TKEY(mem)
    t = inf
    if misc.nt > 0:
        t = tkey[theap[0]]
    if misc.troot >= 0 and ends[misc.troot].key < t:
        t = ends[misc.troot].key
    return t


@jit("float64(int64, float64)")
def settle(mem: int, now: float) -> float:
    """Solve once for everything that happened at ``now``; return the time of the next end."""
    misc = MISC(mem)[0]
    nodes, node_of, order, marks, dirty = NODES(mem), NODE_OF(mem), ORDER(mem), MARKS(mem), DIRTY(mem)
    dlinks = DLINKS(mem)
    if misc.n_dirty == 0 and misc.n_dlinks == 0:
        return next_end(mem)
    misc.solves += 1
    for j in range(misc.n_layers):
        layer = order[j]
        misc.stamp += 1
        misc.mark_stamp += 1
        misc.n_group = 0
        misc.n_marks = 0
        for i in range(misc.n_dirty):
            n = dirty[i]
            if nodes[n].layer == layer:
                enlist(mem, n, now)
        for i in range(misc.n_dlinks):
            link = dlinks[i]
            n = node_of[layer * misc.stride + link]
            if n >= 0:
                nodes[n].cap = _node_cap(mem, layer, link)
                enlist(mem, n, now)
        if misc.n_group == 0 and misc.n_marks == 0:
            continue
        solve_layer(mem, now)
        for i in range(misc.n_marks):
            link = nodes[marks[i]].link
            if misc.totals:
                touch(mem, link)
            if j + 1 < misc.n_layers:
                dirty_link(mem, link)
    if misc.totals:
        for i in range(misc.n_dlinks):
            touch(mem, dlinks[i])
        new_loads(mem, now)
    misc.n_dirty = 0
    misc.n_dlinks = 0
    misc.dirty_stamp += 1
    misc.now = now
    return next_end(mem)


@jit("int64(int64, float64)")
def end_due(mem: int, now: float) -> int:
    """Remove all flows that end at ``now`` (within 4 units of the last digit); count in ``ended``."""
    misc = MISC(mem)[0]
    nodes, ends, theap, tkey, flows = NODES(mem), ENDS(mem), THEAP(mem), TKEY(mem), FLOWS(mem)
    ended = ENDED(mem)
    misc.n_ended = 0
    due = now + now * 8.9e-16
    while misc.nt > 0:
        m = theap[0]
        if tkey[m] > due:
            break
        node = nodes[m]
        f = node.root
        advance(mem, m, now)
        ended[misc.n_ended] = f
        misc.n_ended += 1
        stop_flow(mem, f, now, True)
        f = node.root
        if f >= 0:
            d = (((ends[f].key - node.V) - node.Vc) + flows[f].keyc) / node.lam
            set_time_key(mem, m, now + d if d > 0.0 else now)
        else:
            set_time_key(mem, m, inf)
    while misc.troot >= 0 and ends[misc.troot].key <= due:
        f = misc.troot
        ended[misc.n_ended] = f
        misc.n_ended += 1
        stop_flow(mem, f, now, True)
    return misc.n_ended


@jit("int64(int64, int64, int64, int64, int64, int64, int64, int64, int64, int64, int64, int64)")
def run_batch(
    mem: int,
    n: int,
    first: int,
    start_at: int,
    size_at: int,
    w_at: int,
    cap_at: int,
    offset_at: int,
    route_at: int,
    order_at: int,
    id_of_at: int,
    finish_at: int,
) -> int:
    """Run flows from position ``first`` of ``order`` on; return the position reached.

    The columns of the ``n`` flows come as addresses (see ``batch.run_flows``). Stops early when the tables
    are too small for the next flow (the caller grows them).
    """
    misc = MISC(mem)[0]
    ended = ENDED(mem)
    start, size, w, cap = floats_at(start_at), floats_at(size_at), floats_at(w_at), floats_at(cap_at)
    offset, order, id_of = ints_at(offset_at), ints_at(order_at), ints_at(id_of_at)
    finish = floats_at(finish_at)
    p = first
    t_end = settle(mem, misc.now)
    while True:
        t = t_end
        if p < n and start[order[p]] < t:
            t = start[order[p]]
        if t == inf:
            return p
        if t_end <= t + t * 8.9e-16:
            for i in range(end_due(mem, t)):
                finish[id_of[ended[i]]] = t
        while p < n and start[order[p]] <= t:
            i = order[p]
            a = offset[i]
            b = offset[i + 1]
            if misc.top_leg + (b - a) > misc.size_legs or (
                misc.free_flow < 0 and misc.top_flow >= misc.size_flows
            ):
                misc.now = t
                return p
            id_of[start_flow(mem, route_at + 8 * a, b - a, size[i], w[i], cap[i], 0.0, 0, t)] = i
            p += 1
        t_end = settle(mem, t)
