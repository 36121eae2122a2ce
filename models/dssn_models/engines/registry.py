"""All engines by name."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from dssn_models.crypto.tables import CostTable, cost_table
from dssn_models.engines.base import BaseEngine
from dssn_models.engines.fl import HorizontalFl
from dssn_models.engines.he import Ckks, Paillier
from dssn_models.engines.mpc import Aby3, Cheetah, Semi2k
from dssn_models.engines.psi import EcdhPsi, KkrtPsi, Rr22Psi
from dssn_models.engines.sgb import SecureBoost
from dssn_models.engines.sse import SseQuery
from dssn_models.engines.stats import MaskedStatistics
from dssn_models.engines.tee import TeeJob
from dssn_models.engines.transfer import ApiQuery, BulkTransfer, StreamTransfer

__all__ = ["ENGINES", "REGISTRY", "build_registry", "engines_with", "find_engine"]

#: The engine classes in the order in which they are listed.
ENGINES: Final[tuple[type[BaseEngine], ...]] = (
    ApiQuery,
    BulkTransfer,
    StreamTransfer,
    EcdhPsi,
    KkrtPsi,
    Rr22Psi,
    HorizontalFl,
    SecureBoost,
    Semi2k,
    Aby3,
    Cheetah,
    Paillier,
    Ckks,
    MaskedStatistics,
    SseQuery,
    TeeJob,
)


def build_registry(table: CostTable) -> Mapping[str, BaseEngine]:
    """Return all engines standing on this cost table."""
    return MappingProxyType({cls.name: cls(table) for cls in ENGINES})


@lru_cache(maxsize=8)
def engines_with(table: str = "reference") -> Mapping[str, BaseEngine]:
    """Return all engines standing on a shipped cost table (``run.calibration`` of the plan)."""
    return build_registry(cost_table(table))


#: All engines with the reference cost table.
REGISTRY: Final[Mapping[str, BaseEngine]] = engines_with("reference")


def find_engine(name: str) -> BaseEngine:
    """Return an engine of :data:`REGISTRY`; KeyError names the nearest."""
    if name not in REGISTRY:
        near = get_close_matches(name, REGISTRY, n=3, cutoff=0.4) or list(REGISTRY)
        raise KeyError(f"no engine {name!r}; nearest: {', '.join(near)}")
    return REGISTRY[name]
