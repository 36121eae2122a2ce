"""How orders divide over the channels, what each channel means to its users, and where the threshold may lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from dssn.report.findings.base import (
    Finding,
    Grid,
    completed,
    described,
    mean_text,
    quantile_of,
    share_of,
    told,
)
from dssn.report.numbers import show

if TYPE_CHECKING:
    from dssn.report.data import RunData
    from dssn_models.plan import ObjectivePlan, StreamPlan

__all__ = ["Threshold", "finding", "thresholds"]

_WORDS: Final = ("channel", "share of", "privacy", "threshold", "sensitiv", "package", "api", "feel")
_NAMES: Final = {
    "privacy": "privacy computing",
    "api": "API",
    "package": "data packages",
    "stream": "streams",
    "tee": "TEE",
}
#: Work within this factor of the run's counts as the same.
_SAME: Final = 0.99


def finding(data: RunData) -> list[Finding]:
    """Return the split over channels if there is more than one, and what other thresholds would mean."""
    orders, done = data.after_warmup("orders"), completed(data)
    channels = [c for c in _NAMES if (orders["channel"] == c).any()]
    dual = _dual(data)
    if not channels or (len(channels) < 2 and not dual):
        return []
    shares = {c: told(share_of(data, orders["channel"] == c, orders), "share") for c in channels}
    grids = [_grid(data, orders, done, channels)]
    if not dual:
        split = described([f"{shares[c]} by {_NAMES[c]}" for c in channels])
        tail = "; ".join(f"{_NAMES[c]} {_tail(data, done[done['channel'] == c])}" for c in channels)
        return [
            Finding("channels", (f"Orders went {split}; 95 % took at most: {tail}.",), _WORDS, tuple(grids))
        ]
    limits = described(sorted({str(s.threshold) for s in dual}))
    by = ", ".join(
        f"{s.id} {show(float((orders.loc[orders['stream'] == s.id, 'channel'] == s.channel).mean()), 'share')}"
        for s in dual
    )
    asked = orders[orders["stream"].isin([s.id for s in dual])]
    private = asked["channel"].isin({s.channel for s in dual})
    split = (
        f"With the threshold at level {limits}, {told(share_of(data, private, asked), 'share')} of the requests "
        f"used privacy computing and the others the API ({by})."
    )
    sentences = [split, _felt(data, done, dual)]
    table = thresholds(data)
    if table:
        sentences.append(_allowed(table, data.objectives))
        grids.append(_threshold_grid(data, table))
    return [Finding("channels", tuple(sentences), _WORDS, tuple(grids))]


def _dual(data: RunData) -> list[StreamPlan]:
    return [s for s in data.plan.streams if s.threshold is not None and s.alternate] if data.plan else []


def _tail(data: RunData, frame: pd.DataFrame) -> str:
    return told(quantile_of(data, frame, "order_to_result_s", 0.95), "s")


def _cost(data: RunData, frame: pd.DataFrame) -> str:
    return mean_text(data, frame.groupby("replication")["cost_cny"].mean().tolist(), "CNY")


def _felt(data: RunData, done: pd.DataFrame, dual: Sequence[StreamPlan]) -> str:
    parts = []
    costs: dict[bool, list[pd.DataFrame]] = {True: [], False: []}
    for s in dual:
        own = done[done["stream"] == s.id]
        private, plain = own[own["channel"] == s.channel], own[own["channel"] != s.channel]
        costs[True].append(private)
        costs[False].append(plain)
        if len(private) and len(plain):
            parts.append(f"{s.id} wait {_tail(data, private)} in private and {_tail(data, plain)} by API")
    if not parts:
        return ""
    means = [show(float(pd.concat(costs[private])["cost_cny"].mean()), "CNY") for private in (True, False)]
    return f"What users feel (95 % within): {'; '.join(parts)}; a delivery costs {means[0]} in private, {means[1]} by API."


def _grid(data: RunData, orders: pd.DataFrame, done: pd.DataFrame, channels: Sequence[str]) -> Grid:
    rows = []
    for channel in channels:
        asked, own = orders[orders["channel"] == channel], done[done["channel"] == channel]
        half = quantile_of(data, own, "order_to_result_s", 0.5)
        raw = own.groupby("replication")["raw_exposed"].mean().tolist()
        rows.append(
            (
                _NAMES[channel], told(share_of(data, orders["channel"] == channel, orders), "share"), told(half, "s"),
                _tail(data, own), told(share_of(data, asked["state"] == "rejected", asked), "share"),
                _cost(data, own), mean_text(data, raw, "B"),
            )
        )  # fmt: skip
    heads = (
        "Channel",
        "Share of orders",
        "Half within",
        "95 % within",
        "Refused",
        "Cost per delivery",
        "Raw data out per delivery",
    )
    return Grid(
        "By channel", heads, tuple(rows), "Order to result of completed deliveries. Intervals in brackets."
    )


# ------------------------------------------------------------------ other thresholds


class Threshold:
    """What a threshold would mean by the times and costs of this run.

    Parameters
    ----------
    data : RunData
        The run.
    dual : sequence of StreamPlan
        Streams with two channels.
    level : int
        Requests of this level or above go to privacy computing, in every dual stream.
    """

    def __init__(self, data: RunData, dual: Sequence[StreamPlan], level: int) -> None:
        self.data = data
        self.level = level
        done = completed(data)
        orders = data.after_warmup("orders")
        levels = orders[["replication", "order", "level"]]
        deliveries = done.merge(levels, on=["replication", "order"])
        names = {s.id: s.channel for s in dual}
        dual_orders = orders["stream"].isin(names)
        asked = orders[dual_orders]
        self.share = share_of(data, asked["level"] >= level, asked)
        wanted = orders.assign(
            to=orders["channel"].where(~dual_orders, np.where(orders["level"] >= level, "in", "out"))
        )
        is_dual = deliveries["stream"].isin(names)
        private = deliveries["channel"] == deliveries["stream"].map(names)
        self.got = deliveries.assign(to=deliveries["channel"].where(~is_dual, np.where(private, "in", "out")))
        keys = ["replication", "stream", "to"]
        need = wanted.groupby(keys).size()
        have = self.got.groupby(keys).size()
        #: Every (stream, channel) that this threshold needs was seen in this run.
        self.known = bool(need.index.isin(have.index).all())
        weight = (need / have).rename("weight")
        self.got = self.got.join(weight, on=keys)
        self.got = self.got[self.got["weight"].fillna(0.0) > 0]

    def _totals(self, column: str) -> float:
        return float((self.got[column] * self.got["weight"]).sum())

    def mean(self, column: str) -> list[float]:
        """Return the mean of a column per delivery, for each replication."""
        found = []
        for r in self.data.replications:
            part = self.got[self.got["replication"] == r]
            found.append(
                float(np.average(part[column], weights=part["weight"])) if len(part) else float("nan")
            )
        return found

    def quantile(self, q: float, cls: str | None) -> list[float]:
        """Return the quantile of order to result (s), for each replication: channels mixed by their new shares."""
        found = []
        for r in self.data.replications:
            part = self.got[self.got["replication"] == r]
            part = (part if cls is None else part[part["cls"] == cls]).sort_values("order_to_result_s")
            total = part["weight"].cumsum().to_numpy(float)
            if not len(total):
                continue
            at = min(int(np.searchsorted(total, q * total[-1])), len(total) - 1)
            found.append(float(part["order_to_result_s"].iloc[at]))
        return found

    @property
    def work(self) -> float:
        """Core-seconds at this threshold, as a multiple of those of the run."""
        now = float(completed(self.data)["core_s"].sum())
        return self._totals("core_s") / now if now > 0 else float("nan")

    @property
    def load(self) -> float:
        """Use of the busiest node's cores, if all work grows alike."""
        nodes = self.data.table("nodes")
        use = nodes[["util_busy", "util_reserved"]].max(axis=1).groupby(nodes["node"]).mean().max()
        return float(use) * self.work

    def verdict(self, objectives: Sequence[ObjectivePlan]) -> str:
        """Return ``kept`` ``missed`` or ``open``.

        With more work than in the run the times here are too short, with less too long: what is missed by times
        that are too short, or kept by times that are too long, is certain; the rest is open.
        """
        within = all(
            float(np.mean(self.quantile(o.quantile, o.cls) or [0.0])) <= o.bound
            for o in objectives
            if o.quantile is not None
        )
        if self.work >= _SAME and (not within or self.load >= 1):
            return "missed"
        return "kept" if self.work <= 1 / _SAME and within else "open"


