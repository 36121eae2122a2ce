"""Where shared work ran, which places are hot and which idle, and what a move between them would mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from dssn.report.findings.base import Finding, Grid, mean_text, share_of, told
from dssn.report.numbers import show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dssn.report.data import RunData
    from dssn_models.plan import Plan

__all__ = ["Move", "finding", "move", "pooled_peak", "shared_nodes"]

_WORDS: Final = ("where", "place", "shared", "idle")
_ROLES: Final = {
    "pool": "compute pools",
    "tee_pool": "TEE pools",
    "relay": "relays",
    "dsn": "data nodes",
    "drn": "consumer nodes",
}
#: Above this share of cores in the busiest stretch a place is hot.
_HOT: Final = 0.7
_ENDS: Final = 5
_WINDOW_S: Final = 900.0


def shared_nodes(data: RunData) -> pd.DataFrame:
    """Return the nodes that placed work may run on, by replication.

    Returns
    -------
    DataFrame
        Columns ``replication node role site kind region cores jobs use peak executing``; use is the larger of cores
        held and cores executing, peak the same in the busiest stretch (the mean if that was not recorded),
        executing the share of cores that execute in the busiest stretch (NaN if that was not recorded).
    """
    plan = data.plan
    names = _candidates(plan) if plan is not None else set()
    nodes = data.table("nodes")
    nodes = nodes[nodes["node"].isin(names)]
    if plan is None or nodes.empty:
        return pd.DataFrame()
    sites = {s.id: s for s in plan.network.sites}
    use = nodes[["util_busy", "util_reserved"]].max(axis=1)
    peak = nodes[["busy_15min", "reserved_15min"]].max(axis=1) if "busy_15min" in nodes else use
    return nodes.assign(
        kind=[sites[s].kind.replace("_", " ") if s in sites else "" for s in nodes["site"]],
        region=[sites[s].region if s in sites else "" for s in nodes["site"]],
        use=use,
        peak=peak.fillna(use),
        executing=nodes["busy_15min"] if "busy_15min" in nodes else float("nan"),
    )


def _candidates(plan: Plan) -> set[str]:
    """Return the nodes among which something chooses."""
    return {
        c
        for s in plan.streams
        for step in (*s.steps, *s.alternate)
        if len(step.candidates) > 1
        for c in step.candidates
    }


@dataclass(frozen=True, slots=True)
class Move:
    """Work moved from the busiest to the idlest node of a role, until both are used alike.

    Attributes
    ----------
    source, target : str
        Nodes.
    level : float
        Use of both afterwards, as a share of their cores.
    jobs : float
        Jobs a replication that move.
    core_s : float
        Cores held times seconds that move.
    """

    source: str
    target: str
    level: float
    jobs: float
    core_s: float


def move(role: pd.DataFrame, span_s: float) -> Move:
    """Return the move that levels the busiest and the idlest node of a role (rows by replication)."""
    mean = role.groupby("node")[["use", "cores", "jobs"]].mean()
    by_use = mean.sort_values("use", ascending=False)
    hot, idle = by_use.iloc[0], by_use.iloc[-1]
    level = float((hot["use"] * hot["cores"] + idle["use"] * idle["cores"]) / (hot["cores"] + idle["cores"]))
    part = 1 - level / float(hot["use"]) if hot["use"] > 0 else 0.0
    core_s = part * float(hot["use"] * hot["cores"]) * span_s
    return Move(str(hot.name), str(idle.name), level, part * float(hot["jobs"]), core_s)


def finding(data: RunData) -> list[Finding]:
    """Return where shared work ran and should run, if there is a choice of places."""
    nodes = shared_nodes(data)
    if nodes.empty or nodes["site"].nunique() < 2 or data.plan is None:
        return []
    work = (nodes["use"] * nodes["cores"]).groupby(nodes["role"]).sum()
    roles = [
        str(r)
        for r in work.sort_values(ascending=False).index
        if nodes.loc[nodes["role"] == r, "site"].nunique() > 1
    ]
    if not roles or float(work.max()) <= 0:
        return []
    main = nodes[nodes["role"] == roles[0]]
    sentences = (_where(data, main, roles[0]), _should(data, main), _others(data, nodes, roles[1:]))
    return [
        Finding(
            "places",
            tuple(s for s in sentences if s),
            _WORDS,
            (_by_region(data, nodes), _ends(data, nodes, roles)),
        )
    ]


def _where(data: RunData, nodes: pd.DataFrame, role: str) -> str:
    policy = (
        data.plan.policies["placement"].name if data.plan and "placement" in data.plan.policies else "none"
    )
    kinds = []
    for kind, part in nodes.groupby("kind"):
        held = (part["use"] * part["cores"]).groupby(part["replication"]).sum()
        cores = part["cores"].groupby(part["replication"]).sum()
        jobs = float(part["jobs"].sum()) / max(float(nodes["jobs"].sum()), 1.0)
        kinds.append(
            f"{kind}s did {show(jobs, 'share', 2)} of the jobs and were "
            f"{mean_text(data, (held / cores).tolist(), 'share')} in use"
        )
    away = _away(data)
    return f"Shared work ran by placement {policy}, most of it on the {_ROLES.get(role, role)}: {'; '.join(kinds)}{away}."


def _away(data: RunData) -> str:
    """Say which share of placed deliveries ran outside the region of its consumer."""
    assert data.plan is not None
    regions = {s.id: s.region for s in data.plan.network.sites}
    placed = {s.id for s in data.plan.streams if any(len(step.candidates) > 1 for step in s.steps)}
    frame = data.after_warmup("deliveries")
    frame = frame[frame["stream"].isin(placed) & (frame["run_site"] != "")]
    if frame.empty or len({r for r in regions.values() if r}) < 2:
        return ""
    other = frame["run_site"].map(regions) != frame["consumer_site"].map(regions)
    return f"; {told(share_of(data, other, frame), 'share')} of placed deliveries ran outside the consumer's region"


def _should(data: RunData, nodes: pd.DataFrame) -> str:
    span = data.horizon_s - data.warmup_s
    found = move(nodes, span)
    ends = []
    for name in (found.source, found.target):
        part = nodes[nodes["node"] == name]
        peak = show(float(part["peak"].mean()), "share")
        ends.append(
            f"{name} at {part['site'].iloc[0]}, {mean_text(data, part['use'].tolist(), 'share')} (peak {peak}{_executing(part)})"
        )
    delay = _delay(data, nodes, found)
    text = (
        f"Hottest is {ends[0]}, idlest {ends[1]}; moving {show(found.jobs, '')} jobs "
        f"({show(found.core_s, 'core-s')} held) from the one to the other would level both at "
        f"{show(found.level, 'share')}{delay}"
    )
    top = nodes.groupby("node")["peak"].mean()
    hot = [str(n) for n in top[top >= _HOT].sort_values(ascending=False).index]
    even = float((nodes["use"] * nodes["cores"]).sum() / nodes["cores"].sum())
    if not hot:
        return (
            f"{text}. No place runs hot (all below {show(_HOT, 'share')} even at their peak), so distance and price "
            "may decide where work runs."
        )
    names = ", ".join(hot[:3]) + (" ..." if len(hot) > 3 else "")
    text = f"{text}. {len(hot)} of {len(top)} places run hot (peak of {show(_HOT, 'share')} or more: {names})"
    together = pooled_peak(data, str(nodes["role"].iloc[0]))
    if not np.isfinite(together):
        return f"{text}; spread evenly all would be at {show(even, 'share')} on average."
    busy = float(nodes[nodes["node"].isin(hot)].groupby("node")["executing"].mean().max())
    if not busy >= _HOT:  # cores held by them against cores executing everywhere would be unlike quantities
        return (
            f"{text}, held by jobs rather than executing; all together execute on {show(together, 'share')} of their cores in "
            f"the busiest quarter of an hour and are held or executing for {show(even, 'share')} on average. What all hold at "
            "once is not recorded, so this does not say whether there is room elsewhere when one is hot."
        )
    advice = (
        "there is room elsewhere when one is hot: work should leave the hot ones for the idle"
        if together < _HOT
        else "they need more room rather than another placement"
    )
    return (
        f"{text}; all together execute on {show(together, 'share')} of their cores in the busiest quarter of an hour, "
        f"so {advice}."
    )


def _executing(part: pd.DataFrame) -> str:
    """Return what a peak of a place was: held by jobs with how much of it executing, or executing."""
    busy, peak = float(part["executing"].mean()), float(part["peak"].mean())
    if not np.isfinite(busy):
        return ""
    return f" held by jobs, {show(busy, 'share')} executing" if busy < peak else " executing"


def pooled_peak(data: RunData, role: str) -> float:
    """Return the share of a role's cores that execute in its busiest quarter of an hour, mean over the replications."""
    samples = data.after_warmup("samples", "at_s")
    own = samples[(samples["kind"] == "node") & (samples["id"] == role) & (samples["metric"] == "util")]
    own = own[own["at_s"] <= data.horizon_s].sort_values("at_s")
    found = []
    for _, part in own.groupby("replication"):
        step = float(part["at_s"].diff().median()) if len(part) > 1 else float("nan")
        width = max(1, round(_WINDOW_S / step)) if step > 0 else 1
        found.append(float(part["value"].rolling(min(width, len(part))).mean().max()))
    return float(np.mean(found)) if found else float("nan")


