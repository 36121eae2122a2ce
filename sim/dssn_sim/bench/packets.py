"""Workload W3: transfer times under ``transport: tcp`` beside those of a packet-level simulation.

A table has one row a transfer (``case,flow,bytes,start_s,finish_s,duration_s``); the case's name says
network, transfers, congestion control and queue. Families: ``db-100M-50ms-10MB-x5-TcpCubic-droptail``
(so many senders over one bottleneck with a queue of one bandwidth-delay product;
before the congestion control may stand ``b0.5``, times that queue, and ``l0.001``, random loss), ``mix-...`` (round trips of
10, 50 and 100 ms on one bottleneck), ``wan-s1-...`` (24 transfers over six cities). A case of any other shape
is a file of the packet simulator's own format, read by :func:`read_scenario`.

``python -m dssn_sim.bench.packets TABLE.csv`` prints the table and the summary.
"""

from __future__ import annotations

import argparse
import csv
import heapq
import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np
import simpy

from dssn_models.plan import LinkPlan, NetworkPlan, TcpPlan
from dssn_sim.bench.errors import BenchInputError
from dssn_sim.dataplane import DataPlane
from dssn_sim.transport import Tcp

__all__ = ["CaseResult", "PacketCase", "compare", "named_case", "predict", "read_scenario", "summary"]

# What the packet simulations were set to: segments, frames (IPv4 20, TCP 32, PPP 2), buffers, first time-out.
_SEGMENT, _FRAME = 1448.0, 1502.0
_BUFFER_BYTES = float(128 << 20)
_MIN_RTO_S = 1.0
_LOSSY_RUNS = 32
_FQ_CODEL_LIMIT = 10240  # frames in all queues of a link

Congestion = Literal["cubic", "newreno", "bbr"]
Queue = Literal["droptail", "fqcodel"]
_CONGESTION: Mapping[str, Congestion] = {"TcpCubic": "cubic", "TcpNewReno": "newreno", "TcpBbr": "bbr"}
_QUEUE: Mapping[str, Queue] = {"droptail": "droptail", "fqcodel": "fqcodel"}


@dataclass(frozen=True)
class PacketCase:
    """Links (ends, bit/s, delay s, queue in frames, loss) and transfers (ends, bytes, start s)."""

    links: tuple[tuple[int, int, float, float, int, float], ...]
    flows: tuple[tuple[int, int, float, float], ...]
    congestion: Congestion
    queue: Queue


@dataclass(frozen=True)
class CaseResult:
    """Mean duration of a case's transfers, predicted and at packet level (s)."""

    name: str
    flows: int
    predicted_s: float
    packets_s: float

    @property
    def error(self) -> float:
        """Predicted over packet level, less one."""
        return self.predicted_s / self.packets_s - 1.0


def _queue(rate: float, rtt_s: float) -> int:
    return max(50, int(rate * rtt_s / 8 / 1500))


def _dumbbell(
    rate: float, rtts: Sequence[float], sizes: Sequence[float], starts: Sequence[float]
) -> tuple[Any, Any]:
    base = min(rtts)
    links = [(0, 1, rate, base / 2 - 0.001, _queue(rate, max(rtts)), 0.0)]
    flows = []
    for i, size in enumerate(sizes):
        source, sink = 2 + 2 * i, 3 + 2 * i
        links.append((source, 0, 10 * rate, 0.0005 + (rtts[i] - base) / 2, 100_000, 0.0))
        links.append((1, sink, 10 * rate, 0.0005, 100_000, 0.0))
        flows.append((source, sink, size, starts[i]))
    return links, flows


def _wan(seed: int) -> tuple[Any, Any]:
    draw = random.Random(f"W3 wan {seed}").random
    trunks = [(0, 1, 500e6, 0.009), (0, 3, 300e6, 0.008), (1, 2, 400e6, 0.010), (1, 3, 300e6, 0.006),
              (2, 3, 500e6, 0.007), (3, 4, 300e6, 0.008), (0, 5, 200e6, 0.008), (4, 5, 300e6, 0.005)]  # fmt: skip
    links = [(a, b, rate, delay, _queue(rate, 0.04), 0.0) for a, b, rate, delay in trunks]
    links += [(v, 6 + v, 2e9, 0.0005, 100_000, 0.0) for v in range(6)]
    flows = []
    for _ in range(24):
        a = int(draw() * 6)
        b = (a + 1 + int(draw() * 5)) % 6
        flows.append((6 + a, 6 + b, float(int(4e6 * 10 ** (draw() * 1.4))), round(draw() * 2, 6)))
    return links, flows


