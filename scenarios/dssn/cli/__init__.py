"""The ``dssn`` command: one module a group of commands, everything heavy imported on use."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line; never ends in a traceback (``DSSN_DEBUG=1`` shows it)."""
    from dssn.cli.app import run_app

    run_app()
