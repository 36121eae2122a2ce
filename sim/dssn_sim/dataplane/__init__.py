"""The data plane: flows over links and work on devices.

Names load on first use: who only wants the solver does not load SimPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dssn_sim.dataplane.api import (
        DataPlaneApi,
        DeviceCapacity,
        DeviceUse,
        LinkUse,
        Outcome,
    )
    from dssn_sim.dataplane.compiled import warm_up
    from dssn_sim.dataplane.plane import Activity, DataPlane

__all__ = [
    "Activity",
    "DataPlane",
    "DataPlaneApi",
    "DeviceCapacity",
    "DeviceUse",
    "LinkUse",
    "Outcome",
    "warm_up",
]

_ELSEWHERE = {"Activity": "plane", "DataPlane": "plane", "warm_up": "compiled"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_ELSEWHERE.get(name, 'api')}"), name)
