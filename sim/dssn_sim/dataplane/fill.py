# mypy: disable-error-code="no-any-return"
"""The exact incremental fill: solve again only what a change can alter.

Invariant between solves, per priority layer: every flow is either held at its own cap, or in the
group of a full link on which no flow has a higher level. That is the definition of
weighted max-min fairness, so it is enough to restore it locally. ``docs/design/dataplane.md``
explains the steps; the names there are the names here.
"""

from __future__ import annotations

from math import inf

from dssn_sim.dataplane.compiled import inner
from dssn_sim.dataplane.groups import advance, hold_at_cap, put, release_from_cap, take
from dssn_sim.dataplane.heaps import bh_fix, bh_push, bh_remove
from dssn_sim.dataplane.memory import (
    CAPS,
    FHEAP,
    FKEY,
    FLOWS,
    FPOS,
    GROUP,
    LEGS,
    MARKS,
    MISC,
    NODES,
    PAIRS,
    TOPS,
)

__all__ = ["EPS", "ROUNDING", "enlist", "fill", "join", "start_fill"]

EPS = 1e-12  # relative tolerance of levels and sums; changes below it are not applied at all
FELT = 1e-12  # relative change of a full link that makes its group join at once
DIGITS = 0.1  # a rest below this part of the sum it was taken from is added up anew
ROUNDING = 2e-15  # relative error allowed to a sum over the flows of a link


@inner
def join(mem: int, m: int, now: float) -> bool:
    """Let group ``m`` be filled again; False if it was already."""
    misc = MISC(mem)[0]
    nodes, group = NODES(mem), GROUP(mem)
    node = nodes[m]
    if node.ing == misc.stamp:
        return False
    node.ing = misc.stamp
    node.popped = 0
    advance(mem, m, now)
    group[misc.n_group] = m
    misc.n_group += 1
    return True


@inner
def mark(mem: int, m: int) -> None:
    """Remember that flows came to or left node ``m``: its load is to be added up anew."""
    misc = MISC(mem)[0]
    nodes, marks = NODES(mem), MARKS(mem)
    node = nodes[m]
    node.exact = misc.mark_stamp
    if node.chk != misc.mark_stamp:
        node.chk = misc.mark_stamp
        marks[misc.n_marks] = m
        misc.n_marks += 1


@inner
def enlist(mem: int, m: int, now: float) -> None:
    """Put a node whose flows or capacity changed into the next fill."""
    nodes = NODES(mem)
    mark(mem, m)
    if nodes[m].gsize > 0 or nodes[m].lam > 0.0:
        join(mem, m, now)


@inner
def _weigh(mem: int, m: int) -> None:
    """Compute what node ``m`` has left for free flows, from scratch: no drift."""
    misc = MISC(mem)[0]
    nodes, pairs = NODES(mem), PAIRS(mem)
    stamp = misc.stamp
    node = nodes[m]
    held = node.fx + node.fxc
    num = 0.0
    top = 0.0
    cnt = 0
    foreign = 0
    p = node.glist
    while p >= 0:
        pair = pairs[p]
        g = nodes[pair.g]
        if g.ing != stamp:
            held += (pair.w + pair.wc) * g.lam
            top = max(top, g.lam)
        elif g.popped:
            held += (pair.w + pair.wc) * g.nlam
        else:
            num += pair.w + pair.wc
            cnt += pair.cnt
            if pair.g != m:
                foreign += pair.cnt
        p = pair.gn
    node.top = top
    node.foreign = foreign
    node.resid = node.cap - held
    node.num = num
    node.num0 = num
    node.cnt = cnt


@inner
def _level(mem: int, m: int) -> float:
    nodes = NODES(mem)
    node = nodes[m]
    return node.resid / node.num if node.resid > 0.0 else 0.0


@inner
def _key(mem: int, m: int) -> float:
    """Return the level at which node ``m`` has its next event: full, or a member at its cap."""
    nodes, caps = NODES(mem), CAPS(mem)
    key = _level(mem, m)
    k = nodes[m].kroot
    if k >= 0 and caps[k].key < key:
        return caps[k].key
    return key


@inner
def _push(mem: int, m: int) -> None:
    misc = MISC(mem)[0]
    fheap, fkey, fpos = FHEAP(mem), FKEY(mem), FPOS(mem)
    fkey[m] = _key(mem, m)
    misc.nf = bh_push(fheap, fkey, fpos, misc.nf, m)


@inner
def _rekey(mem: int, m: int) -> None:
    """Correct the key of an unfixed node after its free flows changed."""
    misc = MISC(mem)[0]
    nodes, fheap, fkey, fpos = NODES(mem), FHEAP(mem), FKEY(mem), FPOS(mem)
    if fpos[m] < 0:
        if nodes[m].cnt > 0:
            _push(mem, m)
    elif nodes[m].cnt > 0:
        fkey[m] = _key(mem, m)
        bh_fix(fheap, fkey, fpos, misc.nf, m)


