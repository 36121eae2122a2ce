"""Progress on stderr: a bar on a terminal, a line every ten seconds elsewhere, nothing below two seconds."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dssn_sim.runs import ProgressEvent

__all__ = ["Watcher"]

_AFTER_S = 2.0
_LINE_EVERY_S = 10.0


class Watcher:
    """Turns progress events into a bar or lines; use it as a context manager.

    Parameters
    ----------
    replications : int
        How many there are in all.
    quiet : bool
        Say nothing.
    what : str
        What is counted, for the text.
    """

    def __init__(self, replications: int, *, quiet: bool = False, what: str = "replications") -> None:
        self.total = max(replications, 1)
        self.quiet = quiet
        self.what = what
        self.shares: dict[tuple[str, int], float] = {}
        self.finished = 0
        self.began = time.monotonic()
        self.last_line = self.began
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Watcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, event: ProgressEvent) -> None:
        """Take one event; cheap enough to be called often."""
        key = (event.run, event.replication)
        ended = event.state != "running"
        if ended and self.shares.get(key, 0.0) < 2.0:
            self.finished += 1
        self.shares[key] = 2.0 if ended else event.share
        if self.quiet:
            return
        now = time.monotonic()
        if now - self.began < _AFTER_S:
            return
        done = sum(min(s, 1.0) for s in self.shares.values())
        if sys.stderr.isatty():
            self._show(done)
        elif now - self.last_line >= _LINE_EVERY_S:
            self.last_line = now
            left = (now - self.began) * (self.total - done) / done if done > 0 else 0.0
            print(
                f"dssn: {self.finished} of {self.total} {self.what} finished, {100 * done / self.total:.0f} % of all, "
                f"about {left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )

    def _show(self, done: float) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
                console=Console(stderr=True), transient=True,
            )  # fmt: skip
            self._bar.start()
            self._task = self._bar.add_task("", total=float(self.total), completed=done)
        text = f"{self.finished} of {self.total} {self.what}"
        self._bar.update(self._task, completed=done, description=text)
