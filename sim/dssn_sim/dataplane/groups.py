"""Groups: the flows with one bottleneck, and which links they cross.

A *node* is a link in a priority layer. The flows whose bottleneck is node ``g`` form group
``g``; they share one level (rate per unit of weight) and one clock ``V``. A *pair* (m, g)
counts the flows of group g on node m. A flow held at its own cap is in no group.
"""

from __future__ import annotations

from math import inf

from dssn_sim.dataplane.compiled import jit
from dssn_sim.dataplane.heaps import bh_fix, bh_push, bh_remove, ph_insert, ph_remove
from dssn_sim.dataplane.layout import State

__all__ = [
    "advance",
    "hold_at_cap",
    "put",
    "rehash",
    "release_from_cap",
    "remaining",
    "set_time_key",
    "settle_timed",
    "take",
]


@jit
def two_sum_error(a: float, b: float, s: float) -> float:
    """Return the rounding error of ``s = a + b`` (Knuth's TwoSum)."""
    z = s - a
    return (a - (s - z)) + (b - z)


# ------------------------------------------------------------------ pairs (node, group)


@jit
def _slot(S: State, m: int, g: int) -> int:
    mask = len(S.table) - 1
    h = (m * 40503 + g * 2654435761) & 0xFFFFFFFF
    h = (h ^ (h >> 15)) & mask
    while True:
        p = S.table[h]
        if p == 0:
            return h
        pair = S.pairs[p - 1]
        if pair.m == m and pair.g == g:
            return h
        h = (h + 1) & mask


@jit
def _home(S: State, p: int) -> int:
    h = (S.pairs[p].m * 40503 + S.pairs[p].g * 2654435761) & 0xFFFFFFFF
    return (h ^ (h >> 15)) & (len(S.table) - 1)


@jit
def rehash(S: State) -> None:
    """Fill an empty table from the pairs in use."""
    for p in range(S.misc[0].top_pair):
        if S.pairs[p].cnt > 0:
            S.table[_slot(S, S.pairs[p].m, S.pairs[p].g)] = p + 1


@jit
def _pair_add(S: State, leg: int, g: int, w: float) -> None:
    m = S.legs[leg].node
    h = _slot(S, m, g)
    p = S.table[h] - 1
    if p < 0:
        misc = S.misc[0]
        p = misc.free_pair
        if p >= 0:
            misc.free_pair = S.pairs[p].gn
        else:
            p = misc.top_pair
            misc.top_pair += 1
        S.table[h] = p + 1
        pair = S.pairs[p]
        pair.m = m
        pair.g = g
        pair.cnt = 0
        pair.w = 0.0
        pair.wc = 0.0
        pair.first = -1
        pair.gp = -1
        pair.lp = -1
        pair.gn = S.nodes[m].glist
        if pair.gn >= 0:
            S.pairs[pair.gn].gp = p
        S.nodes[m].glist = p
        pair.ln = S.nodes[g].llist
        if pair.ln >= 0:
            S.pairs[pair.ln].lp = p
        S.nodes[g].llist = p
    pair = S.pairs[p]
    pair.cnt += 1
    s = pair.w + w
    pair.wc += two_sum_error(pair.w, w, s)
    pair.w = s
    row = S.legs[leg]
    row.pair = p
    row.prev = -1
    row.next = pair.first
    if pair.first >= 0:
        S.legs[pair.first].prev = leg
    pair.first = leg


@jit
def _pair_drop(S: State, leg: int, w: float) -> None:
    row = S.legs[leg]
    p = row.pair
    pair = S.pairs[p]
    if row.prev >= 0:
        S.legs[row.prev].next = row.next
    else:
        pair.first = row.next
    if row.next >= 0:
        S.legs[row.next].prev = row.prev
    row.pair = -1
    pair.cnt -= 1
    if pair.cnt > 0:
        s = pair.w - w
        pair.wc += two_sum_error(pair.w, -w, s)
        pair.w = s
        return
    # the last one: unlink the pair and close the gap in the hash table
    if pair.gp >= 0:
        S.pairs[pair.gp].gn = pair.gn
    else:
        S.nodes[pair.m].glist = pair.gn
    if pair.gn >= 0:
        S.pairs[pair.gn].gp = pair.gp
    if pair.lp >= 0:
        S.pairs[pair.lp].ln = pair.ln
    else:
        S.nodes[pair.g].llist = pair.ln
    if pair.ln >= 0:
        S.pairs[pair.ln].lp = pair.lp
    mask = len(S.table) - 1
    hole = _slot(S, pair.m, pair.g)
    h = hole
    while True:
        h = (h + 1) & mask
        q = S.table[h]
        if q == 0:
            break
        if ((h - _home(S, q - 1)) & mask) >= ((h - hole) & mask):
            S.table[hole] = q
            hole = h
    S.table[hole] = 0
    pair.m = -1
    pair.g = -1
    pair.gn = S.misc[0].free_pair
    S.misc[0].free_pair = p


# ------------------------------------------------------------------ clocks and keys


@jit
def advance(S: State, m: int, now: float) -> None:
    """Bring the clock of group ``m`` up to ``now`` (compensated sum)."""
    node = S.nodes[m]
    dt = now - node.tV
    if dt > 0.0:
        x = node.lam * dt
        s = node.V + x
        node.Vc += two_sum_error(node.V, x, s)
        node.V = s
    node.tV = now


