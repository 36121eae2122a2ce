"""The measurement side by side: each case with every tool in turn, answers compared, goals judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dssn_sim.bench.flows import read_finish, read_flows, write_flows
from dssn_sim.bench.measure import Cost, PeerError, measured, median_cost
from dssn_sim.bench.tasks import write_tasks
from dssn_sim.bench.tools import REFERENCE, Tool, flows_command, tasks_command
from dssn_sim.bench.topology import Topology, make_topology, write_topology

__all__ = ["CASES", "QUICK", "Case", "Row", "measure_case"]

_ONCE_S = 60.0  # a tool that takes longer is not repeated


@dataclass(frozen=True)
class Case:
    """A workload of a certain size and what is asked of us.

    ``ratio``: CPU seconds of the first peer over ours, at least. ``cpu_s``, ``memory_bytes``: ours, at most.
    """

    name: str
    title: str
    variant: str  # of W1, or "tasks"
    size: int
    ratio: float | None = None
    cpu_s: float | None = None
    memory_bytes: float | None = None


CASES = (
    Case("W1-low", "busiest link offered 60 %", "low", 100_000, ratio=20),
    Case("W1-high", "busiest link offered 97 %", "high", 100_000, ratio=10),
    Case("W1-over", "busiest link offered 130 %, the backlog grows", "over", 100_000, ratio=5),
    Case("W1-round", "500 flows at once every 2 s", "round", 100_000, ratio=15),
    Case("W1-capped", "every second flow has a cap of its own", "capped", 10_000, ratio=10),
    Case("W1-low-1e6", "busiest link offered 60 %", "low", 1_000_000, cpu_s=6.0, memory_bytes=2 * 2**30),
    Case("W2", "jobs through five stations", "tasks", 1_000_000, cpu_s=1.0),
)
#: The same cases small enough for two minutes together; the goals belong to the full size.
QUICK = tuple(
    replace(c, size=max(c.size // 20, 2_000), ratio=None, cpu_s=None, memory_bytes=None)
    for c in CASES
    if c.size < 1_000_000 or c.variant == "tasks"
)


@dataclass
class Row:
    """What one tool made of a case; ``error`` says why it has no figures."""

    tool: str
    version: str
    cost: Cost | None = None
    runs: int = 0
    difference: float | None = None  # largest relative difference of our answers to its answers
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return asdict(self)


class _Files:
    """The input of a case and where answers go."""

    def __init__(self, case: Case, folder: Path, topology: Topology, seed: int | None) -> None:
        self.case, self.topology = case, topology
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.net, self.network = folder / "topology.json", folder / "network.txt"
        write_topology(self.net, topology)
        rows = [f"{x['cap_bps']} {x['lat_s']:.9f}\n" for x in topology["links"]]
        self.network.write_text(f"{len(topology['nodes'])} {len(rows)}\n" + "".join(rows), "ascii")
        if case.variant == "tasks":
            self.input = folder / "tasks.bin"
            write_tasks(self.input, case.size, 11 if seed is None else seed)
        else:
            self.input = folder / "flows.csv"
            write_flows(self.input, topology, case.variant, case.size, 7 if seed is None else seed)

    def command(self, tool: Tool, out: Path) -> list[str]:
        if self.case.variant == "tasks":
            return tasks_command(tool, self.input, out)
        capped = self.case.variant == "capped"
        return flows_command(tool, self.net, self.network, self.input, out, capped=capped)

    def answers(self, out: Path) -> np.ndarray:
        return np.fromfile(out) if self.case.variant == "tasks" else read_finish(out)

    def durations(self) -> np.ndarray:
        """Return what differences are taken relative to: how long each flow or job took by our answers."""
        ours = self.answers(self.folder / "answer-0.bin")
        if self.case.variant == "tasks":
            return ours
        return ours - read_flows(self.input, len(self.topology["links"])).start_s


def _able(tool: Tool, case: Case) -> bool:
    if case.size > tool.largest:
        return False
    if case.variant == "tasks":
        return bool(tool.tasks)
    return bool(tool.flows) and (tool.capped or case.variant != "capped")


def measure_case(
    case: Case, tools: Sequence[Tool], folder: Path, repeats: int, *, seed: int | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> list[Row]:  # fmt: skip
    """Measure a case; the tools take turns, ours first.

    Parameters
    ----------
    case, tools
        What and who.
    folder
        For input and answers.
    repeats
        Of each tool; one that takes over a minute is not repeated.
    seed
        Of the flows or jobs; without it that of the published figures.
    say
        Is told what goes on.

    Returns
    -------
    list of Row
        In the order of ``tools``, those only that can run the case.
    """
    files = _Files(case, folder, make_topology(), seed)
    able = [t for t in tools if _able(t, case)]
    rows = [Row(t.name, t.version) for t in able]
    costs: list[list[Cost]] = [[] for _ in able]
    for turn in range(repeats):
        for i, tool in enumerate(able):
            if rows[i].error or (turn and costs[i][0].cpu_s > _ONCE_S):
                continue
            say(f"{case.name}: {tool.name}, {turn + 1} of {repeats}")
            try:
                costs[i].append(measured(files.command(tool, folder / f"answer-{i}.bin")))
            except PeerError as error:
                rows[i].error = str(error)
    ours = None if rows[0].error else files.answers(folder / "answer-0.bin")
    for i, row in enumerate(rows):
        if costs[i] and not row.error:
            row.cost, row.runs = median_cost(costs[i]), len(costs[i])
        if i and row.cost is not None and ours is not None:
            other = files.answers(folder / f"answer-{i}.bin")
            row.difference = float(np.max(np.abs(other - ours) / files.durations()))
    return rows


def judged(case: Case, rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Yield the goals of a case: what is asked, what was found, and whether it is met."""
    ours = rows[0].cost
    if ours is None:
        return
    peer = next((r.cost for r in rows[1:] if r.cost is not None and r.tool != REFERENCE), None)
    if case.ratio is not None and peer is not None:
        found = peer.cpu_s / ours.cpu_s
        yield {"what": "times less CPU", "asked": case.ratio, "found": found, "met": found >= case.ratio}
    if case.cpu_s is not None:
        yield {"what": "CPU s", "asked": case.cpu_s, "found": ours.cpu_s, "met": ours.cpu_s <= case.cpu_s}
    if case.memory_bytes is not None:
        met = ours.memory_bytes <= case.memory_bytes
        yield {"what": "bytes of memory", "asked": case.memory_bytes, "found": ours.memory_bytes, "met": met}
