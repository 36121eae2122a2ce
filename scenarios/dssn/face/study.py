"""Running, comparing and sweeping scenarios from Python."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dssn.face.result import Result
from dssn.face.scenario import Scenario, load

if TYPE_CHECKING:
    from dssn_sim.runs import Progress

__all__ = ["open_run", "run"]


def run(
    scenario: Scenario | str | Path,
    *,
    replications: int | None = None,
    seed: int | None = None,
    workers: int | None = None,
    policies: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Simulate a scenario and return its result.

    Parameters
    ----------
    scenario : Scenario, str or path
        From :func:`load`, or what :func:`load` takes.
    replications, seed : int, optional
        Instead of the scenario's.
    workers : int, optional
        Worker processes; the result does not depend on it. None: 1 for small runs and for policy objects
        that cannot be pickled, else one a core.
    policies : mapping, optional
        Kind to policy: a name, an object with ``decide(view, now, rng)``, its class, or a function. With
        ``workers`` above 1 an object must be picklable, that is, its class must live in an importable module.
    out : path, optional
        Run folder to keep. Without it the folder is temporary and goes with the result.
    overwrite, resume : bool
        What to do with a run that is already in ``out``.
    progress : callable, optional
        Gets a ``ProgressEvent`` a few times a second.

    Raises
    ------
    Problems
        If the scenario is invalid.
    dssn_sim.runs.RunError
        If the folder cannot be used, or no replication finished.
    """
    from dssn_sim.runs import RunError, run_plan

    sc = scenario if isinstance(scenario, Scenario) else load(scenario)
    plan = sc.plan
    options: dict[str, Any] = {}
    if policies:
        from dssn.face.objects import SIMULATE, with_objects

        plan = with_objects(plan, policies, workers)
        options["simulate"] = SIMULATE
        workers = workers or 1
    keep = None
    if out is None:
        keep = tempfile.TemporaryDirectory(prefix="dssn-", ignore_cleanup_errors=True)
        out = Path(keep.name) / sc.name
    folder = run_plan(
        plan, out, sc.yaml, replications, workers, seed, resume, progress, overwrite=overwrite, **options
    )
    if folder.state == "failed":
        first = folder.failures[0] if folder.failures else {}
        raise RunError(
            f"no replication finished: {first.get('type', '')}: {first.get('message', 'see log.jsonl')}"
        )
    return Result(folder, plan, keep)


def open_run(path: str | Path) -> Result:
    """Return the result in a run folder that was written earlier."""
    from dssn_sim.runs import RunFolder

    return Result(RunFolder.open(path))
