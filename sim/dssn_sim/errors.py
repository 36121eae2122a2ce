"""How a delivery leaves its path early; both carry a reason code of ``market.reasons``."""

from __future__ import annotations

__all__ = ["Failure", "Refusal", "StopError"]


class StopError(Exception):
    """Base: a reason code and what it was about."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Refusal(StopError):  # noqa: N818  (a verdict, not an error)
    """The order is refused; nothing ran."""


class Failure(StopError):  # noqa: N818
    """The delivery failed after it had begun."""
