# mypy: disable-error-code="no-any-return"
"""Groups: the flows with one bottleneck, and which links they cross.

A *node* is a link in a priority layer. The flows whose bottleneck is node ``g`` form group
``g``; they share one level (rate per unit of weight) and one clock ``V``. A *pair* (m, g)
counts the flows of group g on node m. A flow held at its own cap is in no group.
"""

from __future__ import annotations

from math import inf

from dssn_sim.dataplane.compiled import inner, jit
from dssn_sim.dataplane.heaps import bh_fix, bh_push, bh_remove, ph_insert, ph_remove
from dssn_sim.dataplane.memory import (
    CAPS,
    ENDS,
    FLOWS,
    LEGS,
    MISC,
    NODES,
    PAIRS,
    TABLE,
    THEAP,
    TKEY,
    TOPS,
    TPOS,
)

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


@inner
def two_sum_error(a: float, b: float, s: float) -> float:
    """Return the rounding error of ``s = a + b`` (Knuth's TwoSum)."""
    z = s - a
    return (a - (s - z)) + (b - z)


# ------------------------------------------------------------------ pairs of node and group


@inner
def _slot(mem: int, m: int, g: int) -> int:
    misc = MISC(mem)[0]
    pairs, table = PAIRS(mem), TABLE(mem)
    mask = misc.mask
    h = (m * 40503 + g * 2654435761) & 0xFFFFFFFF
    h = (h ^ (h >> 15)) & mask
    while True:
        p = table[h]
        if p == 0:
            return h
        pair = pairs[p - 1]
        if pair.m == m and pair.g == g:
            return h
        h = (h + 1) & mask


@inner
def _home(mem: int, p: int) -> int:
    misc = MISC(mem)[0]
    pairs = PAIRS(mem)
    h = (pairs[p].m * 40503 + pairs[p].g * 2654435761) & 0xFFFFFFFF
    return (h ^ (h >> 15)) & (misc.mask)


@jit("void(int64)")
def rehash(mem: int) -> None:
    """Fill an empty table from the pairs in use."""
    misc = MISC(mem)[0]
    pairs, table = PAIRS(mem), TABLE(mem)
    for p in range(misc.top_pair):
        if pairs[p].cnt > 0:
            table[_slot(mem, pairs[p].m, pairs[p].g)] = p + 1


@inner
def _pair_add(mem: int, leg: int, g: int, w: float) -> None:
    misc = MISC(mem)[0]
    nodes, legs, pairs, table = NODES(mem), LEGS(mem), PAIRS(mem), TABLE(mem)
    m = legs[leg].node
    h = _slot(mem, m, g)
    p = table[h] - 1
    if p < 0:
        p = misc.free_pair
        if p >= 0:
            misc.free_pair = pairs[p].gn
        else:
            p = misc.top_pair
            misc.top_pair += 1
        table[h] = p + 1
        pair = pairs[p]
        pair.m = m
        pair.g = g
        pair.cnt = 0
        pair.w = 0.0
        pair.wc = 0.0
        pair.first = -1
        pair.gp = -1
        pair.lp = -1
        pair.gn = nodes[m].glist
        if pair.gn >= 0:
            pairs[pair.gn].gp = p
        nodes[m].glist = p
        pair.ln = nodes[g].llist
        if pair.ln >= 0:
            pairs[pair.ln].lp = p
        nodes[g].llist = p
    pair = pairs[p]
    pair.cnt += 1
    s = pair.w + w
    pair.wc += two_sum_error(pair.w, w, s)
    pair.w = s
    row = legs[leg]
    row.pair = p
    row.prev = -1
    row.next = pair.first
    if pair.first >= 0:
        legs[pair.first].prev = leg
    pair.first = leg


