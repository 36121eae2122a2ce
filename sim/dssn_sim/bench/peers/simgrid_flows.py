"""Workload W1 in SimGrid's Python binding: ``simgrid_flows.py NETWORK FLOWS FINISH``, as ``simgrid_flows.cpp`` (plain).

The binding cannot call back when a communication ends, so one actor starts the flows and waits on a set until the
next start; a waiting actor a flow is slower still, since the binding runs every actor as a thread.
"""

from __future__ import annotations

import csv
import sys
from importlib import import_module
from typing import Any

sg: Any = import_module("simgrid")


def main() -> None:
    """Run as a program."""
    network, source, target = sys.argv[1:4]
    with open(network) as file:  # noqa: PTH123
        nodes, _ = map(int, file.readline().split())
        links = [tuple(map(float, line.split())) for line in file]
    with open(source, newline="") as file:  # noqa: PTH123
        flows = [
            (float(r[0]), int(r[1]), int(r[2]), int(r[3]), tuple(map(int, r[5].split("-"))))
            for r in csv.reader(file)
        ]
    engine = sg.Engine(["bench", "--cfg=network/model:raw", "--log=root.thres:critical"])
    zone = engine.netzone_root.add_netzone_full("wan")
    hosts = [zone.add_host(f"n{i}", 1e9) for i in range(nodes)]
    link = [zone.add_link(f"l{i}", cap / 8).set_latency(0.0).seal() for i, (cap, _) in enumerate(links)]
    routes = {(f[2], f[3]): f[4] for f in flows}
    for (a, b), route in routes.items():
        zone.add_route(hosts[a], hosts[b], [sg.LinkInRoute(link[k]) for k in route], False)
    zone.seal()
    order = sorted((f[0] + sum(links[k][1] for k in f[4]), i) for i, f in enumerate(flows))
    finish = [-1.0] * len(flows)

    def dispatcher() -> None:
        pending, k = sg.ActivitySet(), 0
        numbers: dict[int, tuple[int, Any]] = {}
        while k < len(order) or numbers:
            while k < len(order) and order[k][0] <= sg.Engine.clock:
                i = order[k][1]
                comm = sg.Comm.sendto_async(hosts[flows[i][2]], hosts[flows[i][3]], flows[i][1])
                pending.push(comm)
                numbers[id(comm)] = (i, comm)
                k += 1
            if not numbers:
                sg.this_actor.sleep_until(order[k][0])
                continue
            try:
                done = (
                    pending.wait_any_for(order[k][0] - sg.Engine.clock)
                    if k < len(order)
                    else pending.wait_any()
                )
            except sg.TimeoutException:
                continue
            finish[numbers.pop(id(done))[0]] = sg.Engine.clock

    hosts[0].add_actor("dispatcher", dispatcher)
    engine.run()
    with open(target, "w") as file:  # noqa: PTH123
        file.writelines(f"{i},{t:.9f}\n" for i, t in enumerate(finish))


if __name__ == "__main__":
    main()
