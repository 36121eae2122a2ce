"""One replication from start to result tables."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa

from dssn_models.market.orders import draw_orders
from dssn_models.plan import Plan
from dssn_sim.delivery import Delivery
from dssn_sim.errors import Failure
from dssn_sim.faults import Faults
from dssn_sim.peaks import Peaks, Use
from dssn_sim.world import Process, World

__all__ = ["run_world", "simulate"]

Progress = Callable[[float, int], None]  # (share of virtual time done, orders ended)

#: How often progress is reported, as a share of the horizon.
_PROGRESS_STEPS = 200


def simulate(
    plan: Plan,
    replication: int,
    progress: Progress | None = None,
    policies: dict[str, Any] | None = None,
) -> dict[str, pa.Table]:
    """Run one replication and return every result table.

    Parameters
    ----------
    plan : Plan
        What to run.
    replication : int
        Index of the replication; same plan and index give equal tables.
    progress : callable, optional
        Called about 200 times with (share done, orders ended).
    policies : dict, optional
        Policy objects that replace those named in the plan.

    Returns
    -------
    dict of str to pyarrow.Table
        All tables of ``dssn_models.results``.
    """
    with _calm_collector():
        return run_world(plan, replication, progress, policies).rec.tables()


@contextmanager
def _calm_collector() -> Iterator[None]:
    """Collect cycles less often, and never search what was there before: a run makes few cycles (about a tenth of the CPU)."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 20, 100)
    frozen = gc.get_freeze_count()
    if frozen == 0:  # else the caller has frozen objects, which unfreeze() would give back too
        gc.freeze()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        if frozen == 0:
            gc.unfreeze()


def run_world(
    plan: Plan, replication: int, progress: Progress | None = None, policies: dict[str, Any] | None = None
) -> World:
    """Run one replication and return the world as it is at the end, its rows still unconverted."""
    world = World(plan, replication, policies)
    orders = draw_orders(plan, world.streams)
    env, run = world.env, plan.run
    Faults(world)
    env.process(_arrivals(world, orders))
    env.process(_warm_up(world))
    none = Use(*(np.zeros(n) for n in (2 * len(plan.network.links), len(plan.nodes), len(plan.nodes))))
    peaks = Peaks(run.warmup_s, none)
    if run.sample_s > 0:
        env.process(_samples(world, peaks))
    if progress is not None:
        env.process(_progress(world, progress))
    env.run(until=run.horizon_s)
    totals = _Totals(world, peaks.largest)
    if run.drain and world.in_flight > 0:
        world.drained = env.event()
        env.run(until=env.any_of([world.drained, env.timeout(run.drain_limit_s)]))
    _stop_late(world)
    totals.write(world)
    world.channels.finish()
    return world


def _arrivals(world: World, orders: Any) -> Process:
    env = world.env
    for i in range(len(orders)):
        order = orders.row(i)
        if order.arrived_s >= world.plan.run.horizon_s:
            return
        if order.arrived_s > env.now:
            yield env.timeout(order.arrived_s - env.now)
        world.arrived += 1
        delivery = Delivery(world, order)
        world.live[delivery] = env.process(delivery.run())


def _warm_up(world: World) -> Process:
    if world.plan.run.warmup_s > 0:
        yield world.env.timeout(world.plan.run.warmup_s)
        world.dp.reset_use()
        world.telemetry.reset()
        for station in world.stations.values():
            station.reset_use()


def _progress(world: World, progress: Progress) -> Process:
    step = world.plan.run.horizon_s / _PROGRESS_STEPS
    for i in range(_PROGRESS_STEPS):
        yield world.env.timeout(step)
        progress((i + 1) / _PROGRESS_STEPS, world.done + world.failed)


