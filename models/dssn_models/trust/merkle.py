"""Merkle log with inclusion and consistency proofs (RFC 6962, section 2.1).

Leaf hash SHA-256(0x00 || data), node hash SHA-256(0x01 || left || right). The log keeps the hash of every
complete subtree, 32 B each, in one byte string per level: appending costs two hashes on average, a root or a
proof O(log n).
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

__all__ = ["EMPTY_ROOT", "MerkleLog", "leaf_hash", "node_hash", "verify_consistency", "verify_inclusion"]

_SIZE: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


class MerkleLog:
    """An append-only log.

    Examples
    --------
    >>> log = MerkleLog()
    >>> log.append(b"")
    0
    >>> log.root().hex()[:8]
    '6e340b9c'
    """

    def __init__(self) -> None:
        self._levels: list[bytearray] = [bytearray()]

    def __len__(self) -> int:
        """Return the number of leaves."""
        return len(self._levels[0]) // _SIZE

    def append(self, data: bytes) -> int:
        """Append a leaf and return its index."""
        index = len(self)
        digest, level, position = leaf_hash(data), 0, index
        self._levels[0] += digest
        while position & 1:
            digest = node_hash(self._at(level, position - 1), digest)
            level, position = level + 1, position >> 1
            if level == len(self._levels):
                self._levels.append(bytearray())
            self._levels[level] += digest
        return index

    def leaf(self, index: int) -> bytes:
        """Return the hash of a leaf."""
        if not 0 <= index < len(self):
            raise IndexError(f"leaf {index} of {len(self)}")
        return self._at(0, index)

    def root(self, size: int | None = None) -> bytes:
        """Return the tree head of the first ``size`` leaves (default: all)."""
        size = self._size(size)
        return self._range(0, size) if size else EMPTY_ROOT

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """Return the audit path of a leaf in the tree of the first ``size`` leaves."""
        size = self._size(size)
        if not 0 <= index < size:
            raise IndexError(f"leaf {index} of {size}")
        path: list[bytes] = []
        low, high = 0, size
        while high - low > 1:
            middle = low + _split(high - low)
            if index < middle:
                path.append(self._range(middle, high))
                high = middle
            else:
                path.append(self._range(low, middle))
                low = middle
        return path[::-1]

    def consistency(self, first: int, second: int | None = None) -> list[bytes]:
        """Return the proof that the tree of ``first`` leaves is the beginning of that of ``second``."""
        second = self._size(second)
        if not 0 < first <= second:
            raise IndexError(f"no proof between {first} and {second} leaves")
        path: list[bytes] = []
        low, high, whole = 0, second, True
        while first != high:
            middle = low + _split(high - low)
            if first <= middle:
                path.append(self._range(middle, high))
                high = middle
            else:
                path.append(self._range(low, middle))
                low, whole = middle, False
        if not whole:
            path.append(self._range(low, high))
        return path[::-1]

    # ------------------------------------------------------------ inside

    def _size(self, size: int | None) -> int:
        if size is None:
            return len(self)
        if not 0 <= size <= len(self):
            raise IndexError(f"{size} leaves of {len(self)}")
        return size

    def _at(self, level: int, position: int) -> bytes:
        return bytes(self._levels[level][position * _SIZE : (position + 1) * _SIZE])

    def _range(self, low: int, high: int) -> bytes:
        """Return the hash of the leaves low ... high - 1, a range as the RFC cuts it."""
        parts: list[bytes] = []  # complete subtrees from left to right, falling in size
        while low < high:
            level = (high - low).bit_length() - 1
            parts.append(self._at(level, low >> level))
            low += 1 << level
        digest = parts.pop()
        while parts:
            digest = node_hash(parts.pop(), digest)
        return digest


def _split(n: int) -> int:
    """Return the largest power of two below n (n > 1)."""
    return 1 << ((n - 1).bit_length() - 1)


def verify_inclusion(leaf: bytes, index: int, size: int, path: list[bytes], root: bytes) -> bool:
    """Return whether a path proves that ``leaf`` (a leaf hash) is leaf ``index`` of a tree (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, last, digest = index, size - 1, leaf
    for part in path:
        if last == 0:
            return False
        if node & 1 or node == last:
            digest = node_hash(part, digest)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            digest = node_hash(digest, part)
        node, last = node >> 1, last >> 1
    return last == 0 and digest == root


def verify_consistency(
    first: int, second: int, first_root: bytes, second_root: bytes, path: list[bytes]
) -> bool:
    """Return whether a path proves that the first tree is the beginning of the second (RFC 9162, 2.1.4.2)."""
    if not 0 < first <= second:
        return False
    if first == second:
        return not path and first_root == second_root
    if first & (first - 1) == 0:
        path = [first_root, *path]
    if not path:
        return False
    node, last = first - 1, second - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = path[0]
    for part in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old, new = node_hash(part, old), node_hash(part, new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, part)
        node, last = node >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root
