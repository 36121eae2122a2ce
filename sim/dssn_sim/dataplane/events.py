"""What happens to the solver: flows start and end, capacities change, time passes.

Operations only mark what they touch; :func:`settle` solves once for all that happened at one
time, layer by layer: a priority layer gets what the layers above it left.
"""

from __future__ import annotations

from math import inf
from typing import Any

from dssn_sim.dataplane.compiled import jit
from dssn_sim.dataplane.fill import EPS, enlist, solve_layer
from dssn_sim.dataplane.groups import (
    advance,
    hold_at_cap,
    put,
    release_from_cap,
    remaining,
    set_time_key,
    settle_timed,
    take,
    two_sum_error,
)
from dssn_sim.dataplane.heaps import ph_insert, ph_remove
from dssn_sim.dataplane.layout import State

__all__ = [
    "end_due",
    "integrate",
    "integrate_all",
    "move_reservation",
    "next_end",
    "rate_of",
    "run_batch",
    "set_capacity",
    "set_guarantee",
    "settle",
    "start_flow",
    "stop_flow",
]


# ------------------------------------------------------------------ marking


@jit
def _dirty_node(S: State, n: int) -> None:
    misc = S.misc[0]
    if S.nodes[n].dirty != misc.dirty_stamp:
        S.nodes[n].dirty = misc.dirty_stamp
        S.dirty[misc.n_dirty] = n
        misc.n_dirty += 1


@jit
def _dirty_link(S: State, link: int) -> None:
    misc = S.misc[0]
    if S.links[link].dirty != misc.dirty_stamp:
        S.links[link].dirty = misc.dirty_stamp
        S.dlinks[misc.n_dlinks] = link
        misc.n_dlinks += 1


@jit
def _touch(S: State, link: int) -> None:
    misc = S.misc[0]
    if S.links[link].touched != misc.dirty_stamp:
        S.links[link].touched = misc.dirty_stamp
        S.touched[misc.n_touched] = link
        misc.n_touched += 1


@jit
def _node_cap(S: State, layer: int, link: int) -> float:
    """Return what the layers above leave of a link; a rest below rounding is nothing."""
    row = S.links[link]
    c = row.cap - (row.base + row.basec)
    for j in range(S.misc[0].n_layers):
        k = S.order[j]
        if k == layer:
            break
        n = S.node_of[k, link]
        if n >= 0:
            c -= S.nodes[n].sum
    if c <= 8.0 * EPS * row.cap:
        return 0.0
    return c


@jit
def _node(S: State, layer: int, link: int) -> int:
    n = S.node_of[layer, link]
    if n < 0:
        misc = S.misc[0]
        n = misc.n_nodes
        misc.n_nodes += 1
        S.node_of[layer, link] = n
        node = S.nodes[n]
        node.link = link
        node.layer = layer
        node.glist = -1
        node.llist = -1
        node.root = -1
        node.kroot = -1
        node.croot = -1
        node.own = -1
        node.cap = _node_cap(S, layer, link)
    return n


# ------------------------------------------------------------------ flows


@jit
def _enter(S: State, f: int, now: float) -> None:
    """Give a flow whose row and legs are set its first place; the fill corrects it."""
    flow = S.flows[f]
    best = -1
    share = inf
    for leg in range(flow.r0, flow.r0 + flow.rn):
        n = S.legs[leg].node
        _dirty_node(S, n)
        node = S.nodes[n]
        if node.gsize > 0:
            s = node.lam * node.gsize / (node.gsize + 1.0)
        else:
            s = (node.cap - node.sum) / flow.w
        if s < share:
            share = s
            best = n
    if flow.cap / flow.w <= share:
        hold_at_cap(S, f, flow.rem, now)
    else:
        advance(S, best, now)
        put(S, f, best, flow.rem)


@jit
def _leave(S: State, f: int, now: float) -> float:
    """Take a flow out of its group or off its cap; return what is left to move."""
    flow = S.flows[f]
    if flow.timed:
        left = remaining(S, f, now)
    else:
        left = 0.0
    for leg in range(flow.r0, flow.r0 + flow.rn):
        _dirty_node(S, S.legs[leg].node)
    if flow.bott >= 0:
        advance(S, flow.bott, now)
        taken = take(S, f)
        if not flow.timed:
            left = taken
    else:
        release_from_cap(S, f, now)
    if flow.g > 0.0:
        S.misc[0].troot = ph_remove(S.ends, S.misc[0].troot, f)
    flow.timed = 0
    return left


@jit
def _add_base(S: State, f: int, g: float) -> None:
    flow = S.flows[f]
    for leg in range(flow.r0, flow.r0 + flow.rn):
        link = S.nodes[S.legs[leg].node].link
        row = S.links[link]
        s = row.base + g
        row.basec += two_sum_error(row.base, g, s)
        row.base = s
        _dirty_link(S, link)


