"""Faults: targets from selectors, times from the file or drawn from named random streams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from dssn.compile.codes import Loc, RawProblem
from dssn.compile.judge import ANY, NAME
from dssn.compile.needs import SITES, listed, node_names, of_entry, unknown
from dssn.compile.world import World
from dssn.problems import nearest
from dssn.schema.operations import Fault
from dssn_models.plan import FaultPlan, NetworkPlan, ServicePlan
from dssn_models.rng import stream

__all__ = ["expand_faults"]

_MAX_FAULTS: Final = 100_000
_FOREVER: Final = 1e12


def _known(world: World, network: NetworkPlan, stations: Sequence[ServicePlan], kind: str) -> list[str]:
    """Return all ids that a fault of a kind may name."""
    if kind.startswith("link"):
        return [link.id for link in network.links]
    if kind == "site_down":
        return list(world.site_by_id)
    if kind == "service_down":
        return list(dict.fromkeys([*(s.id for s in stations), *(s.kind for s in stations)]))
    return list(world.node_by_id)


def _targets(world: World, network: NetworkPlan, spec: Fault, known: Iterable[str]) -> list[str]:
    """Return the ids that a fault hits."""
    if spec.target is not None:
        present = set(known)
        return [t for t in spec.target if t in present]
    if spec.role is not None:
        return [n.id for n in world.nodes if n.role in spec.role]
    if not spec.kind.startswith("link"):
        return []
    ends = set(spec.between or ())
    return [
        link.id
        for link in network.links
        if (spec.technology is None or link.technology == spec.technology)
        and (spec.srlg is None or link.srlg == spec.srlg)
        and (spec.between is None or {link.a, link.b} == ends)
        and not (link.access and spec.srlg is None and spec.between is None)
    ]


_LINKS: Final = (
    *SITES,
    ("network", "topology", "edges"),
    ("network", "planes", ANY, NAME),
    *of_entry("nodes", "access"),
    *of_entry("nodes", "site"),
    *of_entry("nodes", "id"),
    *(("nodes", ANY, "generate", key) for key in ("prefix", "count", "per_site", "sites")),
)
#: What says which technologies links have.
_TECHNOLOGIES: Final = (("network", "planes", ANY, NAME), ("network", "access"), *of_entry("nodes", "access"))


def _needs(world: World, spec: Fault, names: Iterable[str]) -> tuple[Loc, ...]:
    """Return what says which targets of a kind there are."""
    if spec.kind.startswith("link"):
        return _LINKS
    if spec.kind == "site_down":
        return SITES
    if spec.kind == "service_down":
        return (*(("services", ANY, key) for key in ("id", "kind", "replicas")), *SITES)
    return (*node_names(world.scenario, names), *(of_entry("nodes", "role") if spec.role else ()))


def _unknown_parts(
    world: World, network: NetworkPlan, spec: Fault, loc: Loc, known: Sequence[str]
) -> Iterator[RawProblem]:
    """E301: targets, sites, planes, risk groups and roles that a fault names and that do not exist."""
    present = set(known)
    for name in spec.target or ():
        if name not in present:
            needs = _needs(world, spec, [name])
            what = f"{spec.kind} has no target '{name}'"
            yield unknown((*loc, "target"), name, "", known, needs)._replace(found=what)
    if spec.role is not None:
        roles = sorted({n.role for n in world.nodes})
        for name in spec.role:
            if name not in roles:
                yield unknown((*loc, "role"), name, "node of role", roles, of_entry("nodes", "role"))
    if not spec.kind.startswith("link"):
        return
    ends = {**world.site_by_id, **world.node_by_id}
    for name in spec.between or ():
        if name not in ends:
            near = nearest(name, world.site_by_id) or nearest(name, ends)
            needs = (*SITES, *node_names(world.scenario, [name]))
            yield unknown((*loc, "between"), name, "site", world.site_by_id, needs)._replace(hint=near)
    lines = (a.technology for p in world.placed for a in p.access)
    technologies = list(dict.fromkeys([*world.scenario.network.planes, *lines]))
    if spec.technology is not None and spec.technology not in technologies:
        where: Loc = (*loc, "technology")
        yield unknown(where, spec.technology, "link of technology", technologies, _TECHNOLOGIES)
    if spec.srlg is not None:
        groups = list(dict.fromkeys(link.srlg for link in network.links if link.srlg))
        if spec.srlg not in groups:
            yield unknown((*loc, "srlg"), spec.srlg, "risk group", groups, _LINKS)


def _hits_nothing(network: NetworkPlan, spec: Fault, loc: Loc) -> RawProblem:
    """E302: every name of a fault exists, and yet there is no such link (or node)."""
    keys = ("between", "technology", "srlg", "role", "kind")
    needs = (*((*loc, key) for key in keys), *_LINKS)
    if not spec.kind.startswith("link"):
        what = "a target or role" if spec.between or spec.srlg else "a target that exists"
        return RawProblem("E302", loc, f"{spec.kind} hits nothing: it breaks no link", what, "", needs)
    asked = [f"of technology {spec.technology}"] if spec.technology else []
    asked += [f"between {' and '.join(spec.between)}"] if spec.between else []
    asked += [f"of risk group {spec.srlg}"] if spec.srlg else []
    allowed = "a link that exists"
    if spec.between:
        others = (
            f"{end} is linked to {listed(neighbours)}"
            for end in dict.fromkeys(spec.between)
            if (neighbours := _neighbours(network, end, spec.technology))
        )
        allowed = "; ".join(others) or allowed
    what = f"{spec.kind} hits nothing: there is no link {' '.join(asked)}"
    return RawProblem("E302", loc, what, allowed, "", needs)


def _neighbours(network: NetworkPlan, end: str, technology: str | None) -> list[str]:
    links = [k for k in network.links if technology is None or k.technology == technology]
    return list(
        dict.fromkeys(k.b if k.a == end else k.a for k in links if end in (k.a, k.b) and not k.access)
    )


def expand_faults(
    world: World, network: NetworkPlan, stations: Sequence[ServicePlan]
) -> tuple[FaultPlan, ...]:
    """Return every fault with its time, sorted by time; what has no target is noted in ``world.problems``."""
    made: list[FaultPlan] = []
    for i, spec in enumerate(world.scenario.faults):
        loc: Loc = ("faults", i)
        known = _known(world, network, stations, spec.kind)
        missing = list(_unknown_parts(world, network, spec, loc, known))
        world.problems += missing
        targets = _targets(world, network, spec, known)
        if not targets and not missing:
            world.problems.append(_hits_nothing(network, spec, loc))
        before = len(made)
        for target in targets:
            made += _events(world, spec, target, spec.id or f"fault{i + 1}")
            if len(made) > _MAX_FAULTS:
                needs = (("faults", ANY), ("run", "horizon"), *_needs(world, spec, ()))
                what = f"over {_MAX_FAULTS} faults"
                world.problems.append(RawProblem("E310", (*loc, "mtbf"), what, "a longer mtbf", "", needs))
                del made[before:]
                break
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
