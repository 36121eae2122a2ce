"""Where compiled code lives: the ``jit`` decorator, its cache folder, and ``warm_up``.

numba keys its cache by the file a function stands in, not by the files of the functions it
calls. The cache folder therefore carries a digest of all sources of the compiled packages: an edit or
an upgrade never meets stale machine code, and a read-only or editable install works the same.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["cache_folder", "inner", "jit", "warm_up"]

F = TypeVar("F", bound=Callable[..., object])


def cache_folder() -> Path:
    """Return the folder for compiled code: NUMBA_CACHE_DIR, else one in the user's cache."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        return Path(chosen)
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for source in sorted([*here.glob("*.py"), *(here.parent / "compiled").glob("*.py")]):
        digest.update(source.name.encode() + source.read_bytes())
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    name = "dssn-numba-" + digest.hexdigest()[:16]
    for folder in (base / "dssn" / name, Path(tempfile.gettempdir()) / name):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return Path(tempfile.gettempdir())


def _numba() -> Any:
    import numba

    return numba


def jit(signature: str) -> Callable[[F], F]:
    """Compile an entry (called from Python) at import and keep the result on disk.

    The one signature makes sure that an integer time or size is converted, not compiled for.
    """
    numba = _numba()
    if not os.environ.get("NUMBA_CACHE_DIR") and not numba.config.CACHE_DIR:
        numba.config.CACHE_DIR = str(cache_folder())

    def compile_entry(function: F) -> F:
        compiled: F = numba.njit(signature, cache=True, error_model="numpy")(function)
        return compiled

    return compile_entry


def inner(function: F) -> F:
    """Compile a function that only compiled code calls: no wrappers, no reference counts."""
    numba = _numba()
    compiled: F = numba.njit(error_model="numpy", _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)(
        function
    )
    return compiled


def warm_up() -> None:
    """Compile everything the data plane uses (some seconds after an install, else a cache read)."""
    import dssn_sim.dataplane.batch  # noqa: F401  importing compiles
