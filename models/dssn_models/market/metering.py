"""Metering: usage events of deliveries, each counted once [BIZ-06]."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

__all__ = ["KINDS", "DoubleMeteringError", "Meter", "MeterBook", "UsageEvent", "reconcile"]

#: Meter kind -> (unit, meaning).
KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "calls": ("", "API calls"),
    "rows": ("", "records processed or delivered"),
    "bytes": ("B", "payload moved on the data plane"),
    "core_s": ("core-s", "computing"),
    "gpu_s": ("s", "one GPU in use"),
    "tee_s": ("s", "one enclave open (simulated TEE)"),
    "result": ("", "results delivered"),
    "slice_mbps_h": ("Mbit/s*h", "reserved rate"),
    "stream_s": ("s", "one stream open"),
    "storage_gb_h": ("GB*h", "stored data"),
}


class Meter(NamedTuple):
    """Total usage of one kind by one party in one order."""

    order: int
    party: str
    kind: str
    quantity: float


class UsageEvent(NamedTuple):
    """One usage event as a counter reports it; ``event`` names it once and for all."""

    event: str
    order: int
    party: str
    kind: str
    quantity: float


class DoubleMeteringError(ValueError):
    """Two different usages under one event name."""


@dataclass
class MeterBook:
    """Collects usage events; an event that comes twice counts once.

    Reports may be repeated (a retry after a lost acknowledgement), so the same event with the same content
    is ignored; with other content it is an error.
    """

    events: dict[str, UsageEvent] = field(default_factory=dict)
    repeats: int = 0

    def record(self, usage: UsageEvent) -> bool:
        """Take an event; return False if it was known.

        Raises
        ------
        DoubleMeteringError
            The name is known with other content.
        ValueError
            Unknown kind, or a quantity that is negative or no number.
        """
        if usage.kind not in KINDS:
            raise ValueError(f"{usage.kind!r} is no meter kind; allowed: {', '.join(KINDS)}")
        if not (usage.quantity >= 0 and math.isfinite(usage.quantity)):
            raise ValueError(f"event {usage.event!r}: quantity {usage.quantity!r}")
        known = self.events.get(usage.event)
        if known is None:
            self.events[usage.event] = usage
            return True
        if known != usage:
            raise DoubleMeteringError(f"event {usage.event!r} was {known}, now {usage}")
        self.repeats += 1
        return False

    def meters(self) -> list[Meter]:
        """Return totals by order, party and kind, sorted; the sum is exact (:func:`math.fsum`)."""
        groups: dict[tuple[int, str, str], list[float]] = {}
        for e in self.events.values():
            groups.setdefault((e.order, e.party, e.kind), []).append(e.quantity)
        return [Meter(*key, math.fsum(parts)) for key, parts in sorted(groups.items())]


def reconcile(
    meters: list[Meter], counters: Mapping[str, float], tolerance: float = 1e-9
) -> dict[str, tuple[float, float]]:
    """Return the kinds whose metered total differs from a counter: kind -> (metered, counted).

    ``tolerance`` is relative to the counter; every kind of either side is compared.
    """
    totals: dict[str, list[float]] = {}
    for m in meters:
        totals.setdefault(m.kind, []).append(m.quantity)
    out: dict[str, tuple[float, float]] = {}
    for kind in sorted(set(totals) | set(counters)):
        metered, counted = math.fsum(totals.get(kind, [])), counters.get(kind, 0.0)
        if abs(metered - counted) > tolerance * max(abs(counted), 1e-300):
            out[kind] = (metered, counted)
    return out
