"""What is wrong with a scenario: one line a problem, all problems at once.

A problem says where it stands, what was found, what is allowed and, where a
near spelling exists, what was probably meant. The table :data:`CODES` explains
each code; ``docs/errors.md`` is rendered from it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from dssn.compile.codes import SEMANTIC

__all__ = [
    "CODES",
    "MAX_PROBLEMS",
    "CodeInfo",
    "Problem",
    "Problems",
    "errors_markdown",
    "limited",
    "nearest",
    "shorten",
    "sort_problems",
]

#: Problems that are listed; further ones are counted.
MAX_PROBLEMS: Final = 500


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where.

    Attributes
    ----------
    code : str
        A key of :data:`CODES`.
    file : str
        The file as the user named it, or ``--set PATH=VALUE`` for a value of the command line.
    line, column : int
        1-based; 0 where the problem belongs to the file as a whole.
    path : str
        Dotted path of the value, with the ids of list items: ``workload.psi.arrivals.rate``.
    found : str
        What stands there.
    allowed : str
        What may stand there.
    hint : str
        The nearest allowed spelling, or empty.
    """

    code: str
    file: str
    line: int = 0
    column: int = 0
    path: str = ""
    found: str = ""
    allowed: str = ""
    hint: str = ""

    @property
    def is_warning(self) -> bool:
        """Whether the scenario can run nevertheless."""
        return self.code.startswith("W")

    def render(self) -> str:
        """Return ``FILE:LINE:COL: CODE: path: found; allowed; did you mean 'x'?`` on one line.

        Examples
        --------
        >>> Problem("E201", "a.yaml", 3, 5, "run.sed", "unknown key 'sed'", "seed, retry", "seed").render()
        "a.yaml:3:5: E201: run.sed: unknown key 'sed'; allowed: seed, retry; did you mean 'seed'?"
        """
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        parts = [self.found]
        if self.allowed:
            parts.append(f"allowed: {self.allowed.removeprefix('allowed: ')}")
        if self.hint:
            parts.append(f"did you mean '{self.hint}'?")
        path = f"{self.path}: " if self.path else ""
        text = f"{where}: {self.code}: {path}{'; '.join(parts)}"
        return "".join(c if c.isprintable() else " " for c in text)

    def __str__(self) -> str:
        return self.render()

    def to_json(self) -> dict[str, Any]:
        """Return the problem as plain data for ``--json``."""
        return {
            "code": self.code,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "path": self.path,
            "found": self.found,
            "allowed": self.allowed,
            "hint": self.hint,
            "text": self.render(),
        }


