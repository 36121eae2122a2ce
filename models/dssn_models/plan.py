"""The Plan: what every backend runs.

A scenario file is validated, merged and compiled into one frozen Plan in SI
units. The simulator, the virtual-time run with real protocols and the emulation
all take the Plan, never the YAML. Nothing here has behaviour beyond look-ups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from dssn_models.dist import Dist

__all__ = [
    "AcceleratorPlan",
    "ArrivalPlan",
    "AssetPlan",
    "ClassPlan",
    "FaultPlan",
    "JobStepPlan",
    "LinkPlan",
    "NetOrderPlan",
    "NetworkPlan",
    "NodePlan",
    "ObjectivePlan",
    "OperationPlan",
    "PartyPlan",
    "Plan",
    "PolicyPlan",
    "RoutingPlan",
    "RunPlan",
    "SelectorPlan",
    "ServicePlan",
    "SitePlan",
    "StreamPlan",
    "TcpPlan",
    "TeePlan",
]


# ------------------------------------------------------------------ network


@dataclass(frozen=True, slots=True)
class SitePlan:
    """A place of the network (city, hub, cluster, point of presence)."""

    id: str
    lat: float = 0.0
    lon: float = 0.0
    kind: str = "city"  # province_capital | hub | cluster | city | pop
    province: str = ""
    region: str = ""
    population: float = 0.0
    gdp: float = 0.0


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """One link between two sites, or a node's access link (``a`` is then the node id).

    Direction a->b is the directed resource ``2*index``, b->a is ``2*index+1``;
    a ``shared`` medium (half duplex) has one resource ``2*index`` for both. What crosses a link with a ``tree``
    crosses that link as well: the part of a PON that its nodes share, one resource a direction.
    """

    index: int
    id: str
    a: str
    b: str
    technology: str  # key of the technology profiles: otn ptn spn pon ip cmnet sdwan
    rate_ab_bps: float
    rate_ba_bps: float
    delay_s: float  # one way: propagation plus per-hop latency
    length_m: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    overhead: float = 1.0  # bytes on the wire per payload byte
    availability: float = 1.0
    price_cny_per_mbps_month: float = 0.0
    isolation: str = "soft"  # hard | soft | none
    setup_s: float = 0.0  # time to open a slice on it
    shared: bool = False
    access: bool = False
    srlg: str = ""  # shared-risk group: links in one duct fail together
    tree: int = -1  # index of the link that an access link shares with others


@dataclass(frozen=True, slots=True)
class RoutingPlan:
    """How routes are chosen where no routing policy decides."""

    metric: Literal["delay", "hops", "price"] = "delay"
    protection: Literal["none", "1+1", "restoration"] = "restoration"
    switch_s: float = 0.05  # 1+1 protection switch
    restoration_s: float = 2.0  # control-plane restoration
    default_technology: str = "ip"


@dataclass(frozen=True, slots=True)
class TcpPlan:
    """What the end systems' TCP is set to, and the queues before links (``network.transport`` has the rules)."""

    congestion: Literal["cubic", "newreno", "bbr"] = "cubic"  # RFC 9438 (Linux's default), RFC 6582
    segment_bytes: float = 1448.0  # 1500 - IPv4 20 - TCP 20 - time stamps 12
    initial_window: int = 10  # segments, RFC 6928
    streams: int = 1  # parallel connections of one transfer
    min_rto_s: float = 0.2  # Linux; RFC 6298 asks for 1 s
    max_window_bytes: float = 6_291_456.0  # Linux's tcp_rmem[2]
    queue: Literal["droptail", "fqcodel"] = "droptail"
    buffer_s: float = 0.05  # queue of a link at its rate (assumed: one round trip of a national path)


@dataclass(frozen=True)
class NetworkPlan:
    """Sites, links and routing rules."""

    sites: tuple[SitePlan, ...]
    links: tuple[LinkPlan, ...]
    routing: RoutingPlan = RoutingPlan()
    transport: Literal["fluid", "tcp"] = "fluid"
    detour_factor: float = 1.3
    tcp: TcpPlan = TcpPlan()

    @cached_property
    def site_index(self) -> dict[str, int]:
        """Site id to position in ``sites``."""
        return {s.id: i for i, s in enumerate(self.sites)}

    @cached_property
    def link_index(self) -> dict[str, int]:
        """Link id to position in ``links``."""
        return {link.id: i for i, link in enumerate(self.links)}


# ------------------------------------------------------------------ nodes


@dataclass(frozen=True, slots=True)
class TeePlan:
    """A simulated TEE of a node: which architecture, and its limits."""

    profile: str  # sgx1 sgx2 tdx sev_snp csv trustzone
    enclave_bytes: float  # memory before paging
    slowdown: float = 1.0  # CPU factor inside, working set below the limit
    paging_factor: float = 1.0  # CPU factor of work on pages beyond the limit
    start_s: float = 0.0  # start per enclave
    start_s_per_byte: float = 0.0  # plus build time by size
    quote_s: float = 0.01
    verify_s: float = 0.01
    form: str = "process"  # process | container | vm


