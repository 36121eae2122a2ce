"""Sections ``nodes``, ``parties`` and ``assets``."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from dssn.schema.base import (
    BY_SHAPE,
    MAPPING,
    VALUE,
    WORD,
    WORDS,
    Flag,
    Id,
    Level,
    Model,
    Positive,
    Short,
    Text,
)
from dssn.schema.errors import FORM, MISSING, choice, error
from dssn.schema.network import Access
from dssn.schema.quantities import Amount, Duration, Money, Share, Size
from dssn.schema.selectors import Place, SiteSelector
from dssn_models.compute.catalogue import ACCELERATORS, parse_size
from dssn_models.engines.registry import REGISTRY

__all__ = [
    "ROLES",
    "AcceleratorSpec",
    "Asset",
    "AssetEntry",
    "AssetGroup",
    "Form",
    "GeneratedAssets",
    "GeneratedNodes",
    "Node",
    "NodeEntry",
    "NodeGroup",
    "Party",
    "Role",
    "TeeSpec",
]

Role = Literal["dsn", "drn", "relay", "pool", "tee_pool", "exchange", "regulator", "platform"]
ROLES: Final = ("dsn", "drn", "relay", "pool", "tee_pool", "exchange", "regulator", "platform")
Form = Literal["agent", "box", "rack", "cloud", "tee_box"]


def _engine(value: str) -> str:
    if value not in REGISTRY:
        raise choice(value, list(REGISTRY), "an engine")
    return value


def _all_or_listed(value: Any) -> Any:
    """Take ``all`` as short for a list of it."""
    return [value] if isinstance(value, str) else value


def _engine_or_all(value: str) -> str:
    return value if value == "all" else _engine(value)


Engines = Annotated[tuple[Annotated[str, AfterValidator(_engine)], ...], Field(max_length=100)]
Images = Annotated[
    tuple[Annotated[str, AfterValidator(_engine_or_all)], ...],
    Short(_all_or_listed, (WORD,)),
    Field(max_length=100),
]


def _size(value: str) -> str:
    try:
        return parse_size(value).name
    except ValueError as exc:
        found, _, allowed = str(exc).partition("; allowed: ")
        raise error(FORM, found, allowed) from None


def _accelerator(value: str) -> str:
    if value not in ACCELERATORS:
        raise choice(value, list(ACCELERATORS), "a kind of accelerator")
    return value


#: Cores and memory, as in ``16C32G``.
NodeSize = Annotated[str, Field(max_length=20, examples=["16C32G"]), AfterValidator(_size)]


class TeeSpec(Model):
    """A trusted execution environment (simulated)."""

    profile: Literal["sgx1", "sgx2", "tdx", "sev_snp", "csv", "trustzone"]
    """Architecture; it sets memory limit, slowdown, start and attestation times."""
    enclave: Size | None = None
    """Enclave memory before paging; default: the profile's."""
    form: Literal["process", "container", "vm"] | None = None
    """What runs inside; default: the profile's."""


class AcceleratorSpec(Model):
    """Accelerators of one kind in a node."""

    kind: Annotated[str, AfterValidator(_accelerator)]
    """Key of the accelerator catalogue: ``gpu``, ``fpga``, ``paillier_card``, ``sm_card``."""
    count: Annotated[int, Field(strict=True, ge=1, le=64)] = 1
    """How many."""
    speedup: dict[str, Positive] = Field(default_factory=dict)
    """Operator to factor; default: the catalogue's."""
    exclusive: bool = False
    """A card serves one step at a time and the others wait for it, by priority; else any number of steps share
    it, each at its full speed-up."""


def _listed(value: Any) -> Any:
    """Take one access line as short for a list of one."""
    return [value] if isinstance(value, dict) else value


def _tee(value: Any) -> Any:
    """Take a profile name as short for ``{profile: name}``."""
    return {"profile": value} if isinstance(value, str) else value


def _sites(value: Any) -> Any:
    """Take ``all`` and lists as short forms of a site selector."""
    if value == "all":
        return {}
    return {"ids": value} if isinstance(value, str | list | tuple) else value


class _NodeCommon(Model):
    """What explicit and generated nodes share."""

    role: Role
    """``dsn`` provider, ``drn`` consumer, ``pool`` compute, ``tee_pool`` enclaves, ``relay``, ..."""
    form: Form | None = None
    """Product form; default by role (``rack``; pools ``cloud``; TEE pools ``tee_box``)."""
    access: Annotated[tuple[Access, ...], Short(_listed, item=True), Field(max_length=7)] = ()
    """Access line or lines; default: the network's for the role."""
    tee: Annotated[TeeSpec, Short(_tee, (WORD,))] | None = None
    """Trusted execution environment: a profile name, or a profile with limits."""
    engines: Engines = ()
    """Engines installed; empty: all that fit."""
    preloaded: Images = ()
    """Engines whose image is on the node at the start; ``all`` for every one."""
    accelerators: Annotated[tuple[AcceleratorSpec, ...], Field(max_length=16)] = ()
    """Accelerator cards."""
    sharing: Literal["reserved", "ps", "slots", "preemptive"] | None = None
    """Who gets the cores. ``reserved``: a job holds its cores from start to end; ``ps``: jobs share the processor, by
    priority; ``slots``: each step of work waits for its cores, by priority; ``preemptive``: the same, and urgent work
    interrupts other work, which later goes on where it stopped. Default by form."""
    party: Id | None = None
    """Who owns the node; default: a party of its own for DSN and DRN, ``dssn`` for the others."""
    operator: Text = ""
    """Who runs the node."""
    core_speed: Annotated[Positive, Field(le=100)] = 1.0
    """Speed of a core relative to the reference core of the cost tables."""
    disk: Size = 1e12
    """Storage."""
    cache: Size = 100e9
    """Part of the storage that keeps engine images."""
    boot: Duration | None = None
    """Time from start to ready; default: the form's."""
    price: Money | None = None
    """Price per hour; default: the catalogue's for the size."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Free labels, for selectors."""


