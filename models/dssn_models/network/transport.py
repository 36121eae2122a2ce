"""TCP's own rules: how a sender's window grows, and what it does when segments are lost.

Pure state machines in segments and seconds. Who shares a link with whom, queues and drops belong to
``dssn_sim.transport``. Sources: slow start, congestion avoidance and fast retransmit RFC 5681; initial
window RFC 6928; NewReno RFC 6582; CUBIC RFC 9438; HyStart as in the CUBIC of ns-3 and Linux (Ha and Rhee,
2011); recovery with SACK RFC 6675 and proportional rate reduction RFC 6937; time-outs RFC 6298; BBR
draft-ietf-ccwg-bbr.
"""

from __future__ import annotations

from math import inf, log
from typing import Final, Literal

from dssn_models.plan import TcpPlan

__all__ = ["HEADER_BYTES", "Window", "mathis_bps", "slow_start_rounds"]

Phase = Literal["slow_start", "avoidance", "recovery", "timeout"]

#: IPv4 20 + TCP 20 + time stamps 12 (RFC 791, 9293, 7323).
HEADER_BYTES: Final = 52

# RFC 9438: C (segments/s^3) and multiplicative decrease; RFC 5681: one half.
_CUBIC_C: Final = 0.4
_BETA: Final = {"cubic": 0.7, "newreno": 0.5, "bbr": 0.5}  # BBR: only after a time-out
# Growth of a window per acknowledged segment in slow start. CUBIC counts bytes (RFC 3465, so the window
# doubles); NewReno grows by one segment an acknowledgement, and one covers two segments (RFC 5681, 4.2).
_GROWTH: Final = {"cubic": 1.0, "newreno": 0.5, "bbr": 1.0}
# HyStart: from this window on; the delay it accepts lies between these bounds (ns-3's CUBIC).
_HYSTART_WINDOW: Final = 16.0
_HYSTART_DELAY_S: Final = (0.004, 1.0)
# CUBIC before its first loss grows by at least one segment in 20 acknowledged; never faster than 1 in 2.
_CUBIC_FIRST: Final = 1 / 20
_CUBIC_MOST: Final = 1 / 2
# BBR keeps at most two bandwidth-delay products in flight.
_BBR_GAIN: Final = 2.0
#: A Poisson number of losses with this mean is more often some than none.
_LIKELY: Final = log(2.0)


