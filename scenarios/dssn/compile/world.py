"""The expanded scenario: topology, nodes and assets, with where each was written.

A :class:`World` never raises for a faulty scenario: what cannot be expanded is noted in
``problems`` and left out, so that the semantic checks see all the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import networkx as nx

from dssn.compile.codes import Loc, RawProblem
from dssn.compile.nodes import Placed, expand_assets, expand_nodes
from dssn.compile.services import services
from dssn.compile.sites import build_topology, lay_links
from dssn.schema import Scenario
from dssn_models.network.graph import Topology
from dssn_models.plan import AssetPlan, FaultPlan, NetworkPlan, NodePlan, ServicePlan, SitePlan, StreamPlan

if TYPE_CHECKING:
    from dssn.compile.streams import Share
    from dssn.loading.load import Loaded
    from dssn.schema.workload import Stream

    Source: TypeAlias = Scenario | Loaded

__all__ = ["World"]

FindFile = Callable[[Loc, str], Path]


@dataclass
class World:
    """A scenario with everything that follows from it."""

    scenario: Scenario
    find_file: FindFile
    name: str = "scenario"
    hash: str = ""
    problems: list[RawProblem] = field(default_factory=list)
    shares: dict[int, tuple[Stream, list[Share]]] = field(default_factory=dict)

    @classmethod
    def of(cls, source: Source, base: Path | None = None) -> World:
        """Return the world of a loaded scenario or of a bare model."""
        if isinstance(source, Scenario):
            folder = base or Path.cwd()
            return cls(source, lambda _, name: folder / name)
        return cls(source.scenario, lambda loc, name: source.data_file(loc, name), source.name, source.hash)

    @cached_property
    def topology(self) -> Topology:
        """Sites and spans; empty if they cannot be built."""
        return build_topology(self.scenario.network.topology, self.find_file, self.problems)

    @cached_property
    def site_by_id(self) -> dict[str, SitePlan]:
        """Site id to site."""
        return {s.id: s for s in self.topology.sites}

    @cached_property
    def placed(self) -> tuple[Placed, ...]:
        """All nodes with their access lines and where they were written."""
        return tuple(expand_nodes(self.scenario, self.topology, self.problems))

    @cached_property
    def nodes(self) -> tuple[NodePlan, ...]:
        """All nodes; of two with one name the second gets another, so that checks see both."""
        return tuple(_apart(p.node for p in self.placed))

    @cached_property
    def where(self) -> dict[str, Loc]:
        """Node id to where it was written."""
        return {n.id: p.loc for n, p in zip(self.nodes, self.placed, strict=True)}

    @cached_property
    def node_by_id(self) -> dict[str, NodePlan]:
        """Node id to node."""
        return {n.id: n for n in self.nodes}

    @cached_property
    def offered(self) -> tuple[tuple[AssetPlan, Loc], ...]:
        """All assets with where they were written."""
        return tuple(expand_assets(self.scenario, self.nodes, self.site_by_id, self.problems))

    @cached_property
    def assets(self) -> tuple[AssetPlan, ...]:
        """All assets; of two with one name the second gets another, so that checks see both."""
        return tuple(_apart(a for a, _ in self.offered))

    @cached_property
    def where_asset(self) -> dict[str, Loc]:
        """Asset id to where it was written."""
        return {a.id: loc for a, (_, loc) in zip(self.assets, self.offered, strict=True)}

    @cached_property
    def asset_by_id(self) -> dict[str, AssetPlan]:
        """Asset id to asset."""
        return {a.id: a for a in self.assets}

    def ids_of_role(self, role: str) -> tuple[str, ...]:
        """Return the ids of the nodes of a role."""
        return tuple(n.id for n in self.nodes if n.role == role)

    @cached_property
    def part_of_site(self) -> dict[str, int]:
        """Site id to the number of its connected part."""
        part: dict[str, int] = {}
        for number, sites in enumerate(nx.connected_components(nx.Graph(self.topology.graph()))):
            part.update(dict.fromkeys(sites, number))
        return part

    @cached_property
    def network(self) -> NetworkPlan:
        """Links of all planes and all access lines."""
        return lay_links(self.scenario.network, self.topology, self.placed, self.problems)

    @cached_property
    def stations(self) -> tuple[ServicePlan, ...]:
        """Control-plane stations."""
        return tuple(services(self.scenario, self.site_by_id))

    @cached_property
    def streams(self) -> tuple[StreamPlan, ...]:
        """Order streams; a trace is read here."""
        return tuple(plan for plans in self._plans for plan in plans)

    @cached_property
    def _plans(self) -> tuple[tuple[StreamPlan, ...], ...]:
        from dssn.compile.streams import compile_stream

        found = enumerate(self.scenario.workload)
        return tuple(tuple(compile_stream(self, spec, ("workload", i))) for i, spec in found)

    def plans_of(self, number: int) -> tuple[StreamPlan, ...]:
        """Return the plans of one entry of ``workload``: one, or one per group and per class of its trace."""
        return self._plans[number]

    @cached_property
    def faults(self) -> tuple[FaultPlan, ...]:
        """All faults in order of time."""
        from dssn.compile.faults import expand_faults

        return expand_faults(self, self.network, self.stations)


Named = TypeVar("Named", NodePlan, AssetPlan)


def _apart(things: Iterable[Named]) -> Iterator[Named]:
    """Yield the things with names of their own; the check of names tells which were given twice."""
    seen: set[str] = set()
    for number, thing in enumerate(things):
        if thing.id in seen:
            thing = replace(thing, id=f"{thing.id} ({number})")
        seen.add(thing.id)
        yield thing
