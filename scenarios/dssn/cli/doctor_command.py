"""``dssn doctor``: what this machine has, what is missing, and what to do about it."""

from __future__ import annotations

from typing import Annotated

import typer

from dssn.cli.catalogue import Json
from dssn.cli.exits import BACKEND, guarded
from dssn.cli.helptext import help_text
from dssn.cli.output import emit_json, heading, line, table

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("doctor", short_help="What this machine has and lacks.", help=help_text(doctor))(
        guarded(doctor)
    )


def doctor(
    *,
    emulation: Annotated[
        bool, typer.Option("--emulation", help="Exit with 5 if the emulation lacks something.")
    ] = False,
    json: Json = False,
) -> None:
    """Check this machine: Python, libraries, cores, memory, disk, compiled code, and what the emulation needs.

    The simulation needs no root, no GPU and no network. Exit code 5 if the simulation cannot run.

    Examples::

        dssn doctor
        dssn doctor --json
    """
    from dssn.cli.checkup import examine

    findings = examine()
    if json:
        emit_json([f.as_dict() for f in findings])
    else:
        for part, title in (
            ("simulation", "Simulation"),
            ("emulation", "Emulation (needs root; not needed to simulate)"),
        ):
            heading(title)
            rows = [(f.what, f.state, f.found, f.remedy) for f in findings if f.part == part]
            table(["what", "state", "found", "remedy"], rows)
            line()
    bad = [f for f in findings if f.state != "ok" and (f.part == "simulation" or emulation) and f.needed]
    if bad:
        raise typer.Exit(BACKEND)
