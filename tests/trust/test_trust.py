import doctest
import importlib
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dssn_models.market.reasons import REFUSED
from dssn_models.trust import certificates as ca
from dssn_models.trust.certificates import CertificateState as State
from dssn_models.trust.compliance import (
    FORMS,
    ReviewFacts,
    RulePack,
    common_forms,
    form_of,
    human_verdict,
    review,
)
from dssn_models.trust.contracts import Agreement, Clause, ContractError, Use, enforce
from dssn_models.trust.identifiers import Identifier, IdentifierError, IdentifierSpace, check_character, parse

# ------------------------------------------------------------ compliance


@pytest.mark.req("FLW-03")
@pytest.mark.parametrize(
    ("level", "allowed"),
    [(1, {"package", "api", "stream", "privacy", "tee"}), (2, {"api", "stream", "privacy", "tee"}),
     (3, {"privacy", "tee"}), (4, {"privacy", "tee"})],
)  # fmt: skip
def test_level_decides_the_forms(level, allowed):
    protection = {"privacy": "privacy", "tee": "tee"}
    for form in FORMS:
        verdict = review(ReviewFacts(level, form, protection.get(form, "plain")), {})
        assert (verdict.outcome == "refuse") == (form not in allowed)
        if form not in allowed:
            assert verdict.reason == "compliance.level"
            assert f"levels.{level}.forms" in verdict.clause


@pytest.mark.req("FLW-03")
def test_a_plain_engine_under_a_protected_name_is_refused():
    verdict = review(ReviewFacts(3, "privacy", "plain"), {})
    assert (verdict.outcome, verdict.reason) == ("refuse", "compliance.level")
    assert form_of("api", "plain") == "api"
    strict = {"levels": {4: {"forms": ["tee"]}}}
    assert review(ReviewFacts(4, "tee", "privacy"), strict).reason == "compliance.level"
    assert review(ReviewFacts(4, "tee", "tee"), strict).outcome == "pass"


@pytest.mark.req("CMP-01")
def test_rule_packs_are_swapped_as_data():
    facts = ReviewFacts(2, "api", purpose="marketing", engines=("api.query",), regions=("east",))
    assert review(facts, {}).outcome == "pass"
    for pack, reason, word in (
        ({"levels": {2: {"forms": ["privacy"]}}}, "compliance.level", "levels.2"),
        ({"purposes": ["research"]}, "compliance.purpose", "marketing"),
        ({"regions_deny": ["east"]}, "compliance.region", "regions_deny"),
        ({"regions_allow": ["west"]}, "compliance.region", "regions_allow"),
        ({"algorithms": ["psi.*"]}, "compliance.algorithm", "api.query"),
    ):
        verdict = review(facts, {"id": "industry", **pack})
        assert (verdict.outcome, verdict.reason) == ("refuse", reason)
        assert word in verdict.clause
        assert verdict.clause.startswith("industry:")
        assert verdict.reason in REFUSED
    assert (
        review(facts, {"algorithms": ["api.*"], "regions_allow": ["east"], "purposes": ["marketing"]}).outcome
        == "pass"
    )
    assert review(facts, {"levels": {"2": {"forms": ["api"], "review": "human"}}}).outcome == "needs_approval"


@pytest.mark.req("CMP-01", "SCN-09")
def test_cross_border():
    def ask(level, export=True, **pack):
        return review(
            ReviewFacts(level, "privacy", "privacy", cross_border=True, export_allowed=export), pack
        )

    assert ask(2).outcome == "needs_approval"
    assert ask(3).reason == "compliance.cross_border"
    assert ask(3, cross_border_level=3).outcome == "needs_approval"
    assert ask(1, export=False).reason == "compliance.cross_border"
    assert ask(1, export=False, cross_border="allow").clause == "asset: export"
    assert ask(1, cross_border="refuse").reason == "compliance.cross_border"
    assert ask(4, cross_border="allow").outcome == "pass"


def test_baseline_is_not_reviewed():
    assert review(ReviewFacts(4, "package", baseline=True), {}).outcome == "pass"


def test_shares_of_people():
    pack = RulePack(human_share=0.3, refuse_share=0.1)
    rng = np.random.default_rng(1)
    facts = ReviewFacts(2, "api")
    people = sum(review(facts, pack, rng.random()).outcome == "needs_approval" for _ in range(5000))
    assert people == pytest.approx(1500, abs=110)
    refused = sum(human_verdict(pack, rng.random()).outcome == "refuse" for _ in range(5000))
    assert refused == pytest.approx(500, abs=70)
    assert review(facts, pack).outcome == "pass"


# ------------------------------------------------------------ certificates


def issued(**kw):
    return ca.issue(ca.request(1, "bank", "root", 0.0), 10.0, kw.get("lifetime", 100.0))


