"""Cache of engine images on a node, with a choice of what goes first when it is full [DCC-18]."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["ImageCache"]


@dataclass(slots=True)
class _Entry:
    size: float
    used: int  # clock of the last use
    uses: int
    pins: int = 0


@dataclass
class ImageCache:
    """Images held on a node.

    Parameters
    ----------
    capacity_bytes : float
        Room for images.
    policy : str
        ``lru``: the image not used for longest goes first; ``lfu``: the one used least often, then longest ago.

    Examples
    --------
    >>> c = ImageCache(10.0)
    >>> c.put("a", 6.0), c.put("b", 4.0), c.use("a"), c.put("c", 3.0)
    ([], [], True, ['b'])
    """

    capacity_bytes: float
    policy: Literal["lru", "lfu"] = "lru"
    hits: int = field(default=0, init=False)
    misses: int = field(default=0, init=False)
    evictions: int = field(default=0, init=False)
    _entries: dict[str, _Entry] = field(default_factory=dict, init=False, repr=False)
    _clock: int = field(default=0, init=False, repr=False)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def used_bytes(self) -> float:
        """Room taken."""
        return sum(e.size for e in self._entries.values())

    @property
    def images(self) -> Mapping[str, float]:
        """Image name to bytes."""
        return {name: e.size for name, e in self._entries.items()}

    def preload(self, names: Iterable[str], sizes: Mapping[str, float]) -> None:
        """Put images that are on the node from the start; they count neither as hit nor as miss."""
        for name in names:
            self.put(name, sizes.get(name, 0.0))

    def use(self, name: str) -> bool:
        """Look for an image; return whether it is here, and count the hit or miss."""
        entry = self._entries.get(name)
        if entry is None:
            self.misses += 1
            return False
        self.hits += 1
        self._clock += 1
        entry.used = self._clock
        entry.uses += 1
        return True

    def pin(self, name: str) -> None:
        """Keep an image while a job runs on it; pins are counted."""
        self._entries[name].pins += 1

    def unpin(self, name: str) -> None:
        """Take one pin away."""
        entry = self._entries[name]
        if entry.pins == 0:
            raise ValueError(f"image {name!r} is not pinned")
        entry.pins -= 1

    def put(self, name: str, size_bytes: float) -> list[str]:
        """Keep a pulled image; return the names that had to go, first gone first.

        An image larger than the cache, or for which pinned images leave no room, is not kept: then
        nothing goes, and the next job pulls it again.
        """
        if name in self._entries:
            return []
        movable = sum(e.size for e in self._entries.values() if e.pins == 0)
        used = self.used_bytes
        if used - movable + size_bytes > self.capacity_bytes:
            return []
        gone: list[str] = []
        while used + size_bytes > self.capacity_bytes:
            free = [n for n, e in self._entries.items() if e.pins == 0]
            if not free:  # only by rounding of the sums
                break
            victim = min(free, key=self._rank)
            used -= self._entries.pop(victim).size
            gone.append(victim)
        self.evictions += len(gone)
        self._clock += 1
        self._entries[name] = _Entry(size_bytes, self._clock, 1)
        return gone

    def _rank(self, name: str) -> tuple[int, ...]:
        entry = self._entries[name]
        return (entry.used,) if self.policy == "lru" else (entry.uses, entry.used)
