"""Reason codes: why an order was refused or a delivery failed.

``REFUSED`` codes end an order before anything ran; ``FAILED`` codes end one that had begun.
The part before the dot is the group of the KPI ``admit_refuse`` (capacity, policy, trust,
compliance, price) or the kind of failure.
"""

from __future__ import annotations

from typing import Final

__all__ = ["FAILED", "REASONS", "REFUSED"]

REFUSED: Final[dict[str, str]] = {
    "admission.policy": "the admission policy refused the order",
    "capacity.node": "no node of the form and size needed exists (job larger than the node)",
    "capacity.engine": "a party's node cannot run the engine (class, image or TEE missing)",
    "capacity.network": "the network cannot give the ordered rate or delay",
    "capacity.queue": "a service's queue was full",
    "catalogue.unknown": "the product is not in the catalogue or not offered in this form",
    "compliance.level": "the sensitivity level forbids the asked form of delivery",
    "compliance.form": "an asset of the order may not be delivered in the asked form",
    "compliance.cross_border": "cross-border delivery without approval",
    "compliance.purpose": "the purpose is not allowed for this asset",
    "compliance.region": "the rule pack does not let the data go to or through this region",
    "compliance.algorithm": "the algorithm is not on the list of trusted ones",
    "compliance.contract": "the use is outside the contract; the detail names the clause",
    "compliance.review": "the reviewer refused",
    "negotiation.terminated": "the counterpart ended the negotiation",
    "price.limit": "the price is above the consumer's limit",
    "trust.certificate": "a party's certificate is expired, revoked or unknown",
    "trust.attestation": "attestation failed: measurement, nonce or verifier not accepted",
    "network.no_route": "no usable path between the parties",
}

FAILED: Final[dict[str, str]] = {
    "fault.node": "a party's node failed and the retries were used up",
    "fault.link": "the path was cut and could not be restored in time",
    "fault.service": "a platform service was down longer than the retries allow",
    "deadline.missed": "the deadline passed before a start was possible",
    "quality.defect": "the delivered product failed quality assessment",
    "run.horizon": "still under way when the run ended",
    "trust.revoked": "a certificate was revoked while the delivery ran",
}

REASONS: Final[dict[str, str]] = {**REFUSED, **FAILED}
