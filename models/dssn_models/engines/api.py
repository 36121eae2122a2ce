"""What an engine tells the simulator: four numbers per step.

An engine run is a list of steps. A step costs core-seconds per role, bytes per
ordered pair of roles, rounds, and an overlap ``a``: on idle resources its time is
``max(C, N) + a * min(C, N) + rounds * RTT`` with C the computing and N the sending time.
The shells turn a step into an activity graph (see ``docs/design/activities.md``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

__all__ = ["CostSource", "Engine", "EngineImage", "JobCost", "RoleNeed", "Step"]


@dataclass(frozen=True, slots=True)
class CostSource:
    """Where a constant comes from (rule: every constant has a source)."""

    entry: str  # key in the cost table, for example psi.ecdh.point_mult_s
    value: float
    unit: str
    source: str
    confidence: str  # measured | read | assumed


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an engine run.

    Attributes
    ----------
    name : str
        Shown in the phases table.
    work : tuple of (role, core_seconds)
        On the reference core; several roles compute at the same time.
    traffic : tuple of (source role, target role, payload bytes)
        Pairs send at the same time.
    rounds : int
        Sequential message exchanges; each costs one round-trip time of the widest pair.
    overlap : float
        ``a`` above: 1 is strictly one after the other, 0 is fully streamed.
    operator : str
        What accelerators may speed up.
    accelerable : float
        Share of the work that the operator covers.
    data : str
        Class of the bytes: ``protocol`` | ``result`` | ``raw`` (only data packages and plain APIs).
    in_enclave : bool
        Work runs inside the TEE (slowdown and paging apply).
    cores : float
        Cores of a role that this step can use at most (1 for a serial part: Amdahl); infinity
        where only the role's need bounds it.
    """

    name: str
    work: tuple[tuple[str, float], ...] = ()
    traffic: tuple[tuple[str, str, float], ...] = ()
    rounds: int = 0
    overlap: float = 1.0
    operator: str = ""
    accelerable: float = 0.0
    data: str = "protocol"
    in_enclave: bool = False
    cores: float = math.inf


@dataclass(frozen=True, slots=True)
class RoleNeed:
    """What a role needs on its node while the job runs."""

    cores: float = 1.0  # cores it can use at most (and reserves on a node with reserved sharing)
    min_cores: float = 1.0  # refused at admission on a smaller node
    memory_bytes: float = 0.5e9
    enclave_bytes: float = 0.0


@dataclass(frozen=True, slots=True)
class EngineImage:
    """The image that is loaded from the registry when an engine is cold."""

    name: str
    bytes: float
    start_s: float  # start once it is on the node
    verify_s_per_byte: float = 0.0  # hash check


@dataclass(frozen=True, slots=True)
class JobCost:
    """Cost of one engine run with given parameters."""

    steps: tuple[Step, ...]
    needs: Mapping[str, RoleNeed]
    result_bytes: float = 0.0
    sources: tuple[CostSource, ...] = ()
    meters: Mapping[str, float] = field(default_factory=dict)  # rows, calls, results ... for metering


@runtime_checkable
class Engine(Protocol):
    """An engine's cost side.

    Roles: ``guest`` (the consumer's side, starts and learns the result), ``host`` or ``host1..n``
    (providers), ``arbiter`` (a helper placed by policy), ``tee`` (an enclave placed by policy).
    """

    @property
    def name(self) -> str:
        """Key in the registry: psi.ecdh, fl.horizontal, ..."""
        ...

    @property
    def title(self) -> str:
        """Name for people."""
        ...

    @property
    def weight(self) -> str:
        """Class by footprint: light, medium or heavy."""
        ...

    @property
    def image(self) -> EngineImage:
        """What is loaded where the engine is cold."""
        ...

    @property
    def confidentiality(self) -> str:
        """What leaves the owner: plain, privacy or tee."""
        ...

    def roles(self, parties: int) -> Sequence[str]:
        """Return the roles of a run with this many providers."""
        ...

    def parameters(self) -> Mapping[str, tuple[float | str | bool, str, str]]:
        """Return parameter name to (default, unit kind or '', meaning); the schema checks against it."""
        ...

    def profiles(self) -> Sequence[str]:
        """Return the names of the cost profiles this engine has."""
        ...

    def cost(
        self, params: Mapping[str, float | str | bool], parties: int, profile: str, suite: str
    ) -> JobCost:
        """Return the cost of one run.

        Parameters
        ----------
        params : Mapping
            SI values; missing ones take their defaults. ``rows`` is the common size parameter.
        parties : int
            Providers taking part.
        profile : str
            A name from :meth:`profiles`.
        suite : str
            ``international`` or ``sm``: sets curve, hash and cipher costs.
        """
        ...
