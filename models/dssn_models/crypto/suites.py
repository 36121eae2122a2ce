"""Cipher suites and what they cost: bulk encryption, hash, signature, handshake, PSI curve.

A suite maps each use to a key of the cost table. ``international`` is AES-256-GCM, SHA-256, P-256
and Curve25519; ``sm`` is SM4-GCM, SM3, SM2 and TLS_SM4_GCM_SM3 over curveSM2 (RFC 8998), from stock
libraries. ``sm-optimised`` and ``sm-hardware`` are assumed profiles (the latter a simulated card);
the ``-pq`` suites exchange keys with X25519MLKEM768. ``none`` costs nothing: for comparison with
published runs in clear.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from dssn_models.crypto.tables import CostTable, cost_table

__all__ = [
    "SUITES",
    "HandshakeCost",
    "Suite",
    "aead_core_s",
    "bulk_core_s",
    "find_suite",
    "handshake",
    "hash_core_s",
    "record_overhead",
    "sign_core_s",
    "suite_keys",
    "verify_core_s",
]


@dataclass(frozen=True, slots=True)
class Suite:
    """Which table entries a suite uses; an empty key is free of cost."""

    name: str
    title: str
    aead: str
    hash: str
    signature: str
    tls: str
    bulk: str
    curve: str  # the PSI curve
    prg: str
    agree: str
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class HandshakeCost:
    """A mutual TLS 1.3 handshake with its TCP connect."""

    client_core_s: float
    server_core_s: float
    up_bytes: float
    down_bytes: float
    rounds: int


_INTERNATIONAL: Final = Suite(
    name="international",
    title="AES-256-GCM, SHA-256, P-256, TLS 1.3",
    aead="aead.aes_256_gcm",
    hash="hash.sha256",
    signature="p256",
    tls="p256",
    bulk="tls.bulk_aes",
    curve="x25519",
    prg="prg.aes_ctr",
    agree="agree.x25519",
)
_SM: Final = Suite(
    name="sm",
    title="SM4-GCM, SM3, SM2, TLS_SM4_GCM_SM3 (RFC 8998), stock libraries",
    aead="aead.sm4_gcm",
    hash="hash.sm3",
    signature="sm2",
    tls="sm",
    bulk="tls.bulk_sm4",
    curve="sm2",
    prg="prg.sm4_ctr",
    agree="agree.sm2",
)


def _sm_variant(word: str, title: str, *, simulated: bool) -> Suite:
    """Return the SM suite with the entries of another implementation; seeds and key agreement stay stock."""
    return Suite(
        f"sm-{word}", title, f"aead.sm4_gcm_{word}", f"hash.sm3_{word}", f"sm2_{word}", f"sm_{word}",
        f"tls.bulk_sm4_{word}", f"sm2_{word}", _SM.prg, _SM.agree, simulated,
    )  # fmt: skip


SUITES: Final[Mapping[str, Suite]] = {
    s.name: s
    for s in (
        _INTERNATIONAL,
        replace(_INTERNATIONAL, name="international-pq", tls="p256_mlkem768",
                title="as international, X25519MLKEM768 key exchange"),
        _SM,
        replace(_SM, name="sm-pq", tls="sm_mlkem768", title="as sm, X25519MLKEM768 key exchange"),
        _sm_variant("optimised", "SM, vectorised ciphers and a tuned field (assumed)", simulated=False),
        _sm_variant("hardware", "SM on a card (simulated, assumed)", simulated=True),
        replace(_INTERNATIONAL, name="none", aead="", bulk="", tls="", hash="", signature="",
                title="no channel encryption, for comparison with runs in clear"),
    )
}  # fmt: skip


def find_suite(name: str) -> Suite:
    """Return a suite; KeyError lists the names."""
    try:
        return SUITES[name]
    except KeyError:
        raise KeyError(f"no cipher suite {name!r}; there are: {', '.join(SUITES)}") from None


@lru_cache(maxsize=256)
def _rate(key: str, table: str) -> float:
    return cost_table(table).value(key) if key else 0.0


def aead_core_s(suite: str, size_bytes: float, table: str = "reference") -> float:
    """Core-seconds to encrypt or decrypt this many bytes once."""
    aead = find_suite(suite).aead
    return _rate(f"{aead}_s_per_byte" if aead else "", table) * size_bytes


def hash_core_s(suite: str, size_bytes: float, table: str = "reference") -> float:
    """Core-seconds to hash this many bytes."""
    name = find_suite(suite).hash
    return _rate(f"{name}_s_per_byte" if name else "", table) * size_bytes


def bulk_core_s(suite: str, size_bytes: float, table: str = "reference") -> float:
    """Core-seconds of *one* end of a TLS channel for this many payload bytes."""
    bulk = find_suite(suite).bulk
    return _rate(f"{bulk}_s_per_byte" if bulk else "", table) * size_bytes


def sign_core_s(suite: str, table: str = "reference") -> float:
    """Core-seconds of one signature."""
    name = find_suite(suite).signature
    return _rate(f"sign.{name}_s" if name else "", table)


def verify_core_s(suite: str, table: str = "reference") -> float:
    """Core-seconds to verify one signature."""
    name = find_suite(suite).signature
    return _rate(f"verify.{name}_s" if name else "", table)


def record_overhead(suite: str, table: str = "reference") -> float:
    """Bytes handed to TCP per payload byte (22 B per 16 KiB record; the ``none`` suite adds none)."""
    return _rate("tls.record_overhead", table) if find_suite(suite).tls else 1.0


@lru_cache(maxsize=64)
def handshake(suite: str, *, resumed: bool = False, table: str = "reference") -> HandshakeCost:
    """Return the cost of opening a channel.

    Parameters
    ----------
    suite : str
        A name of :data:`SUITES`.
    resumed : bool
        With a pre-shared key of an earlier session. Measured for ``international``;
        the other suites take the same figures.
    table : str
        The cost table.

    Returns
    -------
    HandshakeCost
        ``rounds`` counts round trips before the client may send: TCP connect and TLS.
        The mutual (client) certificate travels with the client's first data.
    """
    tls = find_suite(suite).tls
    costs: CostTable = cost_table(table)
    if not tls:
        return HandshakeCost(0.0, 0.0, 0.0, 0.0, 1)
    key = "tls.resumed" if resumed else f"tls.{tls}"
    # The assumed profiles change the computing, not the messages.
    sizes = key if f"{key}.up_bytes" in costs.entries else "tls.sm"
    return HandshakeCost(
        costs.value(f"{key}.client_s"),
        costs.value(f"{key}.server_s"),
        costs.value(f"{sizes}.up_bytes"),
        costs.value(f"{sizes}.down_bytes"),
        int(costs.value("tls.rounds")),
    )


def suite_keys(suite: str) -> tuple[str, ...]:
    """Return the table keys that a suite's functions read (for the list of constants of a run)."""
    s = find_suite(suite)
    keys = [f"{k}_s_per_byte" for k in (s.aead, s.hash, s.bulk) if k]
    if s.signature:
        keys += [f"sign.{s.signature}_s", f"verify.{s.signature}_s"]
    if s.tls:
        sizes = "sm" if s.tls in ("sm_optimised", "sm_hardware") else s.tls
        keys += [f"tls.{s.tls}.client_s", f"tls.{s.tls}.server_s"]
        keys += [f"tls.{sizes}.up_bytes", f"tls.{sizes}.down_bytes", "tls.rounds", "tls.record_overhead"]
        keys += [f"tls.resumed.{k}" for k in ("client_s", "server_s", "up_bytes", "down_bytes")]
    return tuple(keys)
