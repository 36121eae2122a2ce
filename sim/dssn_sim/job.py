"""One engine run of a delivery: plan, co-allocate, load, channel, attest, run.

A job binds the engine's roles to nodes (guest to the consumer, hosts to the providers, the rest
by the placement policy), takes all nodes at once or none, and runs the engine's steps as
activities. It is retried after a fault as often as the plan allows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import simpy

from dssn_models.compute.accelerate import accelerated_work
from dssn_models.compute.enclave import enclave_start_s, enclave_work
from dssn_models.crypto.suites import bulk_core_s
from dssn_models.engines.api import Engine, JobCost, RoleNeed, Step
from dssn_models.engines.registry import REGISTRY
from dssn_models.nodes.admission import admit
from dssn_models.plan import JobStepPlan, NodePlan
from dssn_models.policies.api import JobFacts, QueueItem, Rank, RefuseOrder, View
from dssn_sim.errors import Failure, Refusal, StopError
from dssn_sim.fork import fork

if TYPE_CHECKING:
    from dssn_sim.delivery import Delivery
    from dssn_sim.world import Needs, Process, World

__all__ = ["Job"]


class Job:
    """One engine run inside a delivery.

    Parameters
    ----------
    delivery : Delivery
        The order it belongs to; counters are kept there.
    step : JobStepPlan
        Which engine with which profile.
    params : Mapping
        Parameters drawn for this order.
    """

    def __init__(self, delivery: Delivery, step: JobStepPlan, params: Mapping[str, Any]) -> None:
        self.delivery = delivery
        self.world: World = delivery.world
        self.step = step
        self.engine: Engine = REGISTRY[step.engine]  # pyright: ignore[reportAttributeAccessIssue]
        self.cost: JobCost = self.engine.cost(
            self._with_asset(params), len(delivery.order.providers), step.profile, delivery.suite
        )
        self.bound: dict[str, NodePlan] = {}
        self.process: Any = None
        self.request = 0
        self.channels: list[Any] = []
        self.enclaves: list[tuple[NodePlan, float, float, float]] = []
        self.promised: list[tuple[str, float]] = []

    def _with_asset(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Take rows and row size from the asset (the largest of several) where the job names no size."""
        known = self.engine.parameters()
        if "rows" not in known or any(name in params for name in ("rows", "size", "calls", "duration")):
            return params
        assets = [self.world.plan.asset_by_id[a] for a in self.delivery.order.assets]
        if not assets or self.engine.name in ("api.query", "transfer.stream"):
            return params
        largest = max(assets, key=lambda a: (a.rows * a.row_bytes, a.id))
        filled = {"rows": largest.rows, **params}
        if "row_size" in known:
            filled.setdefault("row_size", largest.row_bytes)
        return filled

    # ------------------------------------------------------------ life

    def run(self) -> Process:
        """Run to the end, with retries after faults."""
        d, plan = self.delivery, self.world.plan.run
        while True:
            try:
                yield from self._attempt()
                return
            except simpy.Interrupt as interrupt:
                stop = interrupt.cause
                if not isinstance(stop, StopError):
                    raise
            except Failure as failure:
                stop = failure
            if not stop.reason.startswith("fault.") or d.attempts > plan.max_retries:
                raise stop
            d.attempts += 1
            yield self.world.env.timeout(plan.retry_s)

    def _attempt(self) -> Process:
        d = self.delivery
        self.process = self.world.env.active_process
        try:
            yield from d.phase("plan", self._plan(), self.step.id)
            for node in self.nodes:
                self.world.running[node.id][self] = None
                if node.id in self.world.down_nodes:
                    raise Failure("fault.node", node.id)
            yield from d.phase("coallocate", self._coallocate(), self.step.id)
            yield from d.phase("load", self._load(), self.step.id)
            yield from d.phase("channel", self._open_channels(), self.step.id)
            if any(need.enclave_bytes > 0 for need in self.cost.needs.values()):
                yield from d.phase("attest", self._attest(), self.step.id)
            yield from d.phase("run", self._steps(), self.step.engine)
        finally:
            self._clean_up()
        d.collect(self)

    def _clean_up(self) -> None:
        world = self.world
        for node in self.nodes:
            world.running[node.id].pop(self, None)
        keep = self.delivery.order.stream.net.keep_open_s
        for channel in self.channels:
            world.channels.release(channel, keep)
        self.channels.clear()
        for node, size, began, paged in self.enclaves:
            world.enclave_used[node.id] -= size
            self.delivery.tee_s += world.env.now - began
            tee = node.tee
            if self.delivery.detailed:
                world.rec.rows["enclaves"].append(
                    (self.delivery.index, node.id, tee.profile if tee else "", size, began, world.env.now, paged,
                     self.delivery.attest_s)
                )  # fmt: skip
        self.enclaves.clear()
        for ident, work in self.promised:
            world.telemetry.promised(ident, -work)
        self.promised.clear()
        if self.request:
            world.give_back(self.request)
            self.request = 0

    @property
    def nodes(self) -> list[NodePlan]:
        """The distinct nodes of all roles."""
        return list({n.id: n for n in self.bound.values()}.values())

    # ------------------------------------------------------------ plan and placement

    def _plan(self) -> Process:
        d, world = self.delivery, self.world
        yield from world.call(d, "dsp.scheduling", "plan", d.consumer, d.cls.priority)
        order = d.order
        roles = list(self.engine.roles(len(order.providers)))
        hosts = [r for r in roles if r.startswith("host")]
        self.bound = {}
        for role, provider in zip(hosts, order.providers, strict=False):
            self.bound[role] = world.plan.node_by_id[provider]
        if "guest" in roles:
            self.bound["guest"] = d.consumer
        for role in roles:
            if role not in self.bound:
                self.bound[role] = self._place(role)
        for role, node in self.bound.items():
            reason = admit(self.engine, self._need(role), node)
            if reason:
                raise Refusal(reason, f"{self.step.engine} as {role} on {node.id} ({node.size})")
        work = self._work_per_node()
        for ident, core_s in work.items():
            world.telemetry.promised(ident, core_s)
            self.promised.append((ident, core_s))

    def _need(self, role: str) -> RoleNeed:
        need = self.cost.needs.get(role)
        if need is None and role.startswith("host"):
            need = self.cost.needs.get("host")
        return need or RoleNeed()

    def _work_per_node(self) -> dict[str, float]:
        total: dict[str, float] = {}
        for step in self.cost.steps:
            for role, work in step.work:
                node = self.bound.get(role)
                if node is not None:
                    total[node.id] = total.get(node.id, 0.0) + work
        return total

    def _candidates(self, role: str) -> tuple[str, ...]:
        """Nodes that may run a free role: those the scenario names, else all of the fitting role."""
        if self.step.candidates:
            return self.step.candidates
        wanted = ("tee_pool",) if role == "tee" else ("pool", "relay")
        return self.world.pool(wanted) or (self.delivery.consumer.id,)

    def _place(self, role: str) -> NodePlan:
        world, d = self.world, self.delivery
        need = self._need(role)
        names = tuple(
            c
            for c in self._candidates(role)
            if c not in world.down_nodes and not admit(self.engine, need, world.plan.node_by_id[c])
        )
        if not names:
            raise Refusal("capacity.engine", f"no node for role {role} of {self.step.engine}")
        parties = tuple(dict.fromkeys(n.id for n in self.bound.values())) or (d.consumer.id,)
        views = world.telemetry.views(names, parties, d.technology, self.engine.image, need.enclave_bytes)
        facts = self._facts(role, parties)
        view = View(job=facts, candidates=views, in_flight=world.in_flight, state_age_s=world.telemetry.age_s)
        decision = world.decide("placement", view, d.index, len(names))
        if isinstance(decision, RefuseOrder):
            raise Refusal(decision.reason, "placement")
        return world.plan.node_by_id[decision.node]

    def _facts(self, role: str, parties: tuple[str, ...]) -> JobFacts:
        d = self.delivery
        # What the other roles do at the same time takes no time of this role, but the rounds do.
        work = sum(w for s in self.cost.steps for r, w in s.work if r == role)
        traffic = sum(b for s in self.cost.steps for a, z, b in s.traffic if role in (a, z))
        return JobFacts(
            str(d.index), d.order.stream.id, d.cls.id, d.cls.priority, self.step.engine, role, work, traffic,
            d.deadline_s, self.world.env.now - d.order.arrived_s, parties,
            rounds=sum(s.rounds for s in self.cost.steps), cores=self._need(role).cores,
        )  # fmt: skip

    # ------------------------------------------------------------ co-allocation

    def _needs(self) -> Needs:
        """Cores and memory per node; shared nodes only hold memory."""
        needs: dict[str, tuple[float, float]] = {}
        for role, node in self.bound.items():
            need = self._need(role)
            cores = min(need.cores, node.cores) if node.sharing == "reserved" else 0.0
            have = needs.get(node.id, (0.0, 0.0))
            needs[node.id] = (
                min(node.cores, have[0] + cores),
                min(node.memory_bytes, have[1] + need.memory_bytes),
            )
        return needs

    def _coallocate(self) -> Process:
        d, world = self.delivery, self.world
        work = sum(w for s in self.cost.steps for _r, w in s.work)
        item = QueueItem(d.index, d.cls.priority, d.cls.weight, d.deadline_s, world.env.now, work)
        rank = world.decide("queueing", View(queue=(item,)), d.index, 1)
        key = rank.key if isinstance(rank, Rank) else (float(d.cls.priority),)
        d.state("allocation", "Pending", self.step.id)
        d.state("allocation", "Reserving", self.step.id)
        began = world.env.now
        self.request, granted = world.allocate(self._needs(), key)
        world.waiting += 1
        try:
            yield granted
        finally:
            world.waiting -= 1
            d.queue_s += world.env.now - began
            d.phase_wait_s += world.env.now - began
        d.state("allocation", "Reserved", self.step.id)
        d.state("allocation", "Schedulable", self.step.id)
        world.job_started([n.id for n in self.nodes])
        d.job_began()

    # ------------------------------------------------------------ load, channel, attest

    def _load(self) -> Process:
        images, image = self.world.images, self.engine.image
        yield from fork(self.world.env, [images.load(self.delivery, n, image) for n in self.nodes])

    def _open_channels(self) -> Process:
        pairs: dict[tuple[str, str], None] = {}
        for step in self.cost.steps:
            for source, target, _size in step.traffic:
                a, b = self._node(source).id, self._node(target).id
                if a != b and (b, a) not in pairs:
                    pairs[a, b] = None
        yield from fork(self.world.env, [self._open(a, b) for a, b in pairs])

    def _open(self, a: str, b: str) -> Process:
        d = self.delivery
        channel = yield from self.world.channels.acquire(d, a, b, d.suite)
        self.channels.append(channel)

    def _attest(self) -> Process:
        """Build the (simulated) enclave, quote it, have it appraised, release the key to it."""
        world, d = self.world, self.delivery
        began = world.env.now
        for role, node in self.bound.items():
            size = self._need(role).enclave_bytes
            if size <= 0 or node.tee is None:
                continue
            world.enclave_used[node.id] += size
            paged = max(0.0, world.enclave_used[node.id] - node.tee.enclave_bytes)
            self.enclaves.append((node, size, world.env.now, min(size, paged)))
            yield world.env.timeout(enclave_start_s(node.tee, size) + node.tee.quote_s)
            yield from world.call(d, "dsp.security", "attest_policy", node, d.cls.priority)
            yield from world.call(d, "verifier", "verify", node, d.cls.priority)
            yield world.env.timeout(node.tee.verify_s + world.site_rtt(d.consumer.site, node.site))
        d.attest_s += world.env.now - began

    # ------------------------------------------------------------ run

    def _node(self, role: str) -> NodePlan:
        try:
            return self.bound[role]
        except KeyError:
            if role == "host" and "host1" in self.bound:
                return self.bound["host1"]
            raise KeyError(f"{self.step.engine}: role {role} is not bound") from None

    def _steps(self) -> Process:
        for step in self.cost.steps:
            yield from self._one_step(step)

    def _one_step(self, step: Step) -> Process:
        """Run a step: a*C alone, then (1-a)*C beside (1-a)*N, then a*N alone, then the rounds.

        On idle resources this takes max(C, N) + a*min(C, N) + rounds*RTT, the engine's four numbers.
        """
        env, a = self.world.env, min(1.0, max(0.0, step.overlap))
        work = self._node_work(step)
        traffic = [(s, t, b) for s, t, b in step.traffic if b > 0 and self._node(s).id != self._node(t).id]
        if not traffic or not work:
            a = 1.0
        if work and a > 0:
            yield from fork(env, [self._compute(r, w * a, step) for r, w in work])
        if a < 1:
            both = [self._compute(r, w * (1 - a), step) for r, w in work]
            both += [self._send(s, t, b * (1 - a), step.data) for s, t, b in traffic]
            yield from fork(env, both)
        if traffic and a > 0:
            yield from fork(env, [self._send(s, t, b * a, step.data) for s, t, b in traffic])
        if step.rounds:
            yield env.timeout(step.rounds * self._rtt(step))

    def _node_work(self, step: Step) -> list[tuple[str, float]]:
        """Core-seconds per role, with enclave, accelerator and cipher work."""
        total: dict[str, float] = {}
        for role, core_s in step.work:
            node = self._node(role)
            if node.accelerators and step.accelerable > 0:
                core_s = accelerated_work(core_s, step.operator, step.accelerable, node.accelerators)
            if step.in_enclave and node.tee is not None:
                load = max(self.world.enclave_used[node.id], self._need(role).enclave_bytes)
                core_s = enclave_work(core_s, node.tee, load)
            total[role] = total.get(role, 0.0) + core_s
        for source, target, payload in step.traffic:
            if self._node(source).id == self._node(target).id:
                continue
            cipher = bulk_core_s(self.delivery.suite, payload)
            for role in (source, target):
                total[role] = total.get(role, 0.0) + cipher
        return [(r, w) for r, w in total.items() if w > 0]

    def _compute(self, role: str, core_s: float, step: Step) -> Process:
        d, node, need = self.delivery, self._node(role), self._need(role)
        most = min(need.cores, node.cores, step.cores)
        work = self.world.compute(d, node, core_s, most, reserved=node.sharing == "reserved")
        yield from self.world.cards.use(node, step, d.cls.priority, work)

    def _send(self, source: str, target: str, payload: float, data: str) -> Process:
        d = self.delivery
        a, b = self._node(source), self._node(target)
        slice_id, route = d.slice_for(a.id, b.id)
        yield from self.world.move(
            d, a.id, b.id, payload, data,
            technology=d.technology, slice_id=slice_id, slice_route=route, suite=d.suite,
        )  # fmt: skip

    def _rtt(self, step: Step) -> float:
        """Round-trip time of the widest pair that talks in a step (s)."""
        pairs = [(s, t) for s, t, _b in step.traffic] or [
            (r, s) for r in self.bound for s in self.bound if r < s
        ]
        widest = 0.0
        for source, target in pairs:
            a, b = self._node(source), self._node(target)
            if a.id == b.id:
                continue
            route = self.world.route(a.id, b.id, self.delivery.technology)
            widest = max(widest, 2 * route.delay_s if route is not None else math.nan)
        return 0.0 if math.isnan(widest) else widest
