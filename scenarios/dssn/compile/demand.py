"""Checks of what streams demand: number of orders, room on nodes, helpers, trace columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, cast

from dssn.compile.choices import named_nodes, parties_of
from dssn.compile.codes import Loc, RawProblem
from dssn.compile.judge import ANY
from dssn.compile.needs import groups_of_role, nodes_chosen, of_entry, of_nodes
from dssn.compile.streams import MAX_HORIZON, MAX_ORDERS, Share, candidates, groups, helper_roles
from dssn.compile.world import World
from dssn.problems import nearest
from dssn.schema.jobs import Job
from dssn.schema.nodes import ROLES
from dssn.schema.selectors import NodeSelector
from dssn.schema.workload import Stream, Trace
from dssn_models.dist import Dist
from dssn_models.engines.api import Engine, JobCost
from dssn_models.engines.registry import REGISTRY
from dssn_models.nodes.admission import explain
from dssn_models.plan import NodePlan
from dssn_models.rng import stream

__all__ = [
    "check_helpers",
    "check_orders",
    "check_room",
    "check_trace_columns",
    "expected_orders",
    "typical_cost",
]

_NODES_TRIED: Final = 2000
_DRAWS: Final = 1000


def expected_orders(world: World, number: int, horizon: float) -> float:
    """Return the mean number of orders of an entry of ``workload`` within the horizon (s)."""
    total = 0.0
    for plan in world.plans_of(number):
        a = plan.arrivals
        start, end = a.start_s, min(horizon, a.end_s if a.end_s is not None else horizon)
        if a.kind in ("schedule", "trace"):
            count = float(len(a.times))
        elif a.kind == "renewal":
            count = (end - start) / max(a.gap.mean, 1e-9) if a.gap is not None else 0.0
        else:
            count = a.rate * max(0.0, end - start)
            count += sum(
                a.rate * (factor - 1) * min(length, horizon) for _, length, factor in a.windows if factor > 1
            )
        total += count if a.limit is None else min(count, a.limit)
    return total


#: What sets the pace of arrivals, by kind.
_PACE: Final = ("rate", "gap", "every", "times", "file")


def check_orders(world: World) -> Iterator[RawProblem]:
    """E310: a replication has a number of orders that fits into memory; else the streams with most are named."""
    horizon, within = world.scenario.run.horizon, "a replication"
    on_horizon: tuple[Loc, ...] = (("run", "horizon"),)
    if horizon > MAX_HORIZON:  # wrong itself, and told; here it counts as the longest that is allowed
        horizon, within, on_horizon = MAX_HORIZON, "even in a horizon of 20 years", ()
    workload = world.scenario.workload
    counts = {i: expected_orders(world, i, horizon) for i in range(len(workload))}
    alone = [i for i, count in counts.items() if count > MAX_ORDERS]
    others = [i for i in counts if i not in alone]
    together = sum(counts[i] for i in others)
    found = [(i, [i], f"about {counts[i]:.3g} orders {within} in stream '{workload[i].id}'") for i in alone]
    if together > MAX_ORDERS:
        most = max(others, key=lambda i: counts[i])
        what = (
            f"about {together:.3g} orders {within}, most in stream '{workload[most].id}' ({counts[most]:.3g})"
        )
        found.append((most, others, what))
    for i, those, what in found:
        arrivals = workload[i].arrivals
        pace = next(key for key in _PACE if getattr(arrivals, key, None))
        keys = ("arrivals", "consumers", "assets", "per")
        needs = (*on_horizon, ("profiles",), *(("workload", k, key) for k in those for key in keys))
        loc: Loc = ("workload", i, "arrivals", pace)
        yield RawProblem("E310", loc, what, f"at most {MAX_ORDERS:.3g}", "", needs)


def check_trace_columns(world: World) -> Iterator[RawProblem]:
    """E301: sizes of a trace are parameters of a job in the stream."""
    for i, spec in enumerate(world.scenario.workload):
        if not isinstance(spec.arrivals, Trace):
            continue
        jobs = (*spec.steps, *(spec.alternate or ()))
        known = list(dict.fromkeys(p for j in jobs for p in REGISTRY[j.engine].parameters()))
        for name in spec.arrivals.sizes:
            if name not in known:
                engines = ", ".join(dict.fromkeys(j.engine for j in jobs))
                loc: Loc = ("workload", i, "arrivals", "sizes", name)
                what = f"'{name}' is no parameter of {engines}"
                steps = [(*here, "engine") for here in (("job",), ("chain", ANY), ("alternate", ANY))]
                needs = (loc, *(("workload", i, *step) for step in steps))
                yield RawProblem("E301", loc, what, ", ".join(known), nearest(name, known), needs)


def _jobs(spec: Stream) -> Iterator[tuple[Loc, Job]]:
    if spec.job is not None:
        yield ("job",), spec.job
    for key in ("chain", "alternate"):
        for j, job in enumerate(getattr(spec, key) or ()):
            yield (key, j), job


def check_helpers(world: World) -> Iterator[RawProblem]:
    """E301, E309: helper roles have a place."""
    for i, spec in enumerate(world.scenario.workload):
        for where, job in _jobs(spec):
            loc: Loc = ("workload", i, *where)
            place = job.place
            unknown = [] if place is None else list(_named_helpers(world, (*loc, "place"), place))
            yield from unknown
            if unknown or candidates(world, job):
                continue
            needs = _helpers_need(world, job, loc)
            if place is not None:
                empty = [r for r in place.role or () if not world.ids_of_role(r)]
                what = (
                    f"no node is chosen, for none has role {' or '.join(empty)}"
                    if empty
                    else "no node is chosen"
                )
                yield RawProblem("E309", (*loc, "place"), what, "at least one node", "", needs)
            elif "tee" in helper_roles(job.engine):
                what = f"{job.engine} has role tee, and no node has a TEE"
                yield RawProblem("E309", loc, what, "a node of role tee_pool", "", needs)


def _named_helpers(world: World, loc: Loc, place: NodeSelector) -> Iterator[RawProblem]:
    """E301: names of a place that do not exist; a role that there is but nobody has is another matter."""
    for raw in named_nodes(world, loc, place):
        if raw.loc[-2:-1] != ("role",) or not any(f"'{role}'" in raw.found for role in ROLES):
            yield raw


def _helpers_need(world: World, job: Job, loc: Loc) -> tuple[Loc, ...]:
    """Return what the nodes that may play a helper role depend on."""
    own: tuple[Loc, ...] = ((*loc, "engine"), (*loc, "place"))
    if job.place is not None:
        return (*own, *nodes_chosen(world.scenario, (*loc, "place"), job.place))
    return (
        *own, *of_entry("nodes", "role"), *of_entry("nodes", "tee"),
        *groups_of_role(world.scenario, ("pool", "relay", "tee_pool")),
    )  # fmt: skip


def typical_cost(job: Job, spec: Stream, *, least: bool = False) -> JobCost:
    """Return the cost of the job at the means of its parameters, or at the least of many draws."""
    params: dict[str, float | str | bool] = {}
    for name, value in job.params.items():
        if isinstance(value, Dist) and least:
            params[name] = float(value.sample(stream(0, 0, "least", name), _DRAWS).min())
        elif isinstance(value, Dist):
            mean = value.mean if value.mean != float("inf") else value.a
            params[name] = min(max(mean, value.low), value.high)
        else:
            params[name] = value
    engine = REGISTRY[job.engine]
    # More parties only repeat the pattern, and the steps of MPC grow with their square.
    parties = max(1, round(min(spec.parties.mean, spec.parties.high, 64)))
    profiles = list(engine.profiles())
    profile = job.profile or ("reference" if "reference" in profiles else profiles[0])
    return engine.cost(params, parties, profile, spec.net.suite)


def check_room(world: World) -> Iterator[RawProblem]:
    """E308, E316: each role of a typical job has a node that can run it."""
    for i, spec in enumerate(world.scenario.workload):
        shares = groups(world, spec)
        for where, job in _jobs(spec):
            loc: Loc = ("workload", i, *where)
            needs = _cost_needs(job, loc)
            try:
                cost = typical_cost(job, spec)
            except ValueError as exc:
                allowed = "parameters that the engine can cost"
                yield RawProblem("E308", loc, str(exc)[:200], allowed, "", needs)
                continue
            yield from _room(world, spec, job, cost, shares, loc)


def _cost_needs(job: Job, loc: Loc) -> tuple[Loc, ...]:
    """Return what the cost of a job depends on."""
    order = loc[:2]
    keys = ("engine", "profile", *REGISTRY[job.engine].parameters())
    return (*((*loc, key) for key in keys), (*order, "parties"), (*order, "net", "suite"))


def _room(
    world: World, spec: Stream, job: Job, cost: JobCost, shares: list[Share], loc: Loc
) -> Iterator[RawProblem]:
    engine = cast(
        Engine, REGISTRY[job.engine]
    )  # its names are class variables, which the protocol cannot say
    for side, nodes in _sides(world, job, shares).items():
        tried = nodes[:_NODES_TRIED]
        for role in (r for r in cost.needs if _side(r) == side):
            told = [explain(engine, cost.needs[role], n) for n in tried]
            if tried and all(code for code, _ in told):
                # Of the reasons, that of the largest node says most.
                best = max(range(len(tried)), key=lambda i: (tried[i].cores, tried[i].memory_bytes))
                code = "E316" if told[best][0] == "capacity.engine" else "E308"
                what = f"no node can take role {role} of {job.engine}: {told[best][1]}"
                small = typical_cost(job, spec, least=True).needs[role]
                if any(not explain(engine, small, n)[0] for n in tried):
                    code, what = "W305", f"{what}; only smaller jobs than usual will run"
                allowed = f"a fitting node among the {len(tried)} that may run it"
                needs = (
                    *_cost_needs(job, loc), *_side_needs(world, spec, job, side, loc),
                    *of_nodes(world, (n.id for n in tried), ("size", "form", "role", "tee", "engines")),
                )  # fmt: skip
                yield RawProblem(code, loc, what, allowed, "", needs)
                break


def _side_needs(world: World, spec: Stream, job: Job, side: str, loc: Loc) -> tuple[Loc, ...]:
    """Return what the nodes that may play a side depend on."""
    if side == "helper":
        return _helpers_need(world, job, loc)
    return parties_of(world, spec, loc[:2], consumers=side == "guest", assets=side == "host")


def _side(role: str) -> str:
    if role == "guest":
        return "guest"
    return "host" if role.startswith("host") else "helper"


def _sides(world: World, job: Job, shares: list[Share]) -> Mapping[str, list[NodePlan]]:
    consumers = {n.id: n for s in shares for n in s.consumers}
    providers = {a.node: world.node_by_id[a.node] for s in shares for a in s.assets}
    helpers = [world.node_by_id[n] for n in candidates(world, job) if n in world.node_by_id]
    return {"guest": list(consumers.values()), "host": list(providers.values()), "helper": helpers}
