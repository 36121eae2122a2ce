"""Workload W1 solved slowly and plainly: the truth that the fast solver answers to.

At every start and end all rates are found again from nothing by progressive filling (Bertsekas and
Gallager, Data Networks, section 6.5.2). It shares no code with ``dssn_sim.dataplane``. As a program:
``python -m dssn_sim.bench.reference TOPOLOGY FLOWS FINISH``.
"""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["compiled_reference", "fair_rates", "reference_finish"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def fair_rates(active: Ints, capacity: Floats, cap: Floats, offset: Ints, links: Ints, rate: Floats) -> None:
    """Set ``rate`` of the active flows: raise all alike, fix who meets a full link or his own cap, go on."""
    room = capacity.copy()
    count = np.zeros(len(capacity), np.int64)
    for i in active:
        rate[i] = -1.0
        for k in range(offset[i], offset[i + 1]):
            count[links[k]] += 1
    unfixed = len(active)
    while unfixed > 0:
        level = inf
        for link in range(len(capacity)):
            if count[link] > 0:
                level = min(level, max(room[link], 0.0) / count[link])
        for i in active:
            if rate[i] < 0.0:
                level = min(level, cap[i])
        for link in range(len(capacity)):
            # several links may be full at this level; a rounding error must not part them
            if count[link] > 0 and room[link] <= level * count[link] * (1.0 + 1e-14):
                count[link] = -count[link]
        for i in active:
            if rate[i] >= 0.0:
                continue
            fixed = cap[i] <= level
            for k in range(offset[i], offset[i + 1]):
                fixed = fixed or count[links[k]] < 0
            if fixed:
                rate[i] = level
                unfixed -= 1
                for k in range(offset[i], offset[i + 1]):
                    link = links[k]
                    room[link] -= level
                    count[link] += 1 if count[link] < 0 else -1


def reference_finish(
    capacity: Floats, start: Floats, bits: Floats, cap: Floats, offset: Ints, links: Ints
) -> Floats:
    """Return when each flow ends (s; inf: never); ``start`` is when it begins to move bits."""
    n = len(start)
    order = np.argsort(start)
    left = bits.copy()
    rate = np.zeros(n)
    finish = np.full(n, inf)
    active = np.empty(0, np.int64)
    now = 0.0
    next_start = 0
    while next_start < n or len(active) > 0:
        end = inf
        for i in active:
            if rate[i] > 0.0:
                end = min(end, now + left[i] / rate[i])
        begin = start[order[next_start]] if next_start < n else inf
        if min(begin, end) == inf:
            break
        step = min(begin, end) - now
        now += step
        stay = []
        for i in active:
            left[i] -= rate[i] * step
            if rate[i] > 0.0 and left[i] <= rate[i] * now * 4e-16:
                finish[i] = now
            else:
                stay.append(i)
        while next_start < n and start[order[next_start]] <= now:
            stay.append(order[next_start])
            next_start += 1
        active = np.array(stay, dtype=np.int64)
        fair_rates(active, capacity, cap, offset, links, rate)
    return finish


def compiled_reference() -> Any:
    """Return :func:`reference_finish` in machine code: the same statements, for 10^5 flows."""
    import types

    import numba

    rates = numba.njit(fair_rates)
    clone = types.FunctionType(reference_finish.__code__, {**globals(), "fair_rates": rates})
    return numba.njit(clone)


def main(topology: str, flows: str, finish: str) -> None:
    """Run as a program, compiled each time."""
    from pathlib import Path

    from dssn_sim.bench.flows import read_flows, starts_of_movement, write_finish
    from dssn_sim.bench.topology import read_topology

    network = read_topology(Path(topology))
    table = read_flows(Path(flows), len(network["links"]))
    capacity = np.array([link["cap_bps"] for link in network["links"]], float)
    cap = np.where(table.cap_bps > 0, table.cap_bps, inf)
    start = starts_of_movement(network, table)
    times = compiled_reference()(capacity, start, 8.0 * table.size_bytes, cap, table.offset, table.links)
    write_finish(Path(finish), times)


if __name__ == "__main__":
    import sys

    main(*sys.argv[1:])
