"""The data plane under SimPy: one event per activity, one wake-up for the whole plane.

Calls only change the solver's tables and note that something changed; the plane solves once at
the end of the time stamp (a SimPy event of lower priority than all others) and then sleeps until
the next completion.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray
from simpy.events import EventPriority

from dssn_models.plan import NetworkPlan
from dssn_sim.dataplane import events
from dssn_sim.dataplane.api import DeviceCapacity, LinkUse, Outcome
from dssn_sim.dataplane.batch import larger
from dssn_sim.dataplane.compiled import bound
from dssn_sim.dataplane.devices import Devices
from dssn_sim.dataplane.layout import MAX_ROUTE, UNBOUNDED_BPS, grow_links, new_state
from dssn_sim.dataplane.slices import Reservations

__all__ = ["Activity", "DataPlane"]

_LAST = 2  # SimPy priority of the end of a time stamp (URGENT 0, NORMAL 1)
_DUE = 8.9e-16  # relative: completions this close to now are now


class Activity(simpy.Event):
    """The event of a running transfer or work; its value is an Outcome."""

    start_s: float
    amount: float  # wire bytes or reference core-seconds
    scale: float  # solver units per unit of amount
    latency_s: float
    slot: int  # row in the solver; -1: not moving
    number: int
    route: tuple[int, ...]
    slice_id: int
    device: int  # -1: a transfer
    layer: int
    weight: float
    cap: float
    floor: float  # guaranteed cores asked for
    carrier: simpy.Event | None  # pending arrival of the last byte


class DataPlane(Reservations, Devices):
    """Flows over the directed links of a network and work on devices.

    Implements :class:`dssn_sim.dataplane.api.DataPlaneApi`. Rates in bit/s and cores, amounts in
    bytes and reference core-seconds.

    Parameters
    ----------
    env
        The SimPy environment whose clock drives the plane.
    network
        Links; the link of index i gives the directed resources 2i (a to b) and 2i+1.
    devices
        Devices, numbered by position.
    """

    def __init__(
        self,
        env: simpy.Environment,
        network: NetworkPlan,
        devices: Sequence[DeviceCapacity],
        *,
        reservable: float = 1.0,
    ) -> None:
        self.env = env
        self._k = bound(events)  # compiles, if it was never done
        self._reservable = reservable
        links = 2 * len(network.links)
        self._n_links = links
        self._first_device = links
        self._devices = tuple(devices)
        self._canon = list(range(links))
        rates = np.zeros(links)
        for i, link in enumerate(network.links):
            rates[2 * i] = min(link.rate_ab_bps, UNBOUNDED_BPS)
            rates[2 * i + 1] = 0.0 if link.shared else min(link.rate_ba_bps, UNBOUNDED_BPS)
            if link.shared:
                self._canon[2 * i + 1] = 2 * i
        self._state = new_state(links + len(self._devices), flows=256, legs=2048)
        self._mem = self._state.mem  # stays the same when tables grow
        self._state.misc["n_layers"] = 0
        self._n_resources = links + len(self._devices)
        now = env.now
        for i, rate in enumerate(rates):
            self._k.set_capacity(self._mem, i, float(rate), float(rate), -1, now)
        for i, device in enumerate(self._devices):
            self._k.set_capacity(self._mem, links + i, device.cores, device.cores, -1, now)
        self._open_links(rates, now)
        self._layers: dict[int, int] = {}
        self._acts: list[Activity | None] = [None] * len(self._state.flows)
        self._active = 0
        self._count = 0
        self._legs_live: dict[int, int] = {}
        self._legs_peak: dict[int, int] = {}
        self._legs_top = 0
        self._routes: dict[tuple[int, ...], tuple[int, Any]] = {}
        self._open_devices()
        self._dirty = False
        self._flush_pending = False
        self._armed: simpy.Event | None = None
        self._armed_at = inf
        self._next = inf

    # ------------------------------------------------------------------ activities

    def transfer(
        self,
        links: Sequence[int],
        wire_bytes: float,
        *,
        latency_s: float = 0.0,
        weight: float = 1.0,
        priority: int = 0,
        cap_bps: float = inf,
        slice_id: int = -1,
    ) -> Activity:
        """Start a flow; the event fires ``latency_s`` after its last byte left."""
        if not weight > 0.0:
            raise ValueError(f"weight must be positive, not {weight}")
        act = self._new(
            wire_bytes,
            8.0,
            latency_s,
            tuple([self._canon[x] for x in links]),
            -1,
            weight,
            cap_bps,
        )
        act.slice_id = slice_id if slice_id in self._slices else -1
        if not act.route or wire_bytes <= 0.0:
            self._arrive(
                act,
                Outcome(self.env.now, self.env.now + latency_s, max(wire_bytes, 0.0)),
            )
            return act
        if len(act.route) > MAX_ROUTE:
            raise ValueError(f"a route has at most {MAX_ROUTE} links, not {len(act.route)}")
        act.layer = self._layer(priority)
        self._begin(act, 8.0 * wire_bytes)
        if act.slice_id >= 0:
            held = self._slices[act.slice_id]
            held.flows[act.number] = act
            if not held.hard:
                self._soft_dirty.add(act.slice_id)
        return act

    def execute(
        self,
        device: int,
        work_core_s: float,
        *,
        max_cores: float,
        min_share: float = 0.0,
        priority: int = 0,
    ) -> Activity:
        """Start work (reference core-seconds) using at most ``max_cores``."""
        speed = self._devices[device].core_speed
        route = (self._first_device + device,)
        act = self._new(work_core_s, 1.0 / speed, 0.0, route, device, 1.0, max_cores)
        if work_core_s <= 0.0:
            self._arrive(act, Outcome(self.env.now, self.env.now, 0.0))
            return act
        self._finish_due()
        if device in self._slots:
            act.layer = self._layer(0)
            self._slots[device].come(act, work_core_s / speed, priority)
            return act
        act.layer = self._layer(priority)
        act.floor = min(min_share, max_cores)
        if act.floor > 0.0:
            self._floors[device] += act.floor
            self._floored[device][act.number] = act
            self._scale_floors(device)
        self._begin(act, work_core_s / speed, act.floor * self._factor[device])
        return act

    def cancel(self, event: Activity, reason: str) -> Outcome:
        """End a running activity now; its event fires with this reason and the part done."""
        self._finish_due()
        if event.slot >= 0:
            left = self._k.stop_flow(self._mem, event.slot, self.env.now, False)
            self._forget(event)
            self._touch()
            done = max(event.amount - left / event.scale, 0.0)
        elif event.carrier is not None:
            event.carrier = None  # the pending arrival finds that it is no longer awaited
            done = event.amount
        elif not event.triggered:
            done = max(event.amount - self._slots[event.device].withdraw(event) / event.scale, 0.0)
        else:
            assert isinstance(event.value, Outcome)
            return event.value
        outcome = Outcome(event.start_s, self.env.now, done, reason)
        event.succeed(outcome)
        return outcome

    def hard_rate(self, slice_id: int) -> float | None:
        """Return the rate of a hard slice (bit/s), None if it is not one."""
        held = self._slices.get(slice_id)
        return held.rate_bps if held is not None and held.hard else None

    def pause(self, event: Activity) -> float:
        """Stop an activity for a moment; return what is left of it (bits or core-seconds), -1 if it has ended."""
        self._finish_due()
        if event.slot < 0:
            return -1.0
        left = float(self._k.stop_flow(self._mem, event.slot, self.env.now, False))
        self._unslot(event)
        return left

    def resume(self, event: Activity, left: float, weight: float, cap: float) -> None:
        """Go on with a paused activity under another weight and cap."""
        event.weight, event.cap = weight, cap
        self._begin(event, left)
        if event.slice_id >= 0:
            self._soft_dirty.add(event.slice_id)

    # ------------------------------------------------------------------ capacities: see Reservations and Devices

    # ------------------------------------------------------------------ questions

    def link_free_bps(self, link: int) -> float:
        """Return capacity minus the present rates of flows on a directed link."""
        self._settle()
        x = self._canon[link]
        row = self._state.links[x]
        return max(
            float(self._rate[x]) - float(row["load"]) - float(row["vl"]) - float(row["vlc"]),
            0.0,
        )

    def rate(self, event: Activity) -> float:
        """Return the present rate of an activity (bit/s or cores); 0 if it is not moving."""
        self._settle()
        return float(self._k.rate_of(self._mem, event.slot)) if event.slot >= 0 else 0.0

    def flows_on(self, link: int) -> Sequence[Activity]:
        """Return the events of the flows that cross a directed link, oldest first."""
        state = self._state
        x = self._canon[link]
        top = self._legs_top
        rows = state.nodes["link"][state.legs["node"][:top]]
        here = rows == x
        for cut in self._cuts.get(x, {}).values():
            here |= rows == cut
        slots = set(state.legs["flow"][:top][here].tolist()) - {-1}
        acts = [act for s in slots if (act := self._acts[s]) is not None]
        return sorted(acts, key=lambda act: act.number)

    def link_use(self) -> Sequence[LinkUse]:
        """Return totals per directed link up to now (a shared medium counts at its 2i)."""
        self._settle()
        self._k.integrate_all(self._mem, self.env.now)
        rows = self._state.links
        out = []
        for x in range(self._n_links):
            self._integrate_reserved(x)
            row = rows[x]
            out.append(
                LinkUse(
                    bytes=float(row["bits"] + row["bitsc"]) / 8.0,
                    busy_s=float(row["busy"] + row["busyc"]),
                    reserved_s=float(self._reserved_acc[x]),
                    peak=float(row["peak"]),
                )
            )
        return out

    def busy_integrals(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return busy seconds per directed link and busy core-seconds per device up to now, for sampling."""
        self._settle()
        self._k.integrate_all(self._mem, self.env.now)
        rows = self._state.links
        links, devices = (
            rows[: self._n_links],
            rows[self._first_device : self._first_device + len(self._devices)],
        )
        return links["busy"] + links["busyc"], devices["bits"] + devices["bitsc"]

    def reset_use(self) -> None:
        """Forget totals (end of warm-up)."""
        self._settle()
        self._k.reset_totals(self._mem, self.env.now)
        self._reserved_acc[:] = 0.0
        self._reserved_at[:] = self.env.now

    # ------------------------------------------------------------------ inside: starting and ending

    def _new(
        self,
        amount: float,
        scale: float,
        latency_s: float,
        route: tuple[int, ...],
        device: int,
        weight: float,
        cap: float,
    ) -> Activity:
        act = Activity(self.env)
        act.start_s = self.env.now
        act.amount = amount
        act.scale = scale
        act.latency_s = latency_s
        act.slot = -1
        self._count += 1
        act.number = self._count
        act.route = route
        act.slice_id = -1
        act.device = device
        act.weight = weight
        act.cap = cap
        act.floor = 0.0
        act.carrier = None
        return act

    def _begin(self, act: Activity, size: float, guarantee: float = 0.0) -> None:
        """Put an activity into the solver with ``size`` units left."""
        route = act.route
        if act.slice_id >= 0:
            cuts = self._slices[act.slice_id].cuts
            if cuts:
                route = tuple([cuts.get(x, x) for x in route])
        n = len(route)
        address = self._address(route)
        live = self._legs_live.get(n, 0) + 1
        self._legs_live[n] = live
        if live > self._legs_peak.get(n, 0):
            self._legs_peak[n] = live
            self._legs_top += n
        self._active += 1
        state = self._state
        if self._active > len(state.flows) or self._legs_top > len(state.legs):
            flows, legs = len(state.flows), len(state.legs)
            flows = 2 * flows if self._active > flows else flows
            while self._legs_top > legs:
                legs *= 2
            self._state = state = larger(state, flows, legs)
            self._acts.extend([None] * (flows - len(self._acts)))
        slot = self._k.start_flow(
            self._mem,
            address,
            n,
            size,
            act.weight,
            act.cap,
            guarantee,
            act.layer,
            self.env.now,
        )
        act.slot = slot
        self._acts[slot] = act
        self._touch()

    def _address(self, route: tuple[int, ...]) -> int:
        """Return where the links of a route lie for compiled code."""
        known = self._routes.get(route)
        if known is None:
            array = np.array(route, np.int64)
            known = self._routes[route] = (array.ctypes.data, array)
        return known[0]

    def _unslot(self, act: Activity) -> None:
        self._acts[act.slot] = None
        act.slot = -1
        self._active -= 1
        self._legs_live[len(act.route)] -= 1

    def _forget(self, act: Activity) -> None:
        """Drop what the plane knows of an activity that no longer moves."""
        if act.slot >= 0:
            self._unslot(act)
        if act.slice_id >= 0:
            held = self._slices[act.slice_id]
            held.flows.pop(act.number, None)
            if not held.hard:
                self._soft_dirty.add(act.slice_id)
        if act.device in self._slots:
            self._slots[act.device].gone(act)
        if act.floor > 0.0:
            del self._floored[act.device][act.number]
            floors = self._floored[act.device]
            self._floors[act.device] = self._floors[act.device] - act.floor if floors else 0.0
            self._scale_floors(act.device)

    def _arrive(self, act: Activity, outcome: Outcome) -> None:
        """Fire the event after the latency; until then it can be cancelled."""
        if act.latency_s <= 0.0:
            act.succeed(outcome)
            return
        carrier = simpy.Event(self.env)
        act.carrier = carrier
        carrier._ok = True
        carrier._value = outcome

        def deliver(event: simpy.Event) -> None:
            if act.carrier is event:
                act.carrier = None
                act.succeed(event._value)

        assert carrier.callbacks is not None
        carrier.callbacks.append(deliver)
        self.env.schedule(carrier, delay=act.latency_s)

    # ------------------------------------------------------------------ inside: time

    def _touch(self) -> None:
        """Something changed: solve at the end of this time stamp."""
        self._dirty = True
        if not self._flush_pending:
            self._flush_pending = True
            self._schedule(self._on_flush, 0.0, _LAST)

    def _schedule(self, callback: Any, delay: float, priority: int) -> simpy.Event:
        event = simpy.Event(self.env)
        event._ok = True
        event._value = None
        assert event.callbacks is not None
        event.callbacks.append(callback)
        self.env.schedule(event, EventPriority(priority), delay)
        return event

    def _on_flush(self, _event: simpy.Event) -> None:
        self._flush_pending = False
        self._settle()

    def _settle(self) -> None:
        if not self._dirty:
            return
        self._finish_due()
        while self._slots_due:
            self._slots_due.popitem()[0].decide()
        for number in sorted(self._soft_dirty):
            self._share_slice(self._slices[number])
        self._soft_dirty.clear()
        self._dirty = False
        self._next = self._k.settle(self._mem, self.env.now)
        self._arm()

    def _arm(self) -> None:
        """Make sure a wake-up is scheduled no later than the next completion."""
        if self._next < self._armed_at:
            self._armed_at = self._next
            self._armed = self._schedule(self._on_wake, max(self._next - self.env.now, 0.0), 1)

    def _on_wake(self, event: simpy.Event) -> None:
        if event is not self._armed:
            return  # a later completion overtook this wake-up
        self._armed = None
        self._armed_at = inf
        if not self._finish_due():
            self._arm()

    def _finish_due(self) -> bool:
        """Complete what ends now; called before anything else changes at this time."""
        now = self.env.now
        if self._next > now + now * _DUE:
            return False
        self._next = inf
        n = self._k.end_due(self._mem, now)
        ended = [act for slot in self._state.ended[:n].tolist() if (act := self._acts[slot]) is not None]
        for act in ended:
            self._unslot(act)
        for act in ended:
            self._forget(act)
            self._arrive(act, Outcome(act.start_s, now + act.latency_s, act.amount))
        self._touch()
        return True

    # ------------------------------------------------------------------ inside: tables

    def _layer(self, priority: int) -> int:
        """Return the layer of a priority, making it on first use."""
        layer = self._layers.get(priority)
        if layer is None:
            layer = len(self._layers)
            self._layers[priority] = layer
            if layer >= len(self._state.order):
                self._state = grow_links(self._state, self._n_resources, layer + 1)
            ranked = [self._layers[p] for p in sorted(self._layers)]
            self._state.order[: len(ranked)] = ranked
            self._state.misc["n_layers"] = len(ranked)
        return layer
