"""Errors of the schema, machine-readable.

Every error that our own validators raise is a :class:`pydantic_core.PydanticCustomError`
of type ``dssn`` whose ``ctx`` has ``code`` (a key of :data:`dssn.problems.CODES`), ``found``,
``allowed`` and ``hint`` (an empty string where there is none).

The ``loc`` of an error may hold elements that are not in the document (the tag of a
discriminated union, or a key that a shorthand stands for); skip what the document does not have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NoReturn

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from dssn.problems import nearest, shorten

__all__ = [
    "CHOICE", "FORM", "ITEMS", "MISSING", "QUANTITY", "RANGE", "REFUSED", "TYPE", "UNIT", "UNKNOWN_KEY",
    "Line", "choice", "error", "line", "lines_of", "raise_lines",
]  # fmt: skip

UNKNOWN_KEY: Final = "E201"
MISSING: Final = "E202"
TYPE: Final = "E203"
UNIT: Final = "E204"
QUANTITY: Final = "E205"
RANGE: Final = "E206"
CHOICE: Final = "E207"
FORM: Final = "E208"
ITEMS: Final = "E209"
REFUSED: Final = "E210"

#: One error with its place, as pydantic wants it.
Line = InitErrorDetails
_TEMPLATE: Final = "{found}; allowed: {allowed}"


def error(code: str, found: str, allowed: str, hint: str = "") -> PydanticCustomError:
    """Return the exception of one problem.

    Examples
    --------
    >>> error(RANGE, "-1", "0 or more").context["code"]
    'E206'
    """
    return PydanticCustomError(
        "dssn", _TEMPLATE, {"code": code, "found": found, "allowed": allowed, "hint": hint}
    )


def choice(word: object, names: Sequence[str], what: str, code: str = CHOICE) -> PydanticCustomError:
    """Return the error for a word that is none of the names."""
    listed = ", ".join(names[:40]) + (", ..." if len(names) > 40 else "")
    hint = nearest(word, names) if isinstance(word, str) else ""
    return error(code, f"{shorten(word)} is not {what}", listed, hint)


def line(exc: PydanticCustomError, *loc: int | str, found: object = None) -> Line:
    """Return the exception at a place."""
    return InitErrorDetails(type=exc, loc=loc, input=found)


def lines_of(exc: ValidationError) -> list[Line]:
    """Return the errors of a ValidationError, to be raised again together with others."""
    lines: list[Line] = []
    for e in exc.errors(include_url=False):
        ctx: dict[str, Any] = e.get("ctx", {})
        kind = PydanticCustomError("dssn", _TEMPLATE, ctx) if e["type"] == "dssn" else e["type"]
        lines.append(InitErrorDetails(type=kind, loc=e["loc"], input=e["input"], ctx=ctx))
    return lines


def raise_lines(title: str, lines: Sequence[Line]) -> NoReturn:
    """Raise all lines as one ValidationError; pydantic puts the outer place before each."""
    raise ValidationError.from_exception_data(title, list(lines))
