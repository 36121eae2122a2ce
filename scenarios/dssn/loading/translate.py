"""Errors of the schema in the words and places of the file; pydantic's own text is never shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any, Final

from pydantic import ValidationError

from dssn.loading.tree import Mark, Position, resolve_scalar
from dssn.problems import MAX_PROBLEMS, Problem, limited, nearest, shorten
from dssn.schema import json_schema
from dssn_models.units import KINDS, UnitError

__all__ = ["Fault", "Places", "describe", "faults_of", "problems_of", "schema_at", "variants"]

Location = tuple[str | int, ...]


@dataclass(frozen=True)
class Places:
    """Turns locations of a document into file, line, column and path.

    Attributes
    ----------
    document : dict
        The merged plain document.
    positions : Mapping[Location, Position]
        Where each value of it was written.
    file : str
        The main file, for what has no place of its own.
    """

    document: dict[str, Any]
    positions: Mapping[Location, Position]
    file: str

    def real(self, loc: Iterable[str | int]) -> Location:
        """Return the part of a pydantic location that is in the document, tags of unions left out."""
        here: Any = self.document
        out: list[str | int] = []
        for part in loc:
            inside = part in here if isinstance(here, dict) else _has_item(here, part)
            if inside:
                here = here[part]
            else:
                continue
            out.append(part)
        return tuple(out)

    def value(self, loc: Location) -> Any:
        """Return the value at a location of the document."""
        here: Any = self.document
        for part in loc:
            here = here[part]
        return here

    def path(self, loc: Location) -> str:
        """Return the dotted path that people and ``--set`` use, with ids for list items."""
        here: Any = self.document
        out = ""
        for part in loc:
            try:
                item = here[part]
            except (KeyError, IndexError, TypeError):
                return _joined(out, part)
            if isinstance(here, list):
                name = item.get("id") if isinstance(item, dict) else None
                if name is None and isinstance(item, dict) and isinstance(item.get("generate"), dict):
                    name = item["generate"].get("prefix")
                out = _joined(out, part if name is None or isinstance(name, list | dict) else name)
            else:
                out = _joined(out, part)
            here = item
        return out

    def mark(self, loc: Location, *, key: bool = False) -> Mark:
        """Return where the value (or its key) at the location stands, or the nearest thing around it."""
        for n in range(len(loc), -1, -1):
            position = self.positions.get(loc[:n])
            if position is not None:
                return position.key if key and n else position.value
        return Mark(self.file)

    def with_path(self, problem: Problem) -> Problem:
        """Return a problem that knows only its line with the path of what stands there."""
        if problem.path or not problem.line:
            return problem
        mark = Mark(problem.file, problem.line, problem.column)
        for loc, position in self.positions.items():
            if loc and mark in position:
                return replace(problem, path=self.path(loc))
        return problem

    def problem(
        self,
        code: str,
        loc: Iterable[str | int],
        found: str,
        allowed: str = "",
        hint: str = "",
        *,
        key: bool = False,
    ) -> Problem:
        """Return a problem at a location."""
        at = self.real(loc)
        mark = self.mark(at, key=key)
        return Problem(code, mark.file, mark.line, mark.column, self.path(at), found, allowed, hint)


def _joined(path: str, part: Any) -> str:
    """Return the path with one more part; a part longer than any sensible name is cut."""
    text = str(part)
    text = text if len(text) <= 60 else f"{text[:57]}..."
    return f"{path}.{text}" if path else text


def _has_item(here: Any, part: str | int) -> bool:
    return isinstance(here, list) and isinstance(part, int) and 0 <= part < len(here)


# ------------------------------------------------------------------ what the schema allows


@lru_cache(maxsize=1)
def _schema() -> dict[str, Any]:
    return json_schema()


def variants(schema: Mapping[str, Any], value: Any) -> list[Mapping[str, Any]]:
    """Return the variants of a schema that can fit the value, references followed."""
    if "$ref" in schema:
        return variants(_schema()["$defs"][schema["$ref"].rsplit("/", 1)[-1]], value)
    if "discriminator" in schema and isinstance(value, dict):
        tag = value.get(schema["discriminator"].get("propertyName"))
        mapping = schema["discriminator"].get("mapping", {})
        if isinstance(tag, str) and tag in mapping:
            return variants({"$ref": mapping[tag]}, value)
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return [found for part in schema[word] for found in variants(part, value)]
    return [schema]


def schema_at(document: Any, loc: Location) -> list[Mapping[str, Any]]:
    """Return the alternatives of the JSON schema for the value at a location of the document."""
    here: Any = document
    found = variants(_schema(), here)
    for part in loc:
        below: Any = None
        if isinstance(here, dict):
            below = here.get(part)
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            below = here[part]
        nexts: list[Mapping[str, Any]] = []
        for schema in found:
            sub = schema.get("properties", {}).get(part)
            if (
                sub is None
                and isinstance(here, dict)
                and isinstance(schema.get("additionalProperties"), dict)
            ):
                sub = schema["additionalProperties"]
            if sub is None and isinstance(here, list) and isinstance(schema.get("items"), dict):
                sub = schema["items"]
            if isinstance(sub, dict):
                nexts += variants(sub, below)
        found, here = nexts, below
    if isinstance(here, dict) and len(found) > 1:
        found = _fitting(found, here)
    return found


def _fitting(found: list[Mapping[str, Any]], value: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the alternatives that have most keys of the value (one node or a group of nodes?)."""

    def score(schema: Mapping[str, Any]) -> int:
        return sum(key in schema.get("properties", {}) for key in value)

    best = max(score(schema) for schema in found)
    return [schema for schema in found if score(schema) == best]


