"""Certificates of nodes as plain data: life cycle, validity with its cause, revocation lag [DCC-08, DCC-10].

The simulator needs states, times and causes, not bytes; real X.509 stands behind the same causes in the
emulation.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, Literal

__all__ = [
    "CAUSES",
    "TRANSITIONS",
    "Certificate",
    "CertificateState",
    "LifeCycleError",
    "Revocation",
    "check",
    "issue",
    "known_revoked_s",
    "move",
    "renew",
    "request",
    "revoke",
]


class CertificateState(Enum):
    """States of the life cycle."""

    REQUESTED = "requested"
    ISSUED = "issued"
    RENEWED = "renewed"  # replaced by a newer one; still valid until it expires
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    EXPIRED = "expired"


_S = CertificateState

#: State -> states that may follow.
TRANSITIONS: Final[Mapping[CertificateState, frozenset[CertificateState]]] = {
    _S.REQUESTED: frozenset({_S.ISSUED, _S.REVOKED}),  # revoked: the request was turned down
    _S.ISSUED: frozenset({_S.RENEWED, _S.SUSPENDED, _S.REVOKED, _S.EXPIRED}),
    _S.RENEWED: frozenset({_S.SUSPENDED, _S.REVOKED, _S.EXPIRED}),
    _S.SUSPENDED: frozenset({_S.ISSUED, _S.REVOKED, _S.EXPIRED}),
    _S.REVOKED: frozenset(),
    _S.EXPIRED: frozenset(),
}

#: Cause code -> text. '' is valid.
CAUSES: Final[Mapping[str, str]] = {
    "unknown_ca": "the issuer is not among the trusted authorities",
    "not_issued": "the certificate was requested and not issued",
    "wrong_name": "the certificate names another node",
    "not_yet_valid": "the certificate begins later than the verifier's clock, allowing for skew",
    "expired": "the certificate ended before the verifier's clock, allowing for skew",
    "revoked": "the certificate was revoked, and the verifier knows",
    "suspended": "the certificate is suspended",
}


class LifeCycleError(RuntimeError):
    """A change of state that the life cycle does not allow."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate.

    Attributes
    ----------
    serial : int
        Number, unique for an issuer.
    subject : str
        Node id.
    issuer : str
        Name of the authority.
    not_before_s, not_after_s : float
        Validity (virtual time, s).
    state : CertificateState
        State at the authority; verifiers learn of a revocation later (:class:`Revocation`).
    changed_s : float
        When the state was entered (s).
    """

    serial: int
    subject: str
    issuer: str
    not_before_s: float = 0.0
    not_after_s: float = math.inf
    state: CertificateState = CertificateState.REQUESTED
    changed_s: float = 0.0


def move(certificate: Certificate, state: CertificateState, now: float) -> Certificate:
    """Return the certificate in its next state.

    Raises
    ------
    LifeCycleError
        The life cycle does not lead there, or time would run backwards.
    """
    if state not in TRANSITIONS[certificate.state]:
        raise LifeCycleError(
            f"{certificate.subject}: {certificate.state.value} -> {state.value} is not allowed"
        )
    if now < certificate.changed_s:
        raise LifeCycleError(f"{certificate.subject}: {now} s is before the last change")
    if state is _S.EXPIRED and now < certificate.not_after_s:
        raise LifeCycleError(f"{certificate.subject}: expires at {certificate.not_after_s} s, not at {now} s")
    return replace(certificate, state=state, changed_s=now)


def request(serial: int, subject: str, issuer: str, now: float) -> Certificate:
    """Return a certificate that was asked for."""
    return Certificate(serial, subject, issuer, changed_s=now)


def issue(certificate: Certificate, now: float, lifetime_s: float) -> Certificate:
    """Return the requested certificate as issued, valid from now on."""
    if certificate.state is not _S.REQUESTED:
        raise LifeCycleError(f"{certificate.subject}: {certificate.state.value} -> issued is not an issue")
    return replace(
        move(certificate, _S.ISSUED, now), not_before_s=now, not_after_s=now + lifetime_s
    )  # fmt: skip


def renew(
    certificate: Certificate, serial: int, now: float, lifetime_s: float
) -> tuple[Certificate, Certificate]:
    """Return (old, new): the old one is marked renewed and stays valid to its end."""
    old = move(certificate, _S.RENEWED, now)
    return old, issue(request(serial, certificate.subject, certificate.issuer, now), now, lifetime_s)


def revoke(certificate: Certificate, now: float) -> Certificate:
    """Return the certificate as revoked."""
    return move(certificate, _S.REVOKED, now)


@dataclass(frozen=True, slots=True)
class Revocation:
    """How verifiers learn of a revocation.

    Attributes
    ----------
    mode : str
        ``crl``: lists come out every ``period_s``; ``ocsp``: asked at each handshake, answers are kept for
        ``period_s``; ``push``: told at once.
    period_s : float
        Period of lists, or life of an answer (s).
    delay_s : float
        Time from the authority to the verifier (s).
    """

    mode: Literal["crl", "ocsp", "push"] = "ocsp"
    period_s: float = 0.0
    delay_s: float = 0.0

    @property
    def worst_lag_s(self) -> float:
        """Longest time a revoked certificate is still accepted (s)."""
        return self.delay_s + (0.0 if self.mode == "push" else self.period_s)


def known_revoked_s(revoked_s: float, scheme: Revocation, asked_s: float | None = None) -> float:
    """Return when a verifier knows of a revocation (s).

    Parameters
    ----------
    revoked_s : float
        When the authority revoked.
    scheme : Revocation
        How the news travels.
    asked_s : float, optional
        ``ocsp``: when the verifier last fetched an answer before the revocation; without it none is kept.

    Examples
    --------
    >>> known_revoked_s(130.0, Revocation("crl", period_s=60.0, delay_s=2.0))
    182.0
    """
    if scheme.mode == "crl" and scheme.period_s > 0:
        return math.ceil(revoked_s / scheme.period_s) * scheme.period_s + scheme.delay_s
    if scheme.mode == "ocsp" and asked_s is not None and asked_s <= revoked_s:
        return max(revoked_s, asked_s + scheme.period_s) + scheme.delay_s
    return revoked_s + scheme.delay_s


def check(
    certificate: Certificate,
    name: str,
    now: float,
    trusted: Collection[str],
    *,
    skew_s: float = 0.0,
    clock_error_s: float = 0.0,
    revocation: Revocation | None = None,
) -> str:
    """Return '' if a verifier accepts the certificate, else a cause of :data:`CAUSES`.

    Parameters
    ----------
    certificate : Certificate
        What the peer shows.
    name : str
        Node id that the verifier expects.
    now : float
        True time (s).
    trusted : collection of str
        Authorities that the verifier trusts.
    skew_s : float
        Clock difference that the verifier tolerates (s).
    clock_error_s : float
        How far the verifier's clock is ahead of true time (s, may be negative).
    revocation : Revocation, optional
        How the verifier learns of revocations; without it at once.

    Notes
    -----
    Causes are looked for in the order issuer, name, time, revocation, as a TLS library does.
    """
    if certificate.issuer not in trusted:
        return "unknown_ca"
    if certificate.state is _S.REQUESTED:
        return "not_issued"
    if certificate.subject != name:
        return "wrong_name"
    clock = now + clock_error_s
    if clock < certificate.not_before_s - skew_s:
        return "not_yet_valid"
    if clock > certificate.not_after_s + skew_s or certificate.state is _S.EXPIRED:
        return "expired"
    if certificate.state in (_S.REVOKED, _S.SUSPENDED):
        known = known_revoked_s(certificate.changed_s, revocation) if revocation else certificate.changed_s
        if now >= known:
            return str(certificate.state.value)
    return ""
