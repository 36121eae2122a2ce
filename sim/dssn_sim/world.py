"""The simulated world of one replication: clock, network, nodes, services, policies.

Holds the state that deliveries share and the few operations they all use (calling a service,
moving bytes, doing work, waiting for nodes). What a delivery *does* is in ``delivery`` and ``job``.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, cast

import simpy

from dssn_models.crypto.suites import record_overhead
from dssn_models.market.billing import Biller
from dssn_models.market.orders import detail_share
from dssn_models.network.routing import Route, Router, both_ways
from dssn_models.nodes.allocation import Allocator
from dssn_models.plan import NodePlan, Plan, ServicePlan
from dssn_models.policies.api import PolicyKind, RefuseOrder, RouteView, View
from dssn_models.policies.failed import ask
from dssn_models.policies.registry import SHIPPED, as_policy, label, resolve
from dssn_models.rng import Streams, key_of
from dssn_models.trust.compliance import RulePack
from dssn_sim.cards import Cards
from dssn_sim.channels import Channels
from dssn_sim.clock import Clock
from dssn_sim.compiled.draws import Drawer, PolicyRandom, uniform_of
from dssn_sim.dataplane import DataPlane
from dssn_sim.dataplane.api import DeviceCapacity
from dssn_sim.errors import Failure, Refusal
from dssn_sim.images import Images
from dssn_sim.ledger import Ledger
from dssn_sim.netorder import Offers
from dssn_sim.recorder import Recorder
from dssn_sim.routes import byte_price, ideal
from dssn_sim.station import Served, Station
from dssn_sim.telemetry import Telemetry
from dssn_sim.transport import carrier

__all__ = ["NO_ROUTE_PATIENCE_S", "Needs", "Process", "World"]

Process = Generator[Any, Any, Any]
Needs = dict[str, tuple[float, float]]  # node -> cores, bytes of memory

#: How long a transfer waits for a repair when no other path exists, if the plan has no retries.
NO_ROUTE_PATIENCE_S = 30.0

#: Ended orders between two looks of the recorder at its rows.
_PACK_EVERY = 64

#: Share of a link that slices may reserve together, as operators set it (assumed; RSVP-TE calls it the
#: maximum reservable bandwidth). With all of it reserved, an engine image could never reach a node that
#: holds the slices, and the holders would wait for each other for ever.
RESERVABLE = 0.9


class _Desk(NamedTuple):
    """A service's operation as called from one site."""

    name: tuple[str, str]  # kind and operation
    service: ServicePlan
    time_s: Drawer
    station: Station
    rtt_s: float
    bytes: float  # of all messages of a call
    before_s: float  # network time before service
    after_s: float  # network time after it