def allowed_keys(document: Any, loc: Location) -> list[str]:
    """Return the keys that the mapping at the location may have."""
    keys: dict[str, None] = {}
    for schema in schema_at(document, loc):
        keys.update(dict.fromkeys(schema.get("properties", {})))
    return [k for k in keys if k not in ("import", "overrides", "emulation")] if not loc else list(keys)


_TYPES: Final = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}


def describe(schemas: Sequence[Mapping[str, Any]]) -> str:
    """Return what the alternatives of a schema allow, as a part of a sentence."""
    parts: dict[str, None] = {}
    for schema in schemas:
        if kind := schema.get("x-unit"):
            parts[f"a {kind} such as '{KINDS[kind].example}'"] = None
        elif "enum" in schema:
            parts[", ".join(str(e) for e in schema["enum"])] = None
        elif "const" in schema:
            parts[str(schema["const"])] = None
        elif schema.get("type") == "object" and len(schema.get("properties", {})) == 1:
            parts[f"{{{next(iter(schema['properties']))}: ...}}"] = None
        elif isinstance(schema.get("type"), str) and schema["type"] != "null":
            parts[_TYPES[schema["type"]]] = None
    words = list(parts)
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else "".join(words)


# ------------------------------------------------------------------ pydantic's errors

_Error = Mapping[str, Any]
_Part = tuple[str, str, str, str]  # code, found, allowed, hint


def _plural(n: int, what: str = "item") -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _range(sign: str, key: str) -> Callable[[_Error], _Part]:
    def part(e: _Error) -> _Part:
        return "E206", f"{shorten(e['input'])} is out of range", f"{sign} {e['ctx'][key]:g}", ""

    return part


def _type(allowed: str) -> Callable[[_Error], _Part]:
    def part(e: _Error) -> _Part:
        return "E203", f"found {shorten(e['input'])}", allowed, ""

    return part


def _length(word: str, key: str) -> Callable[[_Error], _Part]:
    def part(e: _Error) -> _Part:
        value = e["input"]
        what = "character" if isinstance(value, str) else "item"
        size = len(value) if hasattr(value, "__len__") else e["ctx"].get("actual_length", 0)
        return "E209", _plural(size or 0, what), f"{word} {_plural(e['ctx'][key], what)}", ""

    return part


def _literal(e: _Error) -> _Part:
    names = re.findall(r"'([^']*)'", e["ctx"]["expected"]) or [e["ctx"]["expected"]]
    value = e["input"]
    hint = nearest(value, names) if isinstance(value, str) else ""
    return "E207", f"{shorten(value)} is not one of the choices", ", ".join(names), hint


def _tag(e: _Error) -> _Part:
    names = re.findall(r"'([^']*)'", e["ctx"]["expected_tags"])
    tag = e["ctx"]["tag"]
    return "E207", f"{shorten(tag)} is not one of the choices", ", ".join(names), nearest(tag, names)


def _no_tag(e: _Error) -> _Part:
    key = str(e["ctx"]["discriminator"]).strip("'")
    if isinstance(e["input"], dict):
        return "E202", f"key '{key}' is missing", f"a mapping with '{key}'", ""
    return "E203", f"found {shorten(e['input'])}", f"a mapping with '{key}'", ""


def _own(e: _Error) -> _Part:
    ctx = e["ctx"]
    code, found, hint = ctx["code"], ctx["found"], ctx["hint"]
    if code == "E205" and found.endswith(("is negative", "is too large")):
        code = "E206"
    value = e["input"]
    if isinstance(value, bool) or value is None:  # YAML's words, not Python's
        found = found.replace(repr(value), shorten(value))
    if code == "E204":
        hint = _with_unit(e["input"], found) or hint
    return code, found, ctx["allowed"], hint