def _delay(data: RunData, nodes: pd.DataFrame, found: Move) -> str:
    """Return how far the two ends of a move are apart."""
    from dssn_models.network.routing import Router

    assert data.plan is not None
    site = dict(zip(nodes["node"], nodes["site"], strict=True))
    route = Router(data.plan.network).route(site[found.source], site[found.target])
    return f", {show(route.delay_s, 's')} away" if route is not None else ""


def _others(data: RunData, nodes: pd.DataFrame, roles: Sequence[str]) -> str:
    parts = []
    for role in roles:
        top = nodes[nodes["role"] == role].groupby("node")["peak"].mean()
        parts.append(f"{_ROLES.get(role, role)} stay below {_ceiling(float(top.max()))} at their peak")
    services = data.table("services")
    if len(services):
        use = services.groupby("service")["util"].mean()
        parts.append(f"platform services below {_ceiling(float(use.max()))} on average ({use.idxmax()} most)")
    text = ", ".join(parts)
    return f"{text[0].upper()}{text[1:]}." if parts else ""


def _ceiling(share: float) -> str:
    """Return the next whole percent above, one at least."""
    return f"{max(1, int(np.floor(100 * share)) + 1)} %"


def _by_region(data: RunData, nodes: pd.DataFrame) -> Grid:
    rows = []
    for key, part in nodes.groupby(["role", "region", "kind"]):
        role, region, kind = map(str, key)
        n = max(part["replication"].nunique(), 1)
        held = (part["use"] * part["cores"]).groupby(part["replication"]).sum()
        cores = part["cores"].groupby(part["replication"]).sum()
        top = part.groupby("node")["peak"].mean()
        rows.append(
            (
                _ROLES.get(role, role), region or "–", kind or "–", str(part["node"].nunique()), show(float(cores.mean()), ""),
                show(float(part["jobs"].sum()) / n, ""), mean_text(data, (held / cores).tolist(), "share"),
                f"{show(float(top.max()), 'share')} ({top.idxmax()})",
            )
        )  # fmt: skip
    heads = ("Shared", "Region", "At", "Nodes", "Cores", "Jobs", "In use", "Highest peak")
    return Grid("Shared work by region", heads, tuple(rows), _PEAK)


