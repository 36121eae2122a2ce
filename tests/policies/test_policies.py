import doctest
import importlib
import math
import re
import sys
import types
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from dssn_models.plan import PolicyPlan
from dssn_models.policies import registry
from dssn_models.policies.api import (
    Admit,
    Choose,
    ChooseTechnology,
    JobFacts,
    NodeView,
    QueueItem,
    Rank,
    RefuseOrder,
    RouteView,
    TechnologyView,
    View,
)
from dssn_models.policies.legality import fault_of
from dssn_models.policies.registry import SHIPPED, PolicyError, as_policy, available, resolve
from dssn_models.policies.testing import ConformanceError, check_policy, make_view, make_views

RNG = np.random.default_rng(0)


def node(name, **changes):
    base = NodeView(name, "x", "pool", 8, 1.0, 8, 16e9, 0, 0.0, 4.0, 0.010, 1e9)
    return replace(base, **changes)


def job(**changes):
    base = JobFacts("1", "s", "standard", 1, "psi.ecdh", "arbiter", 100.0, 1e9, None, 0.0, ("a", "b"))
    return replace(base, **changes)


def ask(kind, name, view, now=0.0, **options):
    return resolve(PolicyPlan(kind, name, options)).decide(view, now, np.random.default_rng(1))


# ------------------------------------------------------------ every shipped policy


@pytest.mark.parametrize(("kind", "name"), SHIPPED)
def test_shipped_policies_conform(kind, name):
    options = {"technology": "otn"} if name == "fixed" else {}
    report = check_policy(SHIPPED[kind, name], kind, options, cases=200)
    assert report.cases == 200
    if kind in ("placement", "technology", "routing"):
        assert report.refusals >= 22  # of 200 views 23 have no candidates
        assert report.refusals < 190


@pytest.mark.parametrize(
    ("kind", "name"), [k for k in SHIPPED if k[0] in ("placement", "routing", "technology")]
)
def test_the_order_of_candidates_does_not_matter(kind, name):
    for now, view in make_views(kind, 100, seed=5):
        turned = replace(
            view,
            candidates=list(view.candidates)[::-1],
            routes=list(view.routes)[::-1],
            technologies=list(view.technologies)[::-1],
        )
        a, b = (
            resolve(PolicyPlan(kind, name)).decide(v, now, np.random.default_rng(3)) for v in (view, turned)
        )
        assert a == b


# ------------------------------------------------------------ placement


def test_placement_takes_what_it_is_named_for():
    view = View(
        job=job(),
        candidates=[
            node("far_free", rtt_s=0.1),
            node(
                "near_busy",
                rtt_s=0.001,
                free_cores=0,
                queue_length=3,
                backlog_core_s=8e5,
                price_cny_per_hour=6,
            ),
            node("cheap", rtt_s=0.05, backlog_core_s=80.0, price_cny_per_hour=1.0, free_cores=2),
            node("down", rtt_s=0.0, up=False, price_cny_per_hour=0.0),
        ],
    )
    assert ask("placement", "nearest", view).node == "near_busy"
    assert ask("placement", "least_loaded", view).node == "far_free"
    assert ask("placement", "cheapest", view).node == "cheap"
    assert ask("placement", "joint", view).node == "cheap"  # same compute and network as far_free, nearer


