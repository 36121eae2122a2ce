"""Checks across the parts of a scenario: one small function a question, each yields raw problems.

Every function takes a :class:`World` (or a scenario, from which it makes one); ``check_all`` runs
them on one world and adds what expanding it brought to light.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from dssn.compile.codes import Loc, RawProblem
from dssn.compile.demand import check_helpers, check_orders, check_room, check_trace_columns
from dssn.compile.select import choose_assets, choose_nodes
from dssn.compile.services import NEEDED
from dssn.compile.streams import groups
from dssn.compile.world import World
from dssn.problems import nearest
from dssn.schema.nodes import Asset, AssetGroup, GeneratedAssets, GeneratedNodes, Node
from dssn.schema.selectors import AssetChoice, NodeSelector, SiteSelector
from dssn.schema.workload import Diurnal, Stream
from dssn_models.plan import PolicyPlan
from dssn_models.policies.registry import PolicyError, resolve

if TYPE_CHECKING:
    from dssn.compile.world import Source

__all__ = ["CHECKS", "check_all"]

Check = Callable[["World"], Iterator[RawProblem]]


def unknown(loc: Loc, name: str, what: str, names: Iterable[str]) -> RawProblem:
    """Return the problem of a name that does not exist."""
    known = list(names)
    shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "") if known else f"no {what} is defined"
    return RawProblem("E301", loc, f"no {what} '{name}'", shown, nearest(name, known))


# ------------------------------------------------------------------ run


def check_run(world: World) -> Iterator[RawProblem]:
    """E306: the horizon leaves something to measure."""
    run = world.scenario.run
    if run.horizon <= 0:
        yield RawProblem("E306", ("run", "horizon"), "a horizon of zero", "a duration above zero")
    elif run.warmup >= run.horizon:
        yield RawProblem(
            "E306", ("run", "warmup"), f"a warm-up of {run.warmup:g} s in a horizon of {run.horizon:g} s",
            "a warm-up shorter than the horizon",
        )  # fmt: skip
    for key in ("telemetry", "sample"):
        if getattr(run, key) < 1e-3:
            yield RawProblem("E306", ("run", key), f"a period of {getattr(run, key):g} s", "1 ms or more")
    if run.horizon > 20 * 365 * 86400.0:
        yield RawProblem("E310", ("run", "horizon"), "a horizon of over 20 years", "at most 20 years")
    elif run.horizon / max(run.sample, 1e-3) > 1e6:
        yield RawProblem("E310", ("run", "sample"), "over 10^6 samples", "a longer period of samples")
    elif run.horizon / max(run.telemetry, 1e-3) > 1e7:
        yield RawProblem("E310", ("run", "telemetry"), "over 10^7 telemetry periods", "a longer period")


# ------------------------------------------------------------------ network


def check_sites(world: World) -> Iterator[RawProblem]:
    """E301, E303: sites exist and have names of their own."""
    sites = world.site_by_id
    if not sites:
        return  # the topology could not be built; that is told already
    for i, entry in enumerate(world.scenario.nodes):
        if isinstance(entry, Node):
            if entry.site not in sites:
                yield unknown(("nodes", i, "site"), entry.site, "site", sites)
            if entry.id in sites:
                yield RawProblem("E303", ("nodes", i, "id"), f"'{entry.id}' is a site", "another name")
        else:
            yield from _site_names(world, ("nodes", i, "generate", "sites"), entry.generate.sites)
    for i, service in enumerate(world.scenario.services):
        if service.site is not None and service.site not in sites:
            yield unknown(("services", i, "site"), service.site, "site", sites)
        regions = {s.region for s in world.topology.sites if s.region}
        for j, replica in enumerate(service.replicas):
            loc: Loc = ("services", i, "replicas", j)
            if replica.site not in sites:
                yield unknown((*loc, "site"), replica.site, "site", sites)
            for name in replica.serves or ():
                if name not in regions:
                    yield unknown((*loc, "serves"), name, "region", sorted(regions))


def _site_names(world: World, loc: Loc, chosen: SiteSelector) -> Iterator[RawProblem]:
    for name in chosen.ids or ():
        if name not in world.site_by_id:
            yield unknown(loc, name, "site", world.site_by_id)
    yield from _places(world, loc, chosen)


def _places(
    world: World, loc: Loc, chosen: SiteSelector | NodeSelector | AssetChoice
) -> Iterator[RawProblem]:
    sites = world.topology.sites
    for key, known in (("province", {s.province for s in sites}), ("region", {s.region for s in sites})):
        for name in getattr(chosen, key) or ():
            if sites and name not in known:
                yield unknown((*loc, key), name, key, sorted(k for k in known if k))


def check_planes(world: World) -> Iterator[RawProblem]:
    """E317: technologies that are asked for have a plane."""
    network = world.scenario.network
    planes = list(network.planes)
    asked: list[tuple[Loc, str | None]] = [
        (("network", "routing", "default_technology"), network.routing.default_technology)
    ]
    asked += [
        (("workload", i, "net", "technology"), s.net.technology)
        for i, s in enumerate(world.scenario.workload)
    ]
    for loc, name in asked:
        if name is not None and name not in planes:
            yield RawProblem(
                "E317", loc, f"the network has no plane '{name}'", ", ".join(planes), nearest(name, planes)
            )
    roles = ("default", "dsn", "drn", "relay", "pool", "tee_pool", "exchange", "regulator", "platform")
    for role in network.access:
        if role not in roles:
            yield RawProblem(
                "E301",
                ("network", "access", role),
                f"no role '{role}'",
                ", ".join(roles),
                nearest(role, roles),
            )


def check_topology(world: World) -> Iterator[RawProblem]:
    """W303: what a reader should know about the topology's source."""
    for text in world.topology.warnings:
        if "stands in" in text or "parts that no link" in text:
            yield RawProblem("W303", ("network", "topology"), text, "")


