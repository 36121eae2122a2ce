"""Paired comparison: what common random numbers buy, and what they cannot do."""

import math

import numpy as np
import pytest
from test_kpi import delivery, order, table

from dssn_sim.stats import RunFacts, paired

FACTS = RunFacts(10_000.0, 0.0, 0.95, ("bulk",))


def world(shift, replications=5, orders=200, seed=1, **more):
    """Noisy times that both runs share, plus a shift."""
    rows_o, rows_d = [], []
    for r in range(replications):
        rng = np.random.default_rng([seed, r])
        level = rng.normal(0, 5)
        at = np.cumsum(rng.exponential(10.0, orders))
        for i in range(orders):
            time = 50 + level + rng.exponential(5.0) + shift
            rows_o.append(order(i, float(at[i]), replication=r))
            rows_d.append(delivery(i, float(at[i]), float(time), replication=r, **more))
    return {"orders": table("orders", rows_o), "deliveries": table("deliveries", rows_d)}


def row(found, name, stat="mean"):
    return next(r for r in found if r.name == name and r.stat == stat)


@pytest.mark.req("TB-08")
def test_pairing_sees_a_difference_that_two_intervals_hide():
    found = paired(world(0.0), world(-1.0), FACTS)
    result = row(found.rows, "order_to_result")
    assert result.verdict == "better"
    assert math.isclose(result.difference, -1.0, abs_tol=1e-9)
    assert result.n == 5
    assert result.high - result.low < 1e-6
    assert math.isclose(result.relative, -1.0 / result.a)
    # Without common numbers the same shift drowns.
    other = paired(world(0.0), world(-1.0, seed=2), FACTS, common=False)
    assert row(other.rows, "order_to_result").verdict == "no clear difference"
    assert other.orders == ()
    assert any("nothing can be paired" in n for n in other.notes)


def test_direction_decides_what_is_better():
    found = paired(world(0.0), world(+1.0), FACTS)
    assert row(found.rows, "order_to_result").verdict == "worse"
    assert row(found.rows, "orders_total", "count").verdict == "same"
    assert row(found.rows, "unit_cost").verdict == "same"


def test_one_replication_is_compared_order_by_order():
    found = paired(world(0.0, 1), world(-1.0, 1), FACTS)
    assert row(found.rows, "order_to_result").low is None
    assert row(found.rows, "order_to_result").why_no_interval
    by_order = row(found.orders, "order_to_result")
    assert by_order.per == "order"
    assert by_order.verdict == "better"
    assert math.isclose(by_order.difference, -1.0, abs_tol=1e-9)
    assert any("one replication" in n for n in found.notes)


def test_only_the_same_orders_are_paired():
    a, b = world(0.0, 2, 60), world(-2.0, 2, 60, seed=9)
    found = paired(a, b, FACTS)
    assert found.orders == ()
    assert any("arrived at different times" in n for n in found.notes)


def test_replications_of_one_run_only_are_left_out():
    found = paired(world(0.0, 4), world(-1.0, 2), FACTS)
    assert found.replications == (0, 1)
    assert any("2 replications are in both" in n for n in found.notes)