def _altered(link: Any, changes: Sequence[str]) -> Any:
    """Return the bottleneck with ``b0.5`` times its queue, and a loss of ``l0.001``."""
    a, b, rate, delay, frames, loss = link
    for change in changes:
        if change[0] not in "bl":
            raise ValueError(change)
        value = float(change[1:])
        frames, loss = (max(20, int(frames * value)), loss) if change[0] == "b" else (frames, value)
    return a, b, rate, delay, frames, loss


def named_case(name: str) -> PacketCase:
    """Return the case that a name of W3 stands for.

    Raises
    ------
    BenchInputError
        When the name belongs to no family.
    """
    part = name.split("-")
    try:
        congestion, queue = _CONGESTION[part[-2]], _QUEUE[part[-1]]
        if part[0] == "db":
            rate, rtt, size, n = (
                float(part[1][:-1]) * 1e6,
                float(part[2][:-2]) / 1e3,
                float(part[3][:-2]) * 1e6,
                int(part[4][1:]),
            )
            links, flows = _dumbbell(
                rate, [rtt] * n, [size] * n, [round(i * rtt * 0.37, 6) for i in range(n)]
            )
            links[0] = _altered(links[0], part[5:-2])
        elif part[0] == "mix":
            starts = [0, 0.013, 0.029, 2.0, 2.017, 2.041]
            links, flows = _dumbbell(
                float(part[1][:-1]) * 1e6, [0.010, 0.050, 0.100] * 2, [50e6] * 3 + [5e6] * 3, starts
            )
        elif part[0] == "wan":
            links, flows = _wan(int(part[1][1:]))
        else:
            raise ValueError(part[0])
    except (ValueError, KeyError, IndexError) as exc:
        raise BenchInputError(f"{name!r} is no case of W3 (db-..., mix-..., wan-...)") from exc
    return PacketCase(tuple(links), tuple(flows), congestion, queue)


def read_scenario(path: Path, congestion: str = "TcpCubic", queue: str = "droptail") -> PacketCase:
    """Read ``link a b bit/s delay_s queue_frames [loss]`` and ``flow src dst bytes start_s`` lines."""
    links, flows = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        word, *rest = line.split() or [""]
        try:
            if word == "link":
                a, b, rate, delay, frames, *loss = rest
                links.append(
                    (int(a), int(b), float(rate), float(delay), int(frames), float(loss[0]) if loss else 0.0)
                )
            elif word == "flow":
                a, b, size, start = rest
                flows.append((int(a), int(b), float(size), float(start)))
        except ValueError as exc:
            raise BenchInputError(f"{path}:{number}: {line!r} is not a link or flow line") from exc
    return PacketCase(tuple(links), tuple(flows), _CONGESTION[congestion], _QUEUE[queue])


def _route(case: PacketCase, source: int, sink: int) -> tuple[list[int], float]:
    """Return the directed links of least delay and that delay."""
    near: dict[int, list[tuple[int, float, int]]] = {}
    for i, (a, b, _, delay, _, _) in enumerate(case.links):
        near.setdefault(a, []).append((b, delay, 2 * i))
        near.setdefault(b, []).append((a, delay, 2 * i + 1))
    heap: list[tuple[float, int, list[int]]] = [(0.0, source, [])]
    done: set[int] = set()
    while heap:
        delay, node, path = heapq.heappop(heap)
        if node == sink:
            return path, delay
        if node not in done:
            done.add(node)
            for other, more, link in near.get(node, ()):
                heapq.heappush(heap, (delay + more, other, [*path, link]))
    raise BenchInputError(f"no way from node {source} to node {sink}")


def predict(case: PacketCase, min_rto_s: float = _MIN_RTO_S) -> list[float]:
    """Return how long each transfer takes, from its first SYN to its last byte (s; inf: over an hour).

    With random loss the mean of some runs.
    """
    runs = _LOSSY_RUNS if any(link[5] > 0.0 for link in case.links) else 1
    took = [_run(case, min_rto_s, np.random.default_rng(seed)) for seed in range(runs)]
    return [sum(times) / runs for times in zip(*took, strict=True)]


