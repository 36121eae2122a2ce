"""The life of a delivery, from order to bill.

order -> catalogue -> negotiation -> compliance review -> network order -> [plan -> co-allocation ->
load -> channel -> attestation -> run] per engine of the chain -> deliver -> evidence -> meter -> settle ->
release. Each phase leaves a row; a refusal or failure ends the order with its reason code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import simpy

from dssn_models.engines.registry import REGISTRY
from dssn_models.market.orders import Order
from dssn_models.market.states import MACHINES, check_transition
from dssn_models.plan import JobStepPlan
from dssn_models.policies.api import JobFacts, RefuseOrder, View
from dssn_models.trust.compliance import ReviewFacts, common_forms, human_verdict, review
from dssn_sim.errors import Failure, Refusal, StopError
from dssn_sim.fork import fork_processes
from dssn_sim.job import Job
from dssn_sim.netorder import order_network, release_slices

if TYPE_CHECKING:
    from dssn_models.network.routing import Route
    from dssn_sim.world import Process, World

__all__ = ["Delivery"]


class Delivery:
    """One order's process and its counters.

    Parameters
    ----------
    world : World
        The replication it lives in.
    order : Order
        What was ordered.
    """

    def __init__(self, world: World, order: Order) -> None:
        plan = world.plan
        self.world = world
        self.order = order
        self.index = order.index
        self.detailed = world.detailed(order.index)
        self.cls = plan.class_by_id[order.stream.cls]
        self.consumer = plan.node_by_id[order.consumer]
        self.suite = order.stream.net.suite
        self.technology: str | None = order.stream.net.technology
        deadline = order.stream.deadline_s if order.stream.deadline_s is not None else self.cls.deadline_s
        self.deadline_s = None if deadline is None else order.arrived_s + deadline
        self.slices: dict[tuple[str, str], tuple[int, Route]] = {}
        self.slice_rows: list[tuple[Any, ...]] = []
        self.states: dict[str, str] = {}
        self.attempts = 1
        self.control_bytes = self.wire_bytes = self.payload_bytes = self.raw_exposed = 0.0
        self.core_s = self.queue_s = self.attest_s = self.price_cny = 0.0
        self.phase_wait_s = 0.0
        self.result_bytes = 0.0
        self.meters: dict[str, float] = {}
        self.calls: dict[tuple[str, str], int] = {}  # of each operation, so far
        self.tee_s = 0.0
        self.opened_s = self.receipt_s = self.settled_s = math.nan
        self.job_began_s = self.job_ended_s = math.nan
        self.run_site = ""
        self.last_phase = "order"
        self.reason = ""
        self.evidence: list[tuple[str, str]] = []

    # ------------------------------------------------------------ book-keeping

    def state(self, machine: str, state: str, job: str = "") -> None:
        """Move one of the order's state machines (``job``: of one job of a chain); illegal moves are bugs."""
        name = f"{machine}:{job}" if job and len(self.steps) > 1 else machine
        before = self.states.get(name)
        if before is not None and state not in MACHINES[machine][before]:
            # A machine may start anew after its end (the allocation of a retried job).
            first = next(iter(MACHINES[machine]))
            if state != first or MACHINES[machine][before]:
                check_transition(machine, before, state)
        self.states[name] = state
        if self.detailed:
            self.world.rec.rows["states"].append((self.index, name, state, self.world.env.now))

    def phase(self, name: str, body: Process, detail: str = "") -> Process:
        """Run one phase and record it."""
        env = self.world.env
        start, waited = env.now, self.phase_wait_s
        self.last_phase = name
        try:
            result = yield from body
        finally:
            if self.detailed:
                wait = max(0.0, self.phase_wait_s - waited)
                self.world.rec.rows["phases"].append(
                    (self.index, self.cls.id, name, start, env.now, wait, "", detail)
                )
        return result

    def call(self, kind: str, operation: str) -> Process:
        """Call a platform service from the consumer's node, counting the wait."""
        waited = yield from self.world.call(self, kind, operation, self.consumer, self.cls.priority)
        self.phase_wait_s += waited
        self.queue_s += waited

    def moved(self, source: str, data: str, payload: float, wire: float, price_cny: float) -> None:
        """Count bytes that were moved for this delivery, also by an attempt that failed."""
        self.wire_bytes += wire
        self.payload_bytes += payload
        self.price_cny += price_cny
        if data == "raw" and source in self.order.providers:
            self.raw_exposed += payload

    def job_began(self) -> None:
        """Mark the start of the first engine run."""
        if math.isnan(self.job_began_s):
            self.job_began_s = self.world.env.now
            self.state("job", "Running")

    def collect(self, job: Job) -> None:
        """Take a finished job's results into the delivery."""
        self.job_ended_s = self.world.env.now
        self.result_bytes = job.cost.result_bytes
        for kind, quantity in job.cost.meters.items():
            self.meters[kind] = self.meters.get(kind, 0.0) + quantity
        placed = [n for r, n in job.bound.items() if r in ("tee", "arbiter")]
        self.run_site = placed[0].site if placed else self.run_site or self.consumer.site

    def slice_for(self, a: str, b: str) -> tuple[int, Route | None]:
        """Return the slice and its route from a to b, or (-1, None)."""
        return self.slices.get((a, b), (-1, None))

    # ------------------------------------------------------------ the process

    def run(self) -> Process:
        """Live: from the arrival of the order to release."""
        world = self.world
        world.order_began(self)
        state = "completed"
        try:
            yield from self._life()
        except simpy.Interrupt as interrupt:
            stop = interrupt.cause
            state = self._stopped(stop if isinstance(stop, StopError) else Failure("run.horizon"))
        except StopError as stop:
            state = self._stopped(stop)
        finally:
            release_slices(self)
        self._finish(state)

    def _life(self) -> Process:
        yield from self.phase("order", self._accept())
        yield from self.phase("catalogue", self.call("dsp.access", "catalogue"))
        yield from self.phase("negotiation", self._negotiate())
        yield from self.phase("review", self._review())
        yield from self.phase("network_order", order_network(self))
        self.state("job", "Initialized")
        self.state("job", "Pending")
        yield from self._chain()
        self.state("job", "Succeeded")
        yield from self.phase("deliver", self._deliver())
        self.receipt_s = self.world.env.now
        yield from self.phase("evidence", self._prove())
        yield from self.phase("meter", self._meter())
        yield from self.phase("settle", self._settle())
        yield from self.phase("release", self._release())

    def _stopped(self, stop: StopError) -> str:
        world = self.world
        self.reason = stop.reason
        refused = isinstance(stop, Refusal)
        for machine, end in (("negotiation", "TERMINATED"), ("transfer", "TERMINATED"), ("job", "Failed")):
            current = self.states.get(machine)
            if current is not None and end in MACHINES[machine][current]:
                self.state(machine, end)
        world.rec.rows["refusals"].append(
            (
                world.env.now,
                self.index,
                self.order.stream.id,
                self.cls.id,
                self.last_phase,
                stop.reason,
                stop.detail,
            )
        )
        return "rejected" if refused else "failed"

    # ------------------------------------------------------------ before the run

    def _accept(self) -> Process:
        world = self.world
        self.state("order", "acknowledged")
        view = View(job=None, in_flight=world.in_flight, state_age_s=world.telemetry.age_s)
        if "admission" in world.policies:
            decision = world.decide("admission", self._admission_view(view), self.index, 0)
            if isinstance(decision, RefuseOrder):
                raise Refusal(decision.reason, "admission policy")
        if self.order.stream.exchange is not None:
            yield from self.call("exchange", "trade")
        yield from self.call("dsp.access", "authenticate")
        for node in (self.order.consumer, *self.order.providers):
            if node in world.revoked:
                raise Refusal("trust.certificate", node)
        self.note("order", self.order.consumer)
        yield from self.call("dsp.delivery", "order")
        self.state("order", "inProgress")

    def _admission_view(self, view: View) -> View:
        order = self.order
        engine = self.steps[0].engine if self.steps else ""
        facts = JobFacts(
            str(self.index), order.stream.id, self.cls.id, self.cls.priority, engine, "", 0.0, 0.0,
            self.deadline_s, 0.0, (order.consumer, *order.providers),
        )  # fmt: skip
        return View(job=facts, in_flight=view.in_flight, state_age_s=view.state_age_s)

    def _negotiate(self) -> Process:
        """Dataspace Protocol: REQUESTED .. FINALIZED, one message round with each provider."""
        world = self.world
        self.state("negotiation", "REQUESTED")
        yield from self.call("dsp.delivery", "contract")
        far = max(
            (world.site_rtt(self.consumer.site, world.plan.node_by_id[p].site) for p in self.order.providers),
            default=0.0,
        )
        for state in ("OFFERED", "ACCEPTED", "AGREED", "VERIFIED", "FINALIZED"):
            if far > 0:
                yield world.env.timeout(far / 2)
            self.state("negotiation", state)
        self.note("contract", ",".join(self.order.assets))

    def _review(self) -> Process:
        order, plan = self.order, self.world.plan
        assets = [plan.asset_by_id[a] for a in order.assets]
        facts = ReviewFacts(
            # On a dual channel each request has its own level; else the most sensitive asset decides.
            level=order.level
            if order.stream.threshold is not None
            else max([order.level, *(a.level for a in assets)]),
            channel=order.channel,
            confidentiality=REGISTRY[self.steps[0].engine].confidentiality,
            purpose=order.stream.purpose,
            cross_border=order.stream.cross_border,
            export_allowed=all(a.export for a in assets),
            engines=tuple(s.engine for s in self.steps),
            sectors=tuple(a.sector for a in assets),
            baseline=order.stream.baseline,
            regions=self.world.regions(order.consumer, order.providers),
            forms=common_forms(a.forms for a in assets),
        )
        yield from self.call("review", "review")
        verdict = review(facts, self.world.rules, self.world.review_luck(self.index, 0))
        if verdict.outcome == "refuse":
            raise Refusal(verdict.reason, verdict.clause)
        if verdict.outcome == "needs_approval":
            self.state("order", "held")
            yield from self.call("reviewers", "human")
            self.state("order", "inProgress")
            person = human_verdict(self.world.rules, self.world.review_luck(self.index, 1))
            if person.outcome == "refuse":
                raise Refusal(person.reason, person.clause)
        self.note("review", verdict.outcome)

    # ------------------------------------------------------------ the chain of engines

    @property
    def steps(self) -> tuple[JobStepPlan, ...]:
        """The engine runs of this order (the alternate ones on the other channel)."""
        return self.order.steps

    def _chain(self) -> Process:
        """Run the chain as a directed graph: a job starts when all it comes after are done."""
        steps = self.steps
        jobs = [Job(self, step, self.order.params.get(step.id, {})) for step in steps]
        if len(jobs) == 1:
            yield from jobs[0].run()
            return
        env = self.world.env
        done = {step.id: env.event() for step in steps}
        for event in done.values():
            event._defused = True
        yield from fork_processes(
            env, [self._link_of_chain(j, s, done) for j, s in zip(jobs, steps, strict=True)]
        )

    def _link_of_chain(self, job: Job, step: JobStepPlan, done: Mapping[str, simpy.Event]) -> Process:
        for name in step.after:
            if not done[name].processed:
                yield done[name]
        yield from job.run()
        done[step.id].succeed()

    # ------------------------------------------------------------ after the run

    def _deliver(self) -> Process:
        """Check the quality and sign the receipt; the engine's last step has brought the result itself."""
        order = self.order
        self.state("transfer", "REQUESTED")
        self.state("transfer", "STARTED")
        if order.defect:
            raise Failure("quality.defect", ",".join(order.assets))
        yield from self.call("dsp.delivery", "deliver")
        self.state("transfer", "COMPLETED")
        self.note("receipt", f"{self.result_bytes:.0f}")

    def note(self, event: str, facts: str) -> None:
        """Keep an event for the evidence."""
        self.evidence.append((event, facts))

    def _prove(self) -> Process:
        world = self.world
        yield from self.call("dsp.supervision", "audit")
        written = world.env.now
        yield from self.call("ledger", "append")
        if not self.detailed:
            return
        rows = world.evidence.record(self.index, self.evidence)
        for seq, (event, digest) in enumerate(rows):
            world.rec.rows["evidence"].append((self.index, seq, event, written, world.env.now, digest))

    def _meter(self) -> Process:
        yield from self.call("dsp.supervision", "meter")
        m = self.meters
        m["bytes"] = self.payload_bytes
        m["core_s"] = self.core_s
        m["result"] = 1.0
        if self.tee_s > 0:
            m["tee_s"] = self.tee_s
        if self.slice_rows:
            hours = (self.world.env.now - self.opened_s) / 3600
            m["slice_mbps_h"] = sum(row[3] for row in self.slice_rows) / 1e6 * hours

    def _settle(self) -> Process:
        world, order = self.world, self.order
        yield from self.call("dsp.supervision", "settle")
        if order.stream.exchange is not None:
            yield from self.call("exchange", "settle")
        self.bill = world.biller.bill(order, self.meters)
        self.settled_s = world.env.now
        if not self.detailed:
            return
        for meter in self.bill.meters:
            world.rec.rows["meters"].append((self.index, meter.party, meter.kind, meter.quantity))
        for line in self.bill.lines:
            world.rec.rows["bills"].append(
                (self.index, line.party, line.role, line.item, float(line.amount_cny))
            )

    def _release(self) -> Process:
        if self.slice_rows:
            yield from self.call("dsp.scheduling", "release")
        self.state("order", "completed")

    # ------------------------------------------------------------ rows

    def _finish(self, state: str) -> None:
        world, order, now = self.world, self.order, self.world.env.now
        current = self.states.get("order")
        if current is not None and state in MACHINES["order"][current]:
            self.state("order", state)
        deadline = math.nan if self.deadline_s is None else self.deadline_s
        world.rec.rows["orders"].append(
            (
                self.index, order.stream.id, self.cls.id, order.arrived_s, order.consumer, ",".join(order.providers),
                ",".join(order.assets), order.channel, order.stream.exchange or "", order.level, state,
                self.reason, now, deadline,
            )
        )  # fmt: skip
        if self.control_bytes > 0 and self.detailed:
            world.rec.rows["flows"].append(
                (self.index, order.consumer, "platform", self.cls.id, "control", self.control_bytes, self.control_bytes,
                 order.arrived_s, now, math.nan, "", "control")
            )  # fmt: skip
        if state != "rejected":
            self._delivery_row(state)
        world.order_ended(self, state)

    def _delivery_row(self, state: str) -> None:
        world, order, ok = self.world, self.order, state == "completed"
        result = self.receipt_s - order.arrived_s if ok else math.nan
        done = self.receipt_s if ok else math.nan
        hit = ok and (self.deadline_s is None or self.receipt_s <= self.deadline_s)
        first = world.plan.node_by_id[order.providers[0]] if order.providers else self.consumer
        core_price = first.price_cny_per_hour / first.cores / 3600
        cost = self.core_s * core_price + self.price_cny
        billed = float(self.bill.total_cny) if ok else 0.0
        world.rec.rows["deliveries"].append(
            (
                self.index, order.stream.id, self.cls.id, self.steps[-1].engine, order.channel, order.arrived_s, done, result,
                self.opened_s - order.arrived_s, self.settled_s - order.arrived_s if order.stream.exchange else math.nan,
                self.job_ended_s - self.job_began_s, self.queue_s, self.wire_bytes, self.payload_bytes,
                self.core_s, self.raw_exposed,
                self.result_bytes, cost, billed, self.attempts, hit, state, self.reason,
                self.consumer.site, first.site, self.run_site,
            )
        )  # fmt: skip
