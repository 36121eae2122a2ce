"""Classes, services, policies, faults, objectives, tariff, compliance, run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from dssn.schema.base import WORD, Flag, Id, Level, Model, Number, Positive, Short, Text
from dssn.schema.errors import ITEMS, MISSING, REFUSED, choice, error, line, raise_lines
from dssn.schema.nodes import DeliveryForm
from dssn.schema.quantities import Duration, Money, RandomDuration, Share, Size, parse_value
from dssn.schema.selectors import Ids

__all__ = [
    "KPIS",
    "Compliance",
    "Fault",
    "LevelRule",
    "Objective",
    "Operation",
    "Policies",
    "PolicyKindName",
    "PolicyUse",
    "PriorityClass",
    "Replica",
    "Run",
    "Service",
    "Tariff",
]

PolicyKindName = Literal["placement", "routing", "admission", "queueing", "technology"]


class PriorityClass(Model):
    """A priority class of deliveries."""

    id: Id
    """Name of the class."""
    priority: Annotated[int, Field(strict=True, ge=0, le=100)] = 1
    """0 goes first."""
    weight: Annotated[Positive, Field(le=1e6)] = 1.0
    """Weight in shared links and processors."""
    deadline: Duration | None = None
    """Time allowed from order to result."""


class Operation(Model):
    """Cost of one control operation at a service."""

    service: RandomDuration
    """Time of one server."""
    messages: Annotated[int, Field(strict=True, ge=0, le=1000)] = 1
    """Request and response pairs between caller and service."""
    request: Size = 1000.0
    """Size of a request."""
    response: Size = 1000.0
    """Size of a response."""
    source: Text = ""
    """Where the value comes from."""
    confidence: Literal["measured", "read", "assumed"] = "assumed"
    """How well it is known."""


class Replica(Model):
    """A further station of a service at another site."""

    site: Id
    """Where it stands."""
    serves: Ids | None = None
    """Regions whose orders it takes; default: all."""
    servers: Annotated[int, Field(strict=True, ge=1, le=100_000)] | None = None
    """Number of servers; default: as the service's."""


class Service(Model):
    """A control-plane station: a queue with servers at a site."""

    id: Id
    """``dsp.access`` ... ``dsp.supervision``, ``ca``, ``ledger``, ``verifier``, ``review``, ..."""
    kind: Id | None = None
    """What it does; default: as ``id``."""
    site: Id | None = None
    """Where it stands; default: Beijing if the topology has it, else the first site."""
    servers: Annotated[int, Field(strict=True, ge=1, le=100_000)] = 4
    """Number of servers."""
    operations: Annotated[dict[Id, Operation], Field(min_length=1)]
    """Operation to cost."""
    queue_limit: Annotated[int, Field(strict=True, ge=0)] | None = None
    """Requests that may wait; default: any number."""
    batch: Duration = 0.0
    """Ledger: records wait for the next block of this period."""
    replicas: Annotated[tuple[Replica, ...], Field(max_length=500)] = ()
    """Stations instead of the one at ``site``, each for some regions."""


class PolicyUse(Model):
    """A policy and its options."""

    use: Text
    """Name of a registered policy (``dssn policies``) or ``module:object``."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Options; they may also stand beside ``use``."""

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"use": value}
        if isinstance(value, Mapping) and "use" in value:
            options = value.get("options", {})
            beside = {k: v for k, v in value.items() if k not in ("use", "options")}
            if isinstance(options, Mapping):
                return {"use": value["use"], "options": {**options, **beside}}
        return value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema with both short forms."""
        long = handler.resolve_ref_schema(handler(schema))
        long.pop("additionalProperties", None)
        return {"anyOf": [WORD, long], "description": long.get("description", "")}


class Policies(Model):
    """Who decides: a registered policy, ``module:object``, or ``{use: ..., options}``."""

    placement: PolicyUse = PolicyUse.model_construct(use="nearest", options={})
    """Which node runs a role that is not bound to a party."""
    routing: PolicyUse | None = None
    """Which path; default: the routing metric of the network."""
    admission: PolicyUse = PolicyUse.model_construct(use="always", options={})
    """Whether an order is taken."""
    queueing: PolicyUse = PolicyUse.model_construct(use="priority", options={})
    """Who is next."""
    technology: PolicyUse | None = None
    """Which carrier service; default: the network's default technology."""


