"""Mutual TLS channels between nodes: opened when a task needs one, reused, idled out, torn down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dssn_models.crypto.suites import handshake
from dssn_sim.errors import Failure, Refusal

if TYPE_CHECKING:
    from dssn_sim.world import Process, World

__all__ = ["Channel", "Channels"]


@dataclass(slots=True)
class Channel:
    """One channel between two nodes."""

    a: str
    b: str
    suite: str
    opened_s: float
    setup_s: float
    ready: Any  # event: handshake over
    uses: int = 0
    users: int = 0
    idle_since: float = 0.0
    open: bool = True
    detailed: bool = True  # whether the order that opened it keeps its details


class Channels:
    """All channels of a replication, one per pair of nodes and suite."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.open: dict[tuple[str, str, str], Channel] = {}

    def acquire(self, order: Any, a: str, b: str, suite: str) -> Process:
        """Use the channel of a pair, opening it if there is none; returns the channel.

        Raises
        ------
        Refusal
            ``trust.certificate`` when either end's certificate is revoked,
            ``network.no_route`` when the ends cannot reach each other.
        """
        world = self.world
        for end in (a, b):
            if end in world.revoked:
                raise Refusal("trust.certificate", end)
        key = (min(a, b), max(a, b), suite)
        channel = self.open.get(key)
        if channel is not None:
            channel.users += 1
            channel.uses += 1
            if not channel.ready.triggered:
                try:
                    yield channel.ready
                except BaseException:
                    self.release(channel, 0.0)
                    raise
            if channel.open:
                return channel
            channel.users -= 1
        channel = Channel(key[0], key[1], suite, world.env.now, 0.0, world.env.event(), 1, 1)
        channel.detailed = order.detailed
        channel.ready._defused = True
        self.open[key] = channel
        try:
            yield from self._handshake(order, a, b, suite)
        except BaseException:
            self._drop(channel)
            if not channel.ready.triggered:
                channel.ready.succeed()
            raise
        channel.setup_s = world.env.now - channel.opened_s
        channel.ready.succeed()
        return channel

    def _handshake(self, order: Any, a: str, b: str, suite: str) -> Process:
        world = self.world
        node_a, node_b = world.plan.node_by_id[a], world.plan.node_by_id[b]
        yield from world.call(order, "dsp.transport", "channel", node_a, order.cls.priority)
        yield from world.call(order, "ca", "status", node_a, order.cls.priority)
        route = world.route(a, b, None)
        if route is None:
            raise (
                Failure("fault.link", f"{a} -> {b}")
                if world.down_links
                else Refusal("network.no_route", f"{a} -> {b}")
            )
        cost = handshake(suite)
        order.control_bytes += cost.up_bytes + cost.down_bytes
        # TCP's own round trip comes before those of TLS.
        seconds = (cost.rounds + 1) * 2 * route.delay_s
        seconds += cost.client_core_s / node_a.core_speed + cost.server_core_s / node_b.core_speed
        yield world.env.timeout(seconds)

    def release(self, channel: Channel, keep_open_s: float) -> None:
        """Stop using a channel; it closes after ``keep_open_s`` without a user."""
        channel.users -= 1
        if channel.users > 0 or not channel.open:
            return
        env = self.world.env
        channel.idle_since = env.now
        if keep_open_s <= 0:
            self._close(channel)
            return
        since = channel.idle_since
        timer = env.timeout(keep_open_s)
        timer.callbacks.append(lambda _e: self._idle_out(channel, since))

    def _idle_out(self, channel: Channel, since: float) -> None:
        if channel.open and channel.users == 0 and channel.idle_since == since:
            self._close(channel)

    def _close(self, channel: Channel) -> None:
        self._drop(channel)
        if not channel.detailed:
            return
        self.world.rec.rows["channels"].append(
            (
                channel.a,
                channel.b,
                channel.suite,
                channel.opened_s,
                self.world.env.now,
                channel.uses,
                channel.setup_s,
            )
        )

    def _drop(self, channel: Channel) -> None:
        channel.open = False
        key = (channel.a, channel.b, channel.suite)
        if self.open.get(key) is channel:
            del self.open[key]

    def tear_down(self, node: str) -> int:
        """Close all channels of a node (revocation, node down); returns how many."""
        gone = [c for c in self.open.values() if node in (c.a, c.b) and c.ready.triggered]
        for channel in gone:
            self._close(channel)
        return len(gone)

    def finish(self) -> None:
        """Record what is still open: idle channels close now, channels in use are leaks (NaN)."""
        for channel in [c for c in self.open.values() if c.detailed]:
            closed = self.world.env.now if channel.users == 0 else float("nan")
            self.world.rec.rows["channels"].append(
                (channel.a, channel.b, channel.suite, channel.opened_s, closed, channel.uses, channel.setup_s)
            )
