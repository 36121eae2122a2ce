"""Constants that entered a plan without a measurement or a source behind them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dssn.compile.demand import typical_cost
from dssn.compile.world import World
from dssn_models.compute.catalogue import form_sources, tee_sources
from dssn_models.dist import Dist
from dssn_models.engines.api import CostSource
from dssn_models.network.technologies import TECHNOLOGIES
from dssn_models.units import format_quantity

__all__ = ["assumptions"]

Row = tuple[str, str, str]  # what, value, why


def assumptions(world: World) -> tuple[Row, ...]:
    """Return every assumed constant that the plan stands on, each once, in order of the sections."""
    rows = [*_network(world), *_nodes(world), *_services(world), *_engines(world), *_tariff(world)]
    return tuple(dict.fromkeys(rows))


def _sources(found: Iterable[CostSource], why: str) -> Iterator[Row]:
    for s in found:
        if s.confidence == "assumed":
            yield s.entry, f"{s.value:g} {s.unit}".strip(), s.source or why


def _network(world: World) -> Iterator[Row]:
    network = world.network
    for name in sorted({link.technology for link in network.links}):
        for c in TECHNOLOGIES[name].sources:
            if c.confidence == "assumed":
                yield f"{name}.{c.name}", f"{c.value:g} {c.unit}".strip(), c.source
    if any(not e.routed for e in world.topology.edges):
        yield (
            "network.detour_factor",
            f"{network.detour_factor:g}",
            "fibre over great circle, planning practice 1.2-1.5",
        )
    if network.transport == "tcp":
        yield (
            "network.tcp.buffer",
            f"{network.tcp.buffer_s:g} s",
            "queue of a link: one round trip of a national path",
        )
        yield (
            "network.tcp.max_window",
            f"{network.tcp.max_window_bytes:g} B",
            "largest receive buffer of Linux as shipped",
        )
        yield (
            "network.tcp.congestion",
            network.tcp.congestion,
            "RFC 9438 is the default of Linux; real ends differ",
        )
    for text in world.topology.warnings:
        yield f"topology {world.topology.name}", "", text


def _nodes(world: World) -> Iterator[Row]:
    for form in sorted({n.form for n in world.nodes}):
        yield from _sources(form_sources(form), "product form")
    for profile in sorted({n.tee.profile for n in world.nodes if n.tee is not None}):
        yield from _sources(tee_sources(profile), "simulated TEE")


def _services(world: World) -> Iterator[Row]:
    seen: set[str] = set()
    for service in world.stations:
        for name, op in service.operations.items():
            key = f"{service.kind}.{name}"
            if op.confidence == "assumed" and key not in seen:
                seen.add(key)
                yield key, _shown(op.service_s), op.source or "service time of one server"
        if service.batch_s > 0 and f"{service.kind}.batch" not in seen:
            seen.add(f"{service.kind}.batch")
            yield f"{service.kind}.batch", format_quantity(service.batch_s, "duration"), "period of blocks"


def _shown(d: Dist) -> str:
    size = format_quantity(d.a, "duration")
    return {"constant": size, "lognormal": f"median {size}"}.get(
        d.kind, f"mean {format_quantity(d.mean, 'duration')}"
    )


def _engines(world: World) -> Iterator[Row]:
    for spec in world.scenario.workload:
        for job in (*spec.steps, *(spec.alternate or ())):
            yield from _sources(typical_cost(job, spec).sources, job.engine)


def _tariff(world: World) -> Iterator[Row]:
    for key, value in world.scenario.tariff:
        if value:
            yield f"tariff.{key}", f"{value:g} CNY", "the scenario's price"
