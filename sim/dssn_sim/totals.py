"""Samples over time and totals over [warm-up, horizon]: the rows that every kernel writes in the same way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dssn_models.plan import Plan
from dssn_sim.peaks import Peaks, Use

__all__ = ["LinkTotals", "NodeTotals", "Sampler", "ServiceTotals", "link_rows", "node_rows", "service_rows"]

Floats = NDArray[np.float64]
Row = tuple[Any, ...]


class Sampler:
    """Takes samples of counts and of mean utilisation by group: the time series of the report.

    Parameters
    ----------
    plan : Plan
        Links, nodes and classes.
    rows : list
        Of the table ``samples``.
    """

    def __init__(self, plan: Plan, rows: list[Row]) -> None:
        self._rows, self._step = rows, plan.run.sample_s
        self._cores = np.array([n.cores for n in plan.nodes])
        self._roles: dict[str, list[int]] = {}
        for i, node in enumerate(plan.nodes):
            self._roles.setdefault(node.role, []).append(i)
        self._planes: dict[str, list[int]] = {}
        for link in plan.network.links:
            both = (2 * link.index,) if link.shared else (2 * link.index, 2 * link.index + 1)
            self._planes.setdefault(("access " if link.access else "") + link.technology, []).extend(both)
        zeros = [np.zeros(n) for n in (2 * len(plan.network.links), len(plan.nodes), len(plan.nodes))]
        self._last = Use(*zeros)
        self._peaks = Peaks(plan.run.warmup_s, Use(*zeros))

    @property
    def largest(self) -> Use:
        """Means over the busiest window so far."""
        return self._peaks.largest

    def look(
        self, now: float, system: Iterable[tuple[str, float]], in_flight: Mapping[str, int], use: Use,
        queues: Mapping[str, int],
    ) -> None:  # fmt: skip
        """Write the samples of this time.

        Parameters
        ----------
        now : float
            Virtual time (s).
        system : iterable of (metric, value)
            Counts of the whole.
        in_flight : Mapping
            Class to orders under way.
        use : Use
            Integrals up to now.
        queues : Mapping
            Service to calls waiting.
        """
        rows, step = self._rows, self._step
        rows += [(now, "system", "all", metric, float(value)) for metric, value in system]
        rows += [(now, "class", name, "in_flight", float(count)) for name, count in in_flight.items()]
        last = self._last
        # After the warm-up the integrals start again from zero.
        delta = use.busy - last.busy if (use.busy >= last.busy).all() else use.busy
        change = use.links - last.links if (use.links >= last.links).all() else use.links
        self._last = use
        self._peaks.look(now, use)
        for role, members in self._roles.items():
            total = float(self._cores[members].sum()) * step
            rows.append((now, "node", role, "util", float(delta[members].sum()) / total if total else 0.0))
        for plane, members in self._planes.items():
            share = change[members] / step
            rows.append((now, "link", plane, "util_mean", float(share.mean())))
            rows.append((now, "link", plane, "util_max", float(share.max())))
        rows += [(now, "service", name, "queue", float(length)) for name, length in queues.items()]


@dataclass(frozen=True)
class LinkTotals:
    """Of each directed link: bytes, busy and reserved seconds, greatest use; seconds down by index of the link."""

    sent: Sequence[float]
    busy_s: Sequence[float]
    reserved_s: Sequence[float]
    peak: Sequence[float]
    down_s: Mapping[int, float]


@dataclass(frozen=True)
class NodeTotals:
    """Of each node: core-seconds executed and held, jobs waiting x seconds, and counters."""

    busy: Sequence[float]
    held: Sequence[float]
    queue: Sequence[float]
    jobs: Sequence[int]
    peak_memory: Sequence[float]
    down_s: Sequence[float]
    cold: Sequence[int]
    warm: Sequence[int]


@dataclass(frozen=True)
class ServiceTotals:
    """Of one service."""

    calls: int
    busy_s: float
    wait_mean_s: float
    wait_p99_s: float
    dropped: int
    down_s: float


def link_rows(plan: Plan, totals: LinkTotals, span_s: float, largest: Use) -> list[Row]:
    """Return the rows of the table ``links``."""
    rows: list[Row] = []
    for link in plan.network.links:
        down = totals.down_s.get(link.index, 0.0)
        for k, rate in ((0, link.rate_ab_bps), (1, link.rate_ba_bps)):
            if link.shared and k == 1:
                continue
            i = 2 * link.index + k
            rows.append(
                (link.id, "ab" if k == 0 else "ba", link.technology, rate, totals.busy_s[i] / span_s, totals.peak[i],
                 totals.sent[i], down, totals.reserved_s[i] / span_s, float(largest.links[i]))
            )  # fmt: skip
    return rows


def node_rows(plan: Plan, totals: NodeTotals, span_s: float, largest: Use) -> list[Row]:
    """Return the rows of the table ``nodes``."""
    rows: list[Row] = []
    hours = plan.run.horizon_s / 3600
    for i, node in enumerate(plan.nodes):
        busy, held = float(totals.busy[i]), float(totals.held[i])
        # With shared cores nothing is held: then nothing is idle in hold either.
        idle = max(0.0, held - busy) if node.sharing == "reserved" else 0.0
        rows.append(
            (
                node.id, node.role, node.site, node.size, node.cores, busy / (node.cores * span_s),
                held / (node.cores * span_s), idle, busy, int(totals.jobs[i]), float(totals.peak_memory[i]),
                float(totals.down_s[i]), int(totals.cold[i]), int(totals.warm[i]), float(totals.queue[i]) / span_s,
                node.price_cny_per_hour * hours, float(largest.busy[i]) / node.cores,
                float(largest.held[i]) / node.cores,
            )
        )  # fmt: skip
    return rows


def service_rows(plan: Plan, totals: Mapping[str, ServiceTotals], span_s: float) -> list[Row]:
    """Return the rows of the table ``services``."""
    rows: list[Row] = []
    for service in plan.services:
        use = totals[service.id]
        rows.append(
            (
                service.id, service.kind, service.site, service.servers, use.calls,
                use.busy_s / (service.servers * span_s), use.wait_mean_s, use.wait_p99_s, use.dropped, use.down_s,
            )
        )  # fmt: skip
    return rows
