"""Workload W1: flows over a network, exact max-min.

A flow starts at ``start_s``, waits the sum of its route's latencies without using capacity, then moves
``size_bytes`` at its max-min fair rate (all weights 1, at most ``cap_bps`` where that is not 0). Every
directed link is a resource of its own. It is finished when its last bit has gone.

Files: ``start_s,size_bytes,src,dst,cap_bps,route`` a line (route: links joined by ``-``), no heading;
answers ``id,finish_s`` with nine decimals, ``inf`` for a flow that never ends.
"""

from __future__ import annotations

import bisect
import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dssn_sim.bench.errors import BenchInputError
from dssn_sim.bench.topology import Topology, shortest_paths, traffic

__all__ = [
    "LOADS",
    "FlowTable",
    "read_finish",
    "read_flows",
    "run_flow_table",
    "starts_of_movement",
    "write_finish",
    "write_flows",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Variant -> what the busiest link is offered, as a share of its capacity.
LOADS = {"low": 0.60, "high": 0.97, "over": 1.30, "round": 0.80, "capped": 0.97}
_MEAN_BYTES = 2.0e9
_SIGMA = 1.2  # of the lognormal sizes
_ROUND_S, _ROUND_FLOWS = 2.0, 500


@dataclass(frozen=True)
class FlowTable:
    """Flows by column; the route of flow i is ``links[offset[i]:offset[i + 1]]``."""

    start_s: Floats
    size_bytes: Floats
    cap_bps: Floats  # 0: none
    offset: Ints
    links: Ints


def write_flows(path: Path, topology: Topology, variant: str, flows: int, seed: int = 7) -> None:
    """Write the flows of a variant.

    ``low``, ``high`` and ``over`` have Poisson starts; ``round`` starts 500 flows at once every 2 s; ``capped``
    is ``high`` with a cap of 0.1 to 10 Gbit/s on every second flow.
    """
    nodes, links = topology["nodes"], topology["links"]
    paths = shortest_paths(len(nodes), links)
    pairs, shares = traffic(nodes)
    load = [0.0] * len(links)
    for (s, t), share in zip(pairs, shares, strict=True):
        for link in paths[s][t]:
            load[link] += share
    per_flow = max(x * _MEAN_BYTES * 8 / link["cap_bps"] for x, link in zip(load, links, strict=True))
    rate = LOADS[variant] / per_flow
    cumulated, whole = [], 0.0
    for share in shares:
        whole += share
        cumulated.append(whole)
    routes = {(s, t): "-".join(map(str, paths[s][t])) for s, t in pairs}
    draw = random.Random(f"W1 {variant} {seed}").random
    mu = math.log(_MEAN_BYTES) - _SIGMA * _SIGMA / 2
    start = 0.0
    with path.open("w", encoding="ascii") as file:
        for i in range(flows):
            if variant == "round":
                start = _ROUND_S * (i // _ROUND_FLOWS)
            else:
                start += -math.log(1.0 - draw()) / rate
            s, t = pairs[min(bisect.bisect_right(cumulated, draw() * whole), len(pairs) - 1)]
            u, v = 1.0 - draw(), draw()
            normal = math.sqrt(-2.0 * math.log(u)) * math.cos(2 * math.pi * v)
            size = max(1000, round(math.exp(mu + _SIGMA * normal)))
            cap = int(10 ** (8 + 2 * draw())) if variant == "capped" and draw() < 0.5 else 0
            file.write(f"{start:.9f},{size},{s},{t},{cap},{routes[s, t]}\n")


def _address(array: npt.NDArray[Any]) -> int:
    return int(array.ctypes.data)


def read_flows(path: Path, n_links: int) -> FlowTable:
    """Read a flow file.

    Raises
    ------
    BenchInputError
        At the first line that is wrong.
    """
    from dssn_sim.bench.textio import parse_flows

    raw = np.fromfile(path, np.uint8)
    n = int(np.count_nonzero(raw == ord("\n"))) + 1
    legs = int(np.count_nonzero(raw == ord("-"))) + n
    start, size, cap = np.empty(n), np.empty(n), np.empty(n)
    offset, links = np.empty(n + 1, np.int64), np.empty(legs, np.int64)
    columns = (start, size, cap, offset, links)
    n = parse_flows(_address(raw), len(raw), n_links, *map(_address, columns))
    if n < 0:
        return _read_slowly(path, n_links)
    return FlowTable(start[:n], size[:n], cap[:n], offset[: n + 1], links[: offset[n]])


def _read_slowly(path: Path, n_links: int) -> FlowTable:
    """Read a flow file with numbers of any form, or say which line is wrong."""
    rows: list[tuple[float, float, float]] = []
    routes: list[list[int]] = []
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, text in enumerate(file, 1):
            try:
                start, size, source, target, cap, names = text.strip().split(",")
                row = (float(start), float(size), float(cap))
                route = [int(x) for x in names.split("-")] if names else []
                if not all(math.isfinite(x) and x >= 0 for x in row):
                    raise ValueError("start, size and cap are 0 or more")
                if not all(0 <= x < n_links for x in route):
                    raise ValueError(f"links are 0 to {n_links - 1}")
                if not route and int(source) != int(target):
                    raise ValueError(f"network.no_route from {source} to {target}")
            except ValueError as error:
                raise BenchInputError(
                    f"{path}:{number}: not start_s,size_bytes,src,dst,cap_bps,route ({error})"
                ) from None
            rows.append(row)
            routes.append(route)
    start_s, size_bytes, cap_bps = np.array(rows, float).reshape(-1, 3).T.copy()
    offset = np.zeros(len(rows) + 1, np.int64)
    offset[1:] = np.cumsum([len(r) for r in routes])
    return FlowTable(start_s, size_bytes, cap_bps, offset, np.array([x for r in routes for x in r], np.int64))


def starts_of_movement(topology: Topology, flows: FlowTable) -> Floats:
    """Return when each flow has waited out its latency (s)."""
    latency = np.array([link["lat_s"] for link in topology["links"]], float)
    # summed route by route, so that flows which start together over one route stay together
    wait = np.add.reduceat(np.append(latency[flows.links], 0.0), flows.offset[:-1])
    wait[np.diff(flows.offset) == 0] = 0.0
    return flows.start_s + wait


def run_flow_table(topology: Topology, flows: FlowTable) -> Floats:
    """Return when each flow of W1 ends (s); inf where it never does."""
    from dssn_sim.dataplane.batch import run_flows

    capacity = np.array([link["cap_bps"] for link in topology["links"]], float)
    begin = starts_of_movement(topology, flows)
    cap = np.where(flows.cap_bps > 0, flows.cap_bps, np.inf)
    return run_flows(capacity, begin, 8.0 * flows.size_bytes, (flows.offset, flows.links), caps=cap)


def write_finish(path: Path, finish: Floats) -> None:
    """Write ``id,finish_s``."""
    from dssn_sim.bench.textio import format_finish

    out = np.empty(32 * len(finish), np.uint8)
    n = format_finish(_address(finish), len(finish), _address(out))
    if n >= 0:
        out[:n].tofile(path)
    else:
        path.write_text("".join(f"{i},{t:.9f}\n" for i, t in enumerate(finish.tolist())), encoding="ascii")


def read_finish(path: Path) -> Floats:
    """Read finish times in order of id."""
    table = np.loadtxt(path, delimiter=",", ndmin=2)
    finish: Floats = table[np.argsort(table[:, 0], kind="stable"), 1]
    return finish
