"""The application object and its commands."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from dssn.cli import catalogue, doctor_command, new_command, run_command, study_command
from dssn.cli.exits import FAILED, INTERRUPTED, complain, report_crash

__all__ = ["app", "run_app"]

app = typer.Typer(
    name="dssn",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Simulate a Data Switching Service Network: one scenario file, from order to bill.

Start with [bold]dssn run metro[/bold] (ten nodes, two seconds). Then [bold]dssn list[/bold] shows the other
scenarios and [bold]dssn new scenario mine --from metro[/bold] copies one to change.

Exit codes: 0 ok, 2 usage, 3 scenario invalid, 4 run failed, 5 backend not available, 130 interrupted.""",
)


def _version(value: bool) -> None:  # noqa: FBT001  typer calls it with the flag
    if value:
        from importlib.metadata import version

        print(f"dssn {version('dssn-testbed')}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


catalogue.register(app)
run_command.register(app)
study_command.register(app)
new_command.register(app)
doctor_command.register(app)


def run_app() -> None:
    """Run with the arguments of the process; leaves by ``SystemExit``."""
    try:
        app()
    except KeyboardInterrupt:
        complain("interrupted")
        sys.exit(INTERRUPTED)
    except Exception as error:  # noqa: BLE001  never a traceback
        report_crash(error)
        sys.exit(FAILED)