def _times(value: Any) -> Any:
    """Take a single time as short for a list of one."""
    return [value] if isinstance(value, str) else value


class Fault(Model):
    """Something breaks at given times or at random, and is repaired."""

    id: Id | None = None
    """Name, for overrides and plots."""
    kind: Literal["link_down", "node_down", "site_down", "service_down", "link_slow", "certificate_revoked"]
    """What happens."""
    target: Ids | None = None
    """Ids of links, nodes, sites or services."""
    between: Annotated[tuple[Id, Id], Field()] | None = None
    """Links: those that join these two sites, on every plane."""
    technology: Id | None = None
    """Links: only those of this plane."""
    srlg: Id | None = None
    """Links: those of this shared-risk group."""
    role: Ids | None = None
    """Nodes: those of these roles."""
    at: Annotated[tuple[Duration, ...], Short(_times, (WORD,)), Field(max_length=10_000)] = ()
    """Times, or give ``mtbf``."""
    mtbf: RandomDuration | None = None
    """Time between failures of each target; failures are drawn when the plan is made."""
    duration: RandomDuration | None = None
    """Time to repair; a revoked certificate stays revoked without it."""
    factor: Annotated[float, Field(strict=True, ge=0, lt=1)] = 0.0
    """``link_slow``: share of the rate that remains."""

    @model_validator(mode="after")
    def _consistent(self) -> Fault:
        if bool(self.at) == (self.mtbf is not None):
            raise error(
                MISSING, "a fault needs its times", "either at: (one or more times) or mtbf: (a duration)"
            )
        chosen = [
            self.target is not None,
            self.between is not None,
            self.srlg is not None,
            self.role is not None,
        ]
        by_technology = self.technology is not None and self.kind.startswith("link")
        if sum(chosen) > 1 or not (any(chosen) or by_technology):
            raise error(
                ITEMS,
                "a fault needs one kind of target",
                "one of target, between, srlg, role (or technology, for links)",
            )
        if self.duration is None and self.kind != "certificate_revoked":
            raise error(MISSING, f"{self.kind} without duration", "duration: the time to repair")
        return self


#: KPI of an objective to the kind of its bound ('' is a plain number).
KPIS: Final[dict[str, str]] = {
    "order_to_result": "duration",
    "order_to_open": "duration",
    "trade_to_settle": "duration",
    "job_time": "duration",
    "queue_time": "duration",
    "channel_setup": "duration",
    "attest_time": "duration",
    "evidence_lag": "duration",
    "slo_hit": "share",
    "completed_share": "share",
    "admit_refuse": "share",
    "failed_share": "share",
    "cache_hit": "share",
    "raw_exposed": "size",
    "unit_cost": "money",
    "unit_bill": "money",
    "channel_leak": "",
    "cold_starts": "",
}


def _kpi(value: str) -> str:
    if value not in KPIS:
        raise choice(value, list(KPIS), "a KPI that an objective may have")
    return value