@pytest.mark.req("DCC-10")
def test_life_cycle_takes_only_its_own_steps():
    for a, b in itertools.product(State, State):
        cert = ca.Certificate(1, "bank", "root", 0.0, 5.0, a)
        if b in ca.TRANSITIONS[a]:
            assert ca.move(cert, b, 6.0).state is b
        else:
            with pytest.raises(ca.LifeCycleError):
                ca.move(cert, b, 6.0)
    with pytest.raises(ca.LifeCycleError, match="expires at"):
        ca.move(issued(), State.EXPIRED, 50.0)
    with pytest.raises(ca.LifeCycleError, match="before the last"):
        ca.move(issued(), State.SUSPENDED, 5.0)
    with pytest.raises(ca.LifeCycleError, match="not an issue"):
        ca.issue(ca.move(issued(), State.SUSPENDED, 20.0), 30.0, 100.0)


@pytest.mark.req("DCC-08", "DCC-10")
@pytest.mark.parametrize(
    ("changes", "kw", "cause"),
    [
        ({}, {}, ""),
        ({}, {"name": "shop"}, "wrong_name"),
        ({}, {"now": 111.0}, "expired"),
        ({}, {"now": 111.0, "skew_s": 5.0}, ""),
        ({}, {"now": 5.0}, "not_yet_valid"),
        ({}, {"now": 5.0, "skew_s": 5.0}, ""),
        ({}, {"clock_error_s": -45.0}, "not_yet_valid"),
        ({}, {"clock_error_s": 3600.0}, "expired"),
        ({}, {"trusted": {"other"}}, "unknown_ca"),
        ({"state": State.REVOKED, "changed_s": 40.0}, {}, "revoked"),
        ({"state": State.SUSPENDED, "changed_s": 40.0}, {}, "suspended"),
        ({"state": State.RENEWED}, {}, ""),
        ({"state": State.REQUESTED}, {}, "not_issued"),
    ],
)
def test_each_cause(changes, kw, cause):
    from dataclasses import replace

    args = {"name": "bank", "now": 50.0, "trusted": {"root"}, **kw}
    got = ca.check(replace(issued(), **changes), **args)
    assert got == cause
    assert cause == "" or cause in ca.CAUSES


@pytest.mark.req("DCC-10")
def test_revocation_lag():
    cert = ca.revoke(issued(), 41.0)
    crl = ca.Revocation("crl", period_s=30.0, delay_s=2.0)
    known = ca.known_revoked_s(41.0, crl)
    assert known == 62.0
    assert ca.check(cert, "bank", 61.9, {"root"}, revocation=crl) == ""
    assert ca.check(cert, "bank", 62.0, {"root"}, revocation=crl) == "revoked"
    ocsp = ca.Revocation("ocsp", period_s=60.0, delay_s=0.1)
    assert ca.known_revoked_s(41.0, ocsp, asked_s=20.0) == pytest.approx(80.1)
    assert ca.known_revoked_s(41.0, ocsp) == pytest.approx(41.1)
    for scheme in (crl, ocsp, ca.Revocation("push", 60.0, 0.5)):
        for t in np.linspace(0, 200, 57):
            for asked in (None, t - 60.0, t):
                lag = ca.known_revoked_s(float(t), scheme, asked) - t
                assert -1e-9 <= lag <= scheme.worst_lag_s + 1e-9


def test_renewal_overlaps():
    old, new = ca.renew(issued(), 2, 90.0, 100.0)
    assert old.state is State.RENEWED
    assert (new.serial, new.not_before_s, new.not_after_s) == (2, 90.0, 190.0)
    assert ca.check(old, "bank", 100.0, {"root"}) == ca.check(new, "bank", 100.0, {"root"}) == ""


# ------------------------------------------------------------ identifiers


@pytest.mark.req("CTL-02", "DCC-02")
def test_identifiers_are_unique_and_tell_region_and_owner():
    space, seen = IdentifierSpace(), set()
    for i in range(60_000):
        seen.add(str(space.issue(f"r{i % 31}", f"owner{i % 7}")))
    assert len(seen) == 60_000
    for text in itertools.islice(seen, 500):
        found = parse(text)
        assert str(found) == text
        assert space.knows(found)
    assert not space.knows(Identifier("r1", "owner1", 10**9))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True),
    st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True),
    st.integers(0, 36**9),
)
def test_every_single_wrong_character_is_found(region, owner, number):
    text = str(Identifier(region, owner, number))
    assert parse(text) == (region, owner, number)
    for i, old in enumerate(text):
        for new in "0123456789abcdefghijklmnopqrstuvwxyz":
            if new != old:
                with pytest.raises(IdentifierError):
                    parse(text[:i] + new + text[i + 1 :])


def test_swaps_of_neighbours_are_almost_all_found():
    rng = np.random.default_rng(1)
    missed = tried = 0
    for _ in range(3000):
        body = "".join(rng.choice(list("0123456789abcdefghijklmnopqrstuvwxyz"), 10))
        i = int(rng.integers(9))
        swapped = body[:i] + body[i + 1] + body[i] + body[i + 2 :]
        if swapped != body:
            tried += 1
            missed += check_character(swapped) == check_character(body)
    assert missed < tried * 0.01