@jit
def start_flow(
    S: State, route: Any, size: float, w: float, cap: float, g: float, layer: int, now: float
) -> int:
    """Start a flow over ``route`` (one link at least); return its row.

    ``cap`` is its highest rate, ``g`` the guaranteed part of it (already granted).
    """
    misc = S.misc[0]
    f = misc.free_flow
    if f >= 0:
        misc.free_flow = S.flows[f].free
    else:
        f = misc.top_flow
        misc.top_flow += 1
    rn = len(route)
    r0 = S.free_legs[rn]
    if r0 >= 0:
        S.free_legs[rn] = S.legs[r0].next
    else:
        r0 = misc.top_leg
        misc.top_leg += rn
    flow = S.flows[f]
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
        leg = S.legs[r0 + i]
        leg.flow = f
        leg.node = _node(S, layer, route[i])
        leg.pair = -1
        leg.next = -1
        leg.prev = -1
    if g > 0.0:
        _guarded(S, f, now)
        _add_base(S, f, g)
    misc.active += 1
    _enter(S, f, now)
    return f


@jit
def _guarded(S: State, f: int, now: float) -> None:
    """Keep a flow with a guaranteed part by time."""
    flow = S.flows[f]
    flow.timed = 1
    flow.t0 = now
    flow.rate = 0.0
    S.misc[0].troot = ph_insert(S.ends, S.misc[0].troot, f, inf)


@jit
def stop_flow(S: State, f: int, now: float, ended: bool) -> float:
    """Remove a flow and free its row; return what was left to move (nothing, if it ended)."""
    misc = S.misc[0]
    flow = S.flows[f]
    left = _leave(S, f, now)
    if ended:
        left = 0.0
    _count(S, f, left)
    if flow.g > 0.0:
        _add_base(S, f, -flow.g)
    for leg in range(flow.r0, flow.r0 + flow.rn):
        S.legs[leg].flow = -1
    S.legs[flow.r0].next = S.free_legs[flow.rn]
    S.free_legs[flow.rn] = flow.r0
    flow.bott = -2
    flow.free = misc.free_flow
    misc.free_flow = f
    misc.active -= 1
    return left


@jit
def set_guarantee(S: State, f: int, g: float, now: float) -> None:
    """Change the guaranteed part of a running flow."""
    flow = S.flows[f]
    if g == flow.g:
        return
    flow.rem = _leave(S, f, now)
    if flow.g > 0.0:
        _add_base(S, f, -flow.g)
    flow.cap = max(flow.cap + flow.g - g, 0.0)
    flow.g = g
    if g > 0.0:
        _guarded(S, f, now)
        _add_base(S, f, g)
    _enter(S, f, now)


@jit
def rate_of(S: State, f: int) -> float:
    """Return the present rate of a flow (after :func:`settle`)."""
    flow = S.flows[f]
    if flow.timed:
        return flow.rate
    return flow.w * S.nodes[flow.bott].lam


# ------------------------------------------------------------------ capacities and totals


@jit
def integrate(S: State, link: int, now: float) -> None:
    """Bring the totals of a link up to ``now``."""
    row = S.links[link]
    dt = now - row.tl
    row.tl = now
    load = row.load + (row.vl + row.vlc)
    if dt > 0.0 and load > 0.0:
        if row.phys > 0.0:
            x = load * dt / row.phys
            s = row.busy + x
            row.busyc += two_sum_error(row.busy, x, s)
            row.busy = s


@jit
def _count(S: State, f: int, left: float) -> None:
    """Add what a flow has moved to the totals of its links.

    Counted by flow and not by rate times time, so that what went in is what came out.
    """
    flow = S.flows[f]
    d = (flow.size - left) - flow.counted
    flow.counted = flow.size - left
    for leg in range(flow.r0, flow.r0 + flow.rn):
        link = S.nodes[S.legs[leg].node].link
        if S.links[link].parent >= 0:
            link = S.links[link].parent
        row = S.links[link]
        s = row.bits + d
        row.bitsc += two_sum_error(row.bits, d, s)
        row.bits = s


@jit
def integrate_all(S: State, now: float) -> None:
    """Bring the totals of all links up to ``now``."""
    for link in range(len(S.links)):
        integrate(S, link, now)
    for f in range(S.misc[0].top_flow):
        if S.flows[f].bott >= -1:
            _count(S, f, remaining(S, f, now))


@jit
def set_capacity(S: State, link: int, cap: float, phys: float, parent: int, now: float) -> None:
    """Set what flows may use of a link, and its physical rate."""
    integrate(S, link, now)
    row = S.links[link]
    row.cap = cap
    row.phys = phys
    row.parent = parent
    _dirty_link(S, link)


@jit
def move_reservation(S: State, link: int, parent: int, now: float) -> None:
    """Make link ``link`` a hard share of ``parent`` (or release it with -1)."""
    integrate(S, link, now)
    S.links[link].parent = parent


@jit
def _new_load(S: State, link: int, now: float) -> None:
    row = S.links[link]
    integrate(S, link, now)
    load = row.base + row.basec
    for layer in range(S.misc[0].n_layers):
        n = S.node_of[layer, link]
        if n >= 0:
            load += S.nodes[n].sum
    if row.parent >= 0:
        integrate(S, row.parent, now)
        up = S.links[row.parent]
        d = load - row.load
        s = up.vl + d
        up.vlc += two_sum_error(up.vl, d, s)
        up.vl = s
        _touch(S, row.parent)
    row.load = load


