"""The solver's memory: flat record arrays, allocated once and grown by doubling.

Every table is a numpy record array so that compiled code reads ``nodes[i].lam`` and Python can
look at whole columns. Links between rows are row numbers, -1 is none. Free rows are kept in
lists threaded through the rows themselves.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

__all__ = ["MAX_ROUTE", "UNBOUNDED_BPS", "State", "grow_flows", "grow_links", "new_state"]

MAX_ROUTE: Final = 256  # hops of the longest route
UNBOUNDED_BPS: Final = 1e30  # stands for an infinite rate

# One directed link, hard-slice share of a link, or device.
LINK = np.dtype(
    [
        ("cap", "f8"),  # what flows may use: physical rate minus hard reservations
        ("phys", "f8"),  # physical rate, for utilisation
        (
            "base",
            "f8",
        ),  # sum of guaranteed rates of flows on it (and its rounding error)
        ("basec", "f8"),
        ("load", "f8"),  # present rate of its own flows
        ("vl", "f8"),  # present rate of flows in hard slices cut out of it
        ("vlc", "f8"),
        ("tl", "f8"),  # totals below are valid up to this time
        ("bits", "f8"),
        ("bitsc", "f8"),
        ("busy", "f8"),
        ("busyc", "f8"),
        ("peak", "f8"),
        ("parent", "i4"),  # the link a hard slice was cut out of
        ("dirty", "i4"),
        ("touched", "i4"),
    ],
    align=True,
)
# One link in one priority layer; also the group of flows whose bottleneck it is.
NODE = np.dtype(
    [
        ("cap", "f8"),  # rate left by higher priorities
        ("sum", "f8"),  # rate of all flows on it
        ("drift", "f8"),  # fill: its change so far, while it is not filled itself
        ("early", "i8"),  # the fill that this belongs to
        ("delta", "f8"),  # check: its change by groups that move
        ("high", "f8"),  # check: highest level of a group that moves and crosses it
        ("lam", "f8"),  # level of the group: rate per unit of weight
        ("nlam", "f8"),  # level found in the running fill
        (
            "V",
            "f8",
        ),  # the group's clock: bits moved per unit of weight (and rounding error)
        ("Vc", "f8"),
        ("tV", "f8"),
        ("resid", "f8"),  # fill: rate left for flows not yet fixed
        ("num", "f8"),  # fill: their weight
        ("num0", "f8"),  # fill: their weight when last added up
        ("top", "f8"),  # fill: highest level of a held group on it
        ("fx", "f8"),  # rate of the flows held at their own cap (and rounding error)
        ("fxc", "f8"),
        ("cnt", "i4"),  # fill: number of legs not yet fixed
        ("foreign", "i4"),  # fill: those of other groups
        ("gsize", "i4"),  # flows in the group
        ("nfx", "i4"),
        ("glist", "i4"),  # pairs (this link, group): the groups that cross this link
        ("llist", "i4"),  # pairs (link, this group): the links that this group crosses
        ("root", "i4"),  # heap of end keys of the group's flows
        ("kroot", "i4"),  # heap of cap levels of the group's capped flows
        ("croot", "i4"),  # heap of cap levels (highest first) of legs held at their cap
        ("own", "i4"),  # list of the group's flows with a guaranteed part
        ("ing", "i4"),
        ("popped", "i4"),
        ("chk", "i4"),
        ("exact", "i4"),  # fill: flows came or went, so add up anew
        ("round", "i4"),
        ("age", "i4"),  # changes of ``sum`` since it was added up
        ("dirty", "i4"),
        ("link", "i4"),
        ("layer", "i4"),
    ],
    align=True,
)
FLOW = np.dtype(
    [
        ("w", "f8"),
        ("cap", "f8"),  # own cap beyond the guaranteed part
        ("g", "f8"),  # guaranteed part
        ("rem", "f8"),  # left at time t0 (only while kept by time, see ``timed``)
        ("t0", "f8"),
        ("rate", "f8"),
        ("size", "f8"),
        ("keyc", "f8"),  # rounding error of its end key
        ("counted", "f8"),  # part of it already in the totals of its links
        ("r0", "i4"),  # first leg
        ("rn", "i4"),
        ("bott", "i4"),  # bottleneck node; -1: own cap; -2: not active
        ("timed", "i4"),  # 1: its end is kept by time, not by a group's clock
        ("layer", "i4"),
        ("on", "i4"),
        ("op", "i4"),
        ("free", "i4"),
    ],
    align=True,
)
# One flow on one link.
LEG = np.dtype(
    [("flow", "i4"), ("node", "i4"), ("pair", "i4"), ("next", "i4"), ("prev", "i4")],
    align=True,
)
# The flows of one group on one link.
PAIR = np.dtype(
    [
        ("w", "f8"),  # sum of weights (and rounding error)
        ("wc", "f8"),
        ("m", "i4"),
        ("g", "i4"),
        ("cnt", "i4"),
        ("first", "i4"),  # list of legs
        ("gn", "i4"),  # list of pairs of node m
        ("gp", "i4"),
        ("ln", "i4"),  # list of pairs of group g
        ("lp", "i4"),
    ],
    align=True,
)
HEAP = np.dtype([("key", "f8"), ("child", "i4"), ("next", "i4"), ("prev", "i4")], align=True)
MISC = np.dtype(
    [
        ("now", "f8"),
        ("n_links", "i8"),  # sizes of the tables
        ("stride", "i8"),
        ("size_flows", "i8"),
        ("size_legs", "i8"),
        ("mask", "i8"),
        ("troot", "i4"),  # heap of ends kept by time
        ("nt", "i4"),  # nodes in the time heap
        ("nf", "i4"),  # nodes in the fill heap
        ("n_nodes", "i4"),
        ("n_layers", "i4"),
        ("n_group", "i4"),
        ("n_marks", "i4"),
        ("n_dirty", "i4"),
        ("n_dlinks", "i4"),
        ("n_touched", "i4"),
        ("n_ended", "i4"),
        ("stamp", "i4"),
        ("mark_stamp", "i4"),
        ("round", "i4"),
        ("totals", "i4"),  # keep totals of links
        ("dirty_stamp", "i4"),
        ("free_flow", "i4"),
        ("top_flow", "i4"),
        ("top_leg", "i4"),
        ("free_pair", "i4"),
        ("top_pair", "i4"),
        ("active", "i4"),
        ("solves", "i8"),
        ("fills", "i8"),
        ("pops", "i8"),
        ("moved", "i8"),
    ],
    align=True,
)


class State(NamedTuple):
    """All arrays of one solver; compiled code finds them through ``mem``."""

    links: Any
    nodes: Any
    flows: Any
    legs: Any
    pairs: Any
    ends: Any  # heap rows by flow: end keys (of a group's clock, or times)
    caps: Any  # heap rows by flow: cap levels within the group
    tops: Any  # heap rows by leg: cap levels on the link, negated
    table: Any  # hash table (node, group) -> pair + 1
    fheap: Any  # fill: indexed heap of nodes
    fkey: Any
    fpos: Any
    theap: Any  # time: indexed heap of groups by their next end
    tkey: Any
    tpos: Any
    node_of: Any  # [layer, link] -> node
    order: Any  # layers by priority
    group: Any  # fill: nodes whose groups are filled again
    marks: Any  # fill: nodes whose load changed
    dirty: Any  # nodes touched since the last solve
    dlinks: Any  # links with a changed capacity
    touched: Any  # links with a changed load
    ended: Any  # flows that ended
    free_legs: Any  # by length: first leg of a free block
    misc: Any
    addresses: Any  # of the arrays above, in this order

    @property
    def mem(self) -> int:
        """Address of the table of addresses: what compiled functions take."""
        return int(self.addresses.ctypes.data)


def _bind(state: State) -> State:
    """Write down addresses and sizes after an array was made anew."""
    for i, array in enumerate(state[:-1]):
        state.addresses[i] = array.ctypes.data
    misc = state.misc
    misc["n_links"] = misc["stride"] = state.node_of.shape[1]
    misc["size_flows"] = len(state.flows)
    misc["size_legs"] = len(state.legs)
    misc["mask"] = len(state.table) - 1
    return state


def _zeros(dtype: np.dtype[Any], n: int) -> Any:
    return np.zeros(n, dtype)


def _larger(old: Any, n: int, fill: int = 0) -> Any:
    new = np.zeros(n, old.dtype) if fill == 0 else np.full(n, fill, old.dtype)
    new[: len(old)] = old
    return new


def _init_links(links: Any, start: int) -> None:
    links["parent"][start:] = -1


def new_state(n_links: int, *, layers: int = 1, flows: int = 64, legs: int = 256) -> State:
    """Return an empty solver for ``n_links`` links and ``layers`` priorities."""
    n_links = max(n_links, 1)
    n = n_links * layers
    misc = _zeros(MISC, 1)
    misc["troot"] = -1
    misc["free_flow"] = -1
    misc["free_pair"] = -1
    misc["n_layers"] = layers
    misc["dirty_stamp"] = 1
    misc["stamp"] = 1
    misc["mark_stamp"] = 1
    misc["totals"] = 1
    links = _zeros(LINK, n_links)
    _init_links(links, 0)
    size = 64
    while size < 3 * legs:
        size *= 2
    i4 = np.dtype("i4")
    f8 = np.dtype("f8")
    state = State(
        links=links,
        nodes=_zeros(NODE, n),
        flows=_zeros(FLOW, flows),
        legs=_zeros(LEG, legs),
        pairs=_zeros(PAIR, legs),
        ends=_zeros(HEAP, flows),
        caps=_zeros(HEAP, flows),
        tops=_zeros(HEAP, legs),
        table=_zeros(i4, size),
        fheap=_zeros(i4, n),
        fkey=_zeros(f8, n),
        fpos=np.full(n, -1, i4),
        theap=_zeros(i4, n),
        tkey=_zeros(f8, n),
        tpos=np.full(n, -1, i4),
        node_of=np.full((layers, n_links), -1, i4),
        order=np.arange(layers, dtype=i4),
        group=_zeros(i4, n),
        marks=_zeros(i4, n),
        dirty=_zeros(i4, n),
        dlinks=_zeros(i4, n_links),
        touched=_zeros(i4, n_links),
        ended=_zeros(i4, flows),
        free_legs=np.full(MAX_ROUTE + 1, -1, i4),
        misc=misc,
        addresses=np.zeros(len(State._fields) - 1, np.int64),
    )
    return _bind(state)


def grow_links(state: State, n_links: int, layers: int) -> State:
    """Return the state with room for more links or priorities (rows keep their numbers)."""
    old_layers, old_links = state.node_of.shape
    n_links, layers = max(n_links, old_links), max(layers, old_layers)
    n = n_links * layers
    node_of = np.full((layers, n_links), -1, np.dtype("i4"))
    node_of[:old_layers, :old_links] = state.node_of
    links = _larger(state.links, n_links)
    _init_links(links, old_links)
    order = np.arange(layers, dtype=np.dtype("i4"))
    order[: len(state.order)] = state.order
    return _bind(
        state._replace(
            links=links,
            nodes=_larger(state.nodes, n),
            fheap=_larger(state.fheap, n),
            fkey=_larger(state.fkey, n),
            fpos=_larger(state.fpos, n, -1),
            theap=_larger(state.theap, n),
            tkey=_larger(state.tkey, n),
            tpos=_larger(state.tpos, n, -1),
            node_of=node_of,
            order=order,
            group=_larger(state.group, n),
            marks=_larger(state.marks, n),
            dirty=_larger(state.dirty, n),
            dlinks=_larger(state.dlinks, n_links),
            touched=_larger(state.touched, n_links),
        )
    )


def grow_flows(state: State, flows: int, legs: int) -> State:
    """Return the state with room for more flows and legs (rows keep their numbers).

    The hash table of pairs is left empty if it grew; ``groups.rehash`` fills it.
    """
    flows, legs = max(flows, len(state.flows)), max(legs, len(state.legs))
    table = state.table
    if len(table) < 3 * legs:
        size = len(table)
        while size < 3 * legs:
            size *= 2
        table = _zeros(np.dtype("i4"), size)
    return _bind(
        state._replace(
            flows=_larger(state.flows, flows),
            ends=_larger(state.ends, flows),
            caps=_larger(state.caps, flows),
            ended=_larger(state.ended, flows),
            legs=_larger(state.legs, legs),
            pairs=_larger(state.pairs, legs),
            tops=_larger(state.tops, legs),
            table=table,
        )
    )
