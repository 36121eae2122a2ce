"""Orders of a replication, drawn in bulk before it starts and kept in columns.

Each stream of the plan draws from generators named after it, one for each kind of draw, so a further
stream, node or parameter leaves every other draw as it was. Streams are merged by time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dssn_models.dist import Dist
from dssn_models.market.arrivals import DrawError, arrival_times, expected_count
from dssn_models.plan import JobStepPlan, Plan, SelectorPlan, StreamPlan
from dssn_models.rng import Streams

__all__ = [
    "DrawError",
    "Order",
    "Orders",
    "StreamOrders",
    "Value",
    "choice_weights",
    "detail_share",
    "draw_orders",
    "expected_orders",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Value = float | str | bool

#: Form of delivery of the alternate steps of a dual-channel stream.
ALTERNATE_CHANNEL: Final = "api"
#: Expected orders of a replication up to which all details are kept where the scenario does not say. An order's
#: details take 4 kB; of 50 000 orders a share is known to 0.2 % and a 99 % quantile rests on 500 orders.
DETAILED: Final = 50_000
_REDRAWS: Final = 64


@dataclass(frozen=True, slots=True)
class Order:
    """One order as it arrives.

    Attributes
    ----------
    index : int
        Number in the replication, by time of arrival.
    stream : StreamPlan
        What kind of order it is.
    arrived_s : float
        When it arrives (s).
    consumer : str
        Node id of the consumer.
    providers, assets : tuple of str
        Node ids of the distinct providers and the asset taken from each.
    level : int
        Sensitivity 1 ... 4: drawn for a dual-channel stream, else the highest of the assets.
    channel : str
        Form of delivery.
    params : Mapping
        Step id to parameters of the engine run (SI).
    defect : bool
        Whether the quality assessment will fail.
    alternate : bool
        Whether a dual-channel stream sent it to the alternate steps.
    """

    index: int
    stream: StreamPlan
    arrived_s: float
    consumer: str
    providers: tuple[str, ...]
    assets: tuple[str, ...]
    level: int
    channel: str
    params: Mapping[str, Mapping[str, Value]]
    defect: bool = False
    alternate: bool = False

    @property
    def steps(self) -> tuple[JobStepPlan, ...]:
        """The engine runs of this order."""
        return self.stream.alternate if self.alternate else self.stream.steps


@dataclass(slots=True)
class StreamOrders:
    """Orders of one stream in order of arrival: columns."""

    stream: StreamPlan
    times: Floats
    consumer: Ints  # position in stream.consumers.ids
    first: Ints  # n + 1 offsets into asset
    asset: Ints  # position in stream.assets.ids
    level: NDArray[np.int8]
    alternate: NDArray[np.bool_]
    defect: NDArray[np.bool_]
    params: dict[
        tuple[bool, str], dict[str, Floats | Value]
    ]  # (alternate, step id) -> name -> column or value


@dataclass(slots=True)
class Orders:
    """All orders of a replication by time of arrival; equal times by order of the streams."""

    plan: Plan
    arrived_s: Floats
    stream_index: NDArray[np.int32]  # position in plan.streams
    rows: Ints  # position among the orders of the stream
    by_stream: list[StreamOrders] = field(repr=False)

    def __len__(self) -> int:
        return len(self.arrived_s)

    def row(self, index: int) -> Order:
        """Return one order."""
        batch = self.by_stream[self.stream_index[index]]
        i = int(self.rows[index])
        stream = batch.stream
        picked = batch.asset[batch.first[i] : batch.first[i + 1]]
        assets = tuple(stream.assets.ids[a] for a in picked)
        known = self.plan.asset_by_id
        alternate = bool(batch.alternate[i])
        return Order(
            index,
            stream,
            float(self.arrived_s[index]),
            stream.consumers.ids[batch.consumer[i]],
            tuple(known[a].node for a in assets),
            assets,
            int(batch.level[i]),
            ALTERNATE_CHANNEL if alternate else stream.channel,
            {
                step.id: {
                    name: float(value[i]) if isinstance(value, np.ndarray) else value
                    for name, value in batch.params[alternate, step.id].items()
                }
                for step in (stream.alternate if alternate else stream.steps)
            },
            bool(batch.defect[i]),
            alternate,
        )

    def counts(self) -> dict[str, int]:
        """Return stream id to number of orders."""
        numbers = np.bincount(self.stream_index, minlength=len(self.plan.streams))
        return {s.id: int(n) for s, n in zip(self.plan.streams, numbers, strict=True)}


def choice_weights(selector: SelectorPlan) -> Floats:
    """Return the probabilities of a selector's ids: weights, times 1/rank^zipf in order of listing."""
    n = len(selector.ids)
    weights = np.asarray(selector.weights, dtype=float) if selector.weights else np.ones(n)
    if selector.zipf > 0:
        weights = weights * np.arange(1, n + 1, dtype=float) ** -selector.zipf
    total = weights.sum()
    if n == 0 or len(weights) != n or not total > 0:
        raise DrawError("a choice with nothing to choose from")
    return np.asarray(weights / total)


