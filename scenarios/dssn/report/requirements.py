"""Which requirement has a test: ids from ``docs/requirements.csv``, marks from the sources of the tests.

A test covers an id with ``@pytest.mark.req("NET-02", ...)`` on the function or class, or with
``pytestmark`` for the whole module. The sources are parsed, not run.
"""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "Requirement",
    "coverage",
    "find_root",
    "marks",
    "render",
    "summary",
    "unknown_ids",
    "write_coverage",
]

_TABLE = Path("docs") / "requirements.csv"
_PAGE = Path("docs") / "coverage.md"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement and its tests.

    Attributes
    ----------
    id, title, layer, mode, priority : str
        As in ``docs/requirements.csv``; mode S simulation, E emulation, SE both; priority 0 comes first.
    tests : tuple of str
        ``tests/area/test_file.py::test_name`` of each test that names it.
    """

    id: str
    title: str
    layer: str
    mode: str
    priority: str
    tests: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def find_root(start: Path) -> Path | None:
    """Return the folder of the checkout that ``start`` lies in, or None."""
    for folder in (start, *start.parents):
        if (folder / _TABLE).is_file() and (folder / "tests").is_dir():
            return folder
    return None


def coverage(root: Path) -> list[Requirement]:
    """Return every requirement with the tests that name it, in the order of the table."""
    tests = marks(root / "tests", root)
    with (root / _TABLE).open(encoding="utf-8", newline="") as file:
        return [Requirement(**row, tests=tuple(tests.get(row["id"], ()))) for row in csv.DictReader(file)]


def unknown_ids(root: Path) -> dict[str, list[str]]:
    """Return ids that tests name and the table does not have, with those tests."""
    known = {r.id for r in coverage(root)}
    return {i: tests for i, tests in marks(root / "tests", root).items() if i not in known}


def marks(folder: Path, root: Path) -> dict[str, list[str]]:
    """Return requirement id to the tests below ``folder`` that are marked with it."""
    found: dict[str, list[str]] = {}
    for file in sorted(folder.rglob("test_*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
        name = file.relative_to(root).as_posix()
        whole = [i for node in tree.body for i in _module_marks(node)]
        for test, ids in _tests(tree.body, ""):
            for ident in dict.fromkeys([*whole, *ids]):
                found.setdefault(ident, []).append(f"{name}::{test}")
    return found


def _module_marks(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Assign) and any(
        isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets
    ):
        values = node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else [node.value]
        return [i for v in values for i in _ids(v)]
    return []


def _tests(body: Sequence[ast.stmt], prefix: str) -> Iterator[tuple[str, list[str]]]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            yield prefix + node.name, [i for d in node.decorator_list for i in _ids(d)]
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            own = [i for d in node.decorator_list for i in _ids(d)]
            for name, ids in _tests(node.body, f"{prefix}{node.name}::"):
                yield name, own + ids
        elif isinstance(node, ast.ClassDef):  # hypothesis state machines: Machine.TestCase
            ids = [i for d in node.decorator_list for i in _ids(d)]
            if ids:
                yield prefix + node.name, ids


def _ids(node: ast.expr) -> list[str]:
    """Return the ids of ``pytest.mark.req(...)``, [] for anything else."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "req":
        return [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    return []


def summary(rows: Sequence[Requirement]) -> str:
    """Return how many are covered, in one line."""
    done = sum(bool(r.tests) for r in rows)
    first = [r for r in rows if r.priority == "0"]
    sim = [r for r in first if "S" in r.mode]
    return (
        f"{done} of {len(rows)} requirements have a test; of the {len(first)} of priority 0: "
        f"{sum(bool(r.tests) for r in first)}, of those with a simulation part ({len(sim)}): {sum(bool(r.tests) for r in sim)}."
    )


def render(rows: Sequence[Requirement]) -> str:
    """Return the page ``docs/coverage.md``."""
    lines = [
        "# Which requirement has a test",
        "",
        "Made by `dssn requirements --write` from the marks in `tests/`; a test keeps it current. A test shows that the",
        "part it checks works; it does not claim that all of the requirement is built. Mode: S simulation, E emulation.",
        "",
        summary(rows),
        "",
        "| id | title | layer | mode | priority | tests |",
        "|---|---|---|---|---|---|",
    ]
    for r in rows:
        files: dict[str, int] = {}
        for test in r.tests:
            file = test.split("::", 1)[0].removeprefix("tests/")
            files[file] = files.get(file, 0) + 1
        cell = ", ".join(f"{f} ({n})" for f, n in files.items()) or "not yet"
        lines.append(f"| {r.id} | {r.title} | {r.layer} | {r.mode} | {r.priority} | {cell} |")
    return "\n".join(lines) + "\n"


def write_coverage(root: Path, rows: Sequence[Requirement] | None = None) -> Path:
    """Write ``docs/coverage.md`` and return its path."""
    path = root / _PAGE
    path.write_text(render(coverage(root) if rows is None else rows), encoding="utf-8")
    return path
