"""The exact incremental fill: solve again only what a change can alter.

Invariant between solves, per priority layer: every flow is either held at its own cap, or in the
group of a full link on which no flow has a higher level. That is the definition of
weighted max-min fairness, so it is enough to restore it locally. ``docs/design/dataplane.md``
explains the steps; the names there are the names here.
"""

from __future__ import annotations

from math import inf

from dssn_sim.dataplane.compiled import jit
from dssn_sim.dataplane.groups import (
    advance,
    hold_at_cap,
    put,
    release_from_cap,
    set_time_key,
    settle_timed,
    take,
)
from dssn_sim.dataplane.heaps import bh_fix, bh_push, bh_remove
from dssn_sim.dataplane.layout import State

__all__ = ["EPS", "ROUNDING", "enlist", "solve_layer"]

EPS = 1e-12  # relative tolerance of levels and sums; changes below it are not applied at all
ROUNDING = 2e-15  # relative error allowed to a sum over the flows of a link


@jit
def join(S: State, m: int, now: float) -> bool:
    """Let group ``m`` be filled again; False if it was already."""
    misc = S.misc[0]
    node = S.nodes[m]
    if node.ing == misc.stamp:
        return False
    node.ing = misc.stamp
    node.popped = 0
    advance(S, m, now)
    S.group[misc.n_group] = m
    misc.n_group += 1
    return True


@jit
def mark(S: State, m: int) -> None:
    """Remember that the load of node ``m`` changes."""
    misc = S.misc[0]
    node = S.nodes[m]
    if node.chk != misc.mark_stamp:
        node.chk = misc.mark_stamp
        S.marks[misc.n_marks] = m
        misc.n_marks += 1


@jit
def enlist(S: State, m: int, now: float) -> None:
    """Put a node whose flows or capacity changed into the next fill."""
    mark(S, m)
    if S.nodes[m].gsize > 0 or S.nodes[m].lam > 0.0:
        join(S, m, now)


@jit
def _weigh(S: State, m: int) -> None:
    """Compute what node ``m`` has left for free flows, from scratch: no drift."""
    stamp = S.misc[0].stamp
    node = S.nodes[m]
    held = node.fx + node.fxc
    num = 0.0
    cnt = 0
    p = node.glist
    while p >= 0:
        pair = S.pairs[p]
        g = S.nodes[pair.g]
        if g.ing != stamp:
            held += (pair.w + pair.wc) * g.lam
        elif g.popped:
            held += (pair.w + pair.wc) * g.nlam
        else:
            num += pair.w + pair.wc
            cnt += pair.cnt
        p = pair.gn
    node.resid = node.cap - held
    node.num = num
    node.num0 = num
    node.cnt = cnt


@jit
def _level(S: State, m: int) -> float:
    node = S.nodes[m]
    return node.resid / node.num if node.resid > 0.0 else 0.0


@jit
def _key(S: State, m: int) -> float:
    """Return the level at which node ``m`` has its next event: full, or a member at its cap."""
    key = _level(S, m)
    k = S.nodes[m].kroot
    if k >= 0 and S.caps[k].key < key:
        return S.caps[k].key
    return key


@jit
def _push(S: State, m: int) -> None:
    S.fkey[m] = _key(S, m)
    S.misc[0].nf = bh_push(S.fheap, S.fkey, S.fpos, S.misc[0].nf, m)


@jit
def _rekey(S: State, m: int) -> None:
    """Correct the key of an unfixed node after its free flows changed."""
    if S.fpos[m] < 0:
        if S.nodes[m].cnt > 0:
            _push(S, m)
    elif S.nodes[m].cnt > 0:
        S.fkey[m] = _key(S, m)
        bh_fix(S.fheap, S.fkey, S.fpos, S.misc[0].nf, m)