#: The unit that a bare number most likely lacks.
_LIKELY: Final = {
    "duration": "s",
    "length": "km",
    "frequency": "/h",
    "size": "MB",
    "rate": "Mbit/s",
    "work": "core-s",
}


def _with_unit(value: Any, found: str) -> str:
    """Return the bare number with the unit it most likely lacks; a share below 1 becomes per cent."""
    kind = next((k for k in KINDS if f"where a {k} is due" in found), "")
    number = resolve_scalar(value.strip()) if isinstance(value, str) and value.strip() else value
    if isinstance(number, bool) or not isinstance(number, int | float) or abs(number) > 1e12:
        return ""
    if kind == "share":
        return f"{number * 100 if 0 <= number <= 1 else number:g} %"
    return f"{value} {_LIKELY[kind]}" if kind in _LIKELY else ""


def _raised(e: _Error) -> _Part:
    err = e.get("ctx", {}).get("error")
    if isinstance(err, UnitError):
        bare = "bare number" in err.found
        return "E204" if bare else "E205", err.found, err.allowed, err.hint or ""
    return "E210", f"{shorten(e['input'])}: {shorten(str(err), 200)[1:-1]}", "", ""


def _pattern(e: _Error) -> _Part:
    return "E208", f"{shorten(e['input'])} has not the right form", "", ""


_LIST_TYPES: Final = ("list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type", "deque_type")
_MAPPING_TYPES: Final = (
    "dict_type",
    "mapping_type",
    "model_type",
    "model_attributes_type",
    "dataclass_type",
    "frozen_dict_type",
)
_INT: Final = _type("a whole number")
_NUMBER: Final = _type("a number")
_FLAG: Final = _type("true or false")
_TEXT: Final = _type("text")

_PARTS: Final[dict[str, Callable[[_Error], _Part]]] = {
    "dssn": _own,
    "value_error": _raised,
    "assertion_error": _raised,
    **dict.fromkeys(("literal_error", "enum"), _literal),
    "union_tag_invalid": _tag,
    "union_tag_not_found": _no_tag,
    "greater_than": _range("more than", "gt"),
    "greater_than_equal": _range("at least", "ge"),
    "less_than": _range("less than", "lt"),
    "less_than_equal": _range("at most", "le"),
    "multiple_of": _range("a multiple of", "multiple_of"),
    "finite_number": lambda e: ("E206", f"{shorten(e['input'])} is not finite", "finite numbers", ""),
    "int_parsing_size": lambda e: ("E206", f"{shorten(e['input'])} is too large", "at most 15 digits", ""),
    "too_short": _length("at least", "min_length"),
    "too_long": _length("at most", "max_length"),
    "string_too_short": _length("at least", "min_length"),
    "string_too_long": _length("at most", "max_length"),
    "string_pattern_mismatch": _pattern,
    **dict.fromkeys(("string_type", "string_unicode", "string_not_ascii", "bytes_type"), _TEXT),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), _INT),
    **dict.fromkeys(("float_type", "float_parsing", "decimal_type", "decimal_parsing"), _NUMBER),
    **dict.fromkeys(("bool_type", "bool_parsing"), _FLAG),
    **dict.fromkeys(_LIST_TYPES, _type("a list")),
    **dict.fromkeys(_MAPPING_TYPES, _type("a mapping")),
    "none_required": _type("nothing"),
    "invalid_key": lambda e: ("E114", f"{shorten(e['input'])} as a key", "a word as a key", ""),
    "recursion_loop": lambda e: ("E107", "a value that contains itself", "finite values", ""),
}  # fmt: skip


def _fallback(e: _Error) -> _Part:
    """Return the part of an error type that has no words of its own."""
    return "E210", f"{shorten(e['input'])} is refused ({e['type'].replace('_', ' ')})", "", ""


@dataclass(frozen=True, slots=True)
class Fault:
    """An error of the schema at a location of the document.

    Attributes
    ----------
    key : bool
        It is the key that is wrong, not its value.
    lacks : str
        The key that is missing at the location, or empty.
    bounds : Mapping
        Limits that the value breaks, by pydantic's names (``ge``, ``lt``, ...).
    """

    code: str
    loc: Location
    found: str
    allowed: str
    hint: str
    key: bool = False
    lacks: str = ""
    bounds: Mapping[str, Any] = field(default_factory=dict)

    def at(self, places: Places, loc: Location) -> Problem:
        """Return the problem at a location of another state of the document."""
        return places.problem(self.code, loc, self.found, self.allowed, self.hint, key=self.key)


