"""Nodes and assets: explicit ones, and those that ``generate`` entries make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from dssn.compile.codes import Loc, RawProblem
from dssn.compile.judge import ANY
from dssn.compile.needs import SITES, nodes_chosen, sites_chosen
from dssn.compile.select import apportion, choose_nodes, choose_sites, spread
from dssn.schema import Scenario
from dssn.schema.network import Access
from dssn.schema.nodes import (
    AcceleratorSpec,
    Asset,
    AssetGroup,
    GeneratedAssets,
    GeneratedNodes,
    Node,
    NodeGroup,
    TeeSpec,
)
from dssn_models.compute.catalogue import FORMS, TEES, accelerator, parse_size
from dssn_models.engines.registry import REGISTRY
from dssn_models.network.graph import Topology
from dssn_models.plan import AcceleratorPlan, AssetPlan, NodePlan, PartyPlan, SitePlan, TeePlan
from dssn_models.rng import stream

__all__ = ["MAX_ASSETS", "MAX_NODES", "Placed", "expand_assets", "expand_nodes", "expand_parties"]

MAX_NODES: Final = 50_000
MAX_ASSETS: Final = 200_000
_DEFAULT_FORM: Final = {"pool": "cloud", "tee_pool": "tee_box"}
_PARTY_KIND: Final = {"dsn": "provider", "drn": "consumer", "exchange": "exchange", "regulator": "regulator"}


@dataclass(frozen=True, slots=True)
class Placed:
    """A node, how it is attached, and where it was written."""

    node: NodePlan
    access: tuple[Access, ...]
    loc: Loc


# ------------------------------------------------------------------ nodes


def expand_nodes(scenario: Scenario, topology: Topology, problems: list[RawProblem]) -> Iterator[Placed]:
    """Yield every node; what cannot be made is noted in ``problems``."""
    made = 0
    for i, entry in enumerate(scenario.nodes):
        loc: Loc = ("nodes", i)
        if isinstance(entry, Node):
            made += 1
            yield _place(scenario, entry, entry.id, entry.site, entry.size, loc)
            continue
        group = entry.generate
        counts = _counts(group, topology.sites, (*loc, "generate"), problems)
        total = sum(n for _, n in counts)
        made += total
        if made > MAX_NODES:
            where: Loc = (*loc, "generate")
            counts_of = tuple(("nodes", ANY, "generate", key) for key in ("count", "per_site", "sites"))
            problems.append(
                RawProblem("E310", where, f"{made} nodes", f"at most {MAX_NODES}", "", (*counts_of, *SITES))
            )
            return
        yield from _generate(scenario, entry, counts, loc)


def _counts(
    group: NodeGroup, sites: Sequence[SitePlan], loc: Loc, problems: list[RawProblem]
) -> list[tuple[SitePlan, int]]:
    """Return how many nodes each site gets."""
    chosen = choose_sites(sites, group.sites)
    if not chosen:
        if set(group.sites.ids or ()) <= {s.id for s in sites}:  # else the cause is told by another check
            where: Loc = (*loc, "sites")
            needs = sites_chosen(where, group.sites)
            problems.append(
                RawProblem("E302", where, "no site is chosen", "sites of the topology", "", needs)
            )
        return []
    if group.per_site is not None:
        return [(s, group.per_site) for s in chosen]
    weights = [{"population": s.population, "gdp": s.gdp}.get(group.weight, 1.0) for s in chosen]
    return list(zip(chosen, apportion(group.count or 0, weights), strict=True))


def _generate(
    scenario: Scenario, entry: GeneratedNodes, counts: Sequence[tuple[SitePlan, int]], loc: Loc
) -> Iterator[Placed]:
    group = entry.generate
    total = sum(n for _, n in counts)
    sizes = [group.size] * total if isinstance(group.size, str) else spread(total, group.size)
    number = 0
    for site, n in counts:
        for _ in range(n):
            name = f"{group.prefix}{number + 1}"
            yield _place(scenario, group, name, site.id, sizes[number], (*loc, "generate"))
            number += 1


def _place(scenario: Scenario, spec: Node | NodeGroup, name: str, site: str, size: str, loc: Loc) -> Placed:
    form_name = spec.form or ("tee_box" if spec.tee else _DEFAULT_FORM.get(spec.role, "rack"))
    form, measure = FORMS[form_name], parse_size(size)
    price = spec.price if spec.price is not None else measure.price_cny_per_hour * form.price_factor
    node = NodePlan(
        id=name,
        role=spec.role,
        site=site,
        party=spec.party or (name if spec.role in _PARTY_KIND else "dssn"),
        form=form_name,
        size=size,
        cores=measure.cores,
        core_speed=spec.core_speed,
        memory_bytes=measure.memory_bytes,
        disk_bytes=spec.disk,
        sharing=spec.sharing or ("ps" if form.sharing == "ps" else "reserved"),
        accelerators=tuple(_card(a) for a in spec.accelerators),
        tee=tee_plan(spec.tee),
        engines=spec.engines,
        preloaded=_images(spec.preloaded),
        cache_bytes=spec.cache,
        boot_s=spec.boot if spec.boot is not None else form.boot_s,
        price_cny_per_hour=price,
        operator=spec.operator,
        labels=dict(spec.labels),
    )
    access = spec.access or (_default_access(scenario, spec.role),)
    return Placed(node, access, loc)


def _images(engines: Sequence[str]) -> tuple[str, ...]:
    """Return the names of engine images; ``all`` stands for every engine."""
    names = list(REGISTRY) if "all" in engines else [e for e in engines if e in REGISTRY]
    return tuple(REGISTRY[name].image.name for name in names)


def _card(spec: AcceleratorSpec) -> AcceleratorPlan:
    card = accelerator(spec.kind, spec.count)
    return replace(card, speedup={**card.speedup, **spec.speedup}, exclusive=spec.exclusive)


def _default_access(scenario: Scenario, role: str) -> Access:
    access = scenario.network.access
    return access.get(role) or access.get("default") or Access()


def tee_plan(spec: TeeSpec | None) -> TeePlan | None:
    """Return the simulated TEE of a profile with the scenario's own limits."""
    if spec is None:
        return None
    plan = TEES[spec.profile]
    return replace(
        plan,
        enclave_bytes=plan.enclave_bytes if spec.enclave is None else spec.enclave,
        form=spec.form or plan.form,
    )


