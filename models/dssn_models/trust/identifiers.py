"""Identifiers for data, devices, participants and operations [CTL-02...05, DCC-02, ACC-07].

``<region>.<owner>.<n>-<check>``: region and owner in the clear, a number in base 36, and a check character
(ISO/IEC 7064, MOD 37,36) that finds every single wrong letter or digit and almost every swap of
neighbours. It runs over letters and digits only: a shifted dot is not found by it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple

__all__ = ["Identifier", "IdentifierError", "IdentifierSpace", "check_character", "parse"]

_ALPHABET: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_VALUE: Final = {c: i for i, c in enumerate(_ALPHABET)}
_PATTERN: Final = re.compile(r"([a-z0-9]{1,16})\.([a-z0-9]{1,32})\.([a-z0-9]{1,12})-([a-z0-9])")


class IdentifierError(ValueError):
    """A text that is no identifier, or a thing that has one already."""


class Identifier(NamedTuple):
    """Region, owner and number of a thing."""

    region: str
    owner: str
    number: int

    def __str__(self) -> str:
        """Return the written form with its check character."""
        body = f"{self.region}.{self.owner}.{_base36(self.number)}"
        return f"{body}-{check_character(body)}"


def _base36(n: int) -> str:
    digits = ""
    while True:
        n, rest = divmod(n, 36)
        digits = _ALPHABET[rest] + digits
        if n == 0:
            return digits


def check_character(text: str) -> str:
    """Return the ISO/IEC 7064 MOD 37,36 check character of the letters and digits of a text.

    Examples
    --------
    >>> check_character("A12425GABC1234002")  # example of the standard's users (GRid)
    'm'
    """
    p = 36
    for c in text.lower():
        if c in _VALUE:
            s = (p + _VALUE[c]) % 36 or 36
            p = s * 2 % 37
    return _ALPHABET[(37 - p) % 36]


def parse(text: str) -> Identifier:
    """Return the parts of an identifier.

    Raises
    ------
    IdentifierError
        Not of the form, or the check character does not fit.
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise IdentifierError(f"{text[:80]!r} is not of the form region.owner.number-check")
    region, owner, number, check = match.groups()
    if number != "0" and number.startswith("0"):
        raise IdentifierError(f"{text!r}: the number has a leading zero")
    if check_character(text[:-2]) != check:
        raise IdentifierError(f"{text!r}: the check character does not fit; a character is wrong")
    return Identifier(region, owner, int(number, 36))


@dataclass
class IdentifierSpace:
    """Issues identifiers, each once; finds the second registration of the same thing.

    Owners draw from counters of their own, so no two regions need to talk to each other.
    """

    _next: dict[tuple[str, str], int] = field(default_factory=dict)
    _by_digest: dict[bytes, Identifier] = field(default_factory=dict)

    def issue(self, region: str, owner: str, digest: bytes | None = None) -> Identifier:
        """Return a new identifier.

        Parameters
        ----------
        region, owner : str
            Lower-case letters and digits.
        digest : bytes, optional
            Hash of the thing; a second registration of the same thing is refused.

        Raises
        ------
        IdentifierError
            The thing has an identifier, or region or owner cannot be part of one.
        """
        if digest is not None and digest in self._by_digest:
            raise IdentifierError(f"registered already as {self._by_digest[digest]}")
        number = self._next.get((region, owner), 0)
        identifier = Identifier(region, owner, number)
        if _PATTERN.fullmatch(str(identifier)) is None:
            raise IdentifierError(
                f"region {region!r} and owner {owner!r} must be lower-case letters and digits"
            )
        self._next[region, owner] = number + 1
        if digest is not None:
            self._by_digest[digest] = identifier
        return identifier

    def knows(self, identifier: Identifier) -> bool:
        """Return whether the identifier was issued here."""
        return 0 <= identifier.number < self._next.get((identifier.region, identifier.owner), 0)
