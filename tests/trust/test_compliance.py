"""The review refuses what the rule pack forbids, and says by which clause."""

import pytest

from dssn_models.trust.compliance import ReviewFacts, review

PACK = {
    "id": "pack", "levels": {
        1: {"forms": ("api", "package", "privacy"), "review": "none"},
        3: {"forms": ("privacy", "tee"), "review": "automatic"},
        4: {"forms": ("tee",), "review": "human"},
    },
    "purposes": ("research",), "cross_border": "approve", "cross_border_level": 2,
}  # fmt: skip


def facts(**more):
    return ReviewFacts(
        **{"level": 1, "channel": "api", "confidentiality": "plain", "purpose": "research", **more}
    )


@pytest.mark.req("FLW-03", "CMP-01")
def test_level_above_threshold_is_refused_on_the_plain_api_and_accepted_on_privacy_computing():
    refused = review(facts(level=3), PACK)
    assert (refused.outcome, refused.reason) == ("refuse", "compliance.level")
    assert "levels.3" in refused.clause
    assert review(facts(level=3, channel="privacy", confidentiality="privacy"), PACK).outcome == "pass"


@pytest.mark.req("FLW-03")
def test_a_plain_engine_behind_a_privacy_label_is_refused():
    assert (
        review(facts(level=3, channel="privacy", confidentiality="plain"), PACK).reason == "compliance.level"
    )


@pytest.mark.req("CMP-01")
def test_purpose_border_and_human_review():
    assert review(facts(purpose="marketing"), PACK).reason == "compliance.purpose"
    assert review(facts(cross_border=True), PACK).outcome == "needs_approval"
    high = facts(cross_border=True, level=3, channel="privacy", confidentiality="privacy")
    assert review(high, PACK).reason == "compliance.cross_border"
    assert review(facts(cross_border=True, export_allowed=False), PACK).reason == "compliance.cross_border"
    assert review(facts(level=4, channel="tee", confidentiality="tee"), PACK).outcome == "needs_approval"


@pytest.mark.req("CMP-01")
def test_a_pack_without_levels_takes_the_default_protection():
    assert review(facts(level=3), {}).reason == "compliance.level"
    assert review(facts(level=3), {"levels": {3: {"forms": ["api"]}}}).outcome == "pass"