_PEAK: Final = (
    "In use: cores held or executing, whichever is more, average after the warm-up with its interval. "
    "Peak: the same in the busiest quarter of an hour of the node, mean over the replications."
)


def _ends(data: RunData, nodes: pd.DataFrame, roles: Sequence[str]) -> Grid:
    rows = []
    for role in roles[:2]:
        own = nodes[nodes["role"] == role]
        order = own.groupby("node")["use"].mean().sort_values(ascending=False)
        names = list(order.index)
        chosen = names if len(names) <= 2 * _ENDS else [*names[:_ENDS], *names[-_ENDS:]]
        for name in chosen:
            part = own[own["node"] == name]
            rows.append(
                (
                    str(name), _ROLES.get(role, role), str(part["site"].iloc[0]), show(float(part["cores"].iloc[0]), ""),
                    show(float(part["jobs"].mean()), ""), mean_text(data, part["use"].tolist(), "share"),
                    show(float(part["peak"].mean()), "share"), show(float(part["queue_mean"].mean()), "", 2),
                )
            )  # fmt: skip
    heads = ("Node", "Shared", "Site", "Cores", "Jobs", "In use", "Peak", "Jobs waiting")
    return Grid(
        f"Hottest and idlest places ({_ENDS} each)", heads, tuple(rows), "Jobs waiting: average number."
    )
