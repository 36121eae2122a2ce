"""The compiled kernel gives what the SimPy kernel gives: every row of every table."""

from dataclasses import replace

import numpy as np
import pytest
from smallplan import Dist, JobStepPlan, NetOrderPlan, constant_stream, network, nodes, plan, stream

from dssn.compile import compile_plan
from dssn.loading import load_scenario
from dssn_models.market.orders import expected_orders
from dssn_models.plan import ArrivalPlan, AssetPlan, PolicyPlan, SelectorPlan
from dssn_sim.choice import KernelError, choose
from dssn_sim.compiled.run import simulate_compiled
from dssn_sim.kernel import run_world, simulate
from dssn_sim.recorder import joined

#: What a row is known by; times are rounded so that the last digit does not change the order.
KEYS = {
    "orders": ["order"], "deliveries": ["order"], "phases": ["order", "phase", "detail", "start_s"],
    "states": ["order", "machine", "state", "at_s"], "flows": ["order", "source", "target", "data", "start_s"],
    "links": ["link", "direction"], "nodes": ["node"], "services": ["service"],
    "samples": ["kind", "id", "metric", "at_s"], "enclaves": ["order", "node", "start_s"],
    "channels": ["a", "b", "opened_s"], "decisions": ["order", "kind", "choice", "at_s"],
    "refusals": ["order", "at_s"], "evidence": ["order", "seq"], "meters": ["order", "kind"],
    "bills": ["order", "role", "item", "party"], "slices": ["order"], "alarms": ["at_s"],
}  # fmt: skip


def in_order(table, keys):
    rows = table.to_pandas()
    by = [rows[k].round(6) if rows[k].dtype.kind == "f" else rows[k] for k in keys]
    order = np.lexsort([np.unique(b.to_numpy(), return_inverse=True)[1] for b in reversed(by)])
    return rows.iloc[order].reset_index(drop=True)


def assert_same(simpy, compiled):
    for name, table in simpy.items():
        assert compiled[name].schema.equals(table.schema, check_metadata=True), name
        assert len(compiled[name]) == len(table), name
        a, b = in_order(table, KEYS[name]), in_order(compiled[name], KEYS[name])
        for column in table.column_names:
            x, y = a[column].to_numpy(), b[column].to_numpy()
            if x.dtype.kind == "f":
                np.testing.assert_allclose(y, x, rtol=1e-9, atol=1e-9, err_msg=f"{name}.{column}")
            else:
                np.testing.assert_array_equal(y, x, err_msg=f"{name}.{column}")


def both(of):
    simpy, compiled = run_world(of, 0).rec.tables(), joined(simulate_compiled(of, 0))
    assert_same(simpy, compiled)
    return compiled


def library(name, orders):
    found = compile_plan(load_scenario(name))
    factor = orders / sum(expected_orders(found).values())
    streams = (replace(s, arrivals=replace(s.arrivals, rate=s.arrivals.rate * factor)) for s in found.streams)
    return replace(found, streams=tuple(streams))


@pytest.mark.parametrize(
    ("name", "orders"), [("national-day", 400), ("bank-joint-model", 60), ("province-dual-channel", 300)]
)
def test_library_scenarios(name, orders):
    assert len(both(library(name, orders))["deliveries"]) > 0.5 * orders


@pytest.mark.parametrize(
    "name", ["nearest", "least_loaded", "cheapest", "random", "joint", "earliest_finish"]
)
def test_placement_policies(name):
    of = library("national-day", 150)
    both(replace(of, policies={**of.policies, "placement": PolicyPlan("placement", name)}))


@pytest.mark.parametrize("name", ["fifo", "priority", "earliest_deadline", "shortest_job"])
def test_crowded_nodes_under_each_order_of_the_queue(name):
    of = plan([
        replace(constant_stream(400), id="a", cls="bulk"), replace(constant_stream(100), id="b", cls="urgent"),
        stream("fl.horizontal", ident="c", arrivals=ArrivalPlan("poisson", rate=0.02), parties=2, params={"rounds": 5.0}),
    ])  # fmt: skip
    of = replace(of, policies={**of.policies, "queueing": PolicyPlan("queueing", name)})
    assert max(both(of)["deliveries"]["queue_s"].to_pylist()) > 1.0


CASES = {
    "shared cores": {"nodes": nodes("ps")},
    "warm-up and share of details": {},
    "no drain": {},
    "review": {"compliance": {"human_share": 0.4, "refuse_share": 0.3}},
    "prices": {"tariff": {"bytes": 1e-9, "core_s": 1e-4, "result": 0.2}},
    "slow links": {"network": network(rate=2e7)},
}


