"""Run folders: replications in parallel, atomic, resumable; reading them back; sweeps."""

from dssn_sim.runs.errors import FailureInfo, FolderError, RunError
from dssn_sim.runs.folder import RunFolder
from dssn_sim.runs.progress import Progress, ProgressEvent
from dssn_sim.runs.run import run_plan
from dssn_sim.runs.sweep import SweepFolder, sweep

__all__ = [
    "FailureInfo",
    "FolderError",
    "Progress",
    "ProgressEvent",
    "RunError",
    "RunFolder",
    "SweepFolder",
    "run_plan",
    "sweep",
]