def _choose(probabilities: Floats, rng: np.random.Generator, n: int) -> Ints:
    """Return n positions by the inverse of the cumulative probabilities: one uniform each."""
    cumulative = np.cumsum(probabilities)
    picked = np.searchsorted(cumulative, rng.random(n) * cumulative[-1], side="right")
    last = int(np.flatnonzero(probabilities)[-1])
    return np.asarray(np.minimum(picked, last), dtype=np.int64)


def expected_orders(plan: Plan) -> dict[str, float]:
    """Return stream id to the mean number of orders within the horizon."""
    return {s.id: expected_count(s.arrivals, plan.run.horizon_s) for s in plan.streams}


def detail_share(plan: Plan) -> float:
    """Return the share of orders whose details (phases, states, flows, evidence ...) are kept."""
    if plan.run.detail is not None:
        return plan.run.detail
    return min(1.0, DETAILED / max(1.0, sum(expected_orders(plan).values())))


def draw_orders(plan: Plan, streams: Streams) -> Orders:
    """Draw all orders of a replication.

    Parameters
    ----------
    plan : Plan
        Streams, assets and horizon.
    streams : Streams
        The named generators of the replication; ``("orders", stream id, kind of draw, ...)`` are used.

    Raises
    ------
    DrawError
        Too many orders, or a selector without anything to choose.
    """
    batches = [_draw_stream(plan, stream, streams) for stream in plan.streams]
    times = np.concatenate([b.times for b in batches]) if batches else np.empty(0)
    which = np.repeat(
        np.arange(len(batches), dtype=np.int32), np.array([len(b.times) for b in batches], dtype=np.int64)
    )
    rows = np.concatenate(
        [np.arange(len(b.times), dtype=np.int64) for b in batches] or [np.empty(0, np.int64)]
    )
    order = np.argsort(times, kind="stable")
    return Orders(plan, times[order], which[order].astype(np.int32), rows[order], batches)


def _draw_stream(plan: Plan, stream: StreamPlan, streams: Streams) -> StreamOrders:
    def rng(*what: str) -> np.random.Generator:
        return streams.get("orders", stream.id, *what)

    times, trace_rows = arrival_times(stream.arrivals, plan.run.horizon_s, rng("arrivals"))
    n = len(times)
    consumer = _choose(choice_weights(stream.consumers), rng("consumer"), n)
    nodes = np.unique([plan.asset_by_id[a].node for a in stream.assets.ids], return_inverse=True)[1]
    wanted = np.maximum(np.rint(stream.parties.sample(rng("parties"), n)), 1).astype(np.int64)
    first, asset = _choose_assets(choice_weights(stream.assets), np.asarray(nodes), wanted, rng("asset"))
    level, alternate = _levels(plan, stream, first, asset, n, rng("sensitivity"))
    defect = rng("defect").random(n) < stream.quality_defect
    return StreamOrders(
        stream, times, consumer, first, asset, level, alternate, defect,
        _parameters(stream, trace_rows, n, streams),
    )  # fmt: skip