@jit
def _peaks(S: State) -> None:
    """Note the greatest use of the links touched, once all their loads are new."""
    for i in range(S.misc[0].n_touched):
        row = S.links[S.touched[i]]
        if row.phys > 0.0:
            row.peak = max(row.peak, (row.load + (row.vl + row.vlc)) / row.phys)


@jit
def settle(S: State, now: float) -> float:
    """Solve once for everything that happened at ``now``; return the time of the next end."""
    misc = S.misc[0]
    if misc.n_dirty == 0 and misc.n_dlinks == 0:
        return next_end(S)
    misc.solves += 1
    for j in range(misc.n_layers):
        layer = S.order[j]
        misc.stamp += 1
        misc.mark_stamp += 1
        misc.n_group = 0
        misc.n_marks = 0
        for i in range(misc.n_dirty):
            n = S.dirty[i]
            if S.nodes[n].layer == layer:
                enlist(S, n, now)
        for i in range(misc.n_dlinks):
            link = S.dlinks[i]
            n = S.node_of[layer, link]
            if n >= 0:
                S.nodes[n].cap = _node_cap(S, layer, link)
                enlist(S, n, now)
        if misc.n_group == 0 and misc.n_marks == 0:
            continue
        solve_layer(S, now)
        for i in range(misc.n_marks):
            link = S.nodes[S.marks[i]].link
            _touch(S, link)
            if j + 1 < misc.n_layers:
                _dirty_link(S, link)
    for i in range(misc.n_dlinks):
        _touch(S, S.dlinks[i])
    n = misc.n_touched  # parents of hard shares are added behind
    for i in range(n):
        _new_load(S, S.touched[i], now)
    _peaks(S)
    misc.n_dirty = 0
    misc.n_dlinks = 0
    misc.n_touched = 0
    misc.dirty_stamp += 1
    misc.now = now
    return next_end(S)


@jit
def next_end(S: State) -> float:
    """Return the time of the next end (inf: none)."""
    misc = S.misc[0]
    t = inf
    if misc.nt > 0:
        t = S.tkey[S.theap[0]]
    if misc.troot >= 0 and S.ends[misc.troot].key < t:
        t = S.ends[misc.troot].key
    return t


@jit
def end_due(S: State, now: float) -> int:
    """Remove all flows that end at ``now`` (within 4 units of the last digit); count in ``ended``."""
    misc = S.misc[0]
    misc.n_ended = 0
    due = now + now * 8.9e-16
    while misc.nt > 0:
        m = S.theap[0]
        if S.tkey[m] > due:
            break
        node = S.nodes[m]
        f = node.root
        advance(S, m, now)
        S.ended[misc.n_ended] = f
        misc.n_ended += 1
        stop_flow(S, f, now, True)
        f = node.root
        if f >= 0:
            d = ((S.ends[f].key - node.V) - node.Vc) / node.lam
            set_time_key(S, m, now + d if d > 0.0 else now)
        else:
            set_time_key(S, m, inf)
    while misc.troot >= 0 and S.ends[misc.troot].key <= due:
        f = misc.troot
        S.ended[misc.n_ended] = f
        misc.n_ended += 1
        stop_flow(S, f, now, True)
    return misc.n_ended


@jit
def reset_totals(S: State, now: float) -> None:
    """Forget the totals of all links."""
    integrate_all(S, now)
    for link in range(len(S.links)):
        row = S.links[link]
        row.tl = now
        row.bits = 0.0
        row.bitsc = 0.0
        row.busy = 0.0
        row.busyc = 0.0
        row.peak = 0.0
        if row.phys > 0.0:
            row.peak = (row.load + (row.vl + row.vlc)) / row.phys


@jit
def run_batch(
    S: State,
    start: Any,
    size: Any,
    w: Any,
    cap: Any,
    offset: Any,
    route: Any,
    order: Any,
    id_of: Any,
    finish: Any,
    first: int,
) -> int:
    """Run flows from position ``first`` of ``order`` on; return the position reached.

    Stops early when the tables are too small for the next flow (the caller grows them).
    """
    misc = S.misc[0]
    n = len(order)
    p = first
    t_end = settle(S, misc.now)
    while True:
        t = t_end
        if p < n and start[order[p]] < t:
            t = start[order[p]]
        if t == inf:
            return p
        if t_end <= t + t * 8.9e-16:
            for i in range(end_due(S, t)):
                finish[id_of[S.ended[i]]] = t
        while p < n and start[order[p]] <= t:
            i = order[p]
            a = offset[i]
            b = offset[i + 1]
            if misc.top_leg + (b - a) > len(S.legs) or (misc.free_flow < 0 and misc.top_flow >= len(S.flows)):
                misc.now = t
                return p
            id_of[start_flow(S, route[a:b], size[i], w[i], cap[i], 0.0, 0, t)] = i
            p += 1
        t_end = settle(S, t)