# ------------------------------------------------------------------ parties


def expand_parties(scenario: Scenario, nodes: Sequence[NodePlan]) -> tuple[PartyPlan, ...]:
    """Return the parties of the file, then those that only nodes name, of the kind that their role says."""
    parties = {p.id: PartyPlan(p.id, p.kind, p.revenue_share) for p in scenario.parties}
    for node in nodes:
        if node.party not in parties:
            parties[node.party] = PartyPlan(node.party, _PARTY_KIND.get(node.role, "service"))
    return tuple(parties.values())


# ------------------------------------------------------------------ assets


def expand_assets(
    scenario: Scenario, nodes: Sequence[NodePlan], sites: Mapping[str, SitePlan], problems: list[RawProblem]
) -> Iterator[tuple[AssetPlan, Loc]]:
    """Yield every asset with where it was written; what cannot be made is noted in ``problems``."""
    made = 0
    for i, entry in enumerate(scenario.assets):
        loc: Loc = ("assets", i)
        if isinstance(entry, Asset):
            made += 1
            yield (
                _asset(scenario, entry, entry.id, entry.node, entry.level, entry.sector, entry.popularity),
                loc,
            )
            continue
        group = entry.generate
        where: Loc = (*loc, "generate")
        needs = nodes_chosen(scenario, (*where, "nodes"), group.nodes)
        chosen = choose_nodes(nodes, sites, group.nodes)
        if not chosen and set(group.nodes.ids or ()) <= {n.id for n in nodes}:
            problems.append(
                RawProblem("E302", (*where, "nodes"), "no node is chosen", "nodes of the scenario", "", needs)
            )
        made += len(chosen) * group.per_node
        if made > MAX_ASSETS:
            needs = (("assets", ANY, "generate", "per_node"), ("nodes", ANY), *needs)
            problems.append(RawProblem("E310", where, f"{made} assets", f"at most {MAX_ASSETS}", "", needs))
            return
        yield from ((a, where) for a in _asset_group(scenario, entry, chosen))


def _asset_group(
    scenario: Scenario, entry: GeneratedAssets, chosen: Sequence[NodePlan]
) -> Iterator[AssetPlan]:
    group = entry.generate
    total = len(chosen) * group.per_node
    levels = [group.level] * total if isinstance(group.level, int) else spread(total, group.level)
    sectors = spread(total, group.sectors) if group.sectors else [group.sector] * total
    number = 0
    for node in chosen:
        for _ in range(group.per_node):
            rank = (number + 1) ** -group.zipf
            name = f"{group.prefix}{number + 1}"
            yield _asset(scenario, group, name, node.id, levels[number], sectors[number], rank)
            number += 1


def _asset(
    scenario: Scenario,
    spec: Asset | AssetGroup,
    name: str,
    node: str,
    level: int,
    sector: str,
    popularity: float,
) -> AssetPlan:
    # One generator per asset: a further asset never shifts the size of another.
    rows = (
        spec.rows.a
        if spec.rows.kind == "constant"
        else float(spec.rows.sample(stream(scenario.run.seed, 0, "asset", name), 1)[0])
    )
    return AssetPlan(
        id=name,
        node=node,
        level=level,
        rows=float(round(rows)),
        row_bytes=spec.row_size,
        columns=spec.columns,
        forms=spec.forms,
        sector=sector,
        price_cny=spec.price,
        export=spec.export,
        quality=spec.quality,
        popularity=popularity,
    )
