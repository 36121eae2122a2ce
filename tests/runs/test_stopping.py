"""An interruption ends a run even where the code that it hits swallows it."""

import os
import signal
import threading
from contextlib import suppress

import fake_backend
import pytest

from dssn_sim.runs import RunFolder, run_plan
from dssn_sim.runs.stopping import check, noted


class EndedError(KeyboardInterrupt):
    pass


def swallowing(plan, replication, progress):
    """Lose an interruption, as a SimPy process that nobody waits for does."""
    if replication == 1:
        with suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    return fake_backend.simulate(plan, replication, None)


def swallowing_early(plan, replication, progress):
    with suppress(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    progress(0.1, 3)
    raise AssertionError("the report did not end it")


def test_a_replication_that_lost_an_interruption_is_not_kept(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_plan(fake_backend.plan(), tmp_path / "r", "x", workers=1, simulate="test_stopping:swallowing")
    assert RunFolder.open(tmp_path / "r").state == "interrupted"
    assert [p.name for p in (tmp_path / "r" / "replications").iterdir()] == ["0000"]


def test_a_lost_interruption_is_raised_at_the_next_report(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_plan(
            fake_backend.plan(), tmp_path / "r", "x", workers=1, simulate="test_stopping:swallowing_early"
        )
    assert RunFolder.open(tmp_path / "r").state == "interrupted"


def test_what_the_handler_raises_is_raised_again_and_handlers_come_back():
    def handler(_number, _frame):
        raise EndedError

    before = signal.signal(signal.SIGTERM, handler)
    try:
        with pytest.raises(EndedError), noted(), suppress(EndedError):
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is handler
        check()  # nothing is left over
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_run_in_a_thread_leaves_the_handlers_alone():
    found = []

    def run():
        with noted():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGINT)]
