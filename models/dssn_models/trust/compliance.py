"""Compliance review: facts of an order against a rule pack, with the clause that decided.

A rule pack is plain data (it comes from the scenario's ``compliance`` section), so national,
regional and industry packs can be swapped without code. A refused order cannot be scheduled by
any path: the review stands before planning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["ReviewFacts", "Verdict", "review"]

Outcome = Literal["pass", "needs_approval", "refuse"]


@dataclass(frozen=True, slots=True)
class ReviewFacts:
    """What a reviewer is told of an order.

    Attributes
    ----------
    level : int
        Sensitivity of the data, 1 (open) to 4 (most sensitive).
    channel : str
        Form of delivery: api, package, stream, privacy or tee.
    confidentiality : str
        What the first engine protects: ``plain`` (nothing), ``privacy``, ``tee``.
    purpose : str
        Declared purpose of use.
    cross_border : bool
        Whether the result leaves the country.
    export_allowed : bool
        Whether every asset may.
    """

    level: int
    channel: str
    confidentiality: str
    purpose: str = ""
    cross_border: bool = False
    export_allowed: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """Outcome of a review.

    Attributes
    ----------
    outcome : {'pass', 'needs_approval', 'refuse'}
        ``needs_approval`` sends the order to a person.
    reason : str
        Reason code where refused, else ''.
    clause : str
        Rule pack and clause that decided.
    """

    outcome: Outcome
    reason: str
    clause: str


def review(facts: ReviewFacts, pack: Mapping[str, Any], draw: float = 1.0) -> Verdict:
    """Return the verdict of a rule pack.

    Parameters
    ----------
    facts : ReviewFacts
        The order.
    pack : Mapping
        Keys ``id``, ``levels`` (level -> ``forms``, ``review``), ``purposes``, ``cross_border``
        ('refuse' | 'approve' | 'allow'), ``cross_border_level``, ``human_share``. Missing keys do not restrict.
    draw : float
        A uniform draw in [0, 1); below ``human_share`` an automatic review goes to a person.
    """
    name = str(pack.get("id", "rules"))
    rule = pack.get("levels", {}).get(facts.level)
    if rule is not None and facts.channel not in rule["forms"]:
        clause = f"{name} levels.{facts.level}: {facts.channel} is not among {', '.join(rule['forms'])}"
        return Verdict("refuse", "compliance.level", clause)
    if facts.channel in ("privacy", "tee") and facts.confidentiality == "plain":
        # A plain engine behind a privacy label would return raw rows.
        return Verdict("refuse", "compliance.level", f"{name} levels.{facts.level}: engine does not protect the data")
    purposes = pack.get("purposes") or ()
    if purposes and facts.purpose not in purposes:
        return Verdict("refuse", "compliance.purpose", f"{name} purposes: {facts.purpose!r}")
    if facts.cross_border:
        verdict = _border(facts, pack, name)
        if verdict is not None:
            return verdict
    if rule is not None and rule.get("review") == "human":
        return Verdict("needs_approval", "", f"{name} levels.{facts.level}.review")
    if draw < float(pack.get("human_share", 0.0)):
        return Verdict("needs_approval", "", f"{name} human_share")
    return Verdict("pass", "", name)


def _border(facts: ReviewFacts, pack: Mapping[str, Any], name: str) -> Verdict | None:
    mode = pack.get("cross_border", "approve")
    if mode == "refuse" or not facts.export_allowed:
        return Verdict("refuse", "compliance.cross_border", f"{name} cross_border")
    if mode == "approve":
        if facts.level > int(pack.get("cross_border_level", 4)):
            return Verdict("refuse", "compliance.cross_border", f"{name} cross_border_level")
        return Verdict("needs_approval", "", f"{name} cross_border")
    return None