def check_paths(world: World) -> Iterator[RawProblem]:
    """E305: the parties of a stream lie in one connected part."""
    part = world.part_of_site
    if len(set(part.values())) < 2:
        return
    for i, spec in enumerate(world.scenario.workload):
        for share in groups(world, spec):
            places = [n.site for n in share.consumers]
            places += [world.node_by_id[a.node].site for a in share.assets]
            if len({part[p] for p in places if p in part}) > 1:
                yield RawProblem(
                    "E305", ("workload", i), "consumers and providers lie in parts that no link joins",
                    "parties in one part",
                )  # fmt: skip
                break


# ------------------------------------------------------------------ nodes, assets


def check_names(world: World) -> Iterator[RawProblem]:
    """E303: names are given once."""
    scenario = world.scenario
    yield from _twice(((p.node.id, p.loc) for p in world.placed), "node")
    yield from _twice(((a.id, loc) for a, loc in world.offered), "asset")
    named = {
        "stream": ("workload", [s.id for s in scenario.workload]),
        "class": ("classes", [c.id for c in scenario.classes]),
        "service": ("services", [s.id for s in scenario.services]),
        "party": ("parties", [p.id for p in scenario.parties]),
    }
    for what, (section, ids) in named.items():
        yield from _twice(((name, (section, i)) for i, name in enumerate(ids)), what)


def _twice(named: Iterable[tuple[str, Loc]], what: str) -> Iterator[RawProblem]:
    seen: set[str] = set()
    told: set[Loc] = set()
    for name, loc in named:
        if name in seen and loc not in told:
            told.add(loc)
            yield RawProblem("E303", loc, f"a second {what} '{name}'", "a name of its own for each")
        seen.add(name)


def check_mixes(world: World) -> Iterator[RawProblem]:
    """E315: the shares of a mix sum to 100 %."""
    mixes: list[tuple[Loc, Iterable[float]]] = []
    for i, entry in enumerate(world.scenario.nodes):
        if isinstance(entry, GeneratedNodes) and not isinstance(entry.generate.size, str):
            mixes.append((("nodes", i, "generate", "size"), entry.generate.size.values()))
    for i, offered in enumerate(world.scenario.assets):
        if isinstance(offered, GeneratedAssets):
            loc: Loc = ("assets", i, "generate")
            if not isinstance(offered.generate.level, int):
                mixes.append(((*loc, "level"), offered.generate.level.values()))
            if offered.generate.sectors:
                mixes.append(((*loc, "sectors"), offered.generate.sectors.values()))
    for loc, mix in mixes:
        total = sum(mix)
        if abs(total - 1) > 1e-6:
            yield RawProblem(
                "E315", loc, f"shares that sum to {100 * total:.4g} %", "shares that sum to 100 %"
            )


def check_assets(world: World) -> Iterator[RawProblem]:
    """E301, E307: assets lie on DSN."""
    for i, entry in enumerate(world.scenario.assets if world.site_by_id else ()):
        if isinstance(entry, Asset):
            node = world.node_by_id.get(entry.node)
            if node is None:
                yield unknown(("assets", i, "node"), entry.node, "node", world.ids_of_role("dsn"))
            elif node.role != "dsn":
                yield RawProblem(
                    "E307", ("assets", i, "node"), f"'{node.id}' is a {node.role}", "a node of role dsn"
                )
        else:
            yield from _node_names(world, ("assets", i, "generate", "nodes"), entry.generate.nodes)
            yield from _only_dsn(world, ("assets", i, "generate", "nodes"), entry.generate)


