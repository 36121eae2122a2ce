"""Where scenarios come from: paths, and the library that ships with the package."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

import dssn
from dssn.loading.tree import MAX_BYTES, Node, compose
from dssn.problems import Problem, nearest, shorten

__all__ = ["display_name", "find", "library_dir", "library_names", "list_library", "read_tree"]

_SUFFIXES: Final = (".yaml", ".yml")


def library_dir() -> Path:
    """Return the folder of the shipped scenarios: inside a wheel, or beside the package in a checkout."""
    package = Path(next(iter(dssn.__path__))).resolve()
    inside = package / "library"
    return inside if inside.is_dir() else package.parent / "library"


def library_names() -> list[str]:
    """Return the names of the shipped scenarios, sorted; presets are not scenarios."""
    return sorted(p.stem for p in library_dir().glob("*.yaml"))


def list_library() -> list[tuple[str, str, str]]:
    """Return (name, title, question) of every shipped scenario."""
    rows = []
    for name in library_names():
        tree, _ = read_tree(library_dir() / f"{name}.yaml", name)
        top = tree.value if tree is not None and isinstance(tree.value, dict) else {}
        texts = [str(top[k].node.value) if k in top else "" for k in ("title", "question")]
        rows.append((name, texts[0], texts[1]))
    return rows


def display_name(path: Path) -> str:
    """Return how messages name a file: relative to the working folder where it is below it."""
    try:
        return str(path.resolve().relative_to(Path.cwd().resolve()))
    except (ValueError, OSError, RuntimeError):
        return str(path)


def find(source: str | os.PathLike[str]) -> Path | Problem:
    """Return the file of a scenario given by path or by library name.

    A text with a slash or a ``.yaml`` suffix is a path; anything else is a library name, and a file of
    exactly that name in the working folder if the library has none.
    """
    text = os.fspath(source)
    if not text or "\0" in text:
        return Problem("E101", shorten(text), found="not a file name", allowed="a path or a library name")
    path = Path(text)
    if isinstance(source, str) and not (os.sep in text or text.endswith(_SUFFIXES)):
        if text in library_names():
            return library_dir() / f"{text}.yaml"
        if not _is_file(path):
            text = shorten(text, 200)[1:-1]
            names = library_names()
            return Problem(
                "E113",
                text,
                found="no scenario of this name",
                allowed=", ".join(names),
                hint=nearest(text, names),
            )
    return path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


_BAD_TEXT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")


def _read_text(path: Path, name: str) -> str | Problem:
    try:
        if not path.exists():
            near = (
                nearest(path.name, [p.name for p in path.parent.glob("*.y*ml")])
                if path.parent.is_dir()
                else ""
            )
            return Problem("E101", name, found="no such file", allowed="a scenario file", hint=near)
        if not path.is_file():
            return Problem("E101", name, found="a folder or device", allowed="a scenario file")
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as err:
        reason = getattr(err, "strerror", None) or "bad file name"
        return Problem("E101", name, found=f"cannot be read ({reason.lower()})", allowed="a readable file")
    if len(data) > MAX_BYTES:
        return Problem(
            "E103", name, found=f"more than {MAX_BYTES} bytes", allowed=f"at most {MAX_BYTES} bytes"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = data.count(b"\n", 0, err.start) + 1
        column = err.start - (data.rfind(b"\n", 0, err.start) + 1) + 1
        byte = f"byte 0x{data[err.start]:02x}"
        return Problem("E102", name, line, column, found=f"{byte} that is not UTF-8", allowed="UTF-8 text")
    if bad := _BAD_TEXT.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        column = bad.start() - (text.rfind("\n", 0, bad.start()) + 1) + 1
        what = f"control character 0x{ord(bad.group()):02x}"
        return Problem("E102", name, line, column, found=what, allowed="UTF-8 text")
    return text


def read_tree(path: Path, name: str) -> tuple[Node | None, list[Problem]]:
    """Return the tree of a file and its problems; ``name`` is how messages call it.

    Files of the library are read once and kept, because presets are imported again and again.
    """
    real, stat = path, None
    with suppress(OSError, ValueError, RuntimeError):
        real = path.resolve()
        stat = real.stat() if real.is_relative_to(library_dir()) else None
    if stat is not None:
        tree, problems = _read_library(real, name, stat.st_mtime_ns, stat.st_size)
        return tree, list(problems)
    return _read(path, name)


@lru_cache(maxsize=128)
def _read_library(path: Path, name: str, mtime_ns: int, size: int) -> tuple[Node | None, tuple[Problem, ...]]:
    tree, problems = _read(path, name)
    return tree, tuple(problems)


def _read(path: Path, name: str) -> tuple[Node | None, list[Problem]]:
    text = _read_text(path, name)
    if isinstance(text, Problem):
        return None, [text]
    return compose(text, name)
