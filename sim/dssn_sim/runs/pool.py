"""Computes tasks: in this process, in worker processes, or in an executor handed in.

Worker processes are spawned (no fork: threads of Arrow and SimPy state do not survive one) and
send progress through shared doubles without locks, so that a worker killed at any moment
cannot block the others.
"""

from __future__ import annotations

import contextlib
import multiprocessing as mp
import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from typing import Any

from dssn_sim.runs.errors import FailureInfo, RunError
from dssn_sim.runs.progress import Progress, ProgressEvent
from dssn_sim.runs.worker import Task, TaskResult, Work, prepare_worker, run_task

__all__ = ["compute"]

WorkOf = Callable[[Task], Work]
Finished = Callable[[Task, TaskResult], None]

#: How often shares are read from the workers, s.
_POLL_S = 0.25


def compute(
    tasks: Sequence[Task],
    work_of: WorkOf,
    finished: Finished,
    *,
    workers: int,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> None:
    """Compute all tasks; ``finished`` is called here, once a task, as they end.

    Parameters
    ----------
    tasks : sequence of Task
        With ``slot`` equal to their position.
    work_of : callable
        Plan and policy objects of a task.
    workers : int
        1 computes in this process.
    executor : Executor, optional
        Used instead of own worker processes; it is not shut down.
    """
    if executor is not None:
        _in_executor(executor, tasks, work_of, finished, progress)
    elif workers <= 1 or len(tasks) == 1:
        for task in tasks:
            _end(task, run_task(task, work_of(task), progress), finished, progress)
    else:
        _in_processes(tasks, work_of, finished, min(workers, len(tasks)), progress)


def _end(task: Task, result: TaskResult, finished: Finished, progress: Progress | None) -> None:
    finished(task, result)
    if progress is not None:
        state = "failed" if result.failure else "finished"
        progress(ProgressEvent(task.replication, 1.0, 0.0, state, task.run))


class _Blobs:
    """Pickled plans, one per plan."""

    def __init__(self, work_of: WorkOf) -> None:
        self._work_of = work_of
        self._last: tuple[str, bytes] = ("", b"")

    def fill(self, task: Task) -> Task:
        if self._last[0] != task.digest:
            try:
                self._last = (task.digest, pickle.dumps(self._work_of(task), protocol=5))
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                raise RunError(
                    f"the plan or its policies cannot be sent to worker processes ({error}); "
                    "run it with one worker"
                ) from error
        return replace(task, blob=self._last[1])


def _in_executor(
    executor: Executor, tasks: Sequence[Task], work_of: WorkOf, finished: Finished, progress: Progress | None
) -> None:
    blobs = _Blobs(work_of)
    futures = {executor.submit(run_task, blobs.fill(task)): task for task in tasks}
    try:
        pending = set(futures)
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                task = futures[future]
                error = future.exception()
                result = _died(task, error) if error is not None else future.result()
                _end(task, result, finished, progress)
    except BaseException:
        for future in futures:
            future.cancel()
        raise


def _died(task: Task, error: BaseException) -> TaskResult:
    text = "the worker process died (killed, or out of memory)"
    message = text if isinstance(error, BrokenProcessPool) else str(error)
    return TaskResult(
        task.slot,
        task.replication,
        0.0,
        FailureInfo(task.replication, "worker", type(error).__name__, message),
    )


def _in_processes(
    tasks: Sequence[Task], work_of: WorkOf, finished: Finished, workers: int, progress: Progress | None
) -> None:
    context = mp.get_context("spawn")
    shared = context.RawArray("d", 3 * (max(t.slot for t in tasks) + 1))
    left = list(tasks)
    alone = False  # after a worker died: one task at a time, so that the guilty one is known
    while left:
        batch = left[:1] if alone else left
        ended = _one_pool(context, shared, batch, work_of, finished, workers, progress)
        if alone and not ended:
            _end(batch[0], _died(batch[0], BrokenProcessPool()), finished, progress)
            ended = {batch[0].slot}
        broken = len(ended) < len(batch)
        left = [t for t in left if t.slot not in ended]
        alone = alone or broken


def _one_pool(
    context: Any,
    shared: Any,
    tasks: Sequence[Task],
    work_of: WorkOf,
    finished: Finished,
    workers: int,
    progress: Progress | None,
) -> set[int]:
    """Compute tasks in one pool; return the slots that ended before the pool broke, if it broke."""
    ended: set[int] = set()
    blobs = _Blobs(work_of)
    todo: Iterator[Task] = iter(tasks)
    running: dict[Future[TaskResult], Task] = {}
    with _pool(context, shared, min(workers, len(tasks))) as pool:

        def feed() -> None:
            # Two tasks a worker in hand, not all: a plan of a national network is megabytes.
            while len(running) < 2 * workers:
                task = next(todo, None)
                if task is None:
                    return
                running[pool.submit(run_task, blobs.fill(task))] = task

        try:
            feed()
            while running:
                done, _ = wait(running, timeout=_POLL_S, return_when=FIRST_COMPLETED)
                for future in done:
                    result = future.result()
                    task = running.pop(future)
                    ended.add(task.slot)
                    _end(task, result, finished, progress)
                feed()
                if progress is not None:
                    for task in running.values():
                        share, orders, rate = shared[3 * task.slot : 3 * task.slot + 3]
                        if share > 0:
                            progress(
                                ProgressEvent(task.replication, share, rate, "running", task.run, int(orders))
                            )
        except BrokenProcessPool:
            # What finished before the break keeps its result.
            for future, task in running.items():
                if future.done() and not future.cancelled() and future.exception() is None:
                    ended.add(task.slot)
                    _end(task, future.result(), finished, progress)
    return ended


@contextlib.contextmanager
def _pool(context: Any, shared: Any, workers: int) -> Iterator[ProcessPoolExecutor]:
    """Return a pool of spawned workers that is gone at the end, also after Ctrl-C."""
    before = set(mp.active_children())
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=prepare_worker, initargs=(shared,))
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(mp.active_children()) - before:
            process.terminate()
        raise
    else:
        pool.shutdown(wait=True, cancel_futures=True)
