"""``load_scenario``: from a name or path to a validated scenario, or every problem at once."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from ruamel.yaml import YAML

from dssn.loading.document import Document, read_document, read_text
from dssn.loading.shelf import display_name, find, library_dir
from dssn.loading.translate import Places, problems_of
from dssn.loading.tree import Position, plain, positions_of
from dssn.problems import Problem, Problems
from dssn.schema import Scenario

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Loaded",
    "Location",
    "load_document",
    "load_scenario",
    "load_text",
    "open_document",
    "with_schema_problems",
]

Location = tuple[str | int, ...]


@dataclass(frozen=True)
class Loaded:
    """A scenario that was read, merged and validated.

    Attributes
    ----------
    scenario : Scenario
        The validated model.
    document : dict
        The merged document as plain data, without ``import`` and ``overrides``.
    positions : Mapping[Location, Position]
        Where each value and key of the document was written.
    path : Path | None
        The main file; None for a text.
    name : str
        Library name or file name without suffix.
    hash : str
        SHA-256 of the document as canonical JSON: equal scenarios have equal hashes, whatever files,
        overrides and options they were put together from.
    warnings : tuple[Problem, ...]
        What is odd but allowed.
    files : Mapping[str, Path]
        The files read, by the name that messages use.
    overrides, sets : tuple[str, ...]
        The options that were applied.
    """

    scenario: Scenario
    document: dict[str, Any]
    positions: Mapping[Location, Position]
    path: Path | None
    name: str
    hash: str
    warnings: tuple[Problem, ...] = ()
    files: Mapping[str, Path] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()

    @cached_property
    def resolved_yaml(self) -> str:
        """The merged document as YAML that loads by itself to the same scenario.

        Names of data files that do not lie in the library are made absolute, because the text may be
        stored anywhere.
        """
        document = _with_absolute_files(self, self.document, ())
        options = "".join(f" --override {o}" for o in self.overrides) + "".join(
            f" --set '{s}'" for s in self.sets
        )
        head = f"# {self.name}{options}, resolved".replace("\n", " ")
        return "".join(c if c.isprintable() else " " for c in head) + "\n" + to_yaml(document)

    def places(self) -> Places:
        """Return what turns locations of the document into file, line, column and path."""
        main = next(iter(self.files), self.name)
        return Places(self.document, self.positions, main)

    def data_file(self, loc: Iterable[str | int], name: str) -> Path:
        """Return the path of a data file named at a location of the document.

        A relative name is looked up beside the file in which it was written, then in the library, then
        in the working folder; the first is returned where none exists.
        """
        position = self.positions.get(tuple(loc))
        written = self.files.get(position.value.file) if position is not None else self.path
        bases = [written.parent] if written is not None else []
        candidates = [base / name for base in (*bases, library_dir(), Path.cwd())]
        return next((c for c in candidates if _is_file(c)), candidates[0])


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _with_absolute_files(loaded: Loaded, value: Any, loc: Location) -> Any:
    if isinstance(value, dict):
        return {k: _with_absolute_files(loaded, v, (*loc, k)) for k, v in value.items()}
    if isinstance(value, list):
        return [_with_absolute_files(loaded, v, (*loc, i)) for i, v in enumerate(value)]
    if isinstance(value, str) and loc[-1] == "file":
        path = loaded.data_file(loc, value)
        if _is_file(path) and not path.resolve().is_relative_to(library_dir()):
            return str(path.resolve())
    return value


def to_yaml(document: Any) -> str:
    """Return plain data as block-style YAML 1.2."""
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.allow_unicode = True
    yaml.sort_base_mapping_type_on_output = False  # keep the order of the file
    yaml.width = 1000
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()


def _canonical(value: Any) -> Any:
    """Return the data with keys of one type; the key 1 stays another than the key '1'."""
    if isinstance(value, dict):
        return {json.dumps(k, ensure_ascii=False): _canonical(v) for k, v in value.items()}
    return [_canonical(v) for v in value] if isinstance(value, list) else value


def document_hash(document: Any) -> str:
    """Return the SHA-256 of the document as canonical JSON."""
    text = json.dumps(
        _canonical(document), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def open_document(source: str | os.PathLike[str]) -> tuple[Document, Path | None]:
    """Return the merged file, overrides not applied, and its path."""
    path = find(source)
    if isinstance(path, Problem):
        return Document(path.file, problems=[path]), None
    name = display_name(path) if path.is_relative_to(library_dir()) else str(path)
    return read_document(path, name), path


def with_schema_problems(document: Document, err: ValidationError, places: Places) -> list[Problem]:
    """Return the problems of reading, with paths, and those of the schema that do not follow from them."""
    earlier = [places.with_path(p) for p in document.problems]
    taken = {(p.file, p.line, p.column) for p in earlier if p.line}
    later = [
        p
        for p in problems_of(err, places)
        if (p.file, p.line, p.column) not in taken and (document.complete or p.code != "E202" or p.path)
    ]
    return earlier + later


def load_document(
    document: Document, path: Path | None, overrides: Sequence[str] = (), sets: Sequence[str] = ()
) -> Loaded:
    """Return the validated scenario of a document, or raise :class:`~dssn.problems.Problems`."""
    document.apply(overrides, sets)
    if document.root is None:
        raise Problems(document.problems, document.name)
    data = plain(document.root)
    positions = positions_of(document.root)
    problems = list(document.problems)
    scenario: Scenario | None = None
    try:
        scenario = Scenario.model_validate(data)
    except ValidationError as err:
        problems = with_schema_problems(document, err, Places(data, positions, document.name))
    if problems or scenario is None:
        raise Problems(problems, document.name)
    return Loaded(
        scenario=scenario,
        document=data,
        positions=positions,
        path=path,
        name=path.stem if path is not None else document.name,
        hash=document_hash(data),
        files=document.files,
        overrides=tuple(overrides),
        sets=tuple(sets),
    )


def load_scenario(
    source: str | os.PathLike[str], overrides: Sequence[str] = (), sets: Sequence[str] = ()
) -> Loaded:
    """Return the scenario of a path or library name with overrides and ``--set`` options applied.

    Parameters
    ----------
    source : str or path
        A path, or the name of a shipped scenario such as ``metro``.
    overrides : sequence of str
        Names under ``overrides:``, applied in this order.
    sets : sequence of str
        ``PATH=VALUE`` texts, applied last, in this order.

    Raises
    ------
    Problems
        With every problem of reading, merging and validating.
    """
    document, path = open_document(source)
    return load_document(document, path, overrides, sets)


def load_text(
    text: str, name: str = "scenario", overrides: Sequence[str] = (), sets: Sequence[str] = ()
) -> Loaded:
    """Return the scenario of a YAML text."""
    return load_document(read_text(text, name), None, overrides, sets)
