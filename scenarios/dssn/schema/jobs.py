"""Engine runs: ``job:`` and the items of ``chain:`` and ``alternate:``.

The parameters of the engine stand beside the keys of the step and are checked against
what the engine says of itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import Field, GetJsonSchemaHandler, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from dssn.problems import shorten
from dssn.schema.base import Id, Model
from dssn.schema.errors import CHOICE, TYPE, UNKNOWN_KEY, Line, choice, error, line, lines_of, raise_lines
from dssn.schema.quantities import distribution_schema, parse_distribution
from dssn.schema.selectors import Place
from dssn_models.dist import Dist
from dssn_models.engines.registry import REGISTRY
from dssn_models.units import KINDS

__all__ = ["Job", "JobParameter", "parse_parameter"]

JobParameter = Dist | float | str | bool

_OWN: Final = ("id", "engine", "profile", "after", "place")


def parse_parameter(value: object, default: Any, kind: str, words: Sequence[str] = ()) -> JobParameter:
    """Return an engine parameter in the form its default has.

    Parameters
    ----------
    value : object
        What stood in the file.
    default : float, str or bool
        The engine's default; its type decides what is accepted.
    kind : str
        Unit kind of a number, '' for a plain one.
    words : sequence of str
        Allowed words of a parameter that is a word; empty: any.
    """
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise error(TYPE, f"{shorten(value)} where true or false is due", "true, false")
        return value
    if isinstance(default, str):
        if not isinstance(value, str):
            raise error(
                TYPE,
                f"{shorten(value)} where a word is due",
                ", ".join(words) or f"a word such as '{default}'",
            )
        if words and value not in words:
            raise choice(value, list(words), "allowed here")
        return value
    return parse_distribution(value, kind if kind in KINDS else "")


def _read(raw: Mapping[Any, Any]) -> tuple[dict[str, JobParameter], list[Line]]:
    """Return the engine parameters of a step and what is wrong with them."""
    engine = raw.get("engine")
    extra = {key: value for key, value in raw.items() if key not in _OWN}
    if not isinstance(engine, str):
        return {}, []  # the missing or mistyped engine is reported by the field itself
    if engine not in REGISTRY:
        return {}, [line(choice(engine, list(REGISTRY), "an engine"), "engine", found=engine)]
    known, words = REGISTRY[engine].parameters(), REGISTRY[engine].choices()
    lines: list[Line] = []
    params: dict[str, JobParameter] = {}
    for key, value in extra.items():
        if key not in known:
            what = f"a parameter of {engine}"
            lines.append(line(choice(key, [*known, *_OWN], what, UNKNOWN_KEY), str(key), found=value))
            continue
        default, kind, _ = known[key]
        try:
            params[key] = parse_parameter(value, default, kind, words.get(key, ()))
        except PydanticCustomError as exc:
            lines.append(line(exc, key, found=value))
        except ValidationError as exc:
            for inner in lines_of(exc):
                inner["loc"] = (key, *inner["loc"])  # pyright: ignore[reportTypedDictNotRequiredAccess]
                lines.append(inner)
    profiles = list(REGISTRY[engine].profiles())
    profile = raw.get("profile")
    if isinstance(profile, str) and profile not in profiles:
        lines.append(
            line(choice(profile, profiles, f"a cost profile of {engine}", CHOICE), "profile", found=profile)
        )
    return params, lines


class Job(Model):
    """One engine run."""

    id: Id = "job"
    """Name of the step, for ``after`` of other steps and for the phases table."""
    engine: Id
    """Engine, for example ``psi.ecdh``; its parameters stand beside this key."""
    profile: Id | None = None
    """Cost profile of the engine; default: ``reference`` if it has one, else its first."""
    after: Annotated[tuple[Id, ...], Field(max_length=50)] = ()
    """Steps that must have ended before this one starts."""
    place: Place | None = None
    """Where a helper role (``arbiter``, ``tee``) may run: ids, or ``{role: tee_pool}``."""
    params: dict[str, Any] = Field(default={}, exclude=True)
    """Engine parameters, filled from the keys that stand beside ``engine``."""

    @model_validator(mode="wrap")
    @classmethod
    def _with_parameters(cls, raw: Any, handler: ModelWrapValidatorHandler[Job]) -> Job:
        """Split the step's own keys from the engine's and check both, so that all faults show at once."""
        if not isinstance(raw, Mapping):
            return handler(raw)
        params, lines = _read(raw)
        own = {key: raw[key] for key in _OWN if key in raw}
        try:
            job = handler({**own, "params": params})
        except ValidationError as exc:
            raise_lines("job", lines_of(exc) + lines)
        if lines:
            raise_lines("job", lines)
        return job

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema with the parameters of each engine, chosen by ``engine``."""
        out = handler.resolve_ref_schema(handler(schema))
        out["properties"].pop("params", None)
        out["properties"]["engine"]["enum"] = list(REGISTRY)
        out.pop("additionalProperties", None)
        own = dict.fromkeys(_OWN, True)
        out["allOf"] = [
            {
                "if": {"properties": {"engine": {"const": name}}, "required": ["engine"]},
                "then": {
                    "properties": {
                        **own,
                        **{
                            k: _describe(*v, engine.choices().get(k, ()))
                            for k, v in engine.parameters().items()
                        },
                    },
                    "additionalProperties": False,
                },
            }
            for name, engine in REGISTRY.items()
        ]
        return out


def _describe(default: Any, kind: str, meaning: str, words: Sequence[str]) -> dict[str, Any]:
    if isinstance(default, bool):
        return {"type": "boolean", "default": default, "description": meaning}
    if isinstance(default, str):
        limits = {"enum": list(words)} if words else {}
        return {"type": "string", "default": default, "description": meaning, **limits}
    return {**distribution_schema(kind), "description": meaning}
