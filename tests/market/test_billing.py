import doctest
import importlib
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dssn_models.dist import constant
from dssn_models.market.billing import Biller, bill_delivery
from dssn_models.market.metering import KINDS, DoubleMeteringError, Meter, MeterBook, UsageEvent, reconcile
from dssn_models.market.money import MICRO, apportion, to_micro
from dssn_models.market.orders import Order
from dssn_models.market.reasons import FAILED, REASONS, REFUSED
from dssn_models.market.settlement import order_shares, share_problems
from dssn_models.market.states import MACHINES, IllegalTransitionError, check_transition, is_legal_path
from dssn_models.market.tariffs import Price, Tariff, TariffError, rate
from dssn_models.plan import (
    ArrivalPlan,
    AssetPlan,
    ClassPlan,
    NetworkPlan,
    NodePlan,
    PartyPlan,
    Plan,
    RunPlan,
    SelectorPlan,
    SitePlan,
    StreamPlan,
)

SETTINGS = settings(max_examples=100, deadline=None, derandomize=True)

PARTIES = (
    PartyPlan("bank", "consumer"),
    PartyPlan("hospital", "provider"),
    PartyPlan("carrier", "provider"),
    PartyPlan("dssn", "service", 0.10),
    PartyPlan("gzex", "exchange", 0.03),
    PartyPlan("szex", "exchange", 0.03),
    PartyPlan("audit", "regulator", 0.01),
    PartyPlan("broker", "merchant", 0.05),
)
NODES = tuple(
    NodePlan(node, role, "x", party)
    for node, role, party in (
        ("drn1", "drn", "bank"), ("dsn1", "dsn", "hospital"), ("dsn2", "dsn", "carrier"), ("ex1", "exchange", "gzex"),
    )
)  # fmt: skip
ASSETS = (AssetPlan("cases", "dsn1", 3, price_cny=30.0), AssetPlan("calls", "dsn2", 3, price_cny=10.0))
STREAM = StreamPlan(
    "s", "standard", ArrivalPlan("poisson", rate=1.0), SelectorPlan(("drn1",)), SelectorPlan(("cases", "calls")),
    constant(2), (), exchange="ex1", price_cny=5.0,
)  # fmt: skip
TARIFF = {"calls": 0.01, "rows": 1e-6, "bytes": 0.8e-9, "core_s": 0.5 / 3600, "result": 0.1}


def a_plan(parties=PARTIES, tariff=None):
    return Plan(
        "p", "", "", NetworkPlan((SitePlan("x"),), ()), NODES, (), parties, ASSETS, (ClassPlan("standard"),), (STREAM,), {},
        (), (), RunPlan(1.0), tariff=TARIFF if tariff is None else tariff,
    )  # fmt: skip


def an_order(**changes):
    base = Order(7, STREAM, 0.0, "drn1", ("dsn1", "dsn2"), ("cases", "calls"), 3, "privacy", {})
    return replace(base, **changes)


# ------------------------------------------------------------ money


@SETTINGS
@given(
    st.integers(0, 10**16),
    st.dictionaries(st.text(min_size=1, max_size=5), st.floats(0, 1e9), min_size=1, max_size=8).filter(
        lambda w: max(w.values()) > 0
    ),
)
def test_parts_add_up_exactly_and_are_fair(amount, weights):
    parts = apportion(amount, weights)
    assert sum(parts.values()) == amount
    total = sum(Fraction(w) for w in weights.values())
    for name, part in parts.items():
        assert part >= 0
        assert abs(part - amount * Fraction(weights[name]) / total) <= 1 + amount * 1e-13
    assert apportion(amount, dict(reversed(weights.items()))) == parts  # the order does not matter


def test_what_cannot_be_split():
    for amount, weights in (
        (-1, {"a": 1}),
        (5, {}),
        (5, {"a": 0.0}),
        (5, {"a": 1, "b": -1}),
        (5, {"a": float("nan")}),
        (5, {"a": float("inf")}),
    ):
        with pytest.raises(ValueError, match="cannot split"):
            apportion(amount, weights)
    assert to_micro(1e-6) == 1


# ------------------------------------------------------------ metering


@pytest.mark.req("BIZ-06")
def test_no_event_is_metered_twice():
    book = MeterBook()
    event = UsageEvent("o1/run/core", 1, "bank", "core_s", 2.5)
    assert book.record(event)
    assert not book.record(event)  # a report repeated after a lost acknowledgement
    assert book.record(event._replace(event="o1/run2/core"))
    assert book.meters() == [Meter(1, "bank", "core_s", 5.0)]
    assert book.repeats == 1
    with pytest.raises(DoubleMeteringError):
        book.record(event._replace(quantity=3.0))
    for bad in ({"kind": "cores"}, {"quantity": -1.0}, {"quantity": float("nan")}):
        with pytest.raises(ValueError):
            book.record(event._replace(event="new", **bad))