@pytest.mark.req("NET-08")
def test_joint_weighs_computing_against_moving():
    slow_net = node("slow_net", bottleneck_bps=10e6)
    slow_cpu = node("slow_cpu", core_speed=0.25)
    heavy_data = View(job=job(traffic_bytes=1e9, work_core_s=100), candidates=[slow_net, slow_cpu])
    heavy_work = View(job=job(traffic_bytes=1e6, work_core_s=1e5), candidates=[slow_net, slow_cpu])
    assert ask("placement", "joint", heavy_data).node == "slow_cpu"
    assert ask("placement", "joint", heavy_work).node == "slow_net"
    assert ask("placement", "earliest_finish", heavy_data).node == "slow_net"  # sees computing only
    chatty = View(
        job=job(traffic_bytes=0.0, rounds=1000),
        candidates=[node("far", rtt_s=0.05), node("slow", core_speed=0.5)],
    )
    assert ask("placement", "joint", chatty).node == "slow"  # 1000 round trips weigh more than slow cores
    cold = View(job=job(), candidates=[node("near_cold", rtt_s=0.001, start_s=9.5), node("warm", rtt_s=0.02)])
    assert ask("placement", "joint", cold).node == "warm"
    enclaves = View(job=job(), candidates=[node("a", slowdown=1.25), node("b", slowdown=1.05)])
    assert ask("placement", "joint", enclaves).node == "b"
    waiting = node("waiting", free_cores=0, queue_length=2, backlog_core_s=8 * 300.0)
    far = node("far", rtt_s=2.0)
    assert ask("placement", "joint", View(job=job(), candidates=[waiting, far])).node == "far"


@pytest.mark.req("NET-08")
def test_joint_is_the_optimum_of_its_estimate_on_small_cases():
    """Among all candidates none has a smaller wait + work + transfer + round trip."""
    for now, view in make_views("placement", 150, seed=9):
        decision = ask("placement", "joint", view, now, parallel=4.0)
        alive = [c for c in view.candidates if c.up and math.isfinite(c.rtt_s)]
        if not alive:
            assert isinstance(decision, RefuseOrder)
            continue

        def estimate(c, view=view):
            wait = (
                0.0
                if c.queue_length == 0 and c.free_cores >= 1
                else c.backlog_core_s / (c.cores * c.core_speed)
            )
            cores = min(view.job.cores or 4.0, c.cores) * c.core_speed
            move = 8 * view.job.traffic_bytes / max(c.bottleneck_bps, 1e3)
            work = c.start_s + view.job.work_core_s * c.slowdown / cores
            return wait + work + move + view.job.rounds * c.rtt_s

        best = min(estimate(c) for c in alive)
        chosen = next(c for c in alive if c.id == decision.node)
        assert estimate(chosen) == pytest.approx(best, rel=1e-12)


def test_joint_on_a_sample_spreads_orders_that_see_the_same_state():
    view = View(job=job(), candidates=[node(f"n{i}", rtt_s=0.001 * i) for i in range(10)])
    policy, rng = resolve(PolicyPlan("placement", "joint", {"choices": 2})), np.random.default_rng(1)
    chosen = {policy.decide(view, 0.0, rng).node for _ in range(200)}
    assert len(chosen) == 9  # all but the last, which never wins a pair
    assert {ask("placement", "joint", view).node} == {"n0"}


def test_random_is_uniform_over_the_living():
    view = View(candidates=[node("a"), node("b"), node("c", up=False), node("d")])
    policy, rng = resolve(PolicyPlan("placement", "random")), np.random.default_rng(1)
    got = [policy.decide(view, 0.0, rng).node for _ in range(3000)]
    for name in "abd":
        assert got.count(name) == pytest.approx(1000, abs=100)
    assert "c" not in got


def test_why_no_node():
    assert ask("placement", "nearest", View()) == RefuseOrder("capacity.node")
    assert ask("placement", "joint", View(candidates=[node("a", up=False)])) == RefuseOrder("capacity.node")
    cut = View(candidates=[node("a", rtt_s=math.inf)])
    assert ask("placement", "random", cut) == RefuseOrder("network.no_route")


# ------------------------------------------------------------ routing, technology


def test_routing():
    routes = [
        RouteView(0, 3, 0.010, 1e9, 5.0, ()),
        RouteView(1, 2, 0.020, 9e9, 5.0, ()),
        RouteView(2, 9, 0.030, 2e9, 1.0, ()),
        RouteView(3, 2, 0.010, 1e8, 9.0, ()),
    ]
    view = View(routes=routes)
    assert ask("routing", "shortest_delay", view).route == 3  # fewer hops at the same delay
    assert ask("routing", "least_utilised", view).route == 1
    assert ask("routing", "cheapest", view).route == 2


