"""What can go wrong with a run folder, in words for its user."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from difflib import get_close_matches

__all__ = ["FailureInfo", "FolderError", "RunError", "unknown"]


class RunError(Exception):
    """A run folder that cannot be opened, continued or written; the text is for the user."""


class FolderError(RunError):
    """An output folder that cannot be used as asked; nothing was run."""


def unknown(what: str, name: str, names: Iterable[str]) -> RunError:
    """Return the error for a name that is not there: what there is, and the nearest.

    Examples
    --------
    >>> print(unknown("result table", "order", ["orders", "nodes"]))
    no result table 'order'; there are orders, nodes; did you mean 'orders'?
    """
    known = list(names)
    close = get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return RunError(f"no {what} {name!r}; there are {', '.join(known) or 'none'}{hint}")


@dataclass(frozen=True, slots=True)
class FailureInfo:
    """Why a replication has no result.

    Attributes
    ----------
    replication : int
        Its number, -1 for the run as a whole.
    origin : str
        ``simulate`` (the model), ``policy`` (a user's own), ``write`` (the disk),
        ``worker`` (the process died), ``plan`` (a sweep point that does not compile), ``summary`` (the statistics).
    type, message : str
        Of the exception.
    where : str
        The innermost frames, for a bug report.
    """

    replication: int
    origin: str
    type: str
    message: str
    where: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return it for JSON."""
        return asdict(self)
