"""A share of the orders keeps its details; which ones depends on their numbers alone."""

from dataclasses import replace

import pytest
from smallplan import constant_stream, plan

from dssn_models.market.orders import detail_share
from dssn_sim.kernel import simulate

DETAILS = ("phases", "states", "flows", "evidence", "meters", "bills", "decisions")


def test_share_of_details():
    whole = plan([constant_stream(60)])
    all_of = simulate(whole, 0)
    some = simulate(replace(whole, run=replace(whole.run, detail=0.3)), 0)
    for name in ("orders", "deliveries", "refusals", "nodes", "services", "links", "samples"):
        assert repr(some[name].to_pydict()) == repr(all_of[name].to_pydict()), name  # NaN is NaN
    kept = set(some["phases"]["order"].to_pylist())
    assert 0 < len(kept) < len(all_of["orders"])
    for name in DETAILS:
        expected = [r for r in all_of[name].to_pylist() if r["order"] in kept]
        assert repr(some[name].to_pylist()) == repr(expected), name


@pytest.mark.parametrize(("orders", "share"), [(1e3, 1.0), (2e6, 0.025)])
def test_auto_keeps_about_50_000(orders, share):
    assert detail_share(plan([constant_stream(orders)])) == pytest.approx(share)
