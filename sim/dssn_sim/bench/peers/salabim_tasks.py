"""Workload W2 in salabim: ``salabim_tasks.py TASKS SOJOURNS yield SERVERS...``; a component a job, monitors off."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Generator
from importlib import import_module
from typing import Any

sim: Any = import_module("salabim")
read: Any = import_module("simpy_tasks").read  # beside this file


def main() -> None:
    """Run as a program."""
    source, target, _, *counts = sys.argv[1:]
    sim.yieldless(False)
    arrivals, services = read(source, len(counts))
    sojourn = array("d", bytes(8 * len(arrivals)))
    taken = [0] * len(counts)
    env = sim.Environment(trace=False)
    stations = [sim.Resource(f"r{s}", capacity=int(c), monitor=False) for s, c in enumerate(counts)]

    class Job(sim.Component):  # type: ignore[misc]
        """A job on its way through the stations."""

        def setup(self, number: int) -> None:
            self.number = number

        def process(self) -> Generator[Any, Any, None]:
            for s, station in enumerate(stations):
                k = taken[s]
                taken[s] = k + 1
                yield self.request(station)
                yield self.hold(services[s][k])
                self.release(station)
            sojourn[self.number] = env.now() - arrivals[self.number]

    class Source(sim.Component):  # type: ignore[misc]
        """Where jobs come from."""

        def process(self) -> Generator[Any, Any, None]:
            for i, t in enumerate(arrivals):
                yield self.hold(t - env.now())
                Job("", suppress_trace=True, number=i)

    Source()
    env.run()
    with open(target, "wb") as file:  # noqa: PTH123
        sojourn.tofile(file)


if __name__ == "__main__":
    main()
