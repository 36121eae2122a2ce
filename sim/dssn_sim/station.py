"""A control-plane station: servers, a queue, and counters.

At most two SimPy events a call: its arrival (where the way there takes time) and its answer. The end of
service is known when service begins, so a server is freed when somebody next looks; only while calls wait
does a timer fire at the next end. A station that is down keeps its queue and starts the interrupted calls
again when it is back.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import inf
from typing import Any, ClassVar, Literal, NamedTuple

import simpy
from simpy.events import NORMAL, Event

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

    def __init__(self, env: simpy.Environment, service_s: float, priority: int, after_s: float) -> None:
        self.env = env
        self.callbacks = []
        self.abandoned = False
        self.after_s = after_s
        self.arrived_s = -1.0
        self.began_s = -1.0
        self.service_s = service_s
        self.priority = priority
        self.epoch = 0


class _Timer:
    """An entry of the event queue that only calls back: the part of an Event that the queue needs."""

    __slots__ = ("call", "callbacks", "epoch")
    _ok: ClassVar[bool] = True

    def __init__(self, callbacks: Any, call: Call | None, epoch: int) -> None:
        self.callbacks = callbacks
        self.call = call
        self.epoch = epoch


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
        "_begun", "_busy", "_changed_s", "_down_since", "_ends", "_fifo", "_heap", "_on_answer", "_on_arrival",
        "_on_wake", "_seq", "_wake_s", "discipline", "env", "name", "queue_limit", "servers", "up", "use",
    )  # fmt: skip

    def __init__(
        self,
        env: simpy.Environment,
        servers: int,
        *,
        discipline: Literal["fifo", "priority"] = "fifo",
        queue_limit: int | None = None,
        name: str = "",
    ) -> None:
        if servers < 1:
            raise ValueError(f"a station needs at least one server, got {servers}")
        self.env = env
        self.servers = servers
        self.discipline = discipline
        self.queue_limit = queue_limit
        self.name = name
        self.up = True
        self.use = StationUse()
        self._busy = 0
        self._changed_s = env.now
        self._down_since = 0.0
        self._fifo: deque[Call] = deque()
        self._heap: list[tuple[int, int, Call]] = []
        self._ends: list[tuple[float, int, Call]] = []  # calls in service by their end; in order of begin
        self._begun = 0
        self._seq = 0
        self._wake_s = inf
        self._on_arrival = (self._arrival,)
        self._on_answer = (self._answer_due,)
        self._on_wake = (self._wake,)

    # ------------------------------------------------------------ public

    @property
    def queue_length(self) -> int:
        """Calls waiting (not in service)."""
        return len(self._fifo) + len(self._heap)

    @property
    def busy(self) -> int:
        """Servers at work."""
        self._settle(self.env.now)
        return self._busy

    def serve(
        self, service_s: float, priority: int = 0, *, before_s: float = 0.0, after_s: float = 0.0
    ) -> Call:
        """Return the event of a call that needs ``service_s`` of one server.

        The call reaches the station ``before_s`` from now, and its event fires ``after_s`` after
        the end of service: the way there and back without waking the caller in between.
        """
        call = Call(self.env, service_s, priority, after_s)
        if before_s > 0:
            self._schedule(self.env.now + before_s, _Timer(self._on_arrival, call, 0))
        else:
            self._arrive(call)
        return call

    def answered(self, call: Call) -> bool:
        """Return whether the service of a call is over (its answer may still be on the way)."""
        self._settle(self.env.now)
        return call.triggered

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
        now = self.env.now
        self._settle(now)
        self._integrate(now)
        self.up = up
        if not up:
            self._down_since = now
            # each goes to the front, so the one that began first comes first again
            for _end, _n, call in sorted(self._ends, key=lambda item: -item[1]):
                call.epoch += 1
                call.began_s = -1.0
                self._requeue(call)
            self._ends.clear()
            self._busy = 0
        else:
            self.use.down_s += now - self._down_since
            self._start_waiting(now)
            self._arm()

    def reset_use(self) -> None:
        """Forget counters (end of warm-up)."""
        self._settle(self.env.now)
        self._integrate(self.env.now)
        self.use = StationUse()
        if not self.up:
            self._down_since = self.env.now

    def snapshot(self) -> StationUse:
        """Return the counters up to now."""
        self._settle(self.env.now)
        self._integrate(self.env.now)
        down = 0.0 if self.up else self.env.now - self._down_since
        u = self.use
        return StationUse(u.calls, u.busy_s, u.dropped, u.down_s + down, list(u.waits))

    # ------------------------------------------------------------ inside

    def _schedule(self, at_s: float, timer: _Timer) -> None:
        # SimPy's own schedule() takes a delay; the sum of end of service and way back must not be rounded twice.
        env: Any = self.env
        heappush(env._queue, (at_s, NORMAL, next(env._eid), timer))

    def _integrate(self, now: float) -> None:
        self.use.busy_s += self._busy * (now - self._changed_s)
        self._changed_s = now

    def _arrival(self, timer: _Timer) -> None:
        if timer.call is not None:
            self._arrive(timer.call)

    def _arrive(self, call: Call) -> None:
        now = call.arrived_s = self.env.now
        if call.abandoned:
            return
        if self._ends and self._ends[0][0] <= now:
            self._settle(now)
        if self.up and self._busy < self.servers:
            self._begin(call, now)
        elif self.queue_limit is not None and self.queue_length >= self.queue_limit:
            self.use.dropped += 1
            self._drop(call)
        else:
            self._enqueue(call)
            self._arm()

    def _drop(self, call: Call) -> None:
        call._ok = True
        call._value = Served(0.0, 0.0, dropped=True)
        if call.after_s > 0 or not call.callbacks:
            self.env.schedule(call, NORMAL, call.after_s)
        else:
            _resume_callers(call)

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

    def _begin(self, call: Call, now: float) -> None:
        self._integrate(now)
        self._busy += 1
        call.began_s = now
        end = now + call.service_s
        self._begun += 1
        heappush(self._ends, (end, self._begun, call))
        self._schedule(end + call.after_s, _Timer(self._on_answer, call, call.epoch))

    def _answer_due(self, timer: _Timer) -> None:
        call = timer.call
        if call is None or call.epoch != timer.epoch:
            return  # the station failed while it served the call, which will be served again
        if self._ends and self._ends[0][0] <= self.env.now:
            self._settle(self.env.now)
        # The callers are resumed inside the timer's event: no second trip through the event queue.
        _resume_callers(call)

    def _settle(self, now: float) -> None:
        """Free the servers whose service has ended, each as of its own end."""
        ends, use = self._ends, self.use
        while ends and ends[0][0] <= now:
            end, _n, call = heappop(ends)
            self._integrate(end)
            self._busy -= 1
            wait = call.began_s - call.arrived_s
            use.calls += 1
            use.waits.append(wait)
            call._ok = True
            call._value = Served(wait, call.service_s)
            if self._fifo or self._heap:
                self._start_waiting(end)
        if self._fifo or self._heap:
            self._arm()

    def _arm(self) -> None:
        """Make sure that something settles at the next end of service while calls wait."""
        if not self._ends or not (self._fifo or self._heap):
            return
        end, _n, call = self._ends[0]
        # The answer of a call without a way back falls on the end itself.
        if call.after_s > 0 and end < self._wake_s:
            self._wake_s = end
            self._schedule(end, _Timer(self._on_wake, None, 0))

    def _wake(self, _timer: _Timer) -> None:
        if self.env.now >= self._wake_s:
            self._wake_s = inf
        self._settle(self.env.now)

    def _start_waiting(self, now: float) -> None:
        while self.up and self._busy < self.servers:
            if self._fifo:
                self._begin(self._fifo.popleft(), now)
            elif self._heap:
                self._begin(heappop(self._heap)[2], now)
            else:
                return


def _resume_callers(call: Call) -> None:
    callbacks, call.callbacks = call.callbacks, None  # type: ignore[assignment]
    for callback in callbacks:
        callback(call)
