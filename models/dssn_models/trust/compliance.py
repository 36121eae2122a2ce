"""Compliance review: facts of an order against a rule pack [CMP-01, FLW-03].

A rule pack is plain data (section ``compliance`` of a scenario), so a national, regional or industry
pack is swapped without code. The review names the clause that decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

__all__ = [
    "DEFAULT_LEVELS",
    "FORMS",
    "LevelRule",
    "Outcome",
    "ReviewFacts",
    "RulePack",
    "Verdict",
    "common_forms",
    "form_of",
    "human_verdict",
    "review",
]

Outcome = Literal["pass", "needs_approval", "refuse"]

#: Forms of delivery, weakest protection first.
FORMS: Final[tuple[str, ...]] = ("package", "api", "stream", "privacy", "tee")


@dataclass(frozen=True, slots=True)
class LevelRule:
    """Forms of delivery a sensitivity level allows, and who reviews (none, automatic, human)."""

    forms: frozenset[str]
    review: str = "automatic"


#: Level -> rule where a pack names none. 1 open, 2 internal, 3 sensitive, 4 raw data never leaves.
#: Assumed: which form suffices for which level is ours, to be replaced by the pack of the market at hand.
DEFAULT_LEVELS: Final[Mapping[int, LevelRule]] = {
    1: LevelRule(frozenset(FORMS), "none"),
    2: LevelRule(frozenset({"api", "stream", "privacy", "tee"})),
    3: LevelRule(frozenset({"privacy", "tee"})),
    4: LevelRule(frozenset({"privacy", "tee"})),
}


@dataclass(frozen=True, slots=True)
class ReviewFacts:
    """What the reviewer is told of an order.

    Attributes
    ----------
    level : int
        Sensitivity 1 ... 4 of the most sensitive part.
    channel : str
        Form of delivery asked for.
    confidentiality : str
        What the engine lets out: ``plain`` (the data), ``privacy`` (protocol messages), ``tee`` (sealed input).
    purpose : str
        Purpose of use.
    cross_border : bool
        Whether the result leaves the country.
    export_allowed : bool
        Whether every owner lets results leave.
    engines : tuple of str
        Engines of the chain.
    sectors : tuple of str
        Sectors of the assets.
    baseline : bool
        Delivery of the old way, which no reviewer sees (FLW-09).
    regions : tuple of str
        Regions the data or result goes to or through.
    forms : frozenset of str
        Forms in which every asset of the order may be delivered (:func:`common_forms`).
    """

    level: int
    channel: str
    confidentiality: str = "plain"
    purpose: str = ""
    cross_border: bool = False
    export_allowed: bool = True
    engines: tuple[str, ...] = ()
    sectors: tuple[str, ...] = ()
    baseline: bool = False
    regions: tuple[str, ...] = ()
    forms: frozenset[str] = frozenset(FORMS)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Outcome, reason code ('' unless refused) and the clause of the pack that decided."""

    outcome: Outcome
    reason: str = ""
    clause: str = ""


@dataclass(frozen=True)
class RulePack:
    """A rule pack.

    Attributes
    ----------
    id : str
        Name, cited in clauses.
    levels : Mapping
        Level to rule; a missing level takes :data:`DEFAULT_LEVELS`.
    purposes : frozenset of str
        Allowed purposes; empty: all.
    cross_border : str
        ``refuse``, ``allow``, or ``approve`` (by a person, up to ``cross_border_level``).
    cross_border_level : int
        Highest level that may leave the country after approval.
    regions_allow, regions_deny : frozenset of str
        Regions data may go to (empty: all) and may not.
    algorithms : frozenset of str
        Trusted engines; ``psi.*`` stands for all of a family; empty: all.
    human_share, refuse_share : float
        Share of automatic reviews that a person looks at, and of those the share refused.
    """

    id: str = "default"
    levels: Mapping[int, LevelRule] = field(default_factory=lambda: dict(DEFAULT_LEVELS))
    purposes: frozenset[str] = frozenset()
    cross_border: str = "approve"
    cross_border_level: int = 2
    regions_allow: frozenset[str] = frozenset()
    regions_deny: frozenset[str] = frozenset()
    algorithms: frozenset[str] = frozenset()
    human_share: float = 0.0
    refuse_share: float = 0.0

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> RulePack:
        """Return the pack of a plan's ``compliance`` section; missing parts take their defaults."""
        levels = dict(DEFAULT_LEVELS)
        for level, rule in (data.get("levels") or {}).items():
            levels[int(level)] = LevelRule(frozenset(rule["forms"]), str(rule.get("review", "automatic")))

        def words(name: str) -> frozenset[str]:
            found: Iterable[str] = data.get(name) or ()
            return frozenset(found)

        return cls(
            str(data.get("id", "default")), levels, words("purposes"), str(data.get("cross_border", "approve")),
            int(data.get("cross_border_level", 2)), words("regions_allow"), words("regions_deny"),
            words("algorithms"), float(data.get("human_share", 0.0)), float(data.get("refuse_share", 0.0)),
        )  # fmt: skip


