"""Section ``network``: sites, planes, access, routing."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dssn.schema.base import Count, Flag, Id, Model, Number, Positive, Short, Text
from dssn.schema.errors import REFUSED, error
from dssn.schema.quantities import Duration, Length, Rate, Size

__all__ = [
    "Access",
    "ChinaTopology",
    "EdgeSpec",
    "ExplicitTopology",
    "GraphTopology",
    "GridTopology",
    "HubTopology",
    "MeshTopology",
    "Network",
    "PathTopology",
    "Plane",
    "RandomTopology",
    "Routing",
    "SiteSpec",
    "Tcp",
    "Technology",
    "Topology",
    "TreeTopology",
]

Technology = Literal["otn", "ptn", "spn", "pon", "ip", "cmnet", "sdwan"]

Sites = Annotated[int, Field(strict=True, ge=2, le=2000)]
Side = Annotated[int, Field(strict=True, ge=1, le=60)]
Few = Annotated[int, Field(strict=True, ge=2, le=150)]


class ChinaTopology(Model):
    """31 provincial capitals, 8 hubs, 10 clusters and further cities on a two-way disjoint backbone."""

    kind: Literal["china"]
    cities: Flag = True
    """Whether the cities below the provincial capitals are sites too."""


class PathTopology(Model):
    """A ring, line or star of ``site1`` ... ``siteN`` (a star has its centre at ``site1``)."""

    kind: Literal["ring", "line", "star"]
    sites: Sites
    """Number of sites."""
    spacing: Length = 50e3
    """Distance of neighbours."""


class GridTopology(Model):
    """A rectangular grid of ``site1`` ... ``siteN``, row by row."""

    kind: Literal["grid"]
    rows: Side
    """Number of rows."""
    columns: Side
    """Number of columns."""
    spacing: Length = 50e3
    """Distance of neighbours."""


class MeshTopology(Model):
    """Every site linked to every other."""

    kind: Literal["full_mesh"]
    sites: Few
    """Number of sites."""
    spacing: Length = 50e3
    """Distance of neighbours."""


class TreeTopology(Model):
    """A balanced tree; ``site1`` is the root."""

    kind: Literal["tree"]
    depth: Annotated[int, Field(strict=True, ge=1, le=10)]
    """Levels below the root."""
    branching: Annotated[int, Field(strict=True, ge=1, le=50)]
    """Children of each inner site."""
    spacing: Length = 50e3
    """Distance of parent and child."""


class RandomTopology(Model):
    """Sites at random in a square, linked by nearness (or preferential attachment); made connected."""

    kind: Literal["random_geometric", "waxman", "barabasi_albert"]
    sites: Sites
    """Number of sites."""
    seed: Count = 1
    """Seed of the places; another seed is another map."""
    side: Length = 1000e3
    """Side of the square."""


class GraphTopology(Model):
    """A topology from a GraphML file."""

    kind: Literal["graphml"]
    file: Text
    """Path of the file, relative to the scenario file."""


class HubTopology(Model):
    """A topology of the ``topohub`` package, for example ``topozoo/Chinanet`` or ``sndlib/germany50``."""

    kind: Literal["topohub"]
    name: Text
    """Name as in the package's index."""


class SiteSpec(Model):
    """A place of an explicit topology."""

    id: Id
    """Name of the site."""
    lat: Annotated[float, Field(strict=True, ge=-90, le=90)] = 0.0
    """Latitude in degrees."""
    lon: Annotated[float, Field(strict=True, ge=-180, le=180)] = 0.0
    """Longitude in degrees."""
    kind: Literal["province_capital", "hub", "cluster", "city", "pop", "cross_border"] = "city"
    """What the site is; selectors choose by it."""
    province: Text = ""
    """Province, for selectors and maps."""
    region: Text = ""
    """Region; regional platform replicas serve it."""
    population: Annotated[float, Field(strict=True, ge=0)] = 0.0
    """Inhabitants, for weights."""
    gdp: Annotated[float, Field(strict=True, ge=0)] = 0.0
    """Gross domestic product in CNY, for weights."""


class EdgeSpec(Model):
    """A span between two sites; every plane gets a link along it."""

    a: Id
    """One end."""
    b: Id
    """The other end."""
    length: Length
    """Length of the fibre."""
    srlg: Text = ""
    """Shared-risk group: spans with the same name lie in one duct and fail together."""


