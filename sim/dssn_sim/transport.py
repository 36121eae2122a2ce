"""TCP over the data plane: every transfer has a window that sets its weight and its cap.

A round is one round trip of a transfer (several, while its window hardly changes). At its end the
transfer sees what it moved, what waits in queues and what was dropped; its window answers by TCP's rules
(``dssn_models.network.transport``); and the solver gets a new cap (window over round-trip time) and a new
weight (the same with the queue's delay: a first-in-first-out queue is shared by what arrives).
``docs/models/transport.md`` has the reasons and limits.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from math import inf, log
from typing import Any

import simpy

from dssn_models.network.transport import Window
from dssn_models.plan import NetworkPlan, TcpPlan
from dssn_sim.dataplane import DataPlane

__all__ = ["Tcp"]

#: A window that grows by less than this share in a round trip is looked at every few round trips.
_STEP = 0.02
#: A window shorter than this share of the round trip, at the link's rate, goes out in one burst.
_BURST = 0.1
#: A queue that was full is no longer so below this share of it.
_EASED = 0.9
_MOST_ROUNDS = 256
#: 99 % of an exponential delay variation, over its mean.
_JITTER_TAIL = log(100.0)
_STALLED_BPS = 1e-3
_CODEL_TARGET_S, _CODEL_INTERVAL_S = 0.005, 0.1  # RFC 8289


class _Lane:
    """A queue before a link (or before a hard slice of it), with what all its windows say about it.

    Windows W over round-trip times r + d fill a link: sum of W / (r + d) = rate. Each flow adds the straight line
    ``a + slope * t - fall * d`` (its rate, near its present d, while its window grows), so d follows from three sums.
    """

    __slots__ = (
        "a",
        "at",
        "backlog",
        "drops",
        "fall",
        "full_since",
        "growth",
        "history",
        "most",
        "rate",
        "slope",
        "trim",
    )

    def __init__(self, rate: float, buffer: float) -> None:
        self.rate = rate
        self.most = buffer / rate  # s
        self.a = self.slope = self.fall = self.trim = 0.0
        self.growth = 0.0  # of all windows, bit/s
        self.at = self.backlog = 0.0
        self.drops = 0.0  # chance of a drop, integrated over time (s)
        self.history: list[tuple[float, float]] = []
        self.full_since = inf

    def delay(self, now: float) -> float:
        d = self.raw(now)
        return min(max(d, 0.0), self.most)

    def raw(self, now: float) -> float:
        return (self.a - self.trim + self.slope * now - self.rate) / self.fall if self.fall > 1e-12 else 0.0

    def chance(self, now: float) -> float:
        """Chance of a drop now: what the windows grow by does not fit."""
        return (
            self.growth / (self.growth + self.rate) if self.full_at(now) <= now and self.growth > 0.0 else 0.0
        )

    def full_at(self, now: float) -> float:
        """When the queue is full if nothing changes."""
        if self.fall <= 1e-12:
            return inf
        gap = self.rate + self.most * self.fall - self.a + self.trim - self.slope * now
        if gap <= 1e-9 * self.rate:
            return now
        return now + gap / self.slope if self.slope > 0.0 else inf

    def advance(self, now: float) -> None:
        """Count drops up to now; called before anything changes."""
        if now > self.at:
            full = self.full_at(self.at)
            if full < now and self.growth > 0.0:
                if self.full_since == inf:
                    self.full_since = full
                if not self.history or self.history[-1][0] < full:
                    self.history.append((full, self.drops))
                self.drops += (now - full) * self.growth / self.rate
                self.trim += (now - full) * self.slope
                self.history.append((now, self.drops))
                if len(self.history) > 64:
                    del self.history[:32]
            self.at = now

    def refresh(self, now: float) -> None:
        """Note whether the queue is full after a change."""
        if self.trim > 0.0 and self.a + self.slope * now < self.rate + self.most * self.fall:
            self.trim = 0.0
        if self.full_at(now) <= now and self.growth > 0.0:
            self.full_since = min(self.full_since, now)
        elif self.raw(now) < _EASED * self.most:
            self.full_since = inf

    def drops_at(self, t: float) -> float:
        """Return the integral at a past time."""
        h = self.history
        if not h or t >= h[-1][0]:
            return self.drops
        i = bisect_right(h, t, key=lambda x: x[0])
        if i == 0:
            return h[0][1]
        (t0, v0), (t1, v1) = h[i - 1], h[i]
        return v0 + (v1 - v0) * (t - t0) / (t1 - t0)


class _Flow:
    __slots__ = ("a", "act", "at", "bottleneck", "burst", "cap", "count", "credit", "fall", "fresh", "g", "known", "lanes", "left", "limit", "loss", "own",
                 "pending", "rate", "rtt", "seen", "segment", "since", "slope", "timer", "weight", "window", "gone", "heard")  # fmt: skip

    def __init__(self) -> None:
        self.own = self.fresh = self.rate = self.credit = self.known = self.pending = 0.0
        self.a: list[float] = []
        self.slope = self.fall = self.g = 0.0
        self.burst = self.gone = False
        self.since = inf
        self.count = 0
        self.timer: Any = None


class Tcp:
    """Starts transfers whose rate follows TCP's window."""

    def __init__(
        self, plane: DataPlane, network: NetworkPlan, buffers: dict[int, float] | None = None
    ) -> None:
        self.plane = plane
        self.env: simpy.Environment = plane.env
        self.rules: TcpPlan = network.tcp
        self._links = network.links
        self._buffers = buffers or {}
        self._lanes: dict[int, _Lane] = {}
        self._droptail = self.rules.queue == "droptail"
        self.rounds = 0

    def round_trip(self, links: Sequence[int], latency_s: float) -> float:
        lanes = [self._lane(x) for x in links]
        return self._base(links, latency_s) + sum(lane.delay(self.env.now) for lane in lanes)

    def transfer(
        self,
        links: Sequence[int],
        wire_bytes: float,
        *,
        latency_s: float = 0.0,
        weight: float = 1.0,
        priority: int = 0,
        slice_id: int = -1,
        overhead: float = 1.0,
        loss: float = 0.0,
        cap_bps: float = inf,
    ) -> Any:
        act = self.plane.transfer(
            links, wire_bytes, latency_s=latency_s, priority=priority, slice_id=slice_id
        )
        if act.slot < 0:
            return act
        flow = _Flow()
        flow.act = act
        flow.window = Window(self.rules)
        flow.segment = 8.0 * self.rules.segment_bytes * overhead
        flow.rtt = self._base(links, latency_s)
        flow.loss = loss
        flow.lanes = [self._lane(x) for x in links]
        flow.a = [0.0] * len(links)
        flow.seen = [lane.drops for lane in flow.lanes]
        flow.heard = list(flow.seen)
        flow.weight, flow.limit = weight, cap_bps
        flow.bottleneck = min(flow.lanes, key=lambda lane: lane.rate)
        flow.at = self.env.now
        self.plane.pause(act)
        act.callbacks.append(lambda _e: self._ended(flow))
        for lane in flow.lanes:
            lane.advance(flow.at)
        self._go(flow, 8.0 * wire_bytes, 0.0, 1.0)
        return act

    # ------------------------------------------------------------------ one round

    def _round(self, flow: _Flow, timer: Any) -> None:
        if timer is not flow.timer:
            return
        left = self.plane.pause(flow.act)
        if left < 0.0:
            self._ended(flow)
            return
        self.rounds += 1
        now, window = self.env.now, flow.window
        elapsed = max(now - flow.at, 1e-9)
        moved = flow.left - left
        rtt = self._rtt(flow)
        for lane in flow.lanes:
            lane.advance(now)
        rate = moved / elapsed
        again = self._lost(flow, moved, elapsed, rtt)
        if not self._droptail:
            self._codel(flow, rate)
            rtt = self._rtt(flow)
        wasted = flow.loss * moved
        left += wasted
        flow.credit += wasted / flow.segment
        flow.known += wasted / flow.segment
        rounds, step = 1.0, 0.0
        if window.phase == "timeout":
            window.restart()
            flow.credit = flow.known = 0.0
        elif window.phase == "recovery":
            if window.repair_lost(again):
                window.time_out()
                flow.credit = flow.known = 0.0
                self._go(flow, left, 0.0, max(self.rules.min_rto_s, rtt) / rtt)
                return
            burst = window.repaired() * flow.segment
            if self._droptail:
                lane = flow.bottleneck
                room = (lane.most - lane.delay(now)) * lane.rate
                flow.pending += max(0.0, burst - max(room, 0.0)) / flow.segment
        window.grow(flow.g * elapsed / flow.segment)
        if flow.known >= 1.0:
            lost = max(1.0, float(int(flow.credit)))
            flow.credit -= lost
            flow.known = 0.0
            flow.heard = [lane.drops for lane in flow.lanes]  # what it has not heard of yet is answered too
            rounds = window.lose(lost)
        elif window.phase in ("slow_start", "avoidance"):
            rounds, step = self._grow(flow, rtt)
            if window.phase == "slow_start":
                # Acknowledgements come as close together as their segments crossed the narrowest link.
                now_part = step * max(0.0, 1.0 - window.size * flow.segment / (flow.bottleneck.rate * rtt))
                if flow.bottleneck.delay(now) > 0.0 and window.size * flow.segment > _BURST * flow.bottleneck.rate * rtt:
                    now_part = 0.0  # others' segments lie between them
                window.grow(now_part)
                step -= now_part
        self._go(flow, left, step, rounds)

    def _lost(self, flow: _Flow, moved: float, elapsed: float, rtt: float) -> float:
        """Count segments lost and those the sender knows of; return the chance of a drop lately."""
        now, window = self.env.now, flow.window
        again = 0.0
        rate = moved / elapsed
        if flow.pending:
            flow.credit += flow.pending
            flow.known += flow.pending
            flow.pending = 0.0
        bursty = window.phase == "slow_start" and window.size * flow.segment < _BURST * flow.bottleneck.rate * rtt
        for i, lane in enumerate(flow.lanes):
            before, flow.seen[i] = flow.seen[i], lane.drops
            if lane.drops > before:
                again += (lane.drops - before) / elapsed
                if not bursty:
                    flow.fresh += rate * (lane.drops - before) / flow.segment
            past = lane.drops_at(now - rtt)
            if past > flow.heard[i]:
                if not bursty:
                    flow.known += rate * (past - flow.heard[i]) / flow.segment
                flow.heard[i] = past
        flow.credit += flow.fresh
        return again / (1.0 + again)

    def _grow(self, flow: _Flow, rtt: float) -> tuple[float, float]:
        """Return for how many round trips the window then grows by how much in each."""
        window, lane = flow.window, flow.bottleneck
        now = self.env.now
        if window.measured(rtt, window.size * flow.segment / lane.rate):
            window.full_pipe(rtt)
        step = window.step(rtt, now)
        if window.phase == "slow_start":
            step *= max(0.0, 1.0 - flow.credit / window.size)  # what was lost is not acknowledged
        rounds = 1.0
        if window.phase == "avoidance" and step > 0.0:
            rounds = float(int(min(max(1.0, _STEP * window.size / step), _MOST_ROUNDS)))
        return rounds, step

    def _codel(self, flow: _Flow, rate: float) -> None:
        """FQ-CoDel: note what waits in the flow's own queue, and what is dropped there (RFC 8289, 8290)."""
        now, lane = self.env.now, flow.bottleneck
        before = flow.own * flow.rate
        limited = 0.0 < rate < 0.99 * flow.cap and not flow.burst and flow.window.phase != "timeout"
        flow.own = max(0.0, flow.window.size * flow.segment / rate - flow.rtt) if limited else 0.0
        backlog = flow.own * rate
        lane.backlog += backlog - before
        flow.rate = rate
        over = lane.backlog - lane.most * lane.rate
        if over > 0.0 and backlog > 0.0:
            flow.pending += over * backlog / lane.backlog / flow.segment
        if flow.own < _CODEL_TARGET_S:
            flow.since, flow.count = inf, 0
        elif flow.since == inf:
            flow.since = now + _CODEL_INTERVAL_S
        elif now >= flow.since:
            flow.count += 1
            flow.since = now + _CODEL_INTERVAL_S / flow.count**0.5
            flow.pending += 1.0

    # ------------------------------------------------------------------ inside

    def _rtt(self, flow: _Flow) -> float:
        now = self.env.now
        return flow.rtt + flow.own + sum(lane.delay(now) for lane in flow.lanes)

    def _go(self, flow: _Flow, left: float, step: float, rounds: float) -> None:
        """Hand the window to the solver, tell the queues, and set the next look."""
        window, act, now = flow.window, flow.act, self.env.now
        flow.at, flow.left = now, left
        rest = left / flow.segment
        if rest <= window.size + step:
            window.grow(step)
            step = 0.0  # nothing more to send than what is on the way
        self._tell(
            flow, min(max(window.size - flow.credit, 1.0), rest) if window.phase != "timeout" else 0.0, step
        )
        delays = [lane.delay(now) for lane in flow.lanes]
        rtt = flow.rtt + flow.own + sum(delays)
        worst = max(delays)
        if worst > 0.0:
            flow.bottleneck = flow.lanes[delays.index(worst)]
        bits = (window.size + step) * flow.segment
        if window.phase == "timeout":
            flow.cap, weight = _STALLED_BPS, 1.0
        else:
            flow.cap = min(bits / (rtt - worst - flow.own), flow.limit)
            weight = bits / rtt
            if window.phase == "slow_start":
                chance = 1.0
                for lane in flow.lanes:
                    chance *= 1.0 - lane.chance(now)
                if bits < _BURST * flow.bottleneck.rate * rtt:
                    flow.pending += (1.0 - chance) * window.size
                if left <= bits and not flow.burst:
                    # All that is left goes out at once, behind what is in the queue.
                    flow.burst = True
                    act.latency_s += worst
            if flow.burst:
                flow.cap, weight = flow.limit, flow.bottleneck.rate
            if not self._droptail:
                weight = 1.0
        self.plane.resume(act, left, weight * flow.weight, flow.cap)
        wait = min(rounds * rtt, max(flow.since - now, rtt))
        if self._droptail and window.phase in ("slow_start", "avoidance"):
            for lane in flow.lanes:
                heard = (lane.full_since if lane.full_since < inf else lane.full_at(now)) + rtt - now
                heard += 1.5 * rtt / window.size * lane.rate / max(lane.growth, 1.0)
                if 0.0 < heard < wait:
                    wait = max(heard, 0.05 * rtt)
        timer = self.env.timeout(wait)
        flow.timer = timer
        timer.callbacks.append(lambda e: self._round(flow, e))

    def _tell(self, flow: _Flow, size: float, step: float) -> None:
        """Replace what this flow adds to the sums of its queues."""
        now = self.env.now
        delays = [lane.delay(now) for lane in flow.lanes]
        rtt = flow.rtt + flow.own + sum(delays)
        bits = size * flow.segment
        rate = bits / rtt if self._droptail else 0.0
        fall = rate / rtt
        g = step * flow.segment / rtt
        slope = g / rtt
        for i, lane in enumerate(flow.lanes):
            a = rate + fall * delays[i] - slope * now
            lane.a += a - flow.a[i]
            lane.trim = max(0.0, lane.trim - flow.fresh * flow.segment / rtt)
            flow.a[i] = a
            lane.slope += slope - flow.slope
            lane.fall += fall - flow.fall
            lane.growth += g - flow.g
            lane.refresh(now)
        flow.slope, flow.fall, flow.g = slope, fall, g
        flow.fresh = 0.0

    def _ended(self, flow: _Flow) -> None:
        flow.timer = None
        if flow.gone:
            return
        flow.gone = True
        for lane in flow.lanes:
            lane.advance(self.env.now)
        flow.bottleneck.backlog -= flow.own * flow.rate
        self._tell(flow, 0.0, 0.0)

    def _lane(self, link: int) -> _Lane:
        lane = self._lanes.get(link)
        if lane is None:
            plan = self._links[link // 2]
            rate = plan.rate_ab_bps if link % 2 == 0 else plan.rate_ba_bps
            lane = self._lanes[link] = _Lane(rate, self._buffers.get(link, self.rules.buffer_s * rate))
        return lane

    def _base(self, links: Sequence[int], latency_s: float) -> float:
        plans = [self._links[x // 2] for x in links]
        segment = 8.0 * self.rules.segment_bytes
        sent = sum(
            segment * p.overhead / (p.rate_ab_bps if x % 2 == 0 else p.rate_ba_bps)
            for x, p in zip(links, plans, strict=True)
        )
        return 2.0 * latency_s + sent + 2.0 * sum(p.jitter_s for p in plans) / _JITTER_TAIL
