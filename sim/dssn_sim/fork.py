"""Several branches of one delivery at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import simpy

from dssn_sim.errors import StopError

__all__ = ["fork"]


def fork(env: simpy.Environment, branches: Sequence[Any]) -> Any:
    """Run generators side by side; wait for all, or raise the first refusal or failure.

    When one branch fails, or the caller is interrupted, the others are interrupted and clean up
    after themselves; nothing keeps running behind the caller's back.
    """
    if not branches:
        return
    if len(branches) == 1:
        yield from branches[0]
        return
    done = env.event()
    done._defused = True  # the caller may have been interrupted before it could look
    left = len(branches)

    def branch(generator: Any) -> Any:
        nonlocal left
        try:
            yield from generator
        except simpy.Interrupt as interrupt:
            cause = interrupt.cause
            if isinstance(cause, StopError) and not done.triggered:
                done.fail(cause)
            return
        except Exception as error:  # noqa: BLE001  refusals and failures, and bugs must surface too
            if not done.triggered:
                done.fail(error)
            return
        left -= 1
        if left == 0 and not done.triggered:
            done.succeed()

    processes = [env.process(branch(g)) for g in branches]
    for process in processes:
        process._defused = True  # type: ignore[attr-defined]  # interrupted before its first step
    try:
        yield done
    except BaseException:
        for process in processes:
            if process.is_alive:
                process.interrupt()
        raise
