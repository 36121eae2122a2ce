"""Evidence of deliveries: salted commitments, one hash chain an order, one Merkle log over all [BIZ-05, CTL-21].

A record commits to its facts by SHA-256(salt || facts); only commitment and links go to the ledger, so a
ledger gives away nothing even about facts with few possible values. Facts and salt stay with the parties and
open the commitment later. Records of an order are chained; each record's hash is a leaf of the Merkle log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Final, Literal, NamedTuple

from dssn_models.trust.merkle import MerkleLog, leaf_hash, verify_consistency, verify_inclusion

__all__ = [
    "GENESIS",
    "EvidenceLog",
    "Finding",
    "Head",
    "MerkleLog",
    "Record",
    "check_chain",
    "commit",
    "opens",
    "verify_consistency",
    "verify_inclusion",
]

#: The link of an order's first record.
GENESIS: Final = bytes(32)
SALT_BYTES: Final = 16


class Record(NamedTuple):
    """One evidence record as the ledger holds it."""

    order: str
    seq: int
    event: str
    commitment: bytes
    previous: bytes
    hash: bytes
    leaf: int  # index in the Merkle log
    salt: bytes  # kept by the parties, not on the ledger


class Head(NamedTuple):
    """Length and last hash of an order's chain."""

    length: int
    hash: bytes


class Finding(NamedTuple):
    """A record that is not as it was written."""

    order: str
    seq: int
    kind: Literal["changed", "missing", "added", "unlinked"]
    text: str


def commit(salt: bytes, facts: str) -> bytes:
    """Return the salted commitment to facts."""
    return sha256(salt + facts.encode()).digest()


def opens(commitment: bytes, salt: bytes, facts: str) -> bool:
    """Return whether salt and facts open a commitment."""
    return commit(salt, facts) == commitment


def _record_hash(order: str, seq: int, event: str, commitment: bytes, previous: bytes) -> bytes:
    text = f"{len(order)}:{order}|{seq}|{len(event)}:{event}|".encode()
    return sha256(text + commitment + previous).digest()


class EvidenceLog:
    """Writes records and keeps the heads of the chains and the Merkle log.

    Parameters
    ----------
    salt : callable
        (order, number of the record in its chain) to ``SALT_BYTES`` bytes; in the emulation a secure source.
    """

    def __init__(self, salt: Callable[[str, int], bytes]) -> None:
        self._salt = salt
        self.heads: dict[str, Head] = {}
        self.merkle = MerkleLog()

    def append(self, order: str, event: str, facts: str) -> Record:
        """Write a record and return it.

        Parameters
        ----------
        order : str
            Whose chain.
        event : str
            What happened (readable on the ledger).
        facts : str
            Details, only committed to.
        """
        seq, previous = self.heads.get(order, (0, GENESIS))
        salt = self._salt(order, seq)
        commitment = commit(salt, facts)
        digest = _record_hash(order, seq, event, commitment, previous)
        leaf = self.merkle.append(digest)
        self.heads[order] = Head(seq + 1, digest)
        return Record(order, seq, event, commitment, previous, digest, leaf, salt)

    def check(self, order: str, records: Iterable[Record]) -> list[Finding]:
        """Check an order's records against head and Merkle log; an empty list means all is well."""
        return check_chain(order, records, self.heads.get(order, Head(0, GENESIS)), self.merkle)

    def proves(self, record: Record) -> bool:
        """Return whether the record's hash is in the log at its leaf."""
        if record.leaf >= len(self.merkle):
            return False
        path = self.merkle.inclusion(record.leaf)
        return verify_inclusion(
            leaf_hash(record.hash), record.leaf, len(self.merkle), path, self.merkle.root()
        )


def _own_hash(r: Record) -> bytes:
    return _record_hash(r.order, r.seq, r.event, r.commitment, r.previous)


def check_chain(
    order: str, records: Iterable[Record], head: Head, merkle: MerkleLog | None = None
) -> list[Finding]:
    """Return which records of a chain were changed, deleted or added.

    Parameters
    ----------
    order : str
        Whose chain.
    records : iterable of Record
        What is presented, in any order.
    head : Head
        Length and last hash as written.
    merkle : MerkleLog, optional
        With it a record that was changed *and* hashed anew is named too, not only its broken link.
    """
    found: list[Finding] = []
    by_seq: dict[int, Record] = {}
    for r in records:
        if r.order != order or not 0 <= r.seq < head.length or r.seq in by_seq:
            found.append(
                Finding(order, r.seq, "added", f"a record {r.seq} of {r.order} that was never written")
            )
        else:
            by_seq[r.seq] = r
    changed = {seq for seq, r in by_seq.items() if _own_hash(r) != r.hash}
    if merkle is not None:
        changed |= {
            seq for seq, r in by_seq.items()
            if not 0 <= r.leaf < len(merkle) or merkle.leaf(r.leaf) != leaf_hash(r.hash)
        }  # fmt: skip
    links = _links(by_seq, head)
    for seq in range(head.length):
        if seq not in by_seq:
            found.append(Finding(order, seq, "missing", f"record {seq} is missing"))
        elif seq in changed:
            found.append(Finding(order, seq, "changed", f"record {seq} ({by_seq[seq].event}) was changed"))
        elif seq in links and links[seq] != by_seq[seq].hash and (seq + 1) not in changed:
            text = f"record {seq} ({by_seq[seq].event}) is not the one that the next link names"
            found.append(Finding(order, seq, "unlinked", text))
    if 0 in by_seq and 0 not in changed and by_seq[0].previous != GENESIS:
        found.append(Finding(order, 0, "unlinked", "record 0 does not begin a chain"))
    return found


def _links(by_seq: Mapping[int, Record], head: Head) -> dict[int, bytes]:
    """Return, per record, the hash that its successor (or the head) has for it."""
    links = {seq - 1: r.previous for seq, r in by_seq.items() if seq > 0}
    if head.length:
        links[head.length - 1] = head.hash
    return links
