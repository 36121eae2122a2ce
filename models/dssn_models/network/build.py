"""From a topology to links: planes on the edges, access links to the nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from dssn_models.network.graph import Edge, Topology, TopologyError
from dssn_models.network.technologies import (
    ACCESS_PRICE_SHARE,
    LENGTH_PRICE_SHARE,
    LINE_PRICE_LENGTH_M,
    Technology,
    technology,
)
from dssn_models.plan import LinkPlan, NetworkPlan, RoutingPlan, SitePlan

__all__ = ["Attachment", "PlaneSpec", "build_network", "link_delay_s"]


@dataclass(frozen=True, slots=True)
class PlaneSpec:
    """One technology over every edge: ``rate_bps``, and another rate on ``core`` edges if given."""

    technology: str
    rate_bps: float
    core_rate_bps: float | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A node's access link to a site; several of one node are alternatives.

    Attributes
    ----------
    rate_up_bps, rate_down_bps : float
        Node to site, site to node.
    length_m : float
        Fibre length.
    half_duplex : bool
        Both directions share ``rate_up_bps`` (one resource). A PON is not: it has a wavelength each way.
    split : int
        Of a PON: so many nodes of a site share one tree, filled in order of attachment. Usual are 32 to 128
        (ITU-T G.987, G.9807.1). 0: the node's rate is assured to it, and no tree is modelled.
    """

    node: str
    site: str
    technology: str
    rate_up_bps: float
    rate_down_bps: float
    length_m: float = 5e3
    half_duplex: bool = False
    split: int = 0


def link_delay_s(tech: Technology, length_m: float, detour_factor: float, *, routed: bool) -> float:
    """Return the one-way delay (s) of one link: propagation plus one hop.

    ``length_m`` is the map distance, times the technology's own detour or the network's;
    a ``routed`` length is fibre already, and a technology with its own detour takes it
    relative to the network's.
    """
    own = tech.detour_factor if tech.detour_factor is not None else detour_factor
    factor = own / detour_factor if routed else own
    return length_m * factor / 1e3 * tech.per_km_s + tech.per_hop_s


def _plane_link(
    index: int,
    link_id: str,
    srlg: str,
    edge: Edge,
    spec: PlaneSpec,
    tech: Technology,
    detour_factor: float,
) -> LinkPlan:
    rate = spec.core_rate_bps if edge.tier == "core" and spec.core_rate_bps is not None else spec.rate_bps
    fibre_m = edge.length_m if edge.routed else edge.length_m * detour_factor
    by_length = LENGTH_PRICE_SHARE * fibre_m / LINE_PRICE_LENGTH_M
    return LinkPlan(
        index=index, id=link_id, a=edge.a, b=edge.b, technology=tech.name, rate_ab_bps=rate, rate_ba_bps=rate,
        delay_s=link_delay_s(tech, edge.length_m, detour_factor, routed=edge.routed), length_m=fibre_m,
        jitter_s=tech.jitter_s, loss=tech.loss, overhead=tech.overhead, availability=tech.availability,
        price_cny_per_mbps_month=by_length * tech.price_cny_per_mbps_month,
        isolation=tech.isolation, setup_s=tech.setup_s, srlg=srlg,
    )  # fmt: skip


def _tree_link(index: int, link_id: str, site: str, tech: Technology) -> LinkPlan:
    """Return the shared part of a PON; delay, loss and price are those of its drops."""
    return LinkPlan(
        index=index, id=link_id, a=link_id, b=site, technology=tech.name, rate_ab_bps=tech.tree_bps,
        rate_ba_bps=tech.tree_bps, delay_s=0.0, overhead=tech.overhead, isolation=tech.isolation, access=True,
    )  # fmt: skip