def judged(objectives: Sequence[ObjectivePlan]) -> list[ObjectivePlan]:
    """Return the objectives that a quantile of order to result decides."""
    return [
        o
        for o in objectives
        if o.kpi == "order_to_result" and o.quantile is not None and o.direction == "max"
    ]


def thresholds(data: RunData) -> list[Threshold]:
    """Return every threshold from 1 (all in private) on that the levels of the run make different."""
    dual = _dual(data)
    orders = data.after_warmup("orders")
    levels = orders.loc[orders["stream"].isin([s.id for s in dual]), "level"]
    if not dual or levels.empty:
        return []
    found = [Threshold(data, dual, t) for t in range(int(levels.min()), int(levels.max()) + 2)]
    return [t for t in found if t.known]


def _allowed(table: Sequence[Threshold], objectives: Sequence[ObjectivePlan]) -> str:
    """Say which thresholds would keep the objectives on order to result, as far as this run can tell."""
    wanted = judged(objectives)
    if not wanted:
        return ""

    def named(which: str) -> str:
        chosen = [t for t in table if t.verdict(wanted) == which]
        return described(
            [
                f"{t.level} ({show(t.share.estimate, 'share')} in private"
                + (f", busiest node {show(t.load, 'share', 2)} in use)" if t.load >= 1 else ")")
                for t in chosen
            ]
        )

    parts = [
        f"{names} {what}"
        for names, what in (
            (named("kept"), "would keep them"),
            (named("missed"), "could not"),
            (named("open"), "cannot be told without a run"),
        )
        if names
    ]
    return f"Thresholds against the objectives, by the work and times of this run: {'; '.join(parts)}."


def _threshold_grid(data: RunData, table: Sequence[Threshold]) -> Grid:
    wanted = judged(data.objectives)
    rows = []
    for t in table:
        times = [
            mean_text(data, t.quantile(o.quantile, o.cls), "s") for o in wanted if o.quantile is not None
        ]
        rows.append(
            (
                str(t.level), told(t.share, "share"), *times, mean_text(data, t.mean("cost_cny"), "CNY"),
                mean_text(data, t.mean("raw_exposed"), "B"), show(t.load, "share", 2), t.verdict(wanted) if wanted else "–",
            )
        )  # fmt: skip
    heads = [f"{100 * (o.quantile or 0):g} % within, {o.cls or 'all'}" for o in wanted]
    return Grid(
        "Other thresholds, by the times of this run",
        (
            "Threshold",
            "In private",
            *heads,
            "Cost per delivery",
            "Raw data out per delivery",
            "Busiest node",
            "Objectives",
        ),
        tuple(rows),
        "An estimate: requests change channel and keep the times and costs that each channel had in this run. "
        "More work than in the run makes queues longer, less makes them shorter; what that leaves open needs a "
        "run with the threshold.",
    )
