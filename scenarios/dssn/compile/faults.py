"""Faults: targets from selectors, times from the file or drawn from named random streams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from dssn.compile.codes import Loc, RawProblem
from dssn.compile.world import World
from dssn.problems import nearest
from dssn.schema.operations import Fault
from dssn_models.plan import FaultPlan, NetworkPlan, ServicePlan
from dssn_models.rng import stream

__all__ = ["expand_faults", "fault_targets"]

_MAX_FAULTS: Final = 100_000
_FOREVER: Final = 1e12


def fault_targets(
    world: World, network: NetworkPlan, stations: Sequence[ServicePlan], spec: Fault
) -> tuple[list[str], list[str]]:
    """Return the ids that a fault hits, and all ids that one of its kind may name."""
    if spec.kind.startswith("link"):
        known = [link.id for link in network.links]
    elif spec.kind == "site_down":
        known = list(world.site_by_id)
    elif spec.kind == "service_down":
        known = list(dict.fromkeys([*(s.id for s in stations), *(s.kind for s in stations)]))
    else:
        known = list(world.node_by_id)
    if spec.target is not None:
        present = set(known)
        return [t for t in spec.target if t in present], known
    if spec.role is not None:
        return [n.id for n in world.nodes if n.role in spec.role], known
    ends = set(spec.between or ())
    hit = [
        link.id
        for link in network.links
        if (spec.technology is None or link.technology == spec.technology)
        and (spec.srlg is None or link.srlg == spec.srlg)
        and (spec.between is None or {link.a, link.b} == ends)
        and not (link.access and spec.srlg is None and spec.between is None)
    ]
    return (hit if spec.kind.startswith("link") else []), known


def expand_faults(
    world: World, network: NetworkPlan, stations: Sequence[ServicePlan]
) -> tuple[FaultPlan, ...]:
    """Return every fault with its time, sorted by time; what has no target is noted in ``world.problems``."""
    made: list[FaultPlan] = []
    for i, spec in enumerate(world.scenario.faults if world.site_by_id else ()):
        loc: Loc = ("faults", i)
        targets, known = fault_targets(world, network, stations, spec)
        missing = [t for t in spec.target or () if t not in known]
        for t in missing:
            shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
            world.problems.append(
                RawProblem(
                    "E301", (*loc, "target"), f"{spec.kind} has no target '{t}'", shown, nearest(t, known)
                )
            )
        if not targets and not missing:
            world.problems.append(
                RawProblem("E302", loc, f"{spec.kind} hits nothing", "a target that exists")
            )
        for target in targets:
            made += _events(world, spec, target, spec.id or f"fault{i + 1}")
            if len(made) > _MAX_FAULTS:
                world.problems.append(RawProblem("E310", loc, f"over {_MAX_FAULTS} faults", "a longer mtbf"))
                return ()
    return tuple(sorted(made, key=lambda f: (f.at_s, f.kind, f.target)))


def _events(world: World, spec: Fault, target: str, label: str) -> Iterator[FaultPlan]:
    run = world.scenario.run
    # One generator per fault and target: another fault or target never shifts these times.
    rng = stream(run.seed, 0, "fault", label, spec.kind, target)

    def duration() -> float:
        return float(spec.duration.sample(rng, 1)[0]) if spec.duration is not None else _FOREVER

    if spec.mtbf is None:
        for at in spec.at:
            yield FaultPlan(spec.kind, target, at, duration(), spec.factor, label)
        return
    now, count = 0.0, 0
    while count <= _MAX_FAULTS:
        now += max(float(spec.mtbf.sample(rng, 1)[0]), 1e-3)
        if now >= run.horizon:
            return
        length = duration()
        yield FaultPlan(spec.kind, target, now, length, spec.factor, label)
        now += length
        count += 1
