"""Aggregation under homomorphic encryption: hosts encrypt, an arbiter adds, the guest decrypts.

The arbiter never sees plaintext and the guest never sees a single host's ciphertext; the two must
not collude.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

from dssn_models.engines.api import JobCost
from dssn_models.engines.base import CORES, BaseEngine, Builder, Param, Value, num, pages
from dssn_models.engines.sgb import power_law

__all__ = ["Ckks", "Paillier"]


def _aggregate(
    b: Builder,
    count: float,
    values: float,
    times: tuple[float, float, float, float],
    size: float,
    operator: str,
    key_bytes: float,
    cores: float,
) -> JobCost:
    """Add the steps for ``count`` ciphertexts a host; ``times``: key generation, encrypt, decrypt, add."""
    keygen, encrypt, decrypt, add = times
    hosts = len(b.hosts)
    b.step("make key", {"guest": keygen}, cores=1.0)
    b.step("send public key", {}, [("guest", h, key_bytes) for h in b.hosts], rounds=1)
    b.step(
        "encrypt and send",
        dict.fromkeys(b.hosts, count * encrypt),
        [(h, "arbiter", count * size) for h in b.hosts],
        rounds=1,
        overlap=0.0,
        operator=operator,
        accelerable=1.0,
    )
    b.step("add", {"arbiter": count * add * hosts}, operator=operator, accelerable=1.0)
    b.step("send sum", {}, [("arbiter", "guest", count * size)], rounds=1)
    b.step("decrypt", {"guest": count * decrypt}, operator=operator, accelerable=1.0)
    held = min(count * size, 4e9)
    needs = {"guest": b.need(cores, held), "arbiter": b.need(cores, 2.0 * held)}
    needs |= dict.fromkeys(b.hosts, b.need(cores, held))
    return b.job(needs, values * 8.0, rows=values * hosts, ciphertexts=count * hosts)


class Paillier(BaseEngine):
    """Paillier with fixed-base encryption; several values packed in one ciphertext."""

    name = "he.paillier"
    title = "aggregation under Paillier encryption"
    weight = "medium"
    confidentiality = "privacy"
    operators = ("paillier",)
    EXTRA_ROLES = ("arbiter",)
    PARAMETERS: ClassVar[Mapping[str, Param]] = {
        "rows": (1e5, "", "values that each host contributes"),
        "key_bits": (2048.0, "", "key length"),
        "value_bits": (32.0, "", "bits of a value"),
        "packed": (True, "", "many values a ciphertext"),
        "keygen": (True, "", "make a new key for the run"),
        "cores": CORES,
    }

    def build(self, p: dict[str, Value], b: Builder, profile: str) -> JobCost:
        """Return the cost; times follow a power law through 2048 and 3072 bit."""
        bits = max(num(p, "key_bits"), 256.0)
        # Each slot leaves room for the carries of the sum.
        slot = max(num(p, "value_bits"), 1.0) + math.ceil(math.log2(len(b.hosts) + 1))
        per = max(math.floor(bits / slot), 1) if p["packed"] else 1
        encrypt = power_law(b.value("he.paillier.encrypt_s"), b.value("he.paillier.encrypt_3072_s"), bits)
        decrypt = power_law(b.value("he.paillier.decrypt_s"), b.value("he.paillier.decrypt_3072_s"), bits)
        add = power_law(b.value("he.paillier.add_s"), b.value("he.paillier.add_3072_s"), bits)
        # Prime search: quartic in the key length.
        keygen = b.value("he.paillier.keygen_s") * (bits / 2048.0) ** 4 if p["keygen"] else 0.0
        size = b.value("he.paillier.ciphertext_bytes") * bits / 2048.0
        values = num(p, "rows")
        return _aggregate(
            b,
            pages(values, per),
            values,
            (keygen, encrypt, decrypt, add),
            size,
            "paillier",
            bits / 8.0,
            max(num(p, "cores"), 1.0),
        )


class Ckks(BaseEngine):
    """CKKS: approximate numbers, half the ring's degree of them in one ciphertext."""

    name = "he.ckks"
    title = "aggregation under CKKS encryption"
    weight = "medium"
    confidentiality = "privacy"
    operators = ("ckks",)
    EXTRA_ROLES = ("arbiter",)
    PARAMETERS: ClassVar[Mapping[str, Param]] = {
        "rows": (1e5, "", "values that each host contributes"),
        "degree": ("8192", "", "ring degree: 8192 or 16384"),
        "keygen": (True, "", "make a new key for the run"),
        "cores": CORES,
    }
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {"degree": ("8192", "16384")}

    def build(self, p: dict[str, Value], b: Builder, profile: str) -> JobCost:
        """Return the cost."""
        head = f"he.ckks.{p['degree']}"
        encrypt, decrypt, add = (b.value(f"{head}.{op}_s") for op in ("encrypt", "decrypt", "add"))
        keygen = b.value("he.ckks.keygen_encryptions") * encrypt if p["keygen"] else 0.0
        size = b.value(f"{head}.ciphertext_bytes")
        values = num(p, "rows")
        count = pages(values, int(str(p["degree"])) / 2)
        return _aggregate(
            b, count, values, (keygen, encrypt, decrypt, add), size, "ckks", size, max(num(p, "cores"), 1.0)
        )