@dataclass(frozen=True, slots=True)
class AcceleratorPlan:
    """Accelerators of one kind in a node."""

    kind: str  # gpu | fpga | paillier_card ...
    count: int
    speedup: Mapping[str, float] = field(default_factory=dict)  # operator -> factor
    exclusive: bool = False  # a card serves one step at a time


@dataclass(frozen=True)
class NodePlan:
    """One node: a DSN, DRN, relay, compute pool, TEE pool, exchange, regulator or the platform."""

    id: str
    role: str  # dsn drn relay pool tee_pool exchange regulator platform
    site: str
    party: str
    form: str = "rack"  # agent | box | rack | cloud | tee_box
    size: str = "8C16G"
    cores: float = 8.0
    core_speed: float = 1.0  # relative to the reference core of the cost tables
    memory_bytes: float = 16e9
    disk_bytes: float = 1e12
    sharing: Literal["reserved", "ps", "slots", "preemptive"] = "reserved"
    accelerators: tuple[AcceleratorPlan, ...] = ()
    tee: TeePlan | None = None
    engines: tuple[str, ...] = ()  # empty: all that fit
    preloaded: tuple[str, ...] = ()  # engine images present at the start
    cache_bytes: float = 100e9
    boot_s: float = 0.0
    price_cny_per_hour: float = 0.0
    operator: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class OperationPlan:
    """Cost of one control operation at a service."""

    service_s: Dist  # time of one server
    messages: int = 1  # request/response pairs between caller and service
    request_bytes: float = 1000.0
    response_bytes: float = 1000.0
    source: str = ""
    confidence: str = "assumed"  # measured | read | assumed


@dataclass(frozen=True)
class ServicePlan:
    """A control-plane station: a queue with servers at a site.

    The six services of the DSP are ``dsp.access``, ``dsp.delivery``, ``dsp.scheduling``,
    ``dsp.transport``, ``dsp.security``, ``dsp.supervision``; further ones are ``ca``, ``ledger``,
    ``verifier``, ``registry`` (engine images), ``exchange``, ``review``.
    """

    id: str
    kind: str
    site: str
    servers: int
    operations: Mapping[str, OperationPlan]
    queue_limit: int | None = None
    batch_s: float = 0.0  # ledger: records wait for the next block
    serves: tuple[str, ...] = ()  # regions served; empty: all


# ------------------------------------------------------------------ parties, assets, classes


@dataclass(frozen=True, slots=True)
class PartyPlan:
    """One of the six party kinds."""

    id: str
    kind: str  # provider consumer exchange regulator merchant service
    revenue_share: float = 0.0


@dataclass(frozen=True)
class AssetPlan:
    """A data asset offered by a node."""

    id: str
    node: str
    level: int = 2  # sensitivity 1 (open) ... 4 (raw data never leaves, TEE or MPC only)
    rows: float = 1e6
    row_bytes: float = 256.0
    columns: int = 16
    forms: tuple[str, ...] = ()  # deliverable forms; empty: all that the level allows
    sector: str = ""
    price_cny: float = 0.0
    export: bool = True  # may results leave the country
    quality: float = 1.0
    popularity: float = 1.0


@dataclass(frozen=True, slots=True)
class ClassPlan:
    """A priority class of deliveries; priority 0 goes first."""

    id: str
    priority: int = 1
    weight: float = 1.0
    deadline_s: float | None = None


@dataclass(frozen=True, slots=True)
class ObjectivePlan:
    """A service-level objective: the quantile of a KPI in a class stays within a bound."""

    kpi: str  # order_to_result | order_to_open | trade_to_settle | slo_hit | ...
    bound: float
    cls: str | None = None  # None: all classes
    quantile: float | None = 0.95  # None: the mean or share itself
    direction: Literal["max", "min"] = "max"


# ------------------------------------------------------------------ workload


@dataclass(frozen=True)
class ArrivalPlan:
    """When orders of a stream arrive.

    ``poisson``: ``rate``. ``diurnal``: mean ``rate`` times the hourly ``profile`` (mean 1).
    ``bursts``: background ``rate`` and ``profile`` of (start_s, duration_s, factor) triples in ``windows``.
    ``schedule``: the ``times``. ``trace``: the ``times`` (read at compile), sizes beside them.
    ``renewal``: inter-arrival ``gap``.
    """

    kind: Literal["poisson", "diurnal", "bursts", "schedule", "trace", "renewal"]
    rate: float = 0.0
    profile: tuple[float, ...] = ()
    windows: tuple[tuple[float, float, float], ...] = ()
    times: tuple[float, ...] = ()
    columns: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # trace: rows, bytes, core_s ...
    gap: Dist | None = None
    limit: int | None = None  # at most this many orders
    start_s: float = 0.0
    end_s: float | None = None


