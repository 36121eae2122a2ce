"""Conformance kit: is my policy one that a backend can run?

>>> from dssn_models.policies.placement import Nearest
>>> report = check_policy(Nearest())
>>> report.cases, report.refusals
(200, 28)

A policy must return a legal decision for every view (also an empty one or one where everything is down),
decide the same when asked the same with the same generator state, leave the view as it was, and take its
chance from ``rng`` alone.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from dssn_models.policies.api import (
    JobFacts,
    NodeView,
    PolicyKind,
    QueueItem,
    RefuseOrder,
    RouteView,
    TechnologyView,
    View,
)
from dssn_models.policies.legality import fault_of
from dssn_models.policies.registry import KINDS, as_policy

__all__ = ["ConformanceError", "Report", "check_policy", "make_view", "make_views"]

_SITES: Final = ("beijing", "shanghai", "guiyang", "hohhot", "chengdu")
_TECHNOLOGIES: Final = (("otn", "hard"), ("spn", "hard"), ("ptn", "soft"), ("ip", "none"), ("sdwan", "soft"))


class ConformanceError(AssertionError):
    """What a policy did wrong, and on which view."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a check saw: number of views, refusals, and how often each choice was made."""

    cases: int
    refusals: int
    choices: Mapping[str, int] = field(default_factory=dict)


def _job(rng: np.random.Generator, now: float) -> JobFacts:
    deadline = None if rng.random() < 0.3 else now + float(rng.exponential(600.0))
    return JobFacts(
        order=str(int(rng.integers(1000))),
        stream="psi",
        cls="standard",
        priority=int(rng.integers(3)),
        engine="psi.ecdh",
        role="arbiter",
        work_core_s=float(rng.exponential(100.0)),
        traffic_bytes=float(rng.exponential(1e8)),
        deadline_s=deadline,
        age_s=float(rng.exponential(5.0)),
        parties=("bank", "carrier"),
        rounds=int(rng.choice([1, 10, 100])),
        cores=None if rng.random() < 0.5 else float(rng.choice([1, 8])),
    )


def _node(rng: np.random.Generator, number: int) -> NodeView:
    cores = float(rng.choice([8, 16, 32]))
    busy = float(rng.integers(0, int(cores) + 1))
    cut = rng.random() < 0.05
    return NodeView(
        id=f"pool{number}",
        site=_SITES[number % len(_SITES)],
        role="pool",
        cores=cores,
        core_speed=float(rng.choice([0.8, 1.0, 1.3])),
        free_cores=cores - busy,
        free_memory_bytes=float(rng.uniform(0, 64e9)),
        queue_length=int(rng.integers(0, 5)) if busy == cores else 0,
        backlog_core_s=busy * float(rng.exponential(60.0)),
        price_cny_per_hour=cores * float(rng.uniform(0.2, 0.6)),
        rtt_s=math.inf if cut else float(rng.uniform(0.5e-3, 60e-3)),
        bottleneck_bps=0.0 if cut else float(rng.uniform(0, 10e9)),
        up=bool(rng.random() > 0.1),
        tee=bool(rng.random() < 0.3),
        start_s=float(rng.choice([0.0, 10.0])),
        slowdown=float(rng.choice([1.0, 1.2])),
    )


