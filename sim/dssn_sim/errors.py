"""How a delivery leaves its path early; both carry a reason code of ``market.reasons``."""

from __future__ import annotations

__all__ = ["Failure", "Refusal", "StopError"]


class StopError(Exception):
    """Base: a reason code and what it was about."""

    def __init__(self, reason: str, detail: str = "") -> None:
        # SimPy makes a new exception from ``args`` when it throws into a process: keep them complete.
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


class Refusal(StopError):  # noqa: N818  (a verdict, not an error)
    """The order is refused; nothing ran."""


class Failure(StopError):  # noqa: N818
    """The delivery failed after it had begun."""
