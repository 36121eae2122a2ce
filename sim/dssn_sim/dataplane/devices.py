"""Devices: guaranteed cores, and devices whose cores are given out whole.

On a device with *slots* works wait for their cores instead of sharing them. They begin in order of (priority,
arrival), none before one that comes first in this order (no back-fill). On a preemptive device a work that
finds too few free cores takes those of less urgent works, the least urgent and latest of them first, if that
is enough; an interrupted work later goes on where it stopped, before others of its class. A work holds
cores of one device only and only while it computes, so no set of works can block itself. What happens at one
time is one decision, taken when the plane settles.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dssn_sim.dataplane.api import DeviceCapacity, DeviceUse
from dssn_sim.dataplane.layout import State

if TYPE_CHECKING:
    import simpy

    from dssn_sim.dataplane.plane import Activity

__all__ = ["Devices", "Slots"]

_MICRO = 1_000_000  # cores are counted in whole micro-cores, so what comes back is what was taken


class Slots:
    """The queue of one device.

    Parameters
    ----------
    plane : Devices
        Where its works run.
    cores : float
        Cores of the device; a work asks for no more.
    preemptive : bool
        Whether urgent works interrupt others.
    """

    def __init__(self, plane: Devices, cores: float, *, preemptive: bool) -> None:
        self._plane = plane
        self._most = cores
        self._free = round(cores * _MICRO)
        self._size = self._free
        self._preemptive = preemptive
        self._waiting: list[tuple[int, int, Activity, float]] = []  # sorted; last: what is left to do
        self._running: list[tuple[int, int, Activity]] = []  # sorted

    def come(self, act: Activity, size: float, priority: int) -> None:
        """Take in a work of ``size`` core-seconds of this device."""
        act.cap = min(act.cap, self._most)
        insort(self._waiting, (priority, act.number, act, size))
        self._plane.decide_later(self)

    def gone(self, act: Activity) -> None:
        """Give out the cores of a work that ended or was cancelled while it ran."""
        i = next(i for i, item in enumerate(self._running) if item[2] is act)
        del self._running[i]
        self._free += round(act.cap * _MICRO)
        self._plane.decide_later(self)

    def withdraw(self, act: Activity) -> float:
        """Take a waiting work out of the queue; return what is left of it."""
        i = next(i for i, item in enumerate(self._waiting) if item[2] is act)
        self._plane.decide_later(self)
        return self._waiting.pop(i)[3]

    def resize(self, cores: float) -> None:
        """Change the cores that work; works that run share what is left of too few."""
        size = round(cores * _MICRO)
        self._free += size - self._size
        self._size = size
        self._plane.decide_later(self)

    def decide(self) -> None:
        """Begin what can begin now."""
        while self._waiting:
            priority, number, act, left = self._waiting[0]
            need = round(act.cap * _MICRO)
            if need > self._free and not self._make_room(need, priority):
                return
            del self._waiting[0]
            self._free -= need
            insort(self._running, (priority, number, act))
            self._plane._begin(act, left)

    def _make_room(self, need: int, priority: int) -> bool:
        """Interrupt less urgent works until so many micro-cores are free; none, if that does not suffice."""
        if not self._preemptive or self._size < need:
            return False
        first = bisect_left(self._running, (priority + 1,))
        lack = need - self._free
        last = len(self._running)
        while lack > 0 and last > first:
            last -= 1
            lack -= round(self._running[last][2].cap * _MICRO)
        if lack > 0:
            return False
        for other in reversed(self._running[last:]):
            self._free += round(other[2].cap * _MICRO)
            insort(self._waiting, (*other, self._plane.pause(other[2])))
        del self._running[last:]
        return True


class Devices:
    """The part of the data plane that knows devices."""

    env: simpy.Environment
    _k: Any  # compiled functions
    _mem: int
    _state: State
    _devices: tuple[DeviceCapacity, ...]
    _first_device: int

    # what it needs of the whole
    pause: Any
    _begin: Any
    _finish_due: Any
    _settle: Any
    _touch: Any

    def _open_devices(self) -> None:
        self._cores = [d.cores for d in self._devices]
        self._floors = [0.0] * len(self._devices)
        self._floored: list[dict[int, Activity]] = [{} for _ in self._devices]
        self._factor = [1.0] * len(self._devices)
        self._slots = {
            i: Slots(self, d.cores, preemptive=d.sharing == "preemptive")
            for i, d in enumerate(self._devices)
            if d.sharing in ("slots", "preemptive")
        }
        self._slots_due: dict[Slots, None] = {}

    def set_device(self, device: int, cores: float) -> None:
        """Change the cores of a device (0: down; running work stops until it is back)."""
        self._finish_due()
        self._cores[device] = cores
        row = self._first_device + device
        self._k.set_capacity(self._mem, row, cores, cores, -1, self.env.now)
        self._scale_floors(device)
        if device in self._slots:
            self._slots[device].resize(cores)
        self._touch()

    def device_use(self) -> Sequence[DeviceUse]:
        """Return totals per device up to now."""
        self._settle()
        self._k.integrate_all(self._mem, self.env.now)
        rows = self._state.links[self._first_device : self._first_device + len(self._devices)]
        total = (rows["bits"] + rows["bitsc"]).tolist()
        return [DeviceUse(core_s=t, busy_s=t) for t in total]

    def decide_later(self, slots: Slots) -> None:
        """Let a device give out its cores at the end of this time stamp."""
        self._slots_due[slots] = None
        self._touch()

    def _scale_floors(self, device: int) -> None:
        """Scale the guaranteed shares of a device down when its cores no longer suffice."""
        floors, cores = self._floors[device], self._cores[device]
        factor = cores / floors if floors > cores * (1.0 + 1e-12) else 1.0
        if factor == self._factor[device]:
            return
        self._factor[device] = factor
        for act in self._floored[device].values():
            if act.slot >= 0:
                self._k.set_guarantee(self._mem, act.slot, act.floor * factor, self.env.now)