def common_forms(named: Iterable[Iterable[str]]) -> frozenset[str]:
    """Return the forms in which all assets of an order may be delivered; an asset that names none allows all.

    Examples
    --------
    >>> sorted(common_forms([(), ("api", "privacy"), ("privacy", "tee")]))
    ['privacy']
    """
    return frozenset(FORMS).intersection(*(set(forms) for forms in named if forms))


def form_of(channel: str, confidentiality: str) -> str:
    """Return the form that a delivery really has: the channel, unless the engine protects less.

    Examples
    --------
    >>> form_of("privacy", "plain")  # named privacy, but the engine hands out the data
    'package'
    >>> form_of("tee", "privacy")
    'privacy'
    """
    if channel in ("privacy", "tee"):
        if confidentiality == "plain":
            return "package"
        if channel == "tee" and confidentiality != "tee":
            return "privacy"
    return channel


def _trusted(engine: str, trusted: frozenset[str]) -> bool:
    return engine in trusted or f"{engine.split('.', 1)[0]}.*" in trusted


def _refusal(facts: ReviewFacts, pack: RulePack, rule: LevelRule) -> Verdict | None:
    """Return the first refusal, in the order in which a reviewer reads the pack."""
    name = pack.id
    form = form_of(facts.channel, facts.confidentiality)
    if form not in rule.forms:
        return Verdict("refuse", "compliance.level", f"{name}: levels.{facts.level}.forms ({form})")
    if form not in facts.forms:
        return Verdict("refuse", "compliance.form", f"asset: forms ({form})")
    if pack.purposes and facts.purpose not in pack.purposes:
        return Verdict("refuse", "compliance.purpose", f"{name}: purposes ({facts.purpose})")
    if facts.cross_border:
        if not facts.export_allowed:
            return Verdict("refuse", "compliance.cross_border", "asset: export")
        if pack.cross_border == "refuse":
            return Verdict("refuse", "compliance.cross_border", f"{name}: cross_border")
        if pack.cross_border == "approve" and facts.level > pack.cross_border_level:
            clause = f"{name}: cross_border_level ({facts.level} > {pack.cross_border_level})"
            return Verdict("refuse", "compliance.cross_border", clause)
    for region in facts.regions:
        if region in pack.regions_deny:
            return Verdict("refuse", "compliance.region", f"{name}: regions_deny ({region})")
        if pack.regions_allow and region not in pack.regions_allow:
            return Verdict("refuse", "compliance.region", f"{name}: regions_allow ({region})")
    if pack.algorithms:
        for engine in facts.engines:
            if not _trusted(engine, pack.algorithms):
                return Verdict("refuse", "compliance.algorithm", f"{name}: algorithms ({engine})")
    return None


def review(facts: ReviewFacts, pack: RulePack | Mapping[str, Any], luck: float | None = None) -> Verdict:
    """Return the verdict of the automatic review.

    Parameters
    ----------
    facts : ReviewFacts
        The order.
    pack : RulePack or Mapping
        The rules; a mapping is the ``compliance`` section of a plan.
    luck : float, optional
        A uniform number in [0, 1): below ``human_share`` an automatic review goes to a person as well;
        without it none does.

    Examples
    --------
    >>> review(ReviewFacts(level=3, channel="api"), {})
    Verdict(outcome='refuse', reason='compliance.level', clause='default: levels.3.forms (api)')
    """
    if not isinstance(pack, RulePack):
        pack = RulePack.from_mapping(pack)
    if facts.baseline:
        return Verdict("pass", "", "baseline: not reviewed")
    rule = pack.levels[min(max(facts.level, 1), 4)]
    refusal = _refusal(facts, pack, rule)
    if refusal is not None:
        return refusal
    if facts.cross_border and pack.cross_border == "approve":
        return Verdict("needs_approval", "", f"{pack.id}: cross_border")
    if rule.review == "human":
        return Verdict("needs_approval", "", f"{pack.id}: levels.{facts.level}.review")
    if rule.review == "automatic" and luck is not None and luck < pack.human_share:
        return Verdict("needs_approval", "", f"{pack.id}: human_share")
    return Verdict("pass", "", f"{pack.id}: levels.{facts.level}")


def human_verdict(pack: RulePack | Mapping[str, Any], luck: float) -> Verdict:
    """Return what the person decides who looks at an order that needs approval; ``luck`` is uniform in [0, 1)."""
    if not isinstance(pack, RulePack):
        pack = RulePack.from_mapping(pack)
    if luck < pack.refuse_share:
        return Verdict("refuse", "compliance.review", f"{pack.id}: refuse_share")
    return Verdict("pass", "", f"{pack.id}: approved")
