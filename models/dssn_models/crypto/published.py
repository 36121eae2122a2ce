"""Rows of published tables, carried in the package for calibration and checks.

``psi_secretflow_v2`` (SecretFlow PSI, ``docs/user_guide/psi_v2_benchmark.md``), ``sgb_secretflow`` (SecretFlow,
``docs/developer/benchmark/sgb_benchmark.md``), ``sgx_enclave_build`` (VXAPPS/sgx-benchmark).
"""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib import resources

__all__ = ["published", "published_names"]


def published_names() -> tuple[str, ...]:
    """Names of the tables in the package."""
    folder = resources.files("dssn_models.crypto") / "data" / "published"
    return tuple(sorted(f.name.removesuffix(".csv") for f in folder.iterdir() if f.name.endswith(".csv")))


@lru_cache(maxsize=8)
def published(name: str) -> tuple[dict[str, str], ...]:
    """Return the rows of a published table; KeyError lists the names."""
    if name not in published_names():
        raise KeyError(f"no published table {name!r}; there are: {', '.join(published_names())}")
    path = resources.files("dssn_models.crypto") / "data" / "published" / f"{name}.csv"
    return tuple(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
