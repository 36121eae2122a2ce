"""Evidence: salted commitments in a hash chain per delivery, over one Merkle log.

Only commitments are kept on the log, never facts: ``SHA-256(salt || event || facts)`` with a 16 byte
salt that stays with the parties, so small domains cannot be guessed (CTL-21). The records of a
delivery form a chain, so a record that was changed or taken out is named (BIZ-05). The log is
the tree of RFC 6962 (0x00 for leaves, 0x01 for nodes) with inclusion and consistency proofs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["EvidenceLog", "EvidenceRecord", "MerkleLog", "verify_chain", "verify_consistency", "verify_inclusion"]

_ZERO = bytes(32)


def _hash(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _leaf(data: bytes) -> bytes:
    return _hash(b"\x00" + data)


def _node(left: bytes, right: bytes) -> bytes:
    return _hash(b"\x01" + left + right)


class MerkleLog:
    """Append-only Merkle tree of RFC 6962, section 2.1.

    Appending is O(log n) amortised: full subtrees are kept per level.
    """

    def __init__(self) -> None:
        self._levels: list[list[bytes]] = [[]]

    def __len__(self) -> int:
        return len(self._levels[0])

    def append(self, data: bytes) -> int:
        """Append a leaf and return its index."""
        self._levels[0].append(_leaf(data))
        level = 0
        while len(self._levels[level]) % 2 == 0:
            left, right = self._levels[level][-2:]
            if level + 1 == len(self._levels):
                self._levels.append([])
            self._levels[level + 1].append(_node(left, right))
            level += 1
        return len(self) - 1

    def _range(self, begin: int, end: int) -> bytes:
        """Hash of leaves [begin, end); ``begin`` is a multiple of the largest power of two below the size."""
        size = end - begin
        if size == 1:
            return self._levels[0][begin]
        if size & (size - 1) == 0 and begin % size == 0:
            level = size.bit_length() - 1
            return self._levels[level][begin >> level]
        half = 1 << ((size - 1).bit_length() - 1)
        return _node(self._range(begin, begin + half), self._range(begin + half, end))

    def root(self, size: int | None = None) -> bytes:
        """Return the tree head of the first ``size`` leaves (all by default)."""
        n = len(self) if size is None else size
        return self._range(0, n) if n else _hash(b"")

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """Return the audit path of a leaf in the tree of ``size`` leaves."""
        n = len(self) if size is None else size
        if not 0 <= index < n <= len(self):
            raise IndexError(f"leaf {index} is not in a tree of {n}")
        return self._path(index, 0, n)

    def _path(self, index: int, begin: int, end: int) -> list[bytes]:
        size = end - begin
        if size == 1:
            return []
        half = 1 << ((size - 1).bit_length() - 1)
        if index < half:
            return [*self._path(index, begin, begin + half), self._range(begin + half, end)]
        return [*self._path(index - half, begin + half, end), self._range(begin, begin + half)]

    def consistency(self, first: int, second: int | None = None) -> list[bytes]:
        """Return the proof that the tree of ``first`` leaves is a prefix of that of ``second``."""
        n = len(self) if second is None else second
        if not 0 < first <= n <= len(self):
            raise IndexError(f"no consistency proof from {first} to {n}")
        return self._subproof(first, 0, n, whole=True)

    def _subproof(self, m: int, begin: int, end: int, *, whole: bool) -> list[bytes]:
        size = end - begin
        if m == size:
            return [] if whole else [self._range(begin, end)]
        half = 1 << ((size - 1).bit_length() - 1)
        if m <= half:
            return [*self._subproof(m, begin, begin + half, whole=whole), self._range(begin + half, end)]
        return [*self._subproof(m - half, begin + half, end, whole=False), self._range(begin, begin + half)]


def verify_inclusion(data: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Return whether ``data`` is leaf ``index`` of the tree with this size and root (RFC 9162, 2.1.3.2)."""
    if index >= size:
        return False
    fn, sn, r = index, size - 1, _leaf(data)
    for p in path:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = _node(p, r)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = _node(r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == root


def verify_consistency(first: int, second: int, first_root: bytes, second_root: bytes, path: Sequence[bytes]) -> bool:
    """Return whether the first tree is a prefix of the second (RFC 9162, 2.1.4.2)."""
    if first == second:
        return not path and first_root == second_root
    steps = list(path)
    if first & (first - 1) == 0:
        steps.insert(0, first_root)
    if not steps or not 0 < first < second:
        return False
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = steps[0]
    for c in steps[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = _node(c, fr), _node(c, sr)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = _node(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == first_root and sr == second_root


@dataclass(frozen=True, slots=True)
class EvidenceRecord:
    """One record: what is on the ledger, and the salt that stays with the parties."""

    delivery: str
    seq: int
    event: str
    commitment: bytes
    previous: bytes  # hash of the record before it in this delivery's chain
    salt: bytes
    index: int  # leaf in the Merkle log

    @property
    def digest(self) -> bytes:
        """Hash of this record, which the next one carries."""
        return _hash(self.previous + self.seq.to_bytes(4, "big") + self.event.encode() + self.commitment)


class EvidenceLog:
    """Evidence of many deliveries.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of salts.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._last: dict[str, EvidenceRecord] = {}
        self.log = MerkleLog()

    def append(self, delivery: str, event: str, facts: str) -> EvidenceRecord:
        """Commit to the facts of an event and chain it to the delivery's records."""
        salt = self._rng.bytes(16)
        before = self._last.get(delivery)
        record = EvidenceRecord(
            delivery,
            0 if before is None else before.seq + 1,
            event,
            commit(salt, event, facts),
            _ZERO if before is None else before.digest,
            salt,
            len(self.log),
        )
        self.log.append(record.digest)
        self._last[delivery] = record
        return record

    def close(self, delivery: str) -> None:
        """Forget a delivery's chain head; its records are complete."""
        self._last.pop(delivery, None)


def commit(salt: bytes, event: str, facts: str) -> bytes:
    """Return the salted commitment to an event's facts."""
    return _hash(salt + len(event).to_bytes(2, "big") + event.encode() + facts.encode())


def verify_chain(records: Sequence[EvidenceRecord]) -> str:
    """Return '' if a delivery's records are complete and untouched, else which one is not."""
    previous = _ZERO
    for seq, record in enumerate(records):
        if record.seq != seq:
            return f"record {seq} ({record.event} is number {record.seq}): one is missing"
        if record.previous != previous:
            return f"record {seq - 1} or {seq} ({record.event}) was changed"
        previous = record.digest
    return ""
