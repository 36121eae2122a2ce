# mypy: disable-error-code="no-any-return"
"""What was touched since the last solve, and the totals of links."""

from __future__ import annotations

from dssn_sim.dataplane.compiled import inner, jit
from dssn_sim.dataplane.groups import remaining, two_sum_error
from dssn_sim.dataplane.memory import DIRTY, DLINKS, FLOWS, LEGS, LINKS, MISC, NODE_OF, NODES, TOUCHED

__all__ = [
    "count",
    "dirty_link",
    "dirty_node",
    "integrate_all",
    "move_reservation",
    "new_loads",
    "reset_totals",
    "set_capacity",
    "touch",
]


@inner
def dirty_node(mem: int, n: int) -> None:
    """Note that flows came to or left a node."""
    misc = MISC(mem)[0]
    nodes, dirty = NODES(mem), DIRTY(mem)
    if nodes[n].dirty != misc.dirty_stamp:
        nodes[n].dirty = misc.dirty_stamp
        dirty[misc.n_dirty] = n
        misc.n_dirty += 1


@inner
def dirty_link(mem: int, link: int) -> None:
    """Note that a link's capacity changed, in every layer."""
    misc = MISC(mem)[0]
    links, dlinks = LINKS(mem), DLINKS(mem)
    if links[link].dirty != misc.dirty_stamp:
        links[link].dirty = misc.dirty_stamp
        dlinks[misc.n_dlinks] = link
        misc.n_dlinks += 1


@inner
def touch(mem: int, link: int) -> None:
    """Note that a link's load may have changed."""
    misc = MISC(mem)[0]
    links, touched = LINKS(mem), TOUCHED(mem)
    if links[link].touched != misc.dirty_stamp:
        links[link].touched = misc.dirty_stamp
        touched[misc.n_touched] = link
        misc.n_touched += 1


@inner
def integrate(mem: int, link: int, now: float) -> None:
    """Bring the totals of a link up to ``now``."""
    links = LINKS(mem)
    row = links[link]
    dt = now - row.tl
    row.tl = now
    load = row.load + (row.vl + row.vlc)
    if dt > 0.0 and load > 0.0 and row.phys > 0.0:
        x = load * dt / row.phys
        s = row.busy + x
        row.busyc += two_sum_error(row.busy, x, s)
        row.busy = s


@inner
def count(mem: int, f: int, left: float) -> None:
    """Add what a flow has moved to the totals of its links.

    Counted by flow and not by rate times time, so that what went in is what came out.
    """
    links, nodes, flows, legs = LINKS(mem), NODES(mem), FLOWS(mem), LEGS(mem)
    flow = flows[f]
    d = (flow.size - left) - flow.counted
    flow.counted = flow.size - left
    for leg in range(flow.r0, flow.r0 + flow.rn):
        link = nodes[legs[leg].node].link
        if links[link].parent >= 0:
            link = links[link].parent
        row = links[link]
        s = row.bits + d
        row.bitsc += two_sum_error(row.bits, d, s)
        row.bits = s


@jit("void(int64, float64)")
def integrate_all(mem: int, now: float) -> None:
    """Bring the totals of all links up to ``now``."""
    misc = MISC(mem)[0]
    flows = FLOWS(mem)
    for link in range(misc.n_links):
        integrate(mem, link, now)
    for f in range(misc.top_flow):
        if flows[f].bott >= -1:
            count(mem, f, remaining(mem, f, now))


@jit("void(int64, int64, float64, float64, int64, float64)")
def set_capacity(mem: int, link: int, cap: float, phys: float, parent: int, now: float) -> None:
    """Set what flows may use of a link, and its physical rate."""
    links = LINKS(mem)
    integrate(mem, link, now)
    row = links[link]
    row.cap = cap
    row.phys = phys
    row.parent = parent
    dirty_link(mem, link)


@jit("void(int64, int64, int64, float64)")
def move_reservation(mem: int, link: int, parent: int, now: float) -> None:
    """Make link ``link`` a hard share of ``parent`` (or release it with -1)."""
    links = LINKS(mem)
    integrate(mem, link, now)
    links[link].parent = parent


@inner
def _new_load(mem: int, link: int, now: float) -> None:
    misc = MISC(mem)[0]
    links, nodes, node_of = LINKS(mem), NODES(mem), NODE_OF(mem)
    row = links[link]
    integrate(mem, link, now)
    load = row.base + row.basec
    for layer in range(misc.n_layers):
        n = node_of[layer * misc.stride + link]
        if n >= 0:
            load += nodes[n].sum
    if row.parent >= 0:
        integrate(mem, row.parent, now)
        up = links[row.parent]
        for part in (-row.load, load):  # not their difference: it would lose the digits of the smaller
            s = up.vl + part
            up.vlc += two_sum_error(up.vl, part, s)
            up.vl = s
        touch(mem, row.parent)
    row.load = load


@inner
def _peaks(mem: int) -> None:
    """Note the greatest use of the links touched, once all their loads are new."""
    misc = MISC(mem)[0]
    links, touched = LINKS(mem), TOUCHED(mem)
    for i in range(misc.n_touched):
        row = links[touched[i]]
        if row.phys > 0.0:
            row.peak = max(row.peak, (row.load + (row.vl + row.vlc)) / row.phys)


@jit("void(int64, float64)")
def reset_totals(mem: int, now: float) -> None:
    """Forget the totals of all links."""
    misc = MISC(mem)[0]
    links = LINKS(mem)
    integrate_all(mem, now)
    for link in range(misc.n_links):
        row = links[link]
        row.tl = now
        row.bits = 0.0
        row.bitsc = 0.0
        row.busy = 0.0
        row.busyc = 0.0
        row.peak = 0.0
        if row.phys > 0.0:
            row.peak = (row.load + (row.vl + row.vlc)) / row.phys


@inner
def new_loads(mem: int, now: float) -> None:
    """Take over the new loads of the links touched."""
    misc = MISC(mem)[0]
    touched = TOUCHED(mem)
    n = misc.n_touched  # parents of hard shares are added behind
    for i in range(n):
        _new_load(mem, touched[i], now)
    _peaks(mem)
    misc.n_touched = 0