class Problems(Exception):  # noqa: N818 - a fixed name; it reads as what it carries
    """A scenario that cannot be used, with every problem found, in file order."""

    def __init__(self, problems: Iterable[Problem], main_file: str = "") -> None:
        self.problems: list[Problem] = sort_problems(problems, main_file)
        super().__init__("\n".join(p.render() for p in self.problems))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the problems, so the exception crosses process borders."""
        return (type(self), (self.problems,))


def sort_problems(problems: Iterable[Problem], main_file: str = "") -> list[Problem]:
    """Return the problems without repeats: the main file first, then by file, line, column and code."""
    unique = dict.fromkeys(problems)
    return sorted(unique, key=lambda p: (p.file != main_file, p.file, p.line, p.column, p.code, p.path))


def limited(problems: Sequence[Problem], file: str, total: int = 0) -> list[Problem]:
    """Return the first :data:`MAX_PROBLEMS` problems, and E116 if there are more.

    Parameters
    ----------
    problems : sequence of Problem
        In the order of the files.
    file : str
        The main file.
    total : int
        How many there are, if ``problems`` is only the begin.
    """
    notes = [p for p in problems if p.code == "E116"][:1]
    others = [p for p in problems if p.code != "E116"]
    if max(total, len(others)) > MAX_PROBLEMS and not notes:
        found = f"more than {MAX_PROBLEMS} problems, the others are not listed"
        notes = [Problem("E116", file, found=found, allowed="mend the listed ones first")]
    return [*others[:MAX_PROBLEMS], *notes]


def nearest(word: str, candidates: Iterable[str], cutoff: float = 0.6) -> str:
    """Return the candidate that is most like the word, or an empty string.

    Examples
    --------
    >>> nearest("arivals", ["arrivals", "assets"])
    'arrivals'
    >>> nearest("zzz", ["arrivals"])
    ''
    """
    names = [c for c in candidates if c]
    if len(word) > 100:  # nobody's typo; difflib is quadratic
        return ""
    folded = {n.lower().replace("-", "_").replace(" ", "_"): n for n in reversed(names)}
    key = word.lower().replace("-", "_").replace(" ", "_")
    if key in folded:
        return folded[key] if folded[key] != word else ""
    if len(names) > 500:  # keep the look-up quick in large networks: same first letter only
        folded = {k: n for k, n in folded.items() if k[:1] == key[:1]}
    close = difflib.get_close_matches(key, list(folded)[:5000], n=3, cutoff=cutoff)
    swapped = [c for c in close if sorted(c) == sorted(key)]  # the same letters in another order come first
    return folded[(swapped or close)[0]] if close else ""


def shorten(value: object, limit: int = 60) -> str:
    """Return a value as a short text for messages: YAML words, not Python ones.

    Examples
    --------
    >>> shorten(True), shorten(None), shorten({"a": 1, "b": 2}), shorten("x" * 100, 12)
    ('true', 'nothing', 'a mapping (a, b)', "'xxxxxxxx...'")
    """
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case Mapping():
            keys = ", ".join(str(k) for k in list(value)[:4])
            more = ", ..." if len(value) > 4 else ""
            text = f"a mapping ({keys}{more})" if value else "an empty mapping"
            return text if len(text) <= limit else text[: limit - 4] + "...)"
        case list() | tuple():
            return f"a list of {len(value)}" if value else "an empty list"
        case str():
            return f"'{value}'" if len(value) <= limit - 2 else f"'{value[: limit - 4]}...'"
        case int() if abs(value) >= 10**18:  # str() of a huge int is slow and refused by Python
            return f"a whole number of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


class CodeInfo(NamedTuple):
    """What a code means and how to mend it."""

    title: str
    explanation: str
    remedy: str


_FILE: Final = {
    "E101": CodeInfo(
        "file cannot be read",
        "No file of this name exists, it is a folder, or it may not be read.",
        "Check the path. A name without slash and `.yaml` is looked up in the library (`dssn list`).",
    ),
    "E102": CodeInfo(
        "not a text file",
        "The file is not UTF-8 text: it holds bytes or control characters that YAML does not allow.",
        "Save the scenario as UTF-8. A trace or a graph is named in a scenario; it is none itself.",
    ),
    "E103": CodeInfo(
        "file too large",
        "The file has more bytes or more values than a scenario may have.",
        "Use `generate:` entries for many like nodes or assets, and a trace file for many orders.",
    ),
    "E104": CodeInfo(
        "YAML syntax",
        "The text is not YAML 1.2. The position is where the reader gave up; the cause is there or before.",
        "Look for a missing colon, quote or bracket, a tab as indentation, or lines that do not line up.",
    ),
    "E105": CodeInfo(
        "duplicate key",
        "One mapping names the same key twice; one of the two values would be lost silently.",
        "Keep one of them.",
    ),
    "E106": CodeInfo(
        "nested too deep",
        "Lists and mappings stand more levels inside one another than any scenario needs.",
        "Check the indentation or the brackets.",
    ),
    "E107": CodeInfo(
        "alias grows without bound",
        "Anchors and aliases (`&a`, `*a`) expand to too many values, or an alias contains itself.",
        "Write the values out, or use `generate:` entries.",
    ),
    "E108": CodeInfo(
        "tag refused",
        "A YAML tag (`!name`) asks for a special type. Scenarios hold plain data only.",
        "Remove the tag.",
    ),
    "E109": CodeInfo(
        "no scenario in the file",
        "The file is empty, its top level is not a mapping, or it holds more than one document.",
        "Start from `dssn show metro`.",
    ),
    "E110": CodeInfo(
        "import not found",
        "An imported file exists neither beside the importing file nor in the library.",
        "Imports resolve relative to the file that names them, then in the library.",
    ),
    "E111": CodeInfo(
        "import cycle",
        "A file imports itself, directly or through others.",
        "Move what both need into a third file.",
    ),
    "E112": CodeInfo(
        "too many imports",
        "Imports are nested too deep, or too many files are imported.",
        "Join small presets into one.",
    ),
    "E113": CodeInfo(
        "unknown scenario",
        "The library has no scenario of this name.",
        "`dssn list` shows the names. For a file of your own give its path, with `.yaml`.",
    ),
    "E114": CodeInfo(
        "key is not a word",
        "A list or a mapping stands where the name of a key is due.",
        "Quote the key, or check the brackets: `{a}` is a mapping, `'{a}'` is text.",
    ),
    "E115": CodeInfo(
        "import is not a name",
        "`import` takes one file name or a list of file names.",
        "Write `import: [presets/base.yaml]`.",
    ),
    "E116": CodeInfo(
        "too many problems",
        "Only the first few hundred problems are listed; there are more.",
        "Mend the listed ones; most of the others will have the same cause.",
    ),
    "E199": CodeInfo(
        "internal error",
        "The checker itself failed on this input. That is a fault of the testbed, not of the scenario.",
        "Please report it with the scenario. `DSSN_RAISE=1` shows the place.",
    ),
}

_SCHEMA: Final = {
    "E201": CodeInfo(
        "unknown key",
        "The section has no such key; a misspelt key would otherwise be ignored silently.",
        "Take the suggestion, or see the keys of the section in the scenario reference.",
    ),
    "E202": CodeInfo(
        "missing key", "A key without a default is not given.", "Add the key; the position is the section's."
    ),
    "E203": CodeInfo(
        "wrong type",
        "A text, number, list or mapping stands where another is due.",
        "See the scenario reference for the form of the value.",
    ),
    "E204": CodeInfo(
        "unit missing",
        "A bare number stands where a quantity with a unit is due. There are no default units.",
        "Write the unit after a blank: `10 Gbit/s`, `5 ms`, `200 GB`, `60 /h`, `95 %`.",
    ),
    "E205": CodeInfo(
        "not a quantity",
        "The text is not a number with a unit of this kind, or the unit is not known.",
        "Units are case-sensitive: `Mbit/s`, `MB`, `ms`.",
    ),
    "E206": CodeInfo(
        "out of range",
        "The value is below the least or above the greatest allowed one.",
        "Take a value in the range.",
    ),
    "E207": CodeInfo(
        "not one of the choices",
        "The value is none of a fixed set of words.",
        "Take one of the listed words.",
    ),
    "E208": CodeInfo(
        "badly formed text",
        "The text does not have the form of an id, a size or a date.",
        "Ids start with a letter and hold letters, digits, `_` and `-`.",
    ),
    "E209": CodeInfo(
        "wrong number of items",
        "A list or text has too few or too many items.",
        "Give as many as the message allows.",
    ),
    "E210": CodeInfo(
        "value refused",
        "The value has the right type but does not make sense by itself or with its neighbours.",
        "The message says what is allowed.",
    ),
}

_OVERRIDE: Final = {
    "E401": CodeInfo(
        "unknown override",
        "The scenario has no override of this name.",
        "The names stand under `overrides:` in the file; `dssn show NAME` lists them.",
    ),
    "E402": CodeInfo(
        "bad path",
        "A `--set` has no `=`, an empty path, or its path goes through a value that has no parts.",
        "Write `--set run.seed=7` or `--set workload.psi.arrivals.rate='200 /h'`.",
    ),
    "E403": CodeInfo(
        "bad value",
        "The value of a `--set` is missing or not one YAML value.",
        "Quote it for the shell: `--set 'a.b={x: 1}'`. `--set a.b=null` deletes the key.",
    ),
    "E404": CodeInfo(
        "no such item",
        "An override or `--set` names an item that the list does not have.",
        "Take one of the ids. To add an item, write a list: `workload: [{id: new, ...}]`.",
    ),
    "E405": CodeInfo(
        "override is not a mapping",
        "`overrides:` maps names to fragments; a fragment is a mapping with the same sections as the file.",
        "Write `overrides: {busy: {run: {seed: 2}}}`.",
    ),
}

_SEMANTIC: Final = {code: CodeInfo(*row) for code, row in SEMANTIC.items()}

#: Every code a problem can carry.
CODES: Final[Mapping[str, CodeInfo]] = {**_FILE, **_SCHEMA, **_SEMANTIC, **_OVERRIDE}

_RANGES: Final = (
    ("E1", "Files and YAML"),
    ("E2", "Keys and values"),
    ("E3", "Names and sense"),
    ("E4", "Overrides and --set"),
    ("W", "Warnings"),
)


def errors_markdown() -> str:
    """Return the page ``docs/errors.md``."""
    lines = [
        "# Error codes",
        "",
        "`dssn check FILE` prints every problem at once, in file order, and exits with 3:",
        "",
        "    FILE:LINE:COL: CODE: path: what was found; allowed: what is allowed; did you mean 'x'?",
        "",
        "Lines and columns count from 1. A value given with `--set` shows that option in place of the file.",
        "A faulty value does not stop the check of the rest: something near stands in for it, and of the other",
        "problems those are told that hold whatever becomes of it.",
        "This page is written from the table in `dssn.problems`; a test holds the two together.",
        "",
    ]
    for prefix, title in _RANGES:
        codes = sorted(c for c in CODES if c.startswith(prefix))
        if not codes:
            continue
        lines += [f"## {title}", ""]
        for code in codes:
            info = CODES[code]
            lines += [f"### {code} {info.title}", "", info.explanation, "", f"*Remedy:* {info.remedy}", ""]
    return "\n".join(lines).rstrip() + "\n"
