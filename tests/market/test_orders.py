from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from dssn_models.dist import Dist, constant
from dssn_models.market.arrivals import DrawError, arrival_times, expected_count, rate_steps
from dssn_models.market.orders import Orders, draw_orders, expected_orders
from dssn_models.plan import (
    ArrivalPlan,
    AssetPlan,
    ClassPlan,
    JobStepPlan,
    NetworkPlan,
    NodePlan,
    Plan,
    RunPlan,
    SelectorPlan,
    SitePlan,
    StreamPlan,
)
from dssn_models.rng import Streams

H = 3600.0
DAY = 86400.0


def asset(name, node, level=2):
    return AssetPlan(name, node, level)


def a_stream(name="s", **changes):
    base = StreamPlan(
        name,
        "standard",
        ArrivalPlan("poisson", rate=1.0),
        consumers=SelectorPlan(("c1", "c2")),
        assets=SelectorPlan(("a1", "a2", "b1")),
        parties=constant(1),
        steps=(
            JobStepPlan(
                "run", "psi.ecdh", params={"rows": Dist("lognormal", 1000, 0.5), "receiver": "guest"}
            ),
        ),
    )
    return replace(base, **changes)


def a_plan(*streams, horizon=1000.0, assets=None):
    assets = assets or (asset("a1", "pa"), asset("a2", "pa", 4), asset("b1", "pb", 3))
    names = dict.fromkeys(["c1", "c2", *(a.node for a in assets)])
    return Plan(
        "p", "", "", NetworkPlan((SitePlan("x"),), ()), tuple(NodePlan(n, "dsn", "x", n) for n in names), (), (),
        tuple(assets), (ClassPlan("standard"),), streams, {}, (), (), RunPlan(horizon),
    )  # fmt: skip


def draw(*streams, seed=1, replication=0, **kw) -> Orders:
    return draw_orders(a_plan(*streams, **kw), Streams(seed, replication))


def rows(orders, stream):
    return [replace(o, index=0) for o in (orders.row(i) for i in range(len(orders))) if o.stream.id == stream]


# ------------------------------------------------------------ statistics


def test_poisson_counts_and_gaps():
    times, _ = arrival_times(ArrivalPlan("poisson", rate=5.0), 20_000.0, np.random.default_rng(3))
    counts = np.histogram(times, bins=2000, range=(0, 20_000))[0]
    assert abs(len(times) - 100_000) < 3.3 * np.sqrt(100_000)
    assert 0.9 < counts.var() / counts.mean() < 1.1  # dispersion of a Poisson process is 1
    assert stats.kstest(np.diff(times), "expon", args=(0, 1 / 5)).pvalue > 0.01
    assert np.all(np.diff(times) >= 0)


