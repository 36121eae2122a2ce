"""Where a run comes from: versions, platform, identity of the plan, cost entries used."""

from __future__ import annotations

import hashlib
import importlib
import math
import os
import pickle
import platform
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from dssn_models.dist import Dist
from dssn_models.plan import JobStepPlan, Plan

__all__ = ["cost_entries", "plan_digest", "platform_facts", "versions"]

_LIBRARIES: Final = ("numpy", "scipy", "simpy", "numba", "networkx", "pyarrow")


def versions() -> dict[str, str]:
    """Return the versions of this package and of the libraries that numbers or bytes depend on."""
    found = {"python": platform.python_version()}
    for name in ("dssn-testbed", *_LIBRARIES):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "unknown"
    found["code"] = _code_digest()
    return found


@cache
def _code_digest() -> str:
    """Return a digest of the model and simulator sources: a working copy changes without a new version."""
    digest = hashlib.sha256()
    for package in ("dssn_models", "dssn_sim"):
        root = Path(importlib.import_module(package).__file__ or "").parent
        for path in sorted(p for p in root.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def platform_facts() -> dict[str, Any]:
    """Return operating system, machine and number of cores."""
    return {
        "system": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "byte_order": sys.byteorder,
    }


def plan_digest(plan: Plan, seed: int, simulate: str, policies: Mapping[str, Any] | None = None) -> str:
    """Return the identity of what is computed: equal digests give equal replications.

    The number of replications is left out, so that a run can be continued with more of them.
    """
    same = replace(plan, scenario_hash="", run=replace(plan.run, replications=0, seed=seed))
    text = f"{simulate}\n{same!r}"
    for kind, policy in sorted((policies or {}).items()):
        text += f"\n{kind}={_identity(policy)}"
    return hashlib.sha256(text.encode()).hexdigest()


def _identity(policy: object) -> str:
    """Return what tells two policy objects apart: class or function, and options as far as they pickle."""
    named = policy if isinstance(policy, type) or callable(policy) else type(policy)
    name = f"{getattr(named, '__module__', '')}:{getattr(named, '__qualname__', type(policy).__qualname__)}"
    try:
        return name + hashlib.sha256(pickle.dumps(policy, protocol=5)).hexdigest()
    except (pickle.PicklingError, AttributeError, TypeError):
        return name


def cost_entries(plan: Plan) -> list[dict[str, Any]]:
    """Return the cost-table entries that the plan's engines and services use, with source and confidence.

    An engine names its sources when asked for a cost, so each job step is priced once with the
    means of its parameters.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    try:
        from dssn_models.engines import REGISTRY
    except ImportError:  # the engines' room is optional for a plan without jobs
        registry: Mapping[str, Any] = {}
    else:
        registry = REGISTRY
    for stream in plan.streams:
        for step in (*stream.steps, *stream.alternate):
            engine = registry.get(step.engine)
            if engine is None:
                continue
            parties = max(1, round(stream.parties.mean))
            try:
                cost = engine.cost(_means(step), parties, step.profile, stream.net.suite)
            except (ValueError, KeyError, ArithmeticError):
                continue  # the replications will fail with this reason, and say so
            for s in cost.sources:
                entry = {
                    "entry": s.entry, "value": s.value, "unit": s.unit, "source": s.source,
                    "confidence": s.confidence, "used_by": [],
                }  # fmt: skip
                user = f"{stream.id}.{step.id}"
                entry = found.setdefault((s.entry, s.source), entry)
                if user not in entry["used_by"]:
                    entry["used_by"].append(user)
    for service in plan.services:
        for name, operation in service.operations.items():
            found[f"{service.id}.{name}", operation.source] = {
                "entry": f"{service.id}.{name}", "value": operation.service_s.mean, "unit": "s",
                "source": operation.source, "confidence": operation.confidence, "used_by": [service.id],
            }  # fmt: skip
    return sorted(found.values(), key=lambda e: (e["entry"], e["source"]))


def _means(step: JobStepPlan) -> dict[str, float | str | bool]:
    found: dict[str, float | str | bool] = {}
    for name, value in step.params.items():
        if not isinstance(value, Dist):
            found[name] = value
            continue
        mean = min(max(value.mean, value.low), value.high)
        if math.isfinite(mean):  # a heavy tail has no mean: the engine's default then names the same sources
            found[name] = mean
    return found
