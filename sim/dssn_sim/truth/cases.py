"""Runs of our own building blocks with known answers: stations, devices, links.

Each case returns the observations of one quantity in order of time, with control variates: the
gaps and service times that went in, whose means are known exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import simpy
from numpy.typing import NDArray

from dssn_models.plan import LinkPlan, NetworkPlan
from dssn_models.rng import stream
from dssn_sim.dataplane.api import DeviceCapacity
from dssn_sim.dataplane.plane import DataPlane
from dssn_sim.station import Station
from dssn_sim.truth.closed import (
    cobham_waits,
    erlang_b,
    jackson_time,
    mg1_wait,
    mm1_number,
    mm1_time,
    mmc_wait,
    ps_time,
)

__all__ = ["CASES", "Case", "Observed"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Observed:
    """Observations of one quantity.

    Attributes
    ----------
    quantity : str
        What, with its unit.
    closed : float
        The closed form.
    values : array
        In order of time.
    controls : tuple of (array, float)
        Inputs of the same customers and their exact means.
    """

    quantity: str
    closed: float
    values: Floats
    controls: tuple[tuple[Floats, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """A system with a closed form.

    Attributes
    ----------
    name : str
        For example ``M/M/1``.
    block : str
        The building block under test.
    formula : str
        The closed form in one line.
    customers : int
        Enough for a 99 % interval narrower than 3 % of the value.
    run : callable
        (seed, customers) to observations.
    """

    name: str
    block: str
    formula: str
    customers: int
    run: Callable[[int, int], list[Observed]]


# ------------------------------------------------------------------ drivers


def _serve(
    env: simpy.Environment, station: Station, gaps: Floats, services: Floats, priorities: Sequence[int] | None
) -> list[Any]:
    """Return the calls of all customers after the run."""
    calls: list[Any] = []

    def arrivals() -> Iterator[simpy.Event]:
        ranks = priorities if priorities is not None else [0] * len(gaps)
        for gap, service, rank in zip(gaps.tolist(), services.tolist(), ranks, strict=True):
            yield env.timeout(gap)
            calls.append(station.serve(service, rank))

    env.process(arrivals())  # type: ignore[arg-type]
    env.run()
    return calls


def _waits(calls: Sequence[Any]) -> Floats:
    return np.array([c.value.wait_s for c in calls])


def _start(env: simpy.Environment, gaps: Floats, begin: Callable[[int], Any]) -> Floats:
    """Start one activity an arrival; return how long each took."""
    events: list[Any] = []

    def arrivals() -> Iterator[simpy.Event]:
        for i, gap in enumerate(gaps.tolist()):
            yield env.timeout(gap)
            events.append(begin(i))

    env.process(arrivals())  # type: ignore[arg-type]
    env.run()
    return np.array([e.value.end_s - e.value.start_s for e in events])


def _hyper(rng: np.random.Generator, n: int, mean: float) -> Floats:
    """Return hyperexponential times with squared coefficient of variation 3 (balanced means)."""
    p = (1 + np.sqrt((3 - 1) / (3 + 1))) / 2
    fast = rng.random(n) < p
    return np.asarray(rng.exponential(1.0, n) * np.where(fast, mean / (2 * p), mean / (2 * (1 - p))))


def _between(
    mask: NDArray[np.bool_], gaps: Floats, work: Floats, rate: float, load: float
) -> tuple[tuple[Floats, float], ...]:
    """Return the controls of one class: time and work of everybody since its previous customer.

    Their means are ``1 / rate`` and ``load / rate`` (a Poisson stream thinned at random).
    """
    since = np.diff(np.cumsum(gaps)[mask], prepend=0.0)
    brought = np.diff(np.cumsum(work)[mask], prepend=0.0)
    return (since, 1 / rate), (brought, load / rate)


def _link(rate_bps: float) -> NetworkPlan:
    link = LinkPlan(0, "ab", "a", "b", "otn", rate_bps, rate_bps, 0.0)
    return NetworkPlan((), (link,))


# ------------------------------------------------------------------ stations


def _mm1(seed: int, n: int) -> list[Observed]:
    rng, lam, s = stream(seed, 0, "truth", "mm1"), 0.5, 1.0
    gaps, services = rng.exponential(1 / lam, n), rng.exponential(s, n)
    env = simpy.Environment()
    times = _waits(_serve(env, Station(env, 1), gaps, services, None)) + services
    return [Observed("mean time in system, s", mm1_time(lam, s), times, ((gaps, 1 / lam), (services, s)))]


def _mmc(seed: int, n: int) -> list[Observed]:
    rng, lam, s, servers = stream(seed, 0, "truth", "mmc"), 2.4, 1.0, 4
    gaps, services = rng.exponential(1 / lam, n), rng.exponential(s, n)
    env = simpy.Environment()
    times = _waits(_serve(env, Station(env, servers), gaps, services, None)) + services
    closed = mmc_wait(lam, s, servers) + s
    return [Observed("mean time in system, s", closed, times, ((gaps, 1 / lam), (services, s)))]


def _md1(seed: int, n: int) -> list[Observed]:
    rng, lam, s = stream(seed, 0, "truth", "md1"), 0.6, 1.0
    gaps, services = rng.exponential(1 / lam, n), np.full(n, s)
    env = simpy.Environment()
    waits = _waits(_serve(env, Station(env, 1), gaps, services, None))
    return [Observed("mean wait, s", mg1_wait(lam, s, 0.0), waits, ((gaps, 1 / lam),))]


def _erlang_b(seed: int, n: int) -> list[Observed]:
    rng, lam, s, servers = stream(seed, 0, "truth", "erlang"), 4.0, 1.0, 5
    gaps, services = rng.exponential(1 / lam, n), rng.exponential(s, n)
    env = simpy.Environment()
    calls = _serve(env, Station(env, servers, queue_limit=0), gaps, services, None)
    lost = np.array([float(c.value.dropped) for c in calls])
    closed = erlang_b(servers, lam * s)
    return [Observed("share of calls lost", closed, lost, ((gaps, 1 / lam), (services, s)))]


def _priority(seed: int, n: int) -> list[Observed]:
    """Return two classes: short Erlang-2 services first, deterministic ones behind."""
    rng = stream(seed, 0, "truth", "priority")
    rates, means, second = (0.25, 0.25), (0.8, 1.2), (0.8**2 * 1.5, 1.2**2)
    total = sum(rates)
    gaps = rng.exponential(1 / total, n)
    first = rng.random(n) < rates[0] / total
    services = np.where(first, rng.gamma(2, means[0] / 2, n), means[1])
    env = simpy.Environment()
    station = Station(env, 1, discipline="priority")
    waits = _waits(_serve(env, station, gaps, services, np.where(first, 0, 1).tolist()))
    closed = cobham_waits(rates, means, second)
    rho = sum(lam * s for lam, s in zip(rates, means, strict=True))
    found = []
    for rank, mask in ((0, first), (1, ~first)):
        controls = _between(mask, gaps, services, rates[rank], rho)
        found.append(Observed(f"mean wait of priority {rank}, s", closed[rank], waits[mask], controls))
    return found


_EXTERNAL: Final = (0.5, 0.2, 0.0)
_ROUTING: Final = ((0.0, 0.6, 0.4), (0.2, 0.0, 0.3), (0.0, 0.0, 0.0))
_MEANS: Final = (0.7, 0.9, 0.8)


def _jackson(seed: int, n: int) -> list[Observed]:
    """Return three stations with feedback; every job is a process that walks through them."""
    rng = stream(seed, 0, "truth", "jackson")
    total = sum(_EXTERNAL)
    gaps = rng.exponential(1 / total, n)
    starts = rng.choice(3, n, p=np.array(_EXTERNAL) / total)
    env = simpy.Environment()
    stations = [Station(env, 1) for _ in _MEANS]
    steps = [np.cumsum(row) for row in _ROUTING]
    times = np.zeros(n)
    work = np.zeros(n)

    def job(i: int, at: int) -> Iterator[simpy.Event]:
        began = env.now
        while at < 3:
            service = rng.exponential(_MEANS[at])
            work[i] += service
            yield stations[at].serve(service)
            at = int(np.searchsorted(steps[at], rng.random(), side="right"))
        times[i] = env.now - began

    def arrivals() -> Iterator[simpy.Event]:
        for i, (gap, at) in enumerate(zip(gaps.tolist(), starts.tolist(), strict=True)):
            yield env.timeout(gap)
            env.process(job(i, at))  # type: ignore[arg-type]

    env.process(arrivals())  # type: ignore[arg-type]
    env.run()
    visits = np.linalg.solve(np.eye(3) - np.array(_ROUTING).T, np.array(_EXTERNAL)) / total
    mean_work = float(visits @ np.array(_MEANS))
    closed = jackson_time(_EXTERNAL, _ROUTING, _MEANS)
    controls = ((gaps, 1 / total), (work, mean_work))
    return [Observed("mean time in the network, s", closed, times, controls)]


# ------------------------------------------------------------------ data plane


def _ps(kind: str) -> Callable[[int, int], list[Observed]]:
    def run(seed: int, n: int) -> list[Observed]:
        rng, lam, s = stream(seed, 0, "truth", "ps", kind), 0.5, 1.0
        gaps = rng.exponential(1 / lam, n)
        services = np.full(n, s) if kind == "constant" else _hyper(rng, n, s)
        env = simpy.Environment()
        plane = DataPlane(env, NetworkPlan((), ()), [DeviceCapacity("d", 1.0)])
        times = _start(env, gaps, lambda i: plane.execute(0, float(services[i]), max_cores=1.0))
        controls = ((gaps, 1 / lam),) + (() if kind == "constant" else ((services, s),))
        return [Observed("mean time in system, s", ps_time(lam, s), times, controls)]

    return run


def _cores(seed: int, n: int) -> list[Observed]:
    """Return four shared cores, one a job at most: the number in the system is that of M/M/4."""
    rng, lam, s, cores = stream(seed, 0, "truth", "cores"), 2.4, 1.0, 4
    gaps, services = rng.exponential(1 / lam, n), rng.exponential(s, n)
    env = simpy.Environment()
    plane = DataPlane(env, NetworkPlan((), ()), [DeviceCapacity("d", float(cores))])
    times = _start(env, gaps, lambda i: plane.execute(0, float(services[i]), max_cores=1.0))
    closed = mmc_wait(lam, s, cores) + s
    return [Observed("mean time in system, s", closed, times, ((gaps, 1 / lam), (services, s)))]


def _link_classes(seed: int, n: int) -> list[Observed]:
    """Return a link's two priorities: the first sees itself only, the total number is that of M/M/1."""
    rng, rates, s, rate_bps = stream(seed, 0, "truth", "link"), (0.3, 0.2), 1.0, 1e9
    total = sum(rates)
    gaps = rng.exponential(1 / total, n)
    rank = (rng.random(n) >= rates[0] / total).astype(int)
    sizes = rng.exponential(s, n)
    wire = sizes * rate_bps / 8
    env = simpy.Environment()
    plane = DataPlane(env, _link(rate_bps), [])
    times = _start(env, gaps, lambda i: plane.transfer([0], float(wire[i]), priority=int(rank[i])))
    first = ps_time(rates[0], s)
    number = mm1_number(total, s) - mm1_number(rates[0], s)
    found = []
    for k, closed in ((0, first), (1, number / rates[1])):
        mask = rank == k
        controls = (*_between(mask, gaps, sizes, rates[k], total * s), (sizes[mask], s))
        found.append(Observed(f"mean transfer of priority {k}, s", closed, times[mask], controls))
    return found


#: Loads are 0.3 to 0.8: high enough to queue, low enough for narrow intervals in a minute.
CASES: Final = (
    Case("M/M/1", "Station", "s / (1 - rho)", 400_000, _mm1),
    Case("M/M/4", "Station", "Erlang C", 300_000, _mmc),
    Case("M/D/1", "Station", "Pollaczek-Khinchine", 600_000, _md1),
    Case("M/M/5/5", "Station, queue limit 0", "Erlang B", 300_000, _erlang_b),
    Case("M/G/1 priority", "Station, priority", "Cobham", 700_000, _priority),
    Case("Jackson network", "three Stations", "product form", 250_000, _jackson),
    Case("M/D/1-PS", "DataPlane device", "s / (1 - rho)", 200_000, _ps("constant")),
    Case("M/H2/1-PS", "DataPlane device", "s / (1 - rho)", 300_000, _ps("hyper")),
    Case("M/M/4 shared cores", "DataPlane device", "Erlang C", 200_000, _cores),
    Case("M/M/1 priority link", "DataPlane link", "s / (1 - rho), work conservation", 400_000, _link_classes),
)
