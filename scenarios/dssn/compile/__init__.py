"""From a validated scenario to the Plan that every backend runs.

``compile_plan(loaded)`` makes the Plan; ``semantic.check_all(loaded)`` finds what only shows when the
parts of a scenario meet. Imports are late, so that the table of codes can be read without the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from dssn.compile.world import Source
    from dssn_models.plan import Plan

__all__ = ["compile_plan"]


def compile_plan(source: Source, *, base: Path | None = None) -> Plan:
    """Return the Plan of a loaded scenario or of a bare :class:`~dssn.schema.Scenario`.

    Parameters
    ----------
    source : Loaded or Scenario
        What ``load_scenario`` returned, or a model.
    base : Path, optional
        Folder for relative file names of a bare Scenario.

    Raises
    ------
    dssn.compile.codes.CompileError
        With the raw problems, if the scenario makes no sense; ``semantic.check_all`` finds the same ones.
    """
    from dssn.compile.assemble import assemble

    return assemble(source, base)