class ExplicitTopology(Model):
    """Sites and spans written out."""

    kind: Literal["explicit"]
    sites: Annotated[tuple[SiteSpec, ...], Field(min_length=1, max_length=5000)]
    """The places."""
    edges: Annotated[tuple[EdgeSpec, ...], Field(max_length=50_000)] = ()
    """The spans between them."""


def _named(value: Any) -> Any:
    """``topology: china`` is short for ``{kind: china}``."""
    return {"kind": value} if isinstance(value, str) else value


Topology = Annotated[
    ChinaTopology
    | PathTopology
    | GridTopology
    | MeshTopology
    | TreeTopology
    | RandomTopology
    | GraphTopology
    | HubTopology
    | ExplicitTopology,
    Field(discriminator="kind"),
]


class Plane(Model):
    """One carrier technology that is laid over the whole topology."""

    rate: Rate
    """Rate of each link, per direction."""
    core_rate: Rate | None = None
    """Rate of links of the core tier; default: as ``rate``."""


class Access(Model):
    """How a node is attached to its site."""

    technology: Technology = "pon"
    """Technology of the access line."""
    rate: Rate = 1e9
    """Rate towards the network (up)."""
    rate_down: Rate | None = None
    """Rate towards the node; default: as ``rate``."""
    length: Length = 5e3
    """Length of the line."""
    split: Annotated[int, Field(ge=2, le=128)] | None = None
    """Of `pon`: so many nodes of a site share one tree of 8.67 Gbit/s each way; default: ``rate`` is assured."""

    @model_validator(mode="after")
    def _trees(self) -> Access:
        if self.split is not None and self.technology != "pon":
            raise error(REFUSED, f"split of a {self.technology} line", "split where technology is pon")
        return self


class Routing(Model):
    """How routes are chosen where no routing policy decides."""

    metric: Literal["delay", "hops", "price"] = "delay"
    """What the best route has least of."""
    protection: Literal["none", "1+1", "restoration"] = "restoration"
    """What happens when a link of a route fails."""
    switch: Duration = 0.05
    """Time of a 1+1 protection switch."""
    restoration: Duration = 2.0
    """Time until the control plane has a new route."""
    default_technology: Technology | None = None
    """Plane where neither the stream nor a policy names one; default: ``ip``, else the first plane."""


class Tcp(Model):
    """What the end systems' TCP is set to under ``transport: tcp``, and the queues before links."""

    congestion: Literal["cubic", "newreno", "bbr"] = "cubic"
    """Congestion control: CUBIC (RFC 9438), NewReno (RFC 6582), or the caps of BBR."""
    initial_window: Annotated[Count, Field(ge=1, le=1000)] = 10
    """Segments sent before the first acknowledgement (RFC 6928)."""
    streams: Annotated[Count, Field(ge=1, le=1000)] = 1
    """Parallel connections of one transfer."""
    min_rto: Annotated[Duration, Field(gt=0)] = 0.2
    """Shortest retransmission time-out; Linux 200 ms, RFC 6298 1 s."""
    max_window: Annotated[Size, Field(ge=1500)] = 6_291_456
    """Largest window of a connection: its buffers at both ends."""
    queue: Literal["droptail", "fqcodel"] = "droptail"
    """Queue before a link: one that drops its tail, or one for each transfer (RFC 8290)."""
    buffer: Annotated[Duration, Field(gt=0)] = 0.05
    """Longest delay of a queue, at its link's rate."""


class Network(Model):
    """Sites, carrier planes, access lines and routing."""

    topology: Annotated[Topology, Short(_named, ({"enum": ["china"]},))]
    """The map: ``china``, a generator, a file or an explicit list."""
    planes: Annotated[dict[Technology, Plane], Field(min_length=1)]
    """Technology to plane; each is laid over every span of the topology."""
    access: dict[str, Access] = Field(default_factory=dict)
    """Access line by node role, with ``default`` for the others; a node may have its own."""
    routing: Routing = Routing()
    """Metric, protection and restoration."""
    transport: Literal["fluid", "tcp"] = "fluid"
    """``fluid``: flows fill their share at once; ``tcp``: windows and round-trip times limit them."""
    tcp: Tcp = Tcp()
    """Settings of ``transport: tcp``."""
    detour_factor: Annotated[Number, Field(ge=1, le=5)] = 1.3
    """Fibre length over great-circle distance, where a topology has coordinates but no lengths."""
    spare: Annotated[Positive, Field(le=1)] = 1.0
    """Share of each plane's rate that the DSSN may use; the rest carries other traffic."""
