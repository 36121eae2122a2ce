"""Horizontal federated learning in a star: clients train, an arbiter averages, the guest gets the model.

Per round and client: one model down, ``epochs * samples`` of training, one model up. Secure
aggregation (Bonawitz et al., CCS 2017) adds pairwise key agreements and seed expansions, three more
round trips, and ``ceil(log2 k)`` bits to each value. All rounds of a kind stand in one step (their
sum is the same on idle resources).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

from dssn_models.engines.api import JobCost
from dssn_models.engines.base import CORES, BaseEngine, Builder, Param, Value, num

__all__ = ["HorizontalFl"]

_WORD = 4.0  # bytes of an fp32 parameter


class HorizontalFl(BaseEngine):
    """FedAvg with or without secure aggregation."""

    name = "fl.horizontal"
    title = "horizontal federated learning"
    weight = "heavy"
    confidentiality = "privacy"
    operators = ("train",)
    EXTRA_ROLES = ("arbiter",)
    PARAMETERS: ClassVar[Mapping[str, Param]] = {
        "rows": (1e5, "", "samples of each client"),
        "model": (14e6, "size", "model in fp32, each way and round (MobileNetV2: 14 MB)"),
        "rounds": (20.0, "", "federated rounds"),
        "epochs": (1.0, "", "local epochs in a round"),
        "sample_work": (0.0, "work", "core-seconds per sample and epoch; 0: the table's value"),
        "secure": (True, "", "secure aggregation: the arbiter sees only the sum"),
        "selection": (1.0, "", "share of clients in a round"),
        "cores": CORES,
        "topology": ("star", "", "star is the only one so far"),
    }
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {"topology": ("star",)}

    def build(self, p: dict[str, Value], b: Builder, profile: str) -> JobCost:
        """Return the cost of all rounds."""
        model, share = num(p, "model"), min(num(p, "selection"), 1.0)
        rounds = num(p, "rounds")
        active = rounds * share  # rounds that a client takes part in
        count = len(b.hosts)
        chosen = max(count * share, 1.0)
        sample = num(p, "sample_work") or b.value("fl.train_s_per_sample")
        train = active * sample * num(p, "epochs") * num(p, "rows")
        start = active * b.value("fl.start_s")
        up, mask, unmask, extra = model, 0.0, 0.0, 0
        if p["secure"] and count > 1:
            up = model * (32.0 + math.ceil(math.log2(count))) / 32.0
            expand = b.value(f"{b.suite.prg}_s_per_word") * model / _WORD
            mask = active * chosen * (2.0 * b.value(f"{b.suite.agree}_s") + expand)
            unmask = rounds * chosen * expand  # the arbiter takes the clients' own masks off
            extra = 3
            shares = active * chosen * 128.0  # public keys and encrypted seed shares, in and out
            b.step(
                "share mask keys",
                {},
                [
                    *((h, "arbiter", shares) for h in b.hosts),
                    *(("arbiter", h, shares) for h in b.hosts),
                ],
            )
        b.step("start clients", dict.fromkeys(b.hosts, start), cores=1.0)
        b.step("send model", {}, [("arbiter", h, model * active) for h in b.hosts])
        b.step(
            "train and send update",
            dict.fromkeys(b.hosts, train + mask),
            [(h, "arbiter", up * active) for h in b.hosts],
            rounds=rounds * (1 + extra),
            operator="train",
            accelerable=train / (train + mask) if train else 0.0,
        )
        b.step("aggregate", {"arbiter": rounds * chosen * up * b.value("fl.aggregate_s_per_byte") + unmask})
        b.step("deliver model", {}, [("arbiter", "guest", model)], rounds=1, data="result")
        need = b.need(max(num(p, "cores"), 1.0), 3.0 * model)
        needs = dict.fromkeys(b.hosts, need) | {
            "arbiter": b.need(4.0, model * (1.0 + min(chosen, 64.0))),
            "guest": b.need(1.0, model),
        }
        return b.job(needs, model, rows=num(p, "rows") * count, rounds=rounds)
