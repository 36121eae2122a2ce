"""The clock of a replication: SimPy's environment with its two hot paths, ``now`` and ``run``, in one frame each.

Order and meaning of events are SimPy's. Per event this saves a call of ``step`` and, per look at the time,
a call of the property (together about a tenth of a run's CPU).
"""

from __future__ import annotations

from heapq import heappop
from typing import Any

import simpy
from simpy.core import EmptySchedule, StopSimulation
from simpy.events import URGENT, Event

__all__ = ["Clock"]


class Clock(simpy.Environment):
    """A SimPy environment that starts at 0 s."""

    now: float = 0.0  # a plain attribute in place of SimPy's property; step() and run() keep both

    def step(self) -> None:
        """Process the next event."""
        if not self._queue:
            raise EmptySchedule
        self._now, _priority, _number, event = heappop(self._queue)
        self.now = self._now
        callbacks, event.callbacks = event.callbacks, None  # type: ignore[assignment]
        for callback in callbacks:
            callback(event)
        if not event._ok and not hasattr(event, "_defused"):
            raise event._value

    def run(self, until: Any = None) -> Any:
        """Run until a time (before its other events), until an event has happened, or to the last event."""
        if until is not None:
            if not isinstance(until, Event):
                until = self._stop_at(float(until))
            elif until.callbacks is None:
                return until.value
            until.callbacks.append(StopSimulation.callback)
        queue = self._queue
        try:
            while queue:
                self._now, _priority, _number, event = heappop(queue)
                self.now = self._now  # pyright: ignore[reportIncompatibleMethodOverride]
                callbacks, event.callbacks = event.callbacks, None  # type: ignore[assignment]
                for callback in callbacks:
                    callback(event)
                if not event._ok and not hasattr(event, "_defused"):
                    raise event._value
        except StopSimulation as stop:
            return stop.args[0]
        if until is not None and not until.triggered:
            raise RuntimeError(f"no event is left, but {until} has not happened")
        return None

    def _stop_at(self, time_s: float) -> Event:
        if time_s <= self._now:
            raise ValueError(f"until ({time_s}) must be later than now ({self._now})")
        stop = Event(self)
        stop._ok = True
        stop._value = None
        self.schedule(stop, URGENT, time_s - self._now)
        return stop
