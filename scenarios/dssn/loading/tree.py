"""YAML text to a tree in which every key and value knows where it stands.

The scanner and parser are ruamel.yaml's (pure Python, YAML 1.2); the tree is
built here from their events, because a scenario may come from a stranger: the
depth, the number of values and the growth by aliases are bounded *while*
reading, tags are refused, and every duplicate key is reported, not the first.
Plain words follow the YAML 1.2 core schema (``no`` is text), and digits may be
grouped with ``_``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from dssn.problems import MAX_PROBLEMS, Problem, shorten

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_LINE",
    "MAX_VALUES",
    "Entry",
    "Key",
    "Mark",
    "Node",
    "Position",
    "compose",
    "item_key",
    "plain",
    "positions_of",
    "resolve_scalar",
]

#: Levels of lists and mappings inside one another.
MAX_DEPTH: Final = 40
#: Keys and values of one file, aliases expanded.
MAX_VALUES: Final = 200_000
#: Bytes of one file. The reader is pure Python; this much of the worst text takes about 3 s.
MAX_BYTES: Final = 2_000_000
#: Characters of one line; some words take the reader quadratic time.
MAX_LINE: Final = 20_000


class Mark(NamedTuple):
    """A place in a file; line and column are 1-based, 0 for none."""

    file: str
    line: int = 0
    column: int = 0


class Position(NamedTuple):
    """Where a value stands, and where its key does (the value itself for list items)."""

    value: Mark
    key: Mark


Scalar = str | int | float | bool | None
#: A key is its text; a plain whole number stays one (``{1: 60 %, 3: 40 %}``).
Key = str | int


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One key of a mapping with its value."""

    mark: Mark
    node: Node


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A value: scalar, list or mapping. Never changed after it was built, so parts are shared."""

    mark: Mark
    value: Scalar | list[Node] | dict[Key, Entry]
    size: int = 1  # values below and including this one, aliases expanded
    height: int = 0  # levels below


_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"true", "True", "TRUE"})
_FALSE: Final = frozenset({"false", "False", "FALSE"})
_INT: Final = re.compile(r"[-+]?[0-9]+(?:_[0-9]+)*\Z")
_BASED: Final = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:_[0-9]+)*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_SPECIAL: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z")
_DIGITS: Final = 40  # longer whole numbers are read as floats: nothing here counts that far


def resolve_scalar(text: str) -> Scalar:
    """Return the value of a plain (unquoted) word by the YAML 1.2 core schema.

    Examples
    --------
    >>> [resolve_scalar(t) for t in ("2_000", "1e3", "no", "~", "true", "0x10", "5 ms")]
    [2000, 1000.0, 'no', None, True, 16, '5 ms']
    """
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if text[0] not in "+-.0123456789":
        return text
    if _INT.match(text):
        return int(text.replace("_", "")) if len(text) <= _DIGITS else float(text)
    if _BASED.match(text):
        return int(text, 0) if len(text) <= _DIGITS else math.inf
    if _FLOAT.match(text):
        return float(text)
    if _SPECIAL.match(text):
        return float(text.replace(".", ""))
    return text


class _StopError(Exception):
    """Reading this file ends here; the reason is in the list of problems."""


#: Causes of ruamel.yaml in the words of a scenario's author.
_SYNTAX: Final = (
    ("mapping values are not allowed", "a ':' where no key can stand (a value with ': ' in it needs quotes)"),
    ("could not find expected ':'", "a line that is neither 'key: value' nor '- item'"),
    ("cannot start any token", "a character that starts no value (tabs do not indent; @ ` % need quotes)"),
    ("expected <block end>", "an indentation or a word that does not fit the lines above"),
    ("expected ',' or ']'", "a list '[...]' that is not closed, or a comma that is missing"),
    ("expected ',' or '}'", "a mapping '{...}' that is not closed, or a comma that is missing"),
    ("unexpected end of stream", "a quoted text that is not closed"),
    ("found undefined alias", "an alias '*name' without an anchor '&name' before it"),
    ("sequence entries are not allowed", "a '- item' where no list can stand"),
    ("expected the node content", "a bracket or comma where a value is due"),
)  # fmt: skip


def _syntax_problem(err: Exception, file: str) -> Problem:
    if isinstance(err, ReaderError):
        what = f"character #x{err.character:x}" if isinstance(err.character, int) else "bytes"
        return Problem("E102", file, found=f"{what} that no YAML text may hold", allowed="UTF-8 text")
    line = column = 0
    text = "text that is not YAML"
    if isinstance(err, MarkedYAMLError):
        mark = err.problem_mark or err.context_mark
        if mark is not None:
            line, column = mark.line + 1, mark.column + 1
        raw = " ".join(str(err.problem or err.context or text).split())
        text = next((ours for theirs, ours in _SYNTAX if theirs in raw), shorten(raw, 120).strip("'"))
    return Problem("E104", file, line, column, found=text, allowed="YAML 1.2")


@dataclass(slots=True)
class _Composer:
    """Builds the tree of one text from parser events."""

    file: str
    events: Iterator[Any]
    problems: list[Problem]
    anchors: dict[str, Node | None] = field(default_factory=dict)  # None: still being read
    count: int = 0

    def report(self, code: str, mark: Mark, found: str, allowed: str = "", path: str = "") -> None:
        self.problems.append(Problem(code, mark.file, mark.line, mark.column, path, found, allowed))
        if len(self.problems) >= MAX_PROBLEMS:
            text = "reading ends at so many problems"
            self.problems.append(Problem("E116", mark.file, found=text, allowed="mend the listed ones first"))
            raise _StopError

    def stop(self, code: str, mark: Mark, found: str, allowed: str = "") -> _StopError:
        self.report(code, mark, found, allowed)
        return _StopError()

    def next_event(self) -> Any:
        return next(self.events)

    def grow(self, by: int, mark: Mark, *, alias: bool) -> None:
        self.count += by
        if self.count > MAX_VALUES:
            if alias:
                raise self.stop(
                    "E107", mark, "aliases that expand to too many values", f"at most {MAX_VALUES} values"
                )
            raise self.stop("E103", mark, "more values than a file may have", f"at most {MAX_VALUES} values")

    def node(self, event: Any, depth: int) -> Node:
        """Return the tree that starts with this event."""
        start = event.start_mark
        mark = Mark(self.file, start.line + 1, start.column + 1)
        if isinstance(event, AliasEvent):
            return self.alias(event, mark, depth)
        if depth > MAX_DEPTH:
            raise self.stop("E106", mark, f"more than {MAX_DEPTH} levels", f"at most {MAX_DEPTH} levels")
        self.grow(1, mark, alias=False)
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        self.check_tag(event, mark)
        if isinstance(event, ScalarEvent):
            node = Node(mark, self.scalar(event, mark))
        elif isinstance(event, SequenceStartEvent):
            node = self.sequence(mark, depth)
        else:
            node = self.mapping(mark, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def alias(self, event: Any, mark: Mark, depth: int) -> Node:
        if event.anchor not in self.anchors:
            raise self.stop(
                "E104",
                mark,
                f"alias '*{event.anchor}' without an anchor before it",
                "an anchor '&name' first",
            )
        target = self.anchors[event.anchor]
        if target is None:
            raise self.stop(
                "E107", mark, f"alias '*{event.anchor}' contains itself", "aliases of finished values"
            )
        self.grow(target.size, mark, alias=True)
        if depth + target.height > MAX_DEPTH:
            raise self.stop("E106", mark, f"more than {MAX_DEPTH} levels", f"at most {MAX_DEPTH} levels")
        return target

    def check_tag(self, event: Any, mark: Mark) -> None:
        tag = getattr(event, "tag", None)
        if tag is not None and str(tag) != "!":
            self.report("E108", mark, f"tag {shorten(str(tag))}", "plain text, numbers, lists and mappings")

    def scalar(self, event: ScalarEvent, mark: Mark) -> Scalar:
        # implicit[0]: a plain word; quoted text is text whatever it looks like.
        is_word = event.implicit[0] or (event.tag is not None and not event.style)
        value: Scalar = resolve_scalar(event.value) if is_word else str(event.value)
        if isinstance(value, float) and not math.isfinite(value):
            self.report("E206", mark, f"{shorten(event.value)} is not a finite number", "finite numbers")
            return 0.0
        return value

    def sequence(self, mark: Mark, depth: int) -> Node:
        items: list[Node] = []
        while not isinstance(event := self.next_event(), SequenceEndEvent):
            items.append(self.node(event, depth + 1))
        return Node(
            mark, items, 1 + sum(n.size for n in items), 1 + max((n.height for n in items), default=0)
        )

    def mapping(self, mark: Mark, depth: int) -> Node:
        entries: dict[Key, Entry] = {}
        merged: list[Node] = []
        while not isinstance(event := self.next_event(), MappingEndEvent):
            key = self.key(event, depth)
            key_mark = Mark(self.file, event.start_mark.line + 1, event.start_mark.column + 1)
            node = self.node(self.next_event(), depth + 1)
            if key is None:
                continue
            if key == "<<" and isinstance(event, ScalarEvent) and event.implicit[0]:
                merged += node.value if isinstance(node.value, list) else [node]
            elif key in entries:
                first = entries[key].mark
                self.report(
                    "E105",
                    key_mark,
                    f"key {shorten(key)} a second time (first on line {first.line})",
                    "each key once",
                )
            else:
                entries[key] = Entry(key_mark, node)
        for node in merged:
            if not isinstance(node.value, dict):
                self.report(
                    "E203", node.mark, f"'<<' takes a mapping, not {shorten(plain(node))}", "a mapping"
                )
                continue
            for key, entry in node.value.items():
                entries.setdefault(key, entry)
        nodes = [e.node for e in entries.values()]
        return Node(
            mark, entries, 1 + sum(n.size for n in nodes), 1 + max((n.height for n in nodes), default=0)
        )

    def key(self, event: Any, depth: int) -> Key | None:
        """Return a key; None after reporting one that is no word."""
        node = self.node(event, depth + 1)
        if isinstance(node.value, list | dict):
            mark = Mark(self.file, event.start_mark.line + 1, event.start_mark.column + 1)
            self.report("E114", mark, f"{shorten(plain(node))} as a key", "a word as a key")
            return None
        if isinstance(node.value, int) and not isinstance(node.value, bool):
            return node.value
        return str(event.value) if isinstance(event, ScalarEvent) else str(node.value)


def compose(text: str, file: str) -> tuple[Node | None, list[Problem]]:
    """Return the tree of a YAML text and the problems met; the tree is None where reading had to stop.

    Parameters
    ----------
    text : str
        One YAML document.
    file : str
        How messages name the source.
    """
    problems: list[Problem] = []
    longest = max((len(part) for part in text.split("\n")), default=0)
    if len(text) > MAX_BYTES or longest > MAX_LINE:
        limit = f"at most {MAX_BYTES} characters, at most {MAX_LINE} a line"
        found = f"a text of {len(text)} characters, the longest line has {longest}"
        return None, [Problem("E103", file, found=found, allowed=limit)]
    composer = _Composer(file, iter(()), problems)
    try:
        composer.events = iter(YAML(typ="safe", pure=True).parse(text))
        return _document(composer), problems
    except _StopError:
        return None, problems
    except Exception as err:  # whatever the YAML reader throws at odd bytes is a syntax problem
        if isinstance(err, AssertionError | NameError):
            raise  # ours
        problems.append(_syntax_problem(err, file))
        return None, problems


def _document(composer: _Composer) -> Node | None:
    root: Node | None = None
    for event in composer.events:
        if isinstance(event, DocumentStartEvent) and root is not None:
            mark = Mark(composer.file, event.start_mark.line + 1, event.start_mark.column + 1)
            raise composer.stop("E109", mark, "a second YAML document ('---')", "one document a file")
        if isinstance(event, NodeEvent | MappingStartEvent):
            root = composer.node(event, 0)
    return root


def plain(node: Node) -> Any:
    """Return the tree as plain dicts, lists and scalars."""
    value = node.value
    if isinstance(value, dict):
        return {k: plain(e.node) for k, e in value.items()}
    if isinstance(value, list):
        return [plain(n) for n in value]
    return value


def item_key(node: Node) -> str | None:
    """Return what names an item of a list: its ``id``, or the ``prefix`` of a ``generate`` entry."""
    value = node.value
    if not isinstance(value, dict):
        return None
    entry = value.get("id")
    if entry is None and "generate" in value and isinstance(value["generate"].node.value, dict):
        entry = value["generate"].node.value.get("prefix")
    if entry is None or isinstance(entry.node.value, dict | list) or entry.node.value is None:
        return None
    return str(entry.node.value)


def positions_of(root: Node) -> dict[tuple[str | int, ...], Position]:
    """Return the position of every value of the tree by its location."""
    out: dict[tuple[str | int, ...], Position] = {(): Position(root.mark, root.mark)}

    def walk(node: Node, loc: tuple[str | int, ...]) -> None:
        value = node.value
        if isinstance(value, dict):
            for key, entry in value.items():
                at = (*loc, key)
                out[at] = Position(entry.node.mark, entry.mark)
                if entry.node.height:
                    walk(entry.node, at)
        elif isinstance(value, list):
            for i, item in enumerate(value):
                at = (*loc, i)
                out[at] = Position(item.mark, item.mark)
                if item.height:
                    walk(item, at)

    walk(root, ())
    return out
