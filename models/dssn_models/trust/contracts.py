"""Computing contracts: an agreement in a subset of ODRL 2.2, and its enforcement [CTL-13].

An agreement permits the use of an asset under clauses; each clause has a number, so a use outside the
contract is refused with the clause that it breaks. Operands: ``purpose``, ``count``, ``dateTime``
(seconds of virtual time), ``algorithm``, ``payAmount`` (CNY), ``recipient``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["OPERANDS", "OPERATORS", "Agreement", "Breach", "Clause", "ContractError", "Use", "enforce"]

Value = str | float | tuple[str, ...]

#: ODRL left operands of the subset -> kind of value.
OPERANDS: Final[Mapping[str, str]] = {
    "purpose": "word", "count": "number", "dateTime": "number", "algorithm": "word", "payAmount": "number",
    "recipient": "word",
}  # fmt: skip

_NUMBERS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "eq": lambda a, b: a == b, "neq": lambda a, b: a != b, "lt": lambda a, b: a < b,
    "lteq": lambda a, b: a <= b, "gt": lambda a, b: a > b, "gteq": lambda a, b: a >= b,
}  # fmt: skip
_WORDS: Final = ("eq", "neq", "isAnyOf", "isNoneOf")
OPERATORS: Final[tuple[str, ...]] = (*_NUMBERS, "isAnyOf", "isNoneOf")


class ContractError(ValueError):
    """An agreement that is not of the subset."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One constraint: ``left`` operand, ``operator``, ``right`` value."""

    number: str
    left: str
    operator: str
    right: Value

    def __post_init__(self) -> None:
        kind = OPERANDS.get(self.left)
        if kind is None:
            raise ContractError(f"clause {self.number}: {self.left!r} is no operand ({', '.join(OPERANDS)})")
        allowed = _WORDS if kind == "word" else tuple(_NUMBERS)
        if self.operator not in allowed:
            raise ContractError(
                f"clause {self.number}: {self.left} takes {', '.join(allowed)}, not {self.operator!r}"
            )
        many = self.operator in ("isAnyOf", "isNoneOf")
        good = isinstance(self.right, tuple) if many else isinstance(self.right, str)
        if kind == "number":
            good = isinstance(self.right, int | float) and not isinstance(self.right, bool)
        if not good:
            raise ContractError(
                f"clause {self.number}: {self.right!r} does not fit {self.left} {self.operator}"
            )

    def holds(self, value: str | float) -> bool:
        """Return whether a value meets the clause."""
        right = self.right
        if isinstance(right, tuple):
            return (value in right) == (self.operator == "isAnyOf")
        if isinstance(right, str):
            return (value == right) == (self.operator == "eq")
        return _NUMBERS[self.operator](float(value), float(right))

    def __str__(self) -> str:
        """Return the clause as a line."""
        return f"{self.number}: {self.left} {self.operator} {self.right}"


@dataclass(frozen=True, slots=True)
class Agreement:
    """A contract between an assigner (provider) and an assignee (consumer) on an asset."""

    id: str
    assigner: str
    assignee: str
    target: str
    clauses: tuple[Clause, ...] = ()
    action: str = "use"

    def to_odrl(self) -> dict[str, Any]:
        """Return the agreement as an ODRL 2.2 JSON-LD document."""
        return {
            "@context": "http://www.w3.org/ns/odrl.jsonld",
            "@type": "Agreement",
            "uid": self.id,
            "permission": [
                {
                    "assigner": self.assigner,
                    "assignee": self.assignee,
                    "target": self.target,
                    "action": self.action,
                    "constraint": [
                        {
                            "uid": c.number,
                            "leftOperand": c.left,
                            "operator": c.operator,
                            "rightOperand": list(c.right) if isinstance(c.right, tuple) else c.right,
                        }
                        for c in self.clauses
                    ],
                }
            ],
        }

    @classmethod
    def from_odrl(cls, data: Mapping[str, Any]) -> Agreement:
        """Return the agreement of an ODRL document of the subset (one permission).

        Raises
        ------
        ContractError
            Something is missing or not of the subset.
        """
        try:
            (permission,) = data["permission"]
            clauses = tuple(
                Clause(
                    str(c.get("uid", i)),
                    c["leftOperand"],
                    c["operator"],
                    tuple(c["rightOperand"]) if isinstance(c["rightOperand"], list) else c["rightOperand"],
                )
                for i, c in enumerate(permission.get("constraint", ()), start=1)
            )
            return cls(
                data["uid"], permission["assigner"], permission["assignee"], permission["target"], clauses,
                permission.get("action", "use"),
            )  # fmt: skip
        except ContractError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ContractError(f"not an agreement with one permission: {error!r}") from error


@dataclass(frozen=True, slots=True)
class Use:
    """A use that is asked for, with the uses before it (``count`` is the number this one would have)."""

    assignee: str
    target: str
    purpose: str
    algorithm: str
    now_s: float
    count: int = 1
    pay_cny: float = 0.0
    recipient: str = ""
    action: str = "use"


@dataclass(frozen=True, slots=True)
class Breach:
    """The clause a use breaks; ``reason`` is a code of ``market.reasons``."""

    clause: str
    text: str
    reason: str = "compliance.contract"


def enforce(agreement: Agreement, use: Use) -> Breach | None:
    """Return the first clause that a use breaks, or None if it is within the contract.

    The parties, the target and the action come first, under the names ``assignee``, ``target``, ``action``.

    Examples
    --------
    >>> a = Agreement("k1", "hospital", "bank", "cases", (Clause("2.1", "count", "lteq", 10),))
    >>> enforce(a, Use("bank", "cases", "research", "psi.ecdh", 0.0, count=11)).clause
    '2.1'
    """
    for name, wanted, given in (
        ("assignee", agreement.assignee, use.assignee),
        ("target", agreement.target, use.target),
        ("action", agreement.action, use.action),
    ):
        if wanted != given:
            return Breach(name, f"{name} is {wanted!r}, not {given!r}")
    values: dict[str, str | float] = {
        "purpose": use.purpose, "count": use.count, "dateTime": use.now_s, "algorithm": use.algorithm,
        "payAmount": use.pay_cny, "recipient": use.recipient or use.assignee,
    }  # fmt: skip
    for clause in agreement.clauses:
        value = values[clause.left]
        if not clause.holds(value):
            return Breach(clause.number, f"{clause}; asked: {value}")
    return None
