"""A control-plane station: servers, a queue, and counters.

One SimPy event per call: a timer at the end of service frees the server and resumes the caller
directly, without a second trip through the event queue. A station that is
down keeps its queue and starts the interrupted calls again when it is back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Literal, NamedTuple

import simpy
from simpy.events import NORMAL, PENDING, Event

__all__ = ["Call", "Served", "Station", "StationUse"]


class Served(NamedTuple):
    """How a call ended."""

    wait_s: float
    service_s: float
    dropped: bool = False


@dataclass(slots=True)
class StationUse:
    """Counters of one station since the last reset."""

    calls: int = 0
    busy_s: float = 0.0
    dropped: int = 0
    down_s: float = 0.0
    waits: list[float] = field(default_factory=list)


class Call(Event):
    """The event of one call; ``value`` is a :class:`Served`."""

    __slots__ = ("abandoned", "after_s", "arrived_s", "began_s", "epoch", "priority", "service_s")

    def __init__(self, env: simpy.Environment, service_s: float, priority: int) -> None:
        super().__init__(env)
        self.abandoned = False
        self.after_s = 0.0
        self.arrived_s = env.now
        self.began_s = -1.0
        self.service_s = service_s
        self.priority = priority
        self.epoch = 0


class Station:
    """``servers`` identical servers behind one queue.

    Parameters
    ----------
    env : simpy.Environment
        The clock.
    servers : int
        Number of servers.
    discipline : {'fifo', 'priority'}
        ``priority`` is non-preemptive, 0 first, first come first served within a priority.
    queue_limit : int | None
        Calls waiting beyond this number are dropped (``Served.dropped``).
    """

    __slots__ = (
        "_busy", "_changed_s", "_down_since", "_fifo", "_heap", "_running", "_seq", "discipline", "env",
        "name", "on_finish", "queue_limit", "servers", "up", "use",
    )  # fmt: skip

    def __init__(
        self,
        env: simpy.Environment,
        servers: int,
        *,
        discipline: Literal["fifo", "priority"] = "fifo",
        queue_limit: int | None = None,
        name: str = "",
        on_finish: Callable[[Call], None] | None = None,
    ) -> None:
        if servers < 1:
            raise ValueError(f"a station needs at least one server, got {servers}")
        self.env = env
        self.servers = servers
        self.discipline = discipline
        self.queue_limit = queue_limit
        self.name = name
        self.on_finish = on_finish
        self.up = True
        self.use = StationUse()
        self._busy = 0
        self._changed_s = env.now
        self._down_since = 0.0
        self._fifo: deque[Call] = deque()
        self._heap: list[tuple[int, int, Call]] = []
        self._running: dict[Call, None] = {}
        self._seq = 0

    # ------------------------------------------------------------ public

    @property
    def queue_length(self) -> int:
        """Calls waiting (not in service)."""
        return len(self._fifo) + len(self._heap)

    @property
    def busy(self) -> int:
        """Servers at work."""
        return self._busy

    def serve(
        self, service_s: float, priority: int = 0, *, before_s: float = 0.0, after_s: float = 0.0
    ) -> Call:
        """Return the event of a call that needs ``service_s`` of one server.

        The call reaches the station ``before_s`` from now, and its event fires ``after_s`` after
        the end of service: the way there and back without waking the caller in between.
        """
        call = Call(self.env, service_s, priority)
        call.after_s = after_s
        if before_s > 0:
            self._timer(before_s, lambda _event: self._arrive(call))
        else:
            self._arrive(call)
        return call

    def _arrive(self, call: Call) -> None:
        call.arrived_s = self.env.now
        if call.abandoned:
            return
        if self.up and self._busy < self.servers:
            self._begin(call)
        elif self.queue_limit is not None and self.queue_length >= self.queue_limit:
            self.use.dropped += 1
            self._answer(call, Served(0.0, 0.0, dropped=True))
        else:
            self._enqueue(call)

    def _timer(self, delay_s: float, callback: Callable[[Event], None]) -> None:
        timer = Event(self.env)
        timer._ok = True
        timer._value = None
        timer.callbacks = [callback]
        self.env.schedule(timer, NORMAL, delay_s)

    def _answer(self, call: Call, served: Served) -> None:
        """Fire the caller's event, ``after_s`` from now."""
        call._ok = True
        call._value = served
        if call.after_s > 0 or not self._waited_for(call):
            self.env.schedule(call, NORMAL, call.after_s)
            return
        # The caller is resumed inside the timer's event: no second trip through the event queue.
        callbacks, call.callbacks = call.callbacks, None  # type: ignore[assignment]
        for callback in callbacks:
            callback(call)

    @staticmethod
    def _waited_for(call: Call) -> bool:
        return bool(call.callbacks)

    def abandon(self, call: Call) -> None:
        """Withdraw a call that still waits or is on its way (the caller's patience ran out)."""
        if call.began_s < 0:
            call.abandoned = True
            if call in self._fifo:
                self._fifo.remove(call)
            else:
                self._heap = sorted(item for item in self._heap if item[2] is not call)

    def set_up(self, up: bool) -> None:  # noqa: FBT001
        """Take the station down or back; work in service starts again when it is back."""
        if up == self.up:
            return
        self._integrate()
        self.up = up
        if not up:
            self._down_since = self.env.now
            for call in list(self._running):
                call.epoch += 1
                call.began_s = -1.0
                self._requeue(call)
            self._running.clear()
            self._busy = 0
        else:
            self.use.down_s += self.env.now - self._down_since
            self._start_waiting()

    def reset_use(self) -> None:
        """Forget counters (end of warm-up)."""
        self._integrate()
        self.use = StationUse()
        if not self.up:
            self._down_since = self.env.now

    def snapshot(self) -> StationUse:
        """Return the counters up to now."""
        self._integrate()
        down = 0.0 if self.up else self.env.now - self._down_since
        u = self.use
        return StationUse(u.calls, u.busy_s, u.dropped, u.down_s + down, list(u.waits))

    # ------------------------------------------------------------ inside

    def _integrate(self) -> None:
        now = self.env.now
        self.use.busy_s += self._busy * (now - self._changed_s)
        self._changed_s = now

    def _enqueue(self, call: Call) -> None:
        if self.discipline == "fifo":
            self._fifo.append(call)
        else:
            self._seq += 1
            heappush(self._heap, (call.priority, self._seq, call))

    def _requeue(self, call: Call) -> None:
        """Put an interrupted call back in front; its scheduled end is recognised as stale by its epoch."""
        replacement = call
        if self.discipline == "fifo":
            self._fifo.appendleft(replacement)
        else:
            heappush(self._heap, (call.priority, -self._seq, replacement))
            self._seq += 1

    def _begin(self, call: Call) -> None:
        self._integrate()
        self._busy += 1
        call.began_s = self.env.now
        self._running[call] = None
        epoch = call.epoch
        self._timer(call.service_s, lambda _event: self._finish(call, epoch))

    def _finish(self, call: Call, epoch: int) -> None:
        if call.epoch != epoch or call._value is not PENDING:
            return
        self._integrate()
        self._busy -= 1
        del self._running[call]
        wait = call.began_s - call.arrived_s
        self.use.calls += 1
        self.use.waits.append(wait)
        if self.on_finish is not None:
            self.on_finish(call)
        self._start_waiting()
        self._answer(call, Served(wait, call.service_s))

    def _start_waiting(self) -> None:
        while self.up and self._busy < self.servers:
            if self._fifo:
                self._begin(self._fifo.popleft())
            elif self._heap:
                self._begin(heappop(self._heap)[2])
            else:
                return
