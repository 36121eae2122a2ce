"""Evidence of one replication: per-order hash chains of salted commitments over one Merkle log."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from dssn_models.trust.evidence import SALT_BYTES, EvidenceLog

__all__ = ["Ledger", "salt_of"]


def salt_of(key: int, order: str, seq: int) -> bytes:
    """Return the salt of an order's record: a function of the key, the order and the record's number."""
    return sha256(f"{key}|{order}|{seq}".encode()).digest()[:SALT_BYTES]


class Ledger:
    """Records the evidence of deliveries.

    Parameters
    ----------
    key : int
        64 bits; the salts come from it, so no order's evidence shifts another's (see :func:`salt_of`).
    """

    def __init__(self, key: int) -> None:
        self._key = key
        self.log = EvidenceLog(self._salt)

    def _salt(self, order: str, seq: int) -> bytes:
        return salt_of(self._key, order, seq)

    def record(self, order: int, events: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Append the events of one delivery; return (event, commitment in hex)."""
        return [
            (event, self.log.append(str(order), event, facts).commitment.hex()) for event, facts in events
        ]
