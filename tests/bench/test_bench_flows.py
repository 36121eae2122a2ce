"""Workload W1: the generator's files, reading and writing, and the answers against the plain reference."""

import hashlib
import random

import numpy as np
import pytest

from dssn_sim.bench.errors import BenchInputError
from dssn_sim.bench.flows import (
    LOADS,
    FlowTable,
    read_finish,
    read_flows,
    run_flow_table,
    write_finish,
    write_flows,
)
from dssn_sim.bench.reference import reference_finish
from dssn_sim.bench.topology import make_topology, read_topology, write_topology


@pytest.fixture(scope="module")
def topology():
    return make_topology()


def reference(topology, table):
    latency = np.array([link["lat_s"] for link in topology["links"]])
    routes = [table.links[a:b] for a, b in zip(table.offset[:-1], table.offset[1:], strict=True)]
    wait = np.array([latency[r].sum() for r in routes])
    return reference_finish(
        np.array([float(link["cap_bps"]) for link in topology["links"]]),
        table.start_s + wait,
        8.0 * table.size_bytes,
        np.where(table.cap_bps > 0, table.cap_bps, np.inf),
        table.offset,
        table.links,
    )


# Of the files that the published figures belong to (topology seed 20240101, flow seed 7).
DIGESTS = {
    "low": "02291f4a2582022e",
    "high": "a4b86de822821e30",
    "over": "784316636de27f74",
    "round": "2b65c91d18f792c0",
    "capped": "960167151bf8ca28",
}


def test_generated_files_are_the_published_ones(topology, tmp_path):
    path = tmp_path / "topology.json"
    write_topology(path, topology)
    assert hashlib.sha256(path.read_bytes()).hexdigest()[:16] == "afe043944ebf5320"
    assert read_topology(path) == topology
    for variant, digest in DIGESTS.items():
        flows = tmp_path / f"{variant}.csv"
        write_flows(flows, topology, variant, 1000)
        assert hashlib.sha256(flows.read_bytes()).hexdigest()[:16] == digest, variant


@pytest.mark.parametrize("variant", LOADS)
@pytest.mark.req("NET-10")
def test_finish_times_equal_the_plain_reference(variant, topology, tmp_path):
    flows, out = tmp_path / "flows.csv", tmp_path / "finish.csv"
    write_flows(flows, topology, variant, 80, seed=3)
    table = read_flows(flows, len(topology["links"]))
    finish = run_flow_table(topology, table)
    write_finish(out, finish)
    expected = reference(topology, table)
    duration = expected - table.start_s
    assert np.max(np.abs(finish - expected) / duration) < 1e-9
    assert np.max(np.abs(read_finish(out) - expected)) < 1e-9 + 1e-9 * expected.max()


def test_plain_and_other_numbers_are_read_alike(tmp_path):
    plain, other = tmp_path / "a.csv", tmp_path / "b.csv"
    plain.write_text("0.125,2000,1,2,0,3-0\n1.5,1000,0,1,2500000,1\n")
    other.write_text("1.25e-1,2000.0,1,2,0.0,3-0\r\n15e-1,1e3,0,1,2.5e6,1")
    one, two = read_flows(plain, 4), read_flows(other, 4)
    for a, b in zip(vars(one).values(), vars(two).values(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.start_s.tolist() == [0.125, 1.5]
    assert one.links.tolist() == [3, 0, 1]


def test_random_decimals_are_read_to_the_last_digit(tmp_path):
    rnd = random.Random(5)
    starts = [f"{rnd.uniform(0, 10.0 ** rnd.randint(0, 5)):.9f}" for _ in range(2000)]
    path = tmp_path / "a.csv"
    path.write_text("".join(f"{t},1000,0,1,0,0\n" for t in starts))
    assert read_flows(path, 1).start_s.tolist() == [float(t) for t in starts]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0,1,0,1,0,0\n0,1,0,1,0,7\n", ":2: .*links are 0 to 3"),
        ("0,1,0,1,0\n", ":1: "),
        ("-1,1,0,1,0,0\n", ":1: .*0 or more"),
        ("0,x,0,1,0,0\n", ":1: .*'x'"),
        ("0,1,0,1,0,\n", ":1: .*network.no_route from 0 to 1"),
    ],
)
def test_a_wrong_line_is_named(text, said, tmp_path):
    path = tmp_path / "flows.csv"
    path.write_text(text)
    with pytest.raises(BenchInputError, match=said):
        read_flows(path, 4)


def test_a_link_without_capacity_ends_as_never(tmp_path):
    topology = {"links": [{"cap_bps": 0.0, "lat_s": 0.0}, {"cap_bps": 8e3, "lat_s": 0.5}]}
    table = FlowTable(
        np.zeros(3), np.full(3, 1e3), np.zeros(3), np.array([0, 1, 3, 3]), np.array([1, 1, 0], np.int64)
    )
    finish = run_flow_table(topology, table)
    assert finish.tolist() == [1.5, np.inf, 0.0]
    path = tmp_path / "finish.csv"
    write_finish(path, finish)
    assert read_finish(path).tolist() == finish.tolist()