@inner
def _relieve(mem: int, m: int, now: float) -> None:
    """Free the highest held flows of an overfull node that has no free flow (capacity was cut)."""
    misc = MISC(mem)[0]
    nodes, flows, legs, pairs, tops = NODES(mem), FLOWS(mem), LEGS(mem), PAIRS(mem), TOPS(mem)
    node = nodes[m]
    stamp = misc.stamp
    while True:
        _weigh(mem, m)
        if node.cnt > 0 or node.resid >= -EPS * node.cap:
            return
        best = -1
        top = 0.0
        p = node.glist
        while p >= 0:
            g = pairs[p].g
            if nodes[g].ing != stamp and nodes[g].lam > top:
                best = g
                top = nodes[g].lam
            p = pairs[p].gn
        c = node.croot
        if c >= 0 and -tops[c].key > top:
            f = legs[c].flow
            left = release_from_cap(mem, f, now)
            put(mem, f, m, left)
            for leg in range(flows[f].r0, flows[f].r0 + flows[f].rn):
                mark(mem, legs[leg].node)
        elif best >= 0:
            join(mem, best, now)
        else:
            return


@inner
def start_fill(mem: int, floor: float, now: float) -> None:
    """(Re)start: groups fixed below ``floor`` stay fixed, all others of the set are free again."""
    misc = MISC(mem)[0]
    nodes, fheap, fpos, group = NODES(mem), FHEAP(mem), FPOS(mem), GROUP(mem)
    misc.fills += 1
    for i in range(misc.nf):
        fpos[fheap[i]] = -1
    misc.nf = 0
    for i in range(misc.n_group):
        node = nodes[group[i]]
        if node.popped and node.nlam >= floor * (1.0 - 4.0 * EPS):
            node.popped = 0
    relieved = False
    i = 0
    while i < misc.n_group:  # _relieve may add groups
        m = group[i]
        node = nodes[m]
        if node.popped == 0:
            _weigh(mem, m)
            if node.cnt == 0 and node.resid < -EPS * node.cap:
                _relieve(mem, m, now)
                relieved = True
        i += 1
    for i in range(misc.n_group):
        m = group[i]
        if nodes[m].popped == 0:
            if relieved:
                _weigh(mem, m)
            if nodes[m].cnt > 0:
                _push(mem, m)
            else:
                nodes[m].nlam = 0.0


@inner
def _fix_at_cap(mem: int, f: int, now: float) -> None:
    """Leave a flow at its own cap, which the level has reached."""
    misc = MISC(mem)[0]
    nodes, flows, legs = NODES(mem), FLOWS(mem), LEGS(mem)
    stamp = misc.stamp
    flow = flows[f]
    left = take(mem, f)
    hold_at_cap(mem, f, left, now)
    for leg in range(flow.r0, flow.r0 + flow.rn):
        x = legs[leg].node
        mark(mem, x)
        node = nodes[x]
        if node.ing == stamp and node.popped == 0:
            node.resid -= flow.cap
            node.num -= flow.w
            node.cnt -= 1


@inner
def _give_back(mem: int, x: int, rate: float) -> None:
    """Add the rate of flows that are free again to what node ``x`` has left."""
    nodes = NODES(mem)
    node = nodes[x]
    if node.resid < -node.cap:
        node.num0 = inf  # far overfull after a cut: the sum has lost digits, see ``fill``
    node.resid += rate


@inner
def _free_capped(mem: int, f: int, m: int, now: float) -> bool:
    """Free a held flow above the level of node ``m``; True if a fixed node is met."""
    misc = MISC(mem)[0]
    nodes, flows, legs = NODES(mem), FLOWS(mem), LEGS(mem)
    stamp = misc.stamp
    flow = flows[f]
    left = release_from_cap(mem, f, now)
    put(mem, f, m, left)
    broken = False
    for leg in range(flow.r0, flow.r0 + flow.rn):
        x = legs[leg].node
        mark(mem, x)
        node = nodes[x]
        if node.ing == stamp:
            if node.popped:
                broken = True
            else:
                _give_back(mem, x, flow.cap)
                node.num += flow.w
                node.cnt += 1
                if x != m:
                    node.foreign += 1
                    _rekey(mem, x)
    return broken


@inner
def _free_group(mem: int, g: int, now: float) -> float:
    """Free a held group above the level of a link it crosses.

    Returns the lowest level at which a node already fixed may have been fixed wrongly (inf: none).
    """
    misc = MISC(mem)[0]
    nodes, pairs = NODES(mem), PAIRS(mem)
    stamp = misc.stamp
    join(mem, g, now)
    floor = inf
    lam = nodes[g].lam
    p = nodes[g].llist
    while p >= 0:
        pair = pairs[p]
        x = pair.m
        node = nodes[x]
        if x != g and node.ing == stamp:
            if node.popped:
                floor = min(floor, node.nlam)
            else:
                w = pair.w + pair.wc
                _give_back(mem, x, w * lam)
                node.num += w
                node.cnt += pair.cnt
                node.foreign += pair.cnt
                _rekey(mem, x)
        p = pair.ln
    _weigh(mem, g)
    if nodes[g].cnt > 0:
        _push(mem, g)
    return floor


