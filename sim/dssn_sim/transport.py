"""TCP over the data plane: every transfer has a window that sets its weight and its cap.

A round is one round trip of a transfer (several, while its window hardly changes). At its end the
transfer learns what it moved and what was dropped a round trip ago; its window answers by TCP's rules
(``dssn_models.network.transport``); and the solver gets a new cap (window over round-trip time) and a
new weight (the same, with the queue's delay: a first-in-first-out queue is shared by what arrives).
``docs/models/transport.md`` has the reasons and the limits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, log
from typing import Any

import simpy

from dssn_models.network.transport import Window
from dssn_models.plan import NetworkPlan, TcpPlan
from dssn_sim.dataplane import DataPlane
from dssn_sim.dataplane.plane import Activity
from dssn_sim.transport_lanes import Lane

__all__ = ["Tcp", "carrier"]

#: In congestion avoidance a window is looked at when it has grown by this share, at the latest after so many rounds.
_STEP, _MOST_ROUNDS = 0.02, 256
#: A window below this share of the link's bandwidth-delay product leaves in one burst a round trip.
_BURST = 0.1
#: Slow start below this share of every link is summed up: nobody else notices it.
_UNNOTICED = 0.02
#: 99 % of an exponential delay variation, over its mean.
_JITTER_TAIL = log(100.0)
_STALLED_BPS = 1e-3
_MOST_BACKOFF = 6  # doublings of the retransmission timer: 2^6 (RFC 6298 asks for at least 60 s in all)
_CODEL_TARGET_S, _CODEL_INTERVAL_S = 0.005, 0.1  # RFC 8289


@dataclass(slots=True, eq=False)
class _Flow:
    """A transfer: its window, its queues, and what it knows of its losses (in segments)."""

    window: Window
    act: Activity
    segment: float  # bits on the wire
    rtt: float  # s, without queues
    loss: float
    weight: float
    limit: float  # bit/s
    lanes: list[Lane]
    keys: list[tuple[int, int]]
    bottleneck: Lane
    at: float  # time of the last look
    left: float = 0.0  # bits then
    cap: float = inf
    timer: Any = None
    burst: bool = False  # the last window is on its way
    average: float = 0.0  # segments a round in the coming rounds; 0: window and growth
    credit: float = 0.0  # lost and not yet answered
    known: float = 0.0  # of these, what the sender has been told
    pending: float = 0.0  # lost; told at the end of the round
    wear: float = inf  # expected damages until the next one
    fresh: float = 0.0  # lost since the lanes were last told
    seen: list[float] = field(default_factory=list)  # each lane's drops, counted
    heard: list[float] = field(default_factory=list)  # each lane's drops, told to the sender
    a: list[float] = field(default_factory=list)  # what the lanes hold of it
    slope: float = 0.0
    fall: float = 0.0
    growth: float = 0.0
    backoff: int = 0
    rate: float = 0.0  # bit/s in the last round (FQ-CoDel)
    own_s: float = 0.0  # delay of its own queue (FQ-CoDel)
    codel_at: float = inf
    codel_count: int = 0


class Tcp:
    """Starts transfers whose rate follows TCP's window.

    Parameters
    ----------
    plane : DataPlane
    network : NetworkPlan
        Links and ``tcp`` settings.
    buffers_s : mapping, optional
        Directed link to the longest delay of its queue, where that is not ``tcp.buffer_s``.
    draw : callable
        Gives exponential numbers of mean 1: how far apart damaged segments are. By default always 1.

    Attributes
    ----------
    rounds : int
        Looks at transfers so far, for measuring.
    """

    def __init__(
        self,
        plane: DataPlane,
        network: NetworkPlan,
        buffers_s: Mapping[int, float] | None = None,
        draw: Callable[[], float] = lambda: 1.0,
    ) -> None:
        self.rounds = 0
        self._plane = plane
        self._env: simpy.Environment = plane.env
        self._rules: TcpPlan = network.tcp
        self._links = network.links
        self._buffers = buffers_s or {}
        self._lanes: dict[tuple[int, int], Lane] = {}
        self._paths: dict[tuple[int, ...], tuple[float, float, float]] = {}
        self._draw = draw
        self._droptail = network.tcp.queue == "droptail"

    def round_trip(self, links: Sequence[int], latency_s: float) -> float:
        """Return what a segment and its acknowledgement take now, queues included (s)."""
        now = self._env.now
        lanes = [self._lanes.get((-1, link)) for link in links]
        waits = sum(lane.delay(now) for lane in lanes if lane is not None)
        return 2.0 * latency_s + self._path(tuple(links))[0] + waits

    def transfer(
        self,
        links: Sequence[int],
        wire_bytes: float,
        *,
        latency_s: float = 0.0,
        weight: float = 1.0,
        priority: int = 0,
        cap_bps: float = inf,
        slice_id: int = -1,
    ) -> Activity:
        """Start a transfer on an open connection, with the initial window; as ``DataPlane.transfer``."""
        act = self._plane.transfer(
            links, wire_bytes, latency_s=latency_s, priority=priority, slice_id=slice_id
        )
        if act.slot < 0:
            return act
        now = self._env.now
        extra_s, overhead, loss = self._path(tuple(links))
        rate = self._plane.hard_rate(slice_id)
        keys = [(-1 if rate is None else slice_id, link) for link in links]
        lanes = [self._lane(key, rate) for key in keys]
        for lane in lanes:
            lane.flows += 1
            lane.advance(now)
        flow = _Flow(
            Window(self._rules), act, 8.0 * self._rules.segment_bytes * overhead, 2.0 * latency_s + extra_s,
            loss, weight, cap_bps, lanes, keys, min(lanes, key=lambda lane: lane.rate), now,
            wear=self._draw() if loss > 0.0 else inf, seen=[lane.drops for lane in lanes], heard=[lane.drops for lane in lanes],
            a=[0.0] * len(lanes),
        )  # fmt: skip
        left = self._plane.pause(act)
        assert act.callbacks is not None
        act.callbacks.append(lambda _event: self._ended(flow))
        self._go(flow, left, 0.0, 1.0)
        return act

    # ------------------------------------------------------------------ one round

    def _round(self, flow: _Flow, timer: simpy.Event) -> None:
        if timer is not flow.timer:
            return
        left = self._plane.pause(flow.act)
        if left < 0.0:
            self._ended(flow)
            return
        self.rounds += 1
        now, window = self._env.now, flow.window
        elapsed = max(now - flow.at, 1e-12)
        moved = flow.left - left
        rate = moved / elapsed
        for lane in flow.lanes:
            lane.advance(now)
        again = self._count_losses(flow, rate, elapsed)
        if not self._droptail:
            self._codel(flow, rate)
        left += self._damage(flow, moved) * flow.segment
        window.grow(flow.growth * elapsed / flow.segment)
        if window.phase == "timeout":
            window.restart()
        elif moved < 1e-6 * flow.segment:
            self._time_out(flow, left)  # a link is down
            return
        flow.backoff = 0
        if window.phase == "recovery":
            if window.repair_lost(again):
                self._time_out(flow, left)
                return
            self._repaired(flow)
        if not window.answers_loss:
            flow.credit = flow.known = 0.0
        rounds, step = 1.0, 0.0
        if flow.known >= 1.0:
            lost = max(1.0, float(int(flow.credit)))
            flow.credit = max(0.0, flow.credit - lost)
            flow.known = 0.0
            flow.heard = [lane.drops for lane in flow.lanes]  # answered, though not heard of yet
            rounds = window.lose(lost)
        else:
            rounds, step = self._grow(flow, rate, left)
        self._go(flow, left, step, rounds)

    def _count_losses(self, flow: _Flow, rate: float, elapsed: float) -> float:
        """Add up what was dropped and what the sender has been told; return the chance of a drop lately."""
        rtt = self._rtt(flow)
        told = self._env.now - rtt
        flow.credit += flow.pending
        flow.known += flow.pending
        flow.pending = 0.0
        smooth = not self._bursty(flow, flow.window.size, rtt)
        ratio = 0.0
        for i, lane in enumerate(flow.lanes):
            if lane.drops > flow.seen[i]:
                dropped = lane.drops - flow.seen[i]
                flow.seen[i] = lane.drops
                ratio += dropped / elapsed
                if smooth:
                    flow.fresh += rate * dropped / flow.segment
            if lane.drops > flow.heard[i]:
                past = lane.drops_at(told)
                if past > flow.heard[i]:
                    if smooth:
                        flow.known += rate * (past - flow.heard[i]) / flow.segment
                    flow.heard[i] = past
        flow.credit += flow.fresh
        return ratio / (1.0 + ratio)

    def _damage(self, flow: _Flow, bits: float) -> int:
        """Draw how many segments were damaged on the way: they have crossed the links and cross them again."""
        lost = 0
        flow.wear -= flow.loss * bits / flow.segment
        while flow.wear <= 0.0:
            flow.wear += self._draw()
            lost += 1
        flow.credit += lost
        flow.known += lost
        return lost

    def _grow(self, flow: _Flow, rate: float, left: float) -> tuple[float, float]:
        """Return for how many round trips to let the window be, and by how much it grows in each."""
        window, now = flow.window, self._env.now
        rtt = self._rtt(flow)
        lane = flow.bottleneck
        if window.measured(rtt, window.size * flow.segment / lane.rate):
            window.full_pipe(rtt)
        if self._rules.congestion == "bbr" and (window.phase == "avoidance" or lane.delay(now) > 0.0):
            window.paced(rate / flow.segment)
        step = window.step(rtt, now)
        if window.phase == "avoidance":
            rounds = _STEP * window.size / step if step > 0.0 else inf
            if flow.loss > 0.0:
                rounds = min(rounds, flow.wear / (flow.loss * window.size))
            rounds = min(max(rounds, 1.0), _MOST_ROUNDS)
            return float(int(rounds)), step
        # What was lost is not acknowledged.
        step *= max(0.0, 1.0 - flow.credit / window.size)
        rounds, sent = self._unnoticed(flow, rtt, left / flow.segment)
        if rounds > 1.0:
            flow.average = sent / rounds
            return rounds, window.size * ((1.0 + window.growth) ** rounds - 1.0) / rounds
        if lane.delay(now) <= 0.0 or self._bursty(flow, window.size, rtt):
            # Acknowledgements come as close together as their segments crossed the narrowest link.
            at_once = step * max(0.0, 1.0 - window.size * flow.segment / (lane.rate * rtt))
            window.grow(at_once)
            step -= at_once
        return 1.0, step

    def _unnoticed(self, flow: _Flow, rtt: float, segments: float) -> tuple[float, float]:
        """Return how many rounds of slow start the links will not notice, and the segments sent in them."""
        window, now = flow.window, self._env.now
        factor = 1.0 + window.growth
        most = min(_UNNOTICED * min(lane.rate for lane in flow.lanes) * rtt / flow.segment, window.ssthresh)
        rounds, size, sent = 0.0, window.size * factor, 0.0
        while (
            size <= most and sent + size * (1.0 + factor) < segments and flow.loss * (sent + size) < flow.wear
        ):
            sent += size
            size *= factor
            rounds += 1.0
        if rounds > 1.0 and any(lane.a + lane.slope * now > 0.5 * lane.rate for lane in flow.lanes):
            return 1.0, 0.0
        return rounds, sent

    def _repaired(self, flow: _Flow) -> None:
        """End recovery: the window goes back to its threshold at once, and what the queue has no room for is lost."""
        burst = flow.window.repaired() * flow.segment
        if self._droptail and burst > 0.0:
            lane = flow.bottleneck
            room = (lane.buffer_s - lane.delay(self._env.now)) * lane.rate
            flow.pending += max(0.0, burst - room) / flow.segment

    def _time_out(self, flow: _Flow, left: float) -> None:
        """Send nothing until the retransmission timer ends."""
        rtt = self._rtt(flow)
        flow.window.time_out()
        flow.credit = flow.known = flow.pending = 0.0
        flow.heard = [lane.drops for lane in flow.lanes]
        wait = max(self._rules.min_rto_s, rtt) * 2.0**flow.backoff
        flow.backoff = min(flow.backoff + 1, _MOST_BACKOFF)
        self._go(flow, left, 0.0, wait / rtt)

    def _codel(self, flow: _Flow, rate: float) -> None:
        """FQ-CoDel: see what waits in the transfer's own queue and what is dropped there (RFC 8289, 8290)."""
        now, lane, window = self._env.now, flow.bottleneck, flow.window
        before = flow.own_s * flow.rate
        limited = 0.0 < rate < 0.99 * flow.cap and not flow.burst and window.phase != "timeout"
        flow.own_s = max(0.0, window.size * flow.segment / rate - flow.rtt) if limited else 0.0
        flow.rate = rate
        backlog = flow.own_s * rate
        lane.backlog += backlog - before
        over = lane.backlog - lane.buffer_s * lane.rate
        if over > 0.0 and backlog > 0.0:
            flow.pending += over * backlog / lane.backlog / flow.segment
        if flow.own_s < _CODEL_TARGET_S:
            flow.codel_at, flow.codel_count = inf, 0
        elif flow.codel_at == inf:
            flow.codel_at = now + _CODEL_INTERVAL_S
        elif now >= flow.codel_at:
            flow.codel_count += 1
            flow.codel_at = now + _CODEL_INTERVAL_S / flow.codel_count**0.5
            flow.pending += 1.0

    # ------------------------------------------------------------------ inside

    def _rtt(self, flow: _Flow) -> float:
        now = self._env.now
        return flow.rtt + flow.own_s + sum([lane.delay(now) for lane in flow.lanes])

    @staticmethod
    def _bursty(flow: _Flow, size: float, rtt: float) -> bool:
        slow_start = flow.window.phase == "slow_start"
        return slow_start and size * flow.segment < _BURST * flow.bottleneck.rate * rtt

    def _go(self, flow: _Flow, left: float, step: float, rounds: float) -> None:
        """Hand the window to the solver, tell the queues, and set the next look.

        ``step`` is the growth in each of the ``rounds`` round trips.
        """
        window, act, now = flow.window, flow.act, self._env.now
        flow.at, flow.left = now, left
        rest = left / flow.segment
        stalled = window.phase == "timeout"
        if rest <= window.size + step and not stalled:
            window.grow(step)
            step = 0.0  # no more to send than what is on the way
        size = 0.0 if stalled else min(max(window.size - flow.credit, 1.0), rest)
        self._tell(flow, size, step)
        delays = [lane.delay(now) for lane in flow.lanes]
        worst = max(delays)
        if worst > 0.0:
            flow.bottleneck = flow.lanes[delays.index(worst)]
        rtt = flow.rtt + flow.own_s + sum(delays)
        if stalled:
            flow.cap, weight = _STALLED_BPS, 1.0
        else:
            flow.cap, weight = self._share(flow, step, rtt, worst, rest)
        self._plane.resume(act, left, weight * flow.weight, flow.cap)
        wait = min(rounds * rtt, max(flow.codel_at - now, rtt))
        if self._droptail and window.phase in ("slow_start", "avoidance"):
            wait = self._until_told(flow, rtt, wait)
        flow.timer = timer = self._env.timeout(wait)
        timer.callbacks.append(lambda event: self._round(flow, event))

    def _share(self, flow: _Flow, step: float, rtt: float, worst: float, rest: float) -> tuple[float, float]:
        """Return cap and weight of the coming round."""
        window, now = flow.window, self._env.now
        size = window.size + step
        bits = (flow.average or size) * flow.segment
        flow.average = 0.0
        if window.phase == "slow_start":
            if self._bursty(flow, size, rtt):
                kept = 1.0
                for lane in flow.lanes:
                    kept *= 1.0 - lane.chance(now)
                flow.pending += (1.0 - kept) * window.size
            if rest <= size and not flow.burst:
                # All that is left goes out at once, behind what is in the queue.
                flow.burst = True
                flow.act.latency_s += worst
                if self._damage(flow, rest * flow.segment):
                    flow.act.latency_s += rtt  # three duplicates tell of it
        if flow.burst:
            return flow.limit, flow.bottleneck.rate if self._droptail else 1.0
        cap = min(bits / (rtt - worst - flow.own_s), flow.limit)
        return cap, bits / rtt if self._droptail else 1.0

    def _until_told(self, flow: _Flow, rtt: float, wait: float) -> float:
        """Shorten a wait to when the sender hears of the first drop of a queue that is or gets full."""
        now = self._env.now
        for lane in flow.lanes:
            full = lane.next_full(now)
            if full < now + wait:
                # One segment and a half lost: one is then surely known.
                told = full + rtt + 1.5 * rtt / flow.window.size * lane.rate / max(lane.growth, 1.0)
                if now < told < now + wait:
                    wait = max(told - now, 0.05 * rtt)
        return wait

    def _tell(self, flow: _Flow, size: float, step: float) -> None:
        """Replace what this transfer adds to the sums of its queues."""
        now = self._env.now
        delays = [lane.delay(now) for lane in flow.lanes]
        rtt = flow.rtt + flow.own_s + sum(delays)
        rate = size * flow.segment / rtt if self._droptail else 0.0
        fall = rate / rtt
        growth = step * flow.segment / rtt
        slope = growth / rtt if self._droptail else 0.0
        lost = flow.fresh * flow.segment / rtt
        for i, lane in enumerate(flow.lanes):
            a = rate + fall * delays[i] - slope * now
            lane.a += a - flow.a[i]
            flow.a[i] = a
            lane.slope += slope - flow.slope
            lane.fall += fall - flow.fall
            lane.growth += growth - flow.growth
            lane.trim = max(0.0, lane.trim - lost)
            lane.refresh(now)
        flow.slope, flow.fall, flow.growth = slope, fall, growth
        flow.fresh = 0.0

    def _ended(self, flow: _Flow) -> None:
        """Take a transfer that is over out of its queues (once)."""
        flow.timer = None
        now = self._env.now
        if not flow.lanes:
            return
        for lane in flow.lanes:
            lane.advance(now)
        flow.bottleneck.backlog -= flow.own_s * flow.rate
        self._tell(flow, 0.0, 0.0)
        for key, lane in zip(flow.keys, flow.lanes, strict=True):
            lane.flows -= 1
            if lane.flows == 0:
                del self._lanes[key]
        flow.lanes = []

    def _lane(self, key: tuple[int, int], rate_bps: float | None) -> Lane:
        lane = self._lanes.get(key)
        if lane is None:
            plan = self._links[key[1] // 2]
            rate = rate_bps or (plan.rate_ab_bps if key[1] % 2 == 0 else plan.rate_ba_bps)
            lane = self._lanes[key] = Lane(rate, self._buffers.get(key[1], self._rules.buffer_s))
        return lane

    def _path(self, links: tuple[int, ...]) -> tuple[float, float, float]:
        """Return what sending and jitter add to a round trip (s), the overhead and the loss of a path."""
        known = self._paths.get(links)
        if known is None:
            plans = [self._links[x // 2] for x in links]
            overhead = max((p.overhead for p in plans), default=1.0)
            segment = 8.0 * self._rules.segment_bytes * overhead
            rates = [
                p.rate_ab_bps if x % 2 == 0 else p.rate_ba_bps for x, p in zip(links, plans, strict=True)
            ]
            extra = sum(segment / rate for rate in rates)
            extra += 2.0 * sum(p.jitter_s for p in plans) / _JITTER_TAIL
            kept = 1.0
            for p in plans:
                kept *= 1.0 - p.loss
            known = self._paths[links] = (extra, overhead, 1.0 - kept)
        return known


def carrier(plane: DataPlane, network: NetworkPlan, draw: Callable[[], float]) -> Tcp | DataPlane:
    """Return what moves bytes under the plan's transport: TCP on the plane, or the plane itself."""
    return Tcp(plane, network, draw=draw) if network.transport == "tcp" else plane
