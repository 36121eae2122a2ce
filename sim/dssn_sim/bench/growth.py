"""The growth curve: one network at several sizes, with as many times the capacity as it has orders."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from dssn_models.market.orders import expected_orders
from dssn_models.plan import LinkPlan, NodePlan, Plan
from dssn_sim.bench.measure import Cost, PeerError, measured

__all__ = ["BASE", "SIZES", "Point", "measure_growth", "scaled"]

#: Orders at which the scenario keeps its own capacity.
BASE: Final = 10_000.0
#: Orders of the points; the last takes many minutes.
SIZES: Final = (10_000, 100_000, 1_000_000, 10_000_000)


@dataclass(frozen=True)
class Point:
    """What a size costs; ``error`` says why it has no figures."""

    orders: int
    deliveries: int = 0
    events: int = 0
    cost: Cost | None = None
    goals: tuple[dict[str, Any], ...] = ()
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it, with figures for each delivery and second."""
        found = asdict(self)
        if self.cost is not None:
            found["cpu_per_delivery_s"] = self.cost.cpu_s / max(1, self.deliveries)
            found["events_per_s"] = self.events / self.cost.cpu_s
        return found


def scaled(plan: Plan, orders: float) -> Plan:
    """Return the plan with so many orders expected, and capacity in proportion, so that every node is as busy.

    Rates of orders are set to give ``orders``; cores, memory and caches of nodes, rates of links and servers of
    services are those of the scenario times ``orders / BASE`` (at least 1). What one order needs stays as it is.
    """
    rate = orders / sum(expected_orders(plan).values())
    k = max(1.0, orders / BASE)
    streams = tuple(
        replace(s, arrivals=replace(s.arrivals, rate=rate * s.arrivals.rate)) for s in plan.streams
    )
    nodes = tuple(_node(n, k) for n in plan.nodes)
    links = tuple(_link(link, k) for link in plan.network.links)
    services = tuple(replace(s, servers=math.ceil(k * s.servers)) for s in plan.services)
    return replace(
        plan, streams=streams, nodes=nodes, services=services, network=replace(plan.network, links=links)
    )


def _node(node: NodePlan, k: float) -> NodePlan:
    tee = node.tee
    return replace(
        node, cores=k * node.cores, memory_bytes=k * node.memory_bytes, cache_bytes=k * node.cache_bytes,
        price_cny_per_hour=k * node.price_cny_per_hour,
        tee=None if tee is None else replace(tee, enclave_bytes=k * tee.enclave_bytes),
    )  # fmt: skip


def _link(link: LinkPlan, k: float) -> LinkPlan:
    return replace(link, rate_ab_bps=k * link.rate_ab_bps, rate_ba_bps=k * link.rate_ba_bps)


def measure_growth(
    sizes: Sequence[int],
    command: Callable[[int, Path], Sequence[str]],
    folder: Path,
    say: Callable[[str], None] = lambda text: None,
) -> list[Point]:
    """Measure each size in a process of its own.

    Parameters
    ----------
    sizes
        Orders of each point.
    command
        (orders, run folder) to the command that runs them and leaves ``run.json`` and ``tables/``.
    folder
        For the runs.
    say
        Is told what goes on.

    Returns
    -------
    list of Point
        In the order of the sizes; the last three judged against the goals of issue and page.
    """
    import pyarrow.parquet as pq

    points: list[Point] = []
    for orders in sizes:
        out = folder / f"growth-{orders}"
        say(f"growth: {orders:,} orders")
        try:
            cost = measured(command(orders, out))
        except PeerError as error:
            points.append(Point(orders, error=str(error)))
            continue
        run = json.loads((out / "run.json").read_text("utf-8"))
        rows = pq.read_metadata(out / "tables" / "deliveries.parquet").num_rows
        points.append(Point(orders, rows, int(run["events"]), cost))
    return [replace(p, goals=tuple(_judged(p, points))) for p in points]


def _judged(point: Point, points: Sequence[Point]) -> list[dict[str, Any]]:
    """Return the goals of a size: what is asked, what was found, whether it is met."""
    if point.cost is None:
        return []
    asked = []
    if point.orders == 1_000_000:
        asked += [("CPU s", 60.0, point.cost.cpu_s), ("bytes of memory", 2 * 2**30, point.cost.memory_bytes)]
    if point.orders == 10_000_000:
        asked.append(("bytes of memory", 8 * 2**30, point.cost.memory_bytes))
        small = next((p for p in points if p.orders == 100_000 and p.cost is not None), None)
        if small is not None:
            found = point.as_dict()["cpu_per_delivery_s"] / small.as_dict()["cpu_per_delivery_s"]
            asked.append(("CPU of a delivery over that at 10^5", 1.3, found))
    return [
        {"what": what, "asked": most, "found": found, "met": found <= most} for what, most, found in asked
    ]