class Objective(Model):
    """A service-level objective."""

    id: Id | None = None
    """Name, for overrides."""
    kpi: Annotated[str, Field(json_schema_extra={"enum": list(KPIS)}), AfterValidator(_kpi)]
    """What is measured; ``docs`` lists the KPIs."""
    cls: Id | None = Field(default=None, alias="class")
    """Priority class; default: all."""
    quantile: Share | None = None
    """Quantile of a time that the bound holds for; default: its mean."""
    at_most: Text | Number | None = None
    """Upper bound, in the unit of the KPI: a duration, share, size, amount of money or number."""
    at_least: Text | Number | None = None
    """Lower bound."""

    @model_validator(mode="after")
    def _consistent(self) -> Objective:
        if (self.at_most is None) == (self.at_least is None):
            raise error(MISSING, "an objective needs one bound", "either at_most or at_least")
        if KPIS[self.kpi] != "duration" and self.quantile is not None:
            raise error(REFUSED, f"a quantile of {self.kpi}, which is no time", "no quantile")
        key = "at_most" if self.at_most is not None else "at_least"
        try:
            _ = self.bound
        except PydanticCustomError as exc:
            raise_lines("objective", [line(exc, key, found=getattr(self, key))])
        return self

    @property
    def bound(self) -> float:
        """The bound in SI units."""
        return parse_value(self.at_most if self.at_most is not None else self.at_least, KPIS[self.kpi])


class Tariff(Model):
    """Prices of metered usage."""

    call: Money = 0.0
    """One API call."""
    row: Money = 0.0
    """One record processed."""
    gigabyte: Money = 0.0
    """10^9 bytes delivered."""
    core_hour: Money = 0.0
    """One core for an hour."""
    tee_hour: Money = 0.0
    """One enclave for an hour."""
    result: Money = 0.0
    """One result delivered."""
    slice_mbps_h: Money = 0.0
    """1 Mbit/s of reserved rate for an hour."""


class LevelRule(Model):
    """What a sensitivity level allows."""

    forms: Annotated[tuple[DeliveryForm, ...], Field(max_length=5)]
    """Forms of delivery."""
    review: Literal["none", "automatic", "human"] = "automatic"
    """Who reviews."""


class Compliance(Model):
    """The rule pack of the compliance review."""

    id: Id = "default"
    """Name of the rule pack, cited in verdicts."""
    levels: dict[Level, LevelRule] = Field(default_factory=dict)
    """Level to rule."""
    purposes: Annotated[tuple[Id, ...], Field(max_length=1000)] = ()
    """Purposes that are allowed; empty: all."""
    cross_border: Literal["refuse", "approve", "allow"] = "approve"
    """Results that leave the country: ``refuse``, ``allow``, or ``approve`` (by people, up to a level)."""
    cross_border_level: Level = 2
    """Highest level that may leave the country after approval."""
    human_share: Share = 0.0
    """Share of automatic reviews that a person must look at."""


class Run(Model):
    """Horizon, warm-up, replications, seed."""

    horizon: Duration
    """Virtual time in which orders arrive."""
    warmup: Duration = 0.0
    """Begin of the horizon that is left out of all KPIs."""
    replications: Annotated[int, Field(strict=True, ge=1, le=10_000)] = 3
    """Independent repetitions."""
    seed: Annotated[int, Field(strict=True, ge=0, le=2**32 - 1)] = 1
    """Root of all random streams."""
    drain: Flag = True
    """Whether orders under way at the horizon may finish."""
    drain_limit: Duration = 86400.0
    """Longest time that they get."""
    telemetry: Duration = 10.0
    """Period at which policies see fresh state."""
    sample: Duration = 60.0
    """Period of utilisation samples."""
    confidence: Share = 0.95
    """Level of confidence intervals."""
    calibration: Id = "reference"
    """Cost table."""
    max_retries: Annotated[int, Field(strict=True, ge=0, le=100)] = 2
    """Retries of a delivery after a fault."""
    retry: Duration = 30.0
    """Wait before a retry."""
    kernel: Literal["auto", "simpy", "compiled"] = "auto"
    """What runs the deliveries: ``simpy`` (Python) or ``compiled`` (machine code, ten times as fast and more), with
    results equal to rounding; ``auto`` takes compiled code for large scenarios where it can."""
    detail: Literal["auto"] | Share = "auto"
    """Share of orders whose phases, states, flows, evidence, meters and bills are kept (orders and deliveries always
    are), chosen by the order's number; ``auto``: all up to 50 000 orders a replication, beyond it as many."""
