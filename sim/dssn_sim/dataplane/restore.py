# mypy: disable-error-code="no-any-return"
"""Around the fill: who else must be filled again, and putting the new levels in force."""

from __future__ import annotations

from math import inf

from dssn_sim.dataplane.compiled import inner
from dssn_sim.dataplane.fill import EPS, ROUNDING, fill, join, start_fill
from dssn_sim.dataplane.groups import set_time_key, settle_timed
from dssn_sim.dataplane.heaps import ph_insert
from dssn_sim.dataplane.memory import ENDED, ENDS, FLOWS, GROUP, MARKS, MISC, NODES, PAIRS, TOPS

__all__ = ["solve_layer"]

SUM_AGE = 32  # a node's load is added up anew after so many changes


@inner
def _spread(mem: int) -> None:
    """Tell the nodes around the groups that move how much their load changes."""
    misc = MISC(mem)[0]
    nodes, pairs, group, marks = NODES(mem), PAIRS(mem), GROUP(mem), MARKS(mem)
    stamp = misc.stamp
    misc.round += 1
    for i in range(misc.n_group):
        g = nodes[group[i]]
        if g.popped == 0 or g.nlam == g.lam:
            continue
        change = g.nlam - g.lam
        p = g.llist
        while p >= 0:
            pair = pairs[p]
            x = nodes[pair.m]
            if x.ing != stamp:
                if x.round != misc.round:
                    x.round = misc.round
                    x.delta = 0.0
                    x.high = 0.0
                    if x.chk != misc.mark_stamp:
                        x.chk = misc.mark_stamp
                        marks[misc.n_marks] = pair.m
                        misc.n_marks += 1
                x.delta += (pair.w + pair.wc) * change
                x.high = max(x.high, g.nlam)
            p = pair.ln


@inner
def _broken(mem: int, x: int) -> bool:
    """Add up node ``x`` from scratch; True if its condition does not hold."""
    misc = MISC(mem)[0]
    nodes, pairs, tops = NODES(mem), PAIRS(mem), TOPS(mem)
    stamp = misc.stamp
    node = nodes[x]
    total = node.fx + node.fxc
    own = 0.0
    top = 0.0
    if node.croot >= 0:
        top = -tops[node.croot].key
    p = node.glist
    while p >= 0:
        pair = pairs[p]
        g = nodes[pair.g]
        r = g.nlam if g.ing == stamp and g.popped else g.lam
        part = (pair.w + pair.wc) * r
        total += part
        if pair.g == x:
            own = part
        top = max(top, r)
        p = pair.gn
    node.sum = total
    node.age = 0
    node.exact = misc.mark_stamp
    if node.gsize > 0:
        # its own flows take up the difference, however small their part of the link is
        slack = EPS * own + ROUNDING * node.cap
        return abs(total - node.cap) > slack or top > node.lam * (1.0 + EPS)
    return total > node.cap * (1.0 + EPS)


@inner
def _check(mem: int, now: float) -> float:
    """Look at the nodes whose load changed; join those whose condition is broken.

    A node that only feels the groups around it move is judged by the change alone; it is
    added up when the change may matter, when flows came or went, and from time to time.

    Returns the level to go back to (inf: all conditions hold).
    """
    misc = MISC(mem)[0]
    nodes, tops, group, marks = NODES(mem), TOPS(mem), GROUP(mem), MARKS(mem)
    stamp = misc.stamp
    _spread(mem)
    before = misc.n_group
    floor = inf
    for i in range(misc.n_marks):
        x = marks[i]
        node = nodes[x]
        if node.ing == stamp:
            continue
        if node.exact != misc.mark_stamp:
            if node.round != misc.round:
                continue
            change = node.sum + node.delta
            if node.gsize > 0:
                if abs(change - node.cap) > 1e-6 * node.cap:
                    join(mem, x, now)
                    continue
                quiet = abs(change - node.cap) <= ROUNDING * node.cap and node.high <= node.lam
                if node.croot >= 0 and -tops[node.croot].key > node.lam:
                    quiet = False
            else:
                quiet = change < node.cap * (1.0 - 1e-9)
            if quiet and node.age < SUM_AGE:
                continue
        if _broken(mem, x):
            join(mem, x, now)
    for i in range(before, misc.n_group):
        x = group[i]
        floor = min(floor, _water_level(mem, x))
        if nodes[x].gsize > 0:  # its flows were held at this level: above it all may change
            floor = min(floor, nodes[x].lam)
    return floor