@jit
def _relieve(S: State, m: int, now: float) -> None:
    """Free the highest held flows of an overfull node that has no free flow (capacity was cut)."""
    node = S.nodes[m]
    stamp = S.misc[0].stamp
    while True:
        _weigh(S, m)
        if node.cnt > 0 or node.resid >= -EPS * node.cap:
            return
        best = -1
        top = 0.0
        p = node.glist
        while p >= 0:
            g = S.pairs[p].g
            if S.nodes[g].ing != stamp and S.nodes[g].lam > top:
                best = g
                top = S.nodes[g].lam
            p = S.pairs[p].gn
        c = node.croot
        if c >= 0 and -S.tops[c].key > top:
            f = S.legs[c].flow
            left = release_from_cap(S, f, now)
            put(S, f, m, left)
            for leg in range(S.flows[f].r0, S.flows[f].r0 + S.flows[f].rn):
                mark(S, S.legs[leg].node)
        elif best >= 0:
            join(S, best, now)
        else:
            return


@jit
def _start_fill(S: State, floor: float, now: float) -> None:
    """(Re)start: groups fixed below ``floor`` stay fixed, all others of the set are free again."""
    misc = S.misc[0]
    misc.fills += 1
    for i in range(misc.nf):
        S.fpos[S.fheap[i]] = -1
    misc.nf = 0
    for i in range(misc.n_group):
        node = S.nodes[S.group[i]]
        if node.popped and node.nlam >= floor * (1.0 - 4.0 * EPS):
            node.popped = 0
    relieved = False
    i = 0
    while i < misc.n_group:  # _relieve may add groups
        m = S.group[i]
        node = S.nodes[m]
        if node.popped == 0:
            _weigh(S, m)
            if node.cnt == 0 and node.resid < -EPS * node.cap:
                _relieve(S, m, now)
                relieved = True
        i += 1
    for i in range(misc.n_group):
        m = S.group[i]
        if S.nodes[m].popped == 0:
            if relieved:
                _weigh(S, m)
            if S.nodes[m].cnt > 0:
                _push(S, m)
            else:
                S.nodes[m].nlam = 0.0


@jit
def _fix_at_cap(S: State, f: int, now: float) -> None:
    """The level has reached a flow's own cap: it stays there."""
    stamp = S.misc[0].stamp
    flow = S.flows[f]
    left = take(S, f)
    hold_at_cap(S, f, left, now)
    for leg in range(flow.r0, flow.r0 + flow.rn):
        x = S.legs[leg].node
        mark(S, x)
        node = S.nodes[x]
        if node.ing == stamp and node.popped == 0:
            node.resid -= flow.cap
            node.num -= flow.w
            node.cnt -= 1


@jit
def _free_capped(S: State, f: int, m: int, now: float) -> bool:
    """A held flow is above the level of node ``m``: make it free. True if a fixed node is met."""
    stamp = S.misc[0].stamp
    flow = S.flows[f]
    left = release_from_cap(S, f, now)
    put(S, f, m, left)
    broken = False
    for leg in range(flow.r0, flow.r0 + flow.rn):
        x = S.legs[leg].node
        mark(S, x)
        node = S.nodes[x]
        if node.ing == stamp:
            if node.popped:
                broken = True
            else:
                node.resid += flow.cap
                node.num += flow.w
                node.cnt += 1
                if x != m:
                    _rekey(S, x)
    return broken


@jit
def _free_group(S: State, g: int, now: float) -> float:
    """A held group is above the level of a link it crosses: make it free.

    Returns the lowest level at which a node already fixed may have been fixed wrongly (inf: none).
    """
    stamp = S.misc[0].stamp
    join(S, g, now)
    floor = inf
    lam = S.nodes[g].lam
    p = S.nodes[g].llist
    while p >= 0:
        pair = S.pairs[p]
        x = pair.m
        node = S.nodes[x]
        if x != g and node.ing == stamp:
            if node.popped:
                floor = min(floor, node.nlam)
            else:
                w = pair.w + pair.wc
                node.resid += w * lam
                node.num += w
                node.cnt += pair.cnt
                _rekey(S, x)
        p = pair.ln
    _weigh(S, g)
    if S.nodes[g].cnt > 0:
        _push(S, g)
    return floor


