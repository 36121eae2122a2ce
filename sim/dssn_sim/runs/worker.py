"""One replication: simulate, write its folder, say how it went. Runs here or in a worker process."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import pickle
import shutil
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from dssn_models.plan import Plan
from dssn_models.policies.failed import PolicyFailed
from dssn_models.results import TABLES
from dssn_sim.runs.errors import FailureInfo
from dssn_sim.runs.progress import Progress, ProgressEvent, Report
from dssn_sim.runs.stopping import check
from dssn_sim.runs.writing import (
    ParquetTable,
    arrow_schema,
    conform,
    file_digest,
    publish_folder,
    read_json,
    write_json,
)

__all__ = ["DONE", "Simulate", "Task", "TaskResult", "Work", "is_finished", "prepare_worker", "run_task"]

#: Marks a finished replication; written last, inside the folder that is renamed as a whole.
DONE: Final = "done.json"

#: Progress is told at most this often, s.
_TELL_S: Final = 0.1

Piece = tuple[str, pa.Table]

#: ``simulate(plan, replication, progress)``, with ``policies=`` where policy objects replace named ones. It returns
#: all tables, or pieces of them as they are made (``dssn_sim.recorder.Pieces``).
Simulate = Callable[..., Mapping[str, pa.Table] | Iterable[Piece]]


@dataclass(frozen=True, slots=True)
class Task:
    """One replication to compute."""

    slot: int  # position in the shared progress array
    folder: str  # the run folder
    run: str  # point of a sweep, '' otherwise
    replication: int
    seed: int
    digest: str
    scenario_hash: str
    simulate: str  # module:function
    backend: str
    tables: tuple[str, ...] | None
    blob: bytes = b""  # pickled (plan, policies), for worker processes

    @property
    def path(self) -> Path:
        """The folder of this replication."""
        return Path(self.folder) / "replications" / f"{self.replication:04d}"


@dataclass(frozen=True, slots=True)
class TaskResult:
    """How a replication ended."""

    slot: int
    replication: int
    wall_s: float
    failure: FailureInfo | None = None
    policy: PolicyFailed | None = None  # the failure, if a policy of the user caused it


#: What a task computes: the plan and the policy objects that replace those it names.
Work = tuple[Plan, "dict[str, Any] | None"]

_progress: Any = None  # shared doubles of this worker process: share, orders ended and rate per slot
_last: tuple[str, Work] | None = None  # what was last unpickled in this worker process


def prepare_worker(shared: Any) -> None:
    """Set up a worker process: Ctrl-C is the parent's business."""
    global _progress
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _progress = shared
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """End this worker when the run's process is gone, even if that was killed with -9."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def find_simulate(reference: str) -> Simulate:
    """Return the function named ``module:function``."""
    module, _, name = reference.partition(":")
    function: Simulate = getattr(importlib.import_module(module), name)
    return function


def run_task(task: Task, work: Work | None = None, progress: Progress | None = None) -> TaskResult:
    """Compute one replication and publish its folder; failures are returned, not raised.

    Parameters
    ----------
    work : (Plan, policies), optional
        In the same process; workers unpickle it from the task.
    progress : Progress, optional
        In the same process; workers write to the shared array.
    """
    global _last
    started = time.monotonic()
    origin = "simulate"
    try:
        if work is None:
            if _last is None or _last[0] != task.digest:
                _last = (task.digest, pickle.loads(task.blob))
            work = _last[1]
        plan, policies = work
        report = _report(task, plan.run.horizon_s, progress)
        extra = {} if policies is None else {"policies": policies}
        found: Any = find_simulate(task.simulate)(plan, task.replication, report, **extra)
        check()  # an interruption that was swallowed may have left gaps
        origin = "write"
        _write(task, found.items() if isinstance(found, Mapping) else found, getattr(found, "events", None))
    except PolicyFailed as error:
        first = error.first
        failure = FailureInfo(task.replication, "policy", type(first).__name__, str(first), first.where)
        return TaskResult(task.slot, task.replication, time.monotonic() - started, failure, first)
    except Exception as error:  # noqa: BLE001  a failed replication must not take the others down
        return TaskResult(
            task.slot,
            task.replication,
            time.monotonic() - started,
            FailureInfo(task.replication, origin, type(error).__name__, str(error), _where(error)),
        )
    return TaskResult(task.slot, task.replication, time.monotonic() - started)


def _report(task: Task, horizon_s: float, progress: Progress | None) -> Report:
    """Return what the backend calls: to the caller in this process, to the shared array in a worker."""
    shared, slot = _progress, task.slot
    started = told = time.monotonic()

    def report(share: float, orders: int) -> None:
        nonlocal told
        check()
        now = time.monotonic()
        if now - told < _TELL_S:
            return
        told = now
        rate = share * horizon_s / max(now - started, 1e-9)
        if progress is not None:
            progress(ProgressEvent(task.replication, share, rate, "running", task.run, orders))
        elif shared is not None:
            shared[3 * slot], shared[3 * slot + 1], shared[3 * slot + 2] = share, orders, rate

    return report


def _write(task: Task, pieces: Iterable[Piece], events: int | None) -> None:
    """Write the tables as they are made; those that the backend did not fill are there and empty."""
    final = task.path
    beside = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        files = {
            name: ParquetTable(beside / f"{name}.parquet", arrow_schema(name, task.backend))
            for name in TABLES
            if task.tables is None or name in task.tables
        }
        for name, piece in pieces:
            table = conform(name, piece, task.replication, backend=task.backend)
            if name in files:
                files[name].write(table)
        for file in files.values():
            file.close()
        write_json(
            beside / DONE,
            {
                "replication": task.replication,
                "seed": task.seed,
                "scenario_hash": task.scenario_hash,
                "plan_digest": task.digest,
                "events": events,
                "tables": {
                    name: {"rows": file.rows, "sha256": file_digest(file.path)}
                    for name, file in files.items()
                },
            },
        )
        publish_folder(beside, final)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def is_finished(task: Task) -> bool:
    """Return whether this replication's folder is complete, undamaged and of the same plan and seed."""
    try:
        done = read_json(task.path / DONE)
        if done["plan_digest"] != task.digest or done["seed"] != task.seed:
            return False
        if task.tables is not None and set(done["tables"]) != set(task.tables):
            return False
        return all(
            file_digest(task.path / f"{name}.parquet") == facts["sha256"]
            for name, facts in done["tables"].items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _where(error: BaseException, frames: int = 3) -> str:
    """Return the innermost frames as ``file:line function``, without folders."""
    found = traceback.extract_tb(error.__traceback__)[-frames:]
    return " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in reversed(found))
