"""From a file and its options to one merged tree.

The merge order, weakest first:

1. the files under ``import``, in the order given, each after its own imports (depth first);
2. the file itself;
3. the named overrides, in the order given;
4. every ``--set PATH=VALUE``, in the order given.

How one layer is laid over another is said in :mod:`dssn.loading.merge`. ``import`` and ``overrides``
themselves are no part of the merged document. Imports resolve relative to the file that names them, then
in the library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dssn.loading.merge import Merger
from dssn.loading.shelf import display_name, library_dir, read_tree
from dssn.loading.tree import MAX_VALUES, Entry, Mark, Node, compose, plain
from dssn.problems import Problem, nearest, shorten

__all__ = ["MAX_IMPORTS", "Document", "read_document", "read_text"]

#: Files of one scenario, repeats counted.
MAX_IMPORTS: Final = 50
#: Levels of imports.
MAX_IMPORT_DEPTH: Final = 8

_DIRECTIVES: Final = ("import", "overrides")


@dataclass(slots=True)
class Document:
    """A merged tree before validation.

    Attributes
    ----------
    root : Node | None
        The merged mapping; None where a file could not be read.
    overrides : dict[str, Entry]
        The named overrides of all files.
    problems : list[Problem]
        What was wrong so far.
    files : dict[str, Path]
        The files read, by the name that messages use.
    name : str
        How messages call the main file.
    complete : bool
        Whether every file could be read; if not, a missing key may be the fault of a missing file.
    """

    name: str
    root: Node | None = None
    overrides: dict[str, Entry] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)
    complete: bool = True

    def copy(self) -> Document:
        """Return a document that can take other options; the trees are shared, they never change."""
        return Document(
            self.name, self.root, dict(self.overrides), list(self.problems), dict(self.files), self.complete
        )

    def apply(self, overrides: Sequence[str], sets: Sequence[str]) -> None:
        """Lay named overrides and then ``--set`` options over the document."""
        if self.root is None:
            return
        merger = Merger(self.problems)
        for name in overrides:
            entry = self.overrides.get(name)
            if entry is None:
                hint = nearest(name, self.overrides)
                known = ", ".join(self.overrides) or "the scenario has none"
                self.problems.append(
                    Problem("E401", self.name, found=f"no override {shorten(name)}", allowed=known, hint=hint)
                )
            elif self._is_fragment(name, entry):
                self.root = merger.merge(self.root, entry.node)
        for text in sets:
            self.root = merger.apply_set(self.root, text)
        if isinstance(self.root.value, dict):
            self.root = Node(
                self.root.mark,
                {k: e for k, e in self.root.value.items() if k not in _DIRECTIVES},
                self.root.size,
                self.root.height,
            )

    def _is_fragment(self, name: str, entry: Entry) -> bool:
        path = f"overrides.{name}"
        value = entry.node.value
        if not isinstance(value, dict):
            mark = entry.node.mark
            found = f"{shorten(plain(entry.node))} where a fragment is due"
            self.problems.append(
                Problem("E405", mark.file, mark.line, mark.column, path, found, "a mapping of sections")
            )
            return False
        for key in _DIRECTIVES:
            if key in value:
                mark = value[key].mark
                found, allowed = f"'{key}' in an override", "sections of the scenario"
                self.problems.append(
                    Problem("E405", mark.file, mark.line, mark.column, f"{path}.{key}", found, allowed)
                )
        return True


@dataclass(slots=True)
class _Reader:
    document: Document
    loads: int = 0
    size: int = 0

    def report(self, code: str, mark: Mark, found: str, allowed: str, hint: str = "") -> None:
        self.document.complete = False
        self.document.problems.append(
            Problem(code, mark.file, mark.line, mark.column, "import", found, allowed, hint)
        )

    def file(self, path: Path, name: str, stack: tuple[Path, ...]) -> Node | None:
        tree, problems = read_tree(path, name)
        self.document.files[name] = path
        return self.tree(tree, problems, name, path, stack)

    def tree(
        self,
        tree: Node | None,
        problems: list[Problem],
        name: str,
        path: Path | None,
        stack: tuple[Path, ...],
    ) -> Node | None:
        """Return the tree with its imports below it; overrides are gathered aside."""
        self.document.problems += problems
        self.document.complete &= not problems
        if tree is None or not isinstance(tree.value, dict):
            if not problems:
                mark = tree.mark if tree is not None else Mark(name)
                found = f"{shorten(plain(tree))} at the top level" if tree is not None else "an empty file"
                allowed = "a mapping with the keys dssn, network, nodes, ..."
                self.document.problems.append(
                    Problem("E109", mark.file, mark.line, mark.column, found=found, allowed=allowed)
                )
            self.document.complete = False
            return None
        self.size += tree.size
        top = dict(tree.value)
        merged: Node | None = None
        if (entry := top.pop("import", None)) is not None:
            merged = self.imports(entry, path, stack)
        if (entry := top.pop("overrides", None)) is not None:
            self.overrides(entry)
        own = Node(tree.mark, top, tree.size, tree.height)
        return own if merged is None else Merger(self.document.problems).merge(merged, own)

    def overrides(self, entry: Entry) -> None:
        if isinstance(entry.node.value, dict):
            self.document.overrides.update({str(k): e for k, e in entry.node.value.items()})
        elif entry.node.value is not None:
            mark = entry.node.mark
            found = f"{shorten(plain(entry.node))} where named fragments are due"
            self.document.problems.append(
                Problem(
                    "E405", mark.file, mark.line, mark.column, "overrides", found, "{name: {section: ...}}"
                )
            )

    def imports(self, entry: Entry, path: Path | None, stack: tuple[Path, ...]) -> Node | None:
        items = entry.node.value if isinstance(entry.node.value, list) else [entry.node]
        merged: Node | None = None
        for item in items:
            if not isinstance(item.value, str) or not item.value:
                self.report("E115", item.mark, shorten(plain(item)), "a file name or a list of file names")
                continue
            tree = self.one_import(item.value, item.mark, path, stack)
            if tree is not None:
                merged = tree if merged is None else Merger(self.document.problems).merge(merged, tree)
        return merged

    def one_import(self, text: str, mark: Mark, path: Path | None, stack: tuple[Path, ...]) -> Node | None:
        target = _import_path(text, path)
        if target is None:
            names = sorted(str(p.relative_to(library_dir())) for p in library_dir().rglob("*.yaml"))
            base = path.parent if path is not None else Path()
            near = nearest(text, [*names, *_siblings(base)])
            self.report(
                "E110", mark, f"no file {shorten(text)}", "a file beside this one or in the library", near
            )
            return None
        real = target.resolve()
        if real in stack:
            ring = " imports ".join([*(p.name for p in stack[stack.index(real) :]), real.name])
            self.report(
                "E111", mark, f"a cycle: {ring if len(ring) < 300 else ring[:300] + ' ...'}", "no cycle"
            )
            return None
        self.loads += 1
        if self.loads > MAX_IMPORTS or len(stack) > MAX_IMPORT_DEPTH or self.size > MAX_VALUES:
            if self.loads <= MAX_IMPORTS or self.loads == MAX_IMPORTS + 1:  # say it once
                limit = f"at most {MAX_IMPORTS} files, {MAX_IMPORT_DEPTH} levels and {MAX_VALUES} values"
                self.report("E112", mark, f"import of {shorten(text)} goes too far", limit)
            return None
        return self.file(target, display_name(target), (*stack, real))


def _siblings(base: Path) -> list[str]:
    try:
        return [p.name for p in base.glob("*.y*ml")][:1000]
    except OSError:
        return []


def _import_path(text: str, importer: Path | None) -> Path | None:
    """Return the file of an import: beside the importer, then in the library; ``.yaml`` may be left off."""
    if "\0" in text:
        return None
    bases = [importer.parent] if importer is not None else [Path.cwd()]
    for base in (*bases, library_dir()):
        for name in (text, f"{text}.yaml"):
            try:
                if (path := base / name).is_file():
                    return path
            except (OSError, ValueError, RuntimeError):
                continue
    return None


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError):
        return path


def read_document(path: Path, name: str) -> Document:
    """Return the file with its imports merged below it; overrides are not applied yet."""
    document = Document(name)
    document.root = _Reader(document).file(path, name, (_resolved(path),))
    return document


def read_text(text: str, name: str) -> Document:
    """Return the document of a text that is in no file; its imports resolve from the working folder."""
    document = Document(name)
    tree, problems = compose(text, name)
    document.root = _Reader(document).tree(tree, problems, name, None, ())
    return document
