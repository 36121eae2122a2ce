"""One replication in compiled code, from the plan to the result tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dssn_models.market.orders import detail_share, draw_orders
from dssn_models.plan import Plan
from dssn_models.rng import Streams
from dssn_sim.compiled import tape
from dssn_sim.compiled.assemble import Assembly
from dssn_sim.compiled.blocks import BLOCK, Blocks
from dssn_sim.compiled.decisions import Decisions, own_policies
from dssn_sim.compiled.drive import Machine
from dssn_sim.compiled.faults import Faults
from dssn_sim.compiled.layout import LIFE, RECORDS, TABLES
from dssn_sim.compiled.ops_base import TIMER
from dssn_sim.compiled.ops_end import interrupt
from dssn_sim.compiled.record import Records
from dssn_sim.compiled.tape import ASK
from dssn_sim.dataplane.totals import integrate_all, reset_totals
from dssn_sim.peaks import Use
from dssn_sim.recorder import Pieces
from dssn_sim.totals import (
    LinkTotals,
    NodeTotals,
    Sampler,
    ServiceTotals,
    link_rows,
    node_rows,
    service_rows,
)

__all__ = ["CompiledRun", "simulate_compiled"]

Floats = NDArray[np.float64]
Progress = Callable[[float, int], None]

#: How often progress is reported, as a share of the horizon.
_PROGRESS_STEPS = 200


def simulate_compiled(
    plan: Plan,
    replication: int,
    progress: Progress | None = None,
    policies: Mapping[str, Any] | None = None,
) -> Pieces:
    """Run one replication of a plan that ``support.why_not`` has nothing against; see ``kernel.in_pieces``."""
    run = CompiledRun(plan, replication, progress, policies)
    run.go()
    run.forget()
    return Pieces(run.records.pieces(), run.events)


class CompiledRun:
    """One replication: the machine, and what Python does around it.

    Parameters
    ----------
    plan : Plan
        What to run.
    replication : int
        Index of the replication.
    progress : callable, optional
        Called about 200 times with (share done, orders ended).
    policies : Mapping, optional
        Policy objects that replace those of the plan.
    """

    def __init__(
        self,
        plan: Plan,
        replication: int,
        progress: Progress | None = None,
        policies: Mapping[str, Any] | None = None,
    ) -> None:
        plan, own = own_policies(plan, policies)
        self.plan, self._progress = plan, progress
        self.orders = draw_orders(plan, Streams(plan.run.seed, replication))
        self.assembly = Assembly(plan, replication)
        self.blocks = Blocks(self.assembly, self.orders, detail_share(plan))
        self.records = Records(self.assembly, self.blocks)
        self.machine = Machine(self.assembly, self.records.drain)
        self.decisions = self.records.decisions = Decisions(self.machine, self.blocks, own)
        self.faults = Faults(self.machine, self.records.extra["alarms"])
        self._row = self.assembly.state.machine[0]
        self._sampler = Sampler(plan, self.records.extra["samples"])
        n = len(plan.nodes)
        self._done_before = np.zeros(n)  # core-seconds of each node until the end of the warm-up
        self._loaded = 0
        self._waits_from = 0
        self._load()

    @property
    def events(self) -> int:
        """How many events the machine has taken so far."""
        return int(self._row["events"])

    # ------------------------------------------------------------ the run

    def go(self) -> None:
        """Run to the end and write the tables of totals."""
        run = self.plan.run
        events: list[tuple[float, int, Callable[[], None]]] = []
        if run.warmup_s > 0:
            events.append((run.warmup_s, 0, self._warm_up))
        if self._progress is not None:
            step = run.horizon_s / _PROGRESS_STEPS
            events += [((i + 1) * step, 2, self._report) for i in range(_PROGRESS_STEPS)]
        ends = run.horizon_s
        now = 0.0
        sample = run.sample_s if run.sample_s > 0 else math.inf
        events.sort(key=lambda e: e[:2])
        while True:
            due = events[0][0] if events else math.inf
            at = min(due, sample, ends)
            self._until(at)
            now = at
            if at >= ends:
                break
            if due <= sample:
                events.pop(0)[2]()
            if sample <= due and sample == at:
                self._sample()
                sample += run.sample_s
        totals = self._totals(now)
        now = self._drain(sample)
        self._stop_late()
        self._write(totals)
        self._close_channels(now)

    def _drain(self, sample: float) -> float:
        """Let orders under way finish, with samples; return the time at which the run ends."""
        run, row = self.plan.run, self._row
        ends = run.horizon_s + (run.drain_limit_s if run.drain else 0.0)
        row["draining"] = 1
        while row["in_flight"] > 0 and row["now"] < ends:
            at = min(sample, ends)
            if self._until(at) == ASK.NOTHING:
                break
            if sample <= at and at < ends:
                self._sample()
                sample += run.sample_s
        if sample <= row["now"]:
            self._sample()
        return float(row["now"])

    def _until(self, at: float) -> int:
        """Let time pass and answer the machine's questions; return the last one."""
        row, assembly = self._row, self.assembly
        while True:
            question = self.machine.run(min(at, self.faults.next_s))
            if question == ASK.SAMPLE and self.faults.next_s <= row["now"]:
                self.faults.play()
            elif question in (ASK.SAMPLE, ASK.NOTHING):
                return question
            elif question == ASK.ORDERS:
                self._load()
            elif question in (ASK.PLACEMENT, ASK.ADMISSION):
                self.decisions.answer(question)
            elif question == ASK.PATHS:
                assembly.fill_paths(int(row["ask_a"]), int(row["ask_b"]))
            elif question == ASK.RTT:
                assembly.fill_rtt(int(row["ask_b"]))
            else:
                raise RuntimeError(f"the compiled kernel asks {question}, which its plan does not need")

    def _load(self) -> None:
        first, last = self._loaded, min(self._loaded + BLOCK, len(self.orders))
        self.blocks.load(first, last)
        self.machine.set_widths()
        self._loaded = last
        row = self.assembly.state.machine
        row["next_order"], row["n_orders"] = 0, last - first
        row["more_orders"] = last < len(self.orders)

    def _report(self) -> None:
        if self._progress is not None:
            row = self._row
            self._progress(float(row["now"]) / self.plan.run.horizon_s, int(row["done"] + row["failed"]))

    def _stop_late(self) -> None:
        """End what is still under way, with its reason code."""
        state = self.assembly.state
        late = state.deliveries[: int(self._row["top_deliveries"])]
        horizon = tape.REASON["run.horizon"]
        for main in late["main"][np.argsort(late["number"], kind="stable")].tolist():
            if main >= 0:
                self.machine.make_room()
                interrupt(state.mem, main, horizon, -1)

    def _close_channels(self, now: float) -> None:
        """Record what is still open: idle channels close now, channels in use are leaks (NaN)."""
        state = self.assembly.state
        rows = state.channels[: int(self._row["top_channels"])]
        self.machine.make_room()
        out = state.r_channels
        for row in rows[(rows["listed"] == 1) & (rows["detail"] == 1)]:
            n = int(self._row["n_r_channels"])
            for name in ("opened_s", "setup_s", "a", "b", "suite", "uses"):
                out[name][n] = row[name]
            out["closed_s"][n] = now if row["users"] == 0 else math.nan
            self._row["n_r_channels"] += 1

    def forget(self) -> None:
        """Give the memory of what was under way back: the results do not need it."""
        self.records.drain()
        state = self.assembly.state
        self.records.forget("r_waits")
        for name in (*LIFE, *RECORDS, "xs", "ps", "orders"):
            state.put(name, np.zeros(0, TABLES[name]))

    # ------------------------------------------------------------ what is measured

    def _integrals(self) -> Use:
        """Return busy link-seconds, core-seconds executing and held since the warm-up, up to now."""
        state, now = self.assembly.state, float(self._row["now"])
        solver, links = self.machine.solver, 2 * len(self.plan.network.links)
        integrate_all(solver.mem, now)
        rows = solver.links
        devices = rows[links : links + len(self.plan.nodes)]
        busy = devices["bits"] + devices["bitsc"] + self._cores(now) - self._done_before
        nodes = state.nodes
        held = nodes["held_integral"] + nodes["held_cores"] * (now - nodes["changed_s"])
        return Use(rows["busy"][:links] + rows["busyc"][:links], busy, held)

    def _cores(self, now: float) -> Floats:
        """Return the core-seconds of work on reserved cores since the begin, also of work under way."""
        state = self.assembly.state
        done: Floats = state.nodes["core_s"].copy()
        threads = state.threads[: int(self._row["top_threads"])]
        at_work = threads[threads["wait"] == TIMER]
        left = at_work["left"] - at_work["rate"] * (now - at_work["start_s"])
        amount = at_work["amount"] / state.places["speed"][at_work["a"]]
        np.add.at(done, at_work["a"], amount - left)
        return done

    def _sample(self) -> None:
        row, state = self._row, self.assembly.state
        counts = (
            ("running", row["in_flight"] - row["waiting"]), ("queued", row["waiting"]), ("completed", row["done"]),
            ("failed", row["failed"]), ("arrived", row["arrived"]), ("channels", row["open"]),
        )  # fmt: skip
        in_flight = dict(zip((c.id for c in self.plan.classes), state.in_flight.tolist(), strict=False))
        queues = {s.id: int(n) for s, n in zip(self.plan.services, state.stations["waiting"], strict=False)}
        self._sampler.look(float(row["now"]), counts, in_flight, self._integrals(), queues)

    def _warm_up(self) -> None:
        """Forget what was measured so far."""
        now, state = float(self._row["now"]), self.assembly.state
        reset_totals(self.machine.solver.mem, now)
        self._done_before = self._cores(now)
        nodes, stations = state.nodes, state.stations
        nodes["held_integral"] = 0.0
        nodes["queue_integral"] = 0.0
        nodes["changed_s"] = now
        for name in ("calls", "refused", "busy_s", "queue_s", "down_s"):
            stations[name] = 0
        stations["changed_s"] = now
        self._waits_from = len(self.records.rows("r_waits"))

    def _totals(self, now: float) -> dict[str, Any]:
        """Return the totals over [warm-up, horizon], which ends now."""
        state = self.assembly.state
        use, nodes = self._integrals(), state.nodes
        links = self.machine.solver.links[: 2 * len(self.plan.network.links)]
        queue = nodes["queue_integral"] + nodes["queue"] * (now - nodes["changed_s"])
        return {
            "span_s": max(1e-12, now - self.plan.run.warmup_s), "use": use, "queue": queue.tolist(),
            "sent": ((links["bits"] + links["bitsc"]) / 8.0).tolist(), "peak": links["peak"].tolist(),
            "services": self._services(now), "largest": self._sampler.largest,
        }  # fmt: skip

    def _services(self, now: float) -> dict[str, ServiceTotals]:
        rows = self.records.rows("r_waits")[self._waits_from :]
        order = np.argsort(rows["station"], kind="stable")
        first = np.searchsorted(rows["station"][order], np.arange(len(self.plan.services) + 1))
        out = {}
        for i, service in enumerate(self.plan.services):
            st = self.assembly.state.stations[i]
            span = now - float(st["changed_s"])
            waits = np.sort(rows["wait_s"][order[first[i] : first[i + 1]]])
            mean, p99 = _waits(waits, int(st["calls"]))
            out[service.id] = ServiceTotals(
                int(st["calls"]), float(st["busy_s"]) + int(st["busy"]) * span, mean, p99, int(st["refused"]),
                float(st["down_s"]) + (span if st["up"] == 0 else 0.0),
            )  # fmt: skip
        return out

    def _write(self, totals: dict[str, Any]) -> None:
        """Write the three tables of totals; counters of events as they are at the end of the run."""
        plan, nodes, rows = self.plan, self.assembly.state.nodes, self.records.extra
        use: Use = totals["use"]
        none = [0.0] * max(2 * len(plan.network.links), len(plan.nodes))
        links = LinkTotals(totals["sent"], use.links.tolist(), none, totals["peak"], self.faults.link_down_s)
        rows["links"] += link_rows(plan, links, totals["span_s"], totals["largest"])
        of_nodes = NodeTotals(
            use.busy.tolist(), use.held.tolist(), totals["queue"], nodes["jobs"].tolist(),
            nodes["peak_memory"].tolist(), list(self.faults.node_down_s.values()), nodes["cold"].tolist(), nodes["warm"].tolist(),
        )  # fmt: skip
        rows["nodes"] += node_rows(plan, of_nodes, totals["span_s"], totals["largest"])
        rows["services"] += service_rows(plan, totals["services"], totals["span_s"])


def _waits(waits: Floats, calls: int) -> tuple[float, float]:
    """Return mean and 99 % quantile of the waits of all calls, of which those that waited are given in order."""
    if calls == 0:
        return math.nan, math.nan
    zeros, at = max(0, calls - len(waits)), (calls - 1) * 0.99
    low, share = int(at), at - int(at)

    def nth(k: int) -> float:
        return float(waits[k - zeros]) if k >= zeros else 0.0

    a, b = nth(low), nth(min(low + 1, calls - 1))
    # As numpy interpolates: from the nearer end.
    p99 = a + (b - a) * share if share < 0.5 else b - (b - a) * (1 - share)
    return float(waits.sum()) / calls, p99
