"""Orders for the machine, block by block: templates, columns of costs, verdicts of the reviews."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dssn_models.engines.api import JobCost
from dssn_models.engines.columns import CostGroup
from dssn_models.market.metering import KINDS
from dssn_models.market.orders import ALTERNATE_CHANNEL, Orders, StreamOrders
from dssn_models.plan import JobStepPlan, StreamPlan
from dssn_models.rng import key_of
from dssn_models.trust.compliance import (
    FORMS,
    ReviewFacts,
    RulePack,
    Verdict,
    common_forms,
    human_verdict,
    review,
)
from dssn_sim.compiled import tape
from dssn_sim.compiled.assemble import Assembly
from dssn_sim.compiled.draws import uniforms
from dssn_sim.compiled.layout import PLAN
from dssn_sim.compiled.lives import Lives, Refs, shape_of

__all__ = ["BLOCK", "Blocks", "facts_of"]

Ints = NDArray[np.int64]

#: Orders handed to the machine at a time.
BLOCK: Final = 65_536


def facts_of(
    stream: StreamPlan,
    level: int,
    regions: tuple[str, ...],
    forms: frozenset[str],
    *,
    alternate: bool,
    export: bool,
    confidentiality: str,
) -> ReviewFacts:
    """Return what the reviewer is told of an order (sectors decide nothing)."""
    return ReviewFacts(
        level=level, channel=ALTERNATE_CHANNEL if alternate else stream.channel, confidentiality=confidentiality,
        purpose=stream.purpose, cross_border=stream.cross_border, export_allowed=export,
        engines=tuple(s.engine for s in (stream.alternate if alternate else stream.steps)),
        baseline=stream.baseline, regions=regions, forms=forms,
    )  # fmt: skip


class Blocks:
    """Writes the orders of a replication into the machine's tables.

    Parameters
    ----------
    assembly : Assembly
        The tables.
    orders : Orders
        All orders of the replication.
    share : float
        Share of orders whose details are kept.
    """

    def __init__(self, assembly: Assembly, orders: Orders, share: float) -> None:
        self.assembly, self.orders, self.share = assembly, orders, share
        self.lives = Lives(assembly)
        plan = assembly.plan
        self.rules = RulePack.from_mapping(plan.compliance)
        seed, replication = plan.run.seed, assembly.replication
        self._keys = key_of(seed, replication, "review"), key_of(seed, replication, "detail")
        assets = list(plan.asset_by_id.values())
        index = {a.id: i for i, a in enumerate(assets)}
        self.asset_place = np.array([assembly.node_index[a.node] for a in assets], np.int32)
        self.asset_ids = list(index)
        self.stream_price = np.array([s.price_cny for s in plan.streams])
        self.asset_price = np.array([a.price_cny for a in assets])
        self._asset_level = np.array([a.level for a in assets], np.int64)
        self._asset_export = np.array([a.export for a in assets], bool)
        self._asset_forms = np.array([_bits(common_forms([a.forms])) for a in assets], np.int64)
        self._asset_rows = np.array([a.rows for a in assets], float)
        self._asset_row_bytes = np.array([a.row_bytes for a in assets], float)
        by_size = sorted(
            range(len(assets)), key=lambda i: (assets[i].rows * assets[i].row_bytes, assets[i].id)
        )
        self._by_size = np.array(by_size, np.int64)
        self._size_rank = np.argsort(self._by_size)
        #: Per stream: assets and consumers of its selectors as numbers.
        self.assets_of = [np.array([index[a] for a in s.assets.ids], np.int64) for s in plan.streams]
        self.consumers_of = [
            np.array([assembly.node_index[c] for c in s.consumers.ids], np.int32) for s in plan.streams
        ]
        self.regions = sorted({s.region for s in plan.network.sites if s.region})
        bit = {r: 1 << i for i, r in enumerate(self.regions)}
        self._region_bit = np.array([bit.get(s.region, 0) for s in plan.network.sites], np.int64)
        #: Metered quantities that the engines know beforehand: kind -> value of every order.
        self.meters: dict[str, NDArray[np.float64]] = {}
        self.templates_of = np.zeros(len(orders), np.int32)

    # ------------------------------------------------------------ a block

    def load(self, first: int, last: int) -> None:
        """Write the orders ``first`` to ``last`` (exclusive)."""
        n = last - first
        rows = np.zeros(n, PLAN["orders"])
        rows["number"] = np.arange(first, last)
        rows["arrived_s"] = self.orders.arrived_s[first:last]
        rows["detail"] = uniforms(self._keys[1], first, n, 0) < self.share
        xs: list[NDArray[np.float64]] = []
        ps: list[NDArray[np.int32]] = []
        which = self.orders.stream_index[first:last]
        order = np.argsort(which, kind="stable")
        bounds = np.searchsorted(which[order], np.arange(len(self.assembly.plan.streams) + 1))
        at_x = at_p = 0
        for s in range(len(self.assembly.plan.streams)):
            mine = order[bounds[s] : bounds[s + 1]]
            if not len(mine):
                continue
            here = self.orders.rows[first + mine]
            for alternate, parties, part in self._kinds(s, here):
                found = self._groups(s, here[part], first + mine[part], parties, alternate=alternate)
                for x, p, chosen, template in found:
                    where = mine[part[chosen]]
                    rows["template"][where] = template
                    rows["x"][where] = at_x + np.arange(len(where)) * x.shape[1]
                    rows["p"][where] = at_p + np.arange(len(where)) * parties
                    xs.append(x.ravel())
                    ps.append(p.ravel())
                    at_x, at_p = at_x + x.size, at_p + p.size
            self._facts(s, rows, mine, here)
        state = self.assembly.state
        widest = max((t.columns for t in self.lives.templates), default=0)
        state.put("xs", np.concatenate([*xs, np.zeros(max(widest, 1))]))
        state.put("ps", np.concatenate([*ps, np.zeros(1, np.int32)]))
        state.put("orders", rows)
        self.templates_of[first:last] = rows["template"]
        self.lives.write()

    def _kinds(self, s: int, here: Ints) -> list[tuple[bool, int, Ints]]:
        """Return the orders of a stream by (alternate, number of providers)."""
        batch = self.orders.by_stream[s]
        count = batch.first[here + 1] - batch.first[here]
        kinds = 2 * count + batch.alternate[here]
        return [(bool(kind & 1), int(kind) >> 1, np.flatnonzero(kinds == kind)) for kind in np.unique(kinds)]

    def picked(self, s: int, here: Ints, parties: int) -> Ints:
        """Return the numbers of the assets of orders with this many providers, shape (n, parties)."""
        batch = self.orders.by_stream[s]
        where = batch.first[here][:, None] + np.arange(parties)
        return np.asarray(self.assets_of[s][batch.asset[where]])

    # ------------------------------------------------------------ costs

    def _groups(
        self, s: int, here: Ints, numbers: Ints, parties: int, *, alternate: bool
    ) -> list[tuple[NDArray[np.float64], NDArray[np.int32], Ints, int]]:
        """Return columns, providers, positions and template of each group with the same steps."""
        batch = self.orders.by_stream[s]
        steps = batch.stream.alternate if alternate else batch.stream.steps
        assets = self.picked(s, here, parties)
        params = [self._params(batch, step, here, assets, alternate=alternate) for step in steps]
        suite = batch.stream.net.suite

        def costs(k: int, part: Ints) -> list[CostGroup]:
            engine = self.assembly.engine(steps[k])
            return engine.cost_columns(_of(params[k], part), len(part), parties, steps[k].profile, suite)

        groups: list[tuple[Ints, list[JobCost]]] = [(np.arange(len(here), dtype=np.int64), [])]
        for k in range(len(steps)):
            split = []
            for part, known in groups:
                found = costs(k, part)
                for g in found:
                    mine = part[g.rows]
                    earlier = known if len(found) == 1 else [costs(i, mine)[0].cost for i in range(k)]
                    split.append((mine, [*earlier, g.cost]))
            groups = split
        out = []
        for part, jobs in groups:
            refs = Refs(self.lives.consts)
            shapes = [
                shape_of(self.assembly, step, parties, cost, refs)
                for step, cost in zip(steps, jobs, strict=True)
            ]
            x = np.column_stack(refs.columns) if refs.columns else np.empty((len(part), 0))
            template = self.lives.template(s, shapes, parties, alternate=alternate, columns=x.shape[1])
            out.append((x, self.asset_place[assets[part]], part, template))
            self._meter(jobs, numbers[part])
        return out

    def _meter(self, jobs: list[JobCost], numbers: Ints) -> None:
        for job in jobs:
            for kind, quantity in job.meters.items():
                if kind in KINDS:
                    if kind not in self.meters:
                        self.meters[kind] = np.zeros(len(self.orders))
                    self.meters[kind][numbers] += quantity

    def _params(
        self, batch: StreamOrders, step: JobStepPlan, here: Ints, assets: Ints, *, alternate: bool
    ) -> dict[str, Any]:
        """Return the parameters of an engine run; rows and row size from the largest asset, as ``Job`` does."""
        values = {
            name: value[here] if isinstance(value, np.ndarray) else value
            for name, value in batch.params[alternate, step.id].items()
        }
        known = self.assembly.engine(step).parameters()
        if "rows" not in known or any(name in values for name in ("rows", "size", "calls", "duration")):
            return values
        if step.engine in ("api.query", "transfer.stream") or not assets.shape[1]:
            return values
        largest = self._by_size[self._size_rank[assets].max(axis=1)]
        values["rows"] = self._asset_rows[largest]
        if "row_size" in known:
            values.setdefault("row_size", self._asset_row_bytes[largest])
        return values

    # ------------------------------------------------------------ facts

    def _facts(self, s: int, rows: NDArray[Any], mine: Ints, here: Ints) -> None:
        """Write consumer, deadline, distance, defect and verdicts of the orders of a stream."""
        plan, batch = self.assembly.plan, self.orders.by_stream[s]
        stream = batch.stream
        consumer = self.consumers_of[s][batch.consumer[here]]
        rows["consumer"][mine] = consumer
        rows["defect"][mine] = batch.defect[here]
        deadline = (
            stream.deadline_s if stream.deadline_s is not None else plan.class_by_id[stream.cls].deadline_s
        )
        rows["deadline_s"][mine] = np.inf if deadline is None else rows["arrived_s"][mine] + deadline
        places, n = self.assembly.state.places, self.assembly.n_sites
        home = places["site"][consumer]
        for site in np.unique(home):
            self.assembly.rtt_from(int(site))
        rtt = self.assembly.state.rtt.reshape(n, n)
        for _alternate, parties, part in self._kinds(s, here):
            assets = self.picked(s, here[part], parties)
            sites = places["site"][self.asset_place[assets]]
            rows["far_s"][mine[part]] = rtt[home[part][:, None], sites].max(axis=1, initial=0.0)
            self._review(s, rows, mine[part], here[part], assets, (home[part], sites))

    def _review(
        self, s: int, rows: NDArray[Any], mine: Ints, here: Ints, assets: Ints, sites: tuple[Ints, Ints]
    ) -> None:
        """Write the verdicts: looked up once for each case that the rules can tell apart."""
        batch = self.orders.by_stream[s]
        level = batch.level[here].astype(np.int64)
        if batch.stream.threshold is None:
            level = np.maximum(level, self._asset_level[assets].max(axis=1, initial=0))
        export = self._asset_export[assets].all(axis=1)
        forms = np.bitwise_and.reduce(self._asset_forms[assets], axis=1)
        regions = np.zeros(len(here), np.int64)
        if self.rules.regions_allow or self.rules.regions_deny:
            regions = self._region_bit[sites[0]] | np.bitwise_or.reduce(self._region_bit[sites[1]], axis=1)
        cases = np.stack([level, export, batch.alternate[here], regions, forms], axis=1)
        distinct, case = np.unique(cases, axis=0, return_inverse=True)
        luck = self._luck(rows["number"][mine], 0)
        human = np.array([self.verdict(s, tuple(c), 0.0) for c in distinct.tolist()], object)
        usual = np.array([self.verdict(s, tuple(c), 1.0) for c in distinct.tolist()], object)
        looked = luck < self.rules.human_share
        codes = np.array([[_code(v) for v in kind] for kind in (usual, human)], np.int8)
        rows["verdict"][mine] = codes[looked.astype(int), case.ravel()]
        person = [_code(human_verdict(self.rules, u)) for u in (0.0, 1.0)]
        refused = self._luck(rows["number"][mine], 1) < self.rules.refuse_share
        rows["human"][mine] = np.where(refused, *person)

    def _luck(self, numbers: Ints, n: int) -> NDArray[np.float64]:
        """Return the n-th uniform number of the reviews of ascending orders."""
        first = int(numbers[0])
        return np.asarray(uniforms(self._keys[0], first, int(numbers[-1]) - first + 1, n)[numbers - first])

    def verdict(self, s: int, case: tuple[int, int, int, int, int], luck: float) -> Verdict:
        """Return the verdict on the orders of a stream with this level, export, alternate, regions and forms."""
        level, export, alternate, bits, allowed = case
        stream = self.assembly.plan.streams[s]
        steps = stream.alternate if alternate else stream.steps
        regions = tuple(r for i, r in enumerate(self.regions) if bits >> i & 1)
        forms = frozenset(f for i, f in enumerate(FORMS) if allowed >> i & 1)
        facts = facts_of(
            stream, level, regions, forms, alternate=bool(alternate), export=bool(export),
            confidentiality=self.assembly.engine(steps[0]).confidentiality,
        )  # fmt: skip
        return review(facts, self.rules, luck)

    def clause(self, number: int, reason: str) -> str:
        """Return the clause by which an order was refused."""
        if reason == "compliance.review":
            return human_verdict(self.rules, 0.0).clause
        order = self.orders.row(number)
        s = int(self.orders.stream_index[number])
        plan = self.assembly.plan
        assets = [plan.asset_by_id[a] for a in order.assets]
        level = order.level
        if order.stream.threshold is None:
            level = max([level, *(a.level for a in assets)])
        sites, index = plan.network.sites, plan.network.site_index
        found = {sites[index[plan.node_by_id[x].site]].region for x in (order.consumer, *order.providers)}
        bits = sum(1 << i for i, r in enumerate(self.regions) if r in found)
        forms = _bits(common_forms(a.forms for a in assets))
        case = (level, int(all(a.export for a in assets)), int(order.alternate), bits, forms)
        return self.verdict(s, case, 1.0).clause


def _bits(forms: frozenset[str]) -> int:
    return sum(1 << i for i, form in enumerate(FORMS) if form in forms)


def _code(verdict: Verdict) -> int:
    if verdict.outcome == "refuse":
        return tape.REFUSE + tape.REASON[verdict.reason]
    return tape.APPROVAL if verdict.outcome == "needs_approval" else tape.PASS


def _of(values: Mapping[str, Any], part: Ints) -> dict[str, Any]:
    return {k: v[part] if isinstance(v, np.ndarray) else v for k, v in values.items()}
