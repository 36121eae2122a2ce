"""From a plan to the tables that stay the same for a whole run.

What depends on the orders (templates, tapes, columns) is written block by block by ``blocks``; paths between
sites are filled when the machine first asks for them (:meth:`Assembly.fill_paths`).
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dssn_models.compute.accelerate import best_accelerator
from dssn_models.compute.catalogue import catalogue_table
from dssn_models.crypto.suites import bulk_core_s, handshake, record_overhead
from dssn_models.dist import Dist
from dssn_models.engines.base import BaseEngine
from dssn_models.engines.registry import REGISTRY
from dssn_models.network.routing import Router
from dssn_models.nodes.admission import WEIGHTS
from dssn_models.plan import JobStepPlan, NodePlan, Plan, ServicePlan
from dssn_models.policies.technology import ISOLATION_RANK
from dssn_models.rng import key_of
from dssn_sim.compiled.draws import kind_of
from dssn_sim.compiled.layout import PLAN, State
from dssn_sim.compiled.memory import LEVEL, STATION
from dssn_sim.routes import narrowest

__all__ = ["OPERATIONS", "Assembly", "Codes"]

#: (kind of service, operation) that a life calls; the position is the operation's number.
OPERATIONS: Final[tuple[tuple[str, str], ...]] = (
    ("exchange", "trade"), ("dsp.access", "authenticate"), ("dsp.delivery", "order"), ("dsp.access", "catalogue"),
    ("dsp.delivery", "contract"), ("review", "review"), ("reviewers", "human"), ("dsp.scheduling", "network_order"),
    ("dsp.scheduling", "plan"), ("registry", "pull"), ("dsp.transport", "channel"), ("ca", "status"),
    ("dsp.security", "attest_policy"), ("verifier", "verify"), ("dsp.delivery", "deliver"),
    ("dsp.supervision", "audit"), ("ledger", "append"), ("dsp.supervision", "meter"), ("dsp.supervision", "settle"),
    ("exchange", "settle"), ("dsp.scheduling", "release"),
)  # fmt: skip

#: Round-trip time of a control path between sites that no route joins (s), as in the SimPy kernel.
NO_PATH_RTT_S: Final = 0.2


class Codes:
    """Words by number, in the order in which they were first asked for."""

    def __init__(self, *words: str) -> None:
        self.words: list[str] = list(dict.fromkeys(words))
        self._number = {w: i for i, w in enumerate(self.words)}

    def of(self, word: str) -> int:
        """Return the number of a word, a new one if it has none."""
        number = self._number.get(word)
        if number is None:
            number = self._number[word] = len(self.words)
            self.words.append(word)
        return number

    def __len__(self) -> int:
        return len(self.words)


def rows(table: str, n: int) -> NDArray[Any]:
    """Return n empty rows of a plan table."""
    return np.zeros(n, PLAN[table])


class Assembly:
    """The machine's tables for one replication of a plan, and what their numbers mean.

    Parameters
    ----------
    plan : Plan
        What to run.
    replication : int
        Part of the keys of all draws.
    """

    def __init__(self, plan: Plan, replication: int) -> None:
        self.plan = plan
        self.replication = replication
        self.router = Router(plan.network)
        self.state = State()
        self.node_index = {n.id: i for i, n in enumerate(plan.nodes)}
        self.n_nodes, self.n_sites = len(plan.nodes), len(plan.network.sites)
        steps = [t for s in plan.streams for t in (*s.steps, *s.alternate)]
        self.engines = Codes(*(t.engine for t in steps))
        # Images always travel under the first.
        self.suites = Codes("international", *(s.net.suite for s in plan.streams))
        self.operators = Codes()
        asked = {s.net.technology for s in plan.streams if s.net.technology is not None}
        self.technologies = Codes("", *self.router.planes, *sorted(asked))
        self.link_technologies = Codes(*(link.technology for link in plan.network.links))
        self.words = Codes()
        self.class_index = {c.id: i for i, c in enumerate(plan.classes)}
        self.layers = sorted({c.priority for c in plan.classes})
        self.path_words: list[str] = []
        self.avoid: frozenset[int] = frozenset()  # directed links that are down
        self._classes()
        self._places()
        self._engines()
        self._links()
        self._stations()
        self._desks()

    # ------------------------------------------------------------ classes, places, engines

    def _classes(self) -> None:
        table = rows("classes", len(self.plan.classes))
        for row, c in zip(table, self.plan.classes, strict=True):
            row["weight"], row["priority"], row["layer"] = c.weight, c.priority, self.layers.index(c.priority)
        self.state.put("classes", table)

    def _places(self) -> None:
        plan, sites = self.plan, self.plan.network.site_index
        table = rows("places", self.n_nodes + self.n_sites)
        forms, tees, cards = Codes(), Codes(), Codes()
        self.forms = forms
        access = {link.a: link.index for link in plan.network.links if link.access}
        tee_rows: list[tuple[float, ...]] = []
        eviction = catalogue_table().value("tee.eviction_build_factor")
        card_rows: list[list[float]] = []
        for name in dict.fromkeys(op for e in self.engines.words for op in REGISTRY[e].operators):
            self.operators.of(name)
        by_id = np.argsort(np.argsort([n.id for n in plan.nodes]))
        engine_bit = {name: 1 << i for i, name in enumerate(self.engines.words)}
        for i, node in enumerate(plan.nodes):
            tee = speedup = -1
            if node.tee is not None:
                t = node.tee
                values = (t.enclave_bytes, t.slowdown, max(t.paging_factor, 1.0), t.start_s, t.start_s_per_byte,
                          eviction, t.quote_s, t.verify_s)  # fmt: skip
                tee = tees.of(repr(values))
                if tee == len(tee_rows):
                    tee_rows.append(values)
            if node.accelerators:
                speedup = cards.of(repr(node.accelerators))
                if speedup == len(card_rows):
                    card_rows.append(self._speedups(node))
            # 0 is all engines; the last bit keeps a list of engines that nobody asks for from being that.
            offered = sum(engine_bit.get(e, 0) for e in node.engines) | 1 << 63 if node.engines else 0
            table[i] = (
                node.cores, node.core_speed, node.memory_bytes, node.cache_bytes, node.price_cny_per_hour, offered,
                sites[node.site], access.get(node.id, -1), node.sharing == "reserved", tee, forms.of(node.form),
                speedup, by_id[i],
            )  # fmt: skip
        table["site"][self.n_nodes :] = np.arange(self.n_sites)
        for name in ("link", "tee", "speedup", "rank"):
            table[name][self.n_nodes :] = -1
        self.state.put("places", table)
        self.state.put("tees", np.array(tee_rows, PLAN["tees"]))
        self.state.put("speedups", np.array(card_rows, float))

    def _speedups(self, node: NodePlan) -> list[float]:
        found = [best_accelerator(op, node.accelerators) for op in self.operators.words]
        return [1.0 if f is None else f[1] for f in found]

    def engine(self, step: JobStepPlan) -> BaseEngine:
        """Return the engine of a step."""
        return REGISTRY[step.engine]

    def _engines(self) -> None:
        engines, images = rows("engines", len(self.engines)), rows("images", len(self.engines))
        suites = rows("suites", len(self.suites))
        for i, name in enumerate(self.engines.words):
            engine = REGISTRY[name]
            weight = WEIGHTS[engine.weight]
            forms = sum(1 << k for k, form in enumerate(self.forms.words) if form in weight.forms)
            engines[i] = (weight.cores, weight.memory_bytes, forms, 1 << i)
            images[i] = (engine.image.bytes, engine.image.start_s, engine.image.verify_s_per_byte)
        for i, name in enumerate(self.suites.words):
            cost = handshake(name)
            suites[i] = (
                record_overhead(name), bulk_core_s(name, 1.0), cost.up_bytes + cost.down_bytes, cost.rounds,
                cost.client_core_s, cost.server_core_s,
            )  # fmt: skip
        self.state.put("engines", engines)
        self.state.put("images", images)
        self.state.put("suites", suites)

    # ------------------------------------------------------------ network

    def _links(self) -> None:
        table = rows("links", len(self.plan.network.links))
        for row, link in zip(table, self.plan.network.links, strict=True):
            row["delay_s"], row["overhead"] = link.delay_s, link.overhead
            row["price"] = link.price_cny_per_mbps_month
            row["rate_ab"], row["rate_ba"] = link.rate_ab_bps, link.rate_ba_bps
            row["technology"] = self.link_technologies.of(link.technology)
            row["shared"] = link.shared
            row["isolation"] = ISOLATION_RANK.get(link.isolation, 0)
        self.state.put("links", table)
        n = self.n_sites
        self.state.put("path_of", np.full(len(self.technologies) * n * n, -1, np.int32))
        self.state.put("rtt", np.full(n * n, math.nan))

    def fill_paths(self, technology: int, source: int) -> None:
        """Find the paths of a carrier service from a site to all others."""
        sites, n = self.plan.network.sites, self.n_sites
        name = self.technologies.words[technology] or None
        start = (technology * n + source) * n
        path_of = self.state.path_of
        paths = rows("paths", n)
        links: list[int] = []
        first, steps = len(self.path_words), len(self.state.path_links) if self.path_words else 0
        found = 0
        for target in range(n):
            route = self.router.route(sites[source].id, sites[target].id, name, avoid_links=self.avoid)
            if route is None:
                path_of[start + target] = -2
                continue
            path_of[start + target] = first + found
            narrow, where = narrowest(self.plan.network.links, route)
            paths[found] = (
                route.delay_s, route.overhead, route.price, narrow, steps + len(links), len(route.links), where,
            )  # fmt: skip
            links.extend(route.links)
            self.path_words.append("+".join(route.technologies))
            found += 1
        state = self.state
        state.put("paths", np.concatenate([state.paths[:first], paths[:found]]))
        state.put("path_links", np.concatenate([state.path_links[:steps], np.array(links, np.int32)]))

    def fill_rtt(self, source: int) -> None:
        """Find the round-trip times of the control paths from a site to all others."""
        n = self.n_sites
        path_of = self.state.path_of[source * n : (source + 1) * n]
        if path_of[0] == -1:
            self.fill_paths(0, source)
        delays = self.state.paths["delay_s"]
        rtt = np.where(path_of >= 0, 2 * delays[np.maximum(path_of, 0)], NO_PATH_RTT_S)
        rtt[source] = 0.0
        self.state.rtt[source * n : (source + 1) * n] = rtt

    def rtt_from(self, source: int) -> NDArray[np.float64]:
        """Return the round-trip times from a site to all others (s)."""
        n = self.n_sites
        if math.isnan(self.state.rtt[source * n]):
            self.fill_rtt(source)
        return self.state.rtt[source * n : (source + 1) * n]

    # ------------------------------------------------------------ services

    def _stations(self) -> None:
        services = self.plan.services
        stations = np.zeros(len(services), STATION)
        first = 0
        for row, service in zip(stations, services, strict=True):
            row["servers"] = row["up"] = service.servers
            row["limit"] = -1 if service.queue_limit is None else service.queue_limit
            row["first"] = first
            row["levels"] = len(self.layers) if service.kind.startswith("dsp.") else 1
            first += row["levels"]
        levels = np.zeros(first, LEVEL)
        for name in LEVEL.names or ():
            levels[name] = -1
        self.state.put("stations", stations)
        self.state.put("levels", levels)

    def _desks(self) -> None:
        """Who serves an operation from a site; only sites with a node ever call."""
        callers = {self.plan.network.site_index[n.site] for n in self.plan.nodes}
        desk_of = np.full(len(OPERATIONS) * self.n_sites, -1, np.int32)
        registry = np.full(self.n_sites, -1, np.int32)
        desks: list[tuple[Any, ...]] = []
        dists, self._points = Codes(), ([], [])  # type: ignore[var-annotated]
        dist_rows: list[tuple[Any, ...]] = []
        by_kind: dict[str, list[int]] = {}
        for i, service in enumerate(self.plan.services):
            by_kind.setdefault(service.kind, []).append(i)
        for site in sorted(callers):
            serving = {kind: self._serving(found, site) for kind, found in by_kind.items()}
            if "registry" in serving:
                home = self.plan.services[serving["registry"]].site
                registry[site] = self.n_nodes + self.plan.network.site_index[home]
            for k, (kind, operation) in enumerate(OPERATIONS):
                index = serving.get(kind, -1)
                if index < 0 or operation not in self.plan.services[index].operations:
                    continue
                service = self.plan.services[index]
                dist = service.operations[operation].service_s
                number = dists.of(repr(dist))
                if number == len(dist_rows):
                    dist_rows.append(self._dist(dist))
                desk_of[k * self.n_sites + site] = len(desks)
                desks.append(self._desk(service, index, k, site, number))
        self.state.put("desk_of", desk_of)
        self.state.put("desks", np.array(desks, PLAN["desks"]))
        self.state.put("registry", registry)
        self.state.put("dists", np.array(dist_rows, PLAN["dists"]))
        self.state.put("points_p", np.array(self._points[0], float))
        self.state.put("points_x", np.array(self._points[1], float))

    def _serving(self, found: list[int], site: int) -> int:
        """Return the replica that serves a site: its region's, else the nearest (as ``World.service_for``)."""
        if len(found) == 1:
            return found[0]
        network, services = self.plan.network, self.plan.services
        region = network.sites[site].region
        own = [i for i in found if region and region in services[i].serves]
        own = own or [i for i in found if not services[i].serves] or found
        rtt = self.rtt_from(site)
        return min(own, key=lambda i: (rtt[network.site_index[services[i].site]], services[i].id))

    def _desk(self, service: ServicePlan, station: int, k: int, site: int, dist: int) -> tuple[Any, ...]:
        name = OPERATIONS[k][1]
        op = service.operations[name]
        rtt = float(self.rtt_from(site)[self.plan.network.site_index[service.site]])
        key = key_of(self.plan.run.seed, self.replication, "service", service.id, name)
        return (
            op.messages * (op.request_bytes + op.response_bytes), (op.messages - 0.5) * rtt,
            0.0 if service.batch_s > 0 else 0.5 * rtt, rtt, service.batch_s, key, station, k, dist,
            service.kind.startswith("dsp."),
        )  # fmt: skip

    def _dist(self, dist: Dist) -> tuple[Any, ...]:
        first = len(self._points[0])
        self._points[0].extend(dist.points_p)
        self._points[1].extend(dist.points_x)
        return dist.a, dist.b, dist.low, dist.high, kind_of(dist), first, len(dist.points_p)
