"""The whole file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from dssn.schema.base import WORD, JsonSchema, Model, Short, Text
from dssn.schema.network import Network
from dssn.schema.nodes import AssetEntry, NodeEntry, Party
from dssn.schema.operations import Compliance, Fault, Objective, Policies, PriorityClass, Run, Service, Tariff
from dssn.schema.selectors import _as_list
from dssn.schema.workload import Profile, Stream

__all__ = ["Scenario", "json_schema"]


class Scenario(Model):
    """A data-circulation network and the question asked of it."""

    dssn: Literal[1]
    """Version of the language."""
    title: Text = ""
    """One line for lists and reports."""
    question: Text = ""
    """What the run shall answer; the report opens with it."""
    import_: Annotated[tuple[str, ...], Short(_as_list, (WORD,))] = Field(default=(), alias="import")
    """Presets and other files, merged below this one in the order given."""
    network: Network
    """Sites, carrier planes, access lines and routing."""
    nodes: Annotated[tuple[NodeEntry, ...], Field(min_length=1, max_length=20_000)]
    """DSN, DRN, pools, exchanges, regulators: one by one or generated."""
    parties: Annotated[tuple[Party, ...], Field(max_length=20_000)] = ()
    """Organisations; those that are only named by a node need no entry."""
    assets: Annotated[tuple[AssetEntry, ...], Field(max_length=20_000)] = ()
    """Data sets: one by one or generated."""
    classes: Annotated[tuple[PriorityClass, ...], Field(min_length=1, max_length=50)]
    """Priority classes (``presets/base.yaml`` has urgent, standard and bulk)."""
    profiles: dict[str, Profile] = Field(default_factory=dict)
    """Day profiles by name, 24 numbers each, for diurnal arrivals."""
    workload: Annotated[tuple[Stream, ...], Field(min_length=1, max_length=1000)]
    """Streams of orders."""
    services: Annotated[tuple[Service, ...], Field(max_length=200)]
    """Control-plane stations and the cost of their operations (``presets/base.yaml`` has them all)."""
    policies: Policies = Policies()
    """Who decides."""
    faults: Annotated[tuple[Fault, ...], Field(max_length=10_000)] = ()
    """What breaks."""
    objectives: Annotated[tuple[Objective, ...], Field(max_length=200)] = ()
    """Service-level objectives."""
    tariff: Tariff = Tariff()
    """Prices of metered usage."""
    compliance: Compliance = Compliance()
    """Rule pack of the review."""
    run: Run
    """Horizon, warm-up, replications, seed."""
    emulation: dict[str, Any] = Field(default_factory=dict)
    """Reserved for the emulation."""
    overrides: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Named variants: partial scenarios that ``--override`` merges over this one."""


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a scenario file, for editors."""
    schema = Scenario.model_json_schema(by_alias=True, schema_generator=JsonSchema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        # what a preset supplies need not stand in the file itself
        "required": ["dssn"],
    }
