"""Intervals: known values, coverage, and a reason wherever there is none."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dssn_sim.stats.intervals import (
    across,
    batch_means,
    binomial,
    least_for_quantile,
    quantile,
    quantile_interval,
    share_across,
    share_within,
    t_value,
)


def four_sigma(n, p):
    return 4 * math.sqrt(n * p * (1 - p))


def test_student_t_by_hand():
    found = across([10.0, 12.0, 14.0])
    assert found.estimate == 12.0
    assert math.isclose(found.high - 12.0, 4.302653 * 2 / math.sqrt(3), rel_tol=1e-6)
    assert math.isclose(t_value(0.99, 10), 3.169273, rel_tol=1e-6)


@pytest.mark.req("TB-08")
def test_no_interval_has_a_reason():
    for found in (
        across([]), across([1.0]), batch_means(np.arange(10.0)), quantile_interval(np.arange(100.0), 0.99),
        binomial(0, 0), quantile_interval(np.zeros(0), 0.5), batch_means(np.zeros(0)),
    ):  # fmt: skip
        assert found.low is None
        assert found.high is None
        assert found.why
    assert "368" in quantile_interval(np.arange(100.0), 0.99).why


def test_shares_that_never_vary_are_not_certain():
    found = share_across([1.0, 1.0, 1.0], 300, 300)
    assert found.high == 1.0
    assert math.isclose(found.low, 0.025 ** (1 / 300), rel_tol=1e-9)
    assert share_across([0.99, 1.0, 1.0], 299, 300).high == 1.0  # cut at 1
    assert share_within(np.ones(100)).low < 1.0


def test_clopper_pearson_against_a_printed_value():
    found = binomial(8, 20)  # Conover, table A4
    assert math.isclose(found.low, 0.1912, abs_tol=5e-4)
    assert math.isclose(found.high, 0.6395, abs_tol=5e-4)


@pytest.mark.parametrize("q", [0.5, 0.95])
def test_order_statistics_cover(q):
    inside = 0
    for seed in range(400):
        x = np.random.default_rng(seed).exponential(1.0, 150)
        found = quantile_interval(x, q)
        inside += found.low <= -math.log(1 - q) <= found.high
    assert inside >= 380 - four_sigma(400, 0.95)


def test_correlated_observations_widen_the_quantile():
    """A slow wave makes neighbours alike; the plain binomial interval would be far too narrow."""
    rng = np.random.default_rng(5)
    wave = np.repeat(rng.normal(size=100), 40)
    found = quantile_interval(wave + 0.1 * rng.normal(size=4000), 0.5)
    shuffled = quantile_interval(rng.permutation(wave), 0.5)
    assert "widened" in found.method
    assert found.half > 3 * shuffled.half


def test_batch_means_cover_an_autoregressive_series():
    inside = 0
    for seed in range(200):
        noise = np.random.default_rng(seed).normal(size=4000)
        x = np.zeros(4000)
        for i in range(1, 4000):
            x[i] = 0.8 * x[i - 1] + noise[i]
        found = batch_means(x)
        inside += found.low <= 0.0 <= found.high
    assert inside >= 190 - four_sigma(200, 0.95)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), st.sampled_from([0.5, 0.9, 0.95]))
@settings(derandomize=True, max_examples=100, deadline=None)
def test_quantile_is_in_the_sample_and_in_its_interval(values, q):
    x = np.array(values)
    found = quantile_interval(x, q)
    assert found.estimate in values
    assert (x <= quantile(x, q)).mean() >= q - 1e-12
    if found.low is not None:
        assert found.low <= found.estimate <= found.high
        assert len(x) >= least_for_quantile(q)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
@settings(derandomize=True, max_examples=100, deadline=None)
def test_wider_confidence_gives_wider_intervals(values):
    narrow, wide = across(values, 0.9), across(values, 0.99)
    assert wide.low <= narrow.low <= narrow.high <= wide.high