@jit
def _fix_node(S: State, m: int, lv: float, now: float) -> None:
    """Node ``m`` is full at level ``lv``: all free flows on it become its group."""
    stamp = S.misc[0].stamp
    node = S.nodes[m]
    moved = abs(lv - node.lam) > EPS * lv
    if not moved:
        lv = node.lam
    # free flows of other groups switch; members of m stay
    p = node.glist
    while p >= 0:
        pair = S.pairs[p]
        after = pair.gn
        g = pair.g
        if g != m and S.nodes[g].ing == stamp and S.nodes[g].popped == 0:
            while pair.cnt > 0 and pair.m == m and pair.g == g:
                f = S.legs[pair.first].flow
                # this pair dies with its last flow; then ``after`` may be reused by put: not
                # possible, since a freed row is only reused by pairs made after this one died
                left = take(S, f)
                put(S, f, m, left)
                S.misc[0].moved += 1
                for leg in range(S.flows[f].r0, S.flows[f].r0 + S.flows[f].rn):
                    mark(S, S.legs[leg].node)
        p = after
    node.nlam = lv
    node.popped = 1
    S.misc[0].nf = bh_remove(S.fheap, S.fkey, S.fpos, S.misc[0].nf, m)
    p = node.llist
    while p >= 0:
        pair = S.pairs[p]
        x = S.nodes[pair.m]
        if x.ing == stamp and x.popped == 0:
            w = pair.w + pair.wc
            x.resid -= w * lv
            x.num -= w
            x.cnt -= pair.cnt
        if moved:
            mark(S, pair.m)
        p = pair.ln


@jit
def _fill(S: State, now: float) -> float:
    """Fix nodes in order of level. Returns inf when done, else the level to go back to."""
    misc = S.misc[0]
    stamp = misc.stamp
    while misc.nf > 0:
        m = S.fheap[0]
        node = S.nodes[m]
        misc.pops += 1
        if node.cnt <= 0:  # never full: not fixed either, later rounds may bring it flows
            node.nlam = 0.0
            misc.nf = bh_remove(S.fheap, S.fkey, S.fpos, misc.nf, m)
            _weigh(S, m)
            if node.resid < -EPS * node.cap:  # held flows alone overload it
                _relieve(S, m, now)
                return 0.0
            continue
        if node.resid < 1e-3 * node.cap or node.num < 1e-3 * node.num0:
            _weigh(S, m)  # digits were lost by subtraction
            if node.cnt <= 0:
                continue
        key = _key(S, m)
        if key > S.fkey[m] * (1.0 + 1e-14):  # levels only rise while others are fixed
            S.fkey[m] = key
            bh_fix(S.fheap, S.fkey, S.fpos, misc.nf, m)
            continue
        _weigh(S, m)
        if node.cnt <= 0:
            continue
        lv = _level(S, m)
        k = node.kroot
        if k >= 0 and S.caps[k].key <= lv:
            _fix_at_cap(S, k, now)
            continue
        limit = lv * (1.0 + EPS)
        c = node.croot
        if c >= 0 and -S.tops[c].key > limit:
            if _free_capped(S, S.legs[c].flow, m, now):
                return 0.0
            S.fkey[m] = _key(S, m)
            bh_fix(S.fheap, S.fkey, S.fpos, misc.nf, m)
            continue
        grew = False
        floor = inf
        p = node.glist
        while p >= 0:
            g = S.pairs[p].g
            if S.nodes[g].ing != stamp and S.nodes[g].lam > limit:
                grew = True
                floor = min(floor, _free_group(S, g, now))
                if S.nodes[g].cnt > 0:
                    level = _level(S, g)
                    if level < lv * (1.0 - EPS):
                        floor = min(floor, level)
            p = S.pairs[p].gn
        if floor < inf:
            return floor
        if grew:
            continue
        _fix_node(S, m, lv, now)
    return inf


@jit
def _check(S: State, now: float) -> float:
    """Add up the nodes whose load changed; join those whose condition is broken.

    Returns the level to go back to (inf: all conditions hold).
    """
    misc = S.misc[0]
    stamp = misc.stamp
    before = misc.n_group
    floor = inf
    for i in range(misc.n_marks):
        x = S.marks[i]
        node = S.nodes[x]
        if node.ing == stamp:
            continue
        total = node.fx + node.fxc
        own = 0.0
        top = 0.0
        if node.croot >= 0:
            top = -S.tops[node.croot].key
        p = node.glist
        while p >= 0:
            pair = S.pairs[p]
            g = S.nodes[pair.g]
            r = g.nlam if g.ing == stamp and g.popped else g.lam
            part = (pair.w + pair.wc) * r
            total += part
            if pair.g == x:
                own = part
            if r > top:
                top = r
            p = pair.gn
        node.sum = total
        slack = EPS * node.cap
        if node.gsize > 0:
            # its own flows take up the difference, however small their part of the link is
            if abs(total - node.cap) > EPS * own + ROUNDING * node.cap or top > node.lam * (1.0 + EPS):
                join(S, x, now)
        elif total > node.cap + slack:
            join(S, x, now)
    for i in range(before, misc.n_group):
        x = S.group[i]
        floor = min(floor, _water_level(S, x))
        if S.nodes[x].gsize > 0:  # its flows were held at this level: above it all may change
            floor = min(floor, S.nodes[x].lam)
    return floor


