"""Numbers as people read them."""

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dssn.report.numbers import footnotes, headline, show, show_estimate, show_interval, statistic
from dssn_sim.stats.kpi import Kpi


def kpi(name="order_to_result", stat="p95", cls="", part="", low=1.0, high=2.0, objective=""):
    return Kpi(
        name,
        cls,
        "s",
        "min",
        1.5,
        low,
        high,
        5,
        "t",
        objective,
        stat=stat,
        part=part,
        why_no_interval="no spread",
    )


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (754.2, "s", "12.6 min"),
        (0.9981, "share", "99.8 %"),
        (0.99999, "share", "99.999 %"),
        (1.0, "share", "100 %"),
        (1 - 1e-12, "share", "100 %"),
        (-1.2e-15, "share", "0 %"),
        (2e-8, "share", "0.000002 %"),
        (2.87e-8, "s", "0 s"),
        (0.0, "share", "0 %"),
        (1234.0, "", "1 234"),
        (87.25, "1/h", "87.2 /h"),
        (2.5e9, "B", "2.5 GB"),
        (math.nan, "s", "–"),
        (None, "s", "–"),
    ],
)
def test_values_carry_their_unit(value, unit, text):
    assert show(value, unit) == text


@given(st.floats(0.5, 1.0, exclude_max=True))
@settings(derandomize=True, max_examples=200)
def test_a_share_below_one_is_never_shown_as_all(share):
    assert share > 0.99999999 or show(share, "share") != "100 %"


def test_interval_or_the_reason_why_none():
    assert show_interval(kpi()) == "1.00 – 2.00 s"
    assert show_interval(kpi(low=None, high=None)) == "none: no spread"
    assert "every replication" in show_interval(kpi(low=2.0, high=2.0))


def test_interval_narrower_than_its_digits_shows_more_digits():
    assert show_interval(kpi(low=1.4991, high=1.5008)) == "1.499 – 1.501 s"


@pytest.mark.parametrize(
    ("found", "unit", "text"),
    [
        ((1.0, 1 - 1e-13, 1.0), "share", ("100 %", "100 – 100 %")),
        ((-1e-15, -1.2e-15, 0.0), "share", ("0 %", "0 – 0 %")),
        ((2.87e-8, 0.0, 3e-8), "s", ("0 s", "0 – 0 s")),
        ((1.5, 1.49999, 1.50001), "s", ("1.500 s", "1.500 – 1.500 s")),
        ((0.479, 0.478999, 0.479001), "share", ("47.90 %", "47.90 – 47.90 %")),
        ((3e-6, 1e-6, 5e-6), "share", ("0.0003 %", "0.0001 – 0.0005 %")),
        ((0.000727, -0.022895, 0.02436), "s", ("0.7 ms", "-22.9 – 24.4 ms")),
        ((0.0, 0.0, 8.0), "s", ("0 s", "0 – 8 s")),
        ((-0.0001, -0.4, 0.4), "", ("0.000", "-0.400 – 0.400")),
    ],
)
def test_digits_that_mean_nothing_are_not_shown(found, unit, text):
    assert show_estimate(*found, unit) == text


def test_a_difference_far_below_what_was_compared_is_none():
    assert show_estimate(3e-8, -2e-8, 8e-8, "", like=1000.0) == ("0", "0 – 0")
    assert show_estimate(3e-8, -2e-8, 8e-8, "", like=1.0) != ("0", "0 – 0")


@given(
    st.floats(0, 1e7),
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from(["s", "B", "CNY", "", "1/h", "bit/s"]),
)
@settings(derandomize=True, max_examples=300)
def test_value_and_interval_share_unit_and_decimals(value, below, above, unit):
    low, high = value * (1 - below), value * (1 + above)
    shown, interval = show_estimate(value, low, high, unit)
    number = re.compile(r"^(-?[\d ]*\d)(?:\.(\d+))?(?: ([^\d]+))?$")
    first, last = interval.split(" – ")
    found = [number.match(text) for text in (shown, first, last)]
    assert len({len(m[2] or "") for m in found}) == 1
    assert found[0][3] == found[2][3]


def test_a_value_has_the_decimals_of_its_interval():
    assert show_estimate(61.2, 48.2, 82.8, "s") == ("1.02 min", "0.80 – 1.38 min")
    assert show_estimate(0.99998, 0.9999, 1.0, "share") == ("99.99 %", "99.99 – 100 %")
    assert show_estimate(12345.0, 12000.4, 12689.6, "") == ("12 345", "12 000 – 12 690")


def test_headline_holds_every_objective_and_classes_only_where_asked():
    rows = [
        kpi(),
        kpi(cls="urgent"),
        kpi(cls="bulk"),
        kpi(stat="p99"),
        kpi(stat="p99", cls="urgent"),
        kpi("phase_time", "mean", part="run"),
        kpi("phase_time", "mean", part="load", objective="at most 1 s"),
    ]
    shown = [(k.name, k.stat, k.cls, k.part) for k in headline(rows)]
    assert ("order_to_result", "p95", "urgent", "") in shown
    assert ("order_to_result", "p99", "urgent", "") not in shown
    assert ("phase_time", "mean", "", "load") in shown
    assert ("phase_time", "mean", "", "run") not in shown
    assert len(shown) == len(set(shown))


def test_statistics_in_words():
    assert (statistic("p50"), statistic("p99.9"), statistic("mean")) == ("median", "99.9 % within", "mean")


def test_a_reason_for_no_interval_is_given_once():
    cells, notes = footnotes(["1 – 2 s", *["none: a total"] * 7])
    assert cells == ["1 – 2 s", *["—"] * 7]
    assert notes == ["— no interval: a total"]
    cells, notes = footnotes(
        ["none: a total", "none: 3 observations", "none: a count"] * 2 + ["none: 1 observation"]
    )
    assert cells == [*["— (1)", "— (2)", "— (3)"] * 2, "none: 1 observation"]
    assert notes[1] == "— (2) no interval: 3 observations"
