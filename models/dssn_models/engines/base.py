"""What all engines share: parameters, cost table look-ups with provenance.

Engines are pure functions of (parameters, parties, profile, suite). They hold their constants as
look-ups into a :class:`~dssn_models.crypto.tables.CostTable`; every key they read becomes one of the
cost's ``sources``, so a report can list what it stood on. The suite sets curves, hashes, seeds and seals; the
encryption of the channel itself is no engine's matter: a backend adds
:func:`~dssn_models.crypto.suites.bulk_core_s` at both ends of what really crosses a link.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Final

import numpy as np

from dssn_models.crypto.suites import Suite, find_suite
from dssn_models.crypto.tables import CostTable, cost_table
from dssn_models.engines.api import CostSource, EngineImage, JobCost, RoleNeed, Step
from dssn_models.engines.columns import Column, CostGroup, grouped

__all__ = ["CORES", "BaseEngine", "Builder", "Param", "Params", "Value", "hosts_of", "num", "pages"]

Value = float | str | bool
Params = Mapping[str, Value]
Param = tuple[Value, str, str]  # default, unit kind ('' for a plain number, word or flag), meaning

#: Most cores that a run reserves on a node; a node with fewer gives those it has.
CORES: Final[Param] = (8.0, "", "cores that the run can use at most")

MAX_QUANTITY: Final = 1e18  # beyond it a parameter is an error, not a size


@lru_cache(maxsize=256)
def hosts_of(parties: int) -> tuple[str, ...]:
    """Roles of the providers: ``host`` for one, else ``host1`` to ``hostn``."""
    if parties < 1:
        raise ValueError(f"parties {parties}: at least one provider")
    return ("host",) if parties == 1 else tuple(f"host{i}" for i in range(1, parties + 1))


def pages(count: float, per_page: float) -> float:
    """Whole pages (ciphertexts, blocks) that hold ``count`` items."""
    return 1.0 * math.ceil(count / per_page) if count > 0 else 0.0


class Builder:
    """Collects the steps of one run and the constants that it reads."""

    __slots__ = ("_seen", "_table", "hosts", "steps", "suite")

    def __init__(self, table: CostTable, suite: Suite, hosts: tuple[str, ...]) -> None:
        self._table = table
        self._seen: dict[str, CostSource] = {}
        self.suite = suite
        self.hosts = hosts
        self.steps: list[Step] = []

    def value(self, key: str) -> float:
        """Read a constant and note that it was used."""
        found = self._seen.get(key)
        if found is None:
            found = self._seen[key] = self._table.get(key)
        return found.value

    def step(
        self,
        name: str,
        work: Mapping[str, float] | None = None,
        traffic: Sequence[tuple[str, str, float]] = (),
        *,
        rounds: float = 0,
        overlap: float = 1.0,
        operator: str = "",
        accelerable: float = 0.0,
        data: str = "protocol",
        in_enclave: bool = False,
        cores: float = math.inf,
    ) -> None:
        """Add a step; the channel's encryption is not in it, the backend adds it for what crosses a link."""
        flows = tuple(t for t in traffic if t[2] > 0.0)
        load = tuple((r, w) for r, w in work.items() if w > 0.0) if work else ()
        if not (load or flows or rounds):
            return
        self.steps.append(
            Step(name, load, flows, math.ceil(rounds), overlap, operator, accelerable,
                 data, in_enclave, cores)
        )  # fmt: skip

    def job(
        self,
        needs: Mapping[str, RoleNeed],
        result_bytes: float = 0.0,
        **meters: float,
    ) -> JobCost:
        """Return the finished cost."""
        return JobCost(tuple(self.steps), needs, result_bytes, tuple(self._seen.values()), meters)

    def need(self, cores: float, memory_bytes: float, enclave_bytes: float = 0.0) -> RoleNeed:
        """Return a role's need: working memory comes on top of the engine's base memory."""
        return RoleNeed(cores, 1.0, self.value("memory.base_bytes") + memory_bytes, enclave_bytes)


