"""The solver alone, without SimPy: textbook shares, and many flows in compiled code."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt

from dssn_sim.dataplane.events import (
    next_end,
    rate_of,
    run_batch,
    set_capacity,
    settle,
    start_flow,
)
from dssn_sim.dataplane.groups import rehash
from dssn_sim.dataplane.layout import UNBOUNDED_BPS, State, grow_flows, new_state

__all__ = ["run_flows", "solve_static"]


Floats = npt.NDArray[np.float64]


def larger(state: State, flows: int, legs: int) -> State:
    """Return the state with room for at least so many flows and legs."""
    old = state.table
    grown = grow_flows(state, flows, legs)
    if grown.table is not old:
        rehash(grown.mem)
    return grown


def _state(capacities: Sequence[float] | Floats, layers: int, flows: int, legs: int) -> State:
    state = new_state(len(capacities), layers=layers, flows=flows, legs=legs)
    for link, c in enumerate(capacities):
        c = min(float(c), UNBOUNDED_BPS)
        set_capacity(state.mem, link, c, c, -1, 0.0)
    return state


def solve_static(
    capacities: Sequence[float],
    routes: Sequence[Sequence[int]],
    *,
    weights: Sequence[float] | None = None,
    caps: Sequence[float] | None = None,
    priorities: Sequence[int] | None = None,
) -> Floats:
    """Return the max-min rates of flows that are all there at once.

    Parameters
    ----------
    capacities
        Rate of every link (bit/s, or any unit).
    routes
        Links of every flow, one at least.
    weights, caps, priorities
        Of every flow; default 1, none, 0.

    Returns
    -------
    numpy.ndarray
        Rate of every flow in the unit of the capacities.
    """
    n = len(routes)
    levels = sorted(set(priorities or [0]))
    legs = sum(len(r) for r in routes)
    state = _state(capacities, len(levels), max(n, 1), max(legs, 1))
    rows = []
    for i, route in enumerate(routes):
        links = np.asarray(route, np.int64)
        layer = levels.index(priorities[i]) if priorities else 0
        weight = float(weights[i]) if weights else 1.0
        cap = float(caps[i]) if caps else inf
        rows.append(
            start_flow(
                state.mem,
                links.ctypes.data,
                len(links),
                1.0,
                weight,
                cap,
                0.0,
                layer,
                0.0,
            )
        )
    settle(state.mem, 0.0)
    return np.array([rate_of(state.mem, f) for f in rows])


def run_flows(
    capacities: Sequence[float] | Floats,
    starts: Sequence[float] | Floats,
    sizes: Sequence[float] | Floats,
    routes: Sequence[Sequence[int]] | tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    *,
    weights: Sequence[float] | Floats | None = None,
    caps: Sequence[float] | Floats | None = None,
    stats: dict[str, Any] | None = None,
) -> Floats:
    """Run flows to their end and return when each ended, all in compiled code.

    Parameters
    ----------
    capacities
        Rate of every link (bit/s).
    starts
        When each flow begins to move (s); add the route's latency beforehand.
    sizes
        What it moves (bit).
    routes
        Links of each flow, or the pair (offsets, links) of one flat array.
    weights, caps
        Weight (default 1) and highest rate (bit/s, default none) of each flow.
    stats
        If given, receives counters of the solver.

    Returns
    -------
    numpy.ndarray
        Time of the last bit of each flow (s); inf where it never ends.
    """
    n = len(starts)
    if isinstance(routes, tuple) and len(routes) == 2 and isinstance(routes[0], np.ndarray):
        offset, flat = np.asarray(routes[0], np.int64), np.asarray(routes[1], np.int64)
    else:
        offset = np.zeros(n + 1, np.int64)
        offset[1:] = np.cumsum([len(r) for r in routes])
        flat = np.fromiter((link for r in routes for link in r), np.int64, int(offset[-1]))
    begin = np.asarray(starts, np.float64)
    size = np.asarray(sizes, np.float64)
    w = np.ones(n) if weights is None else np.asarray(weights, np.float64)
    cap = np.full(n, inf) if caps is None else np.asarray(caps, np.float64)
    order = np.argsort(begin, kind="stable")
    finish = np.full(n, inf)
    state = _state(capacities, 1, 64, 1024)
    state.misc["totals"] = 0
    id_of = np.full(64, -1, np.int64)
    columns = [np.ascontiguousarray(c) for c in (begin, size, w, cap, offset, flat, order)]
    p = 0
    while True:
        where = [c.ctypes.data for c in (*columns, id_of, finish)]
        p = run_batch(state.mem, n, p, *where)
        if p >= n and next_end(state.mem) == inf:
            break
        state = larger(state, 2 * len(state.flows), 2 * len(state.legs))
        more = np.full(len(state.flows), -1, np.int64)
        more[: len(id_of)] = id_of
        id_of = more
    if stats is not None:
        row = state.misc[0]
        stats.update({k: int(row[k]) for k in ("solves", "fills", "pops", "moved", "n_nodes", "top_flow")})
    return finish
