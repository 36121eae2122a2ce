"""The busiest quarter of an hour of every link and node: what a mean over the run hides."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["WINDOW_S", "Peaks", "Use"]

Floats = NDArray[np.float64]

#: Length of the sliding window (s); traffic engineers size for the busy quarter hour or hour (ITU-T E.500).
WINDOW_S: Final = 900.0


@dataclass(frozen=True)
class Use:
    """Integrals since the end of the warm-up: busy link-seconds, core-seconds executing and held, by index."""

    links: Floats
    busy: Floats
    held: Floats

    def since(self, earlier: Use, span_s: float) -> Use:
        """Return the means over a span that ends here."""
        return Use(
            (self.links - earlier.links) / span_s,
            (self.busy - earlier.busy) / span_s,
            (self.held - earlier.held) / span_s,
        )


class Peaks:
    """Largest means over a window that slides by one sample.

    Parameters
    ----------
    start_s : float
        End of the warm-up.
    zero : Use
        Integrals at that time: zeros of the right lengths.
    """

    def __init__(self, start_s: float, zero: Use) -> None:
        self._seen: deque[tuple[float, Use]] = deque([(start_s, zero)])
        #: Means over the busiest window; zeros until something was looked at.
        self.largest = zero
        self._whole = False

    def look(self, now_s: float, use: Use) -> None:
        """Take a sample; those of the warm-up are left out."""
        start_s = self._seen[0][0]
        if now_s <= start_s:
            return
        self._seen.append((now_s, use))
        while len(self._seen) > 2 and now_s - self._seen[1][0] >= WINDOW_S * (1 - 1e-9):
            self._seen.popleft()
        first_s, first = self._seen[0]
        mean = use.since(first, now_s - first_s)
        if now_s - first_s < WINDOW_S * (1 - 1e-9):
            self.largest = mean  # not a whole window yet: the mean so far
            return
        before = self.largest if self._whole else mean
        self._whole = True
        self.largest = Use(
            np.maximum(before.links, mean.links),
            np.maximum(before.busy, mean.busy),
            np.maximum(before.held, mean.held),
        )
