"""Order streams: arrivals, choices, service chains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from dssn.compile.codes import Loc, RawProblem
from dssn.compile.select import choose_assets, choose_nodes, select_assets, select_nodes
from dssn.compile.traces import TraceData, TraceError, read_trace
from dssn.compile.world import World
from dssn.schema.jobs import Job
from dssn.schema.workload import Bursts, Diurnal, NetOrder, Poisson, Renewal, Schedule, Stream, Trace
from dssn_models.engines.registry import REGISTRY
from dssn_models.plan import (
    ArrivalPlan,
    AssetPlan,
    JobStepPlan,
    NetOrderPlan,
    NodePlan,
    SelectorPlan,
    StreamPlan,
)

__all__ = ["MAX_HORIZON", "MAX_ORDERS", "Share", "compile_stream", "groups", "helper_roles", "steps"]

MAX_ORDERS: Final = 20_000_000
#: Longest horizon (s): 20 years.
MAX_HORIZON: Final = 20 * 365 * 86400.0
_RATED: Final = (Poisson, Diurnal, Bursts)


@dataclass(frozen=True)
class Share:
    """The part of a stream that one province, region or sector has; the whole stream if ``key`` is empty."""

    key: str
    consumers: list[NodePlan]
    assets: list[AssetPlan]
    part: float = 1.0


def groups(world: World, spec: Stream) -> list[Share]:
    """Return the parts of a stream; parts without consumers or without assets are left out."""
    # Several checks ask for the same stream; the spec is kept with its parts, so that no other gets its id.
    known = world.shares.get(id(spec))
    if known is None:
        known = world.shares[id(spec)] = (spec, _groups(world, spec))
    return known[1]


def _groups(world: World, spec: Stream) -> list[Share]:
    consumers = choose_nodes(world.nodes, world.site_by_id, spec.consumers)
    if spec.consumers.role is None and spec.consumers.ids is None:
        consumers = [n for n in consumers if n.role == "drn"]
    assets = choose_assets(world.assets, world.node_by_id, world.site_by_id, spec.assets)
    assets = [a for a in assets if a.node in world.node_by_id]
    if spec.per is None:
        return [Share("", consumers, assets)]
    by_consumer: dict[str, list[NodePlan]] = {}
    by_asset: dict[str, list[AssetPlan]] = {}
    for node in consumers:
        by_consumer.setdefault(_key(world, spec.per, node.site), []).append(node)
    for asset in assets:
        site = world.node_by_id[asset.node].site if asset.node in world.node_by_id else ""
        by_asset.setdefault(asset.sector if spec.per == "sector" else _key(world, spec.per, site), []).append(
            asset
        )
    if spec.per == "sector":
        found = [(k, consumers, a) for k, a in by_asset.items() if k and consumers]
    else:
        found = [(k, n, by_asset[k]) for k, n in by_consumer.items() if k and k in by_asset]
    sizes = [float(len(a)) if spec.per == "sector" else _weight(world, spec, n) for _, n, a in found]
    total = sum(sizes) or 1.0
    return [Share(k, n, a, size / total) for (k, n, a), size in zip(found, sizes, strict=True)]


def _standing(world: World, share: Share) -> Share:
    """Return the share without nodes at unknown sites."""
    consumers = [n for n in share.consumers if n.site in world.site_by_id]
    assets = [a for a in share.assets if world.node_by_id[a.node].site in world.site_by_id]
    return replace(share, consumers=consumers, assets=assets)


def _key(world: World, per: str, site: str) -> str:
    place = world.site_by_id.get(site)
    if place is None or per == "sector":
        return ""
    return place.province if per == "province" else place.region


def _weight(world: World, spec: Stream, nodes: Sequence[NodePlan]) -> float:
    chosen = select_nodes(nodes, world.site_by_id, spec.consumers)
    return sum(chosen.weights) if chosen.weights else float(len(nodes))


# ------------------------------------------------------------------ arrivals


def arrivals(world: World, spec: Stream, loc: Loc, part: float) -> list[tuple[str, ArrivalPlan]]:
    """Return the arrivals of one part by class ('' is the stream's class)."""
    asked = spec.arrivals
    limit = asked.limit if asked.limit is None else max(1, round(asked.limit * part))
    frame = ArrivalPlan("poisson", limit=limit, start_s=asked.start, end_s=asked.end)
    match asked:
        case Poisson():
            return [("", replace(frame, rate=asked.rate * part))]
        case Diurnal():
            return [
                ("", replace(frame, kind="diurnal", rate=asked.rate * part, profile=_profile(world, asked)))
            ]
        case Bursts():
            windows = tuple((b.at, b.duration, b.factor) for b in asked.windows)
            return [("", replace(frame, kind="bursts", rate=asked.rate * part, windows=windows))]
        case Renewal():
            return [("", replace(frame, kind="renewal", gap=asked.gap))]
        case Schedule():
            return [("", replace(frame, kind="schedule", times=_schedule(world, asked)))]
        case Trace():
            try:
                path = world.find_file((*loc, "arrivals", "file"), asked.file)
                data = read_trace(asked, path, world.scenario.run.horizon)
            except TraceError as exc:
                at: Loc = (*loc, "arrivals")
                for e in (exc, *exc.further):
                    needs = ((*at, *e.loc), (*at, "file"))
                    world.problems.append(
                        RawProblem("E311", (*at, *e.loc), e.found, e.allowed, e.hint, needs)
                    )
                return []
            return [(c, _of_class(data, c)) for c in sorted(set(data.classes))]
    raise TypeError(type(asked).__name__)


def _of_class(data: TraceData, cls: str) -> ArrivalPlan:
    index = np.flatnonzero(np.array([c == cls for c in data.classes], dtype=bool))
    columns = {name: tuple(values[index].tolist()) for name, values in data.columns.items()}
    return ArrivalPlan("trace", times=tuple(data.times[index].tolist()), columns=columns)


def _profile(world: World, asked: Diurnal) -> tuple[float, ...]:
    """Return the day profile with mean 1."""
    profile = asked.profile
    if isinstance(profile, str):
        profile = world.scenario.profiles.get(profile, (1.0,) * 24)
    mean = sum(profile) / len(profile)
    return tuple(x / mean for x in profile) if mean > 0 else profile


def _schedule(world: World, asked: Schedule) -> tuple[float, ...]:
    end = min(world.scenario.run.horizon, asked.end if asked.end is not None else world.scenario.run.horizon)
    if asked.every is None:
        times = sorted(t for t in asked.times if asked.start <= t < end)
    else:
        count = min(int(max(0.0, end - asked.start) / asked.every) + 1, MAX_ORDERS)
        times = [t for i in range(count) if (t := asked.start + i * asked.every) < end]
    return tuple(times[: asked.limit])


# ------------------------------------------------------------------ chains


def helper_roles(engine: str, parties: int = 1) -> list[str]:
    """Return the roles that neither the consumer nor a provider plays."""
    return [r for r in REGISTRY[engine].roles(parties) if r != "guest" and not r.startswith("host")]


def steps(world: World, jobs: Sequence[Job]) -> tuple[JobStepPlan, ...]:
    """Return the engine runs of a chain."""
    return tuple(
        JobStepPlan(
            id=job.id,
            engine=job.engine,
            profile=job.profile or _default_profile(job.engine),
            params=dict(job.params),
            after=job.after,
            candidates=candidates(world, job),
        )
        for job in jobs
    )


def _default_profile(engine: str) -> str:
    profiles = list(REGISTRY[engine].profiles())
    return "reference" if "reference" in profiles or not profiles else profiles[0]


def candidates(world: World, job: Job) -> tuple[str, ...]:
    """Return where helper roles may run: as written, else all TEE pools (role ``tee``) or pools."""
    if job.place is not None:
        return tuple(n.id for n in choose_nodes(world.nodes, world.site_by_id, job.place))
    helpers = helper_roles(job.engine)
    if "tee" in helpers:
        return world.ids_of_role("tee_pool") or tuple(n.id for n in world.nodes if n.tee is not None)
    return (world.ids_of_role("pool") or world.ids_of_role("relay")) if helpers else ()


def _net(net: NetOrder) -> NetOrderPlan:
    return NetOrderPlan(net.technology, net.rate, net.isolation, net.max_delay, net.keep_open, net.suite)


# ------------------------------------------------------------------ streams


def compile_stream(world: World, spec: Stream, loc: Loc) -> Iterator[StreamPlan]:
    """Yield the plan of a stream: one, or one per group and per class of its trace."""
    main, alternate = steps(world, spec.steps), steps(world, spec.alternate or ())
    for share in groups(world, spec):
        share = _standing(world, share)
        if not share.consumers or not share.assets:
            continue  # told by the semantic checks
        consumers = select_nodes(share.consumers, world.site_by_id, spec.consumers)
        assets = select_assets(share.assets, world.node_by_id, world.site_by_id, spec.assets)
        for cls, when in arrivals(world, spec, loc, share.part):
            name = ".".join(x for x in (spec.id, share.key, cls) if x)
            yield _stream(spec, name, cls or spec.cls, when, consumers, assets, main, alternate)


def _stream(
    spec: Stream,
    name: str,
    cls: str,
    when: ArrivalPlan,
    consumers: SelectorPlan,
    assets: SelectorPlan,
    main: tuple[JobStepPlan, ...],
    alternate: tuple[JobStepPlan, ...],
) -> StreamPlan:
    return StreamPlan(
        id=name,
        cls=cls,
        arrivals=when,
        consumers=consumers,
        assets=assets,
        parties=spec.parties,
        steps=main,
        channel=spec.channel,
        net=_net(spec.net),
        exchange=spec.exchange,
        purpose=spec.purpose,
        cross_border=spec.cross_border,
        deadline_s=spec.deadline,
        price_cny=spec.price,
        sensitivity=spec.sensitivity,
        threshold=spec.threshold,
        alternate=alternate,
        quality_defect=spec.quality_defect,
        baseline=spec.baseline,
    )
