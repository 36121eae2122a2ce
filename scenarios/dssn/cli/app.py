"""The application object and its commands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from dssn.cli import bench_command, catalogue, doctor_command, new_command, run_command, study_command
from dssn.cli.exits import FAILED, handle, report_crash

__all__ = ["app", "run_app"]

app = typer.Typer(
    name="dssn",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Simulate a Data Switching Service Network: one scenario file, from order to bill.

\b
Start here:
    dssn run metro                         ten nodes, two seconds
    dssn list                              the other scenarios
    dssn new scenario mine --from metro    a copy to change
    dssn COMMAND --help                    examples of each command

Exit codes: 0 ok, 2 usage, 3 scenario invalid, 4 run failed, 5 backend not available, 130 interrupted, 143 terminated.""",
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


run_command.register(app)
study_command.register(app)
catalogue.register(app)
new_command.register(app)
doctor_command.register(app)
bench_command.register(app)


def run_app() -> None:
    """Run with the arguments of the process; leaves by ``SystemExit``.

    The working folder is added at the end of the import path, so that ``module:object`` policies beside a
    scenario are found and shadow nothing.
    """
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        app()
    except KeyboardInterrupt as error:
        sys.exit(handle(error))
    except Exception as error:  # noqa: BLE001  never a traceback
        report_crash(error)
        sys.exit(FAILED)
