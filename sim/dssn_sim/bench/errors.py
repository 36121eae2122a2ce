"""What the benchmark says about a file it cannot read."""

from __future__ import annotations

__all__ = ["BenchInputError"]


class BenchInputError(Exception):
    """A file is not what its format says; the text is one line for the user."""