def test_technology_serves_the_order():
    otn = TechnologyView("otn", 0.004, 5e9, 30.0, "hard", 60.0, 0.0, 0.9999)
    ptn = TechnologyView("ptn", 0.006, 9e9, 12.0, "soft", 5.0, 0.0, 0.9999)
    ip = TechnologyView("ip", 0.008, 1e9, 4.0, "none", 0.0, 1e-4, 0.999)
    view = View(technologies=[ip, otn, ptn])
    assert ask("technology", "cheapest", view).technology == "ip"
    assert ask("technology", "fastest", view).technology == "otn"
    soft = replace(view, options={"isolation": "soft", "rate_bps": None})
    assert ask("technology", "cheapest", soft).technology == "ptn"
    fast = replace(view, options={"isolation": "none", "rate_bps": 8e9})
    assert ask("technology", "fastest", fast).technology == "ptn"
    both = replace(view, options={"isolation": "hard", "rate_bps": 8e9})
    assert ask("technology", "cheapest", both) == RefuseOrder("capacity.network")
    assert ask("technology", "fixed", view, technology="ptn") == ChooseTechnology("ptn", reason="fixed")
    assert ask("technology", "fixed", view, technology="spn") == RefuseOrder("network.no_route")


# ------------------------------------------------------------ queueing, admission


def order_of(name, items, **options):
    keys = {i.id: ask("queueing", name, View(queue=(i,)), **options).key for i in items}
    return sorted(keys, key=keys.__getitem__)


def test_queueing_orders():
    items = [
        QueueItem(1, 2, 1.0, 50.0, 1.0, 10.0),
        QueueItem(2, 0, 1.0, None, 4.0, 5.0),
        QueueItem(3, 1, 1.0, 20.0, 3.0, 99.0),
        QueueItem(4, 1, 1.0, 50.0, 2.0, 5.0),
    ]
    assert order_of("fifo", items) == [1, 4, 3, 2]
    assert order_of("priority", items) == [2, 4, 3, 1]
    assert order_of("earliest_deadline", items) == [3, 1, 4, 2]
    assert order_of("shortest_job", items) == [4, 2, 1, 3]
    keys = {i.id: ask("queueing", "priority", View(queue=(i,)), aging="1 s").key[0] for i in items}
    assert keys == {1: 3.0, 2: 4.0, 3: 4.0, 4: 3.0}


def test_token_bucket_takes_rate_and_burst():
    policy = resolve(PolicyPlan("admission", "token_bucket", {"rate": "2 /s", "burst": 5}))
    view = View(job=job())
    taken = [policy.decide(view, 0.0, RNG) for _ in range(8)]
    assert [isinstance(d, Admit) for d in taken] == [True] * 5 + [False] * 3
    taken = sum(isinstance(policy.decide(view, t / 10, RNG), Admit) for t in range(1, 1001))
    assert taken == 200  # 100 s at 2 /s
    urgent = resolve(PolicyPlan("admission", "token_bucket", {"rate": "2 /s", "burst": 1, "exempt_below": 1}))
    assert all(isinstance(urgent.decide(View(job=job(priority=0)), 0.0, RNG), Admit) for _ in range(9))


def test_admission_limits():
    assert isinstance(ask("admission", "max_in_flight", View(in_flight=9), limit=10), Admit)
    assert ask("admission", "max_in_flight", View(in_flight=10), limit=10) == RefuseOrder("admission.policy")
    quick = View(job=job(deadline_s=120.0), in_flight=10)
    assert isinstance(ask("admission", "deadline_aware", quick, 100.0, service="10 s", slots=100), Admit)
    full = replace(quick, in_flight=200)
    assert isinstance(ask("admission", "deadline_aware", full, 100.0, service="10 s", slots=100), RefuseOrder)
    seen = View(job=job(deadline_s=120.0, work_core_s=4000.0), candidates=[node("a")])
    assert isinstance(ask("admission", "deadline_aware", seen, 0.0), RefuseOrder)
    assert isinstance(ask("admission", "deadline_aware", replace(seen, job=job(deadline_s=None))), Admit)


