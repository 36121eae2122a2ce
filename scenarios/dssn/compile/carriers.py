"""Checks of what streams ask of the network: planes, isolation, rates that can be reserved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from dssn.compile.choices import parties_of
from dssn.compile.codes import Loc, RawProblem
from dssn.compile.judge import ANY, NAME
from dssn.compile.needs import of_nodes
from dssn.compile.streams import Share, groups
from dssn.compile.world import World
from dssn.problems import nearest
from dssn.schema.base import show_quantity
from dssn.schema.network import Access
from dssn.schema.nodes import Node
from dssn.schema.workload import Stream
from dssn_models.network.technologies import TECHNOLOGIES
from dssn_models.plan import NodePlan, PolicyPlan
from dssn_models.policies.registry import PolicyError, resolve
from dssn_models.policies.technology import ISOLATION_RANK, CheapestTechnology, Fastest, Fixed

__all__ = ["check_access", "check_isolation", "check_planes", "check_rates"]

_PLANES: Final[Loc] = ("network", "planes", ANY, NAME)
_POLICY: Final[Loc] = ("policies", "technology")


def _technology_policy(world: World) -> object:
    """Return the policy that chooses the carrier service, None if there is none (or none that loads)."""
    use = world.scenario.policies.technology
    try:
        return None if use is None else resolve(PolicyPlan("technology", use.use, use.options))
    except PolicyError:
        return None  # told by the check of policies


def check_planes(world: World) -> Iterator[RawProblem]:
    """E317: technologies that are asked for have a plane."""
    network, workload = world.scenario.network, world.scenario.workload
    asked: list[tuple[Loc, str | None, tuple[Loc, ...]]] = [
        (("network", "routing", "default_technology"), network.routing.default_technology, ())
    ]
    asked += [(("workload", i, "net", "technology"), s.net.technology, ()) for i, s in enumerate(workload)]
    policy = _technology_policy(world)
    free = next((i for i, s in enumerate(workload) if s.net.technology is None), None)
    if isinstance(policy, Fixed) and free is not None:
        asked.append((_POLICY, policy.technology, (("workload", free, "net", "technology"),)))
    planes = list(network.planes)
    for loc, name, more in asked:
        if name is not None and name not in planes:
            what, needs = f"the network has no plane '{name}'", (loc, _PLANES, *more)
            yield RawProblem("E317", loc, what, ", ".join(planes), nearest(name, planes), needs)


def check_isolation(world: World) -> Iterator[RawProblem]:
    """E317: where a shipped policy chooses the carrier service, one of them gives the isolation asked."""
    if not isinstance(_technology_policy(world), CheapestTechnology | Fastest):
        return
    best = max(ISOLATION_RANK[TECHNOLOGIES[name].isolation] for name in world.scenario.network.planes)
    for i, spec in enumerate(world.scenario.workload):
        asked = spec.net.isolation
        if spec.net.technology is None and ISOLATION_RANK[asked] > best:
            loc: Loc = ("workload", i, "net", "isolation")
            able = [
                n for n, t in TECHNOLOGIES.items() if ISOLATION_RANK[t.isolation] >= ISOLATION_RANK[asked]
            ]
            needs = (loc, (*loc[:-1], "technology"), _PLANES, _POLICY)
            what = f"no plane of the network gives isolation '{asked}'"
            yield RawProblem("E317", loc, what, f"a plane of {', '.join(able)}", "", needs)


def check_access(world: World) -> Iterator[RawProblem]:
    """W306: an access line of a carrier technology has its plane."""
    planes = list(world.scenario.network.planes)
    told: set[Loc] = set()
    for placed in world.placed:
        for j, line in enumerate(placed.access):
            loc = _access_loc(world, placed.loc, placed.node.role, j)
            if line.technology in planes or TECHNOLOGIES[line.technology].shared or loc in told:
                continue
            told.add(loc)
            what = f"access by {line.technology}, and the network has no plane '{line.technology}'"
            yield RawProblem("W306", loc, what, f"{', '.join(planes)}, or pon", "", (loc, _PLANES))


def _access_loc(world: World, entry: Loc, role: str, number: int) -> Loc:
    """Return where the technology of a node's access line is written."""
    spec = world.scenario.nodes[int(entry[1])]
    own = spec.access if isinstance(spec, Node) else spec.generate.access
    if own:
        return (*entry, "access", number, "technology")
    return ("network", "access", role if role in world.scenario.network.access else "default", "technology")


# ------------------------------------------------------------------ rates


