"""Work and start time inside a simulated TEE: slowdown, paging cliff, build by size."""

from __future__ import annotations

from dssn_models.compute.catalogue import catalogue_table
from dssn_models.plan import TeePlan

__all__ = ["enclave_factor", "enclave_start_s", "enclave_work"]


def enclave_factor(tee: TeePlan, working_set_bytes: float) -> float:
    """Factor on CPU time inside the TEE for a working set.

    With limit ``L`` and working set ``W`` touched evenly, the share beyond the limit is
    ``p = max(0, 1 - L / W)`` and the factor is ``slowdown * ((1 - p) + p * paging_factor)``.
    It is continuous at ``W = L``, rises from there without a jump and tends to
    ``slowdown * paging_factor``: the paging cliff [PC-15].
    """
    if working_set_bytes <= tee.enclave_bytes or working_set_bytes <= 0:
        return tee.slowdown
    beyond = 1.0 - tee.enclave_bytes / working_set_bytes
    return tee.slowdown * (1.0 + beyond * (max(tee.paging_factor, 1.0) - 1.0))


def enclave_work(work_core_s: float, tee: TeePlan, working_set_bytes: float) -> float:
    """Core-seconds inside the TEE for work that takes ``work_core_s`` outside."""
    return work_core_s * enclave_factor(tee, working_set_bytes)


def enclave_start_s(tee: TeePlan, size_bytes: float) -> float:
    """Seconds to build and start an enclave or confidential machine of this size.

    ``start_s + start_s_per_byte * (bytes within the limit + e * bytes beyond)`` with ``e`` the
    factor of ``published/sgx_enclave_build.csv`` for pages that are evicted while building.
    """
    size = max(size_bytes, 0.0)
    within = min(size, tee.enclave_bytes)
    eviction = catalogue_table().value("tee.eviction_build_factor")
    return tee.start_s + tee.start_s_per_byte * (within + eviction * (size - within))
