"""What the machine appended, as the result tables.

The machine's record tables fill up and are drained block by block (:meth:`Records.drain`); at the end they become
columns, piece by piece (:meth:`Records.pieces`), and rows that were turned are let go. Strings are looked up by
number in dictionaries of few words.

``about`` and ``about2`` of a refusal say what its text names, by reason: a station (``capacity.queue``,
``fault.service``), one place (``trust.certificate``, ``fault.node``), two places (``fault.link``,
``network.no_route``), a place and a row of role_defs (a node that cannot run a role), a row of role_defs alone (a
role that could not be placed); -2: a policy refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from dssn_models.market.billing import Biller
from dssn_models.market.money import MICRO
from dssn_models.market.orders import ALTERNATE_CHANNEL
from dssn_models.market.states import PHASES
from dssn_models.results import TABLES
from dssn_models.rng import key_of
from dssn_models.trust.evidence import commit
from dssn_sim.compiled import tape
from dssn_sim.compiled.assemble import Assembly, Codes
from dssn_sim.compiled.blocks import Blocks
from dssn_sim.compiled.layout import RECORDS
from dssn_sim.ledger import salt_of
from dssn_sim.recorder import ROW_GROUP, arrow_schema, arrow_type

if TYPE_CHECKING:
    from dssn_sim.compiled.decisions import Decisions

__all__ = ["Records"]

Ints = NDArray[np.int64]

#: Untyped: pyarrow makes its functions as it is imported.
pc: Any = pyarrow.compute

#: What the shipped placement policies say of their choice.
PLACEMENT_REASONS: Final = {
    "nearest": "smallest round-trip time", "least_loaded": "least backlog per core",
    "cheapest": "lowest price per core-hour", "random": "random", "joint": "smallest estimated completion time",
    "earliest_finish": "earliest end of the work",
}  # fmt: skip

#: What the shipped technology policies say of their choice.
TECHNOLOGY_REASONS: Final = {"cheapest": "lowest price", "fastest": "smallest delay", "fixed": "fixed"}

#: Whose policy refuses in which phase; in all others it is placement.
_REFUSER: Final = {"order": "admission", "network_order": "technology"}

_STATES: Final = ("completed", "failed", "rejected")

#: What the table of flows needs of an order.
_CONTROL: Final = np.dtype(
    [(x, RECORDS["r_ends"][x]) for x in ("number", "consumer", "control_bytes", "arrived_s", "ended_s")]
)


def words(codes: Any, names: Sequence[str]) -> pa.Array:
    """Return a column of words from their numbers."""
    codes = np.asarray(codes)
    return pa.DictionaryArray.from_arrays(
        pa.array(codes.astype(np.int32)), pa.array(list(names), pa.string())
    ).cast(pa.string())


class Records:
    """The rows of one replication.

    Parameters
    ----------
    assembly, blocks
        What the numbers in the rows mean.
    """

    def __init__(self, assembly: Assembly, blocks: Blocks) -> None:
        self.assembly, self.blocks = assembly, blocks
        self.plan = assembly.plan
        self._parts: dict[str, list[NDArray[Any]]] = {name: [] for name in RECORDS}
        self.decisions: Decisions  # what own policies said
        self.extra: dict[str, list[tuple[Any, ...]]] = {name: [] for name in TABLES}
        network = self.plan.network
        self._places = [n.id for n in self.plan.nodes] + [s.id for s in network.sites]
        self._sites = [s.id for s in network.sites]
        self._classes = [c.id for c in self.plan.classes]
        self._streams = [s.id for s in self.plan.streams]
        self._class_of_stream = np.array([assembly.class_index[s.cls] for s in self.plan.streams], np.int64)
        self._rank = np.argsort(np.argsort(self._places))
        self._biller, self._parties = Biller(self.plan), Codes()
        self._party_of = np.array([self._parties.of(n.party or n.id) for n in self.plan.nodes], np.int64)

    def drain(self) -> None:
        """Take over what the machine has appended."""
        machine = self.assembly.state.machine
        for name in RECORDS:
            n = int(machine[f"n_{name}"][0])
            if n:
                self._parts[name].append(self.assembly.state.tables[name][:n].copy())
                machine[f"n_{name}"] = 0

    def rows(self, name: str) -> NDArray[Any]:
        """Return all rows of a record table."""
        self.drain()
        parts = self._parts[name]
        if len(parts) != 1:
            self._parts[name] = parts = [np.concatenate(parts) if parts else np.zeros(0, RECORDS[name])]
        return parts[0]

    def forget(self, name: str) -> None:
        """Let the rows of a record table go."""
        self._parts[name] = []

    def _blocks(self, name: str) -> Iterator[NDArray[Any]]:
        """Yield all rows of a record table in blocks of ``ROW_GROUP``, and keep them no longer."""
        parts = self._parts[name]
        parts.reverse()
        left = np.zeros(0, RECORDS[name])
        while parts or len(left):
            found, n = [left], len(left)
            while parts and n < ROW_GROUP:
                found.append(parts.pop())
                n += len(found[-1])
            joined = np.concatenate(found)
            left = joined[ROW_GROUP:].copy()
            yield joined[:ROW_GROUP]

    # ------------------------------------------------------------ tables

    def pieces(self) -> Iterator[tuple[str, pa.Table]]:
        """Yield every result table in pieces; once, for the rows are not kept beside them."""
        self.drain()
        controls = []
        for ends in self._blocks("r_ends"):
            yield from self._of_ends(ends)
            said = ends[(ends["detail"] != 0) & (ends["control_bytes"] > 0)]
            controls.append(said[list(_CONTROL.names or ())].astype(_CONTROL))
        yield "flows", self._table("flows", self._flows(np.concatenate([np.zeros(0, _CONTROL), *controls])))
        for record, name, columns in (
            ("r_phases", "phases", self._phases), ("r_states", "states", self._states),
            ("r_enclaves", "enclaves", self._enclaves), ("r_channels", "channels", self._channels),
            ("r_decisions", "decisions", self._decisions), ("r_refusals", "refusals", self._refusals),
            ("r_proofs", "evidence", self._evidence),
        ):  # fmt: skip
            for block in self._blocks(record):
                yield name, self._table(name, columns(block))
        for name, rows in self.extra.items():
            if rows:
                yield name, self._table(name, list(zip(*rows, strict=True)))
                rows.clear()

    def _table(self, name: str, columns: Sequence[Any]) -> pa.Table:
        specs = TABLES[name].columns
        if len(columns) != len(specs):
            raise ValueError(f"table {name}: {len(columns)} columns, the schema has {len(specs)}")
        arrays = [
            c if isinstance(c, pa.Array) else pa.array(c, arrow_type(spec.type))
            for c, spec in zip(columns, specs, strict=True)
        ]
        number = pa.scalar(self.assembly.replication, pa.int32())
        return pa.Table.from_arrays([pa.repeat(number, len(arrays[0])), *arrays], schema=arrow_schema(name))

    # ------------------------------------------------------------ of each order

    def _of_orders(self, numbers: Ints) -> dict[str, Any]:
        """Return columns of what depends on the orders alone, for these orders."""
        orders, blocks = self.blocks.orders, self.blocks
        stream, at = orders.stream_index[numbers].astype(np.int64), orders.rows[numbers]
        n = len(numbers)
        level, price = np.empty(n, np.int64), np.empty(n)
        alternate = np.empty(n, bool)
        count, first = np.empty(n, np.int64), np.empty(n, np.int64)
        for s in np.unique(stream):
            mine, batch = stream == s, orders.by_stream[s]
            level[mine], alternate[mine] = batch.level[at[mine]], batch.alternate[at[mine]]
            first[mine] = batch.first[at[mine]]
            count[mine] = batch.first[at[mine] + 1] - first[mine]
        ids = pa.array(blocks.asset_ids, pa.string())
        nodes = pa.array([self._places[p] for p in blocks.asset_place], pa.string())
        parts, joined_assets, joined_nodes = [], [], []
        lead = np.full(n, -1, np.int64)
        for parties in np.unique(count):
            mine = np.flatnonzero(count == parties)
            picked = np.empty((len(mine), parties), np.int64)
            for s in np.unique(stream[mine]):
                here = stream[mine] == s
                picked[here] = blocks.picked(int(s), at[mine[here]], int(parties))
            price[mine] = blocks.stream_price[stream[mine]]
            for k in range(parties):
                price[mine] += blocks.asset_price[picked[:, k]]
            if parties:
                lead[mine] = picked[:, 0]
            parts.append(mine)
            joined_assets.append(_joined(ids, picked))
            joined_nodes.append(_joined(nodes, picked))
        back = np.argsort(np.concatenate(parts)) if parts else np.zeros(0, np.int64)
        channels = [s.channel for s in self.plan.streams]
        channel = np.where(alternate, len(channels), stream)
        return {
            "stream": stream, "level": level, "price": price, "lead": lead,
            "assets": pa.concat_arrays(joined_assets).take(back) if parts else pa.array([], pa.string()),
            "providers": pa.concat_arrays(joined_nodes).take(back) if parts else pa.array([], pa.string()),
            "channel": words(channel, [*channels, ALTERNATE_CHANNEL]),
            "cls": words(self._class_of_stream[stream], self._classes),
        }  # fmt: skip

    def _of_ends(self, e: NDArray[Any]) -> Iterator[tuple[str, pa.Table]]:
        """Yield what the orders of a block become."""
        of = self._of_orders(e["number"])
        yield "orders", self._table("orders", self._orders(e, of))
        totals, done = np.zeros(len(e)), e["state"] == 0
        if done.any():
            totals[done] = self._biller.totals(of["price"][done], self._usage(e[done]))
        yield "deliveries", self._table("deliveries", self._deliveries(e, of, totals))
        kept = done & (e["detail"] != 0)
        if kept.any():
            for name, columns in self._bills(e[kept], of["price"][kept]).items():
                yield name, self._table(name, columns)

    def _orders(self, e: NDArray[Any], of: dict[str, Any]) -> list[Any]:
        exchanges = [s.exchange or "" for s in self.plan.streams]
        return [
            e["number"], words(of["stream"], self._streams), of["cls"], e["arrived_s"],
            words(e["consumer"], self._places), of["providers"], of["assets"], of["channel"],
            words(of["stream"], exchanges), of["level"], words(e["state"], _STATES),
            words(e["reason"], tape.REASONS), e["ended_s"], np.where(np.isinf(e["deadline_s"]), np.nan, e["deadline_s"]),
        ]  # fmt: skip

    def _deliveries(self, e: NDArray[Any], of: dict[str, Any], totals: NDArray[np.float64]) -> list[Any]:
        kept = e["state"] != 2
        e, keep = e[kept], pa.array(kept)
        ok = e["state"] == 0
        stream, lead = of["stream"][kept], of["lead"][kept]
        places = self.assembly.state.places
        first = np.where(lead >= 0, self.blocks.asset_place[lead], e["consumer"])
        traded = np.array([s.exchange is not None for s in self.plan.streams], bool)[stream]
        arrived = e["arrived_s"]
        engines = [t.steps[-1].engine for t in self.blocks.lives.templates]
        core_price = places["price"][first] / places["cores"][first] / 3600
        ran = np.where(e["run_place"] >= 0, places["site"][e["run_place"]], len(self._sites))
        return [
            e["number"], words(stream, self._streams), of["cls"].filter(keep), words(e["template"], engines),
            of["channel"].filter(keep), arrived, np.where(ok, e["receipt_s"], np.nan),
            np.where(ok, e["receipt_s"] - arrived, np.nan), e["opened_s"] - arrived,
            np.where(traded, e["settled_s"] - arrived, np.nan), e["job_ended_s"] - e["job_began_s"], e["queue_s"],
            e["wire"], e["payload"], e["core_s"], e["raw"], e["result_bytes"], e["core_s"] * core_price + e["price"],
            totals[kept], e["attempts"].astype(np.int64), ok & (e["receipt_s"] <= e["deadline_s"]),
            words(e["state"], _STATES), words(e["reason"], tape.REASONS),
            words(places["site"][e["consumer"]], self._sites), words(places["site"][first], self._sites),
            words(ran, [*self._sites, ""]),
        ]  # fmt: skip

    def _usage(self, e: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
        """Return metered quantities of completed orders, by kind."""
        usage = {kind: column[e["number"]] for kind, column in self.blocks.meters.items()}
        usage |= {"bytes": e["payload"], "core_s": e["core_s"], "result": np.ones(len(e))}
        if e["tee_s"].any():
            usage["tee_s"] = np.where(e["tee_s"] > 0, e["tee_s"], usage.get("tee_s", 0.0))
        return usage

    def _bills(self, e: NDArray[Any], price: NDArray[np.float64]) -> dict[str, list[Any]]:
        """Return the tables of meters and bills of completed orders."""
        usage = dict(sorted(self._usage(e).items()))
        parties = self._parties.words
        payer = self._party_of[e["consumer"]]
        quantities = np.stack(list(usage.values()), axis=1)
        at, kind = np.nonzero(quantities > 0)
        lines = self._biller.lines(
            payer, parties, price, usage, lambda i: self.blocks.orders.row(int(e["number"][i]))
        )
        return {
            "meters": [e["number"][at], words(payer[at], parties), words(kind, list(usage)), quantities[at, kind]],
            "bills": [
                e["number"][lines.at], words(lines.party, lines.parties), words(lines.role, lines.roles),
                words(lines.item, lines.items), lines.micro / MICRO,
            ],
        }  # fmt: skip

    # ------------------------------------------------------------ details

    def _phases(self, r: NDArray[Any]) -> list[Any]:
        names = [*self.assembly.words.words, ""]
        step = np.where(r["step"] >= 0, r["step"], len(names) - 1)
        return [
            r["number"], words(r["cls"], self._classes), words(r["phase"], PHASES), r["start_s"], r["end_s"],
            np.maximum(r["wait_s"], 0.0), words(np.zeros(len(r)), [""]), words(step, names),
        ]  # fmt: skip

    def _states(self, r: NDArray[Any]) -> list[Any]:
        names = self.assembly.words.words
        step = r["step"].astype(np.int64)
        machines = [m for m, _s in tape.STATES]
        spread = [f"{m}:{w}" if w else m for w in ("", *names) for m in machines]
        return [
            r["number"], words((step + 1) * len(machines) + r["state"], spread),
            words(r["state"], [s for _m, s in tape.STATES]), r["at_s"],
        ]  # fmt: skip

    def _flows(self, e: NDArray[Any]) -> list[Any]:
        """Return the flows of the data plane and, one each order of ``e``, what went over control paths, by their end."""
        r = self.rows("r_flows")
        self.forget("r_flows")
        order = np.argsort(np.concatenate([r["end_s"], e["ended_s"]]), kind="stable")

        def both(data: Any, control: Any) -> NDArray[Any]:
            return np.concatenate([data, np.broadcast_to(control, len(e))])[order]

        links = [link.id for link in self.plan.network.links]
        technology, technologies = self._technologies(r)
        classes = self._class_of_stream[self.blocks.orders.stream_index[e["number"]]]
        return [
            both(r["number"], e["number"]), words(both(r["source"], e["consumer"]), self._places),
            words(both(r["target"], len(self._places)), [*self._places, "platform"]),
            words(both(r["cls"], classes), self._classes),
            words(both(r["data"], len(tape.DATA)), [*tape.DATA, "control"]), both(r["payload"], e["control_bytes"]),
            both(r["wire"], e["control_bytes"]), both(r["start_s"], e["arrived_s"]), both(r["end_s"], e["ended_s"]),
            both(r["ideal_s"], np.nan),
            words(both(np.where(r["narrow"] >= 0, r["narrow"] // 2, len(links)), len(links)), [*links, ""]),
            words(both(technology, len(technologies)), [*technologies, "control"]),
        ]  # fmt: skip

    def _technologies(self, r: NDArray[Any]) -> tuple[Ints, list[str]]:
        """Return the technologies of each flow's route: of the access links and of the path between the sites."""
        a, state = self.assembly, self.assembly.state
        none = len(a.link_technologies)

        def access(place: NDArray[Any]) -> NDArray[Any]:
            link = state.places["link"][place]
            return np.where(link >= 0, state.links["technology"][link], none)

        n = none + 1
        keys = (r["path"].astype(np.int64) * n + access(r["source"])) * n + access(r["target"])
        distinct, which = np.unique(keys, return_inverse=True)
        names = [*a.link_technologies.words, ""]
        found = []
        for key in distinct.tolist():
            path, up, down = key // (n * n), key // n % n, key % n
            used = a.path_words[path].split("+") if path >= 0 and a.path_words[path] else []
            for name, first in ((names[up], True), (names[down], False)):
                if name and name not in used:
                    used = [name, *used] if first else [*used, name]
            found.append("+".join(used))
        return which, found

    def _enclaves(self, r: NDArray[Any]) -> list[Any]:
        profiles = [n.tee.profile if n.tee else "" for n in self.plan.nodes]
        return [
            r["number"], words(r["place"], self._places), words(r["place"], profiles), r["bytes"], r["start_s"],
            r["end_s"], r["paged"], r["attest_s"],
        ]  # fmt: skip

    def _channels(self, r: NDArray[Any]) -> list[Any]:
        a, b = words(r["a"], self._places), words(r["b"], self._places)
        swap = pa.array(self._rank[r["a"]] > self._rank[r["b"]])
        return [
            pc.if_else(swap, b, a), pc.if_else(swap, a, b), words(r["suite"], self.assembly.suites.words),
            r["opened_s"], r["closed_s"], r["uses"].astype(np.int64), r["setup_s"],
        ]  # fmt: skip

    def _decisions(self, r: NDArray[Any]) -> list[Any]:
        kinds = ("placement", "admission", "technology")
        policies = [self.plan.policies[k].name if k in self.plan.policies else "" for k in kinds]
        own = self.decisions.own
        n = len(self._places)
        taken = np.where(r["kind"] == 1, n, r["choice"] + (r["kind"] == 2) * (n + 2))
        choice = np.where(r["choice"] < 0, n + 1, taken)
        reason = np.where(r["choice"] < 0, -1 - r["choice"], len(tape.REASONS) + r["kind"])
        why = [PLACEMENT_REASONS.get(policies[0], ""), "", TECHNOLOGY_REASONS.get(policies[2], "")]
        return [
            r["at_s"], r["number"], words(r["kind"], kinds),
            words(r["kind"], [own[k].name if k in own else p for k, p in zip(kinds, policies, strict=True)]),
            words(choice, [*self._places, "Admit", "RefuseOrder", *self.assembly.technologies.words]),
            self.decisions.told(r["kind"], words(reason, [*tape.REASONS, *why])),
            r["candidates"].astype(np.int64),
        ]  # fmt: skip

    def _refusals(self, r: NDArray[Any]) -> list[Any]:
        stream = self.blocks.orders.stream_index[r["number"]]
        return [
            r["at_s"], r["number"], words(stream, self._streams), words(self._class_of_stream[stream], self._classes),
            words(np.where(r["phase"] >= 0, r["phase"], 0), PHASES), words(r["reason"], tape.REASONS),
            [self._detail(row) for row in r],
        ]  # fmt: skip

    def _detail(self, row: Any) -> str:
        """Return the text of a refusal."""
        reason, about, about2 = tape.REASONS[row["reason"]], int(row["about"]), int(row["about2"])
        if about == -2:
            phase = PHASES[row["phase"]]
            return f"{_REFUSER[phase]} policy" if phase in _REFUSER else "placement"
        if reason in ("capacity.queue", "fault.service"):
            return self.plan.services[about].id
        if reason.startswith("compliance."):
            return self.blocks.clause(int(row["number"]), reason)
        if reason == "quality.defect":
            return ",".join(self.blocks.orders.row(int(row["number"])).assets)
        if about < 0:
            return ""
        if reason in ("trust.certificate", "trust.revoked", "fault.node"):
            return self._places[about]
        if PHASES[row["phase"]] == "plan":
            return self._no_node(about, about2)
        between = "-" if PHASES[row["phase"]] == "network_order" else "->"
        return f"{self._places[about]} {between} {self._places[about2]}"

    def _no_node(self, about: int, about2: int) -> str:
        names = self.blocks.lives.role_names
        if about2 < 0:
            name, engine = names[about]
            return f"no node for role {name} of {engine}"
        name, engine = names[about2]
        node = self.plan.nodes[about]
        return f"{engine} as {name} on {node.id} ({node.size})"

    def _evidence(self, r: NDArray[Any]) -> list[Any]:
        """Return the commitments; facts are written as the SimPy kernel writes them."""
        of = self._of_orders(r["number"])
        assets = of["assets"].to_pylist()
        key = key_of(self.plan.run.seed, self.assembly.replication, "evidence", "salt")
        consumers = self._consumer_of(r["number"])
        numbers, verdicts, results = (r[name].tolist() for name in ("number", "verdict", "result_bytes"))
        facts = {
            "order": consumers, "contract": assets,
            "review": ["pass" if v == tape.PASS else "needs_approval" for v in verdicts],
            "receipt": [f"{x:.0f}" for x in results],
        }  # fmt: skip
        digests = [
            [
                commit(salt_of(key, str(order), k), fact).hex()
                for order, fact in zip(numbers, column, strict=True)
            ]
            for k, column in enumerate(facts.values())
        ]
        n = len(facts)
        return [
            np.repeat(r["number"], n), np.tile(np.arange(n), len(r)), words(np.tile(np.arange(n), len(r)), list(facts)),
            np.repeat(r["written_s"], n), np.repeat(r["final_s"], n),
            [x for of_order in zip(*digests, strict=True) for x in of_order],
        ]  # fmt: skip

    def _consumer_of(self, numbers: Ints) -> list[str]:
        orders = self.blocks.orders
        stream, at = orders.stream_index[numbers], orders.rows[numbers]
        return [
            orders.by_stream[s].stream.consumers.ids[orders.by_stream[s].consumer[i]]
            for s, i in zip(stream.tolist(), at.tolist(), strict=True)
        ]


def _joined(names: pa.Array, picked: Ints) -> pa.Array:
    """Return the comma-separated names of each row of numbers."""
    columns = [names.take(pa.array(picked[:, k])) for k in range(picked.shape[1])]
    if not columns:
        return pa.array([""] * len(picked), pa.string())
    return pc.binary_join_element_wise(*columns, ",") if len(columns) > 1 else columns[0]
