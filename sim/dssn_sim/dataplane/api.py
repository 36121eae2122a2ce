"""The activity interface: what the control plane asks of the data plane.

The control plane (Python, SimPy) starts activities and waits for their events; everything
between start and completion happens inside the data plane. ``transfer`` moves bytes over a
route, ``execute`` does work on a device. Both end with an :class:`Outcome` as the event's
value; a cut path or failed node is an outcome with a reason code, never an exception.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["DataPlaneApi", "DeviceCapacity", "DeviceUse", "LinkUse", "Outcome"]


class Outcome(NamedTuple):
    """How an activity ended; ``reason`` is '' or a code of ``market.reasons``."""

    start_s: float
    end_s: float
    done: float  # bytes or core-seconds
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DeviceCapacity:
    """Cores and speed of one device, and how works get them.

    ``ps`` and ``reserved``: all works at once, as :meth:`DataPlaneApi.execute` says; ``slots``: a work waits for its
    whole ``max_cores``, by (priority, arrival); ``preemptive``: the same, and an urgent work takes the cores of less
    urgent ones.
    """

    id: str
    cores: float
    core_speed: float = 1.0
    sharing: Literal["reserved", "ps", "slots", "preemptive"] = "ps"


@dataclass(slots=True)
class LinkUse:
    """Totals of one directed link since the last reset (end of warm-up)."""

    bytes: float  # wire bytes
    busy_s: float  # integral of utilisation over time
    reserved_s: float  # integral of reserved share over time
    peak: float


@dataclass(slots=True)
class DeviceUse:
    """Totals of one device since the last reset."""

    core_s: float  # executed, in core-seconds of this device's own cores
    busy_s: float  # integral of busy cores over time


class DataPlaneApi(Protocol):
    """Flows over directed links and work on devices, exact in between events.

    Directed links are numbered as in ``NetworkPlan`` (2*index for a->b, 2*index+1 for b->a).
    ``simpy.Event`` is written ``Any`` here so that the protocol needs no SimPy types.
    """

    def transfer(
        self,
        links: Sequence[int],
        wire_bytes: float,
        *,
        latency_s: float = 0.0,
        weight: float = 1.0,
        priority: int = 0,
        cap_bps: float = float("inf"),
        slice_id: int = -1,
    ) -> Any:
        """Start a flow; the event fires ``latency_s`` after its last byte left.

        Flows share each link by weighted max-min within strict priorities (0 first).
        A flow in a slice uses the slice's reserved rate only (hard), or at least it (soft).
        No links (same node) takes ``latency_s``. A zero-capacity link holds the flow until
        repair; the control plane sets time-outs with :meth:`cancel`.
        """
        ...

    def execute(
        self, device: int, work_core_s: float, *, max_cores: float, min_share: float = 0.0, priority: int = 0
    ) -> Any:
        """Start work (reference core-seconds) using at most ``max_cores``.

        Cores are shared max-min among the active works of the device, each within its
        ``max_cores``; ``min_share`` cores are guaranteed (reserved sharing: equal to ``max_cores``).
        On a device with slots works hold ``max_cores`` or wait; ``min_share`` means nothing there.
        """
        ...

    def cancel(self, event: Any, reason: str) -> Outcome:
        """End a running activity now; its event fires with this reason and the part done."""
        ...

    def open_slice(self, links: Sequence[int], rate_bps: float, *, hard: bool) -> int:
        """Reserve a rate on every link; return the slice id, or -1 if a link has no room."""
        ...

    def close_slice(self, slice_id: int) -> None:
        """Give the reserved rate back; its flows go on as best effort."""
        ...

    def set_link_rate(self, link: int, rate_bps: float) -> None:
        """Change the capacity of a directed link (0: down)."""
        ...

    def set_device(self, device: int, cores: float) -> None:
        """Change the cores of a device (0: down; running work stops until it is back)."""
        ...

    def link_free_bps(self, link: int) -> float:
        """Return capacity minus the present rates of flows on a directed link."""
        ...

    def flows_on(self, link: int) -> Sequence[Any]:
        """Return the events of the flows that cross a directed link (for re-routing)."""
        ...

    def link_use(self) -> Sequence[LinkUse]:
        """Return totals per directed link up to now."""
        ...

    def device_use(self) -> Sequence[DeviceUse]:
        """Return totals per device up to now."""
        ...

    def busy_integrals(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return busy seconds per directed link and busy core-seconds per device up to now, as arrays."""
        ...

    def reset_use(self) -> None:
        """Forget totals (end of warm-up)."""
        ...
