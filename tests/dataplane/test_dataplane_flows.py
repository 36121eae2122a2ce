"""Many flows in compiled code: a small national workload against a plain reference, and speed."""

from __future__ import annotations

import heapq
import math
import random

import numpy as np
import pytest

from dssn_sim.dataplane.batch import run_flows


def workload(n, *, links=60, load=1.0, capped=0.0, burst=0, seed=1):
    """Flows over random chains of links of three speeds; sizes lognormal (bit)."""
    rnd = random.Random(seed)
    capacities = [rnd.choice([1e10, 1e11, 4e11]) for _ in range(links)]
    routes = [rnd.sample(range(links), rnd.randint(1, 6)) for _ in range(n)]
    sizes = [math.exp(rnd.gauss(23.0, 1.2)) for _ in range(n)]
    # the busiest link is offered `load` of its capacity
    offered = [0.0] * links
    for r, s in zip(routes, sizes, strict=True):
        for x in r:
            offered[x] += s
    span = max(o / c for o, c in zip(offered, capacities, strict=True)) / load
    starts, t = [], 0.0
    for i in range(n):
        t += rnd.expovariate(n / span)
        starts.append(span * (i // burst) * burst / n if burst else t)
    caps = [10 ** rnd.uniform(8, 10) if rnd.random() < capped else math.inf for _ in range(n)]
    return capacities, starts, sizes, routes, caps


def plain(capacities, starts, sizes, routes, caps):
    """Progressive filling from scratch at every event (slow on purpose)."""
    begin = sorted(range(len(starts)), key=lambda i: (starts[i], i))
    left, fin = list(sizes), [math.inf] * len(sizes)
    active, rate, now, p = {}, {}, 0.0, 0
    while p < len(begin) or active:
        end = min((now + left[i] / rate[i] for i in active), default=math.inf)
        t = min(end, starts[begin[p]] if p < len(begin) else math.inf)
        for i in active:
            left[i] -= rate[i] * (t - now)
        now = t
        for i in [i for i in active if left[i] <= rate[i] * 1e-12]:
            fin[i] = now
            del active[i]
        while p < len(begin) and starts[begin[p]] <= now:
            active[begin[p]] = True
            p += 1
        rate = _fill(active, capacities, routes, caps)
    return fin


def _fill(active, capacities, routes, caps):
    rest, count, on = {}, {}, {}
    for i in active:
        for x in routes[i]:
            rest.setdefault(x, capacities[x])
            count[x] = count.get(x, 0) + 1
            on.setdefault(x, []).append(i)
    rate = {}
    heap = [(rest[x] / count[x], 0, x) for x in on]
    heap += [(caps[i], 1, i) for i in active if caps[i] < math.inf]
    heapq.heapify(heap)
    while heap:
        s, kind, x = heapq.heappop(heap)
        if kind == 1:
            fixed = [x] if x not in rate else []
        else:
            if count[x] == 0:
                continue
            s, old = rest[x] / count[x], s
            if s > old * (1 + 1e-15):
                heapq.heappush(heap, (s, 0, x))
                continue
            fixed = [i for i in on[x] if i not in rate]
        for i in fixed:
            rate[i] = s
            for y in routes[i]:
                rest[y] = max(rest[y] - s, 0.0)
                count[y] -= 1
    return rate


CASES = {
    "low": {"load": 0.6},
    "high": {"load": 0.97},
    "over": {"load": 1.5},
    "round": {"load": 0.8, "burst": 50},
    "capped": {"load": 0.97, "capped": 0.5},
}


@pytest.mark.parametrize("case", CASES)
def test_finish_times_match_the_plain_reference(case):
    flows = workload(500, **CASES[case])
    capacities, starts, sizes, routes, caps = flows
    got = run_flows(capacities, starts, sizes, routes, caps=caps)
    want = np.array(plain(*flows))
    assert np.max(np.abs(got - want) / (want - np.array(starts))) < 1e-6  # the plain one rounds ends
    assert got == pytest.approx(want, rel=1e-9)


def test_flat_routes_are_the_same_as_lists():
    capacities, starts, sizes, routes, caps = workload(300)
    offsets = np.concatenate([[0], np.cumsum([len(r) for r in routes])])
    flat = np.array([x for r in routes for x in r])
    lists = run_flows(capacities, starts, sizes, routes, caps=caps)
    assert (run_flows(capacities, starts, sizes, (offsets, flat), caps=caps) == lists).all()


def test_only_a_neighbourhood_is_solved_again():
    """The point of the design: an event touches a few groups, not all of them."""
    capacities, starts, sizes, routes, caps = workload(4000, links=400, load=0.6)
    stats: dict[str, int] = {}
    run_flows(capacities, starts, sizes, routes, caps=caps, stats=stats)
    assert stats["solves"] == 8001  # a start and an end each, and the empty beginning
    assert stats["pops"] / stats["solves"] < 15


@pytest.mark.bench
@pytest.mark.parametrize("case", CASES)
def test_bench_run_flows(benchmark, case):
    benchmark.group = "kernel"
    capacities, starts, sizes, routes, caps = workload(10000, links=400, **CASES[case])
    finish = benchmark(run_flows, capacities, starts, sizes, routes, caps=caps)
    assert np.isfinite(finish).all()