# ------------------------------------------------------------ registry


@dataclass
class Mine:
    """My policy."""

    weight: float = 1.0
    kind: ClassVar[str] = "placement"

    def decide(self, view, now, rng):
        return Choose(view.candidates[0].id)


def plain(view, now, rng):
    return Admit(str(view.options.get("word", "")))


@pytest.fixture
def mine(monkeypatch):
    module = types.ModuleType("mine_for_test")
    module.Mine, module.plain, module.made, module.number = Mine, plain, Mine(3.0), 7
    monkeypatch.setitem(sys.modules, "mine_for_test", module)
    return module


def test_resolving_class_object_and_function(mine):
    assert resolve(PolicyPlan("placement", "mine_for_test:Mine", {"weight": 2})).weight == 2
    assert resolve(PolicyPlan("placement", "mine_for_test:made")) is mine.made
    policy = resolve(PolicyPlan("admission", "mine_for_test:plain", {"word": "x"}))
    assert policy.kind == "admission"
    assert policy.decide(View(options={"other": 1}), 0.0, RNG) == Admit("x")
    a, b = (resolve(PolicyPlan("admission", "token_bucket")) for _ in range(2))
    assert a is not b  # memory never leaks from one replication to the next


@pytest.mark.parametrize(
    ("kind", "name", "options", "code", "text"),
    [
        ("placement", "neerest", {}, "unknown", "did you mean 'nearest'"),
        ("placement", "least-loaded", {}, "unknown", "did you mean 'least_loaded'"),
        ("plaicement", "nearest", {}, "kind", "did you mean 'placement'"),
        ("placement", "fifo", {}, "kind", "is no placement policy but one of queueing"),
        ("queueing", "mine_for_test:Mine", {}, "kind", "is a placement policy"),
        ("placement", "no_such_module_x:Mine", {}, "import", "there is no module"),
        ("placement", "mine_for_test:Mien", {}, "import", "did you mean 'Mine'"),
        ("placement", "mine_for_test:", {}, "import", "module:object"),
        ("placement", "mine_for_test:number", {}, "signature", "neither a policy class"),
        ("placement", "math:sin", {}, "signature", "decide(view, now, rng)"),
        ("placement", "mine_for_test:made", {"weight": 1.0}, "option", "takes no options"),
        ("placement", "joint", {"paralel": 2.0}, "option", "did you mean 'parallel'"),
        ("placement", "joint", {"parallel": "two"}, "option", "a number above zero"),
        ("placement", "joint", {"parallel": 10**400}, "option", "a number above zero"),
        ("admission", "max_in_flight", {"limit": -1}, "option", "a whole number"),
        ("admission", "token_bucket", {"rate": 5}, "option", "bare number"),
        ("admission", "token_bucket", {"rate": "5 GB"}, "option", "not a unit of frequency"),
    ],
)
def test_what_cannot_be_resolved_says_why(mine, kind, name, options, code, text):
    with pytest.raises(PolicyError) as caught:
        resolve(PolicyPlan(kind, name, options))
    assert caught.value.code == code
    assert text in str(caught.value)


def test_entry_points_are_found_and_broken_ones_listed(monkeypatch):
    class Point:
        def __init__(self, name, thing):
            self.name, self.value, self.dist, self._thing = name, f"x:{name}", None, thing

        def load(self):
            if isinstance(self._thing, Exception):
                raise self._thing
            return self._thing

    points = (Point("mine", Mine), Point("broken", ImportError("no numba")))
    monkeypatch.setattr(registry, "_entry_points", lambda: points)
    assert isinstance(resolve(PolicyPlan("placement", "mine")), Mine)
    with pytest.raises(PolicyError, match="no numba"):
        resolve(PolicyPlan("placement", "broken"))
    with pytest.raises(PolicyError, match="is a placement policy, not a routing policy"):
        resolve(PolicyPlan("routing", "mine"))
    listed = {p.name: p for p in available()}
    assert listed["mine"].doc == "My policy."
    assert "no numba" in listed["broken"].doc