@jit
def _water_level(S: State, x: int) -> float:
    """Return a lower bound of the level at which node ``x`` fills up.

    Its own flows are free, every other flow takes at most its present level.
    """
    stamp = S.misc[0].stamp
    node = S.nodes[x]
    theta = inf
    while True:
        fixed = 0.0
        num = 0.0
        if node.croot >= 0 and -S.tops[node.croot].key > theta:
            return 0.0  # rare: held flows above the level; start over
        fixed = node.fx + node.fxc
        p = node.glist
        while p >= 0:
            pair = S.pairs[p]
            g = S.nodes[pair.g]
            w = pair.w + pair.wc
            if pair.g == x:
                num += w
            else:
                r = g.nlam if g.ing == stamp and g.popped else g.lam
                if r >= theta:
                    num += w
                else:
                    fixed += w * r
            p = pair.gn
        if num <= 0.0:
            return 0.0
        level = (node.cap - fixed) / num
        if level <= 0.0:
            return 0.0
        if level >= theta:
            return theta
        theta = level


@jit
def _commit(S: State, now: float) -> None:
    """Make the levels found the levels in force; set the next ends."""
    misc = S.misc[0]
    for i in range(misc.n_group):
        m = S.group[i]
        node = S.nodes[m]
        mark(S, m)
        lam = node.nlam if node.gsize > 0 else 0.0
        node.lam = lam
        f = node.own
        while f >= 0:
            rate = S.flows[f].g + S.flows[f].w * lam
            if rate != S.flows[f].rate:
                settle_timed(S, f, rate, now)
            f = S.flows[f].on
        if node.gsize == 0:
            node.V = 0.0
            node.Vc = 0.0
            set_time_key(S, m, inf)
            continue
        if node.V > 0.0 and node.V > 1e3 * lam * now:
            _rebase(S, m)
        f = node.root
        if f >= 0 and lam > 0.0:
            d = ((S.ends[f].key - node.V) - node.Vc) / lam
            set_time_key(S, m, now + d if d > 0.0 else now)
        else:
            set_time_key(S, m, inf)
    for i in range(misc.n_marks):
        x = S.marks[i]
        node = S.nodes[x]
        if node.ing == misc.stamp:
            if node.gsize > 0:
                node.sum = node.cap
            else:
                total = node.fx + node.fxc
                p = node.glist
                while p >= 0:
                    total += (S.pairs[p].w + S.pairs[p].wc) * S.nodes[S.pairs[p].g].lam
                    p = S.pairs[p].gn
                node.sum = total


@jit
def _rebase(S: State, m: int) -> None:
    """Start the clock of group ``m`` anew, so that keys keep their digits after a slow-down."""
    node = S.nodes[m]
    h = S.ends
    f = node.root
    while f >= 0:  # walk the pairing heap: child first, then next sibling, else up
        h[f].key = (h[f].key - node.V) - node.Vc
        if h[f].child >= 0:
            f = h[f].child
            continue
        while f >= 0 and h[f].next < 0:
            # up to the parent: the first sibling's prev
            q = f
            p = h[q].prev
            while p >= 0 and h[p].child != q:
                q = p
                p = h[q].prev
            f = p
        if f >= 0:
            f = h[f].next
    node.V = 0.0
    node.Vc = 0.0


@jit
def solve_layer(S: State, now: float) -> None:
    """Restore the invariant around the enlisted nodes and commit."""
    floor = 0.0
    while True:
        _start_fill(S, floor, now)
        floor = _fill(S, now)
        if floor == inf:
            floor = _check(S, now)
            if floor == inf:
                break
    _commit(S, now)
