"""``assemble``: the parts of a world put together to a Plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dssn.compile.assumptions import assumptions
from dssn.compile.codes import CompileError
from dssn.compile.nodes import expand_parties
from dssn.compile.semantic import check_all
from dssn.compile.services import classes, compliance, objectives, policies, run_plan, tariff
from dssn.compile.world import World
from dssn_models.plan import Plan

if TYPE_CHECKING:
    from dssn.compile.world import Source

__all__ = ["assemble", "plan_of"]


def assemble(source: Source, base: Path | None = None) -> Plan:
    """Return the Plan, or raise :class:`CompileError` with every problem that is no warning."""
    world = World.of(source, base)
    errors = [p for p in check_all(world) if not p.code.startswith("W")]
    if errors:
        raise CompileError(errors)
    return plan_of(world)


def plan_of(world: World) -> Plan:
    """Return the Plan of a world without errors."""
    scenario = world.scenario
    return Plan(
        name=world.name,
        title=scenario.title or world.name,
        question=scenario.question,
        network=world.network,
        nodes=world.nodes,
        services=world.stations,
        parties=expand_parties(scenario, world.nodes),
        assets=world.assets,
        classes=classes(scenario),
        streams=world.streams,
        policies=policies(scenario),
        faults=world.faults,
        objectives=objectives(scenario),
        run=run_plan(scenario),
        tariff=tariff(scenario.tariff),
        compliance=compliance(scenario.compliance),
        assumptions=assumptions(world),
        scenario_hash=world.hash,
    )