def make_view(kind: PolicyKind, rng: np.random.Generator, now: float = 0.0, size: int = 5) -> View:
    """Return a random view of a kind.

    Parameters
    ----------
    kind : PolicyKind
        Which question is asked; fields of other kinds stay empty, as in a run.
    rng : numpy.random.Generator
        Source of the view.
    now : float
        Virtual time (s).
    size : int
        Candidates to choose from (0: none).
    """
    base = View(
        job=_job(rng, now), in_flight=int(rng.integers(0, 500)), state_age_s=float(rng.uniform(0, 10))
    )
    if kind == "placement":
        return replace(base, candidates=[_node(rng, i) for i in rng.permutation(size)])
    if kind == "routing":
        return replace(
            base,
            routes=[
                RouteView(
                    int(i), int(rng.integers(1, 9)), float(rng.uniform(1e-3, 50e-3)), float(rng.uniform(0, 10e9)),
                    float(rng.uniform(1, 100)), tuple(str(s) for s in rng.permutation(_SITES)[:3]),
                )
                for i in rng.permutation(size)
            ],
        )  # fmt: skip
    if kind == "technology":
        asked = {"isolation": str(rng.choice(["none", "soft", "hard"])), "rate_bps": None}
        if rng.random() < 0.5:
            asked["rate_bps"] = float(rng.uniform(1e6, 2e9))  # type: ignore[assignment]
        return replace(
            base,
            job=None,
            options=asked,
            technologies=[
                TechnologyView(
                    name, float(rng.uniform(1e-3, 50e-3)), float(rng.uniform(0, 10e9)), float(rng.uniform(1, 60)),
                    isolation, float(rng.uniform(0, 60)), float(rng.uniform(0, 1e-3)), 0.9999,
                )
                for name, isolation in _TECHNOLOGIES[:size]
            ],
        )  # fmt: skip
    if kind == "queueing":
        item = QueueItem(
            int(rng.integers(1_000_000)), int(rng.integers(3)), float(rng.choice([1, 4, 8])),
            None if rng.random() < 0.3 else now + float(rng.exponential(600.0)), now, float(rng.exponential(100.0)),
        )  # fmt: skip
        return View(queue=(item,))
    return base


def make_views(kind: PolicyKind, cases: int = 200, seed: int = 0) -> Iterator[tuple[float, View]]:
    """Yield (time, view) in order of time: none to eight candidates, ordinary and odd ones."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    now = 0.0
    for i in range(cases):
        now += float(rng.exponential(10.0))
        yield now, make_view(kind, rng, now, size=i % 9)


def check_policy(
    policy: object,
    kind: PolicyKind | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    cases: int = 200,
    seed: int = 0,
) -> Report:
    """Ask a policy on many views and return what it did.

    Parameters
    ----------
    policy : object
        Class, object or function.
    kind : PolicyKind, optional
        Needed where the policy does not name its kind.
    options : Mapping, optional
        As in a scenario.
    cases, seed : int
        How many views, and which.

    Raises
    ------
    ConformanceError
        With the first view on which the policy did what it must not.
    PolicyError
        The thing is no policy at all.
    """
    kind = kind or getattr(policy, "kind", None)
    if kind not in KINDS:
        raise ConformanceError(
            f"kind {kind!r} is none of {', '.join(KINDS)}; name it in the class or the call"
        )
    fresh = as_policy(policy, kind, options)
    first, second = copy.deepcopy(fresh), copy.deepcopy(fresh)
    choices: dict[str, int] = {}
    refusals = 0
    ambient = copy.deepcopy(np.random.get_state())  # noqa: NPY002  only to see that nobody touches it
    rngs = np.random.default_rng(seed), np.random.default_rng(seed)
    for number, (now, view) in enumerate(make_views(kind, cases, seed)):
        before = copy.deepcopy(view)
        where = f"view {number} at {now:.1f} s"
        try:
            decision = first.decide(view, now, rngs[0])
        except Exception as error:
            raise ConformanceError(
                f"{where}: {type(error).__name__}: {error}; the view was {view}"
            ) from error
        if view != before:
            raise ConformanceError(f"{where}: the policy changed its view")
        fault = fault_of(kind, view, decision)
        if fault:
            raise ConformanceError(f"{where}: {fault}; the view was {view}")
        again = second.decide(before, now, rngs[1])
        if again != decision:
            raise ConformanceError(f"{where}: the same question got {decision}, then {again}")
        if isinstance(decision, RefuseOrder):
            refusals += 1
        choice = str(
            getattr(decision, "node", None) or getattr(decision, "technology", type(decision).__name__)
        )
        choices[choice] = choices.get(choice, 0) + 1
    if not _same_state(ambient, np.random.get_state()):  # noqa: NPY002
        raise ConformanceError("the policy draws from numpy's global generator; take chance from rng")
    return Report(cases, refusals, choices)


def _same_state(a: Any, b: Any) -> bool:
    return bool(a[0] == b[0] and np.array_equal(a[1], b[1]) and a[2:] == b[2:])