class Window:
    """The congestion window of one transfer (of all its parallel streams together).

    Attributes
    ----------
    size : float
        Segments that may be in flight.
    phase : str
        ``slow_start``, ``avoidance``, ``recovery`` (fast retransmit) or ``timeout`` (nothing is sent).
    """

    __slots__ = (
        "_beta", "_epoch_s", "_k", "_origin", "_rules", "_w_max", "answers_loss", "growth", "lost", "min_rtt_s", "most", "phase",
        "size", "ssthresh", "streams",
    )  # fmt: skip

    def __init__(self, rules: TcpPlan) -> None:
        self._rules = rules
        self.streams = rules.streams
        self.size = float(rules.initial_window * rules.streams)
        self.most = max(1.0, rules.max_window_bytes / rules.segment_bytes) * rules.streams
        self.ssthresh = inf
        self.phase: Phase = "slow_start"
        self.growth = _GROWTH[rules.congestion]
        self.answers_loss = rules.congestion != "bbr"  # BBR's window follows the rate it measures
        # A loss concerns one of the streams.
        self._beta = 1.0 - (1.0 - _BETA[rules.congestion]) / rules.streams
        self.min_rtt_s = inf
        self.lost = 0.0
        self._w_max = 0.0
        self._epoch_s = -1.0
        self._k = 0.0
        self._origin = 0.0

    # ------------------------------------------------------------------ growth

    def step(self, rtt_s: float, now: float) -> float:
        """Return by how many segments the window grows in one round trip from now."""
        if self.phase == "slow_start":
            step = min(self.growth * self.size, max(self.ssthresh, self.size) - self.size)
        elif self.phase != "avoidance" or self._rules.congestion == "bbr":
            return 0.0
        elif self._rules.congestion == "newreno":
            step = self.growth * self.streams
        else:
            step = self._cubic(rtt_s, now)
        return min(step, self.most - self.size)

    def _cubic(self, rtt_s: float, now: float) -> float:
        each = self.size / self.streams
        if self._epoch_s < 0.0:
            self._epoch_s = now
            self._origin = max(self._w_max, each)
            self._k = ((self._origin - each) / _CUBIC_C) ** (1.0 / 3.0)
        t = now + min(self.min_rtt_s, rtt_s) - self._epoch_s
        target = self._origin + _CUBIC_C * (t - self._k) ** 3
        least = _CUBIC_FIRST * each if self._w_max == 0.0 else 0.01
        return min(max(target - each, least), _CUBIC_MOST * each) * self.streams

    def grow(self, segments: float) -> None:
        """Add to the window; slow start ends at its threshold."""
        self.size = min(self.size + segments, self.most)
        if self.phase == "slow_start" and self.size >= min(self.ssthresh, self.most):
            self._avoid()

    def _avoid(self) -> None:
        self.phase = "avoidance"
        self._epoch_s = -1.0

    def measured(self, rtt_s: float, burst_s: float) -> bool:
        """Take a round-trip time; True if HyStart now ends slow start.

        ``burst_s`` is how long the window's segments take at the narrowest link: a train of
        acknowledgements longer than the least round-trip time fills the pipe.
        """
        self.min_rtt_s = min(self.min_rtt_s, rtt_s)
        if self.phase != "slow_start" or self._rules.congestion != "cubic" or self.ssthresh < inf:
            return False
        if self.size < _HYSTART_WINDOW * self.streams:
            return False
        low, high = _HYSTART_DELAY_S
        patience = min(max(self.min_rtt_s, low), high)
        return burst_s > self.min_rtt_s or rtt_s > self.min_rtt_s + patience

    def full_pipe(self, rtt_s: float) -> None:
        """End slow start without a loss; what is acknowledged until then still adds to the window."""
        self.size = min(self.size * (1.0 + self.growth * self.min_rtt_s / rtt_s), self.most)
        self.ssthresh = self.size
        self._avoid()

    def paced(self, segments_per_s: float) -> None:
        """BBR: start-up is over or the estimate changed; two bandwidth-delay products."""
        self.size = min(max(4.0, _BBR_GAIN * segments_per_s * self.min_rtt_s), self.most)
        self.phase = "avoidance"

    # ------------------------------------------------------------------ loss

    def lose(self, segments: float) -> float:
        """Answer losses that three duplicates told; return how many round trips the repair takes."""
        each = self.size / self.streams
        self._w_max = each * (1.0 + self._beta) / 2.0 if each < self._w_max else each
        self.ssthresh = max(2.0 * self.streams, self._beta * self.size)
        self.size = max(min(self.ssthresh, self.size - segments), float(self.streams))
        self.lost = segments
        self.phase = "recovery"
        # Repairs go out one for one with the acknowledgements of what still arrives.
        return 1.0 + segments / self.size

    def repaired(self) -> float:
        """End recovery at the threshold; return the segments that now go out at once."""
        before = self.size
        self.size = min(self.ssthresh, self.most)
        self.lost = 0.0
        self._avoid()
        return self.size - before

    def repair_lost(self, again: float) -> bool:
        """Whether losing each segment with chance ``again`` more likely than not hits a repair."""
        return self.lost * again >= _LIKELY

    def time_out(self) -> None:
        """Wait for the retransmission timer: nothing is sent."""
        self.ssthresh = max(2.0 * self.streams, self._beta * self.size)
        self.phase = "timeout"

    def restart(self) -> None:
        """Begin again with one segment after a time-out (RFC 5681, 3.1)."""
        self.size = float(self.streams)
        self.lost = 0.0
        self._w_max = 0.0
        self.phase = "slow_start"


def slow_start_rounds(segments: float, initial_window: float, growth: float) -> int:
    """Return how many round trips send so many segments when nothing else limits.

    Examples
    --------
    >>> slow_start_rounds(691, 10, 2.0)
    7
    """
    rounds, window, sent = 0, initial_window, 0.0
    while sent < segments:
        sent += window
        window *= growth
        rounds += 1
    return rounds


def mathis_bps(segment_bytes: float, rtt_s: float, loss: float, *, acknowledged: float = 1.0) -> float:
    """Return the rate of a sender that halves its window every 1/loss segments (Mathis et al., 1997).

    ``acknowledged`` segments per acknowledgement: the window grows by its inverse in a round trip.
    """
    return float(8.0 * segment_bytes / rtt_s * (1.5 / (acknowledged * loss)) ** 0.5)
