"""The one extension point: ``decide(view, now, rng) -> Decision``.

A policy sees a read-only :class:`View` (state as old as the telemetry period) and
returns an intent. The backend checks it on execution and records a refusal with a
reason code where it cannot be done.

Five kinds: ``placement`` (which node runs a free role), ``routing`` (which path),
``admission`` (take the order or refuse it), ``queueing`` (who is next), ``technology``
(which carrier service and how much rate).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

__all__ = [
    "Admit",
    "Choose",
    "ChooseRoute",
    "ChooseTechnology",
    "DecideFunction",
    "Decision",
    "JobFacts",
    "NodeView",
    "Policy",
    "PolicyKind",
    "QueueItem",
    "Rank",
    "RefuseOrder",
    "RouteView",
    "TechnologyView",
    "View",
]  # fmt: skip

PolicyKind = Literal["placement", "routing", "admission", "queueing", "technology"]


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node as telemetry last showed it."""

    id: str
    site: str
    role: str
    cores: float
    core_speed: float
    free_cores: float
    free_memory_bytes: float
    queue_length: int  # jobs waiting for this node
    backlog_core_s: float  # work promised and not yet done
    price_cny_per_hour: float
    rtt_s: float  # to the parties of the job at hand (largest)
    bottleneck_bps: float  # free rate on the path to the parties (smallest)
    up: bool = True
    tee: bool = False
    start_s: float = 0.0  # before work can begin: pull of a cold image, start of an enclave
    slowdown: float = 1.0  # CPU factor of the work there (inside an enclave)


@dataclass(frozen=True, slots=True)
class RouteView:
    """A candidate path."""

    id: int
    hops: int
    delay_s: float
    free_bps: float
    price: float
    sites: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TechnologyView:
    """A carrier service that reaches both ends."""

    name: str
    delay_s: float
    free_bps: float
    price_cny_per_mbps_month: float
    isolation: str
    setup_s: float
    loss: float
    availability: float


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What is known of the order when the decision is due."""

    order: str
    stream: str
    cls: str
    priority: int
    engine: str
    role: str  # role to place, for placement decisions
    work_core_s: float
    traffic_bytes: float
    deadline_s: float | None  # absolute virtual time
    age_s: float
    parties: tuple[str, ...]  # node ids already bound
    rounds: int = 1  # sequential message exchanges; each costs a round trip
    cores: float | None = None  # cores the role can use at most, where known


@dataclass(frozen=True, slots=True)
class QueueItem:
    """One waiting request, for queueing policies."""

    id: int
    priority: int
    weight: float
    deadline_s: float | None
    arrived_s: float
    work_core_s: float


@dataclass(frozen=True, slots=True)
class View:
    """What a policy may see. Fields that do not belong to the kind at hand are empty."""

    job: JobFacts | None = None
    candidates: Sequence[NodeView] = ()
    routes: Sequence[RouteView] = ()
    technologies: Sequence[TechnologyView] = ()
    queue: Sequence[QueueItem] = ()
    in_flight: int = 0  # deliveries under way
    options: Mapping[str, Any] = field(default_factory=dict)
    state_age_s: float = 0.0  # how old the telemetry is


@dataclass(frozen=True, slots=True)
class Choose:
    """Placement: run the role on this node."""

    node: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ChooseRoute:
    """Routing: take the candidate with this id."""

    route: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ChooseTechnology:
    """Technology: order this carrier service."""

    technology: str
    rate_bps: float | None = None
    isolation: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Admit:
    """Admission: take the order."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class RefuseOrder:
    """Any kind: refuse with a reason code from :mod:`dssn_models.market.reasons`."""

    reason: str = "admission.policy"


@dataclass(frozen=True, slots=True)
class Rank:
    """Queueing: sort key of the one :class:`QueueItem` in ``view.queue``; the smallest goes first."""

    key: tuple[float, ...]


Decision = Choose | ChooseRoute | ChooseTechnology | Admit | RefuseOrder | Rank


@runtime_checkable
class Policy(Protocol):
    """A policy object; a plain function of the same signature serves as well."""

    kind: PolicyKind

    def decide(self, view: View, now: float, rng: np.random.Generator) -> Decision:
        """Return the intent for this view at virtual time ``now`` (s)."""
        ...


DecideFunction = Callable[[View, float, np.random.Generator], Decision]
