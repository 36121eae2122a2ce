"""Ctrl-C and SIGTERM during a run: noted, because what runs at that moment may swallow the exception.

A signal handler raises wherever the main thread happens to be. Inside a SimPy process, a destructor or a
user's ``except:`` the exception can be lost, and the replication would go on without what was being done.
So the interruption is noted as well, and looked at where a replication reports and before it is kept.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

__all__ = ["check", "noted"]

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

_pending: KeyboardInterrupt | None = None


def check() -> None:
    """Raise the interruption that was noted, if there is one."""
    if _pending is not None:
        raise type(_pending)


@contextmanager
def noted() -> Iterator[None]:
    """Note interruptions while the block runs; one that was swallowed is raised at its end."""
    global _pending
    if threading.current_thread() is not threading.main_thread():  # signals go to the main thread only
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if callable(handler):
            signal.signal(number, _noting(handler))
    try:
        yield
        check()
    finally:
        _pending = None
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, handler)


def _noting(handler: Callable[[int, Any], Any]) -> Callable[[int, Any], None]:
    def note(number: int, frame: Any) -> None:
        global _pending
        try:
            handler(number, frame)
        except KeyboardInterrupt as stop:
            _pending = stop
            raise

    return note