def _only_dsn(world: World, loc: Loc, group: AssetGroup) -> Iterator[RawProblem]:
    made = {a.node for a, where in world.offered if where == loc[:-1]}
    wrong = sorted(n for n in made if world.node_by_id[n].role != "dsn")
    if wrong:
        what = f"{len(wrong)} chosen nodes of {group.prefix} are no DSN, first '{wrong[0]}'"
        yield RawProblem("E307", loc, what, "nodes of role dsn")


def _node_names(world: World, loc: Loc, chosen: NodeSelector) -> Iterator[RawProblem]:
    for name in chosen.ids or ():
        if name not in world.node_by_id:
            yield unknown(loc, name, "node", world.node_by_id)
    roles = {n.role for n in world.nodes}
    for name in chosen.role or ():
        if name not in roles:
            yield unknown((*loc, "role"), name, "node of role", sorted(roles))
    for name in chosen.site or ():
        if world.site_by_id and name not in world.site_by_id:
            yield unknown((*loc, "site"), name, "site", world.site_by_id)
    yield from _places(world, loc, chosen)


# ------------------------------------------------------------------ workload


def check_streams(world: World) -> Iterator[RawProblem]:
    """E301, E302, E307: what a stream names exists and has the right role."""
    classes = [c.id for c in world.scenario.classes]
    for i, spec in enumerate(world.scenario.workload if world.site_by_id else ()):
        loc: Loc = ("workload", i)
        if spec.cls not in classes:
            yield unknown((*loc, "class"), spec.cls, "class", classes)
        if isinstance(spec.arrivals, Diurnal) and isinstance(spec.arrivals.profile, str):
            profiles = world.scenario.profiles
            if spec.arrivals.profile not in profiles:
                yield unknown((*loc, "arrivals", "profile"), spec.arrivals.profile, "day profile", profiles)
        yield from _classes_of_trace(spec, loc, classes)
        yield from _exchange(world, spec, loc)
        yield from _chosen(world, spec, loc)


def _classes_of_trace(spec: Stream, loc: Loc, classes: list[str]) -> Iterator[RawProblem]:
    column = getattr(spec.arrivals, "classes", None)
    for value, name in column.map.items() if column is not None else ():
        if name not in classes:
            yield unknown((*loc, "arrivals", "classes", "map", value), name, "class", classes)


def _exchange(world: World, spec: Stream, loc: Loc) -> Iterator[RawProblem]:
    if spec.exchange is None:
        return
    node = world.node_by_id.get(spec.exchange)
    if node is None:
        yield unknown(
            (*loc, "exchange"), spec.exchange, "node of role exchange", world.ids_of_role("exchange")
        )
    elif node.role != "exchange":
        yield RawProblem(
            "E307", (*loc, "exchange"), f"'{node.id}' is a {node.role}", "a node of role exchange"
        )


def _chosen(world: World, spec: Stream, loc: Loc) -> Iterator[RawProblem]:
    """Who orders and what is ordered."""
    # Consumers and assets are looked at apart, so that an error in one hides none in the other.
    names = list(_node_names(world, (*loc, "consumers"), spec.consumers))
    yield from names
    sectors = sorted({a.sector for a in world.assets if a.sector})
    products = [
        unknown((*loc, "assets"), name, "asset", world.asset_by_id)
        for name in spec.assets.ids or ()
        if name not in world.asset_by_id
    ]
    products += [
        unknown((*loc, "assets", "sector"), name, "sector", sectors)
        for name in spec.assets.sector or ()
        if name not in sectors
    ]
    yield from products
    consumers = choose_nodes(world.nodes, world.site_by_id, spec.consumers)
    assets = choose_assets(world.assets, world.node_by_id, world.site_by_id, spec.assets)
    if not consumers and not names:
        yield RawProblem("E302", (*loc, "consumers"), "no consumer is chosen", "at least one DRN")
    if not assets and not products:
        yield RawProblem("E302", (*loc, "assets"), "no asset is chosen", "at least one asset")
    sound = not names and not products and bool(consumers) and bool(assets)
    if sound and spec.per is not None and not any(s.consumers and s.assets for s in groups(world, spec)):
        what = f"no {spec.per} has both consumers and assets"
        yield RawProblem("E302", (*loc, "per"), what, "a scenario whose sites have that property")
    wrong = [n for n in consumers if n.role != "drn"]
    if wrong:
        count = "1 consumer is" if len(wrong) == 1 else f"{len(wrong)} consumers are"
        what = f"{count} no DRN, first '{wrong[0].id}' of role {wrong[0].role}"
        yield RawProblem("E307", (*loc, "consumers"), what, "nodes of role drn")
    for key, weights, known in (
        ("consumers", spec.consumers.weights, world.node_by_id),
        ("assets", spec.assets.weights, world.asset_by_id),
    ):  # fmt: skip
        for name in weights:
            if name not in known:
                yield unknown((*loc, key, "weights", name), name, key.rstrip("s"), known)
    if sound:
        yield from _enough_providers(world, spec, loc)


