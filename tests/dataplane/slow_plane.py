"""A slow, obviously right data plane in exact fractions: the truth for the property tests.

Nothing is incremental here: after every event all rates are computed from scratch by progressive
filling, and time jumps to the next completion or the next step of the script.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction as Q
from typing import Any

INF = None  # no cap


@dataclass
class SlowFlow:
    """One transfer or work; ``left`` in bits or core-seconds of the device."""

    name: Any
    route: list[int]
    left: Q
    weight: Q = Q(1)
    cap: Q | None = INF
    priority: int = 0
    slice_id: int = -1
    floor: Q = Q(0)
    rate: Q = Q(0)
    part: Q = Q(0)  # guaranteed part


@dataclass
class SlowSlice:
    links: list[int]
    rate: Q
    hard: bool


def fill(rooms: dict[Any, Q], flows: list[tuple[list[Any], Q, Q | None]]) -> list[Q]:
    """Weighted max-min by progressive filling: (route, weight, cap) of each flow -> rates."""
    out: list[Q] = [Q(0)] * len(flows)
    free = set(range(len(flows)))
    while free:
        level = None
        for room in rooms:
            weight = sum((flows[i][1] * flows[i][0].count(room) for i in free), Q(0))
            if weight > 0:
                used = sum(
                    (out[i] * flows[i][0].count(room) for i in range(len(flows)) if i not in free), Q(0)
                )
                here = (rooms[room] - used) / weight
                level = here if level is None else min(level, here)
        for i in free:
            cap = flows[i][2]
            if cap is not None:
                level = cap / flows[i][1] if level is None else min(level, cap / flows[i][1])
        assert level is not None
        assert level >= 0
        fixed = set()
        for i in free:
            cap = flows[i][2]
            if cap is not None and cap / flows[i][1] <= level:
                fixed.add(i)
        for room in rooms:
            weight = sum((flows[i][1] * flows[i][0].count(room) for i in free), Q(0))
            if weight > 0:
                used = sum(
                    (out[i] * flows[i][0].count(room) for i in range(len(flows)) if i not in free), Q(0)
                )
                if used + weight * level >= rooms[room]:
                    fixed |= {i for i in free if room in flows[i][0]}
        for i in fixed:
            out[i] = level * flows[i][1]
        free -= fixed
    return out


@dataclass
class SlowPlane:
    """Flows, slices and capacities; devices are further links with floors."""

    capacity: list[Q]
    now: Q = Q(0)
    flows: dict[Any, SlowFlow] = field(default_factory=dict)
    slices: dict[int, SlowSlice] = field(default_factory=dict)
    finished: dict[Any, Q] = field(default_factory=dict)
    moved: list[Q] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.moved = [Q(0)] * len(self.capacity)

    def shares(self) -> None:
        """Set the rate of every flow from scratch."""
        rooms: dict[Any, Q] = dict(enumerate(self.capacity))
        factor = {}
        for x, c in enumerate(self.capacity):
            reserved = sum((s.rate for s in self.slices.values() if x in s.links), Q(0))
            factor[x] = min(Q(1), c / reserved) if reserved else Q(1)
        routes: dict[Any, list[Any]] = {}
        for s_id, s in self.slices.items():
            if s.hard:
                for x in s.links:
                    rooms[(s_id, x)] = s.rate * factor[x]
                    rooms[x] -= s.rate * factor[x]
        for f in self.flows.values():
            s = self.slices.get(f.slice_id)
            routes[f.name] = [
                (f.slice_id, x) if s is not None and s.hard and x in s.links else x for x in f.route
            ]
            f.part = Q(0)
        # guaranteed parts: floors on a device scaled together, soft slices by max-min
        for x, c in enumerate(self.capacity):
            here = [f for f in self.flows.values() if f.route == [x] and f.floor > 0]
            wanted = sum((f.floor for f in here), Q(0))
            for f in here:
                f.part = f.floor * (min(Q(1), c / wanted))
        for s_id, s in self.slices.items():
            if s.hard:
                continue
            here = [
                f for f in self.flows.values() if f.slice_id == s_id and all(x in s.links for x in f.route)
            ]
            parts = fill({x: s.rate * factor[x] for x in s.links}, [(f.route, f.weight, f.cap) for f in here])
            for f, part in zip(here, parts, strict=True):
                f.part = part
        for f in self.flows.values():
            f.rate = f.part
            for r in routes[f.name]:
                rooms[r] -= f.part
        for priority in sorted({f.priority for f in self.flows.values()}):
            here = [f for f in self.flows.values() if f.priority == priority]
            extra = fill(
                {r: max(room, Q(0)) for r, room in rooms.items()},
                [
                    (routes[f.name], f.weight, None if f.cap is None else max(f.cap - f.part, Q(0)))
                    for f in here
                ],
            )
            for f, e in zip(here, extra, strict=True):
                f.rate += e
                for r in routes[f.name]:
                    rooms[r] -= e

    def run(self, until: Q | None) -> None:
        """Let time pass up to ``until`` (None: to the end of all flows that still move)."""
        while True:
            self.shares()
            ends = [self.now + f.left / f.rate for f in self.flows.values() if f.rate > 0]
            t = min(ends, default=None)
            if t is None or (until is not None and t > until):
                t = until
            if t is None:
                return
            for f in self.flows.values():
                f.left -= f.rate * (t - self.now)
                for x in f.route:
                    self.moved[x] += f.rate * (t - self.now)
            self.now = t
            for f in list(self.flows.values()):
                if f.left <= 0:
                    self.finished[f.name] = t
                    del self.flows[f.name]
            if until is not None and t >= until:
                return