def check_rates(world: World) -> Iterator[RawProblem]:
    """E318, W305: parties have access lines, and the network a plane, that can carry the rate asked."""
    chooses = isinstance(_technology_policy(world), CheapestTechnology | Fastest)
    for i, spec in enumerate(world.scenario.workload):
        reserves = spec.net.isolation != "none"
        if spec.net.rate is not None and (reserves or (chooses and spec.net.technology is None)):
            yield from _rate(world, spec, spec.net.rate, _reservable() if reserves else 1.0, ("workload", i))


def _reservable() -> float:
    from dssn_sim.world import RESERVABLE  # late: the simulator is large, and few streams ask for a rate

    return RESERVABLE


def _rate(world: World, spec: Stream, rate: float, part: float, loc: Loc) -> Iterator[RawProblem]:
    own: Loc = (*loc, "net", "rate")
    shares = groups(world, spec)
    # An order opens one slice to each of its providers, all through the consumer's line.
    fan = max(1.0, spec.parties.a) if spec.parties.kind == "constant" and part < 1 else 1.0
    lines = {p.node.id: p.access for p in world.placed}
    sides = {
        "consumer": ({n.id: n for s in shares for n in s.consumers}, fan),
        "provider": ({a.node: world.node_by_id[a.node] for s in shares for a in s.assets}, 1.0),
    }
    shown = show_quantity(rate, "rate")
    gives = f"can reserve ({100 * part:g} %)" if part < 1 else "has"
    for side, (nodes, times) in sides.items():
        wide = {name: _width(lines[name]) * part / times for name in nodes}
        thin = [name for name, most in wide.items() if rate > most * (1 + 1e-12)]
        if not thin:
            continue
        of_side = parties_of(world, spec, loc, consumers=side == "consumer", assets=side == "provider")
        needs = (*_rate_needs(world, spec, loc, wide), *of_side)
        limit = show_quantity(max(wide.values()) * times, "rate")
        fit = show_quantity(max(wide.values()), "rate")
        if len(thin) == len(wide):
            each = f" for each of {times:g} providers" if times > 1 else ""
            what = f"{shown}{each}, and the most that a {side}'s access line {gives} is {limit}"
            yield RawProblem("E318", own, what, f"at most {fit}, or faster access lines", "", needs)
        else:
            what = f"{shown}: too much for the access lines of {len(thin)} of {len(wide)} {side}s, first '{thin[0]}'"
            yield RawProblem("W305", own, what, "", "", needs)
    yield from _plane_rate(world, spec, rate, part, loc, shares)


def _width(lines: Iterable[Access]) -> float:
    """Return the most that access lines carry both ways, in bit/s."""
    lines = tuple(lines)
    return min(max(a.rate for a in lines), max(a.rate_down or a.rate for a in lines))


def _rate_needs(world: World, spec: Stream, loc: Loc, names: Iterable[str]) -> tuple[Loc, ...]:
    keys = ("rate", "isolation", "technology")
    return (
        *((*loc, "net", key) for key in keys), (*loc, "parties"), _POLICY, ("network", "access"),
        *of_nodes(world, names, ("access", "role")),
    )  # fmt: skip


def _plane_rate(
    world: World, spec: Stream, rate: float, part: float, loc: Loc, shares: list[Share]
) -> Iterator[RawProblem]:
    """E318: where parties never share a site, some plane carries the rate."""
    network = world.scenario.network
    planes = {k: p for k, p in network.planes.items() if spec.net.technology in (None, k)}
    shares = [s for s in shares if s.consumers and s.assets]
    if not planes or not shares or any(_sites(s.consumers) & _asset_sites(world, s) for s in shares):
        return
    most = max(max(p.rate, p.core_rate or 0.0) for p in planes.values()) * network.spare * part
    if rate > most * (1 + 1e-12):
        what = f"{show_quantity(rate, 'rate')}, and no link of {' or '.join(planes)} gives more than "
        needs = (
            *_rate_needs(world, spec, loc, ()), ("network", "planes"), ("network", "spare"),
            *of_nodes(world, [n.id for s in shares for n in s.consumers], ("site", "sites")),
            *of_nodes(world, [a.node for s in shares for a in s.assets], ("site", "sites")),
            *parties_of(world, spec, loc, consumers=True, assets=True),
        )  # fmt: skip
        limit = show_quantity(most, "rate")
        yield RawProblem("E318", (*loc, "net", "rate"), f"{what}{limit}", f"at most {limit}", "", needs)


def _sites(nodes: Iterable[NodePlan]) -> set[str]:
    return {n.site for n in nodes}


def _asset_sites(world: World, share: Share) -> set[str]:
    return {world.node_by_id[a.node].site for a in share.assets}
