"""Who gets the cores of a node: two jobs that meet, under each kind of sharing."""

import pytest
from smallplan import nodes, plan, replace, stream

import dssn
from dssn_models.dist import constant
from dssn_models.plan import AcceleratorPlan
from dssn_sim.kernel import simulate

#: A job that computes for more than a minute on all cores of its nodes, and a short one that comes while it does.
LONG = stream("psi.ecdh", ident="long", times=[10.0], cls="bulk", params={"rows": constant(3e7)})
SHORT = stream("psi.ecdh", ident="short", times=[30.0], cls="urgent", params={"rows": constant(3e6)})


def runs(sharing, *streams, cards=()):
    """Return {stream: (begin, end) of its run phase} on nodes that differ by their sharing and cards only."""
    made = tuple(replace(n, accelerators=cards) for n in nodes(sharing))
    tables = simulate(plan(streams, nodes=made), 0)
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


def fpga(count, *, exclusive):
    return (AcceleratorPlan("fpga", count, {"curve": 2.0}, exclusive=exclusive),)


TWINS = [replace(LONG, id=name, cls=cls) for name, cls in (("first", "urgent"), ("second", "bulk"))]


def test_a_card_shortens_the_work_of_its_operator_and_nothing_else():
    def core_s(speedup):
        cards = (AcceleratorPlan("fpga", 1, {"curve": speedup}, exclusive=True),)
        made = tuple(replace(n, accelerators=cards) for n in nodes("ps"))
        return simulate(plan([LONG], nodes=made), 0)["deliveries"].to_pylist()[0]["core_s"]

    # saved: (1 - 1/s) of the work on curves, so these two stand like 5 to 9
    assert (core_s(1.0) - core_s(2.0)) / (core_s(1.0) - core_s(10.0)) == pytest.approx(5 / 9)


def test_an_exclusive_card_serves_one_step_at_a_time():
    # of equal priority, so that twins on shared cards take as long as each other
    twins = [replace(s, cls="bulk") for s in TWINS]
    single = length(runs("ps", twins[0], cards=fpga(1, exclusive=True))["first"])
    shared = runs("ps", *twins, cards=fpga(1, exclusive=False))
    assert length(shared["first"]) == pytest.approx(length(shared["second"]))
    assert runs("ps", *twins, cards=fpga(2, exclusive=True)) == shared
    first, second = sorted(map(length, runs("ps", *twins, cards=fpga(1, exclusive=True)).values()))
    # one after the other: the first is through earlier, the second no later than both were
    assert single < first < length(shared["first"]) - 5
    assert second == pytest.approx(length(shared["second"]))


def test_cards_are_given_by_priority():
    third = replace(LONG, id="third", cls="standard")
    times = runs("ps", *TWINS, third, cards=fpga(1, exclusive=True))
    assert times["first"][1] < times["third"][1] < times["second"][1]


def test_a_scenario_names_exclusive_cards():
    loaded = dssn.load(
        "bank-joint-model", set=["nodes.pool.accelerators=[{kind: gpu, count: 2, exclusive: true}]"]
    )
    (card,) = loaded.plan.node_by_id["pool"].accelerators
    assert (card.kind, card.count, card.exclusive) == ("gpu", 2, True)