def _run(case: PacketCase, min_rto_s: float, rng: np.random.Generator) -> list[float]:
    tcp = TcpPlan(
        congestion=case.congestion, segment_bytes=_SEGMENT, min_rto_s=min_rto_s, max_window_bytes=_BUFFER_BYTES, queue=case.queue
    )  # fmt: skip
    links, buffers = [], {}
    for i, (a, b, rate, delay, frames, loss) in enumerate(case.links):
        links.append(
            LinkPlan(
                i, str(i), str(a), str(b), "ip", rate, rate, delay, loss=loss, overhead=_FRAME / _SEGMENT
            )
        )
        held = frames if case.queue == "droptail" else max(frames, _FQ_CODEL_LIMIT)
        buffers[2 * i] = buffers[2 * i + 1] = held * 8 * _FRAME / rate
    env = simpy.Environment()
    network = NetworkPlan((), tuple(links), transport="tcp", tcp=tcp)
    plane = DataPlane(env, network, [])
    carrier = Tcp(plane, network, buffers, rng.exponential)
    took = [math.inf] * len(case.flows)

    def move(i: int) -> Iterator[simpy.Event]:
        source, sink, size, start = case.flows[i]
        path, delay = _route(case, source, sink)
        yield env.timeout(start)
        yield env.timeout(carrier.round_trip(path, delay))  # SYN and its answer
        yield carrier.transfer(path, size * _FRAME / _SEGMENT, latency_s=delay)
        took[i] = env.now - start

    for i in range(len(case.flows)):
        env.process(move(i))  # type: ignore[arg-type]
    env.run(until=3600.0)
    return took


def compare(path: Path, only: str = "") -> list[CaseResult]:
    """Predict every case of a table whose name contains ``only``; unfinished transfers are left out."""
    truth: dict[str, dict[int, float]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if only in row["case"] and float(row["duration_s"]) > 0:
                truth.setdefault(row["case"], {})[int(row["flow"])] = float(row["duration_s"])
    found = []
    for name, flows in truth.items():
        took = predict(named_case(name))
        found.append(
            CaseResult(
                name, len(flows), sum(took[i] for i in flows) / len(flows), sum(flows.values()) / len(flows)
            )
        )
    return found


def summary(rows: Iterable[CaseResult]) -> list[tuple[str, int, float, float, float]]:
    """Return (group, cases, median, 90th percentile and largest of the absolute error) for what the names tell."""
    groups: dict[str, list[float]] = {}
    for row in rows:
        part = row.name.split("-")
        keys = ["all", part[0], f"{part[-2]} {part[-1]}"]
        if part[0] == "db":
            keys += [
                f"rate {part[1]}",
                f"round trip {part[2]}",
                f"size {part[3]}",
                f"transfers {part[4][1:]}",
            ]
        for key in keys:
            groups.setdefault(key, []).append(abs(row.error))
    result = []
    for key in sorted(groups, key=lambda k: (k != "all", k)):
        errors = sorted(groups[key])
        result.append((key, len(errors), median(errors), errors[int(0.9 * (len(errors) - 1))], errors[-1]))
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table's cases and the summary."""
    parser = argparse.ArgumentParser(
        description="TCP transfer times beside a packet-level simulation (workload W3)."
    )
    parser.add_argument("table", type=Path)
    parser.add_argument("--only", default="", help="part of a case's name")
    asked = parser.parse_args(arguments)
    rows = compare(asked.table, asked.only)
    print(f"{'case':48} {'n':>3} {'predicted s':>12} {'packets s':>12} {'error':>8}")
    for r in rows:
        print(f"{r.name:48} {r.flows:3d} {r.predicted_s:12.4f} {r.packets_s:12.4f} {r.error:+8.1%}")
    print(f"\n{'group':28} {'cases':>5} {'median':>8} {'90 %':>8} {'largest':>8}")
    for name, cases, middle, high, largest in summary(rows):
        print(f"{name:28} {cases:5d} {middle:8.1%} {high:8.1%} {largest:8.1%}")


if __name__ == "__main__":
    main()
