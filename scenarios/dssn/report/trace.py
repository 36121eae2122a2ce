"""Trace of one replication in the Chrome trace event format, for https://ui.perfetto.dev.

Deliveries are processes by class, each delivery under way takes a free lane (thread) of its class, its
phases are slices in it; node utilisation, queues and deliveries under way are counters. Times are
virtual microseconds.

Format: "Trace Event Format", Chromium project (JSON object with ``traceEvents``).
"""

from __future__ import annotations

import gzip as gzip_module
import heapq
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from dssn.report.data import RunData

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["trace_events", "write_trace"]

#: Above this many slices the trace is cut; Perfetto handles a few million, browsers' memory fewer.
MAX_SLICES: Final = 400_000
_MAX_COUNTERS: Final = 200_000
_US: Final = 1e6
_COUNTERS_PID: Final = 1
_FAULTS_PID: Final = 2
_FIRST_CLASS_PID: Final = 10


def write_trace(folder: Path | str, *, gzip: bool = False, replication: int | None = None) -> Path:
    """Write ``trace.json`` (or ``trace.json.gz``) into a run folder and return its path.

    Parameters
    ----------
    folder : Path or str
        A run folder.
    gzip : bool
        Compress; Perfetto opens either.
    replication : int, optional
        Which one; the first by default.
    """
    path = Path(folder)
    data = RunData.open(path)
    target = path / ("trace.json.gz" if gzip else "trace.json")
    beside = path / f".{target.name}.part"
    with _open(beside, compress=gzip) as file:
        file.write('{"displayTimeUnit":"ms","traceEvents":[\n')
        first = True
        notes: list[str] = []
        for event in trace_events(data, replication, notes):
            file.write(
                ("" if first else ",\n") + json.dumps(event, separators=(",", ":"), ensure_ascii=False)
            )
            first = False
        other = {
            "scenario": str(data.fact("title", default="")),
            "clock": "virtual time",
            "notes": "; ".join(notes),
        }
        file.write(f'\n],"otherData":{json.dumps(other, ensure_ascii=False)}}}\n')
    os.replace(beside, target)  # noqa: PTH105  atomic also over an existing file
    return target


def _open(path: Path, *, compress: bool) -> IO[str]:
    if compress:
        return gzip_module.open(path, "wt", encoding="utf-8", compresslevel=6)
    return path.open("w", encoding="utf-8")


def trace_events(
    data: RunData, replication: int | None = None, notes: list[str] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the events of one replication.

    Parameters
    ----------
    data : RunData
        The run.
    replication : int, optional
        Which one; the first by default.
    notes : list, optional
        Gets a sentence if the trace was cut.
    """
    number = replication if replication is not None else (data.replications[0] if data.replications else 0)
    notes = [] if notes is None else notes
    orders = _of(data.table("orders"), number).sort_values(["arrived_s", "order"])
    phases = _of(data.table("phases"), number)
    if len(phases) > MAX_SLICES:
        per_order = len(phases) / max(len(orders), 1)
        keep = orders.head(int(MAX_SLICES / per_order))
        last = float(keep["arrived_s"].max())
        notes.append(
            f"cut after {len(keep)} of {len(orders)} orders (arrival at {last:.0f} s): {MAX_SLICES} slices at most"
        )
        orders = keep
        phases = phases[phases["order"].isin(set(keep["order"]))]
    for note in notes:
        yield {"name": note, "ph": "I", "s": "g", "ts": 0, "pid": _COUNTERS_PID, "tid": 0}
    yield from _deliveries(data, orders, phases)
    yield from _counters(_of(data.table("samples"), number), notes)
    yield from _faults(data)


def _of(frame: pd.DataFrame, replication: int) -> pd.DataFrame:
    return frame[frame["replication"] == replication]


def _rows(frame: pd.DataFrame) -> Iterator[Any]:
    """Yield rows with their columns as attributes."""
    yield from frame.itertuples(index=False)


def _deliveries(data: RunData, orders: pd.DataFrame, phases: pd.DataFrame) -> Iterator[dict[str, Any]]:
    by_order: dict[Any, pd.DataFrame] = dict(iter(phases.groupby("order")))
    for i, cls in enumerate(data.classes):
        pid = _FIRST_CLASS_PID + i
        yield _named("process_name", pid, 0, f"class {cls}")
        yield {"name": "process_sort_index", "ph": "M", "pid": pid, "tid": 0, "args": {"sort_index": i}}
        free: list[int] = []
        busy: list[tuple[float, int]] = []
        lanes = 0
        for row in _rows(orders[orders["cls"] == cls]):
            start = float(row.arrived_s)
            own = by_order.get(row.order)
            ends: list[float] = own["end_s"].tolist() if own is not None else []
            end = max([float(row.ended_s), *ends])
            while busy and busy[0][0] <= start:
                heapq.heappush(free, heapq.heappop(busy)[1])
            if free:
                lane = heapq.heappop(free)
            else:
                lanes += 1
                lane = lanes
                yield _named("thread_name", pid, lane, f"lane {lane}")
            heapq.heappush(busy, (end, lane))
            yield {
                "name": f"order {row.order} ({row.stream})", "cat": "order", "ph": "X", "pid": pid, "tid": lane,
                "ts": round(start * _US, 3), "dur": round((end - start) * _US, 3),
                "args": {"consumer": row.consumer, "providers": row.providers, "state": row.state, "reason": row.reason},
            }  # fmt: skip
            if own is not None:
                yield from _phases(own, pid, lane)


def _phases(own: pd.DataFrame, pid: int, lane: int) -> Iterator[dict[str, Any]]:
    for p in _rows(own.sort_values("start_s")):
        yield {
            "name": p.phase, "cat": "phase", "ph": "X", "pid": pid, "tid": lane, "ts": round(float(p.start_s) * _US, 3),
            "dur": round((float(p.end_s) - float(p.start_s)) * _US, 3),
            "args": {"wait_s": round(float(p.wait_s), 6), "node": p.node, "detail": p.detail},
        }  # fmt: skip


def _counters(samples: pd.DataFrame, notes: list[str]) -> Iterator[dict[str, Any]]:
    if samples.empty:
        return
    yield _named("process_name", _COUNTERS_PID, 0, "counters")
    if len(samples) > _MAX_COUNTERS:
        times = samples["at_s"].drop_duplicates()
        step = -(-len(samples) // _MAX_COUNTERS)
        samples = samples[samples["at_s"].isin(set(times.iloc[::step]))]
        notes.append(f"counters thinned to every {step}th sample")
    for s in _rows(samples):
        name = f"{s.kind} {s.id} {s.metric}"
        yield {
            "name": name, "ph": "C", "pid": _COUNTERS_PID, "tid": 0, "ts": round(float(s.at_s) * _US, 3),
            "args": {str(s.metric): float(s.value)},
        }  # fmt: skip


def _faults(data: RunData) -> Iterator[dict[str, Any]]:
    if data.plan is None or not data.plan.faults:
        return
    yield _named("process_name", _FAULTS_PID, 0, "faults")
    for i, fault in enumerate(data.plan.faults):
        yield {
            "name": fault.label or f"{fault.kind} {fault.target}", "cat": "fault", "ph": "X", "pid": _FAULTS_PID, "tid": i,
            "ts": fault.at_s * _US, "dur": fault.duration_s * _US, "args": {"kind": fault.kind, "target": fault.target},
        }  # fmt: skip


def _named(kind: str, pid: int, tid: int, name: str) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "pid": pid, "tid": tid, "args": {"name": name}}
