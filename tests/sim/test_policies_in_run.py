"""Policies decide inside a run, and what they may not decide ends it with words."""

import pickle
import sys
import traceback

import pytest
from smallplan import nodes, plan, replace, stream

from dssn_models.plan import PolicyPlan
from dssn_models.policies.api import Admit, Choose, ChooseRoute, Rank, RefuseOrder
from dssn_models.policies.failed import PolicyFailed
from dssn_sim.kernel import simulate


def orders(tables):
    return tables["orders"].to_pylist()


def tee_plan(**more):
    second = replace(nodes()[4], id="tee2", site="A")
    base = plan([stream("tee.job", "tee", params={}, times=[10.0, 400.0])], **more)
    links = (
        *base.network.links,
        replace(base.network.links[-1], index=len(base.network.links), id="access:tee2", a="tee2", b="A"),
    )
    return replace(base, nodes=(*base.nodes, second), network=replace(base.network, links=links))


@pytest.mark.req("NET-08")
def test_a_plain_function_places_the_job():
    def last(view, now, rng):
        return Choose(max(c.id for c in view.candidates), "by name")

    for choice, expected in ((last, "tee2"), (lambda v, now, rng: Choose("tee1"), "tee1")):
        tables = simulate(tee_plan(), 0, policies={"placement": choice})
        assert {r["node"] for r in tables["enclaves"].to_pylist()} == {expected}
    made = [r for r in tables["decisions"].to_pylist() if r["kind"] == "placement"]
    assert len(made) == 2
    assert made[0]["candidates"] == 2


def test_an_illegal_choice_ends_the_run():
    def lost(view, now, rng):
        return Choose("nowhere")

    with pytest.raises(PolicyFailed, match="'nowhere' is not a candidate") as caught:
        simulate(tee_plan(), 0, policies={"placement": lost})
    failed = caught.value.first
    assert (failed.kind, failed.policy, failed.order, failed.replication) == ("placement", "lost", 0, 0)
    assert failed.where == f"{__file__}:{lost.__code__.co_firstlineno}"
    assert failed.time_s > 10.0
    assert failed.__cause__ is None


def test_a_wrong_kind_of_decision_ends_the_run():
    with pytest.raises(PolicyFailed, match="must return Choose, not Admit"):
        simulate(tee_plan(), 0, policies={"placement": lambda v, now, rng: Admit()})


class Careless:
    kind = "placement"

    def decide(self, view, now, rng):
        return Choose(self.table[now])  # an attribute that is not there


@pytest.mark.parametrize(
    ("decide", "text"),
    [
        (Careless().decide, "AttributeError: 'Careless' object has no attribute 'table'"),
        (lambda v, now, rng: sys.exit(3), "SystemExit: 3"),
        (lambda v, now, rng: rng.integers(5, 0), "ValueError: low >= high"),
    ],
)
@pytest.mark.parametrize("kind", ["placement", "queueing", "admission", "technology"])
def test_what_a_policy_raises_ends_the_run_and_is_placed(decide, text, kind):
    with pytest.raises(PolicyFailed) as caught:
        simulate(tee_plan(), 0, policies={kind: decide})
    failed = caught.value.first
    assert failed.text == text
    assert failed.where.rpartition(":")[0] == __file__
    assert failed.where in str(failed)
    assert str(failed.__cause__) in text


class PickyError(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} {b}")


@pytest.mark.parametrize(("cause", "kept"), [(KeyError("x"), KeyError), (PickyError(1, 2), RuntimeError)])
def test_the_failure_travels_between_processes_with_its_cause(cause, kept):
    failed = PolicyFailed("placement", "mine", "mine.py:3", "KeyError: 'x'", 12.5, 7, 1)
    try:
        raise cause
    except (KeyError, PickyError) as error:
        failed.__cause__ = error
    again = pickle.loads(pickle.dumps(failed))
    assert str(again) == str(failed)
    assert isinstance(again.__cause__, kept)
    assert __file__ in "".join(traceback.format_exception(again.__cause__))


def test_admission_refuses_with_its_own_reason():
    def small_only(view, now, rng):
        return RefuseOrder("price.limit") if view.in_flight > 1 else Admit()

    p = plan([stream(times=[10.0, 10.0, 10.0])])
    reasons = sorted(r["reason"] for r in orders(simulate(p, 0, policies={"admission": small_only})))
    assert reasons == ["", "price.limit", "price.limit"]


@pytest.mark.req("NET-14")
def test_queueing_policy_sets_the_order_of_waiting_jobs():
    def newest_first(view, now, rng):
        return Rank((-view.queue[0].arrived_s,))

    p = plan([stream("mpc.semi2k", params={}, times=[10.0 + 0.1 * i for i in range(12)])])
    first = [r["order"] for r in simulate(p, 0)["deliveries"].to_pylist()]
    other = [
        r["order"] for r in simulate(p, 0, policies={"queueing": newest_first})["deliveries"].to_pylist()
    ]
    assert first == sorted(first)
    assert other != first


def test_routing_policy_takes_the_detour():
    def longest(view, now, rng):
        return ChooseRoute(max(view.routes, key=lambda r: r.hops).id)

    p = plan(policies={**plan().policies, "routing": PolicyPlan("routing", "least_utilised")})
    direct, detour = simulate(p, 0), simulate(p, 0, policies={"routing": longest})

    def used(tables):
        return {
            r["link"] for r in tables["links"].to_pylist() if r["bytes"] > 0 and r["link"].startswith("ip:")
        }

    assert "ip:B-C" not in used(direct)
    assert "ip:B-C" in used(detour)
