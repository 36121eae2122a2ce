"""Vertical gradient boosting (SecureBoost, Cheng et al. 2021): the guest has labels, hosts features.

Per tree: the guest encrypts one packed ciphertext (gradient and Hessian) a sample and sends it; per
level each host adds ciphertexts into histograms and returns them; the guest decrypts and picks
splits. The sibling's histogram comes by subtraction, so a tree of depth d returns ``2^(d-1)`` node
histograms of ``features * bins`` ciphertexts. One round trip a level and one a tree. ``growth`` is
the share of the full tree that grows before gain runs out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

from dssn_models.engines.api import JobCost
from dssn_models.engines.base import CORES, BaseEngine, Builder, Param, Value, num

__all__ = ["SecureBoost", "power_law"]


def power_law(at_2048: float, at_3072: float, bits: float) -> float:
    """Time at a key length, through two measured lengths: ``c * bits^p``."""
    exponent = math.log(at_3072 / at_2048) / math.log(1.5) if at_2048 > 0 and at_3072 > 0 else 1.0
    grown: float = (bits / 2048.0) ** exponent
    return at_2048 * grown


class SecureBoost(BaseEngine):
    """SecureBoost with Okamoto-Uchiyama or Paillier ciphertexts."""

    name = "sgb.secureboost"
    title = "vertical gradient boosting (SecureBoost)"
    weight = "heavy"
    confidentiality = "privacy"
    operators = ("paillier", "histogram")
    PROFILES: ClassVar[Mapping[str, str]] = {
        "reference": "operation times measured on the reference machine",
        "secretflow-sgb": "plus level time and share of gradients fitted from SecretFlow's SGB rows",
    }
    PARAMETERS: ClassVar[Mapping[str, Param]] = {
        "rows": (1e5, "", "aligned samples"),
        "features": (20.0, "", "features of each host"),
        "guest_features": (20.0, "", "features of the guest"),
        "trees": (50.0, "", "boosting rounds"),
        "depth": (5.0, "", "levels of a tree"),
        "bins": (100.0, "", "bins of a feature"),
        "growth": (1.0, "", "share of the full tree that grows"),
        "sample_share": (
            0.0,
            "",
            "share of gradients sent per tree (GOSS); 0: the profile's, 1 in reference",
        ),
        "key_bits": (2048.0, "", "key length"),
        "cores": CORES,
        "scheme": ("ou", "", "ou (Okamoto-Uchiyama) or paillier"),
    }
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {"scheme": ("ou", "paillier")}

    def build(self, p: dict[str, Value], b: Builder, profile: str) -> JobCost:
        """Return the cost of all trees."""
        fitted = profile == "secretflow-sgb"
        rows, trees, depth = num(p, "rows"), num(p, "trees"), min(num(p, "depth"), 30.0)
        growth, features, bins = min(num(p, "growth"), 1.0), num(p, "features"), num(p, "bins")
        share = num(p, "sample_share") or (b.value("sgb.secretflow.sample_share") if fitted else 1.0)
        encrypt, decrypt, add, ciphertext = self._ciphertext(str(p["scheme"]), num(p, "key_bits"), b)
        sampled = trees * rows * min(share, 1.0)
        levels = trees * depth * growth
        cells = trees * (2.0 ** (depth - 1.0) if depth else 0.0) * growth * features * bins
        count = len(b.hosts)
        everyone = ("guest", *b.hosts)
        binning = b.value("sgb.bin_s_per_value") * rows
        b.step(
            "bin features",
            {"guest": binning * num(p, "guest_features")} | dict.fromkeys(b.hosts, binning * features),
        )
        b.step(
            "encrypt gradients",
            {"guest": sampled * encrypt},
            [("guest", h, sampled * ciphertext) for h in b.hosts],
            operator="paillier",
            accelerable=1.0,
        )
        additions = sampled * depth * growth * features * add
        b.step(
            "add histograms",
            dict.fromkeys(b.hosts, additions),
            [(h, "guest", cells * ciphertext) for h in b.hosts],
            rounds=levels + trees,
            operator="histogram",
            accelerable=1.0,
        )
        b.step("decrypt histograms", {"guest": count * cells * decrypt}, operator="paillier", accelerable=1.0)
        control = levels * b.value("sgb.secretflow.level_s" if fitted else "sgb.reference.level_s")
        b.step("find splits", {"guest": b.value("sgb.split_s_per_bin") * cells * count + control}, cores=1.0)
        b.step("tell splits", {}, [("guest", h, levels * rows / 8.0) for h in b.hosts])
        model = trees * 2.0**depth * growth * 32.0
        needs = dict.fromkeys(
            everyone,
            b.need(max(num(p, "cores"), 1.0), min(rows * ciphertext * min(share, 1.0), 2e9) + 8.0 * rows),
        )
        return b.job(needs, model, rows=rows * (count + 1), trees=trees)

    @staticmethod
    def _ciphertext(scheme: str, bits: float, b: Builder) -> tuple[float, float, float, float]:
        """Encrypt, decrypt and add in seconds, and bytes, at this key length."""
        bits = max(bits, 256.0)
        head = f"he.{scheme}"
        encrypt = power_law(b.value(f"{head}.encrypt_s"), b.value(f"{head}.encrypt_3072_s"), bits)
        decrypt = power_law(b.value(f"{head}.decrypt_s"), b.value(f"{head}.decrypt_3072_s"), bits)
        add = b.value(f"{head}.add_s") * bits / 2048.0
        return encrypt, decrypt, add, b.value(f"{head}.ciphertext_bytes") * bits / 2048.0