class Node(_NodeCommon):
    """One node."""

    id: Id
    """Name of the node."""
    site: Id
    """Where it stands."""
    size: NodeSize = "8C16G"
    """Cores and memory."""


class NodeGroup(_NodeCommon):
    """Many like nodes; they are called ``<prefix>1`` ... ``<prefix>N``."""

    prefix: Id
    """Begin of their names."""
    count: Annotated[int, Field(strict=True, ge=1, le=20_000)] | None = None
    """How many in all; or give ``per_site``."""
    per_site: Annotated[int, Field(strict=True, ge=1, le=1000)] | None = None
    """How many at each site."""
    sites: Annotated[SiteSelector, Short(_sites, (WORD, WORDS))] = SiteSelector()
    """``all``, a list of sites, or ``{kind: hub}``, ``{province: ...}``, ``{region: ...}``."""
    weight: Literal["uniform", "population", "gdp"] = "uniform"
    """How ``count`` is spread over the sites."""
    size: Annotated[
        Annotated[NodeSize, VALUE] | Annotated[dict[NodeSize, Share], Field(min_length=1), MAPPING], BY_SHAPE
    ] = "8C16G"
    """One size, or a mix ``{8C16G: 70 %, 32C64G: 30 %}``."""

    @model_validator(mode="after")
    def _one_number(self) -> NodeGroup:
        if (self.count is None) == (self.per_site is None):
            found = "neither count nor per_site" if self.count is None else "both count and per_site"
            raise error(MISSING, found, "one of count and per_site")
        return self


class GeneratedNodes(Model):
    """An entry that makes many nodes."""

    id: Id | None = None
    """Name of the entry, so that overrides can reach it."""
    generate: NodeGroup
    """What to make."""


def _entry_kind(value: Any) -> str:
    made = "generate" in value if isinstance(value, dict) else hasattr(value, "generate")
    return "<generate>" if made else "<one>"


NodeEntry = Annotated[
    Annotated[Node, Tag("<one>")] | Annotated[GeneratedNodes, Tag("<generate>")], Discriminator(_entry_kind)
]


class Party(Model):
    """An organisation of one of the six kinds."""

    id: Id
    """Name of the party."""
    kind: Literal["provider", "consumer", "exchange", "regulator", "merchant", "service"]
    """What it is in the market."""
    revenue_share: Share = 0.0
    """Share of each bill it takes part in."""


DeliveryForm = Literal["api", "package", "stream", "privacy", "tee"]


class _AssetCommon(Model):
    """What explicit and generated assets share."""

    rows: Amount
    """Number of records; a job that names no size of its own takes them from here."""
    row_size: Size = 256.0
    """Size of a record."""
    columns: Annotated[int, Field(strict=True, ge=1, le=100_000)] = 16
    """Number of columns."""
    forms: Annotated[tuple[DeliveryForm, ...], Field(max_length=5)] = ()
    """Forms it may be delivered in; empty: all that its level allows. The review refuses orders of another ``channel``."""
    sector: Text = ""
    """Industry, for selectors."""
    price: Money = 0.0
    """Price of one delivery."""
    export: Flag = True
    """Whether results may leave the country."""
    quality: Annotated[Positive, Field(le=1)] = 1.0
    """Quality score."""


class Asset(_AssetCommon):
    """A data set offered by a node."""

    id: Id
    """Name of the asset."""
    node: Id
    """The DSN that holds it."""
    level: Level = 2
    """Sensitivity: 1 open ... 4 raw data never leaves."""
    popularity: Positive = 1.0
    """Weight in choices by popularity."""


class AssetGroup(_AssetCommon):
    """Assets on many nodes; they are called ``<prefix>1`` ... in the order of the nodes."""

    prefix: Id
    """Begin of their names."""
    nodes: Place
    """Which nodes offer them."""
    per_node: Annotated[int, Field(strict=True, ge=1, le=1000)] = 1
    """How many each node offers."""
    level: Annotated[
        Annotated[Level, VALUE] | Annotated[dict[Level, Share], Field(min_length=1), MAPPING], BY_SHAPE
    ] = 2
    """One sensitivity level, or a mix ``{1: 60 %, 3: 40 %}``."""
    sectors: Annotated[dict[str, Share], Field(max_length=200)] = Field(default_factory=dict)
    """Mix of sectors; default: all have ``sector``."""
    zipf: Annotated[float, Field(strict=True, ge=0, le=5)] = 0.0
    """Popularity falls with rank to this power; 0 is uniform."""


class GeneratedAssets(Model):
    """An entry that makes many assets."""

    id: Id | None = None
    """Name of the entry, so that overrides can reach it."""
    generate: AssetGroup
    """What to make."""


AssetEntry = Annotated[
    Annotated[Asset, Tag("<one>")] | Annotated[GeneratedAssets, Tag("<generate>")], Discriminator(_entry_kind)
]