def _choose_assets(
    probabilities: Floats, nodes: Ints, wanted: Ints, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Return offsets and assets: for each order the wanted number of assets of distinct providers.

    One after the other, each by the probabilities of the assets whose provider is not yet in: a draw that
    hits a provider twice is repeated. Orders that want more providers than there are take them all.
    """
    providers = len(np.unique(nodes[probabilities > 0]))
    count = np.minimum(wanted, providers)
    first = np.concatenate(([0], np.cumsum(count))).astype(np.int64)
    asset = np.empty(int(first[-1]), dtype=np.int64)
    for k in range(int(count.max(initial=0))):
        rows = np.flatnonzero(count > k)
        open_rows = rows
        for attempt in range(_REDRAWS + 1):
            if attempt == _REDRAWS:
                _choose_one_by_one(probabilities, nodes, asset, first, open_rows, k, rng)
                break
            asset[first[open_rows] + k] = _choose(probabilities, rng, len(open_rows))
            if k == 0:
                break
            mine = nodes[asset[first[open_rows] + k]]
            twice = np.zeros(len(open_rows), dtype=bool)
            for earlier in range(k):
                twice |= nodes[asset[first[open_rows] + earlier]] == mine
            open_rows = open_rows[twice]
            if not len(open_rows):
                break
    return first, asset


def _choose_one_by_one(
    probabilities: Floats, nodes: Ints, asset: Ints, first: Ints, rows: Ints, k: int, rng: np.random.Generator
) -> None:
    """Choose the k-th asset of a few orders among the providers that are left (rare providers)."""
    for row in rows:
        taken = nodes[asset[first[row] : first[row] + k]]
        left = np.where(np.isin(nodes, taken), 0.0, probabilities)
        asset[first[row] + k] = _choose(left / left.sum(), rng, 1)[0]


def _levels(
    plan: Plan, stream: StreamPlan, first: Ints, asset: Ints, n: int, rng: np.random.Generator
) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """Return the sensitivity of each order and whether it takes the alternate channel [FLW-03, FLW-07]."""
    of_asset = np.array([plan.asset_by_id[a].level for a in stream.assets.ids], dtype=np.int8)
    if stream.sensitivity is not None:
        level = np.clip(np.rint(stream.sensitivity.sample(rng, n)), 1, 4).astype(np.int8)
    else:
        level = np.maximum.reduceat(of_asset[asset], first[:-1]) if n else np.empty(0, np.int8)
    alternate = np.zeros(n, dtype=np.bool_)
    if stream.threshold is not None and stream.alternate:
        alternate = level < stream.threshold
    return level, alternate


def _parameters(
    stream: StreamPlan, trace_rows: Ints, n: int, streams: Streams
) -> dict[tuple[bool, str], dict[str, Floats | Value]]:
    """Return the parameter columns of every step; columns of a trace go before drawn ones."""
    columns = {k: np.asarray(v, dtype=float)[trace_rows] for k, v in stream.arrivals.columns.items()}
    out: dict[tuple[bool, str], dict[str, Floats | Value]] = {}
    for alternate, steps in ((False, stream.steps), (True, stream.alternate)):
        for step in steps:
            values: dict[str, Any] = {}
            for name, value in step.params.items():
                if name in columns:
                    continue
                if not isinstance(value, Dist):
                    values[name] = value
                elif value.kind == "constant":
                    values[name] = min(max(value.a, value.low), value.high)
                else:
                    key = ("orders", stream.id, "alternate" if alternate else "params", step.id, name)
                    values[name] = value.sample(streams.get(*key), n)
            out[alternate, step.id] = {**values, **columns}
    return out
