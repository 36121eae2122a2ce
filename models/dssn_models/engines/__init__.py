"""Engines: what each privacy or transfer engine costs (later: its protocol beside it).

``REGISTRY`` maps engine names to engines with the reference cost table. It is built on first use, because
the cost tables need :mod:`dssn_models.engines.api` and the engines need the cost tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dssn_models.engines.registry import REGISTRY, engines_with, find_engine

__all__ = ["REGISTRY", "engines_with", "find_engine"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from dssn_models.engines import registry

        return getattr(registry, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
