"""Choosing nodes, sites and assets by selectors; sharing counts by weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from dssn.schema.selectors import AssetChoice, NodeChoice, NodeSelector, SiteSelector
from dssn_models.plan import AssetPlan, NodePlan, SelectorPlan, SitePlan

__all__ = [
    "apportion",
    "choose_assets",
    "choose_nodes",
    "choose_sites",
    "select_assets",
    "select_nodes",
    "spread",
]

K = TypeVar("K")


def choose_sites(sites: Sequence[SitePlan], selector: SiteSelector) -> list[SitePlan]:
    """Return the sites that have all the properties, in the order of the topology."""

    def fits(s: SitePlan) -> bool:
        return (
            (selector.ids is None or s.id in selector.ids)
            and (selector.kind is None or s.kind in selector.kind)
            and (selector.province is None or s.province in selector.province)
            and (selector.region is None or s.region in selector.region)
        )

    return [s for s in sites if fits(s)]


def choose_nodes(
    nodes: Sequence[NodePlan], sites: Mapping[str, SitePlan], selector: NodeSelector
) -> list[NodePlan]:
    """Return the nodes that have all the properties; in the order of ``ids`` if given, else of definition."""
    if selector.ids is not None:
        by_id = {n.id: n for n in nodes}
        nodes = [by_id[i] for i in dict.fromkeys(selector.ids) if i in by_id]

    def fits(n: NodePlan) -> bool:
        site = sites.get(n.site)
        return (
            (selector.role is None or n.role in selector.role)
            and (selector.site is None or n.site in selector.site)
            and (selector.province is None or (site is not None and site.province in selector.province))
            and (selector.region is None or (site is not None and site.region in selector.region))
            and (selector.party is None or n.party in selector.party)
            and (selector.operator is None or n.operator in selector.operator)
            and (selector.prefix is None or n.id.startswith(selector.prefix))
            and all(n.labels.get(k) == v for k, v in selector.label.items())
        )

    return [n for n in nodes if fits(n)]


def choose_assets(
    assets: Sequence[AssetPlan],
    nodes: Mapping[str, NodePlan],
    sites: Mapping[str, SitePlan],
    choice: AssetChoice,
) -> list[AssetPlan]:
    """Return the assets that have all the properties, in the order of ``ids`` if given."""
    if choice.ids is not None:
        by_id = {a.id: a for a in assets}
        assets = [by_id[i] for i in dict.fromkeys(choice.ids) if i in by_id]

    def site_of(a: AssetPlan) -> SitePlan | None:
        node = nodes.get(a.node)
        return sites.get(node.site) if node is not None else None

    def fits(a: AssetPlan) -> bool:
        if choice.sector is not None and a.sector not in choice.sector:
            return False
        if choice.level is not None and a.level not in choice.level:
            return False
        if choice.node is not None and a.node not in choice.node:
            return False
        if choice.prefix is not None and not a.id.startswith(choice.prefix):
            return False
        if choice.province is None and choice.region is None:
            return True
        site = site_of(a)
        return (
            site is not None
            and (choice.province is None or site.province in choice.province)
            and (choice.region is None or site.region in choice.region)
        )

    return [a for a in assets if fits(a)]


def select_nodes(
    chosen: Sequence[NodePlan], sites: Mapping[str, SitePlan], choice: NodeChoice
) -> SelectorPlan:
    """Return the weighted choice: own weights times the site's weight, shared by the nodes at a site."""
    at_site: dict[str, int] = {}
    for n in chosen:
        at_site[n.site] = at_site.get(n.site, 0) + 1
    by_site = {s: _site_weight(sites[s], choice.by) / count for s, count in at_site.items()}
    weights = [choice.weights.get(n.id, 1.0) * by_site[n.site] for n in chosen]
    plain = not choice.weights and choice.by in ("uniform", "popularity")
    return SelectorPlan(tuple(n.id for n in chosen), () if plain else tuple(weights), choice.zipf)


def select_assets(
    chosen: Sequence[AssetPlan],
    nodes: Mapping[str, NodePlan],
    sites: Mapping[str, SitePlan],
    choice: AssetChoice,
) -> SelectorPlan:
    """Return the weighted choice among assets."""
    weights = [choice.weights.get(a.id, 1.0) for a in chosen]
    if choice.by == "popularity":
        weights = [w * a.popularity for w, a in zip(weights, chosen, strict=True)]
    elif choice.by != "uniform":
        at_site: dict[str, int] = {}
        places = [nodes[a.node].site for a in chosen]
        for place in places:
            at_site[place] = at_site.get(place, 0) + 1
        weights = [
            w * _site_weight(sites[p], choice.by) / at_site[p] for w, p in zip(weights, places, strict=True)
        ]
    plain = not choice.weights and choice.by == "uniform"
    return SelectorPlan(tuple(a.id for a in chosen), () if plain else tuple(weights), choice.zipf)


def _site_weight(site: SitePlan, by: str) -> float:
    """Return a site's weight; a site without people or product still counts a little."""
    if by == "population":
        return max(site.population, 1.0)
    if by == "gdp":
        return max(site.gdp, 1.0)
    return 1.0


def apportion(count: int, weights: Sequence[float]) -> list[int]:
    """Return whole shares of ``count`` in proportion to the weights (largest remainders).

    Examples
    --------
    >>> apportion(10, [1.0, 1.0, 1.0])
    [4, 3, 3]
    """
    total = sum(weights)
    if total <= 0:
        weights, total = [1.0] * len(weights), float(len(weights))
    exact = [count * w / total for w in weights]
    shares = [int(x) for x in exact]
    order = sorted(range(len(weights)), key=lambda i: (shares[i] - exact[i], i))
    for i in order[: count - sum(shares)]:
        shares[i] += 1
    return shares


def spread(count: int, mix: Mapping[K, float]) -> list[K]:
    """Return ``count`` picks from a mix of shares, evenly interleaved and without randomness.

    Pick ``i`` is the kind that lags most behind its share of the first ``i + 1`` picks.

    Examples
    --------
    >>> spread(4, {"a": 0.75, "b": 0.25})
    ['a', 'a', 'b', 'a']
    """
    kinds = list(mix)
    total = sum(mix.values()) or 1.0
    given = dict.fromkeys(kinds, 0)
    picks: list[K] = []
    for i in range(count):
        best = max(kinds, key=lambda k: mix[k] / total * (i + 1) - given[k])
        given[best] += 1
        picks.append(best)
    return picks
