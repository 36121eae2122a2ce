"""What a running replication tells whoever watches; the bar itself lives in the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Progress", "ProgressEvent", "Report"]


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """How far one replication is.

    Attributes
    ----------
    replication : int
        Its number.
    share : float
        Virtual time passed, as a share of the horizon, 0 to 1.
    rate : float
        Virtual seconds per wall second so far, 0 if unknown.
    orders : int
        Orders ended so far.
    state : str
        ``running`` | ``finished`` | ``failed`` | ``skipped`` (finished in an earlier run).
    run : str
        The point of a sweep; '' in a single run.
    """

    replication: int
    share: float
    rate: float = 0.0
    state: str = "running"
    run: str = ""
    orders: int = 0


#: What a backend calls: share of the virtual time done, orders ended.
Report = Callable[[float, int], None]

#: Called in the process that started the run, a few times a second at most.
Progress = Callable[[ProgressEvent], None]