@inner
def _water_level(mem: int, x: int) -> float:
    """Return a lower bound of the level at which node ``x`` fills up.

    Its own flows are free, every other flow takes at most its present level.
    """
    misc = MISC(mem)[0]
    nodes, pairs, tops = NODES(mem), PAIRS(mem), TOPS(mem)
    stamp = misc.stamp
    node = nodes[x]
    theta = inf
    while True:
        fixed = 0.0
        num = 0.0
        if node.croot >= 0 and -tops[node.croot].key > theta:
            return 0.0  # rare: held flows above the level; start over
        fixed = node.fx + node.fxc
        p = node.glist
        while p >= 0:
            pair = pairs[p]
            g = nodes[pair.g]
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


@inner
def _commit(mem: int, now: float) -> None:
    """Make the levels found the levels in force; set the next ends."""
    misc = MISC(mem)[0]
    nodes, flows, pairs, ends, group = NODES(mem), FLOWS(mem), PAIRS(mem), ENDS(mem), GROUP(mem)
    marks = MARKS(mem)
    for i in range(misc.n_group):
        m = group[i]
        node = nodes[m]
        if node.chk != misc.mark_stamp:
            node.chk = misc.mark_stamp
            marks[misc.n_marks] = m
            misc.n_marks += 1
        lam = node.nlam if node.gsize > 0 else 0.0
        node.lam = lam
        f = node.own
        while f >= 0:
            rate = flows[f].g + flows[f].w * lam
            if rate != flows[f].rate:
                settle_timed(mem, f, rate, now)
            f = flows[f].on
        if node.gsize == 0:
            node.V = 0.0
            node.Vc = 0.0
            set_time_key(mem, m, inf)
            continue
        if node.V > 0.0 and 1e3 * lam * now < node.V:
            _rebase(mem, m)
        f = node.root
        if f >= 0 and lam > 0.0:
            d = (((ends[f].key - node.V) - node.Vc) + flows[f].keyc) / lam
            set_time_key(mem, m, now + d if d > 0.0 else now)
        else:
            set_time_key(mem, m, inf)
    for i in range(misc.n_marks):
        x = marks[i]
        node = nodes[x]
        if node.ing != misc.stamp:
            if node.exact != misc.mark_stamp and node.round == misc.round:
                node.sum += node.delta
                node.age += 1
        else:
            node.age = 0
            if node.gsize > 0:
                node.sum = node.cap
            else:
                total = node.fx + node.fxc
                p = node.glist
                while p >= 0:
                    total += (pairs[p].w + pairs[p].wc) * nodes[pairs[p].g].lam
                    p = pairs[p].gn
                node.sum = total


@inner
def _rebase(mem: int, m: int) -> None:
    """Start the clock of group ``m`` anew, so that keys keep their digits after a slow-down."""
    nodes, flows, ends, ended = NODES(mem), FLOWS(mem), ENDS(mem), ENDED(mem)
    node = nodes[m]
    n = 0
    f = node.root
    while f >= 0:  # walk the pairing heap: child first, then next sibling, else up
        ended[n] = f
        n += 1
        if ends[f].child >= 0:
            f = ends[f].child
            continue
        while f >= 0 and ends[f].next < 0:
            q = f  # back to the first sibling, whose prev is the parent
            p = ends[q].prev
            while p >= 0 and ends[p].child != q:
                q = p
                p = ends[q].prev
            f = p
        if f >= 0:
            f = ends[f].next
    node.root = -1
    for i in range(n):
        f = ended[i]
        key = ((ends[f].key - node.V) - node.Vc) + flows[f].keyc
        flows[f].keyc = 0.0
        node.root = ph_insert(ends, node.root, f, key)
    node.V = 0.0
    node.Vc = 0.0


@inner
def solve_layer(mem: int, now: float) -> None:
    """Restore the invariant around the enlisted nodes and commit."""
    floor = 0.0
    while True:
        start_fill(mem, floor, now)
        floor = fill(mem, now)
        if floor == inf:
            floor = _check(mem, now)
            if floor == inf:
                break
    _commit(mem, now)
