"""What every model of the language shares: strictness, ids, plain numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    Tag,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from dssn_models.units import KINDS

__all__ = [
    "BY_SHAPE", "LIST", "MAPPING", "VALUE", "WORD", "WORDS",
    "Count", "Flag", "Id", "JsonSchema", "Level", "Model", "Number", "Positive", "Short", "Text", "show_quantity",
]  # fmt: skip


class Model(BaseModel):
    """A section of the language: frozen, unknown keys are errors, field docstrings are the reference."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        validate_by_name=False,
        validate_by_alias=True,
    )


#: A name: letters, digits, inner spaces and ``._-@()'+:/#&``; no comma, because tables join ids by it.
Id = Annotated[str, StringConstraints(pattern=r"^\w[\w .@()'+:/#&-]*$", max_length=120)]
#: Free text.
Text = Annotated[str, StringConstraints(max_length=4000)]
#: A whole number of things.
Count = Annotated[int, Field(strict=True, ge=0, le=1_000_000)]
#: A finite number.
Number = Annotated[float, Field(strict=True, ge=-1e15, le=1e15)]
#: A finite number above zero.
Positive = Annotated[float, Field(strict=True, gt=0, le=1e15)]
#: true or false.
Flag = Annotated[bool, Field(strict=True)]
#: Sensitivity of data: 1 open, 2 internal, 3 sensitive, 4 raw data never leaves (TEE or MPC only).
Level = Annotated[int, Field(strict=True, ge=1, le=4)]


def _shape(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "<list>"
    return "<mapping>" if isinstance(value, Mapping | BaseModel) else "<value>"


#: Of a list, a mapping and a plain value, take the one that was written, so that errors speak of it alone.
BY_SHAPE = Discriminator(_shape)
LIST = Tag("<list>")
MAPPING = Tag("<mapping>")
VALUE = Tag("<value>")


@dataclass(frozen=True, eq=False)  # compared by identity: a JSON schema has no hash
class Short:
    """Annotation: a short form that the file may have instead.

    ``expand`` turns it into the long form and passes everything else; ``also`` is its JSON schema, and with
    ``item`` a single item is short for a list of one.
    """

    expand: Callable[[Any], Any]
    also: tuple[dict[str, Any], ...] = ()
    item: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema that pydantic runs."""
        return core_schema.no_info_before_validator_function(self.expand, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Return the JSON schema of both forms."""
        long = handler(schema)
        single = (long["items"],) if self.item and "items" in long else ()
        return {"anyOf": [long, *single, *self.also]}


WORD: Final = {"type": "string"}
WORDS: Final = {"type": "array", "items": {"type": "string"}}


def show_quantity(value: float, kind: str) -> str:
    """Return the shortest unit string for a value, in the form a user would write.

    Examples
    --------
    >>> show_quantity(0.05, "duration")
    '50 ms'
    """
    best = ""
    for unit, factor in KINDS[kind].factors.items():
        number = value / factor
        text = f"{number:.9g}"
        near = math.isclose(float(text) * factor, value, rel_tol=1e-12)
        if near and (not best or len(f"{text} {unit}") < len(best)):
            best = f"{text} {unit}"
    plain, factor = min(KINDS[kind].factors.items(), key=lambda item: abs(math.log(item[1])))
    return best or f"{value / factor!r} {plain}"


class JsonSchema(GenerateJsonSchema):
    """JSON schema whose defaults of quantities are unit strings, as a user would write them."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Return the schema with its default in the language's own form."""
        out = super().default_schema(schema)
        kind = out.get("x-unit")
        value: Any = out.get("default")
        if kind and isinstance(value, int | float) and not isinstance(value, bool):
            out["default"] = show_quantity(float(value), kind)
        return out