@pytest.mark.req("ACC-07")
def test_a_second_registration_is_found():
    space = IdentifierSpace()
    first = space.issue("bj", "cmcc", b"hash")
    with pytest.raises(IdentifierError, match=str(first)):
        space.issue("sh", "cmcc", b"hash")
    with pytest.raises(IdentifierError, match="lower-case"):
        space.issue("BJ", "cmcc")
    assert space.issue("bj", "cmcc").number == 1


@pytest.mark.parametrize(
    "text", ["", "a.b.c", "a.b.1-", "A.b.1-x", "a.b.01-x", "a..1-x", "a.b.1-x\n", "a.b.-1-x", "x" * 500]
)
def test_no_identifiers(text):
    with pytest.raises(IdentifierError):
        parse(text)


# ------------------------------------------------------------ contracts

CLAUSES = (
    Clause("1", "purpose", "isAnyOf", ("research", "statistics")),
    Clause("2.1", "count", "lteq", 10),
    Clause("2.2", "dateTime", "lt", 1000.0),
    Clause("3", "algorithm", "eq", "psi.ecdh"),
    Clause("4", "payAmount", "gteq", 5.0),
    Clause("5", "recipient", "isNoneOf", ("competitor",)),
)
AGREEMENT = Agreement("k1", "hospital", "bank", "cases", CLAUSES)


def use(**changes):
    base = {
        "assignee": "bank",
        "target": "cases",
        "purpose": "research",
        "algorithm": "psi.ecdh",
        "now_s": 10.0,
        "pay_cny": 5.0,
    }
    return Use(**{**base, **changes})


@pytest.mark.req("CTL-13")
@pytest.mark.parametrize(
    ("changes", "clause"),
    [
        ({}, None),
        ({"count": 10}, None),
        ({"purpose": "marketing"}, "1"),
        ({"count": 11}, "2.1"),
        ({"now_s": 1000.0}, "2.2"),
        ({"algorithm": "transfer.bulk"}, "3"),
        ({"pay_cny": 4.99}, "4"),
        ({"recipient": "competitor"}, "5"),
        ({"assignee": "shop"}, "assignee"),
        ({"target": "calls"}, "target"),
        ({"action": "sell"}, "action"),
        ({"count": 99, "purpose": "marketing"}, "1"),
    ],
)
def test_a_use_outside_the_contract_is_refused_with_its_clause(changes, clause):
    breach = enforce(AGREEMENT, use(**changes))
    assert (breach and breach.clause) == clause
    assert breach is None or breach.reason in REFUSED


def test_odrl_round_trip_and_refusals():
    assert Agreement.from_odrl(AGREEMENT.to_odrl()) == AGREEMENT
    good = AGREEMENT.to_odrl()
    for bad in (
        {},
        {**good, "permission": []},
        {**good, "permission": [good["permission"][0]] * 2},
        {
            **good,
            "permission": [
                {
                    **good["permission"][0],
                    "constraint": [{"leftOperand": "spatial", "operator": "eq", "rightOperand": "x"}],
                }
            ],
        },
        {**good, "permission": [{**good["permission"][0], "constraint": ["x"]}]},
    ):
        with pytest.raises(ContractError):
            Agreement.from_odrl(bad)
    for args in (
        ("count", "isAnyOf", ("1",)),
        ("purpose", "lt", "x"),
        ("count", "eq", "ten"),
        ("purpose", "eq", ("a",)),
    ):
        with pytest.raises(ContractError):
            Clause("1", *args)


@pytest.mark.parametrize("module", ["certificates", "identifiers", "contracts", "compliance", "merkle"])
def test_docstring_examples(module):
    result = doctest.testmod(importlib.import_module(f"dssn_models.trust.{module}"))
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.req("FLW-02", "FLW-03")
def test_an_asset_that_names_forms_is_delivered_in_no_other():
    forms = common_forms([(), ("privacy", "tee"), ("package", "privacy")])
    assert forms == {"privacy"}
    assert common_forms([(), ()]) == set(FORMS)
    told = {
        (channel, guard): review(ReviewFacts(1, channel, guard, forms=forms), {}).reason
        for channel, guard in (
            ("privacy", "privacy"),
            ("package", "plain"),
            ("privacy", "plain"),
            ("api", "plain"),
        )
    }
    assert told.pop(("privacy", "privacy")) == ""
    assert set(told.values()) == {"compliance.form"}
    assert review(ReviewFacts(1, "api", forms=forms), {}).clause == "asset: forms (api)"
    assert (
        review(ReviewFacts(3, "api", forms=forms), {}).reason == "compliance.level"
    )  # the pack is read first
    assert review(ReviewFacts(1, "package", baseline=True, forms=forms), {}).outcome == "pass"