def test_diurnal_shape():
    profile = tuple(float(x) for x in [0] * 6 + [1] * 6 + [4] * 6 + [1] * 6)
    plan = ArrivalPlan("diurnal", rate=1.0, profile=profile)
    times, _ = arrival_times(plan, 5 * DAY, np.random.default_rng(4))
    hour = np.bincount((times % DAY // H).astype(int), minlength=24)
    wanted = np.array(profile) / np.mean(profile) * 5 * H
    assert abs(len(times) - 5 * DAY) < 3.3 * np.sqrt(5 * DAY)  # the rate is the mean over the day
    assert hour[:6].sum() == 0
    assert stats.chisquare(hour[6:], wanted[6:] * hour.sum() / wanted.sum()).pvalue > 0.01


def test_bursts_multiply_the_background():
    plan = ArrivalPlan("bursts", rate=2.0, windows=((1000.0, 500.0, 10.0), (1250.0, 1000.0, 0.0)))
    times, _ = arrival_times(plan, 4000.0, np.random.default_rng(5))

    def count(a, b):
        return int(np.count_nonzero((times >= a) & (times < b)))

    assert abs(count(1000, 1250) - 5000) < 3.3 * np.sqrt(5000)
    assert count(1250, 2250) == 0
    assert abs(count(2250, 4000) - 3500) < 3.3 * np.sqrt(3500)
    assert expected_count(plan, 4000.0) == pytest.approx(2000 + 5000 + 3500)


def test_rate_steps_of_a_part_of_a_day():
    plan = ArrivalPlan("diurnal", rate=1.0, profile=(1.0, 3.0), start_s=H, end_s=13 * H)
    edges, rates = rate_steps(plan, DAY)
    assert edges.tolist() == [H, 12 * H, 13 * H]
    assert rates.tolist() == [0.5, 1.5]


def test_renewal_gaps_follow_their_distribution():
    gap = Dist("erlang", 2.0, 4)
    times, _ = arrival_times(ArrivalPlan("renewal", gap=gap), 40_000.0, np.random.default_rng(6))
    gaps = np.diff(times)
    assert gaps.mean() == pytest.approx(2.0, rel=0.02)
    assert gaps.var() == pytest.approx(1.0, rel=0.05)  # mean^2 / k


def test_schedule_trace_limit_and_window():
    plan = ArrivalPlan("trace", times=(5.0, 1.0, 9.0, 50.0), start_s=2.0)
    times, index = arrival_times(plan, 10.0, np.random.default_rng(0))
    assert times.tolist() == [5.0, 9.0]
    assert index.tolist() == [0, 2]
    times, _ = arrival_times(
        ArrivalPlan("poisson", rate=1.0, limit=7, start_s=100, end_s=500), 1000.0, np.random.default_rng(0)
    )
    assert len(times) == 7
    assert times[0] >= 100
    assert len(arrival_times(ArrivalPlan("poisson", rate=0.0), 10.0, np.random.default_rng(0))[0]) == 0


def test_impossible_arrivals_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(DrawError, match="at most"):
        arrival_times(ArrivalPlan("poisson", rate=1e9), 1e6, rng)
    with pytest.raises(DrawError, match="zero"):
        arrival_times(ArrivalPlan("renewal", gap=constant(0)), 1e6, rng)
    with pytest.raises(DrawError, match="nothing to choose"):
        draw(a_stream(assets=SelectorPlan(("a1",), (0.0,))))


def test_zipf_and_weights():
    ids = tuple(f"a{i}" for i in range(50))
    assets = tuple(asset(i, "n" + i) for i in ids)
    orders = draw(a_stream(assets=SelectorPlan(ids, zipf=1.1)), horizon=50_000.0, assets=assets)
    count = np.bincount([ids.index(orders.row(i).assets[0]) for i in range(0, len(orders), 5)], minlength=50)
    p = np.arange(1, 51) ** -1.1
    assert stats.chisquare(count, p / p.sum() * count.sum()).pvalue > 0.01
    orders = draw(a_stream(consumers=SelectorPlan(("c1", "c2"), (3.0, 1.0))), horizon=20_000.0)
    share = np.mean([orders.row(i).consumer == "c1" for i in range(len(orders))])
    assert share == pytest.approx(0.75, abs=0.02)


# ------------------------------------------------------------ independence of streams


@pytest.mark.req("TB-02")
def test_another_stream_or_node_shifts_no_draw():
    one = draw(a_stream("one"))
    two = draw(a_stream("zero", arrivals=ArrivalPlan("poisson", rate=3.0)), a_stream("one"), a_stream("two"))
    assert rows(two, "one") == [replace(o) for o in rows(one, "one")]
    more = a_plan(a_stream("one"))
    more = replace(more, nodes=(*more.nodes, NodePlan("extra", "dsn", "x", "y")))
    assert rows(draw_orders(more, Streams(1, 0)), "one") == rows(one, "one")
    # a longer horizon only adds orders at the end
    longer = draw(a_stream("one"), horizon=2000.0)
    assert np.array_equal(longer.arrived_s[: len(one)], one.arrived_s)
    assert longer.row(5).consumer == one.row(5).consumer
    # a further drawn parameter leaves the others
    step = JobStepPlan(
        "run", "psi.ecdh", params={"rows": Dist("lognormal", 1000, 0.5), "columns": Dist("uniform", 1, 9)}
    )
    both = draw(a_stream("one", steps=(step,)))
    assert both.row(3).params["run"]["rows"] == one.row(3).params["run"]["rows"]


@pytest.mark.req("TB-02")
def test_same_seed_same_orders_other_replication_other_orders():
    a, b, c = draw(a_stream()), draw(a_stream()), draw(a_stream(), replication=1)
    assert rows(a, "s") == rows(b, "s")
    assert a.arrived_s[0] != c.arrived_s[0]


def test_merged_by_time_with_stable_indices():
    schedule = ArrivalPlan("schedule", times=(1.0, 2.0, 2.0))
    orders = draw(a_stream("x", arrivals=schedule), a_stream("y", arrivals=schedule))
    got = [
        (orders.row(i).index, orders.row(i).arrived_s, orders.row(i).stream.id) for i in range(len(orders))
    ]
    assert got == [(0, 1, "x"), (1, 1, "y"), (2, 2, "x"), (3, 2, "x"), (4, 2, "y"), (5, 2, "y")]
    assert orders.counts() == {"x": 3, "y": 3}
    assert len(draw()) == 0
    assert len(draw(a_stream(arrivals=ArrivalPlan("poisson", rate=0.0)))) == 0


# ------------------------------------------------------------ parties, levels, parameters


def test_parties_are_distinct_providers():
    ids = ("a1", "a2", "b1", "c1", "d1")
    assets = (asset("a1", "pa"), asset("a2", "pa"), asset("b1", "pb"), asset("c1", "pc"), asset("d1", "pd"))
    selector = SelectorPlan(ids, (1.0, 1.0, 1.0, 1.0, 1e-9))
    orders = draw(a_stream(assets=selector, parties=Dist("uniform", 1, 6)), assets=assets)
    sizes = set()
    for i in range(len(orders)):
        order = orders.row(i)
        assert len(set(order.providers)) == len(order.providers) == len(order.assets)
        sizes.add(len(order.providers))
    assert sizes == {1, 2, 3, 4}  # never more than there are, also when the last one is hardly ever drawn


def test_conditional_choice_of_the_second_party():
    """Without replacement by provider: P(second = j | first = i) = w_j / (1 - w_i)."""
    ids = ("x", "y", "z")
    orders = draw(
        a_stream(assets=SelectorPlan(ids, (0.6, 0.3, 0.1)), parties=constant(2)),
        horizon=30_000.0,
        assets=tuple(asset(i, "n" + i) for i in ids),
    )
    pairs = [orders.row(i).assets for i in range(len(orders))]
    after_x = [b for a, b in pairs if a == "x"]
    assert np.mean([b == "y" for b in after_x]) == pytest.approx(0.75, abs=0.015)


@pytest.mark.req("FLW-07", "SCN-01")
def test_dual_channel_routes_by_level():
    stream = a_stream(
        sensitivity=Dist("uniform", 0.5, 4.5),
        threshold=3,
        alternate=(JobStepPlan("call", "api.query", params={"calls": 5.0}),),
    )
    orders = draw(stream, horizon=4000.0)
    found = [orders.row(i) for i in range(len(orders))]
    assert {(o.level >= 3, o.channel, o.steps[0].id, *o.params) for o in found} == {
        (True, "privacy", "run", "run"),
        (False, "api", "call", "call"),
    }
    counts = np.bincount([o.level for o in found], minlength=5)[1:]
    assert stats.chisquare(counts).pvalue > 0.01


def test_level_is_the_highest_of_the_assets():
    orders = draw(a_stream(parties=constant(2)))
    level = {"a1": 2, "a2": 4, "b1": 3}
    for i in range(0, len(orders), 50):
        order = orders.row(i)
        assert order.level == max(level[a] for a in order.assets)


def test_trace_columns_become_parameters():
    arrivals = ArrivalPlan("trace", times=(3.0, 1.0, 2.0), columns={"rows": (30.0, 10.0, 20.0)})
    orders = draw(a_stream(arrivals=arrivals))
    assert [orders.row(i).params["run"] for i in range(3)] == [
        {"rows": r, "receiver": "guest"} for r in (10.0, 20.0, 30.0)
    ]


def test_defects_come_at_their_rate():
    orders = draw(a_stream(quality_defect=0.2), horizon=10_000.0)
    assert np.mean([orders.row(i).defect for i in range(len(orders))]) == pytest.approx(0.2, abs=0.015)


def test_expected_orders():
    plan = a_plan(a_stream("p"), a_stream("r", arrivals=ArrivalPlan("renewal", gap=constant(4.0))))
    assert expected_orders(plan) == {"p": 1000.0, "r": 250.0}
    assert len(draw_orders(plan, Streams(1, 0))) == pytest.approx(1250, abs=110)
