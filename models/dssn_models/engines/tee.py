"""TEE job: hosts seal their data to a measured enclave, it computes, the guest gets the result.

Attestation, enclave start, slowdown and paging are added by the backend from the node's
:class:`~dssn_models.plan.TeePlan` (see :mod:`dssn_models.compute.enclave`); the cost here is the
work outside an enclave. All TEEs are simulated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from dssn_models.engines.api import JobCost
from dssn_models.engines.base import BaseEngine, Builder, Param, Value, num

__all__ = ["TeeJob"]


class TeeJob(BaseEngine):
    """A program over sealed inputs in a simulated TEE."""

    name = "tee.job"
    title = "job in a simulated TEE"
    weight = "medium"
    confidentiality = "tee"
    operators = ("matmul",)
    EXTRA_ROLES = ("tee",)
    PARAMETERS: ClassVar[Mapping[str, Param]] = {
        "rows": (1e5, "", "rows of each host"),
        "row_size": (256.0, "size", "bytes of a row"),
        "size": (0.0, "size", "bytes of each host's input; 0: rows times row_size"),
        "work": (0.0, "work", "core-seconds of the program outside an enclave; 0: by rows"),
        "working_set": (0.0, "size", "memory that the program touches; 0: 1.5 times the inputs"),
        "result": (10e3, "size", "bytes of the result"),
        "cores": (4.0, "", "cores that the program can use"),
        "accelerable": (0.0, "", "share of the work that is matrix arithmetic"),
    }

    def build(self, p: dict[str, Value], b: Builder, profile: str) -> JobCost:
        """Return the cost: seal, send (overlapped), unseal and compute inside, return."""
        count = len(b.hosts)
        size = num(p, "size") or num(p, "rows") * num(p, "row_size")
        aead = b.value(f"{b.suite.aead}_s_per_byte") * size if b.suite.aead else 0.0
        work = num(p, "work") or b.value("tee.row_s") * num(p, "rows") * count
        working_set = num(p, "working_set") or b.value("tee.state_factor") * size * count
        b.step(
            "seal and send input",
            dict.fromkeys(b.hosts, aead),
            [(h, "tee", size) for h in b.hosts],
            rounds=1,
            overlap=0.0,
            operator="cipher",
            accelerable=1.0,
        )
        b.step("unseal", {"tee": aead * count}, in_enclave=True)
        b.step(
            "compute",
            {"tee": work},
            operator="matmul",
            accelerable=min(num(p, "accelerable"), 1.0),
            in_enclave=True,
        )
        b.step("return result", {}, [("tee", "guest", num(p, "result"))], rounds=1, data="result")
        needs = {
            "guest": b.need(1.0, num(p, "result")),
            "tee": b.need(max(num(p, "cores"), 1.0), working_set, working_set),
        } | dict.fromkeys(b.hosts, b.need(2.0, min(size, 1e9)))
        return b.job(needs, num(p, "result"), rows=num(p, "rows") * count)