class BaseEngine:
    """An engine with declared parameters; subclasses give ``build``."""

    name: ClassVar[str]
    title: ClassVar[str]
    weight: ClassVar[str]
    confidentiality: ClassVar[str]
    operators: ClassVar[tuple[str, ...]] = ()
    protocol: ClassVar[bool] = False  # a working protocol stands beside the cost
    PARAMETERS: ClassVar[Mapping[str, Param]]
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    PROFILES: ClassVar[Mapping[str, str]] = {"reference": "the reference cost table"}
    EXTRA_ROLES: ClassVar[tuple[str, ...]] = ()

    def __init__(self, table: CostTable | None = None) -> None:
        self.table = table or cost_table("reference")
        size = self.table.value(f"image.{self.weight}_bytes")
        start = self.table.value(f"image.{self.weight}_start_s")
        verify = self.table.value("hash.sha256_s_per_byte")
        self.image = EngineImage(f"{self.name}:1", size, start, verify)
        self._defaults: dict[str, Value] = {k: p[0] for k, p in self.PARAMETERS.items()}
        self._cached = lru_cache(maxsize=512)(self._cost)

    # -------------------------------------------------------------- the Engine protocol

    def roles(self, parties: int) -> Sequence[str]:
        """Return guest, the hosts, and helpers that a policy places."""
        return ("guest", *hosts_of(parties), *self.EXTRA_ROLES)

    def parameters(self) -> Mapping[str, Param]:
        """Return parameter name to (default, unit kind, meaning)."""
        return self.PARAMETERS

    def choices(self) -> Mapping[str, tuple[str, ...]]:
        """Return the allowed words of parameters that are words."""
        return self.CHOICES

    def profiles(self) -> Sequence[str]:
        """Return the names of the cost profiles."""
        return tuple(self.PROFILES)

    def cost(
        self, params: Params, parties: int = 1, profile: str = "reference", suite: str = "international"
    ) -> JobCost:
        """Return the cost of one run (see :class:`~dssn_models.engines.api.Engine`).

        Parameters that the engine does not know are ignored here (the schema reports them); a word
        that is not among the choices, or a number out of range, is a ValueError.
        """
        return self._cached(tuple(self._complete(params).items()), parties, profile, suite)

    def cost_columns(
        self, params: Mapping[str, Any], n: int, parties: int, profile: str, suite: str
    ) -> list[CostGroup]:
        """Return the costs of n runs, in groups with the same steps.

        Parameters
        ----------
        params : Mapping
            As in :meth:`cost`; an array of length n where the runs differ.
        """
        for key, value in params.items():
            if isinstance(value, np.ndarray) and key in self._defaults:
                bad = value[~((value >= 0) & (value <= MAX_QUANTITY))]
                if len(bad) or isinstance(self._defaults[key], str):
                    self.cost({key: float(bad[0] if len(bad) else value[0])}, parties, profile, suite)
        return grouped(lambda p: self._build(self._complete(p), parties, profile, suite), params, n)

    # -------------------------------------------------------------- inside

    def _complete(self, params: Params) -> dict[str, Value]:
        return self._defaults | {k: v for k, v in params.items() if k in self._defaults}

    def _cost(self, items: tuple[tuple[str, Value], ...], parties: int, profile: str, suite: str) -> JobCost:
        return self._build(dict(items), parties, profile, suite)

    def _build(self, values: dict[str, Value], parties: int, profile: str, suite: str) -> JobCost:
        if profile not in self.PROFILES:
            raise ValueError(
                f"{self.name}: no cost profile {profile!r}; there are: {', '.join(self.PROFILES)}"
            )
        for key, allowed in self.CHOICES.items():
            if values[key] not in allowed:
                raise ValueError(f"{self.name}: {key} {values[key]!r}; allowed: {', '.join(allowed)}")
        for key, value in values.items():
            if isinstance(value, Column) or isinstance(self._defaults[key], str):
                continue
            if isinstance(value, str) or not 0 <= value <= MAX_QUANTITY:
                raise ValueError(
                    f"{self.name}: {key} {value!r}; allowed: a number from 0 to {MAX_QUANTITY:g}"
                )
        build = Builder(self.table, find_suite(suite), hosts_of(parties))
        return self.build(values, build, profile)

    def build(self, p: dict[str, Value], b: Builder, profile: str) -> JobCost:
        """Return the cost from complete parameters."""
        raise NotImplementedError


def num(p: Mapping[str, Value], key: str) -> float:
    """Return a numeric parameter as float (as it is where it is the column of many orders)."""
    value: Any = p[key]
    number: Any = value if isinstance(value, Column) else float(value)
    return number  # type: ignore[no-any-return]