@inner
def _pair_drop(mem: int, leg: int, w: float) -> None:
    misc = MISC(mem)[0]
    nodes, legs, pairs, table = NODES(mem), LEGS(mem), PAIRS(mem), TABLE(mem)
    row = legs[leg]
    p = row.pair
    pair = pairs[p]
    if row.prev >= 0:
        legs[row.prev].next = row.next
    else:
        pair.first = row.next
    if row.next >= 0:
        legs[row.next].prev = row.prev
    row.pair = -1
    pair.cnt -= 1
    if pair.cnt > 0:
        s = pair.w - w
        pair.wc += two_sum_error(pair.w, -w, s)
        pair.w = s
        return
    # the last one: unlink the pair and close the gap in the hash table
    if pair.gp >= 0:
        pairs[pair.gp].gn = pair.gn
    else:
        nodes[pair.m].glist = pair.gn
    if pair.gn >= 0:
        pairs[pair.gn].gp = pair.gp
    if pair.lp >= 0:
        pairs[pair.lp].ln = pair.ln
    else:
        nodes[pair.g].llist = pair.ln
    if pair.ln >= 0:
        pairs[pair.ln].lp = pair.lp
    mask = misc.mask
    hole = _slot(mem, pair.m, pair.g)
    h = hole
    while True:
        h = (h + 1) & mask
        q = table[h]
        if q == 0:
            break
        if ((h - _home(mem, q - 1)) & mask) >= ((h - hole) & mask):
            table[hole] = q
            hole = h
    table[hole] = 0
    pair.m = -1
    pair.g = -1
    pair.gn = misc.free_pair
    misc.free_pair = p


# ------------------------------------------------------------------ clocks and keys


@inner
def advance(mem: int, m: int, now: float) -> None:
    """Bring the clock of group ``m`` up to ``now`` (compensated sum)."""
    nodes = NODES(mem)
    node = nodes[m]
    dt = now - node.tV
    if dt > 0.0:
        x = node.lam * dt
        s = node.V + x
        node.Vc += two_sum_error(node.V, x, s)
        node.V = s
    node.tV = now


@inner
def set_time_key(mem: int, m: int, t: float) -> None:
    """Set the next end of group ``m`` (inf: none)."""
    misc = MISC(mem)[0]
    theap, tkey, tpos = THEAP(mem), TKEY(mem), TPOS(mem)
    tkey[m] = t
    if tpos[m] < 0:
        if t < inf:
            misc.nt = bh_push(theap, tkey, tpos, misc.nt, m)
    elif t < inf:
        bh_fix(theap, tkey, tpos, misc.nt, m)
    else:
        misc.nt = bh_remove(theap, tkey, tpos, misc.nt, m)


@inner
def settle_timed(mem: int, f: int, rate: float, now: float) -> None:
    """Give a flow kept by time a new rate from ``now`` on."""
    misc = MISC(mem)[0]
    flows, ends = FLOWS(mem), ENDS(mem)
    flow = flows[f]
    left = flow.rem - flow.rate * (now - flow.t0)
    flow.rem = left if left > 0.0 else 0.0
    flow.t0 = now
    flow.rate = rate
    misc.troot = ph_remove(ends, misc.troot, f)
    end = now + flow.rem / rate if rate > 0.0 else inf
    misc.troot = ph_insert(ends, misc.troot, f, end)


@inner
def remaining(mem: int, f: int, now: float) -> float:
    """Return what flow ``f`` has still to move at ``now`` (its group's clock may lag)."""
    nodes, flows, ends = NODES(mem), FLOWS(mem), ENDS(mem)
    flow = flows[f]
    if flow.timed:
        left = flow.rem - flow.rate * (now - flow.t0)
    else:
        node = nodes[flow.bott]
        left = (((ends[f].key - node.V) - (node.Vc + node.lam * (now - node.tV))) + flow.keyc) * flow.w
    return left if left > 0.0 else 0.0


# ------------------------------------------------------------------ membership


