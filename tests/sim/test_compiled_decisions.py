"""A user's own placement and admission policies decide in the compiled kernel as they do in the SimPy kernel."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
from smallplan import Dist, JobStepPlan, TeePlan, constant_stream, plan, stream
from test_compiled import assert_same, library

from dssn_models.plan import AcceleratorPlan, ArrivalPlan, FaultPlan, PolicyPlan
from dssn_models.policies.api import Admit, Choose, RefuseOrder
from dssn_models.policies.failed import PolicyFailed
from dssn_models.policies.placement import Joint, Random
from dssn_sim.choice import choose
from dssn_sim.compiled.run import simulate_compiled
from dssn_sim.kernel import run_world
from dssn_sim.recorder import joined
from dssn_sim.runs import run_plan


def both(of, policies=None):
    """Return the tables of the compiled kernel, which are those of the SimPy kernel."""
    compiled = joined(simulate_compiled(of, 0, policies=policies() if policies else None))
    assert_same(run_world(of, 0, policies=policies() if policies else None).rec.tables(), compiled)
    return compiled


def made(tables, kind):
    return [r for r in tables["decisions"].to_pylist() if r["kind"] == kind]


@dataclass
class Watcher:
    """Weighs everything a view shows, and chance; remembers its nodes; says why."""

    kind: ClassVar[str] = "placement"
    patience: float = 5.0

    def __post_init__(self):
        self.seen = {}

    def decide(self, view, now, rng):
        job = view.job
        if job.deadline_s is not None and job.deadline_s < now:
            return RefuseOrder("admission.policy")

        def cost(c):
            wait = (
                c.backlog_core_s / c.cores
                + 0.1 * c.queue_length
                - 0.01 * c.free_cores
                - c.free_memory_bytes / 1e12
            )
            work = c.start_s + job.work_core_s * c.slowdown / c.core_speed
            net = job.rounds * c.rtt_s + job.traffic_bytes * 8 / max(c.bottleneck_bps, 1.0)
            return wait + work + net + 0.01 * self.seen.get(c.id, 0) + c.price_cny_per_hour / 1e6

        best = min(view.candidates, key=lambda c: (cost(c), c.id))
        if rng.random() < 0.2:
            best = view.candidates[rng.integers(len(view.candidates))]
        self.seen[best.id] = self.seen.get(best.id, 0) + 1
        told = (
            job.order,
            job.stream,
            job.cls,
            job.priority,
            job.engine,
            job.role,
            job.parties,
            job.cores,
            view.in_flight,
        )
        numbers = (
            cost(best),
            view.state_age_s,
            job.age_s,
            job.work_core_s,
            job.traffic_bytes,
            best.bottleneck_bps,
        )
        return Choose(best.id, f"{told} {' '.join(f'{x:.6g}' for x in numbers)}")


class Gate:
    """Refuses every third order of a stream, and what comes while much is under way."""

    kind = "admission"

    def __init__(self):
        self.met = {}

    def decide(self, view, now, rng):
        met = self.met[view.job.stream] = self.met.get(view.job.stream, 0) + 1
        if met % 3 == 0:
            return RefuseOrder("price.limit")
        if view.in_flight > 12 or rng.random() < 0.1:
            return RefuseOrder("capacity.queue")
        facts = (view.job, view.state_age_s > 30.0)
        return Admit(f"{facts[0].parties} {facts[0].engine} {facts[0].deadline_s} {facts[1]}")


def test_objects_decide_as_in_the_simpy_kernel():
    of = library("national-day", 250)
    tables = both(of, lambda: {"placement": Watcher(), "admission": Gate()})
    placed, admitted = made(tables, "placement"), made(tables, "admission")
    assert {r["policy"] for r in placed} == {"Watcher"}
    assert len({r["choice"] for r in placed}) > 2
    assert len(admitted) == len(tables["orders"])
    refused = [r for r in tables["refusals"].to_pylist() if r["detail"] == "admission policy"]
    assert {r["reason"] for r in refused} == {"price.limit", "capacity.queue"}


def test_policies_named_in_the_scenario():
    of = library("bank-joint-model", 60)
    named = {
        "placement": PolicyPlan("placement", "test_compiled_decisions:Watcher", {"patience": 2.0}),
        "admission": PolicyPlan("admission", "test_compiled_decisions:Gate"),
    }
    tables = both(replace(of, policies={**of.policies, **named}))
    assert {r["policy"] for r in made(tables, "admission")} == {"test_compiled_decisions:Gate"}
    assert made(tables, "placement")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("max_in_flight", {"limit": 3}),
        ("token_bucket", {"rate": "0.02 /s", "burst": 2}),
        ("deadline_aware", {}),
    ],
)
def test_shipped_admission_policies(name, options):
    of = plan([constant_stream(80), replace(constant_stream(40), id="u", cls="urgent")])
    both(replace(of, policies={**of.policies, "admission": PolicyPlan("admission", name, options)}))


@pytest.mark.parametrize("policy", [Joint, Random])
def test_a_shipped_policy_as_an_object_is_the_shipped_policy(policy):
    of = library("national-day", 100)
    tables = both(of, lambda: {"placement": policy()})
    named = {**of.policies, "placement": PolicyPlan("placement", policy.__name__.lower())}
    native = joined(simulate_compiled(replace(of, policies=named), 0))
    assert [r["choice"] for r in made(tables, "placement")] == [
        r["choice"] for r in made(native, "placement")
    ]


def pools(**more):
    """Return a plan with two pool nodes and two enclaves, jobs of several kinds, and little telemetry."""
    of = plan(
        [
            stream("tee.job", "tee", "t", arrivals=ArrivalPlan("poisson", rate=0.02), params={"rows": Dist("uniform", 1e3, 1e6)}),
            stream(
                "fl.horizontal", ident="f", arrivals=ArrivalPlan("poisson", rate=0.01), parties=2, params={"rounds": 5.0},
                steps=(
                    JobStepPlan("one", "fl.horizontal"),
                    JobStepPlan("two", "tee.job", after=("one",), candidates=("tee2", "tee1")),
                ),
            ),
        ],
        **more,
    )  # fmt: skip
    other = (
        replace(of.node_by_id["pool1"], id="pool2", site="A"),
        replace(of.node_by_id["tee1"], id="tee2", site="B", tee=TeePlan("sgx2", 4e9, 1.4, 2.0, 0.3)),
    )
    links = [*of.network.links]
    for node in other:
        links.append(replace(links[-1], index=len(links), id=f"access:{node.id}", a=node.id, b=node.site))
    return replace(
        of, nodes=(*of.nodes, *other), network=replace(of.network, links=tuple(links)),
        run=replace(of.run, telemetry_s=20.0, detail=0.6),
    )  # fmt: skip


def test_enclaves_chains_and_a_share_of_details():
    tables = both(pools(), lambda: {"placement": Watcher()})
    placed = made(tables, "placement")
    assert {r["choice"] for r in placed} == {"pool1", "pool2", "tee1", "tee2"}
    assert 0.3 < len({r["order"] for r in placed}) / len(tables["orders"]) < 0.9


def test_nodes_and_links_that_are_down():
    faults = (
        FaultPlan("node_down", "tee1", 300.0, 900.0), FaultPlan("node_down", "tee2", 600.0, 300.0),
        FaultPlan("link_down", "ip:A-B", 1000.0, 600.0), FaultPlan("link_down", "access:pool2", 1200.0, 600.0),
    )  # fmt: skip
    tables = both(pools(faults=faults), lambda: {"placement": Watcher()})
    details = {r["detail"] for r in tables["refusals"].to_pylist()}
    assert "no node for role tee of tee.job" in details


def test_a_placement_policy_refuses():
    def never(view, now, rng):
        return RefuseOrder("capacity.engine")

    tables = both(pools(), lambda: {"placement": never})
    assert {r["detail"] for r in tables["refusals"].to_pylist()} == {"placement"}


def fails_at(n, how):
    asked = []

    def decide(view, now, rng):
        asked.append(now)
        if len(asked) < n:
            return Choose(view.candidates[0].id) if view.candidates else Admit()
        return how()

    return decide


@pytest.mark.parametrize(("kind", "n"), [("placement", 7), ("admission", 20)])
@pytest.mark.parametrize(
    "how", [lambda: {}["price"], lambda: RefuseOrder("no such code"), lambda: Choose("nowhere")]
)
def test_a_policy_that_fails_ends_the_run_in_the_same_words(kind, n, how):
    failed = []
    for kernel in (run_world, simulate_compiled):
        with pytest.raises(PolicyFailed) as caught:
            kernel(pools(), 0, policies={kind: fails_at(n, how)})
        failed.append(caught.value.first)
    simpy, compiled = failed
    assert compiled.time_s == pytest.approx(simpy.time_s, rel=1e-9)
    assert compiled.args[:4] + compiled.args[5:] == simpy.args[:4] + simpy.args[5:]
    assert type(compiled.__cause__) is type(simpy.__cause__)


LARGE = constant_stream(50_000)


def changed_node(**fields):
    of = plan([LARGE])
    return replace(of, nodes=tuple(replace(n, **fields) if n.id == "pool1" else n for n in of.nodes))


def changed_network(of=None, **fields):
    of = of or plan([LARGE])
    return replace(of, network=replace(of.network, **fields))


def tree_plan():
    of = plan([LARGE])
    *others, last = of.network.links
    tree = replace(
        last, index=len(of.network.links), id="tree:B", a="B:tree", b="B", access=False, technology="split"
    )
    return changed_network(of, links=(*others, replace(last, tree=tree.index), tree))


ONLY_SIMPY = {
    "exclusive accelerator cards": changed_node(
        accelerators=(AcceleratorPlan("card", 1, {"ecc": 10.0}, exclusive=True),)
    ),
    "slots sharing": changed_node(sharing="slots"),
    "preemptive sharing": changed_node(sharing="preemptive"),
    "transport tcp": changed_network(transport="tcp"),
    "access tree": tree_plan(),
}


@pytest.mark.parametrize("why", ONLY_SIMPY)
def test_what_only_simpy_runs_is_named(why, tmp_path):
    large = ONLY_SIMPY[why]
    kernel, reason = choose(large)
    assert kernel == "simpy"
    assert why in reason
    small = replace(large, streams=(stream(times=[10.0]),))
    written = run_plan(small, tmp_path, "{}").run["kernel"]
    assert (written["name"], written["reason"]) == ("simpy", reason)


def test_own_policies_need_no_simpy():
    large = plan([LARGE])
    assert choose(large, {"placement": Watcher(), "admission": Gate()}).kernel == "compiled"
    named = {**large.policies, "placement": PolicyPlan("placement", "test_compiled_decisions:Watcher")}
    assert choose(replace(large, policies=named)).kernel == "compiled"
    assert choose(large, {"queueing": object()}) == ("simpy", "a policy given as an object (queueing)")
