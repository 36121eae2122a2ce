"""Choosing nodes, sites and assets by their properties."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from dssn.schema.base import WORD, WORDS, Id, Level, Model, Positive, Short

__all__ = [
    "AssetChoice",
    "AssetSelector",
    "ConsumerChoice",
    "Ids",
    "NodeChoice",
    "NodeSelector",
    "Place",
    "SiteKind",
    "SiteSelector",
    "Weighting",
]


def _as_list(value: Any) -> Any:
    """Take a single id as short for a list of one."""
    return [value] if isinstance(value, str) else value


SiteKind = Literal["province_capital", "hub", "cluster", "city", "pop", "cross_border"]
#: One id or a list of ids.
Ids = Annotated[tuple[Id, ...], Short(_as_list, (WORD,)), Field(min_length=1, max_length=100_000)]


def _as_levels(value: Any) -> Any:
    """Take a single level as short for a list of one."""
    return [value] if isinstance(value, int) else value


def _as_ids(value: Any) -> Any:
    """Take a list of ids as short for ``{ids: [...]}``."""
    return {"ids": value} if isinstance(value, str | list | tuple) else value


class SiteSelector(Model):
    """Sites that have all the properties given."""

    ids: Ids | None = None
    """These sites."""
    kind: Annotated[tuple[SiteKind, ...], Short(_as_list, (WORD,))] | None = None
    """Sites of these kinds."""
    province: Ids | None = None
    """Sites in these provinces."""
    region: Ids | None = None
    """Sites in these regions."""


class NodeSelector(Model):
    """Nodes that have all the properties given; a plain list of ids will do as well."""

    ids: Ids | None = None
    """These nodes."""
    role: Ids | None = None
    """Nodes of these roles."""
    site: Ids | None = None
    """Nodes at these sites."""
    province: Ids | None = None
    """Nodes in these provinces."""
    region: Ids | None = None
    """Nodes in these regions."""
    party: Ids | None = None
    """Nodes of these parties."""
    operator: Ids | None = None
    """Nodes run by these operators."""
    prefix: Ids | None = None
    """Nodes whose id begins with one of these."""
    label: dict[str, str] = Field(default_factory=dict)
    """Nodes that carry these labels."""


class Weighting(Model):
    """How often each of the chosen is taken."""

    weights: dict[str, Positive] = Field(default_factory=dict)
    """Weight by id; those not named have weight 1."""
    zipf: Annotated[float, Field(strict=True, ge=0, le=5)] = 0.0
    """Exponent of a Zipf law over the order of listing; 0 is uniform."""
    by: Literal["uniform", "population", "gdp", "popularity"] = "uniform"
    """Weight by the population or product of the site, or by the popularity of the asset."""


class NodeChoice(NodeSelector, Weighting):
    """A weighted choice among nodes."""


class AssetChoice(Weighting):
    """A weighted choice among assets that have all the properties given."""

    ids: Ids | None = None
    """These assets."""
    sector: Ids | None = None
    """Assets of these sectors."""
    level: (
        Annotated[tuple[Level, ...], Short(_as_levels, ({"type": "integer"},)), Field(min_length=1)] | None
    ) = None
    """Assets of these sensitivity levels."""
    node: Ids | None = None
    """Assets of these nodes."""
    prefix: Ids | None = None
    """Assets whose id begins with one of these."""
    province: Ids | None = None
    """Assets of nodes in these provinces."""
    region: Ids | None = None
    """Assets of nodes in these regions."""


#: ``[a, b]`` or ``{role: drn}``, with weights.
ConsumerChoice = Annotated[NodeChoice, Short(_as_ids, (WORD, WORDS))]
#: ``[a, b]`` or ``{sector: health}``, with weights.
AssetSelector = Annotated[AssetChoice, Short(_as_ids, (WORD, WORDS))]
#: ``[a, b]`` or ``{role: pool}``.
Place = Annotated[NodeSelector, Short(_as_ids, (WORD, WORDS))]