@dataclass(frozen=True, slots=True)
class SelectorPlan:
    """A weighted choice among ids; ``zipf`` > 0 ranks by order of listing."""

    ids: tuple[str, ...]
    weights: tuple[float, ...] = ()
    zipf: float = 0.0


@dataclass(frozen=True)
class JobStepPlan:
    """One engine run in a delivery's service chain."""

    id: str
    engine: str  # key of dssn_models.engines.REGISTRY
    profile: str = "reference"  # cost profile of the engine
    params: Mapping[str, Dist | float | str | bool] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    # Where a role that is not bound to provider or consumer may run: ids of candidate nodes.
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NetOrderPlan:
    """What a delivery asks of the network."""

    technology: str | None = None  # None: a technology policy or the default decides
    rate_bps: float | None = None  # None: best effort in the class
    isolation: Literal["none", "soft", "hard"] = "none"
    max_delay_s: float | None = None
    keep_open_s: float = 0.0  # channel idle-out, for reuse
    suite: str = "international"  # international | sm


@dataclass(frozen=True)
class StreamPlan:
    """A stream of orders of one kind."""

    id: str
    cls: str
    arrivals: ArrivalPlan
    consumers: SelectorPlan  # DRN ids
    assets: SelectorPlan  # asset ids; the provider is the asset's node
    parties: Dist  # how many providers take part
    steps: tuple[JobStepPlan, ...]
    channel: Literal["privacy", "api", "package", "stream", "tee"] = "privacy"
    net: NetOrderPlan = NetOrderPlan()
    exchange: str | None = None  # node id of the exchange that closed the trade
    purpose: str = "statistics"
    cross_border: bool = False
    deadline_s: float | None = None
    price_cny: float = 0.0
    sensitivity: Dist | None = None  # dual channel: level of each request; >= threshold goes to privacy
    threshold: int | None = None
    alternate: tuple[JobStepPlan, ...] = ()  # steps of the other channel (API) in a dual-channel stream
    quality_defect: float = 0.0  # probability that quality assessment fails the delivery
    baseline: bool = False  # FLW-09: plain delivery of the old way


# ------------------------------------------------------------------ policies, faults, run


@dataclass(frozen=True)
class PolicyPlan:
    """Which policy decides a kind of question."""

    kind: str  # placement routing admission queueing technology
    name: str  # a registered name, or module:object
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Something breaks at a time, and is repaired."""

    kind: Literal["link_down", "node_down", "site_down", "service_down", "link_slow", "certificate_revoked"]
    target: str  # link, node, site or service id
    at_s: float
    duration_s: float
    factor: float = 0.0  # link_slow: remaining share of the rate
    label: str = ""


@dataclass(frozen=True, slots=True)
class RunPlan:
    """Horizon, warm-up, replications, seed."""

    horizon_s: float
    warmup_s: float = 0.0
    replications: int = 1
    seed: int = 1
    drain: bool = True  # after the horizon no new orders, but those under way finish
    drain_limit_s: float = 86400.0
    telemetry_s: float = 10.0  # period at which policies see fresh state
    sample_s: float = 60.0  # period of utilisation samples
    confidence: float = 0.95
    calibration: str = "reference"
    max_retries: int = 2
    retry_s: float = 30.0
    kernel: Literal["auto", "simpy", "compiled"] = "auto"
    detail: float | None = (
        None  # share of orders whose phases, states, flows ... are kept; None: by their number
    )


@dataclass(frozen=True)
class Plan:
    """Everything a backend needs, in SI units."""

    name: str
    title: str
    question: str
    network: NetworkPlan
    nodes: tuple[NodePlan, ...]
    services: tuple[ServicePlan, ...]
    parties: tuple[PartyPlan, ...]
    assets: tuple[AssetPlan, ...]
    classes: tuple[ClassPlan, ...]
    streams: tuple[StreamPlan, ...]
    policies: Mapping[str, PolicyPlan]
    faults: tuple[FaultPlan, ...]
    objectives: tuple[ObjectivePlan, ...]
    run: RunPlan
    tariff: Mapping[str, float] = field(default_factory=dict)  # meter kind -> CNY per unit
    compliance: Mapping[str, Any] = field(default_factory=dict)  # rule pack
    assumptions: tuple[tuple[str, str, str], ...] = ()  # (what, value, why) shown in the report
    scenario_hash: str = ""

    @cached_property
    def node_by_id(self) -> dict[str, NodePlan]:
        """Node id to node."""
        return {n.id: n for n in self.nodes}

    @cached_property
    def asset_by_id(self) -> dict[str, AssetPlan]:
        """Asset id to asset."""
        return {a.id: a for a in self.assets}

    @cached_property
    def class_by_id(self) -> dict[str, ClassPlan]:
        """Class id to class."""
        return {c.id: c for c in self.classes}