@pytest.mark.req("BIZ-06")
def test_meters_reconcile_with_counters():
    meters = [Meter(1, "a", "bytes", 1e9), Meter(2, "b", "bytes", 2e9), Meter(2, "b", "calls", 5)]
    assert reconcile(meters, {"bytes": 3e9, "calls": 5}) == {}
    assert reconcile(meters, {"bytes": 3e9 * (1 + 1e-6), "calls": 5, "rows": 1.0}) == {
        "bytes": (3e9, 3e9 * (1 + 1e-6)),
        "rows": (0.0, 1.0),
    }


@SETTINGS
@given(
    st.lists(
        st.tuples(
            st.integers(0, 20), st.integers(0, 3), st.sampled_from(["rows", "bytes"]), st.floats(0, 1e6)
        ),
        max_size=40,
    )
)
def test_totals_do_not_depend_on_order_or_repeats(raw):
    events = {f"e{n}": UsageEvent(f"e{n}", o, "p", kind, q) for n, o, kind, q in raw}
    once, twice = MeterBook(), MeterBook()
    for e in events.values():
        once.record(e)
    for e in [*reversed(events.values()), *events.values()]:
        twice.record(e)
    assert once.meters() == twice.meters()


# ------------------------------------------------------------ tariffs


@pytest.mark.req("BIZ-07")
def test_tariff_kinds():
    assert Price(0.01).amount(3) == 30_000  # per call
    package = Price(0.02, allowance=100)
    assert package.amount(99) == 0
    assert package.amount(150) == 1_000_000
    tiers = Price(1.0, tiers=((10, 0.5), (20, 0.25)))
    assert tiers.amount(10) == 10 * MICRO
    assert tiers.amount(15) == 12_500_000
    assert tiers.amount(40) == 20 * MICRO
    both = Price(1.0, allowance=5, tiers=((10, 0.5),))
    assert both.amount(20) == 12_500_000
    lines = rate(
        [Meter(1, "a", "calls", 2), Meter(1, "a", "calls", 3)], Tariff({"calls": Price(0.1)}, base_cny=1.0)
    )
    assert [(x.item, x.amount) for x in lines] == [("base", MICRO), ("calls", 500_000)]
    assert lines[1].amount_cny == 0.5


def test_bad_tariffs():
    for make in (
        lambda: Price(-1.0),
        lambda: Price(1.0, tiers=((5, 1.0), (5, 2.0))),
        lambda: Price(float("nan")),
    ):
        with pytest.raises(TariffError):
            make()
    with pytest.raises(TariffError, match="meter kind"):
        Tariff.from_mapping({"gigabyte": 1.0})


usage_st = st.dictionaries(st.sampled_from(sorted(TARIFF)), st.floats(0, 1e9), max_size=5)


@pytest.mark.req("BIZ-07")
@SETTINGS
@given(st.lists(st.tuples(st.integers(0, 5), usage_st), max_size=10))
def test_rating_again_gives_the_same_bill(orders):
    meters = [Meter(o, "a", k, q) for o, usage in orders for k, q in usage.items()]
    lines = rate(meters, TARIFF)
    assert rate(meters, TARIFF) == lines
    assert rate(meters[::-1], TARIFF) == lines


def test_a_tier_never_makes_more_use_cheaper():
    price = Price(1.0, tiers=((10, 0.5), (20, 0.0)))
    amounts = [price.amount(q / 4) for q in range(200)]
    assert amounts == sorted(amounts)


# ------------------------------------------------------------ settlement and bill


@pytest.mark.req("BIZ-07", "BIZ-13", "ECO-01")
def test_split_over_six_parties():
    bill = bill_delivery(a_plan(), an_order(), {"result": 1.0})
    assert bill.total == 45_100_000
    payee = {(x.party, x.item): x.amount for x in bill.lines if x.role == "payee"}
    assert payee == {
        ("dssn", "product"): 4_500_000,
        ("gzex", "product"): 1_350_000,  # only the exchange that closed the trade
        ("audit", "product"): 450_000,
        ("broker", "product"): 2_250_000,
        ("hospital", "product"): round(45e6 * 0.81 * 0.75),  # by the prices of the assets, 30 to 10
        ("carrier", "product"): round(45e6 * 0.81 * 0.25),
        ("dssn", "usage"): 100_000,
    }
    off = bill_delivery(a_plan(), an_order(stream=replace(STREAM, exchange=None)), {})
    assert "gzex" not in {x.party for x in off.lines}
    assert off.total == 45 * MICRO