@inner
def _fix_node(mem: int, m: int, lv: float, now: float) -> float:
    """Node ``m`` is full at level ``lv``: all free flows on it become its group.

    Groups whose links feel the change join at once, so that one pass is enough most of the time. Returns
    the level to go back to (inf: none).
    """
    misc = MISC(mem)[0]
    nodes, flows, legs, pairs, fheap = NODES(mem), FLOWS(mem), LEGS(mem), PAIRS(mem), FHEAP(mem)
    fkey, fpos = FKEY(mem), FPOS(mem)
    stamp = misc.stamp
    node = nodes[m]
    if abs(lv - node.lam) <= EPS * lv:
        lv = node.lam  # not applied, else small errors would creep
    # free flows of other groups switch; members of m stay
    p = node.glist if node.foreign > 0 else -1
    while p >= 0:
        pair = pairs[p]
        after = pair.gn
        g = pair.g
        if g != m and nodes[g].ing == stamp and nodes[g].popped == 0:
            while pair.cnt > 0 and pair.m == m and pair.g == g:
                f = legs[pair.first].flow
                # this pair dies with its last flow; then ``after`` may be reused by put: not
                # possible, since a freed row is only reused by pairs made after this one died
                left = take(mem, f)
                put(mem, f, m, left)
                misc.moved += 1
                nodes[g].foreign += 1  # on its old bottleneck, if it crosses it still to be fixed
                for leg in range(flows[f].r0, flows[f].r0 + flows[f].rn):
                    mark(mem, legs[leg].node)
        p = after
    node.nlam = lv
    node.popped = 1
    misc.nf = bh_remove(fheap, fkey, fpos, misc.nf, m)
    floor = inf
    change = lv - node.lam
    p = node.llist
    while p >= 0:
        pair = pairs[p]
        x = nodes[pair.m]
        w = pair.w + pair.wc
        if x.ing == stamp:
            if x.popped == 0:
                x.resid -= w * lv
                x.num -= w
                x.cnt -= pair.cnt
                x.foreign -= pair.cnt
        elif change != 0.0 and x.gsize > 0:
            if x.early != misc.fills:
                x.early = misc.fills
                x.drift = 0.0
            x.drift += w * change
            if abs((x.sum - x.cap) + x.drift) > FELT * x.cap:
                floor = min(floor, _free_group(mem, pair.m, now))
                if x.cnt > 0:
                    level = _level(mem, pair.m)
                    if level < lv * (1.0 - EPS):
                        floor = min(floor, level)
        p = pair.ln
    return floor


@inner
def fill(mem: int, now: float) -> float:
    """Fix nodes in order of level. Returns inf when done, else the level to go back to."""
    misc = MISC(mem)[0]
    nodes, legs, pairs, caps, tops = NODES(mem), LEGS(mem), PAIRS(mem), CAPS(mem), TOPS(mem)
    fheap, fkey, fpos = FHEAP(mem), FKEY(mem), FPOS(mem)
    stamp = misc.stamp
    while misc.nf > 0:
        m = fheap[0]
        node = nodes[m]
        misc.pops += 1
        if node.cnt <= 0:  # never full: not fixed either, later rounds may bring it flows
            node.nlam = 0.0
            misc.nf = bh_remove(fheap, fkey, fpos, misc.nf, m)
            _weigh(mem, m)
            if node.resid < -EPS * node.cap:  # held flows alone overload it
                _relieve(mem, m, now)
                return 0.0
            continue
        if node.resid < DIGITS * node.cap or node.num < DIGITS * node.num0:
            _weigh(mem, m)  # subtraction costs digits
            if node.cnt <= 0:
                continue
        key = _key(mem, m)
        if key > fkey[m] * (1.0 + 1e-14):  # levels only rise while others are fixed
            fkey[m] = key
            bh_fix(fheap, fkey, fpos, misc.nf, m)
            continue
        lv = _level(mem, m)
        k = node.kroot
        if k >= 0 and caps[k].key <= lv:
            _fix_at_cap(mem, k, now)
            continue
        limit = lv * (1.0 + EPS)
        c = node.croot
        if c >= 0 and -tops[c].key > limit:
            if _free_capped(mem, legs[c].flow, m, now):
                return 0.0
            fkey[m] = _key(mem, m)
            bh_fix(fheap, fkey, fpos, misc.nf, m)
            continue
        grew = False
        floor = inf
        p = node.glist if node.top > limit else -1
        while p >= 0:
            g = pairs[p].g
            if nodes[g].ing != stamp and nodes[g].lam > limit:
                grew = True
                floor = min(floor, _free_group(mem, g, now))
                if nodes[g].cnt > 0:
                    level = _level(mem, g)
                    if level < lv * (1.0 - EPS):
                        floor = min(floor, level)
            p = pairs[p].gn
        if floor < inf:
            return floor
        if grew:
            continue
        floor = _fix_node(mem, m, lv, now)
        if floor < inf:
            return floor
    return inf