class World:
    """Shared state of one replication.

    Parameters
    ----------
    plan : Plan
        What to run.
    replication : int
        Index; part of every random stream's key.
    """

    def __init__(self, plan: Plan, replication: int, policies: dict[str, Any] | None = None) -> None:
        self.plan = plan
        self.env = Clock()
        self.streams = Streams(plan.run.seed, replication)
        self.rec = Recorder(replication)
        self.router = Router(plan.network)
        self.nodes: tuple[NodePlan, ...] = plan.nodes
        self.node_index = {n.id: i for i, n in enumerate(plan.nodes)}
        self.dp = DataPlane(
            self.env,
            plan.network,
            [DeviceCapacity(n.id, n.cores, n.core_speed, n.sharing) for n in plan.nodes],
            reservable=RESERVABLE,
        )
        self.carrier = carrier(self.dp, plan.network, self.streams.get("transport", "loss").exponential)
        self.allocator: Allocator[int] = Allocator({n.id: (n.cores, n.memory_bytes) for n in plan.nodes})
        self.requests: dict[int, tuple[simpy.Event, Needs]] = {}
        self._next_request = 0
        self.stations: dict[str, Station] = {}
        self.by_kind: dict[str, list[ServicePlan]] = {}
        self._make_stations()
        self.cards = Cards(self.env, plan.nodes)
        self.enclave_used = dict.fromkeys(self.node_index, 0.0)
        self.down_nodes: set[str] = set()
        self.node_down_since: dict[str, float] = {}
        self.node_down_s = dict.fromkeys(self.node_index, 0.0)
        self.down_links: set[int] = set()  # link indices
        self.avoid: frozenset[int] = frozenset()  # directed resources that are down
        self.link_down_since: dict[int, float] = {}
        self.link_down_s: dict[int, float] = {}
        self.revoked: set[str] = set()
        self.running: dict[str, dict[Any, None]] = {n.id: {} for n in plan.nodes}
        self.policies = {
            kind: resolve(p) for kind, p in plan.policies.items() if kind not in (policies or {})
        }
        self.policies.update({k: as_policy(p, cast(PolicyKind, k), {}) for k, p in (policies or {}).items()})
        self.policy_name = {kind: p.name for kind, p in plan.policies.items()}
        self.policy_name.update({kind: label(self.policies[kind]) for kind in policies or ()})
        # Shipped policies are tested to decide legally; a user's own is checked at each decision.
        self._trusted = {k for k, p in self.policies.items() if type(p) in SHIPPED.values()}
        # The router's own answer is already the shortest delay: no need to ask a policy for it.
        self.routing_decides = self.policy_name.get("routing", "shortest_delay") != "shortest_delay"
        self.telemetry = Telemetry(self)
        self.channels = Channels(self)
        self.images = Images(self)
        self.offers = Offers(self)
        self.in_flight = 0
        self.waiting = 0
        self.done = 0
        self.failed = 0
        self.arrived = 0
        self.drained: simpy.Event | None = None
        self.live: dict[Any, Any] = {}  # delivery -> its process
        self.in_flight_by_class = dict.fromkeys((c.id for c in plan.classes), 0)
        self.evidence = Ledger(self.key("evidence", "salt"))
        self._review_key = self.key("review")
        self._detail_key, self._detail_share = self.key("detail"), detail_share(plan)
        self._random = {kind: PolicyRandom(plan.run.seed, replication, kind) for kind in self.policies}
        self.biller = Biller(plan)
        self.rules = RulePack.from_mapping(plan.compliance)
        self.charged_core_s = 0.0
        self._pools: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._rtt: dict[tuple[str, str], float] = {}
        self._drawers: dict[tuple[str, str], Drawer] = {}
        self._desks: dict[tuple[str, str, str], _Desk | None] = {}
        self._node_jobs = dict.fromkeys(self.node_index, 0)

    # ------------------------------------------------------------ services

    def _make_stations(self) -> None:
        for service in self.plan.services:
            self.stations[service.id] = Station(
                self.env,
                service.servers,
                discipline="priority" if service.kind.startswith("dsp.") else "fifo",
                queue_limit=service.queue_limit,
                name=service.id,
            )
            self.by_kind.setdefault(service.kind, []).append(service)

    def service_for(self, kind: str, site: str) -> ServicePlan | None:
        """Return the replica of a service that serves this site: its region's, else the nearest."""
        found = self.by_kind.get(kind)
        if not found:
            return None
        if len(found) == 1:
            return found[0]
        sites = self.plan.network.site_index
        region = self.plan.network.sites[sites[site]].region if site in sites else ""
        own = (
            [s for s in found if region and region in s.serves] or [s for s in found if not s.serves] or found
        )
        return min(own, key=lambda s: (self.site_rtt(site, s.site), s.id))

    def site_rtt(self, a: str, b: str) -> float:
        """Return the round-trip time of the control path between two sites (s)."""
        if a == b:
            return 0.0
        key = (a, b)
        rtt = self._rtt.get(key)
        if rtt is None:
            route = self.router.route(a, b)
            rtt = self._rtt[key] = 2 * route.delay_s if route is not None else 0.2
        return rtt

    def key(self, *names: str) -> int:
        """Return the key of keyed draws for one purpose."""
        return key_of(self.streams.seed, self.streams.replication, *names)

    @staticmethod
    def _service_time(order: Any, desk: _Desk) -> float:
        """Return the time of a call: a function of the operation, the order and how often it has called before."""
        if desk.time_s.constant is not None:
            return desk.time_s.constant
        n = order.calls.get(desk.name, 0)
        order.calls[desk.name] = n + 1
        return desk.time_s(order.index, n)

    def call(self, order: Any, kind: str, operation: str, node: NodePlan, priority: int = 1) -> Process:
        """Call a service's operation from a node; returns the waiting time (s).

        A kind that the scenario does not have costs nothing. Network time is the control path's
        RTT per message pair; bytes are counted on the order. A dropped call refuses the order, a
        service that is down longer than the retries allow fails it.
        """
        try:
            desk = self._desks[kind, operation, node.site]
        except KeyError:
            desk = self._desks[kind, operation, node.site] = self._desk(kind, operation, node.site)
        if desk is None:
            return 0.0
        service, station, rtt = desk.service, desk.station, desk.rtt_s
        order.control_bytes += desk.bytes
        work = self._service_time(order, desk)
        call = station.serve(work, priority, before_s=desk.before_s, after_s=desk.after_s)
        served: Served
        if station.up:
            served = yield call
        else:
            patience = self.plan.run.retry_s * max(1, self.plan.run.max_retries)
            yield self.env.any_of([call, self.env.timeout(patience)])
            if not station.answered(call):
                station.abandon(call)
                raise Failure("fault.service", service.id)
            served = cast(Served, call.value)
        if served.dropped:
            raise Refusal("capacity.queue", service.id)
        if service.batch_s > 0:
            # A record becomes final with the block that closes after it was ordered.
            blocks = math.floor(self.env.now / service.batch_s) + 1
            yield self.env.timeout(blocks * service.batch_s - self.env.now + 0.5 * rtt)
        return served.wait_s

    def _desk(self, kind: str, operation: str, site: str) -> _Desk | None:
        """Look up what a call from a site meets; it stays the same for a whole run."""
        service = self.service_for(kind, site)
        if service is None or operation not in service.operations:
            return None
        op = service.operations[operation]
        rtt = self.site_rtt(site, service.site)
        drawer = self._drawers.get((service.id, operation))
        if drawer is None:
            key = self.key("service", service.id, operation)
            drawer = self._drawers[service.id, operation] = Drawer(op.service_s, key)
        return _Desk(
            (kind, operation), service, drawer, self.stations[service.id], rtt,
            op.messages * (op.request_bytes + op.response_bytes),
            (op.messages - 0.5) * rtt, 0.0 if service.batch_s > 0 else 0.5 * rtt,
        )  # fmt: skip

    # ------------------------------------------------------------ network

    def route(self, source: str, target: str, technology: str | None) -> Route | None:
        """Return the path between two nodes that avoids what is down now."""
        if self.down_links:
            return self.router.route(source, target, technology, avoid_links=self.avoid)
        return self.router.route(source, target, technology)

    def pick_route(self, order: Any, source: str, target: str, technology: str | None) -> Route | None:
        """Return the path a transfer takes: the shortest, or the one the routing policy chooses."""
        if not self.routing_decides:
            return self.route(source, target, technology)
        found = self.router.candidates(source, target, technology, 3, avoid_links=self.avoid)
        if len(found) < 2:
            return found[0] if found else None
        self.telemetry.refresh()
        views = [
            RouteView(
                i, r.hops, r.delay_s, min((self.telemetry.link_free(x) for x in r.links), default=math.inf), r.price, r.sites
            )
            for i, r in enumerate(found)
        ]  # fmt: skip
        decision = self.decide(
            "routing", View(routes=views, in_flight=self.in_flight), order.index, len(views)
        )
        if isinstance(decision, RefuseOrder):
            raise Refusal(decision.reason, "routing policy")
        chosen: Route = found[decision.route]
        return chosen

    def links_changed(self) -> None:
        """Recompute what routes must avoid after a link went down or came back."""
        self.avoid = both_ways(self.down_links)

    def move(
        self,
        order: Any,
        source: str,
        target: str,
        payload: float,
        data: str,
        *,
        technology: str | None = None,
        slice_id: int = -1,
        slice_route: Route | None = None,
        suite: str = "international",
    ) -> Process:
        """Move payload bytes from node to node; re-routes around cuts; returns the wire bytes.

        Raises
        ------
        Failure
            ``fault.link`` when no path comes back within the plan's retries.
        """
        if payload <= 0 or source == target:
            return 0.0
        env, start, left, wire_total = self.env, self.env.now, payload, 0.0
        ideal_s, waited, bottleneck, used, price = 0.0, 0.0, "", "", 0.0
        patience = max(self.plan.run.retry_s * self.plan.run.max_retries, NO_ROUTE_PATIENCE_S)
        event: Any = None
        factor = 1.0
        try:
            while left > 1e-6:
                route = slice_route or self.pick_route(order, source, target, technology)
                if route is None:
                    if waited >= patience:
                        raise Failure("fault.link", f"{source} -> {target}")
                    yield env.timeout(self.plan.run.retry_s)
                    waited += self.plan.run.retry_s
                    continue
                factor = route.overhead * record_overhead(suite)
                price = byte_price(route)
                if not ideal_s:
                    ideal_s, bottleneck, used = ideal(self.plan.network.links, route, payload * factor)
                event = self.carrier.transfer(
                    route.links,
                    left * factor,
                    latency_s=route.delay_s,
                    weight=order.cls.weight,
                    priority=order.cls.priority,
                    slice_id=slice_id,
                )
                outcome = yield event
                event = None
                wire_total += outcome.done
                left = 0.0 if not outcome.reason else max(0.0, left - outcome.done / factor)
                slice_route, slice_id = None, -1
        finally:
            # Also of a transfer that was interrupted, what crossed the links is recorded and paid.
            if event is not None:
                done = self.dp.cancel(event, "cancelled").done
                wire_total += done
                left = max(0.0, left - done / factor)
            if wire_total > 0 and order.detailed:
                self.rec.rows["flows"].append(
                    (order.index, source, target, order.cls.id, data, payload - left, wire_total, start, env.now, ideal_s,
                     bottleneck, used)
                )  # fmt: skip
            order.moved(source, data, payload - left, wire_total, wire_total * price)
        return wire_total

    # ------------------------------------------------------------ nodes

    def allocate(self, needs: Needs, key: tuple[float, ...]) -> tuple[int, simpy.Event]:
        """Ask for cores and memory on several nodes, all or nothing; the event fires when granted."""
        self._next_request += 1
        ident = self._next_request
        event = self.env.event()
        self.requests[ident] = (event, needs)
        self.telemetry.asked(needs, 1)
        self.allocator.request(ident, needs, key)
        self.grant_ready()
        return ident, event

    def grant_ready(self) -> None:
        """Hand out what the allocator can grant now."""
        for ident in self.allocator.ready():
            event, needs = self.requests[ident]
            self.telemetry.asked(needs, -1)
            self.telemetry.held(needs, 1)
            event.succeed()

    def give_back(self, ident: int) -> None:
        """Release a granted request, or withdraw a waiting one."""
        found = self.requests.pop(ident, None)
        if found is None:
            return
        event, needs = found
        if event.triggered:
            self.allocator.release(ident)
            self.telemetry.held(needs, -1)
        else:
            self.allocator.cancel(ident)
            self.telemetry.asked(needs, -1)
        self.grant_ready()

    def compute(
        self, order: Any, node: NodePlan, work_core_s: float, max_cores: float, *, reserved: bool
    ) -> Process:
        """Do work on a node; returns the outcome. Cores are reserved ones or shared."""
        index = self.node_index[node.id]
        event = self.dp.execute(
            index,
            work_core_s,
            max_cores=max_cores,
            min_share=max_cores if reserved else 0.0,
            priority=order.cls.priority if not reserved else 0,
        )
        try:
            outcome = yield event
        except BaseException:
            self._charge(order, self.dp.cancel(event, "cancelled").done)
            raise
        self._charge(order, outcome.done)
        return outcome

    def _charge(self, order: Any, core_s: float) -> None:
        order.core_s += core_s
        self.charged_core_s += core_s

    def job_started(self, nodes: Sequence[str]) -> None:
        """Count a job on each node."""
        for node in nodes:
            self._node_jobs[node] += 1

    def jobs_of(self, node: str) -> int:
        """Return how many jobs the node has begun."""
        return self._node_jobs[node]

    # ------------------------------------------------------------ decisions

    def decide(self, kind: str, view: Any, order: int, candidates: int) -> Any:
        """Ask the policy of a kind and record its decision.

        Raises
        ------
        PolicyFailed
            If a policy of the user raises or decides what cannot be.
        """
        policy = self.policies[kind]
        # Of the shipped policies only those for placement draw.
        idle = kind in self._trusted and kind != "placement"
        rng = self._random[kind].rng if idle else self._random[kind].of(order)
        if kind in self._trusted:
            decision = policy.decide(view, self.env.now, rng)
        else:
            decision = ask(
                policy, view, rng, cast(PolicyKind, kind), self.policy_name.get(kind, kind), self.env.now, order,
                self.streams.replication,
            )  # fmt: skip
        choice: Any = type(decision).__name__
        for name in ("node", "technology", "route"):
            choice = getattr(decision, name, choice)
        if kind != "queueing" and self.detailed(order):
            self.rec.rows["decisions"].append(
                (self.env.now, order, kind, self.policy_name.get(kind, ""), str(choice),
                 getattr(decision, "reason", ""), candidates)
            )  # fmt: skip
        return decision

    # ------------------------------------------------------------ orders

    def pool(self, roles: tuple[str, ...]) -> tuple[str, ...]:
        """Return the ids of all nodes with one of these roles."""
        found = self._pools.get(roles)
        if found is None:
            found = self._pools[roles] = tuple(n.id for n in self.nodes if n.role in roles)
        return found

    def review_luck(self, order: int, n: int) -> float:
        """Return the n-th uniform number of an order's review: keyed by its number, so no policy shifts it."""
        return uniform_of(self._review_key, order, n)

    def detailed(self, order: int) -> bool:
        """Return whether the details of an order are recorded: by its number, so the same in every kernel."""
        return uniform_of(self._detail_key, order, 0) < self._detail_share

    def regions(self, consumer: str, providers: Sequence[str]) -> tuple[str, ...]:
        """Return the regions an order's data goes to or comes from."""
        sites, index = self.plan.network.sites, self.plan.network.site_index
        found = {sites[index[self.plan.node_by_id[n].site]].region for n in (consumer, *providers)}
        return tuple(sorted(r for r in found if r))

    def order_began(self, delivery: Any) -> None:
        """Count a delivery that is under way."""
        self.in_flight += 1
        self.in_flight_by_class[delivery.cls.id] += 1

    def order_ended(self, delivery: Any, state: str) -> None:
        """Count a delivery that has ended; the last one ends the drain."""
        self.in_flight -= 1
        self.in_flight_by_class[delivery.cls.id] -= 1
        if state == "completed":
            self.done += 1
        else:
            self.failed += 1
        self.live.pop(delivery, None)
        for random in self._random.values():
            random.forget(delivery.index)
        if (self.done + self.failed) % _PACK_EVERY == 0:
            self.rec.pack()
        if self.in_flight == 0 and self.drained is not None and not self.drained.triggered:
            self.drained.succeed()
