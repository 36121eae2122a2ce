"""Python's side of the machine: compiled functions, room for rows, and the loop around its questions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dssn_models.engines.registry import REGISTRY
from dssn_models.rng import key_of
from dssn_sim.compiled import (
    doors,
    draws,
    machine,
    ops_allocate,
    ops_data,
    ops_end,
    ops_fault,
    ops_job,
    ops_network,
    ops_place,
    ops_step,
)
from dssn_sim.compiled.assemble import OPERATIONS, Assembly
from dssn_sim.compiled.layout import FIXED, LIFE, RECORDS, SPARE
from dssn_sim.compiled.tape import ASK
from dssn_sim.dataplane import events
from dssn_sim.dataplane.batch import larger
from dssn_sim.dataplane.compiled import is_warm, warm_up
from dssn_sim.dataplane.layout import MAX_ROUTE, UNBOUNDED_BPS, new_state
from dssn_sim.dataplane.layout import State as SolverState
from dssn_sim.world import NO_ROUTE_PATIENCE_S

__all__ = ["MODULES", "Machine"]

#: Modules with compiled functions: what ``warm_up`` must know.
MODULES = (
    ops_data, ops_step, ops_allocate, ops_job, ops_network, ops_place, ops_end, ops_fault, machine, draws,
)  # fmt: skip

_FUNCTIONS = {
    "start_flow": events.start_flow,
    "stop_flow": events.stop_flow,
    "settle": events.settle,
    "end_due": events.end_due,
    "begin_flow": ops_data.begin_flow,
    "finish_flow": ops_data.finish_flow,
    "begin_work": ops_data.begin_work,
    "finish_work": ops_data.finish_work,
    "cut": ops_data.cut,
    "request": ops_allocate.request,
    "give_back": ops_allocate.give_back,
    "choose_network": ops_network.choose_network,
    "place": ops_place.place,
    "step": ops_step.step,
    "allocate": ops_job.allocate,
    "clean_up": ops_job.clean_up,
    "fail": ops_end.fail,
    "finish": ops_end.finish,
    "advance": machine.advance,
}

#: Tables with more than one row for each row of a life table: name -> (table, field of the machine that is the width).
_WIDE = {"bound": ("jobs", "n_roles"), "columns": ("deliveries", "n_columns"), "providers": ("deliveries", "n_parties"),
         "called": ("deliveries", "n_operations")}  # fmt: skip

_LIFE = ("deliveries", "threads", "jobs", "held", "callers", "channels", "requests", "needs")
_WINDOW, _MAX_BYPASS, _GUARDS = 32, 64, 128  # of the allocator; guarded requests of a node at most
_BUCKETS = 1 << 16


class Machine:
    """The machine of one replication and the solver of its data plane.

    Parameters
    ----------
    assembly : Assembly
        The plan in tables.
    drain : callable
        Takes over all rows of the record tables (and sets their counts to 0).
    """

    def __init__(self, assembly: Assembly, drain: Callable[[], None]) -> None:
        self.assembly, self.state, self._drain = assembly, assembly.state, drain
        self.solver = _solver(assembly)
        if not is_warm(*MODULES):
            warm_up(*MODULES)
        doors.install(self.state, _FUNCTIONS)
        self._tables()
        self._row()
        for name in (*_LIFE, *RECORDS):
            self._resize(name, 1024)
        self._resize("heap", 4096)
        self._resize("flow_thread", len(self.solver.flows))
        self._widen()

    def _tables(self) -> None:
        """Make the tables of fixed size."""
        a, state = self.assembly, self.state
        plan = a.plan
        nodes = np.zeros(a.n_nodes, FIXED["nodes"])
        nodes["factor"] = 1.0
        nodes["up"] = 1
        nodes["far"] = nodes["work"] = -1
        for what, values in (("cores", [round(n.cores * 1e6) for n in plan.nodes]),
                             ("memory", [round(n.memory_bytes) for n in plan.nodes])):  # fmt: skip
            for kind in ("total", "free", "most"):
                nodes[f"{kind}_{what}"] = values
        n_images = len(a.engines)
        cached = np.zeros(a.n_nodes * n_images, FIXED["cached"])
        cached["waiter"] = -1
        names = [REGISTRY[e].image.name for e in a.engines.words]
        for i, node in enumerate(plan.nodes):
            for image in node.preloaded:
                if image in names:
                    nodes["clock"][i] += 1
                    cached[i * n_images + names.index(image)] = (0.0, nodes["clock"][i], -1, -1, 1, 0)
        state.put("nodes", nodes)
        state.put("cached", cached)
        state.put("near", np.zeros(a.n_nodes * (2 * _WINDOW + 2), np.int32))
        state.put("guards", np.zeros(a.n_nodes * _GUARDS, np.int32))
        state.put("dirty", np.zeros(a.n_nodes, np.int32))
        state.put("free_of", np.zeros(2 * len(plan.network.links), FIXED["free_of"]))
        state.put("buckets", np.full(_BUCKETS, -1, np.int32))
        state.put("scratch", np.zeros((_WINDOW + 2) * a.n_nodes + 2, np.int32))
        state.put("route", np.zeros(MAX_ROUTE + 2, np.int64))
        state.put("in_flight", np.zeros(len(plan.classes), np.int64))

    def _row(self) -> None:
        """Fill the machine's own row."""
        a, row = self.assembly, self.state.machine
        plan, run = a.plan, a.plan.run
        values: dict[str, Any] = {
            "solver": self.solver.mem, "next_end": np.inf, "taken_s": -1.0, "retry_s": run.retry_s,
            "patience_s": max(run.retry_s * run.max_retries, NO_ROUTE_PATIENCE_S), "telemetry_s": run.telemetry_s,
            "give_up_s": run.retry_s * max(1, run.max_retries), "max_retries": run.max_retries,
            "n_nodes": a.n_nodes, "n_sites": a.n_sites,
            "n_links": len(plan.network.links), "n_images": len(a.engines), "n_operations": len(OPERATIONS),
            "n_operators": len(a.operators), "n_buckets": _BUCKETS, "n_guards": _GUARDS, "window": _WINDOW,
            "max_bypass": _MAX_BYPASS, "longest": MAX_ROUTE // 4,
        }  # fmt: skip
        for name, value in values.items():
            row[name] = value
        for name in LIFE:
            row[f"free_{name}"] = -1
        self._policies()

    def _policies(self) -> None:
        """Write the numbers of the policies that decide."""
        a, row = self.assembly, self.state.machine
        plan, run = a.plan, a.plan.run
        placement = plan.policies.get("placement")
        name = placement.name if placement is not None else ""
        options = placement.options if placement is not None else {}
        row["placement"] = (
            ops_place.POLICIES.index(name) if name in ops_place.POLICIES else len(ops_place.POLICIES)
        )
        row["choices"] = int(options.get("choices", 0))
        row["policy_key"] = key_of(run.seed, a.replication, "policy", "placement")
        # Others look at free rates too: then when a rate is first seen matters.
        looks = name in ("joint", "earliest_finish") or "technology" in plan.policies
        row["look_at_links"] = looks
        technology = plan.policies.get("technology")
        if technology is not None and technology.name in ops_network.TECHNOLOGIES:
            row["technology"] = ops_network.TECHNOLOGIES.index(technology.name)
            row["fixed"] = a.technologies.of(str(technology.options.get("technology", "otn")))
        planes = [a.technologies.of(name) for name in sorted(a.router.planes)]
        row["n_planes"] = len(planes)
        self.state.put("planes", np.array(planes, np.int32))
        queueing = plan.policies.get("queueing")
        kind = queueing.name if queueing is not None else ""
        aging = float(queueing.options.get("aging", np.inf)) if queueing is not None else np.inf
        row["aging"] = aging
        row["queueing"] = {
            "fifo": ops_job.FIFO, "priority": ops_job.PRIORITY if np.isinf(aging) else ops_job.AGING,
            "earliest_deadline": ops_job.DEADLINE, "shortest_job": ops_job.SHORTEST,
        }.get(kind, ops_job.PRIORITY)  # fmt: skip

    def set_widths(self) -> None:
        """Take over how wide templates are; called when templates were added."""
        state, row = self.state, self.state.machine
        roles = int(state.job_defs["roles"].max(initial=1))
        branches = int(max(state.step_defs["works"].max(initial=0) + state.step_defs["sends"].max(initial=0),
                           state.job_defs["pairs"].max(initial=0), roles))  # fmt: skip
        widths = {
            "n_columns": int(state.templates["columns"].max(initial=1)),
            "n_parties": int(state.templates["parties"].max(initial=1)),
            "n_roles": roles,
        }
        for name, value in widths.items():
            old = int(row[name][0])
            if value > old:
                row[name] = value
                self._rewiden(name, old, value)
        row["spare"] = max(int(row["spare"][0]), SPARE + 8 * branches)
        self.make_room()

    def run(self, until_s: float) -> int:
        """Let time pass; returns the question (``ASK``): SAMPLE at ``until_s``, NOTHING at the end of a drain."""
        self.state.machine["until_s"] = until_s
        while True:
            question = int(machine.run(self.state.mem))
            if question != ASK.ROOM:
                return question
            self.make_room()

    def make_room(self) -> None:
        """Drain the record tables and double life tables that are nearly full."""
        state, row = self.state, self.state.machine[0]
        spare = int(row["spare"])
        self._drain()
        for name in RECORDS:
            self._resize(name, 64 * spare)
        for name in _LIFE:
            if row[f"top_{name}"] + spare > row[f"size_{name}"]:
                self._resize(name, 2 * len(state.tables[name]) + spare)
        head = state.head[0]
        if head["size"] - head["n"] < spare:
            self._resize("heap", 2 * len(state.heap) + spare)
        self._widen()
        misc = self.solver.misc[0]
        flows, legs = len(self.solver.flows), len(self.solver.legs)
        if misc["top_flow"] + spare > flows:
            flows = 2 * flows + spare
        if misc["top_leg"] + spare * row["longest"] > legs:
            legs = 2 * legs + spare * int(row["longest"])
        if flows > len(self.solver.flows) or legs > len(self.solver.legs):
            self.solver = larger(self.solver, flows, legs)
            self._resize("flow_thread", flows)

    # ------------------------------------------------------------ inside

    def _resize(self, name: str, n: int) -> None:
        old = self.state.tables[name]
        if n > len(old):
            rows = np.zeros(n, old.dtype)
            rows[: len(old)] = old
            self.state.put(name, rows)

    def _rewiden(self, width: str, old: int, new: int) -> None:
        """Move the rows of tables whose width has grown."""
        for name, (table, field) in _WIDE.items():
            if field == width:
                n = len(self.state.tables[table])
                rows = np.zeros((n, new), self.state.tables[name].dtype)
                if old:
                    rows[:, :old] = self.state.tables[name][: n * old].reshape(n, old)
                self.state.put(name, rows)

    def _widen(self) -> None:
        """Bring the tables that go with others to their length."""
        state, row = self.state, self.state.machine[0]
        for name, (table, width) in _WIDE.items():
            self._resize(name, len(state.tables[table]) * max(1, int(row[width])))
        self._resize("calls", len(state.callers))
        old, n = state.ready, len(state.threads)
        if n > len(old):
            first, count = int(row["ready_first"]), int(row["ready_n"])
            rows = np.zeros(n, old.dtype)
            rows[:count] = old[(first + np.arange(count)) % len(old)]
            state.put("ready", rows)
            state.machine["ready_first"] = 0


def _solver(a: Assembly) -> SolverState:
    """Return the data plane: directed links, then nodes; a layer for each priority in order."""
    links = a.plan.network.links
    n = 2 * len(links)
    solver = new_state(n + a.n_nodes, layers=max(1, len(a.layers)), flows=1024, legs=1 << 14)
    for i, link in enumerate(links):
        for k, rate in ((2 * i, link.rate_ab_bps), (2 * i + 1, 0.0 if link.shared else link.rate_ba_bps)):
            events.set_capacity(solver.mem, k, min(rate, UNBOUNDED_BPS), min(rate, UNBOUNDED_BPS), -1, 0.0)
    for i, node in enumerate(a.plan.nodes):
        events.set_capacity(solver.mem, n + i, node.cores, node.cores, -1, 0.0)
    return solver