def test_available_lists_every_shipped_policy_with_text():
    listed = [p for p in available() if p.origin == "shipped"]
    assert {(p.kind, p.name) for p in listed} == set(SHIPPED)
    assert all(p.doc for p in listed)
    rate = next(o for p in listed if p.name == "token_bucket" for o in p.options if o.name == "rate")
    assert rate.unit == "frequency"
    assert rate.doc


# ------------------------------------------------------------ the kit finds what is wrong


def bad_node(view, now, rng):
    return Choose("atlantis")


def bad_down(view, now, rng):
    return Choose(view.candidates[0].id) if view.candidates else RefuseOrder("capacity.node")


def bad_reason(view, now, rng):
    return RefuseOrder("because")


def bad_global(view, now, rng):
    np.random.random()  # noqa: NPY002
    return Admit()


_seen = []


def bad_memory(view, now, rng):
    _seen.append(now)
    return Admit(str(len(_seen)))


def bad_nan(view, now, rng):
    return Rank((math.nan,))


def bad_change(view, now, rng):
    view.options["x"] = 1
    return Admit()


def bad_crash(view, now, rng):
    return Choose(view.candidates[0].id)


@pytest.mark.parametrize(
    ("function", "kind", "text"),
    [
        (bad_node, "placement", "not a candidate"),
        (bad_down, "placement", "is down"),
        (bad_reason, "admission", "no reason code"),
        (bad_global, "admission", "global generator"),
        (bad_memory, "admission", "the same question got"),
        (bad_nan, "queueing", "NaN"),
        (bad_change, "admission", "changed its view"),
        (bad_crash, "placement", "IndexError"),
        (plain, "queueing", "must return Rank"),
    ],
)
def test_the_kit_finds(function, kind, text):
    with pytest.raises(ConformanceError, match=text):
        check_policy(function, kind)


def test_the_kit_needs_a_kind():
    with pytest.raises(ConformanceError, match="kind"):
        check_policy(plain)
    assert as_policy(plain, "admission").kind == "admission"


def test_legality():
    view = make_view("technology", np.random.default_rng(1))
    assert fault_of("technology", view, ChooseTechnology("otn", rate_bps=-1.0)).startswith("rate_bps")
    assert fault_of("technology", view, ChooseTechnology("otn", isolation="some")).startswith("isolation")
    assert fault_of("technology", view, ChooseTechnology("wifi")).startswith("'wifi'")
    assert fault_of("technology", view, ChooseTechnology("otn", 1e6, "soft")) == ""
    assert fault_of("queueing", View(), Rank(())) != ""
    assert fault_of("queueing", View(), RefuseOrder("admission.policy")) != ""


@pytest.mark.parametrize(
    "module", ["policies.registry", "policies.legality", "policies.testing", "policies.template"]
)
def test_examples_in_docstrings(module):
    result = doctest.testmod(importlib.import_module(f"dssn_models.{module}"))
    assert result.attempted > 0
    assert result.failed == 0


def test_the_example_of_the_docs_conforms(monkeypatch):
    text = (Path(__file__).parents[2] / "docs" / "policies.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    module = types.ModuleType("greenest")
    monkeypatch.setitem(sys.modules, "greenest", module)
    exec(compile(code, "docs/policies.md", "exec"), vars(module))  # the page is ours
    report = check_policy(resolve(PolicyPlan("placement", "greenest:Greenest", {"spare": 8})))
    assert report.cases == 200
    for kind, name in SHIPPED:
        assert f"`{name}`" in text, f"{kind} {name} is not on the page"
