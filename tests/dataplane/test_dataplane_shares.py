"""Shares of the solver alone: textbook networks, and random networks against exact fractions."""

from __future__ import annotations

from fractions import Fraction as Q

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_plane import fill

from dssn_sim.dataplane.batch import run_flows, solve_static


def test_single_bottleneck_is_shared_equally():
    rates = solve_static([10.0], [[0]] * 4)
    assert rates == pytest.approx([2.5] * 4, rel=1e-12)


def test_single_bottleneck_with_caps_and_weights():
    # caps 1 and 1.5 bind; the rest of 10 is split 1:3
    rates = solve_static([10.0], [[0]] * 4, caps=[1.0, 1.5, 1e9, 1e9], weights=[1, 1, 1, 3])
    assert rates == pytest.approx([1.0, 1.5, 1.875, 5.625], rel=1e-12)


def test_parking_lot():
    # one long flow over n links, one short flow on each: everyone gets half
    n = 5
    rates = solve_static([2.0] * n, [list(range(n)), *[[i] for i in range(n)]])
    assert rates == pytest.approx([1.0] * (n + 1), rel=1e-12)


def test_parking_lot_with_unequal_links():
    rates = solve_static([1.0, 2.0, 3.0], [[0, 1, 2], [0], [1], [2]])
    assert rates == pytest.approx([0.5, 0.5, 1.5, 2.5], rel=1e-12)


def test_bertsekas_gallager_five_sessions():
    """Data Networks, 2nd ed., section 6.5.2: three fillings, at 1/3, 2/3 and 1."""
    # links (2,3): sessions 2, 3, 5; (3,5): sessions 1, 3; (4,5): session 4; all of capacity 1
    routes = [[1], [0], [0, 1], [2], [0]]
    rates = solve_static([1.0, 1.0, 1.0], routes)
    assert rates == pytest.approx([2 / 3, 1 / 3, 1 / 3, 1.0, 1 / 3], rel=1e-12)


def test_priorities_take_first():
    rates = solve_static([10.0, 4.0], [[0, 1], [0], [0]], priorities=[0, 1, 2], caps=[1e9, 5.0, 1e9])
    assert rates == pytest.approx([4.0, 5.0, 1.0], rel=1e-12)


def test_zero_capacity_gives_nothing_and_blocks_nothing():
    rates = solve_static([0.0, 8.0], [[0, 1], [1], [1]])
    assert rates == pytest.approx([0.0, 4.0, 4.0])


def test_route_that_crosses_a_shared_medium_twice_counts_twice():
    rates = solve_static([9.0], [[0, 0], [0]])
    assert rates == pytest.approx([3.0, 3.0], rel=1e-12)


magnitude = st.one_of(
    st.just(0.0), st.sampled_from([1.0, 2.0, 3.0, 10.0]), st.floats(-3, 15).map(lambda e: float(10.0**e))
)


@st.composite
def networks(draw):
    links = draw(st.integers(1, 7))
    capacities = draw(st.lists(magnitude, min_size=links, max_size=links))
    n = draw(st.integers(1, 14))
    routes = draw(
        st.lists(
            st.lists(st.integers(0, links - 1), min_size=1, max_size=4, unique=True), min_size=n, max_size=n
        )
    )
    weights = draw(st.lists(st.sampled_from([1.0, 1.0, 0.25, 3.0, 10.0]), min_size=n, max_size=n))
    caps = draw(st.lists(st.one_of(st.just(float("inf")), magnitude.filter(bool)), min_size=n, max_size=n))
    return capacities, routes, weights, caps


@settings(max_examples=250, deadline=None, derandomize=True)
@given(networks())
def test_static_shares_match_progressive_filling_in_fractions(network):
    capacities, routes, weights, caps = network
    got = solve_static(capacities, routes, weights=weights, caps=caps)
    want = fill(
        {i: Q(c) for i, c in enumerate(capacities)},
        [
            (r, Q(w), None if c == float("inf") else Q(c))
            for r, w, c in zip(routes, weights, caps, strict=True)
        ],
    )
    for g, w in zip(got, want, strict=True):
        assert g == pytest.approx(float(w), rel=1e-9, abs=0.0)


def test_run_flows_textbook():
    # two flows on one link of 10: the short one ends at 2, the long one has the link afterwards
    finish = run_flows([10.0], [0.0, 0.0], [10.0, 40.0], [[0], [0]])
    assert finish == pytest.approx([2.0, 5.0], rel=1e-12)


def test_run_flows_never_ending_flow_is_infinite():
    finish = run_flows([0.0, 1.0], [0.0, 1.0], [1.0, 1.0], [[0], [1]])
    assert np.isinf(finish[0])
    assert finish[1] == pytest.approx(2.0)
