"""Reserved rates: hard shares of links, and what a soft slice guarantees to each of its flows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from dssn_sim.dataplane.layout import UNBOUNDED_BPS, State, grow_links

if TYPE_CHECKING:
    import simpy

    from dssn_sim.dataplane.plane import Activity

__all__ = ["Reservations", "Slice", "guarantees"]


@dataclass(slots=True)
class Slice:
    """A reserved rate on some links.

    Hard: every link gets a share of its own (``cuts``: link to solver resource) that nobody else
    may use. Soft: the flows get a guaranteed part; what they leave idle is free for all.
    """

    id: int
    links: tuple[int, ...]
    rate_bps: float
    hard: bool
    cuts: dict[int, int] = field(default_factory=dict)
    flows: dict[int, Any] = field(default_factory=dict)  # activity number -> activity


def guarantees(
    rates: Mapping[int, float], flows: Sequence[tuple[tuple[int, ...], float, float]]
) -> list[float]:
    """Divide reserved rates among flows: weighted max-min, each within its cap.

    Parameters
    ----------
    rates
        Reserved rate by link (bit/s).
    flows
        (route, weight, cap) of each flow. A flow that leaves the slice's links is guaranteed
        nothing, since the other links promise nothing.

    Returns
    -------
    list of float
        Guaranteed rate of each flow (bit/s).
    """
    out = [0.0] * len(flows)
    free = [i for i, (route, _, _) in enumerate(flows) if all(x in rates for x in route)]
    while free:
        # progressive filling from scratch each round; slices hold few flows
        level, full = min((flows[i][2] / flows[i][1], -1) for i in free)
        for x in rates:
            weight = sum(flows[i][1] * flows[i][0].count(x) for i in free)
            if weight > 0.0:
                used = sum(out[i] * flows[i][0].count(x) for i in range(len(flows)) if i not in free)
                here = max(rates[x] - used, 0.0) / weight
                if here < level:
                    level, full = here, x
        fixed = [i for i in free if (full >= 0 and full in flows[i][0]) or flows[i][2] / flows[i][1] <= level]
        for i in fixed:
            out[i] = min(level * flows[i][1], flows[i][2])
        free = [i for i in free if i not in fixed]
    return out


class Reservations:
    """The part of the data plane that knows links, their rates and the slices on them."""

    env: simpy.Environment
    _k: Any  # compiled functions
    _mem: int
    _state: State
    _n_resources: int
    _canon: list[int]
    _reservable: float  # share of a link's rate that slices may take together

    def _open_links(self, rates: Any, now: float) -> None:
        """Start with the given rates and no slice."""
        n = len(rates)
        self._rate = rates
        self._slices: dict[int, Slice] = {}
        self._next_slice = 0
        self._free_cuts: list[int] = []
        self._cuts: dict[int, dict[int, int]] = {}  # link -> slice id -> its hard share
        self._slices_on: dict[int, set[int]] = {}
        self._reserved = np.zeros(n)
        self._reserved_hard = np.zeros(n)
        self._reserved_acc = np.zeros(n)
        self._reserved_at = np.full(n, float(now))
        self._soft_dirty: set[int] = set()

    def _finish_due(self) -> bool:
        raise NotImplementedError

    def _touch(self) -> None:
        raise NotImplementedError

    def _settle(self) -> None:
        raise NotImplementedError

    def _begin(self, act: Activity, size: float, guarantee: float = 0.0) -> None:
        raise NotImplementedError

    def _unslot(self, act: Activity) -> None:
        raise NotImplementedError

    def open_slice(self, links: Sequence[int], rate_bps: float, *, hard: bool) -> int:
        """Reserve a rate on every link; return the slice id, or -1 if a link has no room."""
        route = tuple(dict.fromkeys(self._canon[x] for x in links))
        for x in route:
            if self._reserved[x] + rate_bps > self._reservable * self._rate[x] * (1.0 + 1e-12):
                return -1
        self._finish_due()
        number = self._next_slice
        self._next_slice += 1
        held = Slice(number, route, rate_bps, hard)
        self._slices[number] = held
        for x in route:
            self._integrate_reserved(x)
            self._slices_on.setdefault(x, set()).add(number)
            if hard:
                held.cuts[x] = self._new_cut()
                self._cuts.setdefault(x, {})[number] = held.cuts[x]
            self._sum_reserved(x)
            self._apply_link(x)
        return number

    def close_slice(self, slice_id: int) -> None:
        """Give the reserved rate back; its flows go on as best effort."""
        self._finish_due()
        held = self._slices.pop(slice_id, None)
        if held is None:
            return
        self._soft_dirty.discard(slice_id)
        now = self.env.now
        moving = list(held.flows.values())
        for act in moving:
            act.slice_id = -1
            if held.hard:
                left = self._k.stop_flow(self._mem, act.slot, now, False)
                self._unslot(act)
                self._begin(act, left)
            else:
                self._k.set_guarantee(self._mem, act.slot, 0.0, now)
        for x in held.links:
            self._integrate_reserved(x)
            self._slices_on[x].discard(slice_id)
            if held.hard:
                del self._cuts[x][slice_id]
            self._sum_reserved(x)
            self._apply_link(x)
        if held.hard:
            if moving:
                self._settle()  # the shares must be empty before they are used again
            for cut in held.cuts.values():
                self._k.move_reservation(self._mem, cut, -1, now)
                self._free_cuts.append(cut)
        self._touch()

    def set_link_rate(self, link: int, rate_bps: float) -> None:
        """Change the capacity of a directed link (0: down)."""
        self._finish_due()
        x = self._canon[link]
        self._integrate_reserved(x)
        self._rate[x] = min(rate_bps, UNBOUNDED_BPS)
        self._apply_link(x)

    def _new_cut(self) -> int:
        """Return a free resource for the hard share of a slice on one link."""
        if self._free_cuts:
            return self._free_cuts.pop()
        cut = self._n_resources
        self._n_resources += 1
        if cut >= len(self._state.links):
            self._state = grow_links(self._state, 2 * cut, len(self._state.order))
        return cut

    def _sum_reserved(self, x: int) -> None:
        """Add up the reservations of a link anew (no rest is left after the last one)."""
        here = [self._slices[s] for s in sorted(self._slices_on.get(x, ())) if s in self._slices]
        self._reserved[x] = sum(s.rate_bps for s in here)
        self._reserved_hard[x] = sum(s.rate_bps for s in here if s.hard)

    def _reserved_factor(self, x: int) -> float:
        """Return which part of its reservations a link can still honour."""
        reserved = float(self._reserved[x])
        rate = float(self._rate[x])
        return rate / reserved if reserved > rate else 1.0

    def _apply_link(self, x: int) -> None:
        """Hand a link's rate and hard shares to the solver."""
        now = self.env.now
        rate = float(self._rate[x])
        factor = self._reserved_factor(x)
        rest = max(rate - float(self._reserved_hard[x]) * factor, 0.0)
        if rest <= 1e-12 * rate:
            rest = 0.0
        self._k.set_capacity(self._mem, x, rest, rate, -1, now)
        for number, cut in self._cuts.get(x, {}).items():
            self._k.set_capacity(self._mem, cut, self._slices[number].rate_bps * factor, rate, x, now)
        for number in self._slices_on.get(x, ()):
            if number in self._slices and not self._slices[number].hard:
                self._soft_dirty.add(number)
        self._touch()

    def _share_slice(self, held: Slice) -> None:
        """Divide a soft slice's reserved rate among its flows."""
        rates = {x: held.rate_bps * self._reserved_factor(x) for x in held.links}
        flows = list(held.flows.values())
        parts = guarantees(rates, [(a.route, a.weight, a.cap) for a in flows])
        # first those that give, then those that take: the sum never exceeds the link
        now = self.env.now
        for act, part in sorted(zip(flows, parts, strict=True), key=lambda ap: ap[1]):
            self._k.set_guarantee(self._mem, act.slot, part, now)

    def _integrate_reserved(self, x: int) -> None:
        now = self.env.now
        rate = float(self._rate[x])
        if rate > 0.0:
            share = min(float(self._reserved[x]) / rate, 1.0)
            self._reserved_acc[x] += share * (now - float(self._reserved_at[x]))
        self._reserved_at[x] = now
