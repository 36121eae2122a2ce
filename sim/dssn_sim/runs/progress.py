"""What a running replication tells whoever watches; the bar itself lives in the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Progress", "ProgressEvent"]


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


#: Called in the process that started the run, a few times a second at most.
Progress = Callable[[ProgressEvent], None]
