"""What can go wrong with a run folder, in words for its user."""

from __future__ import annotations

from dataclasses import asdict, dataclass

__all__ = ["FailureInfo", "RunError"]


class RunError(Exception):
    """A run folder that cannot be opened, continued or written; the text is for the user."""


@dataclass(frozen=True, slots=True)
class FailureInfo:
    """Why a replication has no result.

    Attributes
    ----------
    replication : int
        Its number, -1 for the run as a whole.
    origin : str
        ``simulate`` (the model), ``write`` (the disk), ``worker`` (the process died), ``plan`` (a sweep
        point that does not compile), ``summary`` (the statistics).
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
