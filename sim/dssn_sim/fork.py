"""Several branches of one delivery at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import simpy
from simpy.events import URGENT

from dssn_sim.errors import StopError

__all__ = ["fork", "fork_processes"]


def fork(env: simpy.Environment, branches: Sequence[Any]) -> Any:
    """Run generators side by side; wait for all, or raise the first refusal or failure.

    When one branch fails, or the caller is interrupted, the others are interrupted and clean up
    after themselves; nothing keeps running behind the caller's back. The branches start at once and
    are no processes of their own: nobody else can interrupt them (see :func:`fork_processes`).
    """
    if not branches:
        return
    if len(branches) == 1:
        yield from branches[0]
        return
    done = env.event()
    done._defused = True  # the caller may have been interrupted before it could look
    group = [_Branch(generator, done) for generator in branches]
    group[0].left[0] = len(group)
    for branch in group:
        branch.left = group[0].left
    for branch in group:
        branch.start()
    try:
        yield done
    except BaseException:
        _stop_at_once(env, [branch for branch in group if branch.alive])
        raise


class _Branch:
    """Drives one generator as SimPy's Process does, without events for its own begin and end."""

    __slots__ = ("alive", "done", "generator", "left", "target")

    def __init__(self, generator: Any, done: simpy.Event) -> None:
        self.generator = generator
        self.done = done
        self.left = [0]  # shared by the group: branches that have not ended well
        self.alive = True
        self.target: Any = None

    def start(self) -> None:
        self._drive(self.generator.send, None)

    def resume(self, event: simpy.Event) -> None:
        if event._ok:
            self._drive(self.generator.send, event._value)
            return
        event._defused = True
        # A copy of its own for each who waits, as in SimPy: tracebacks are not mixed.
        error = type(event._value)(*event._value.args)
        error.__cause__ = event._value
        self._drive(self.generator.throw, error)

    def _drive(self, go_on: Any, value: Any) -> None:
        try:
            target = go_on(value)
            while target.callbacks is None:  # it has happened already
                if not target._ok:
                    self.resume(target)
                    return
                target = self.generator.send(target._value)
        except StopIteration:
            self.alive = False
            self.left[0] -= 1
            if self.left[0] == 0 and not self.done.triggered:
                self.done.succeed()
        except simpy.Interrupt as interrupt:
            self.alive = False
            if isinstance(interrupt.cause, StopError) and not self.done.triggered:
                self.done.fail(interrupt.cause)
        except Exception as error:  # noqa: BLE001  refusals and failures, and bugs must surface too
            self.alive = False
            if not self.done.triggered:
                self.done.fail(error)
        else:
            self.target = target
            target.callbacks.append(self.resume)

    def stop(self) -> None:
        """Throw an interrupt into the generator, unless it has ended meanwhile."""
        if self.alive:
            if self.target.callbacks is not None:
                self.target.callbacks.remove(self.resume)
            self._drive(self.generator.throw, simpy.Interrupt(None))


def _stop_at_once(env: simpy.Environment, branches: Sequence[_Branch]) -> None:
    """Stop branches at this instant, before anything else but after the caller has dealt with its error."""

    def stop_all(_event: simpy.Event) -> None:
        for branch in branches:
            branch.stop()

    if branches:
        event = simpy.Event(env)
        event._ok = True
        event._value = None
        event.callbacks = [stop_all]
        env.schedule(event, URGENT)


def fork_processes(env: simpy.Environment, branches: Sequence[Any]) -> Any:
    """Like :func:`fork`, with a process for each branch, so that a fault can interrupt one of them."""
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
        process._defused = True  # interrupted before its first step
    try:
        yield done
    except BaseException:
        for process in processes:
            if process.is_alive:
                process.interrupt()
        raise
