"""Values that the schema allows, to stand in for missing and faulty ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dssn.loading.translate import variants

__all__ = ["samples"]

Schema = Mapping[str, Any]


def samples(schemas: Sequence[Schema], name: str) -> Iterator[Any]:
    """Yield a value for each variant of a schema; first the default, which changes least.

    Parameters
    ----------
    schemas : sequence of Mapping
        Variants, as :func:`dssn.loading.translate.schema_at` returns them.
    name : str
        Stands for every free text, so that no two things get one name by accident.

    Examples
    --------
    >>> list(samples([{"type": "integer", "minimum": 3}, {"enum": ["a", "b"]}, {"type": "null"}], "x"))
    [3, 'a']
    """
    parts = [part for schema in schemas for part in variants(schema, None)]
    yield from (part["default"] for part in parts if part.get("default") is not None)
    yield from (_sample(part, name) for part in parts if part.get("type") != "null")


def _sample(schema: Schema, name: str) -> Any:
    if "const" in schema:
        return schema["const"]
    for word in ("enum", "examples"):
        if word in schema:
            return schema[word][0]
    match schema.get("type"):
        case "object":
            return _mapping(schema, name)
        case "array":
            parts = schema.get("prefixItems") or [schema.get("items", {})] * max(schema.get("minItems", 0), 1)
            return [next(samples([part], f"{name} {i}"), name) for i, part in enumerate(parts)]
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return False
        case "null":
            return None
    return name


def _mapping(schema: Schema, name: str) -> dict[str, Any]:
    inner = schema.get("properties", {})
    made = {key: next(samples([inner[key]], name), name) for key in schema.get("required", ())}
    free = schema.get("additionalProperties")
    if not made and isinstance(free, dict):
        key = schema.get("propertyNames", {}).get("enum", [name])[0]
        made[key] = next(samples([free], name), name)
    return made


def _number(schema: Schema) -> float:
    """Return 1, or the nearest number in the range."""
    low, high = schema.get("minimum", 1), schema.get("maximum", 1)
    if "exclusiveMaximum" in schema:
        high = min(high, schema["exclusiveMaximum"] / 2)
    if "exclusiveMinimum" in schema:
        low = max(low, schema["exclusiveMinimum"] + 1)
    return low if low > 1 else min(high, 1)  # type: ignore[no-any-return]
