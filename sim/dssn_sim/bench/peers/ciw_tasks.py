"""Workload W2 in Ciw: ``ciw_tasks.py TASKS SOJOURNS sequential SERVERS...``; times replayed in order.

Ciw has no end when all are gone, so it stops after as many jobs as there are.
"""

from __future__ import annotations

import sys
from array import array
from importlib import import_module
from itertools import pairwise
from typing import Any

ciw: Any = import_module("ciw")
read: Any = import_module("simpy_tasks").read  # beside this file


def main() -> None:
    """Run as a program."""
    source, target, _, *counts = sys.argv[1:]
    arrivals, services = read(source, len(counts))
    n = len(counts)
    gaps = [arrivals[0], *(b - a for a, b in pairwise(arrivals)), 1e12]
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Sequential(gaps)] + [None] * (n - 1),
        service_distributions=[ciw.dists.Sequential(list(column)) for column in services],
        routing=[[1.0 if j == i + 1 else 0.0 for j in range(n)] for i in range(n)],
        number_of_servers=[int(c) for c in counts],
    )
    ciw.seed(1)
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_customers(len(arrivals), method="Finish")
    sojourn = array("d", bytes(8 * len(arrivals)))
    for record in simulation.get_all_records():
        if record.node == n and record.id_number <= len(arrivals):
            sojourn[record.id_number - 1] = record.exit_date - arrivals[record.id_number - 1]
    with open(target, "wb") as file:  # noqa: PTH123
        sojourn.tofile(file)


if __name__ == "__main__":
    main()
