"""Private set intersection: ECDH, KKRT and RR22, two-party and multi-party.

Bytes of two parties (n items of the guest, m of the host):

- ECDH: guest to host 32 n, host to guest 32 m + 12 n, and 12 m back where all learn the result
  (PPCA, SecretFlow).
- KKRT: 1032 bit an item, OT matrix there and OPRF values back (Raghuraman and Rindal 2022, table 2).
- RR22: 260 (fast), 167 (lowcomm), 300 (malicious) bit an item, OKVS there and OPRF values back (same).

Time is made of three parts, seen in the published LAN times on 8, 16 and 32 cores: a serial part
that reads, hashes and writes the lists (one core, before and after the protocol, common to all
engines), the protocol's own work, and bytes. ECDH multiplies on many cores while it sends, so its
protocol overlaps fully (a = 0); KKRT computes on one core in batches while it sends (a = 0); RR22
encodes all items before it can send and decodes after (a = 1). Lists that outgrow the page cache
add ``k n^2 / memory`` (fitted; see :mod:`dssn_models.engines.fitting`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from dssn_models.engines.api import JobCost, RoleNeed
from dssn_models.engines.base import BaseEngine, Builder, Param, Value, num

__all__ = ["EcdhPsi", "KkrtPsi", "Rr22Psi"]

_COMMON: Mapping[str, Param] = {
    "rows": (1e6, "", "items in the guest's list"),
    "peer_rows": (0.0, "", "items in each host's list; 0: as rows"),
    "intersection": (0.3, "", "share of the smaller list that is in the result"),
    "result_row": (32.0, "size", "bytes of a row of the result"),
    "receiver": ("guest", "", "who learns the result: guest or all"),
    "topology": (
        "star",
        "",
        "star: the guest with each host (it learns each pair's intersection); ring: see the docs",
    ),
    "memory": (64e9, "size", "memory of the machines: longer lists spill to disk"),
}
_PROFILES: Mapping[str, str] = {
    "reference": "CPU of spu.psi measured on the reference machine, per row and party",
    "secretflow-psi-v2": "fitted from the published LAN rows of SecretFlow PSI v2 (their vCPU is the core)",
}
_FIRST = "secretflow-psi-v2"


class _Psi(BaseEngine):
    weight = "medium"
    confidentiality = "privacy"
    PROFILES: ClassVar[Mapping[str, str]] = _PROFILES
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "receiver": ("guest", "all"),
        "topology": ("star", "ring"),
    }

    def _lists(self, p: Mapping[str, Value], b: Builder, profile: str) -> tuple[float, float, float]:
        """Add the serial list handling; return n, m and the list seconds per row."""
        n = num(p, "rows")
        m = num(p, "peer_rows") or n
        if profile == _FIRST:
            per_row = b.value("psi.secretflow.rr22_fast_serial_s_per_row") - b.value(
                "psi.rr22.fast.kernel_s_per_row"
            )
        else:
            per_row = b.value("psi.reference.list_s_per_row")
        spill = b.value("psi.secretflow.spill_s_byte_per_row2") / max(num(p, "memory"), 1e6)
        work = {"guest": per_row * n + spill * n * n}
        for host in b.hosts:
            work[host] = per_row * m + spill * m * m
        b.step("read and hash lists", work, cores=1.0)
        return n, m, per_row

    def _finish(
        self, p: Mapping[str, Value], b: Builder, n: float, m: float, cores: tuple[float, float]
    ) -> JobCost:
        result = min(n, m) * min(num(p, "intersection"), 1.0)
        if p["receiver"] == "all":
            b.step("tell result", {}, [("guest", h, 8.0 * result) for h in b.hosts], rounds=1, data="result")
        bucket, per_row = b.value("psi.memory_rows"), b.value("psi.memory_bytes_per_row")
        needs: dict[str, RoleNeed] = {"guest": b.need(cores[0], per_row * min(n, bucket))}
        needs |= dict.fromkeys(b.hosts, b.need(cores[1], per_row * min(m, bucket)))
        return b.job(needs, result * num(p, "result_row"), rows=n + m * len(b.hosts), results=result)


class EcdhPsi(_Psi):
    """Elliptic-curve Diffie-Hellman PSI: most computing, fewest bytes.

    ``ring``: each list passes through all parties and is encrypted by each, so that only
    the common intersection shows (32 B an item and hop, 12 B in the last).
    """

    name = "psi.ecdh"
    title = "PSI by elliptic-curve Diffie-Hellman"
    operators = ("curve",)
    PARAMETERS: ClassVar[Mapping[str, Param]] = {
        **_COMMON,
        "cores": (0.0, "", "cores that the run can use at most; 0: the profile's (8 in reference)"),
        "curve": ("auto", "", "auto (by suite), x25519, fourq, p256 or sm2"),
    }
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **_Psi.CHOICES,
        "curve": ("auto", "x25519", "fourq", "p256", "sm2"),
    }

    def build(self, p: dict[str, Value], b: Builder, profile: str) -> JobCost:
        """Return the cost; see the module for the formulas."""
        curve = b.suite.curve if p["curve"] == "auto" else str(p["curve"])
        n, m, per_row = self._lists(p, b, profile)
        multiply, match, bound = self._constants(b, profile, curve, per_row)
        # The fitted bound is the published program's own; the reference one is only a default.
        asked = max(num(p, "cores"), 1.0) if p["cores"] else bound
        cap = min(asked, bound) if profile == _FIRST else asked
        first, second = b.value("psi.ecdh.first_bytes"), b.value("psi.ecdh.second_bytes")
        count = len(b.hosts)
        if p["topology"] == "star" or count == 1:
            work = {"guest": multiply * (n + count * m)} | dict.fromkeys(b.hosts, multiply * (n + m))
            traffic = [("guest", h, first * n) for h in b.hosts]
            traffic += [(h, "guest", first * m + second * n) for h in b.hosts]
            if p["receiver"] == "all":
                traffic += [("guest", h, second * m) for h in b.hosts]
            b.step(
                "exchange masked items",
                work,
                traffic,
                rounds=2,
                overlap=0.0,
                operator="curve",
                accelerable=1.0,
                cores=cap,
            )
        else:
            self._ring(b, n, m, multiply, first, second, cap)
        b.step("match", {"guest": match * (n + (count - 1) * m)}, cores=1.0)
        return self._finish(p, b, n, m, (cap, cap))

    @staticmethod
    def _constants(b: Builder, profile: str, curve: str, per_row: float) -> tuple[float, float, float]:
        """Seconds of one multiplication, seconds of matching per row, usable cores."""
        if profile == _FIRST:
            key = curve if curve == "fourq" else "x25519"
            row = b.value(f"psi.secretflow.{key}_parallel_s_per_row")
            if curve != "fourq":
                row *= b.value(f"psi.curve.{curve}_factor")
            match = b.value(f"psi.secretflow.{key}_serial_s_per_row") - per_row
            return row / 2.0, match, b.value("psi.secretflow.cores")
        row = b.value("psi.reference.ecdh_s_per_row") - per_row
        return row * b.value(f"psi.curve.{curve}_factor") / 2.0, 0.0, b.value("psi.reference.cores")

    @staticmethod
    def _ring(
        b: Builder, n: float, m: float, multiply: float, first: float, second: float, cap: float
    ) -> None:
        ring = ("guest", *b.hosts)
        sizes = [n] + [m] * len(b.hosts)
        count = len(ring)
        for hop in range(count):
            last = hop == count - 1
            # At hop h party i holds the list that started h places before it.
            held = [sizes[(i - hop) % count] for i in range(count)]
            work = {role: multiply * held[i] for i, role in enumerate(ring)}
            if last:
                traffic = [(role, "guest", second * held[i]) for i, role in enumerate(ring) if i]
            else:
                traffic = [(role, ring[(i + 1) % count], first * held[i]) for i, role in enumerate(ring)]
            b.step(
                f"pass {hop + 1} of {count}",
                work,
                traffic,
                rounds=1,
                overlap=0.0,
                operator="curve",
                accelerable=1.0,
                cores=cap,
            )


class _OtPsi(_Psi):
    """Shared shape of the two OPRF engines: matrix or OKVS to the host, OPRF values back."""

    overlap: ClassVar[float]

    def _kernel(
        self, p: Mapping[str, Value], b: Builder, profile: str, per_row: float
    ) -> tuple[float, float, str, float]:
        """Return kernel seconds per row, bits per row, key of the share sent back, set-up bytes."""
        raise NotImplementedError

    def build(self, p: dict[str, Value], b: Builder, profile: str) -> JobCost:
        """Return the cost; ring runs the hosts one after another on what is left of the list."""
        n, m, per_row = self._lists(p, b, profile)
        kernel, bits, back_key, setup = self._kernel(p, b, profile, per_row)
        back = b.value(back_key)
        groups = [b.hosts] if p["topology"] == "star" else [(h,) for h in b.hosts]
        left = n
        for group in groups:
            k = len(group)
            there = (1.0 - back) * kernel
            b.step(
                "encode and send",
                {"guest": k * there * left} | dict.fromkeys(group, there * left),
                [("guest", h, setup + (1.0 - back) * bits / 8.0 * left) for h in group],
                rounds=2,
                overlap=self.overlap,
                operator="ot",
                accelerable=1.0,
            )
            b.step(
                "evaluate and return",
                {"guest": k * back * kernel * m} | dict.fromkeys(group, back * kernel * m),
                [(h, "guest", back * bits / 8.0 * m) for h in group],
                rounds=1,
                overlap=self.overlap,
                operator="ot",
                accelerable=1.0,
            )
            left = min(left, m) * min(num(p, "intersection"), 1.0)
        # One core a session: the guest has as many sessions at once as there are hosts in a group.
        return self._finish(p, b, n, m, (float(len(groups[0])), 1.0))


class KkrtPsi(_OtPsi):
    """KKRT16: OT extension, least latency-bound, most bytes (semi-honest)."""

    name = "psi.kkrt"
    title = "PSI by oblivious-transfer extension (KKRT16)"
    operators = ("ot",)
    overlap = 0.0
    PARAMETERS: ClassVar[Mapping[str, Param]] = _COMMON

    def _kernel(
        self, p: Mapping[str, Value], b: Builder, profile: str, per_row: float
    ) -> tuple[float, float, str, float]:
        key = "psi.secretflow.kkrt_serial_s_per_row" if profile == _FIRST else "psi.reference.kkrt_s_per_row"
        return b.value(key) - per_row, b.value("psi.kkrt.bits_per_row"), "psi.kkrt.back_share", 0.0


class Rr22Psi(_OtPsi):
    """RR22: vector OLE and key-value store, modes fast, lowcomm and malicious."""

    name = "psi.rr22"
    title = "PSI by vector OLE and OKVS (RR22)"
    operators = ("ot",)
    overlap = 1.0
    PARAMETERS: ClassVar[Mapping[str, Param]] = {
        **_COMMON,
        "mode": ("fast", "", "fast, lowcomm (fewer bytes) or malicious (withstands a cheater)"),
    }
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **_Psi.CHOICES,
        "mode": ("fast", "lowcomm", "malicious"),
    }

    def _kernel(
        self, p: Mapping[str, Value], b: Builder, profile: str, per_row: float
    ) -> tuple[float, float, str, float]:
        mode = str(p["mode"])
        bits = b.value(f"psi.rr22.{mode}.bits_per_row")
        if mode == "lowcomm":
            kernel = (
                b.value("psi.secretflow.rr22_lowcomm_serial_s_per_row") - per_row
                if profile == _FIRST
                else b.value("psi.rr22.lowcomm.kernel_s_per_row")
            )
        else:
            whole = (
                "psi.secretflow.rr22_fast_serial_s_per_row"
                if profile == _FIRST
                else "psi.reference.rr22_s_per_row"
            )
            kernel = b.value(whole) - per_row
            if mode == "malicious":
                kernel += b.value("psi.rr22.malicious.extra_s_per_row")
        return kernel, bits, "psi.rr22.back_share", b.value("psi.rr22.setup_bytes")
