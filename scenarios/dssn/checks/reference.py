"""The scenario reference and the page of error codes, rendered from the code.

``python -m dssn.checks.reference docs`` writes ``docs/scenario.md`` and ``docs/errors.md``; a test holds
that the files are current.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from dssn.loading import document, merge
from dssn.problems import errors_markdown
from dssn.schema import Scenario, json_schema
from dssn.schema.quantities import DISTRIBUTIONS
from dssn_models.units import KINDS

__all__ = ["PAGES", "scenario_markdown", "write_pages"]

_HEAD: Final = """\
# The scenario file

One YAML 1.2 file describes a network, who owns which data, who orders what and when, what breaks, and
which question the run shall answer. Start from a shipped one: `dssn list`, `dssn show metro`.
`dssn check FILE` prints every problem at once ([error codes](errors.md)).

This page is rendered from the models in `dssn.schema`; a test holds the two together.

## Help in the editor

`dssn schema > dssn-scenario.json` writes the JSON schema. Editors with the YAML language server complete
keys and show these texts when the first line of a file is

    # yaml-language-server: $schema=dssn-scenario.json

## Words and numbers

Plain words follow YAML 1.2: `no` and `on` are text, `true` and `false` are not. Digits may be grouped:
`2_000_000`. Tags (`!name`) are refused, anchors and aliases work, `.nan` and `.inf` are errors.
"""

_UNITS_HEAD: Final = """\
## Quantities

A quantity is a number and a unit with a blank between: `10 Gbit/s`. A bare number where a unit is due is an
error, and so is a unit where a plain number is due. Units are case-sensitive.

| kind | units | example |
|---|---|---|"""

_RANDOM_HEAD: Final = """\
## Random quantities

Where a table says *or random*, a distribution may stand in place of the value, as in
`rows: {lognormal: {median: 100000, sigma: 0.8, max: 2000000}}`. Each takes `min` and `max`, at which draws
are clipped. `quantiles` takes levels: `{quantiles: {1 %: 2 ms, 50 %: 5 ms, 99 %: 40 ms}}`.

| distribution | parameters |
|---|---|"""


def _plain(text: str) -> str:
    """Return a docstring's text for a table cell of Markdown."""
    return " ".join(text.replace("``", "`").replace("|", "\\|").split())


def _description(root: Mapping[str, Any], part: Mapping[str, Any]) -> str:
    """Return a field's docstring, or that of the model it holds."""
    if "description" not in part and "$ref" in part:
        part = root["$defs"][part["$ref"].rsplit("/", 1)[-1]]
    return str(part.get("description", ""))


def _is_random(schema: Mapping[str, Any]) -> bool:
    return any("lognormal" in part.get("properties", {}) for part in schema.get("anyOf", ()))


def _alternatives(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    parts = schema.get("oneOf") or schema.get("anyOf") or ()
    return [part for part in parts if part.get("type") != "null"]


def _type(schema: Mapping[str, Any]) -> str:
    """Return what a value may be, as Markdown."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if kind := schema.get("x-unit"):
        return f"{kind}"
    if _is_random(schema):
        return f"{_type(schema['anyOf'][0])} or random"
    if parts := _alternatives(schema):
        return " or ".join(dict.fromkeys(_type(part) for part in parts))
    if "enum" in schema:
        return ", ".join(f"`{e}`" for e in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    match schema.get("type"):
        case "array":
            items = schema.get("items") or (schema.get("prefixItems") or [{}])[0]
            return f"list of {_type(items)}"
        case "object":
            named = list(schema.get("patternProperties", {}).values())
            below = named[0] if named else schema.get("additionalProperties")
            return f"name → {_type(below)}" if isinstance(below, dict) else "mapping"
        case "integer" | "number" as word:
            return ("whole number" if word == "integer" else "number") + _range(schema)
        case "boolean":
            return "`true`, `false`"
        case "string":
            return "text"
    return "any"


def _range(schema: Mapping[str, Any]) -> str:
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    words = [
        f"{sign} {bound:g}"
        for sign, bound in (("≥", low), (">", above), ("≤", high), ("<", below))
        if bound is not None and abs(bound) < 1e15
    ]
    return f" {', '.join(words)}" if words else ""


def _default(name: str, schema: Mapping[str, Any], required: list[str]) -> str:
    if name in required:
        return "**required**"
    value = schema.get("default")
    if value is None or value in ("", [], {}):
        return "–"
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | bool) else str(value)
    return f"`{text}`" if len(text) <= 60 else "see the section"


def _table(root: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    required = schema.get("required", [])
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    for name, part in schema.get("properties", {}).items():
        meaning = _plain(_description(root, part))
        yield f"| `{name}` | {_type(part)} | {_default(name, part, required)} | {meaning} |"
    yield ""


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        if "$ref" in schema:
            yield schema["$ref"].rsplit("/", 1)[-1]
        for key, part in schema.items():
            if key not in ("discriminator", "$defs"):
                yield from _references(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _references(part)


def _models(root: Mapping[str, Any], part: Mapping[str, Any], seen: dict[str, None]) -> None:
    """Note the models below a part of the schema, in the order in which a reader meets them."""
    for name in _references(part):
        if name not in seen:
            seen[name] = None
            _models(root, root["$defs"][name], seen)


def _model(root: Mapping[str, Any], name: str) -> Iterator[str]:
    schema = root["$defs"][name]
    yield f"### {name}"
    yield ""
    yield _plain(schema.get("description", ""))
    yield ""
    if schema.get("properties"):
        yield from _table(root, schema)


def scenario_markdown() -> str:
    """Return the page ``docs/scenario.md``."""
    root = dict(json_schema())
    root["required"] = [f.alias or name for name, f in Scenario.model_fields.items() if f.is_required()]
    merging = "\n\n".join(
        text.replace("``", "`").replace(":mod:`dssn.loading.merge`", "the next section")
        for module in (document, merge)
        for text in [(module.__doc__ or "").split("\n\n", 1)[1].strip()]
    )
    lines = [_HEAD, "## Imports, overrides, --set", "", merging, "", _UNITS_HEAD]
    lines += [
        f"| {k.name} | {', '.join(f'`{u}`' for u in k.factors)} | `{k.example}` |" for k in KINDS.values()
    ]
    lines += ["", _RANDOM_HEAD]
    lines += [f"| `{n}` | {', '.join(f'`{p}`' for p in ps) or 'levels'} |" for n, ps in DISTRIBUTIONS.items()]
    lines += ["", "## Sections of the file", "", _plain(root.get("description", "")), ""]
    lines += list(_table(root, root))
    seen: dict[str, None] = {}
    for name, part in root["properties"].items():
        before = len(seen)
        _models(root, part, seen)
        added = list(seen)[before:]
        if added:
            lines += [f"## {name}", "", _plain(_description(root, part)), ""]
            for model in added:
                lines += list(_model(root, model))
    return "\n".join(lines).rstrip() + "\n"


#: File below ``docs/`` to what renders it.
PAGES: Final = {"scenario.md": scenario_markdown, "errors.md": errors_markdown}


def write_pages(folder: Path) -> list[Path]:
    """Write the pages into a folder and return their paths."""
    paths = []
    for name, render in PAGES.items():
        path = folder / name
        path.write_text(render(), encoding="utf-8")
        paths.append(path)
    return paths


if __name__ == "__main__":
    for written in write_pages(Path(sys.argv[1] if len(sys.argv) > 1 else "docs")):
        sys.stdout.write(f"{written}\n")