def _samples(world: World, peaks: Peaks) -> Process:
    """Sample counts and mean utilisation by group: the time series of the report."""
    env, rows, run = world.env, world.rec.rows["samples"], world.plan.run
    roles: dict[str, list[int]] = {}
    for i, node in enumerate(world.nodes):
        roles.setdefault(node.role, []).append(i)
    cores = world.telemetry.cores
    planes: dict[str, list[int]] = {}
    for link in world.plan.network.links:
        both = (2 * link.index,) if link.shared else (2 * link.index, 2 * link.index + 1)
        planes.setdefault(("access " if link.access else "") + link.technology, []).extend(both)
    link_last, last = world.dp.busy_integrals()
    while True:
        yield env.timeout(run.sample_s)
        now = env.now
        for metric, value in (
            ("running", world.in_flight - world.waiting), ("queued", world.waiting), ("completed", world.done),
            ("failed", world.failed), ("arrived", world.arrived), ("channels", len(world.channels.open)),
        ):  # fmt: skip
            rows.append((now, "system", "all", metric, float(value)))
        for name, count in world.in_flight_by_class.items():
            rows.append((now, "class", name, "in_flight", float(count)))
        used, busy = world.dp.busy_integrals()
        # After the warm-up the integrals start again from zero.
        delta = busy - last if (busy >= last).all() else busy
        change = used - link_last if (used >= link_last).all() else used
        link_last, last = used, busy
        peaks.look(now, Use(used, busy, world.telemetry.held_core_s()))
        for role, members in roles.items():
            total = float(cores[members].sum()) * run.sample_s
            rows.append((now, "node", role, "util", float(delta[members].sum()) / total if total else 0.0))
        for plane, members in planes.items():
            share = change[members] / run.sample_s
            rows.append((now, "link", plane, "util_mean", float(share.mean())))
            rows.append((now, "link", plane, "util_max", float(share.max())))
        for name, station in world.stations.items():
            rows.append((now, "service", name, "queue", float(station.queue_length)))


def _stop_late(world: World) -> None:
    """End what is still under way after the drain limit, with its reason code."""
    for process in list(world.live.values()):
        if process.is_alive:
            process.interrupt(Failure("run.horizon", ""))
    # Let the interrupted deliveries and their branches clean up at this instant; nothing else may run on.
    while world.env.peek() <= world.env.now:
        world.env.step()


class _Totals:
    """Totals over [warm-up, horizon] of links, nodes and services, taken at the horizon."""

    def __init__(self, world: World, peak: Use) -> None:
        self.peak = peak
        self.span = max(1e-12, world.env.now - world.plan.run.warmup_s)
        self.links = [(u.bytes, u.busy_s, u.reserved_s, u.peak) for u in world.dp.link_use()]
        self.devices = [(u.core_s, u.busy_s) for u in world.dp.device_use()]
        world.telemetry.close()
        self.held = world.telemetry.held_integral.copy()
        self.queue = world.telemetry.queue_integral.copy()
        self.stations = {name: s.snapshot() for name, s in world.stations.items()}

    def write(self, world: World) -> None:
        """Write the three tables of totals."""
        self._links(world)
        self._nodes(world)
        self._services(world)

    def _links(self, world: World) -> None:
        rows = world.rec.rows["links"]
        for link in world.plan.network.links:
            down = world.link_down_s.get(link.index, 0.0)
            for k, rate in ((0, link.rate_ab_bps), (1, link.rate_ba_bps)):
                if link.shared and k == 1:
                    continue
                sent, busy, reserved, peak = self.links[2 * link.index + k]
                rows.append(
                    (link.id, "ab" if k == 0 else "ba", link.technology, rate, busy / self.span, peak, sent, down,
                     reserved / self.span, float(self.peak.links[2 * link.index + k]))
                )  # fmt: skip

    def _nodes(self, world: World) -> None:
        rows = world.rec.rows["nodes"]
        for i, node in enumerate(world.nodes):
            core_s, busy = self.devices[i]
            held = float(self.held[i])
            # With shared cores nothing is held: then nothing is idle in hold either.
            idle = max(0.0, held - busy) if node.sharing == "reserved" else 0.0
            hours = world.plan.run.horizon_s / 3600
            rows.append(
                (
                    node.id, node.role, node.site, node.size, node.cores, busy / (node.cores * self.span),
                    held / (node.cores * self.span), idle, core_s, world.jobs_of(node.id),
                    float(world.telemetry.peak_memory[i]), world.node_down_s[node.id],
                    world.images.cold[node.id], world.images.warm[node.id], float(self.queue[i]) / self.span,
                    node.price_cny_per_hour * hours, float(self.peak.busy[i]) / node.cores,
                    float(self.peak.held[i]) / node.cores,
                )
            )  # fmt: skip

    def _services(self, world: World) -> None:
        rows = world.rec.rows["services"]
        for service in world.plan.services:
            use = self.stations[service.id]
            waits = np.array(use.waits) if use.waits else np.zeros(0)
            rows.append(
                (
                    service.id, service.kind, service.site, service.servers, use.calls,
                    use.busy_s / (service.servers * self.span),
                    float(waits.mean()) if len(waits) else math.nan,
                    float(np.quantile(waits, 0.99)) if len(waits) else math.nan, use.dropped, use.down_s,
                )
            )  # fmt: skip
