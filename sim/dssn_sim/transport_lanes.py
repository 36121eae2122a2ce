"""The queue before a link, as the windows of all transfers that cross it determine it.

Windows ``W`` with round-trip times ``r`` and a queue's delay ``d`` fill a link: the sum of ``W / (r + d)`` is
its rate. Each transfer hands in the straight line ``a + slope * t - fall * d`` that touches its own
``W / (r + d)`` while its window grows, so that ``d`` follows from three sums, whoever changes.
"""

from __future__ import annotations

from bisect import bisect_right
from math import inf

__all__ = ["Lane"]

#: A queue that was full counts as full until it is below this share.
_EASED = 0.9
#: Points kept of the integral of drops; a transfer looks back one round trip.
_HISTORY = 64


class Lane:
    """A drop-tail queue before a link (or before a hard slice of it).

    Parameters
    ----------
    rate_bps : float
        Rate at which it empties.
    buffer_s : float
        Longest delay.
    """

    __slots__ = (
        "_at", "_history", "a", "backlog", "buffer_s", "drops", "fall", "flows", "full_since", "growth", "rate", "slope", "trim",
    )  # fmt: skip

    def __init__(self, rate_bps: float, buffer_s: float) -> None:
        self.rate = rate_bps
        self.buffer_s = buffer_s
        self.flows = 0
        self.a = 0.0  # bit/s
        self.slope = 0.0  # bit/s^2
        self.fall = 0.0  # bit/s^2
        self.trim = 0.0  # bit/s of the sums that were dropped and are still in windows
        self.growth = 0.0  # bit/s by which all windows grow
        self.backlog = 0.0  # bits in queues of their own (FQ-CoDel)
        self.drops = 0.0  # s: integral of segments dropped per segment that passes
        self.full_since = inf
        self._at = 0.0
        self._history: list[tuple[float, float]] = []

    def delay(self, now: float) -> float:
        """Return how long a segment that arrives now waits (s)."""
        if self.a + self.slope * now - self.trim <= self.rate:
            return 0.0
        return min(self._delay(now), self.buffer_s)

    def _delay(self, now: float) -> float:
        over = self.a + self.slope * now - self.trim - self.rate
        return over / self.fall if self.fall > 0.0 else 0.0

    def _full_at(self, now: float) -> float:
        """Return when the queue is full if nothing changes; now, if it is."""
        if self.fall <= 0.0 or self.growth <= 0.0:
            return inf
        room = self.rate + self.buffer_s * self.fall - (self.a + self.slope * now - self.trim)
        if room <= 1e-9 * self.rate:
            return now
        return now + room / self.slope if self.slope > 0.0 else inf

    def chance(self, now: float) -> float:
        """Return the chance that a segment that arrives now is dropped: windows grow by more than fits."""
        return self.growth / (self.growth + self.rate) if self._full_at(now) <= now else 0.0

    def next_full(self, now: float) -> float:
        """Return since when the queue has been full, or when it will be."""
        return self.full_since if self.full_since < inf else self._full_at(now)

    def advance(self, now: float) -> None:
        """Count what was dropped up to now; call it before anything changes."""
        if now <= self._at:
            return
        if self.a + self.slope * now - self.trim <= self.rate:
            self._at = now
            return
        full = self._full_at(self._at)
        if full < now:
            self.full_since = min(self.full_since, full)
            self._note(full)
            self.drops += (now - full) * self.growth / self.rate
            self.trim += (now - full) * self.slope
            self._note(now)
        self._at = now

    def _note(self, t: float) -> None:
        if not self._history or self._history[-1][0] < t:
            self._history.append((t, self.drops))
            if len(self._history) > _HISTORY:
                del self._history[: _HISTORY // 2]

    def refresh(self, now: float) -> None:
        """See whether the queue is still full; call it after a change."""
        if self.a + self.slope * now <= self.rate:
            self.trim = 0.0
            self.full_since = inf
            return
        if self.trim > 0.0 and self.a + self.slope * now < self.rate + self.buffer_s * self.fall:
            self.trim = 0.0
        if self._full_at(now) <= now:
            self.full_since = min(self.full_since, now)
        elif self.full_since < inf and self._delay(now) < _EASED * self.buffer_s:
            self.full_since = inf

    def drops_at(self, t: float) -> float:
        """Return the integral of drops as it was at a past time."""
        past = self._history
        if not past or t >= past[-1][0]:
            return self.drops
        i = bisect_right(past, t, key=lambda point: point[0])
        if i == 0:
            return past[0][1]
        (t0, v0), (t1, v1) = past[i - 1], past[i]
        return v0 + (v1 - v0) * (t - t0) / (t1 - t0)
