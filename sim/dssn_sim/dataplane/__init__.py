"""The data plane: flows over links and work on devices."""

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