@pytest.mark.parametrize("case", CASES)
def test_features(case):
    of = plan(
        [
            replace(constant_stream(60), quality_defect=0.2, price_cny=7.0),
            stream("tee.job", "tee", "t", arrivals=ArrivalPlan("poisson", rate=0.01), params={"rows": Dist("uniform", 1e3, 1e6)}),
            stream("transfer.bulk", "package", "x", times=(5.0, 5.0, 3500.0), params={"size": 1e9}),
            stream(
                "psi.ecdh", ident="chain", times=(7.0, 60.0), net=NetOrderPlan(keep_open_s=30.0),
                steps=(
                    JobStepPlan("one", "psi.ecdh"), JobStepPlan("two", "stats.masked", after=("one",)),
                    JobStepPlan("three", "he.paillier", after=("one",)),
                    JobStepPlan("four", "mpc.semi2k", after=("two", "three")),
                ),
            ),
        ],
        **CASES[case],
    )  # fmt: skip
    run = of.run
    if case == "warm-up and share of details":
        run = replace(run, warmup_s=900.0, detail=0.5)
    elif case == "no drain":
        run = replace(run, horizon_s=3600.0, drain=False)
    tables = both(replace(of, run=run))
    assert len(tables["deliveries"]) > 20


@pytest.mark.req("FLW-02", "FLW-03")
def test_forms_of_assets_decide_alike():
    assets = (
        AssetPlan("a1", "dsn1", level=1, rows=1e5, forms=("privacy", "tee")), AssetPlan("a2", "dsn2", level=1, rows=1e5),
        AssetPlan("a3", "dsn3", level=1, rows=1e5, forms=("api",)),
    )  # fmt: skip
    mixed = SelectorPlan(("a1", "a2", "a3"))
    of = plan(
        [
            stream("transfer.bulk", "package", "raw", times=range(1, 13), params={"size": 1e6}, assets=mixed),
            stream("psi.rr22", ident="two", times=range(20, 32), parties=2, assets=mixed, params={"rows": 1e4}),
            stream(
                "psi.rr22", ident="dual", times=range(40, 60), assets=mixed, params={"rows": 1e4}, threshold=2,
                sensitivity=Dist("uniform", 1.0, 3.0), alternate=(JobStepPlan("ask", "api.query"),),
            ),
            replace(stream("transfer.bulk", "package", "old", times=(70.0,), params={"size": 1e6}), baseline=True),
        ],
        assets=assets,
    )  # fmt: skip
    tables = both(of)
    allowed = {a.id: set(a.forms) or {"package", "api", "privacy"} for a in assets}
    seen = set()
    for row in tables["orders"].to_pylist():
        fits = row["stream"] == "old" or all(row["channel"] in allowed[a] for a in row["assets"].split(","))
        assert row["reason"] == ("" if fits else "compliance.form")
        seen.add((row["stream"], row["channel"], fits))
    dual = {("dual", channel, fits) for channel in ("api", "privacy") for fits in (True, False)}
    assert {*dual, ("raw", "package", False), ("raw", "package", True), ("old", "package", True)} <= seen
    assert {row["detail"] for row in tables["refusals"].to_pylist()} == {
        f"asset: forms ({form})" for form in ("package", "privacy", "api")
    }


def test_same_plan_same_bytes():
    of = plan([constant_stream(50)])
    first, second = (joined(simulate_compiled(of, 0)) for _ in range(2))
    assert {k: repr(t.to_pydict()) for k, t in first.items()} == {
        k: repr(t.to_pydict()) for k, t in second.items()
    }
    assert first["orders"]["arrived_s"] != joined(simulate_compiled(of, 1))["orders"]["arrived_s"]


def test_choice_of_the_kernel():
    small, large = plan([constant_stream(50)]), plan([constant_stream(50_000)])
    assert choose(small) == ("simpy", "50 orders expected, fewer than 5000")
    assert choose(large).kernel == "compiled"
    tcp = replace(large, network=replace(large.network, transport="tcp"))
    assert choose(tcp) == ("simpy", "transport tcp")
    assert choose(replace(large, run=replace(large.run, kernel="simpy"))).kernel == "simpy"
    with pytest.raises(KernelError, match="transport tcp"):
        choose(replace(tcp, run=replace(tcp.run, kernel="compiled")))
    forced = replace(small, run=replace(small.run, kernel="compiled"))
    assert_same(simulate(small, 0), simulate(forced, 0))
