"""Evidence of one replication: per-order hash chains of salted commitments over one Merkle log."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dssn_models.trust.evidence import EvidenceLog

__all__ = ["Ledger"]


class Ledger:
    """Records the evidence of deliveries.

    Parameters
    ----------
    rng : numpy.random.Generator
        Salts; a stream of its own, so evidence never shifts another draw.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.log = EvidenceLog(rng)

    def record(self, order: int, events: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Append the events of one delivery; return (event, commitment in hex)."""
        return [
            (event, self.log.append(str(order), event, facts).commitment.hex()) for event, facts in events
        ]
