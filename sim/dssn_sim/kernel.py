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
from dssn_sim.choice import choose
from dssn_sim.delivery import Delivery
from dssn_sim.errors import Failure
from dssn_sim.faults import Faults
from dssn_sim.peaks import Use
from dssn_sim.recorder import Pieces, joined
from dssn_sim.station import StationUse
from dssn_sim.totals import (
    LinkTotals,
    NodeTotals,
    Sampler,
    ServiceTotals,
    link_rows,
    node_rows,
    service_rows,
)
from dssn_sim.world import Process, World

__all__ = ["in_pieces", "run_world", "simulate"]

Progress = Callable[[float, int], None]  # (share of virtual time done, orders ended)

#: How often progress is reported, as a share of the horizon.
_PROGRESS_STEPS = 200


def simulate(
    plan: Plan,
    replication: int,
    progress: Progress | None = None,
    policies: dict[str, Any] | None = None,
) -> dict[str, pa.Table]:
    """Run one replication and return every result table, on the kernel that ``choice.choose`` names.

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
    return joined(in_pieces(plan, replication, progress, policies))


def in_pieces(
    plan: Plan,
    replication: int,
    progress: Progress | None = None,
    policies: dict[str, Any] | None = None,
) -> Pieces:
    """Run one replication; return its tables in pieces, so that nobody needs to hold them all."""
    with _calm_collector():
        if choose(plan, policies).kernel == "compiled":
            from dssn_sim.compiled.run import simulate_compiled

            return simulate_compiled(plan, replication, progress, policies)
        return Pieces(iter(run_world(plan, replication, progress, policies).rec.tables().items()))


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
    sampler = Sampler(plan, world.rec.rows["samples"])
    if run.sample_s > 0:
        env.process(_samples(world, sampler))
    if progress is not None:
        env.process(_progress(world, progress))
    env.run(until=run.horizon_s)
    totals = _Totals(world, sampler.largest)
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


def _samples(world: World, sampler: Sampler) -> Process:
    env = world.env
    while True:
        yield env.timeout(world.plan.run.sample_s)
        used, busy = world.dp.busy_integrals()
        sampler.look(
            env.now,
            (
                ("running", world.in_flight - world.waiting), ("queued", world.waiting), ("completed", world.done),
                ("failed", world.failed), ("arrived", world.arrived), ("channels", len(world.channels.open)),
            ),
            world.in_flight_by_class,
            Use(used, busy, world.telemetry.held_core_s()),
            {name: station.queue_length for name, station in world.stations.items()},
        )  # fmt: skip


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
        self.links = list(world.dp.link_use())
        self.busy = [u.busy_s for u in world.dp.device_use()]
        world.telemetry.close()
        self.held = world.telemetry.held_integral.tolist()
        self.queue = world.telemetry.queue_integral.tolist()
        self.services = {name: _service_totals(s.snapshot()) for name, s in world.stations.items()}

    def write(self, world: World) -> None:
        """Write the three tables of totals; counters of events as they are at the end of the run."""
        rec, plan, names = world.rec.rows, world.plan, [n.id for n in world.nodes]
        links = LinkTotals(
            [u.bytes for u in self.links], [u.busy_s for u in self.links], [u.reserved_s for u in self.links],
            [u.peak for u in self.links], world.link_down_s,
        )  # fmt: skip
        rec["links"] += link_rows(plan, links, self.span, self.peak)
        nodes = NodeTotals(
            self.busy, self.held, self.queue, [world.jobs_of(n) for n in names], world.telemetry.peak_memory.tolist(),
            [world.node_down_s[n] for n in names], [world.images.cold[n] for n in names],
            [world.images.warm[n] for n in names],
        )  # fmt: skip
        rec["nodes"] += node_rows(plan, nodes, self.span, self.peak)
        rec["services"] += service_rows(plan, self.services, self.span)


def _service_totals(use: StationUse) -> ServiceTotals:
    waits = np.array(use.waits)
    mean, p99 = (float(waits.mean()), float(np.quantile(waits, 0.99))) if len(waits) else (math.nan, math.nan)
    return ServiceTotals(use.calls, use.busy_s, mean, p99, use.dropped, use.down_s)
