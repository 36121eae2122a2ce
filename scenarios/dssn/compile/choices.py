"""Checks of what selectors name and what streams choose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dssn.compile.codes import Loc, RawProblem
from dssn.compile.judge import ANY, NAME
from dssn.compile.needs import (
    SITES,
    among_chosen,
    asset_names,
    assets_chosen,
    item_of,
    node_names,
    nodes_chosen,
    of_entry,
    of_nodes,
    places,
    unknown,
    unknown_item,
)
from dssn.compile.select import choose_assets, choose_nodes
from dssn.compile.streams import groups
from dssn.compile.world import World
from dssn.schema.selectors import AssetChoice, NodeSelector, SiteSelector
from dssn.schema.workload import Diurnal, Stream
from dssn_models.plan import NodePlan

__all__ = ["check_streams", "named_nodes", "named_sites", "parties_of"]


# ------------------------------------------------------------------ selectors


def named_sites(world: World, loc: Loc, chosen: SiteSelector) -> Iterator[RawProblem]:
    """E301: the sites, provinces and regions that a selector names exist."""
    for j, name in enumerate(chosen.ids or ()):
        if name not in world.site_by_id:
            yield unknown_item(loc, j, name, "site", world.site_by_id, SITES)
    yield from _named_places(world, loc, chosen)


def _named_places(
    world: World, loc: Loc, chosen: SiteSelector | NodeSelector | AssetChoice
) -> Iterator[RawProblem]:
    for key in ("province", "region"):
        known = sorted({getattr(s, key) for s in world.topology.sites} - {""})
        for j, name in enumerate(getattr(chosen, key) or ()):
            if name not in known:
                yield unknown((*loc, key, j), name, key, known, places(key))


def named_nodes(
    world: World, loc: Loc, chosen: NodeSelector, only: str | None = None
) -> Iterator[RawProblem]:
    """E301: the nodes, roles, sites, provinces and regions that a selector names exist.

    Where nodes of the role ``only`` may stand alone, no others are offered.
    """
    offered = world.node_by_id if only is None else world.ids_of_role(only)
    for j, name in enumerate(chosen.ids or ()):
        if name not in world.node_by_id:
            made = node_names(world.scenario, [name])
            yield unknown_item(loc, j, name, _node(only), offered, made)
    roles = {n.role for n in world.nodes}
    for j, name in enumerate(chosen.role or ()):
        if name not in roles:
            made = (*of_entry("nodes", "role"), ("nodes", ANY, "generate", "sites"))
            may = sorted(roles if only is None else roles & {only})
            yield unknown((*loc, "role", j), name, "node of role", may, made)
    for j, name in enumerate(chosen.site or ()):
        if name not in world.site_by_id:
            yield unknown((*loc, "site", j), name, "site", world.site_by_id, SITES)
    yield from _named_places(world, loc, chosen)


def _node(role: str | None) -> str:
    return "node" if role is None else f"node of role {role}"


# ------------------------------------------------------------------ streams


def check_streams(world: World) -> Iterator[RawProblem]:
    """E301, E302, E307: what a stream names exists and has the right role."""
    classes = [c.id for c in world.scenario.classes]
    known_by = (("classes", ANY, "id"),)
    for i, spec in enumerate(world.scenario.workload):
        loc: Loc = ("workload", i)
        if spec.cls not in classes:
            yield unknown((*loc, "class"), spec.cls, "class", classes, known_by)
        if isinstance(spec.arrivals, Diurnal) and isinstance(spec.arrivals.profile, str):
            name, profiles = spec.arrivals.profile, world.scenario.profiles
            if name not in profiles:
                where: Loc = (*loc, "arrivals", "profile")
                yield unknown(where, name, "day profile", profiles, (("profiles", ANY, NAME),))
        column = getattr(spec.arrivals, "classes", None)
        for value, name in column.map.items() if column is not None else ():
            if name not in classes:
                yield unknown((*loc, "arrivals", "classes", "map", value), name, "class", classes, known_by)
        yield from _named_twice(spec, loc)
        yield from _exchange(world, spec, loc)
        yield from _consumers(world, spec, loc)
        yield from _assets(world, spec, loc)
        yield from _shares(world, spec, loc)


def _named_twice(spec: Stream, loc: Loc) -> Iterator[RawProblem]:
    """W308: a list of consumers or assets names each once."""
    for key in ("consumers", "assets"):
        ids = getattr(spec, key).ids or ()
        seen: set[str] = set()
        for j, name in enumerate(ids):
            if name in seen:
                item = item_of((*loc, key), j)
                yield RawProblem("W308", item[0], f"'{name}' is named twice and counts once", "", "", item)
            seen.add(name)


def _exchange(world: World, spec: Stream, loc: Loc) -> Iterator[RawProblem]:
    if spec.exchange is None:
        return
    where: Loc = (*loc, "exchange")
    node = world.node_by_id.get(spec.exchange)
    names = node_names(world.scenario, [spec.exchange])
    if node is None:
        yield unknown(where, spec.exchange, "node of role exchange", world.ids_of_role("exchange"), names)
    elif node.role != "exchange":
        needs = (where, *names, *of_nodes(world, [node.id], ["role"]))
        what = f"'{node.id}' is a {node.role}"
        yield RawProblem("E307", where, what, "a node of role exchange", "", needs)


def _consumers(world: World, spec: Stream, loc: Loc) -> Iterator[RawProblem]:
    """E301, E302, E307: who orders; looked at apart from the assets, so that an error in one hides none in the other."""
    where: Loc = (*loc, "consumers")
    names = list(named_nodes(world, where, spec.consumers, "drn"))
    yield from names
    consumers = choose_nodes(world.nodes, world.site_by_id, spec.consumers)
    needs = nodes_chosen(world.scenario, where, spec.consumers)
    if not consumers and not names:
        yield RawProblem("E302", where, "no consumer is chosen", "at least one DRN", "", needs)
    wrong = [n for n in consumers if n.role != "drn"]
    if spec.consumers.ids is not None:
        yield from _no_consumers(world, spec.consumers.ids, {n.id: n for n in wrong}, where)
    elif wrong:
        count = "1 consumer is" if len(wrong) == 1 else f"{len(wrong)} consumers are"
        what = f"{count} no DRN, first '{wrong[0].id}' of role {wrong[0].role}"
        names_of = [n.id for n in wrong]
        needs = among_chosen(world, where, spec.consumers, names_of)
        roles = of_nodes(world, names_of, ["role"])
        yield RawProblem("E307", where, what, "nodes of role drn", "", (*needs, *roles))
    for name in spec.consumers.weights:
        if name not in world.node_by_id:
            made = node_names(world.scenario, [name])
            yield unknown((*where, "weights", name), name, "consumer", world.ids_of_role("drn"), made)


def _no_consumers(
    world: World, ids: Sequence[str], wrong: Mapping[str, NodePlan], where: Loc
) -> Iterator[RawProblem]:
    """E307: those of the listed consumers that are no DRN, each at its place."""
    for j, name in enumerate(ids):
        if name in wrong:
            item = item_of(where, j)
            needs = (*item, *of_nodes(world, [name], ("role", "id", "prefix", "sites")))
            what = f"'{name}' is a {wrong[name].role}"
            yield RawProblem("E307", item[0], what, "a node of role drn", "", needs)


def _assets(world: World, spec: Stream, loc: Loc) -> Iterator[RawProblem]:
    """E301, E302: what is ordered."""
    where: Loc = (*loc, "assets")
    sectors = sorted({a.sector for a in world.assets if a.sector})
    dsn = world.ids_of_role("dsn")
    missing = [
        unknown_item(where, j, name, "asset", world.asset_by_id, asset_names(world.scenario, [name]))
        for j, name in enumerate(spec.assets.ids or ())
        if name not in world.asset_by_id
    ]
    made = (*of_entry("assets", "sector"), ("assets", ANY, "generate", "sectors"))
    missing += [
        unknown((*where, "sector", j), name, "sector", sectors, made)
        for j, name in enumerate(spec.assets.sector or ())
        if name not in sectors
    ]
    missing += [
        unknown((*where, "node", j), name, _node("dsn"), dsn, node_names(world.scenario, [name]))
        for j, name in enumerate(spec.assets.node or ())
        if name not in world.node_by_id
    ]
    missing += _named_places(world, where, spec.assets)
    yield from missing
    if not missing and not choose_assets(world.assets, world.node_by_id, world.site_by_id, spec.assets):
        needs = assets_chosen(world.scenario, where, spec.assets)
        yield RawProblem("E302", where, "no asset is chosen", "at least one asset", "", needs)
    for name in spec.assets.weights:
        if name not in world.asset_by_id:
            made = asset_names(world.scenario, [name])
            yield unknown((*where, "weights", name), name, "asset", world.asset_by_id, made)


def parties_of(world: World, spec: Stream, loc: Loc, *, consumers: bool, assets: bool) -> tuple[Loc, ...]:
    """Return what the parties of a stream at ``loc`` depend on: its consumers, its assets, or both."""
    needs: list[Loc] = [(*loc, "per")]
    if spec.per is not None:
        needs += [*of_entry("nodes", "site"), ("nodes", ANY, "generate", "sites")]
        needs += places(spec.per) if spec.per != "sector" else of_entry("assets", "sector")
    if consumers or spec.per is not None:
        needs += nodes_chosen(world.scenario, (*loc, "consumers"), spec.consumers, "drn")
    if assets or spec.per is not None:
        needs += assets_chosen(world.scenario, (*loc, "assets"), spec.assets)
        chosen = choose_assets(world.assets, world.node_by_id, world.site_by_id, spec.assets)
        entries = dict.fromkeys(world.where_asset[a.id] for a in chosen)
        needs += [(*entry, key) for entry in entries for key in ("node", "nodes")]
    return tuple(dict.fromkeys(needs))


def _shares(world: World, spec: Stream, loc: Loc) -> Iterator[RawProblem]:
    """E302, E314: what only consumers and assets together show."""
    shares = groups(world, spec)
    whole = groups(world, spec.model_copy(update={"per": None}))[0] if spec.per is not None else None
    if whole is not None and not shares and whole.consumers and whole.assets:
        what = f"no {spec.per} has both consumers and assets"
        needs = parties_of(world, spec, loc, consumers=True, assets=True)
        allowed = "a scenario whose sites have that property"
        yield RawProblem("E302", (*loc, "per"), what, allowed, "", needs)
    most = min(spec.parties.high, spec.parties.mean if spec.parties.kind != "uniform" else spec.parties.b)
    for share in shares:
        providers = len({a.node for a in share.assets})
        if 0 < providers < most:
            what = f"{most:g} providers an order, and the chosen assets lie on {providers} nodes"
            where: Loc = (*loc, "parties")
            needs = (where, *parties_of(world, spec, loc, consumers=False, assets=True))
            yield RawProblem("E314", where, what, f"at most {providers}", "", needs)
            return