def _unknown_key(places: Places, e: _Error) -> Fault:
    loc = places.real(e["loc"])
    key = str(loc[-1]) if loc else ""
    keys = allowed_keys(places.document, loc[:-1])
    found = f"unknown key {shorten(key)}"
    return Fault("E201", loc, found, ", ".join(keys) or "no keys", nearest(key, keys), key=True)


def _missing_key(places: Places, e: _Error) -> Fault:
    parent = places.real(e["loc"][:-1])
    key = str(e["loc"][-1])
    allowed = describe(schema_at(places.document, (*parent, key)))
    return Fault("E202", parent, f"key '{key}' is missing", allowed, "", key=True, lacks=key)


def _fault(places: Places, e: _Error) -> Fault:
    if e["type"] == "extra_forbidden":
        return _unknown_key(places, e)
    if e["type"] == "missing":
        return _missing_key(places, e)
    code, found, allowed, hint = _PARTS.get(e["type"], _fallback)(e)
    loc = places.real(e["loc"])
    lacks = ""
    if e["type"] == "union_tag_invalid":
        loc = places.real((*loc, str(e["ctx"]["discriminator"]).strip("'")))
    if e["type"] == "union_tag_not_found" and code == "E202":
        lacks = str(e["ctx"]["discriminator"]).strip("'")
    at_key = code in ("E201", "E202", "E114") or (bool(e["loc"]) and e["loc"][-1] == "[key]")
    if (
        e["type"] not in ("dssn", "missing")
        and code in ("E203", "E208", "E210")
        and not allowed.startswith("a mapping with")
    ):
        fitting = describe(schema_at(places.document, loc))
        allowed = (fitting if not at_key else "") or allowed or "see the scenario reference"
    if e["type"] == "string_pattern_mismatch":
        allowed = "letters, digits, blanks and . _ - @ ( ) ' + :, beginning with a letter or digit; no comma"
    bounds = e.get("ctx", {}) if code == "E206" else {}
    return Fault(code, loc, found, allowed, hint, at_key, lacks, bounds)


def faults_of(err: ValidationError, places: Places) -> list[Fault]:
    """Return the first errors of the schema, without what follows from another of them.

    Where a value fits none of several alternatives, pydantic reports each; only the alternative that came
    nearest is kept. It also counts only the sound items of a list, and misses a key that is there misspelt.
    """
    return _faults(_own_errors(err, places), places)


def problems_of(err: ValidationError, places: Places) -> list[Problem]:
    """Return the problems of a ValidationError at their places in the files."""
    errors = _own_errors(err, places)
    faults = _faults(errors, places)
    total = len(errors) if len(errors) > MAX_PROBLEMS else len(faults)
    return limited([f.at(places, f.loc) for f in faults], places.file, total)


def _own_errors(err: ValidationError, places: Places) -> list[_Error]:
    errors = _nearest_alternatives(err.errors(include_url=False), places)
    return [e for e in errors if e["type"] != "too_short" or len(e["input"]) < e["ctx"]["min_length"]]


def _faults(errors: Sequence[_Error], places: Places) -> list[Fault]:
    faults = [_fault(places, e) for e in errors[:MAX_PROBLEMS]]
    misspelt = {(f.loc[:-1], f.hint) for f in faults if f.code == "E201" and f.hint}
    return [f for f in faults if not (f.lacks and (f.loc, f.lacks) in misspelt)]


def _nearest_alternatives(errors: Sequence[Any], places: Places) -> list[_Error]:
    groups: dict[Location, dict[str | int, list[_Error]]] = {}
    out: list[_Error] = []
    for e in errors:
        real = places.real(e["loc"])
        branch = next((i for i, part in enumerate(e["loc"]) if i >= len(real) or part != real[i]), None)
        if branch is None or e["type"] in ("missing", "dssn") or e["loc"][branch] == "[key]":
            out.append(e)
        else:
            groups.setdefault(tuple(e["loc"][:branch]), {}).setdefault(e["loc"][branch], []).append(e)
    for at, branches in groups.items():
        ranked = sorted(branches.values(), key=partial(_misfit, places, at))
        out += ranked[0]
    return out


def _misfit(places: Places, at: Location, found: Sequence[_Error]) -> tuple[bool, int]:
    """Return how badly an alternative fits: a wrong type first, then the number of errors."""
    return any(places.real(e["loc"]) == at and e["type"].endswith("_type") for e in found), len(found)
