"""Runs a plan: replications, resume, merge, summary; the result is a run folder."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from dssn_models.market.orders import detail_share
from dssn_models.plan import Plan
from dssn_models.results import SCHEMA_VERSION, TABLES
from dssn_sim.runs.claims import check_same, claim, clear, sweep_leftovers
from dssn_sim.runs.errors import FailureInfo, RunError
from dssn_sim.runs.folder import RunFolder
from dssn_sim.runs.pool import compute
from dssn_sim.runs.progress import Progress, ProgressEvent
from dssn_sim.runs.provenance import cost_entries, plan_digest, platform_facts, versions
from dssn_sim.runs.stopping import noted
from dssn_sim.runs.worker import DONE, Task, TaskResult, is_finished
from dssn_sim.runs.writing import (
    ParquetTable,
    arrow_schema,
    publish_folder,
    read_columns,
    read_json,
    write_json,
    write_text,
)
from dssn_sim.stats.facts import RunFacts
from dssn_sim.stats.summary import summarise

__all__ = [
    "DEFAULT_SIMULATE",
    "IN_PROCESS_ORDERS",
    "Job",
    "begin",
    "close",
    "default_workers",
    "execute",
    "expected_orders",
    "finish",
    "run_plan",
]

DEFAULT_SIMULATE: Final = "dssn_sim.kernel:in_pieces"

#: Below this many orders in all replications, starting worker processes costs more than it saves.
IN_PROCESS_ORDERS: Final = 30_000


@dataclass
class Job:
    """A run folder under way."""

    path: Path
    plan: Plan
    run: dict[str, Any]
    tasks: list[Task]
    skipped: list[Task]
    lock: IO[str]
    wall_s: dict[int, float] = field(default_factory=dict)
    failures: list[FailureInfo] = field(default_factory=list)
    policies: dict[str, Any] | None = None

    @property
    def label(self) -> str:
        """Point of a sweep, '' otherwise."""
        return self.tasks[0].run if self.tasks else ""


def run_plan(
    plan: Plan,
    out: str | Path,
    resolved_yaml: str,
    replications: int | None = None,
    workers: int | None = None,
    seed: int | None = None,
    resume: bool = False,  # noqa: FBT001  part of the fixed signature between the rooms
    progress: Progress | None = None,
    *,
    executor: Executor | None = None,
    simulate: str = DEFAULT_SIMULATE,
    tables: Collection[str] | None = None,
    overwrite: bool = False,
    backend: str = "simulation",
    policies: Mapping[str, Any] | None = None,
) -> RunFolder:
    """Run a plan and return its folder.

    Parameters
    ----------
    plan : Plan
        What to run.
    out : path
        The run folder; must be new, empty, or a run to ``resume`` or ``overwrite``.
    resolved_yaml : str
        The scenario after imports, overrides and settings; kept beside the results.
    replications, seed : int, optional
        Instead of the plan's.
    workers : int, optional
        Worker processes; 1 computes in this process; None chooses by the size of the run.
        The tables do not depend on it.
    resume : bool
        Keep replications that finished earlier, of the same plan and seed.
    progress : callable, optional
        Gets a :class:`~dssn_sim.runs.progress.ProgressEvent` a few times a second.
    executor : Executor, optional
        Any ``concurrent.futures`` executor instead of own processes.
    simulate : str
        ``module:function`` of the backend.
    tables : collection of str, optional
        Keep only these tables; KPIs of the others are left out.
    policies : Mapping, optional
        Policy objects by kind that replace those named in the plan.

    Returns
    -------
    RunFolder
        Its ``state`` is ``completed``, ``partial`` (some replications failed) or ``failed`` (all).

    Raises
    ------
    RunError
        If the folder cannot be used.
    PolicyFailed
        If a policy of the user raises or decides what cannot be; what had finished is kept.
    KeyboardInterrupt
        After Ctrl-C, when what had finished is safe and the state ``interrupted`` is written.
    """
    job = begin(
        plan, out, resolved_yaml, replications=replications, seed=seed, resume=resume, simulate=simulate,
        tables=tables, overwrite=overwrite, backend=backend, policies=policies,
    )  # fmt: skip
    try:
        execute([job], workers=workers, executor=executor, progress=progress)
        return finish(job)
    except KeyboardInterrupt:
        close(job, "interrupted")
        raise
    except OSError as error:
        with suppress(OSError):  # a full disk may have no room for the run card either
            close(job, "failed")
        raise RunError(f"{job.path}: cannot be written ({error.strerror or error})") from error
    except BaseException:
        close(job, "failed")
        raise
    finally:
        job.lock.close()


# ------------------------------------------------------------------ begin


def begin(
    plan: Plan,
    out: str | Path,
    resolved_yaml: str,
    *,
    replications: int | None = None,
    seed: int | None = None,
    resume: bool = False,
    simulate: str = DEFAULT_SIMULATE,
    tables: Collection[str] | None = None,
    overwrite: bool = False,
    backend: str = "simulation",
    policies: Mapping[str, Any] | None = None,
    label: str = "",
) -> Job:
    """Prepare a run folder and list what is to be computed."""
    count = plan.run.replications if replications is None else replications
    if count < 1:
        raise RunError(f"replications: {count}; at least 1")
    root = plan.run.seed if seed is None else seed
    if not isinstance(root, int | np.integer) or root < 0:
        raise RunError(f"seed: {root!r}; a whole number of zero or more")
    root = int(root)
    plan = replace(plan, run=replace(plan.run, replications=count, seed=root))
    keep = _kept(tables)
    digest = plan_digest(plan, root, simulate, policies)
    path = Path(out)
    lock = claim(path, resume=resume, overwrite=overwrite)
    try:
        facts = versions()
        if resume:
            check_same(path, digest, root, plan.scenario_hash, facts)
        elif overwrite:
            clear(path)
        tasks = [
            Task(
                i, str(path), label, i, root, digest, plan.scenario_hash, simulate, backend,
                keep,
            )
            for i in range(count)
        ]  # fmt: skip
        (path / "replications").mkdir(exist_ok=True)
        sweep_leftovers(path)
        skipped = [t for t in tasks if resume and is_finished(t)]
        run = _card(plan, root, digest, simulate, backend, facts, keep)
        run["kernel"] = _kernel(plan, simulate, policies)
        run["facts"] = RunFacts.of(plan, run["kernel"]["detail_share"]).as_dict()
        write_text(path / "scenario.resolved.yaml", resolved_yaml)
        write_json(path / "run.json", run)
        if not resume:
            (path / "log.jsonl").unlink(missing_ok=True)
    except BaseException:
        lock.close()
        raise
    job = Job(path, plan, run, [t for t in tasks if t not in skipped], skipped, lock)
    job.policies = None if policies is None else dict(policies)
    log(job, "info", "resumed" if resume else "started", replications=count, finished=len(skipped))
    return job


def _kept(tables: Collection[str] | None) -> tuple[str, ...] | None:
    if tables is None:
        return None
    unknown = sorted(set(tables) - set(TABLES))
    if unknown:
        raise RunError(f"no result table {', '.join(unknown)}; there are {', '.join(TABLES)}")
    return tuple(name for name in TABLES if name in tables)


def _card(
    plan: Plan,
    seed: int,
    digest: str,
    simulate: str,
    backend: str,
    facts: dict[str, str],
    keep: tuple[str, ...] | None,
) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "scenario": {
            "name": plan.name,
            "title": plan.title,
            "question": plan.question,
            "hash": plan.scenario_hash,
        },
        "backend": backend,
        "simulated": "TEEs, accelerators, carrier equipment and HSMs in this run are simulated",
        "exit_state": "running",
        "seed": seed,
        "replications": plan.run.replications,
        "calibration": plan.run.calibration,
        "simulate": simulate,
        "plan_digest": digest,
        "tables": list(keep or TABLES),
        "facts": {},
        "assumptions": [list(a) for a in plan.assumptions],
        "policies": {k: {"name": p.name, "options": dict(p.options)} for k, p in plan.policies.items()},
        "cost_entries": cost_entries(plan),
        "versions": facts,
        "platform": platform_facts(),
        "workers": None,
        "started": _now(),
        "ended": None,
        "wall_s": None,
        "replication_wall_s": {},
        "failures": [],
    }


def _kernel(plan: Plan, simulate: str, policies: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return which kernel runs the plan, why, and the share of orders whose details are kept."""
    from dssn_sim.choice import KernelError, choose

    if simulate != DEFAULT_SIMULATE:
        return {"name": simulate, "reason": "named by the caller", "detail_share": 1.0}
    try:
        kernel, reason = choose(plan, policies)
    except KernelError as error:
        raise RunError(str(error)) from None
    return {"name": kernel, "reason": reason, "detail_share": detail_share(plan)}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


