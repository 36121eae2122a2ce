"""Progress on stderr: a bar on a terminal, a line every ten seconds elsewhere, nothing below two seconds."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from dssn.face.measured import about, estimate_s

if TYPE_CHECKING:
    from dssn_models.plan import Plan
    from dssn_sim.runs import ProgressEvent

__all__ = ["Watcher", "say_if_long"]

_AFTER_S = 2.0
_LINE_EVERY_S = 10.0
#: Below this a run is not announced, s.
_LONG_S = 60.0
#: Before this much time and this share of the work, a time left would be a guess.
_ETA_AFTER_S, _ETA_AFTER = 10.0, 0.02


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
            self._show(done, now)
        elif now - self.last_line >= _LINE_EVERY_S:
            self.last_line = now
            text = f"dssn: {self.finished} of {self.total} {self.what} finished, {100 * done / self.total:.0f} % of all"
            print(text + self._left(done, now), file=sys.stderr, flush=True)

    def _left(self, done: float, now: float) -> str:
        """Return ``, about 5 min left``, or nothing as long as that is not known."""
        elapsed = now - self.began
        if elapsed < _ETA_AFTER_S or done < _ETA_AFTER * self.total:
            return ""
        return f", about {about(elapsed * (self.total - done) / done)} left"

    def _show(self, done: float, now: float) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
                TextColumn("{task.fields[left]}"),
                console=Console(stderr=True), transient=True,
            )  # fmt: skip
            self._bar.start()
            self._task = self._bar.add_task("", total=float(self.total), completed=done, left="")
        text = f"{self.finished} of {self.total} {self.what}"
        self._bar.update(self._task, completed=done, description=text, left=self._left(done, now)[2:])


def say_if_long(plan: Plan, replications: int | None = None, workers: int | None = None) -> None:
    """Announce on stderr what is expected to take more than a minute."""
    orders, wall_s = estimate_s(plan, replications, workers)
    if wall_s > _LONG_S:
        count = replications or plan.run.replications
        print(
            f"dssn: about {orders:,.0f} orders in {count} replication{'s' if count > 1 else ''}: a rough estimate is "
            f"{about(wall_s)}; progress gives a better one".replace(",", " "),
            file=sys.stderr,
            flush=True,
        )
