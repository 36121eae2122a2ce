"""Speed of the solver and its digits after 10^7 events. Run with ``pytest -m bench tests/bench``."""

import numpy as np
import pytest

from dssn_sim.bench.flows import read_flows, run_flow_table, write_flows
from dssn_sim.bench.topology import make_topology
from dssn_sim.dataplane.batch import run_flows

pytestmark = pytest.mark.bench


@pytest.mark.benchmark(group="kernel")
@pytest.mark.parametrize(
    ("variant", "flows"), [("low", 20_000), ("high", 10_000), ("round", 10_000), ("capped", 10_000)]
)
def test_flows_over_a_national_network(benchmark, variant, flows, tmp_path):
    topology = make_topology()
    write_flows(tmp_path / "flows.csv", topology, variant, flows)
    table = read_flows(tmp_path / "flows.csv", len(topology["links"]))
    finish = benchmark.pedantic(run_flow_table, (topology, table), rounds=5, warmup_rounds=1)
    assert np.isfinite(finish).all()
    benchmark.extra_info["flows_per_s"] = flows / benchmark.stats.stats.min


@pytest.mark.req("NET-10")
def test_no_drift_after_ten_million_events():
    """The last flows after five million others end as they do in a solver that has seen no others.

    The network falls idle now and then; what starts after the last idle time cannot feel what was before.
    """
    n, links = 5_000_000, 12
    rng = np.random.default_rng(17)
    start = np.cumsum(rng.exponential(1.0, n))
    size = rng.lognormal(0.0, 1.0, n) * 2.0
    capacity = 10.0 ** rng.uniform(0, 6, links)
    routes = np.argsort(rng.random((n, links)), axis=1)[:, :3].reshape(-1).astype(np.int64)
    cap = np.where(rng.random(n) < 0.3, 10.0 ** rng.uniform(0, 2, n), np.inf)
    weight = rng.choice([1.0, 2.0, 0.5], n)
    offset = np.arange(n + 1) * 3
    stats: dict[str, int] = {}
    finish = run_flows(capacity, start, size, (offset, routes), weights=weight, caps=cap, stats=stats)
    assert stats["solves"] > 0.9 * 2 * n
    idle = np.flatnonzero(np.maximum.accumulate(finish)[:-1] < start[1:]) + 1
    first = idle[idle < n - 20_000][-1]
    alone = run_flows(
        capacity, start[first:], size[first:], (offset[first:] - offset[first], routes[3 * first :]),
        weights=weight[first:], caps=cap[first:],
    )  # fmt: skip
    duration = alone - start[first:]
    # times are 5e6 s with 16 digits: 1e-9 s is what a time itself can hold
    assert np.max(np.abs(finish[first:] - alone) - 1e-8 * duration) < 4e-9
