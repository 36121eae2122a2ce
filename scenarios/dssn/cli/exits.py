"""Exit codes, and the handler that turns every error into one line.

0 ok, 2 usage, 3 scenario invalid, 4 run failed, 5 backend not available, 130 interrupted, 143 terminated.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import typer

__all__ = [
    "BACKEND",
    "FAILED",
    "INTERRUPTED",
    "INVALID",
    "OK",
    "TERMINATED",
    "USAGE",
    "CliError",
    "complain",
    "end_cleanly_on_sigterm",
    "guarded",
    "handle",
    "report_crash",
]

OK: Final = 0
USAGE: Final = 2
INVALID: Final = 3
FAILED: Final = 4
BACKEND: Final = 5
INTERRUPTED: Final = 130
TERMINATED: Final = 143

P = ParamSpec("P")
R = TypeVar("R")


class CliError(Exception):
    """An error with its exit code; the text is one line for the user."""

    def __init__(self, text: str, code: int = USAGE) -> None:
        super().__init__(text)
        self.code = code


class Terminated(KeyboardInterrupt):
    """SIGTERM came: everything ends as after Ctrl-C, with another exit code."""


def end_cleanly_on_sigterm() -> None:
    """Let SIGTERM end a run as Ctrl-C does; a second one ends the process at once."""

    def stop(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise Terminated

    signal.signal(signal.SIGTERM, stop)


def complain(text: str) -> None:
    """Write one line to stderr."""
    print(f"dssn: {text}", file=sys.stderr)


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Wrap a command so that every error becomes one line and the right exit code."""

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except BaseException as error:  # noqa: BLE001  the outermost handler
            raise typer.Exit(handle(error)) from None

    return wrapper


def handle(error: BaseException) -> int:
    """Say what went wrong and return the exit code."""
    if os.environ.get("DSSN_DEBUG"):
        traceback.print_exception(error)
    if isinstance(error, KeyboardInterrupt):
        terminated = isinstance(error, Terminated)
        complain("; ".join(["terminated" if terminated else "interrupted", *getattr(error, "__notes__", ())]))
        return TERMINATED if terminated else INTERRUPTED
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else FAILED
    if isinstance(error, CliError):
        complain(str(error))
        return error.code
    if isinstance(error, BrokenPipeError):
        sys.stdout = None  # the reader went away (dssn ... | head); nothing left to say
        return OK
    known = _known(error)
    if known is not None:
        return known
    if isinstance(error, OSError) and error.strerror:
        name = f"{error.filename}: " if error.filename else ""
        complain(f"{name}{error.strerror[0].lower()}{error.strerror[1:]}")
        return FAILED
    return report_crash(error)


def _known(error: BaseException) -> int | None:
    """Handle the errors of the other rooms; they are loaded if one of theirs was raised."""
    problems: Any = sys.modules.get("dssn.problems")
    if problems is not None and isinstance(error, problems.Problems):
        found: list[Any] = error.problems  # pyright: ignore[reportAttributeAccessIssue]
        for problem in found:
            print(problem.render(), file=sys.stderr)
        n = sum(not p.is_warning for p in found)
        complain(f"{n} problem{'s' if n != 1 else ''}; nothing was run. Codes: docs/errors.md")
        return INVALID
    runs = sys.modules.get("dssn_sim.runs.errors")
    if runs is not None and isinstance(error, runs.RunError):
        complain(str(error))
        return USAGE if isinstance(error, runs.FolderError) else FAILED
    policies = sys.modules.get("dssn_models.policies.failed")
    if policies is not None and isinstance(error, policies.PolicyFailed):
        complain(f"{error}; DSSN_DEBUG=1 shows the traceback")
        return FAILED
    if type(error).__name__ == "PolicyError":
        complain(str(error))
        return INVALID
    return None


def report_crash(error: BaseException) -> int:
    """Write the traceback to a log and say in one line where it is."""
    text = "".join(traceback.format_exception(error))
    log = _log_path()
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(text, encoding="utf-8")
        where = f"details: {log}"
    except OSError:
        where = "DSSN_DEBUG=1 shows the details"
    message = str(error).split("\n", 1)[0][:200]
    complain(f"unexpected {type(error).__name__}: {message}; this is a bug of dssn; {where}")
    return FAILED


def _log_path() -> Path:
    base = os.environ.get("XDG_STATE_HOME")
    home = Path(base) if base else Path.home() / ".local" / "state"
    folder = home / "dssn"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.gettempdir())
    return folder / f"error-{os.getpid()}.log"
