"""Workload W2 in SimPy: ``simpy_tasks.py TASKS SOJOURNS process|callback SERVERS...``.

``process``: a process a job and a Resource a station, as the documentation teaches. ``callback``: the same engine
with hand-written stations on plain timeouts, what a careful user can reach.
"""

from __future__ import annotations

import sys
from array import array
from collections import deque
from collections.abc import Generator, Sequence
from typing import Any

import simpy


def read(path: str, stations: int) -> tuple[array[float], list[array[float]]]:
    """Return arrivals and service times by station."""
    with open(path, "rb") as file:  # noqa: PTH123
        count: array[float] = array("d")
        count.fromfile(file, 1)
        columns: list[array[float]] = [array("d") for _ in range(stations + 1)]
        for column in columns:
            column.fromfile(file, int(count[0]))
    return columns[0], columns[1:]


def process(
    arrivals: Sequence[float], services: Sequence[Sequence[float]], servers: list[int]
) -> array[float]:
    """Run with a process a job."""
    env = simpy.Environment()
    stations = [simpy.Resource(env, capacity=c) for c in servers]
    taken = [0] * len(servers)
    sojourn = array("d", bytes(8 * len(arrivals)))

    def job(i: int) -> Generator[Any, Any, None]:
        for s, station in enumerate(stations):
            k = taken[s]
            taken[s] = k + 1
            with station.request() as request:
                yield request
                yield env.timeout(services[s][k])
        sojourn[i] = env.now - arrivals[i]

    def source() -> Generator[Any, Any, None]:
        for i, t in enumerate(arrivals):
            yield env.timeout(t - env.now)
            env.process(job(i))

    env.process(source())
    env.run()
    return sojourn


def callback(
    arrivals: Sequence[float], services: Sequence[Sequence[float]], servers: list[int]
) -> array[float]:
    """Run with stations on plain timeouts."""
    env = simpy.Environment()
    timeout = env.timeout
    queues: list[deque[tuple[int, int]]] = [deque() for _ in servers]
    free = list(servers)
    taken = [0] * len(servers)
    sojourn = array("d", bytes(8 * len(arrivals)))

    def serve(s: int, k: int, i: int) -> None:
        timeout(services[s][k], (s, i)).callbacks.append(done)

    def arrive(s: int, i: int) -> None:
        k = taken[s]
        taken[s] = k + 1
        if free[s]:
            free[s] -= 1
            serve(s, k, i)
        else:
            queues[s].append((k, i))

    def done(event: Any) -> None:
        s, i = event._value
        if queues[s]:
            serve(s, *queues[s].popleft())
        else:
            free[s] += 1
        if s + 1 < len(servers):
            arrive(s + 1, i)
        else:
            sojourn[i] = env.now - arrivals[i]

    def feed(event: Any) -> None:
        i = event._value
        arrive(0, i)
        if i + 1 < len(arrivals):
            timeout(arrivals[i + 1] - env.now, i + 1).callbacks.append(feed)

    timeout(arrivals[0], 0).callbacks.append(feed)
    env.run()
    return sojourn


def main() -> None:
    """Run as a program."""
    source, target, style, *counts = sys.argv[1:]
    servers = [int(c) for c in counts]
    sojourn = {"process": process, "callback": callback}[style](*read(source, len(servers)), servers)
    with open(target, "wb") as file:  # noqa: PTH123
        sojourn.tofile(file)


if __name__ == "__main__":
    main()
