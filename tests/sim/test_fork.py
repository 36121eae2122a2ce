"""Branches end together: all done, or all cleaned up."""

import pytest
import simpy

from dssn_sim.errors import Failure, Refusal
from dssn_sim.fork import fork


def branch(env, delay, log, name, fail=None):
    try:
        yield env.timeout(delay)
        if fail is not None:
            raise fail
        log.append((name, env.now))
    except simpy.Interrupt:
        log.append((name, "stopped", env.now))
        raise


def test_waits_for_the_slowest():
    env, log = simpy.Environment(), []

    def main():
        yield from fork(env, [branch(env, 1, log, "a"), branch(env, 3, log, "b")])
        log.append(("main", env.now))

    env.process(main())
    env.run()
    assert log == [("a", 1), ("b", 3), ("main", 3)]


def test_one_failure_stops_the_others_and_reaches_the_caller():
    env, log = simpy.Environment(), []

    def main():
        with pytest.raises(Failure, match=r"fault\.node"):
            yield from fork(env, [branch(env, 5, log, "a"), branch(env, 2, log, "b", Failure("fault.node"))])
        log.append(("main", env.now))

    env.process(main())
    env.run()
    assert log == [("main", 2), ("a", "stopped", 2)]


def test_two_failures_at_one_instant_do_not_crash():
    env, log = simpy.Environment(), []

    def main():
        with pytest.raises(Refusal, match=r"capacity\.node"):
            yield from fork(
                env,
                [
                    branch(env, 2, log, "a", Refusal("capacity.node")),
                    branch(env, 2, log, "b", Failure("fault.link")),
                ],
            )
        yield env.timeout(1)

    env.process(main())
    env.run()
    assert env.now == 3


def test_interrupting_the_caller_stops_all_branches():
    env, log = simpy.Environment(), []

    def main():
        try:
            yield from fork(env, [branch(env, 5, log, "a"), branch(env, 6, log, "b")])
        except simpy.Interrupt:
            log.append(("main", env.now))

    process = env.process(main())

    def breaker():
        yield env.timeout(1)
        process.interrupt("x")

    env.process(breaker())
    env.run()
    assert ("a", "stopped", 1) in log
    assert ("b", "stopped", 1) in log
    assert ("main", 1) in log


def test_interrupt_before_the_first_step_is_quiet():
    env = simpy.Environment()

    def main():
        try:
            yield from fork(env, [branch(env, 5, [], "a"), branch(env, 6, [], "b")])
        except simpy.Interrupt:
            return

    process = env.process(main())

    def breaker():
        yield env.timeout(0)
        process.interrupt("x")

    env.process(breaker())
    env.run()
