"""Placement policies: on which node a free role runs.

All take the smallest key and break ties by node id, so the order in which candidates are
listed never matters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from dssn_models.policies.api import Choose, Decision, JobFacts, NodeView, PolicyKind, RefuseOrder, View

__all__ = [
    "Cheapest",
    "EarliestFinish",
    "Joint",
    "LeastLoaded",
    "Nearest",
    "Random",
    "completion_s",
    "wait_s",
]

Key = Callable[[NodeView], tuple[float, ...]]


def usable(view: View) -> Sequence[NodeView] | RefuseOrder:
    """Return the candidates that are up and reachable, or the refusal that says why there are none."""
    up = [c for c in view.candidates if c.up]
    if not up:
        return RefuseOrder("capacity.node")
    reachable = [c for c in up if math.isfinite(c.rtt_s)]
    return reachable or RefuseOrder("network.no_route")


def _smallest(view: View, key: Key, reason: str) -> Decision:
    nodes = usable(view)
    if isinstance(nodes, RefuseOrder):
        return nodes
    best = min(nodes, key=lambda c: (*key(c), c.id))
    return Choose(best.id, reason)


def _sample(view: View, choices: int, rng: np.random.Generator) -> View:
    """Return the view with ``choices`` candidates drawn at random (0: all of them).

    Looking at a few random nodes rather than at all of them keeps many orders that see the same
    old state from running to the same node (Mitzenmacher, "How useful is old information?", 2000).
    """
    nodes = sorted((c for c in view.candidates if c.up and math.isfinite(c.rtt_s)), key=lambda c: c.id)
    if choices <= 0 or len(nodes) <= choices:
        return view
    left = list(range(len(nodes)))
    picked = [left.pop(int(u * (len(nodes) - i))) for i, u in enumerate(rng.random(choices))]
    return View(
        job=view.job, candidates=[nodes[i] for i in sorted(picked)], in_flight=view.in_flight,
        options=view.options, state_age_s=view.state_age_s,
    )  # fmt: skip


def wait_s(node: NodeView) -> float:
    """Return how long a new job waits for a core (s).

    Work promised and not yet done over the node's speed; nothing while cores are free and nobody waits.
    """
    if node.queue_length == 0 and node.free_cores >= 1:
        return 0.0
    return node.backlog_core_s / max(node.cores * node.core_speed, 1e-9)


def completion_s(node: NodeView, job: JobFacts | None, parallel: float) -> float:
    """Return the estimated completion time of a job on a node (s).

    wait + start + work * slowdown / (cores used * speed) + traffic / bottleneck + rounds * round-trip time,
    start being the pull of a cold image and the start of an enclave as far as shown. The job says how
    many cores its role can use, else ``parallel`` is assumed. A path without free rate counts as 1 kbit/s,
    so it is last and still finite.
    """
    if job is None:
        return wait_s(node) + node.start_s + node.rtt_s
    move = job.traffic_bytes * 8 / max(node.bottleneck_bps, 1e3)
    work = node.start_s + _work_s(node, job, parallel)
    return wait_s(node) + work + move + max(1, job.rounds) * node.rtt_s


def _work_s(node: NodeView, job: JobFacts, parallel: float) -> float:
    cores = parallel if job.cores is None else job.cores
    return job.work_core_s * node.slowdown / max(1e-9, min(cores, node.cores) * node.core_speed)


@dataclass
class Nearest:
    """The node with the smallest round-trip time to the parties of the job."""

    kind: ClassVar[PolicyKind] = "placement"

    def decide(self, view: View, now: float, rng: np.random.Generator) -> Decision:
        """Return the nearest node that is up."""
        return _smallest(view, lambda c: (c.rtt_s,), "smallest round-trip time")


@dataclass
class LeastLoaded:
    """The node with the least promised work per unit of speed, then the shortest queue."""

    kind: ClassVar[PolicyKind] = "placement"
    choices: int = field(default=0, metadata={"doc": "look at this many random candidates only (0: all)"})

    def decide(self, view: View, now: float, rng: np.random.Generator) -> Decision:
        """Return the least loaded node that is up."""
        return _smallest(
            _sample(view, self.choices, rng),
            lambda c: (
                c.backlog_core_s / max(c.cores * c.core_speed, 1e-9),
                c.queue_length,
                -c.free_cores / max(c.cores, 1e-9),
                c.rtt_s,
            ),
            "least backlog per core",
        )


@dataclass
class Cheapest:
    """The node with the lowest price of a unit of work, then the nearest."""

    kind: ClassVar[PolicyKind] = "placement"

    def decide(self, view: View, now: float, rng: np.random.Generator) -> Decision:
        """Return the cheapest node that is up."""
        return _smallest(
            view,
            lambda c: (c.price_cny_per_hour / max(c.cores * c.core_speed, 1e-9), c.rtt_s),
            "lowest price per core-hour",
        )


@dataclass
class Random:
    """Any node that is up, all with the same chance: the yardstick for other policies."""

    kind: ClassVar[PolicyKind] = "placement"

    def decide(self, view: View, now: float, rng: np.random.Generator) -> Decision:
        """Return a random node that is up."""
        nodes = usable(view)
        if isinstance(nodes, RefuseOrder):
            return nodes
        ordered = sorted(nodes, key=lambda c: c.id)
        return Choose(ordered[int(rng.random() * len(ordered))].id, "random")


@dataclass
class Joint:
    """Compute and network together: the smallest estimated completion time.

    Wait + work / cores + traffic / bottleneck + rounds * round-trip time, see :func:`completion_s`.
    """

    kind: ClassVar[PolicyKind] = "placement"
    parallel: float = field(default=4.0, metadata={"doc": "cores a role can use, where the job does not say"})
    choices: int = field(default=0, metadata={"doc": "look at this many random candidates only (0: all)"})

    def decide(self, view: View, now: float, rng: np.random.Generator) -> Decision:
        """Return the node where the job is expected to end first."""
        return _smallest(
            _sample(view, self.choices, rng),
            lambda c: (completion_s(c, view.job, self.parallel), c.backlog_core_s),
            "smallest estimated completion time",
        )


@dataclass
class EarliestFinish:
    """Compute only: wait + work / cores, whatever the network (for comparison with ``joint``)."""

    kind: ClassVar[PolicyKind] = "placement"
    parallel: float = field(default=4.0, metadata={"doc": "cores a role can use, where the job does not say"})

    def decide(self, view: View, now: float, rng: np.random.Generator) -> Decision:
        """Return the node that would end the work first."""
        job = view.job

        def key(c: NodeView) -> tuple[float, ...]:
            work = _work_s(c, job, self.parallel) if job is not None else 0.0
            return wait_s(c) + c.start_s + work, c.backlog_core_s, c.rtt_s

        return _smallest(view, key, "earliest end of the work")