@pytest.mark.req("BIZ-07")
@SETTINGS
@given(usage_st, st.floats(0, 1e7), st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_sum_of_shares_is_the_bill(usage, price, shares):
    parties = tuple(
        replace(p, revenue_share=s)
        for p, s in zip([p for p in PARTIES if p.revenue_share and p.id != "szex"], shares, strict=True)
    )
    plan = a_plan((*PARTIES[:3], *parties))
    order = an_order(stream=replace(STREAM, price_cny=price))
    bill = bill_delivery(plan, order, usage)
    paid = sum(x.amount for x in bill.lines if x.role == "payer")
    got = sum(x.amount for x in bill.lines if x.role == "payee")
    assert paid == got == bill.total
    assert all(x.amount > 0 for x in bill.lines)
    assert bill_delivery(plan, order, usage) == bill
    assert bill.total >= to_micro(price)


@SETTINGS
@given(st.lists(usage_st, min_size=1, max_size=6), st.floats(0, 1e7))
def test_totals_of_many_deliveries_are_those_of_their_bills(usages, price):
    plan = a_plan()
    order = an_order(stream=replace(STREAM, price_cny=price))
    columns = {kind: np.array([u.get(kind, 0.0) for u in usages]) for kind in KINDS}
    totals = Biller(plan).totals(np.full(len(usages), price + 30.0 + 10.0), columns)
    bills = [bill_delivery(plan, order, u) for u in usages]
    assert list(totals) == [b.total_cny for b in bills]


@SETTINGS
@given(
    st.lists(usage_st, min_size=1, max_size=6), st.sampled_from([0.0, 5.0]), st.integers(0, 2),
    st.sampled_from([0.0, 10.0]),
)  # fmt: skip
def test_lines_of_many_bills_are_those_of_each(usages, price, services, asset_price):
    parties = (*PARTIES[:3], *(PartyPlan(f"op{i}", "service", 0.1) for i in range(services)), *PARTIES[4:])
    plan = replace(a_plan(parties), assets=tuple(replace(a, price_cny=asset_price) for a in ASSETS))
    order = an_order(stream=replace(STREAM, price_cny=price))
    columns = {kind: np.array([u.get(kind, 0.0) for u in usages]) for kind in KINDS}
    n = len(usages)
    lines = Biller(plan).lines(
        np.zeros(n, np.int64), ["bank"], np.full(n, price + 2 * asset_price), columns, lambda _i: order
    )
    got = [
        (at, lines.parties[p], lines.roles[r], lines.items[i], micro)
        for at, p, r, i, micro in zip(*(c.tolist() for c in lines[:5]), strict=True)
    ]
    assert got == [
        (i, x.party, x.role, x.item, x.amount)
        for i, u in enumerate(usages)
        for x in bill_delivery(plan, order, u).lines
    ]


def test_plans_without_parties_or_prices():
    plan = replace(a_plan(()), assets=tuple(replace(a, price_cny=0.0) for a in ASSETS))
    bill = bill_delivery(plan, an_order(stream=replace(STREAM, price_cny=1.0)), {"rows": 1e6, "rounds": 9.0})
    half = MICRO // 2  # without a service party usage goes to the providers too
    assert [(x.party, x.item, x.amount) for x in bill.lines if x.role == "payee"] == [
        ("carrier", "product", half),
        ("carrier", "usage", half),
        ("hospital", "product", half),
        ("hospital", "usage", half),
    ]
    assert [m.kind for m in bill.meters] == ["rows"]  # rounds are no meter kind
    free = bill_delivery(
        replace(plan, tariff={}), an_order(stream=replace(STREAM, price_cny=0.0)), {"rows": 5.0}
    )
    assert free.total == 0
    assert free.lines == ()


def test_shares_above_one_are_told_and_scaled():
    plan = a_plan((PartyPlan("dssn", "service", 0.8), PartyPlan("gzex", "exchange", 0.4)))
    assert "add up to 1.2" in share_problems(plan)[0]
    assert share_problems(a_plan()) == []
    shares = order_shares(plan.parties, {"hospital": 1.0}, "gzex")
    assert shares.product["hospital"] == 0.0
    assert "share -1" in share_problems(a_plan((PartyPlan("x", "service", -1.0),)))[0]


# ------------------------------------------------------------ states, reasons


@pytest.mark.parametrize("machine", MACHINES)
def test_machines_are_closed_and_every_state_can_be_reached_and_left_or_is_final(machine):
    table = MACHINES[machine]
    reached, front = set(), [next(iter(table))]
    while front:
        state = front.pop()
        if state not in reached:
            reached.add(state)
            front.extend(table[state])
    assert reached == set(table)
    finals = {s for s, after in table.items() if not after}
    assert finals
    for state in table:  # from everywhere a final state is near
        seen, front = set(), [state]
        while front:
            s = front.pop()
            if s not in seen:
                seen.add(s)
                front.extend(table[s])
        assert seen & finals


def test_transitions():
    check_transition("order", "acknowledged", "inProgress")
    with pytest.raises(IllegalTransitionError):
        check_transition("order", "completed", "inProgress")
    assert is_legal_path("transfer", ("REQUESTED", "STARTED", "COMPLETED"))
    assert not is_legal_path("transfer", ("STARTED", "COMPLETED"))
    assert not is_legal_path("transfer", ("REQUESTED", "COMPLETED"))
    assert not is_legal_path("transfer", ())


def test_reasons_have_a_group_and_a_text():
    assert not set(REFUSED) & set(FAILED)
    assert all("." in code and text for code, text in REASONS.items())


@pytest.mark.parametrize("module", ["money", "settlement"])
def test_docstring_examples(module):
    result = doctest.testmod(importlib.import_module(f"dssn_models.market.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
