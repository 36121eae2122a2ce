"""Who gets the cores of a node: two jobs that meet, under each kind of sharing."""

import pytest
from smallplan import nodes, plan, stream

import dssn
from dssn_models.dist import constant
from dssn_sim.kernel import simulate

#: A job that computes for more than a minute on all cores of its nodes, and a short one that comes while it does.
LONG = stream("psi.ecdh", ident="long", times=[10.0], cls="bulk", params={"rows": constant(3e7)})
SHORT = stream("psi.ecdh", ident="short", times=[30.0], cls="urgent", params={"rows": constant(3e6)})


def runs(sharing, *streams):
    """Return {stream: (begin, end) of its run phase} on nodes that differ by their sharing only."""
    tables = simulate(plan(streams, nodes=nodes(sharing)), 0)
    orders = tables["orders"].to_pylist()
    assert {r["state"] for r in orders} == {"completed"}
    stream_of = {r["order"]: r["stream"] for r in orders}
    return {
        stream_of[r["order"]]: (r["start_s"], r["end_s"])
        for r in tables["phases"].to_pylist()
        if r["phase"] == "run"
    }


def length(times):
    return times[1] - times[0]


@pytest.fixture(scope="module")
def alone():
    return {"long": length(runs("ps", LONG)["long"]), "short": length(runs("ps", SHORT)["short"])}


def test_alone_the_sharing_makes_no_difference(alone):
    for sharing in ("reserved", "slots", "preemptive"):
        assert length(runs(sharing, SHORT)["short"]) == pytest.approx(alone["short"])
        assert length(runs(sharing, LONG)["long"]) == pytest.approx(alone["long"])


@pytest.mark.parametrize("sharing", ["preemptive", "ps"])
def test_an_urgent_job_takes_the_cores_of_one_that_runs(alone, sharing):
    both = runs(sharing, LONG, SHORT)
    assert both["short"][1] < both["long"][1]
    assert length(both["short"]) == pytest.approx(alone["short"])
    assert alone["long"] + 1 < length(both["long"]) < alone["long"] + alone["short"]


def test_without_preemption_it_waits_for_the_step_or_for_the_job(alone):
    slots, reserved = runs("slots", LONG, SHORT), runs("reserved", LONG, SHORT)
    # with slots it waits inside its run phase, with reserved cores before it
    assert length(slots["short"]) > 2 * alone["short"]
    assert slots["short"][1] < reserved["short"][1]
    assert length(reserved["short"]) == pytest.approx(alone["short"])
    assert reserved["short"][0] > reserved["long"][1]


@pytest.mark.parametrize("sharing", ["slots", "preemptive"])
def test_a_scenario_says_so_in_one_word(sharing):
    loaded = dssn.load(
        "bank-joint-model", set=[f"nodes.pool.sharing={sharing}", "run.warmup=0 s", "run.horizon=1 h"]
    )
    assert loaded.plan.node_by_id["pool"].sharing == sharing
    assert simulate(loaded.plan, 0)["deliveries"].num_rows > 0