@jit
def set_time_key(S: State, m: int, t: float) -> None:
    """Set the next end of group ``m`` (inf: none)."""
    misc = S.misc[0]
    S.tkey[m] = t
    if S.tpos[m] < 0:
        if t < inf:
            misc.nt = bh_push(S.theap, S.tkey, S.tpos, misc.nt, m)
    elif t < inf:
        bh_fix(S.theap, S.tkey, S.tpos, misc.nt, m)
    else:
        misc.nt = bh_remove(S.theap, S.tkey, S.tpos, misc.nt, m)


@jit
def settle_timed(S: State, f: int, rate: float, now: float) -> None:
    """Give a flow kept by time a new rate from ``now`` on."""
    flow = S.flows[f]
    left = flow.rem - flow.rate * (now - flow.t0)
    flow.rem = left if left > 0.0 else 0.0
    flow.t0 = now
    flow.rate = rate
    S.misc[0].troot = ph_remove(S.ends, S.misc[0].troot, f)
    end = now + flow.rem / rate if rate > 0.0 else inf
    S.misc[0].troot = ph_insert(S.ends, S.misc[0].troot, f, end)


@jit
def remaining(S: State, f: int, now: float) -> float:
    """Return what flow ``f`` has still to move at ``now`` (its group's clock may lag)."""
    flow = S.flows[f]
    if flow.timed:
        left = flow.rem - flow.rate * (now - flow.t0)
    else:
        node = S.nodes[flow.bott]
        left = ((S.ends[f].key - node.V) - (node.Vc + node.lam * (now - node.tV))) * flow.w
    return left if left > 0.0 else 0.0


# ------------------------------------------------------------------ membership


@jit
def put(S: State, f: int, m: int, left: float) -> None:
    """Make flow ``f`` (in no group) a member of group ``m``, whose clock is up to date.

    A flow with a guaranteed part stays kept by time; others get an end key on the group's clock.
    """
    flow = S.flows[f]
    node = S.nodes[m]
    flow.bott = m
    node.gsize += 1
    if flow.g > 0.0:
        flow.op = -1
        flow.on = node.own
        if node.own >= 0:
            S.flows[node.own].op = f
        node.own = f
    else:
        flow.timed = 0
        node.root = ph_insert(S.ends, node.root, f, node.V + (node.Vc + left / flow.w))
    if flow.cap < inf:
        node.kroot = ph_insert(S.caps, node.kroot, f, flow.cap / flow.w)
    for leg in range(flow.r0, flow.r0 + flow.rn):
        _pair_add(S, leg, m, flow.w)


@jit
def take(S: State, f: int) -> float:
    """Take flow ``f`` out of its group, whose clock is up to date; return what is left to move."""
    flow = S.flows[f]
    node = S.nodes[flow.bott]
    left = 0.0
    node.gsize -= 1
    if flow.timed:
        if flow.op >= 0:
            S.flows[flow.op].on = flow.on
        else:
            node.own = flow.on
        if flow.on >= 0:
            S.flows[flow.on].op = flow.op
    else:
        left = ((S.ends[f].key - node.V) - node.Vc) * flow.w
        if left < 0.0:
            left = 0.0
        node.root = ph_remove(S.ends, node.root, f)
    if flow.cap < inf:
        node.kroot = ph_remove(S.caps, node.kroot, f)
    for leg in range(flow.r0, flow.r0 + flow.rn):
        _pair_drop(S, leg, flow.w)
    flow.bott = -1
    return left


@jit
def hold_at_cap(S: State, f: int, left: float, now: float) -> None:
    """Hold flow ``f`` (in no group) at its own cap."""
    flow = S.flows[f]
    flow.bott = -1
    rate = flow.g + flow.cap
    if flow.timed:
        settle_timed(S, f, rate, now)
    else:
        flow.timed = 1
        flow.rem = left
        flow.t0 = now
        flow.rate = rate
        end = now + left / rate if rate > 0.0 else inf
        S.misc[0].troot = ph_insert(S.ends, S.misc[0].troot, f, end)
    level = flow.cap / flow.w
    for leg in range(flow.r0, flow.r0 + flow.rn):
        node = S.nodes[S.legs[leg].node]
        s = node.fx + flow.cap
        node.fxc += two_sum_error(node.fx, flow.cap, s)
        node.fx = s
        node.nfx += 1
        node.croot = ph_insert(S.tops, node.croot, leg, -level)


@jit
def release_from_cap(S: State, f: int, now: float) -> float:
    """Take back :func:`hold_at_cap`; return what is left (a guaranteed flow stays kept by time)."""
    flow = S.flows[f]
    left = 0.0
    if flow.g <= 0.0:
        left = remaining(S, f, now)
        S.misc[0].troot = ph_remove(S.ends, S.misc[0].troot, f)
        flow.timed = 0
    for leg in range(flow.r0, flow.r0 + flow.rn):
        node = S.nodes[S.legs[leg].node]
        node.nfx -= 1
        if node.nfx > 0:
            s = node.fx - flow.cap
            node.fxc += two_sum_error(node.fx, -flow.cap, s)
            node.fx = s
        else:
            node.fx = 0.0
            node.fxc = 0.0
        node.croot = ph_remove(S.tops, node.croot, leg)
    return left