def _enough_providers(world: World, spec: Stream, loc: Loc) -> Iterator[RawProblem]:
    most = min(spec.parties.high, spec.parties.mean if spec.parties.kind != "uniform" else spec.parties.b)
    for share in groups(world, spec):
        providers = len({a.node for a in share.assets})
        if share.consumers and 0 < providers < most:
            what = f"{most:g} providers an order, and the chosen assets lie on {providers} nodes"
            yield RawProblem("E314", (*loc, "parties"), what, f"at most {providers}")
            return


# ------------------------------------------------------------------ the rest


def check_services(world: World) -> Iterator[RawProblem]:
    """E312: what the life of a delivery calls is there."""
    there: dict[str, set[str]] = {}
    for service in world.scenario.services:
        there.setdefault(service.kind or service.id, set()).update(service.operations)
    trades = any(s.exchange for s in world.scenario.workload)
    for kind, operations in NEEDED.items():
        if kind == "exchange" and not trades:
            continue
        missing = [o for o in operations if o not in there.get(kind, set())]
        if missing:
            what = f"service '{kind}' lacks {', '.join(missing)}" if kind in there else f"no service '{kind}'"
            yield RawProblem("E312", ("services",), what, f"{kind} with {', '.join(operations)}")


def check_policies(world: World) -> Iterator[RawProblem]:
    """E313: policies exist and take their options."""
    for kind in ("placement", "routing", "admission", "queueing", "technology"):
        use = getattr(world.scenario.policies, kind)
        if use is None:
            continue
        try:
            resolve(PolicyPlan(kind, use.use, use.options))
        except PolicyError as exc:
            yield RawProblem("E313", ("policies", kind), exc.found, exc.allowed, exc.hint)


def check_objectives(world: World) -> Iterator[RawProblem]:
    """E301, W302: objectives speak of something that happens."""
    classes = [c.id for c in world.scenario.classes]
    streams = world.scenario.workload
    used = Counter(p.cls for p in world.streams)
    for i, o in enumerate(world.scenario.objectives):
        loc: Loc = ("objectives", i)
        if o.cls is not None and o.cls not in classes:
            yield unknown((*loc, "class"), o.cls, "class", classes)
        elif o.cls is not None and not used[o.cls]:
            yield RawProblem("W302", (*loc, "class"), f"no stream has class '{o.cls}'", "")
        if o.kpi == "trade_to_settle" and not any(s.exchange for s in streams):
            yield RawProblem("W302", (*loc, "kpi"), "no stream trades through an exchange", "")
        asks = any(s.net.rate is not None for s in streams) or world.scenario.policies.technology is not None
        if o.kpi == "order_to_open" and not asks:
            yield RawProblem("W302", (*loc, "kpi"), "no stream orders a rate from the network", "")


def check_faults(world: World) -> Iterator[RawProblem]:
    """W301: faults begin before the end (targets are checked when they are expanded)."""
    horizon = world.scenario.run.horizon
    for i, fault in enumerate(world.scenario.faults):
        late = [t for t in fault.at if t > horizon]
        if late:
            yield RawProblem(
                "W301", ("faults", i, "at"), f"a fault at {late[0]:g} s, the horizon is {horizon:g} s", ""
            )


def check_forms(world: World) -> Iterator[RawProblem]:
    """W304: some order of a stream can pass the review."""
    rules = world.scenario.compliance.levels
    for i, spec in enumerate(world.scenario.workload):
        if spec.threshold is not None or spec.baseline or not rules:
            continue
        levels = {a.level for s in groups(world, spec) for a in s.assets}
        if levels and all(level in rules and spec.channel not in rules[level].forms for level in levels):
            shown = ", ".join(map(str, sorted(levels)))
            what = f"no chosen asset may be delivered as '{spec.channel}' (levels {shown})"
            yield RawProblem("W304", ("workload", i), what, "")


#: In the order of the file's sections.
CHECKS: Final[tuple[Check, ...]] = (
    check_run, check_sites, check_planes, check_topology, check_names, check_mixes, check_assets,
    check_streams, check_paths, check_orders, check_trace_columns, check_helpers, check_room, check_services, check_policies,
    check_objectives, check_faults, check_forms,
)  # fmt: skip


def check_all(source: Source | World) -> list[RawProblem]:
    """Return every problem of a scenario that its schema cannot see, each once."""
    world = source if isinstance(source, World) else World.of(source)
    found = [p for check in CHECKS for p in check(world)]
    _ = world.streams, world.faults  # expanding them notes problems
    found = list(dict.fromkeys([*world.problems, *found]))
    if any(p.code.startswith("E") for p in found):
        # What is left unmeasured or refused may be only a consequence of an error.
        found = [p for p in found if p.code not in ("W302", "W304")]
    return found