def _access_link(index: int, link_id: str, at: Attachment, tech: Technology, tree: int) -> LinkPlan:
    # The detour of an Internet path is not in its first five kilometres, so access has none.
    return LinkPlan(
        index=index, id=link_id, a=at.node, b=at.site, technology=tech.name,
        rate_ab_bps=at.rate_up_bps, rate_ba_bps=at.rate_down_bps,
        delay_s=at.length_m / 1e3 * tech.per_km_s + tech.per_hop_s, length_m=at.length_m,
        jitter_s=tech.jitter_s, loss=tech.loss, overhead=tech.overhead, availability=tech.availability,
        price_cny_per_mbps_month=tech.price_cny_per_mbps_month * ACCESS_PRICE_SHARE,
        isolation=tech.isolation, setup_s=tech.setup_s, shared=at.half_duplex, access=True,
        tree=tree,
    )  # fmt: skip


def build_network(
    topology: Topology,
    planes: Mapping[str, PlaneSpec],
    attachments: Iterable[Attachment],
    *,
    routing: RoutingPlan | None = None,
    transport: Literal["fluid", "tcp"] = "fluid",
    detour_factor: float = 1.3,
) -> NetworkPlan:
    """Return the network: for each plane a link on every edge, then the access links.

    Links of one edge in several planes share the edge's risk group. Ids are
    ``<plane>:<a>--<b>``, ``access:<node>`` and ``tree:<site>``, with ``#2`` ... where they repeat.

    Parameters
    ----------
    topology : Topology
    planes : mapping of str to PlaneSpec
        Plane name to its technology and rates; the name is usually that of the technology.
    attachments : iterable of Attachment
    detour_factor : float
        Fibre over great circle, at least 1.

    Raises
    ------
    TopologyError
        If an attachment names no site, a node id is a site id, or a rate or factor is out of range.
    KeyError
        If a technology does not exist.
    """
    if not detour_factor >= 1:
        raise TopologyError(f"detour factor {detour_factor}; allowed: at least 1")
    links: list[LinkPlan] = []
    taken: dict[str, int] = {}

    def unique(base: str) -> str:
        taken[base] = count = taken.get(base, 0) + 1
        return base if count == 1 else f"{base}#{count}"

    ducts = [e.srlg or f"edge:{unique(f'{e.a}--{e.b}')}" for e in topology.edges]
    for plane, spec in planes.items():
        tech = technology(spec.technology)
        rates = (spec.rate_bps, spec.rate_bps if spec.core_rate_bps is None else spec.core_rate_bps)
        if not min(rates) > 0:
            raise TopologyError(f"plane {plane!r} has rate {min(rates)} bit/s; allowed: over 0")
        for edge, duct in zip(topology.edges, ducts, strict=True):
            link_id = unique(f"{plane}:{edge.a}--{edge.b}")
            links.append(_plane_link(len(links), link_id, duct, edge, spec, tech, detour_factor))
    sites: Mapping[str, SitePlan] = topology.site_by_id
    trees: dict[tuple[str, str, int], tuple[int, int]] = {}  # site, technology, split -> (link, places left)
    for at in attachments:
        if at.site not in sites:
            raise TopologyError(f"node {at.node!r} is attached to {at.site!r}, which is not a site")
        if at.node in sites:
            raise TopologyError(f"node id {at.node!r} is the id of a site as well")
        if not (at.rate_up_bps > 0 and at.rate_down_bps > 0 and at.length_m >= 0):
            raise TopologyError(
                f"the access link of {at.node!r} needs rates over 0 and a length of 0 or more"
            )
        tech = technology(at.technology)
        tree = -1
        if at.split:
            if not tech.tree_bps:
                raise TopologyError(f"the access link of {at.node!r} is split, but {tech.name} has no trees")
            key = (at.site, tech.name, at.split)
            tree, left = trees.get(key, (-1, 0))
            if not left:
                tree, left = len(links), at.split
                links.append(_tree_link(tree, unique(f"tree:{at.site}"), at.site, tech))
            trees[key] = (tree, left - 1)
        links.append(_access_link(len(links), unique(f"access:{at.node}"), at, tech, tree))
    return NetworkPlan(
        sites=topology.sites, links=tuple(links), routing=routing or RoutingPlan(),
        transport=transport, detour_factor=detour_factor,
    )  # fmt: skip
