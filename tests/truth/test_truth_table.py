"""The truth table itself, and that its closed forms and intervals are right."""

import math

import numpy as np
import pytest

from dssn_sim.truth import closed
from dssn_sim.truth.__main__ import format_rows
from dssn_sim.truth.cases import CASES, Case, Observed
from dssn_sim.truth.equality import differences, tables_equal
from dssn_sim.truth.table import QUICK_WIDTH, WIDTH, _rows, controlled_mean, truth_table


@pytest.fixture(scope="module")
def quick():
    return truth_table(quick=True)


@pytest.mark.req("TB-08")
def test_quick_table_every_row_inside_its_interval(quick):
    wrong = [r for r in quick if not r.ok]
    assert not wrong, format_rows(wrong)
    assert len([r for r in quick if r.case.startswith("max-min")]) == 3
    simulated = [r for r in quick if not r.case.startswith("max-min")]
    assert len(simulated) == 12
    assert all(0 < r.width < QUICK_WIDTH for r in simulated)


@pytest.mark.slow
@pytest.mark.req("TB-08")
def test_full_table_every_row_inside_an_interval_narrower_than_3_percent():
    rows = truth_table()
    wrong = [r for r in rows if not r.ok]
    assert not wrong, format_rows(wrong)
    assert all(r.width < WIDTH for r in rows)


def test_the_table_is_deterministic(quick):
    case = CASES[0]
    again = _rows(case, 1, case.customers // 8, True)
    assert again[0] in quick


def test_a_wrong_building_block_would_be_seen():
    """A server that is 10 % slow falls outside."""

    def slow(seed, n):
        (found,) = CASES[0].run(seed, n)
        return [Observed(found.quantity, found.closed, found.values * 1.1, found.controls)]

    (row,) = _rows(Case("slow", "", "", 50_000, slow), 1, 50_000, True)
    assert not row.inside


# ------------------------------------------------------------------ closed forms agree with each other


def test_mm1_is_a_special_case_of_everything():
    lam, s = 0.6, 1.0
    time = closed.mm1_time(lam, s)
    assert math.isclose(closed.mmc_wait(lam, s, 1) + s, time)
    assert math.isclose(closed.mg1_wait(lam, s, 1.0) + s, time)
    assert math.isclose(closed.ps_time(lam, s), time)
    assert math.isclose(closed.mm1_number(lam, s), lam * time)  # Little
    assert math.isclose(closed.jackson_time([lam], [[0.0]], [s]), time)
    (wait,) = closed.cobham_waits([lam], [s], [2.0])
    assert math.isclose(wait + s, time)


def test_cobham_conserves_work():
    """sum rho_k W_k does not depend on the order of service (Kleinrock II, 3.4)."""
    rates, means, second = [0.2, 0.3, 0.1], [1.0, 0.8, 2.0], [2.0, 0.7, 5.0]
    waits = closed.cobham_waits(rates, means, second)
    rho = [lam * s for lam, s in zip(rates, means, strict=True)]
    residual = sum(lam * m for lam, m in zip(rates, second, strict=True)) / 2
    total = sum(rho)
    assert math.isclose(sum(r * w for r, w in zip(rho, waits, strict=True)), total * residual / (1 - total))
    assert waits == sorted(waits)


@pytest.mark.parametrize(
    ("servers", "offered", "blocked"), [(1, 1.0, 0.5), (2, 1.0, 0.2), (10, 5.0, 0.018385)]
)
def test_erlang_b_against_printed_tables(servers, offered, blocked):
    assert math.isclose(closed.erlang_b(servers, offered), blocked, rel_tol=1e-4)


def test_erlang_b_against_the_sum():
    c, a = 7, 4.2
    terms = [a**k / math.factorial(k) for k in range(c + 1)]
    assert math.isclose(closed.erlang_b(c, a), terms[-1] / sum(terms))


def test_jackson_loads_with_feedback():
    loads = closed.jackson_loads([1.0, 0.0], [[0.0, 0.5], [0.4, 0.0]])
    assert np.allclose(loads, [1.25, 0.625])


def test_overload_has_no_closed_form():
    with pytest.raises(ValueError, match="below 1"):
        closed.mm1_time(1.0, 1.0)


# ------------------------------------------------------------------ the interval


def test_controls_narrow_the_interval_and_keep_its_coverage():
    inside = narrow = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        x = rng.exponential(1.0, 2000)
        y = 3.0 + 2.0 * (x - 1.0) + rng.normal(0, 0.5, 2000)
        plain = controlled_mean(Observed("", 3.0, y), 0.95)
        found = controlled_mean(Observed("", 3.0, y, ((x, 1.0),)), 0.95)
        inside += found.low <= 3.0 <= found.high
        narrow += found.half < plain.half
    assert narrow == 200
    # 0.95 of 200 within four standard deviations of a binomial
    assert abs(inside - 190) <= 4 * math.sqrt(200 * 0.95 * 0.05)


def test_equality_needs_tables(tmp_path):
    with pytest.raises(FileNotFoundError, match="no tables"):
        differences(tmp_path, tmp_path)
    for name in ("a", "b"):
        (tmp_path / name / "tables").mkdir(parents=True)
    assert tables_equal(tmp_path / "a", tmp_path / "b")
    (tmp_path / "a" / "tables" / "x.parquet").write_bytes(b"1")
    assert differences(tmp_path / "a", tmp_path / "b") == [f"x.parquet: only in {tmp_path / 'a' / 'tables'}"]
