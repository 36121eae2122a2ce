"""Evidence of one replication: per-order hash chains of salted commitments over one Merkle log."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from dssn_models.trust.evidence import SALT_BYTES, EvidenceLog

__all__ = ["Ledger"]


class Ledger:
    """Records the evidence of deliveries.

    Parameters
    ----------
    key : int
        64 bits; the salts are a function of it, the order and the number of the record, so no order's
        evidence shifts another's.
    """

    def __init__(self, key: int) -> None:
        self._key = key
        self.log = EvidenceLog(self._salt)

    def _salt(self, order: str, seq: int) -> bytes:
        return sha256(f"{self._key}|{order}|{seq}".encode()).digest()[:SALT_BYTES]

    def record(self, order: int, events: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Append the events of one delivery; return (event, commitment in hex)."""
        return [
            (event, self.log.append(str(order), event, facts).commitment.hex()) for event, facts in events
        ]
