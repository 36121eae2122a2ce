"""Random streams keyed by name.

One root seed, one replication index and a tuple of names give one generator.
Two policies that are compared therefore see the same arrivals, and adding a
node leaves every other stream as it was (common random numbers).
"""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["Streams", "key_of", "stream"]


def key_of(seed: int, replication: int, *names: str) -> int:
    """Return 64 bits for one purpose, for draws that are keyed by order instead of drawn in turn.

    Examples
    --------
    >>> key_of(1, 0, "a") == key_of(1, 0, "a"), key_of(1, 0, "a") == key_of(1, 1, "a")
    (True, False)
    """
    text = "\x1f".join((str(seed), str(replication), *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def stream(seed: int, replication: int, *names: str) -> np.random.Generator:
    """Return the generator of one named stream.

    Examples
    --------
    >>> float(stream(1, 0, "a").random()) == float(stream(1, 0, "a").random())
    True
    """
    digest = hashlib.sha256("\x1f".join(names).encode()).digest()
    words = [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, replication, *words])))


class Streams:
    """The named streams of one replication; each name is handed out once and then kept."""

    def __init__(self, seed: int, replication: int) -> None:
        self.seed = seed
        self.replication = replication
        self._open: dict[tuple[str, ...], np.random.Generator] = {}

    def get(self, *names: str) -> np.random.Generator:
        """Return the generator of this name, the same object at each call."""
        rng = self._open.get(names)
        if rng is None:
            rng = self._open[names] = stream(self.seed, self.replication, *names)
        return rng
