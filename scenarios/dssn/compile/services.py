"""Control-plane stations, faults, and the rest that needs little expansion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from dssn.schema import Scenario
from dssn.schema.operations import Compliance, Operation, Service, Tariff
from dssn_models.plan import (
    ClassPlan,
    ObjectivePlan,
    OperationPlan,
    PolicyPlan,
    RunPlan,
    ServicePlan,
    SitePlan,
)

__all__ = [
    "NEEDED",
    "classes",
    "compliance",
    "default_site",
    "objectives",
    "policies",
    "run_plan",
    "services",
    "tariff",
]

#: What the life of a delivery calls: kind of service to operations.
NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "dsp.access": ("authenticate", "catalogue"),
    "dsp.delivery": ("order", "contract", "deliver"),
    "dsp.scheduling": ("plan", "network_order", "release"),
    "dsp.transport": ("channel",),
    "dsp.security": ("attest_policy",),
    "dsp.supervision": ("audit", "meter", "settle"),
    "review": ("review",),
    "reviewers": ("human",),
    "ca": ("issue", "status"),
    "ledger": ("append",),
    "verifier": ("verify",),
    "registry": ("pull",),
    "exchange": ("trade", "settle"),
}
_CAPITAL: Final = "Beijing"


def default_site(sites: Mapping[str, SitePlan]) -> str:
    """Return where a service stands that names no site."""
    return _CAPITAL if _CAPITAL in sites else next(iter(sites), "")


def services(scenario: Scenario, sites: Mapping[str, SitePlan]) -> Iterator[ServicePlan]:
    """Yield every station; a service with replicas becomes one station per replica, named ``id@site``."""
    for spec in scenario.services:
        if not spec.replicas:
            yield _station(spec, spec.id, spec.site or default_site(sites), spec.servers, ())
            continue
        taken: dict[str, int] = {}
        for replica in spec.replicas:
            taken[replica.site] = taken.get(replica.site, 0) + 1
            suffix = "" if taken[replica.site] == 1 else f"#{taken[replica.site]}"
            name = f"{spec.id}@{replica.site}{suffix}"
            yield _station(spec, name, replica.site, replica.servers or spec.servers, replica.serves or ())


def _station(spec: Service, name: str, site: str, servers: int, serves: tuple[str, ...]) -> ServicePlan:
    return ServicePlan(
        id=name,
        kind=spec.kind or spec.id,
        site=site,
        servers=servers,
        operations={key: _operation(op) for key, op in spec.operations.items()},
        queue_limit=spec.queue_limit,
        batch_s=spec.batch,
        serves=serves,
    )


def _operation(op: Operation) -> OperationPlan:
    return OperationPlan(op.service, op.messages, op.request, op.response, op.source, op.confidence)


def classes(scenario: Scenario) -> tuple[ClassPlan, ...]:
    """Return the priority classes."""
    return tuple(ClassPlan(c.id, c.priority, c.weight, c.deadline) for c in scenario.classes)


def objectives(scenario: Scenario) -> tuple[ObjectivePlan, ...]:
    """Return the objectives."""
    return tuple(
        ObjectivePlan(o.kpi, o.bound, o.cls, o.quantile, "max" if o.at_most is not None else "min")
        for o in scenario.objectives
    )


def policies(scenario: Scenario) -> dict[str, PolicyPlan]:
    """Return the policies that are set; routing and technology have defaults of the network."""
    asked = scenario.policies
    kinds = ("placement", "routing", "admission", "queueing", "technology")
    chosen = ((kind, getattr(asked, kind)) for kind in kinds)
    return {kind: PolicyPlan(kind, use.use, dict(use.options)) for kind, use in chosen if use is not None}


def tariff(spec: Tariff) -> dict[str, float]:
    """Return CNY per metered unit: calls, rows, bytes, core seconds, TEE seconds, results, Mbit/s hours."""
    return {
        "calls": spec.call,
        "rows": spec.row,
        "bytes": spec.gigabyte / 1e9,
        "core_s": spec.core_hour / 3600.0,
        "tee_s": spec.tee_hour / 3600.0,
        "result": spec.result,
        "slice_mbps_h": spec.slice_mbps_h,
    }


def compliance(spec: Compliance) -> dict[str, Any]:
    """Return the rule pack as plain data."""
    return spec.model_dump(mode="python")


def run_plan(scenario: Scenario) -> RunPlan:
    """Return horizon, replications and the rest of ``run``."""
    run = scenario.run
    return RunPlan(
        horizon_s=run.horizon,
        warmup_s=run.warmup,
        replications=run.replications,
        seed=run.seed,
        drain=run.drain,
        drain_limit_s=run.drain_limit,
        telemetry_s=run.telemetry,
        sample_s=run.sample,
        confidence=run.confidence,
        calibration=run.calibration,
        max_retries=run.max_retries,
        retry_s=run.retry,
        kernel=run.kernel,
        detail=None if run.detail == "auto" else run.detail,
    )