@inner
def put(mem: int, f: int, m: int, left: float) -> None:
    """Make flow ``f`` (in no group) a member of group ``m``, whose clock is up to date.

    A flow with a guaranteed part stays kept by time; others get an end key on the group's clock.
    """
    nodes, flows, ends, caps = NODES(mem), FLOWS(mem), ENDS(mem), CAPS(mem)
    flow = flows[f]
    node = nodes[m]
    flow.bott = m
    node.gsize += 1
    if flow.g > 0.0:
        flow.op = -1
        flow.on = node.own
        if node.own >= 0:
            flows[node.own].op = f
        node.own = f
    else:
        flow.timed = 0
        x = node.Vc + left / flow.w
        key = node.V + x
        flow.keyc = two_sum_error(node.V, x, key)
        node.root = ph_insert(ends, node.root, f, key)
    if flow.cap < inf:
        node.kroot = ph_insert(caps, node.kroot, f, flow.cap / flow.w)
    for leg in range(flow.r0, flow.r0 + flow.rn):
        _pair_add(mem, leg, m, flow.w)


@inner
def take(mem: int, f: int) -> float:
    """Take flow ``f`` out of its group, whose clock is up to date; return what is left to move."""
    nodes, flows, ends, caps = NODES(mem), FLOWS(mem), ENDS(mem), CAPS(mem)
    flow = flows[f]
    node = nodes[flow.bott]
    left = 0.0
    node.gsize -= 1
    if flow.timed:
        if flow.op >= 0:
            flows[flow.op].on = flow.on
        else:
            node.own = flow.on
        if flow.on >= 0:
            flows[flow.on].op = flow.op
    else:
        left = (((ends[f].key - node.V) - node.Vc) + flow.keyc) * flow.w
        if left < 0.0:
            left = 0.0
        node.root = ph_remove(ends, node.root, f)
    if flow.cap < inf:
        node.kroot = ph_remove(caps, node.kroot, f)
    for leg in range(flow.r0, flow.r0 + flow.rn):
        _pair_drop(mem, leg, flow.w)
    flow.bott = -1
    return left


@inner
def hold_at_cap(mem: int, f: int, left: float, now: float) -> None:
    """Hold flow ``f`` (in no group) at its own cap."""
    misc = MISC(mem)[0]
    nodes, flows, legs, ends, tops = NODES(mem), FLOWS(mem), LEGS(mem), ENDS(mem), TOPS(mem)
    flow = flows[f]
    flow.bott = -1
    rate = flow.g + flow.cap
    if flow.timed:
        settle_timed(mem, f, rate, now)
    else:
        flow.timed = 1
        flow.rem = left
        flow.t0 = now
        flow.rate = rate
        end = now + left / rate if rate > 0.0 else inf
        misc.troot = ph_insert(ends, misc.troot, f, end)
    level = flow.cap / flow.w
    for leg in range(flow.r0, flow.r0 + flow.rn):
        node = nodes[legs[leg].node]
        s = node.fx + flow.cap
        node.fxc += two_sum_error(node.fx, flow.cap, s)
        node.fx = s
        node.nfx += 1
        node.croot = ph_insert(tops, node.croot, leg, -level)


@inner
def release_from_cap(mem: int, f: int, now: float) -> float:
    """Take back :func:`hold_at_cap`; return what is left (a guaranteed flow stays kept by time)."""
    misc = MISC(mem)[0]
    nodes, flows, legs, ends, tops = NODES(mem), FLOWS(mem), LEGS(mem), ENDS(mem), TOPS(mem)
    flow = flows[f]
    left = 0.0
    if flow.g <= 0.0:
        left = remaining(mem, f, now)
        misc.troot = ph_remove(ends, misc.troot, f)
        flow.timed = 0
    for leg in range(flow.r0, flow.r0 + flow.rn):
        node = nodes[legs[leg].node]
        node.nfx -= 1
        if node.nfx > 0:
            s = node.fx - flow.cap
            node.fxc += two_sum_error(node.fx, -flow.cap, s)
            node.fx = s
        else:
            node.fx = 0.0
            node.fxc = 0.0
        node.croot = ph_remove(tops, node.croot, leg)
    return left
