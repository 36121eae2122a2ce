"""The ``dssn`` command: one module a group of commands, everything heavy imported on use."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line; never ends in a traceback (``DSSN_DEBUG=1`` shows it)."""
    import gc
    import sys

    if sys.argv[1:2] == ["bench"] and sys.argv[2:3] in (["flows"], ["tasks"]):
        from dssn.cli.bench_files import run  # without Typer: the time of the process is what is measured

        run(sys.argv[2:])
        return
    # Imports and reports make many objects and few cycles: looking less often took metro from 3.2 to 3.05 s.
    gc.set_threshold(100_000, 20, 100)
    from dssn.cli.exits import end_cleanly_on_sigterm

    end_cleanly_on_sigterm()
    from dssn.cli.app import run_app

    run_app()