# ------------------------------------------------------------------ execute


def expected_orders(plan: Plan) -> float:
    """Return roughly how many orders one replication will have."""
    total = 0.0
    for stream in plan.streams:
        arrivals = stream.arrivals
        end = plan.run.horizon_s if arrivals.end_s is None else min(arrivals.end_s, plan.run.horizon_s)
        span = max(0.0, end - arrivals.start_s)
        if arrivals.times:
            count = float(len(arrivals.times))
        elif arrivals.gap is not None and arrivals.gap.mean > 0:
            count = span / arrivals.gap.mean
        else:
            count = arrivals.rate * span
            if arrivals.kind == "bursts":
                count += sum(arrivals.rate * d * (f - 1) for _, d, f in arrivals.windows)
        total += count if arrivals.limit is None else min(count, arrivals.limit)
    return total


def default_workers(jobs: Sequence[Job]) -> int:
    """Return 1 for small runs, else one worker a core (at most one a replication)."""
    tasks = sum(len(j.tasks) for j in jobs)
    orders = sum(expected_orders(j.plan) * len(j.tasks) for j in jobs)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 1 if orders < IN_PROCESS_ORDERS else max(1, min(tasks, cores))


def execute(
    jobs: Sequence[Job],
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> None:
    """Compute what the jobs still lack; each finished replication is on disk at once."""
    if workers is not None and workers < 1:
        raise RunError(f"workers: {workers}; at least 1")
    owners: list[Job] = []
    tasks: list[Task] = []
    for job in jobs:
        if progress is not None:
            for task in job.skipped:
                progress(ProgressEvent(task.replication, 1.0, 0.0, "skipped", task.run))
        for task in job.tasks:
            owners.append(job)
            tasks.append(replace(task, slot=len(tasks)))
    used = workers if workers is not None else default_workers(jobs)
    for job in jobs:
        job.run["workers"] = used if executor is None else type(executor).__name__

    def finished(task: Task, result: TaskResult) -> None:
        job = owners[task.slot]
        job.wall_s[task.replication] = round(result.wall_s, 3)
        if result.failure is None:
            log(job, "info", "replication finished", replication=task.replication)
        else:
            job.failures.append(result.failure)
            log(job, "error", "replication failed", **result.failure.as_dict())
            if result.policy is not None and not task.run:  # in a sweep the other points go on
                raise result.policy

    if tasks:
        with noted():
            compute(
                tasks,
                lambda t: (owners[t.slot].plan, owners[t.slot].policies),
                finished,
                workers=used,
                executor=executor,
                progress=progress,
            )


# ------------------------------------------------------------------ finish


def finish(job: Job) -> RunFolder:
    """Merge the finished replications, compute the summary, write the run card."""
    every = sorted([*job.tasks, *job.skipped], key=lambda t: t.replication)
    failed = {f.replication for f in job.failures}
    done = [t for t in every if t.replication not in failed]
    if done:
        _merge(job, done)
        counted = [read_json(t.path / DONE).get("events") for t in done]
        if None not in counted:
            job.run["events"] = sum(counted)
        try:
            summary = summarise(
                [_read_some(t) for t in done],
                RunFacts.from_dict(job.run["facts"]),
                [t.replication for t in done],
            )
        except Exception as error:
            job.failures.append(FailureInfo(-1, "summary", type(error).__name__, str(error)))
            raise
        write_json(
            job.path / "summary.json",
            {
                "schema_version": SCHEMA_VERSION,
                "scenario": job.run["scenario"],
                "seed": job.run["seed"],
                "failed_replications": sorted(failed),
                **summary,
            },
        )
    state = "completed" if not failed else "partial" if done else "failed"
    close(job, state)
    return RunFolder(job.path, job.run)


def _read_some(task: Task) -> dict[str, Any]:
    """Return a loader's result: the tables of one replication that statistics read."""
    from dssn_sim.stats.catalogue import TABLES_READ

    found = {}
    for name, columns in TABLES_READ.items():
        path = task.path / f"{name}.parquet"
        if path.is_file():
            found[name] = read_columns(path, columns)
    return found


def _merge(job: Job, done: Sequence[Task]) -> None:
    """Write ``tables/`` from the replications in their order; the folder appears complete or not at all."""
    final = job.path / "tables"
    beside = job.path / f".tables.{os.getpid()}.tmp"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    for name in job.run["tables"]:
        path = beside / f"{name}.parquet"
        if len(done) == 1:  # what would be written is there already
            shutil.copyfile(done[0].path / path.name, path)
            continue
        merged = ParquetTable(path, arrow_schema(name, job.run["backend"]))
        for task in done:
            merged.add(task.path / path.name)
        merged.close()
    publish_folder(beside, final)


def close(job: Job, state: str) -> None:
    """Write the run card with the exit state."""
    started = datetime.fromisoformat(job.run["started"])
    job.run.update(
        exit_state=state,
        ended=_now(),
        wall_s=round((datetime.now(UTC) - started).total_seconds(), 3),
        replication_wall_s={str(k): v for k, v in sorted(job.wall_s.items())},
        failures=[f.as_dict() for f in sorted(job.failures, key=lambda f: f.replication)],
    )
    write_json(job.path / "run.json", job.run)
    log(job, "info" if state == "completed" else "error", state)


def log(job: Job, level: str, event: str, **facts: object) -> None:
    """Append a line to ``log.jsonl``; no wall-clock value, those are in the run card only."""
    line = {"level": level, "event": event, **({"run": job.label} if job.label else {}), **facts}
    with (job.path / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")


@contextmanager
def held(jobs: Sequence[Job]) -> Iterator[None]:
    """Give the folders' locks back at the end."""
    try:
        yield
    finally:
        for job in jobs:
            job.lock.close()
