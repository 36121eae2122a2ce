"""Checks across the parts of a scenario: one small function a question, each yields raw problems.

Every function takes a :class:`World`; ``find_all`` runs them on one world and adds what expanding it brought
to light, ``check_all`` keeps the problems that hold whatever becomes of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from dssn.compile.carriers import check_access, check_isolation, check_planes, check_rates
from dssn.compile.choices import check_streams, named_nodes, named_sites, parties_of
from dssn.compile.codes import Loc, RawProblem
from dssn.compile.demand import check_helpers, check_orders, check_room, check_trace_columns
from dssn.compile.forms import check_forms
from dssn.compile.judge import ANY, NAME, Taint, judge
from dssn.compile.needs import SITES, among_chosen, node_names, of_nodes, places, unknown
from dssn.compile.services import NEEDED
from dssn.compile.streams import MAX_HORIZON, groups
from dssn.compile.world import World
from dssn.schema.nodes import Asset, AssetGroup, GeneratedAssets, GeneratedNodes, Node
from dssn.schema.workload import Bursts
from dssn_models.plan import AssetPlan, PolicyPlan
from dssn_models.policies.registry import PolicyError, resolve

if TYPE_CHECKING:
    from dssn.compile.world import Source

__all__ = ["CHECKS", "check_all", "find_all"]

Check = Callable[["World"], Iterator[RawProblem]]


# ------------------------------------------------------------------ run


def check_run(world: World) -> Iterator[RawProblem]:
    """E306: the horizon leaves something to measure."""
    run = world.scenario.run
    horizon: Loc = ("run", "horizon")

    def problem(code: str, key: str, found: str, allowed: str) -> RawProblem:
        return RawProblem(code, ("run", key), found, allowed, "", (("run", key), horizon))

    if run.horizon <= 0:
        yield problem("E306", "horizon", "a horizon of zero", "a duration above zero")
    elif run.warmup >= run.horizon:
        found = f"a warm-up of {run.warmup:g} s in a horizon of {run.horizon:g} s"
        yield problem("E306", "warmup", found, "a warm-up shorter than the horizon")
    if run.horizon > MAX_HORIZON:
        yield problem("E310", "horizon", "a horizon of over 20 years", "at most 20 years")
    most = {"sample": (1e6, "over 10^6 samples"), "telemetry": (1e7, "over 10^7 telemetry periods")}
    for key, (count, what) in most.items():
        period = getattr(run, key)
        if period < 1e-3:
            yield RawProblem("E306", ("run", key), f"a period of {period:g} s", "1 ms or more")
        elif run.horizon / period > count:
            yield problem("E310", key, what, "a longer period")


# ------------------------------------------------------------------ network


def check_sites(world: World) -> Iterator[RawProblem]:
    """E301, E303: sites exist and have names of their own."""
    sites = world.site_by_id
    for i, entry in enumerate(world.scenario.nodes):
        if isinstance(entry, Node):
            if entry.site not in sites:
                yield unknown(("nodes", i, "site"), entry.site, "site", sites, SITES)
            if entry.id in sites:
                own: Loc = ("nodes", i, "id")
                yield RawProblem("E303", own, f"'{entry.id}' is a site", "another name", "", (own, *SITES))
        else:
            yield from named_sites(world, ("nodes", i, "generate", "sites"), entry.generate.sites)
    for i, service in enumerate(world.scenario.services):
        if service.site is not None and service.site not in sites:
            yield unknown(("services", i, "site"), service.site, "site", sites, SITES)
        regions = sorted({s.region for s in world.topology.sites if s.region})
        for j, replica in enumerate(service.replicas):
            loc: Loc = ("services", i, "replicas", j)
            if replica.site not in sites:
                yield unknown((*loc, "site"), replica.site, "site", sites, SITES)
            for name in replica.serves or ():
                if name not in regions:
                    yield unknown((*loc, "serves"), name, "region", regions, places("region"))


_ROLES: Final = (
    "default", "dsn", "drn", "relay", "pool", "tee_pool", "exchange", "regulator", "platform",
)  # fmt: skip


def check_roles_of_access(world: World) -> Iterator[RawProblem]:
    """E301: access lines are for roles."""
    for role in world.scenario.network.access:
        if role not in _ROLES:
            where: Loc = ("network", "access", role)
            yield unknown(where, role, "role", _ROLES)._replace(needs=((*where, NAME),))


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
        loc: Loc = ("workload", i)
        for share in groups(world, spec):
            chosen = {n.id: n for n in share.consumers}
            chosen |= {a.node: world.node_by_id[a.node] for a in share.assets}
            by_part = {part[n.site]: n.id for n in chosen.values() if n.site in part}
            if len(by_part) > 1:
                what = "consumers and providers lie in parts that no link joins"
                needs = (
                    ("network", "topology", "edges"), *SITES, *of_nodes(world, by_part.values(), ("site", "sites")),
                    *parties_of(world, spec, loc, consumers=True, assets=True),
                )  # fmt: skip
                yield RawProblem("E305", loc, what, "parties in one part", "", needs)
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


#: What the names of an entry, single or generated, follow from.
_NAMING: Final = ("id", "prefix", "count", "per_site", "sites", "per_node", "nodes")


def _twice(named: Iterable[tuple[str, Loc]], what: str) -> Iterator[RawProblem]:
    first: dict[str, Loc] = {}
    told: set[Loc] = set()
    for name, loc in named:
        if name in first and loc not in told:
            told.add(loc)
            own: Loc = (*loc, "prefix" if loc[-1] == "generate" else "id")
            needs = tuple((*place, key) for place in (first[name], loc) for key in _NAMING)
            yield RawProblem(
                "E303", own, f"a second {what} '{name}'", "a name of its own for each", "", needs
            )
        first.setdefault(name, loc)


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
    for i, entry in enumerate(world.scenario.assets):
        if isinstance(entry, Asset):
            loc: Loc = ("assets", i, "node")
            node = world.node_by_id.get(entry.node)
            names = node_names(world.scenario, [entry.node])
            if node is None:
                yield unknown(loc, entry.node, "node", world.ids_of_role("dsn"), names)
            elif node.role != "dsn":
                needs = (loc, *names, *of_nodes(world, [node.id], ["role"]))
                yield RawProblem(
                    "E307", loc, f"'{node.id}' is a {node.role}", "a node of role dsn", "", needs
                )
        else:
            yield from named_nodes(world, ("assets", i, "generate", "nodes"), entry.generate.nodes, "dsn")
            yield from _only_dsn(world, ("assets", i, "generate", "nodes"), entry.generate)


def check_disks(world: World) -> Iterator[RawProblem]:
    """W309: an asset fits on the disk of its node; of a generated group the largest that does not is told."""
    large: dict[Loc, AssetPlan] = {}
    for asset, loc in world.offered:
        node = world.node_by_id.get(asset.node)
        if node is not None and asset.rows * asset.row_bytes > node.disk_bytes:
            known = large.setdefault(loc, asset)
            if asset.rows * asset.row_bytes > known.rows * known.row_bytes:
                large[loc] = asset
    for loc, asset in large.items():
        disk = world.node_by_id[asset.node].disk_bytes
        what = f"'{asset.id}' has {asset.rows * asset.row_bytes / 1e9:.4g} GB, the disk of '{asset.node}' {disk / 1e9:.4g} GB"
        needs = (
            *((*loc, key) for key in ("rows", "row_size", "node", "nodes")), ("run", "seed"),
            *of_nodes(world, [asset.node], ("disk", "id", "prefix")),
        )  # fmt: skip
        yield RawProblem("W309", (*loc, "rows"), what, "", "", needs)


def _only_dsn(world: World, loc: Loc, group: AssetGroup) -> Iterator[RawProblem]:
    made = {a.node for a, where in world.offered if where == loc[:-1]}
    wrong = sorted(n for n in made if world.node_by_id[n].role != "dsn")
    if wrong:
        what = f"{len(wrong)} chosen nodes of {group.prefix} are no DSN, first '{wrong[0]}'"
        needs = (*among_chosen(world, loc, group.nodes, wrong), *of_nodes(world, wrong, ["role"]))
        yield RawProblem("E307", loc, what, "nodes of role dsn", "", needs)


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
            needs: tuple[Loc, ...] = (
                ("services", ANY, "id"), ("services", ANY, "kind"), ("services", ANY, "operations", ANY, NAME),
            )  # fmt: skip
            needs += (("workload", ANY, "exchange"),) if kind == "exchange" else ()
            yield RawProblem("E312", ("services",), what, f"{kind} with {', '.join(operations)}", "", needs)


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


#: What decides on the classes of a trace's orders.
_TRACED: Final = tuple(
    ("workload", ANY, "arrivals", key)
    for key in ("kind", "file", "time", "skip", "start", "end", "time_scale", "limit", "classes", "where")
)


def check_objectives(world: World) -> Iterator[RawProblem]:
    """E301, W302: objectives speak of something that happens."""
    classes = [c.id for c in world.scenario.classes]
    streams = world.scenario.workload
    used = _classes_used(world)

    def unused(loc: Loc, what: str, *keys: str) -> RawProblem:
        return RawProblem("W302", loc, what, "", "", (loc, *(("workload", ANY, key) for key in keys)))

    for i, o in enumerate(world.scenario.objectives):
        loc: Loc = ("objectives", i)
        kpi: Loc = (*loc, "kpi")
        if o.cls is not None and o.cls not in classes:
            yield unknown((*loc, "class"), o.cls, "class", classes, (("classes", ANY, "id"),))
        elif o.cls is not None and o.cls not in used:
            raw = unused((*loc, "class"), f"no stream has class '{o.cls}'", "class")
            yield raw._replace(needs=(*raw.needs, *_TRACED))
        if o.kpi == "trade_to_settle" and not any(s.exchange for s in streams):
            yield unused(kpi, "no stream trades through an exchange", "exchange")
        asks = any(s.net.rate is not None for s in streams) or world.scenario.policies.technology is not None
        if o.kpi == "order_to_open" and not asks:
            raw = unused(kpi, "no stream orders a rate from the network", "net")
            yield raw._replace(needs=(*raw.needs, ("policies", "technology")))


def _classes_used(world: World) -> set[str]:
    """Return the classes of all orders; of a trace those of its rows, if it can be read."""
    used = {plan.cls for plan in world.streams}
    for spec in world.scenario.workload:
        column = getattr(spec.arrivals, "classes", None)
        if column is None:
            used.add(spec.cls)
        elif not any(f"{plan.id}.".startswith(f"{spec.id}.") for plan in world.streams):
            used |= {spec.cls, *column.map.values()}
    return used


def check_faults(world: World) -> Iterator[RawProblem]:
    """W301: faults begin before the end (targets are checked when they are expanded)."""
    horizon = world.scenario.run.horizon
    for i, fault in enumerate(world.scenario.faults):
        late = [t for t in fault.at if t > horizon]
        if late:
            loc: Loc = ("faults", i, "at")
            what = f"a fault at {late[0]:g} s, the horizon is {horizon:g} s"
            yield RawProblem("W301", loc, what, "", "", (loc, ("run", "horizon")))


def check_bursts(world: World) -> Iterator[RawProblem]:
    """W301: windows of bursts begin before the last order may come."""
    horizon = world.scenario.run.horizon
    for i, spec in enumerate(world.scenario.workload):
        if not isinstance(spec.arrivals, Bursts):
            continue
        arrivals: Loc = ("workload", i, "arrivals")
        ends = spec.arrivals.end is not None and spec.arrivals.end < horizon
        end, name = (spec.arrivals.end, "end of the stream") if ends else (horizon, "horizon")
        for j, burst in enumerate(spec.arrivals.windows):
            if burst.at >= (end or 0.0):
                loc: Loc = (*arrivals, "windows", j, "at")
                what = f"a window at {burst.at:g} s, the {name} is {end:g} s"
                yield RawProblem("W301", loc, what, "", "", (loc, (*arrivals, "end"), ("run", "horizon")))


#: In the order of the file's sections.
CHECKS: Final[tuple[Check, ...]] = (
    check_run, check_sites, check_planes, check_roles_of_access, check_access, check_topology, check_names,
    check_mixes, check_assets, check_disks, check_streams, check_isolation, check_rates, check_paths, check_orders,
    check_trace_columns, check_helpers, check_room, check_services, check_policies, check_objectives, check_faults,
    check_bursts,    check_forms,
)  # fmt: skip


def find_all(world: World) -> list[RawProblem]:
    """Return everything that some check finds wrong with a world, consequences of other faults included."""
    found = [p for check in CHECKS for p in check(world)]
    _ = world.streams, world.faults  # expanding them notes problems
    return [*world.problems, *found]


def check_all(source: Source | World) -> list[RawProblem]:
    """Return every problem of a scenario that its schema cannot see, each once."""
    world = source if isinstance(source, World) else World.of(source)
    return judge(find_all(world), Taint())
