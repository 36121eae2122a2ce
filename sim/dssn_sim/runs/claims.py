"""Whose run folder is it: made ours under a lock, checked before resuming, cleared before overwriting."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from typing import IO, Final

from dssn_sim.runs.errors import FolderError
from dssn_sim.runs.writing import read_json

__all__ = ["check_same", "check_usable", "claim", "clear", "sweep_leftovers"]

#: What a run and its report write; nothing else is ever removed.
_OURS: Final = {
    "run.json", "scenario.resolved.yaml", "summary.json", "log.jsonl", "report.html", "replications",
    "tables", "plots", "trace.json", ".lock",
}  # fmt: skip


def check_usable(path: Path) -> None:
    """Raise if no folder can be made or written there; nothing is made yet."""
    there = next((p for p in (path, *path.absolute().parents) if p.exists()), path)
    if not there.is_dir():
        raise FolderError(f"{there}: is a file; the output is a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise FolderError(f"{there}: cannot be written (permission denied)")


def claim(path: Path, *, resume: bool, overwrite: bool) -> IO[str]:
    """Make the folder ours, or say why it cannot be."""
    check_usable(path)
    existing = (path / "run.json").is_file()
    # A run killed in its first moments leaves files of ours without a card.
    if not existing and path.is_dir() and not all(_ours(p.name) for p in path.iterdir()):
        raise FolderError(f"{path}: is not empty and holds no run; choose another folder")
    if existing and not resume and not overwrite:
        raise FolderError(f"{path}: holds a run already; resume it, overwrite it or choose another folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = (path / ".lock").open("w", encoding="utf-8")
    except OSError as error:
        raise FolderError(f"{path}: cannot be written ({error.strerror})") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise FolderError(f"{path}: another process is running into this folder") from error
    return lock


def _ours(name: str) -> bool:
    return name in _OURS or (name.startswith(".") and name.endswith((".tmp", ".old")))


def check_same(path: Path, digest: str, seed: int, scenario_hash: str, facts: dict[str, str]) -> None:
    """Raise unless the folder holds the same plan, seed and versions."""
    if not (path / "run.json").is_file():
        return  # nothing there yet: resuming a run that never started is starting it
    try:
        before = read_json(path / "run.json")
        old_seed, old_digest = before["seed"], before["plan_digest"]
        old_hash, old_versions = before["scenario"]["hash"], before["versions"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FolderError(f"{path / 'run.json'}: cannot be read ({error}); overwrite the run") from error
    if old_seed != seed:
        raise FolderError(f"{path}: was run with seed {old_seed}, not {seed}; resume needs the same seed")
    if old_digest != digest:
        what = "another scenario" if old_hash != scenario_hash else "another plan of this scenario"
        raise FolderError(
            f"{path}: was run with {what} ({old_hash[:12] or 'no hash'}); resume needs the same one"
        )
    changed = [f"{k} {v} -> {facts.get(k)}" for k, v in old_versions.items() if facts.get(k) != v]
    if changed:
        raise FolderError(
            f"{path}: was run with other versions ({', '.join(changed)}); its replications would not match"
        )


def clear(path: Path) -> None:
    """Remove an earlier run; only what a run writes."""
    for child in path.iterdir():
        if child.name in _OURS and child.name != ".lock":
            if child.is_dir():
                shutil.rmtree(child)
            else:
                child.unlink()


def sweep_leftovers(path: Path) -> None:
    """Remove half-written folders and files of a killed run; we hold the lock, so nobody writes them."""
    for child in [*(path / "replications").glob(".*"), *path.glob(".*.tmp"), *path.glob(".*.old")]:
        if child.is_dir():
            shutil.rmtree(child, ignore_errors=True)
        else:
            child.unlink(missing_ok=True)
