"""What holds for every engine: the contract, finiteness, provenance, monotone costs, no raw data, speed."""

import json
import math
import timeit
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dssn_models.crypto.suites import SUITES
from dssn_models.crypto.tables import cost_table
from dssn_models.engines import REGISTRY, engines_with, find_engine
from dssn_models.engines.api import Engine
from dssn_models.engines.ideal import ideal_time
from dssn_models.engines.overview import HEADINGS, markdown, overview
from dssn_models.engines.registry import build_registry
from dssn_models.units import KINDS

NAMES = [
    "api.query",
    "transfer.bulk",
    "transfer.stream",
    "psi.ecdh",
    "psi.kkrt",
    "psi.rr22",
    "fl.horizontal",
    "sgb.secureboost",
    "mpc.semi2k",
    "mpc.aby3",
    "mpc.cheetah",
    "he.paillier",
    "he.ckks",
    "stats.masked",
    "sse.query",
    "tee.job",
]
PLAIN = {"api.query", "transfer.bulk", "transfer.stream"}
TREE_LIKE = {"depth"}  # exponential: kept small


def strategy(engine, key, parameter):
    default, kind, _ = parameter
    if key in engine.choices():
        return st.sampled_from(engine.choices()[key])
    if isinstance(default, bool):
        return st.booleans()
    if key in TREE_LIKE:
        return st.floats(0, 20)
    top = {"rate": 1e12, "duration": 1e6, "size": 1e13}.get(kind, 1e9)
    return st.floats(0, top)


@st.composite
def runs(draw):
    engine = REGISTRY[draw(st.sampled_from(NAMES))]
    params = {k: draw(strategy(engine, k, v)) for k, v in engine.parameters().items() if draw(st.booleans())}
    return (
        engine, params, draw(st.integers(1, 6)), draw(st.sampled_from(list(engine.profiles()))),
        draw(st.sampled_from(list(SUITES))),
    )  # fmt: skip


def check_job(engine, job, parties):
    roles = set(engine.roles(parties))
    assert job.steps
    for step in job.steps:
        assert step.name
        assert all(r in roles and math.isfinite(w) and w >= 0 for r, w in step.work)
        assert all(
            a in roles and b in roles and a != b and math.isfinite(n) and n > 0 for a, b, n in step.traffic
        )
        assert isinstance(step.rounds, int)
        assert step.rounds >= 0
        assert 0 <= step.overlap <= 1
        assert 0 <= step.accelerable <= 1
        assert step.data in ("protocol", "result", "raw")
        assert step.cores > 0
        assert step.work or step.traffic or step.rounds
        if step.in_enclave:
            assert {r for r, _ in step.work} == {"tee"}
    assert set(job.needs) <= roles
    assert {r for s in job.steps for r, _ in s.work} <= set(job.needs)
    for need in job.needs.values():
        assert need.cores >= 1
        assert math.isfinite(need.memory_bytes)
        assert need.memory_bytes > 0
        assert need.enclave_bytes >= 0
    assert math.isfinite(job.result_bytes)
    assert job.result_bytes >= 0
    assert job.sources
    assert all(math.isfinite(v) and v >= 0 for v in job.meters.values())


@settings(derandomize=True, deadline=None, max_examples=600)
@given(runs())
def test_costs_are_finite_and_not_negative(run):
    engine, params, parties, profile, suite = run
    job = engine.cost(params, parties, profile, suite)
    if all(params.get(k, 1) for k in ("rows", "calls", "rounds", "queries", "duration", "rate")):
        check_job(engine, job, parties)
    assert math.isfinite(ideal_time(job, 8, 1e9, 0.01))


def test_registry_is_complete_and_follows_the_contract():
    assert list(REGISTRY) == NAMES
    assert engines_with("reference") is REGISTRY
    for name, engine in REGISTRY.items():
        assert isinstance(engine, Engine)
        assert engine.name == name
        assert engine.title
        assert engine.weight in ("light", "medium", "heavy")
        assert engine.confidentiality == (
            "plain" if name in PLAIN else "tee" if name == "tee.job" else "privacy"
        )
        assert engine.profiles()[0] == "reference"
        assert engine.image.bytes > 0
        assert engine.image.start_s > 0
        assert engine.image.verify_s_per_byte > 0
        for parties in (1, 2, 5):
            for profile in engine.profiles():
                check_job(engine, engine.cost({}, parties, profile, "international"), parties)
    with pytest.raises(KeyError, match=r"psi\.ecdh"):
        find_engine("psi.edch")


def test_parameters_are_declared_with_unit_and_meaning():
    for engine in REGISTRY.values():
        for key, (default, kind, meaning) in engine.parameters().items():
            assert key.isidentifier()
            assert kind == "" or kind in KINDS
            assert meaning
            assert isinstance(default, float | str | bool)
            if isinstance(default, str):
                assert default in engine.choices()[key]
            if kind:
                assert isinstance(default, float)
        assert set(engine.choices()) <= set(engine.parameters())


def test_roles_follow_the_number_of_providers():
    assert tuple(REGISTRY["psi.ecdh"].roles(1)) == ("guest", "host")
    assert tuple(REGISTRY["psi.ecdh"].roles(3)) == ("guest", "host1", "host2", "host3")
    assert tuple(REGISTRY["tee.job"].roles(1)) == ("guest", "host", "tee")
    assert tuple(REGISTRY["mpc.aby3"].roles(1)) == ("guest", "host", "arbiter")
    assert tuple(REGISTRY["mpc.aby3"].roles(2)) == ("guest", "host1", "host2")
    with pytest.raises(ValueError, match="at least one"):
        REGISTRY["psi.ecdh"].roles(0)


@pytest.mark.parametrize("name", NAMES)
def test_bad_input_is_refused_by_name(name):
    engine = REGISTRY[name]
    with pytest.raises(ValueError, match="no cost profile"):
        engine.cost({}, 1, "guess", "international")
    with pytest.raises(KeyError, match="no cipher suite"):
        engine.cost({}, 1, "reference", "rot13")
    number = next(k for k, v in engine.parameters().items() if isinstance(v[0], float))
    for bad in (-1.0, math.nan, math.inf, "many"):
        with pytest.raises(ValueError, match=number):
            engine.cost({number: bad}, 1, "reference", "international")
    for word in engine.choices():
        with pytest.raises(ValueError, match=word):
            engine.cost({word: "nonsense"}, 1, "reference", "international")


@pytest.mark.req("PC-21")
@settings(derandomize=True, deadline=None, max_examples=300)
@given(runs())
def test_raw_bytes_only_in_plain_delivery(run):
    engine, params, parties, profile, suite = run
    classes = {s.data for s in engine.cost(params, parties, profile, suite).steps}
    if engine.name not in PLAIN:
        assert "raw" not in classes


@pytest.mark.req("PC-21")
def test_plain_delivery_says_what_its_bytes_are():
    for name in sorted(PLAIN):
        for content, expected in (("raw", "raw"), ("result", "result"), ("sealed", "protocol")):
            job = REGISTRY[name].cost({"content": content}, 1, "reference", "international")
            assert {s.data for s in job.steps if s.traffic} == {expected}
        default = REGISTRY[name].cost({}, 1, "reference", "international")
        assert "raw" in {s.data for s in default.steps}


def totals(job):
    work = sum(w for s in job.steps for _, w in s.work)
    traffic = sum(n for s in job.steps for _, _, n in s.traffic)
    return work, traffic, ideal_time(job, 8, 1e9, 0.01)


SIZES = [
    (name, key) for name in NAMES for key, (default, kind, _) in REGISTRY[name].parameters().items()
    if key in ("rows", "calls", "answer", "size", "duration", "rate", "model", "rounds", "epochs", "features", "trees",
               "depth", "bins", "iterations", "mults", "comparisons", "groups", "columns", "queries", "matches", "record",
               "work", "peer_rows")
]  # fmt: skip


@pytest.mark.parametrize(("name", "key"), SIZES)
def test_costs_do_not_fall_with_size(name, key):
    engine = REGISTRY[name]
    base = {}
    if name.startswith("mpc."):
        base = {"mults": {"circuit": "ops"}, "comparisons": {"circuit": "ops"}, "columns": {"circuit": "matmul"},
                "depth": {"circuit": "ops", "mults": 1e3}}.get(key, {})  # fmt: skip
    series = [2.0, 4.0, 6.0, 10.0] if key == "depth" else [10.0, 100.0, 1e4, 1e6]
    for profile in engine.profiles():
        found = [totals(engine.cost({**base, key: v}, 2, profile, "international")) for v in series]
        for smaller, larger in pairwise(found):
            assert all(b >= a * (1 - 1e-9) for a, b in zip(smaller, larger, strict=True)), (profile, found)
    first, last = found[0], found[-1]
    if (name, key) not in (("transfer.stream", "rows"), ("api.query", "rows")):  # there rows are only metered
        assert any(b > a for a, b in zip(first, last, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_more_providers_cost_no_less(name):
    engine = REGISTRY[name]
    few, many = (totals(engine.cost({}, k, "reference", "international")) for k in (2, 6))
    assert many[0] >= few[0] * (1 - 1e-9)
    if name not in ("mpc.aby3", "mpc.cheetah"):  # there three and two parties compute, whoever owns the data
        assert many[1] > few[1]


@pytest.mark.req("NET-17", "CTL-22")
@pytest.mark.parametrize("name", NAMES)
def test_suite_changes_computing_not_bytes(name):
    engine = REGISTRY[name]
    plain, sm = (engine.cost({}, 2, "reference", s) for s in ("international", "sm"))
    assert totals(sm)[0] >= totals(plain)[0]
    assert totals(sm)[1] == totals(plain)[1]
    if name in ("psi.ecdh", "transfer.bulk", "tee.job", "fl.horizontal", "stats.masked", "mpc.semi2k"):
        assert totals(sm)[0] > totals(plain)[0]
    # The channel's encryption comes on top, from the backend.
    times = [ideal_time(plain, 8, 1e10, 0.01, suite=s) for s in ("none", "international", "sm")]
    assert times == sorted(times)
    assert times[2] > times[0]


@cache
def scaled_registry(key):
    table = cost_table("reference")
    return build_registry(table.with_values({key: table.value(key) * 1.37}))


def fingerprint(engine, params, profile, suite):
    job = engine.cost(params, 2, profile, suite)
    steps = [(s.name, s.work, s.traffic, s.rounds, s.accelerable, s.cores) for s in job.steps]
    return json.dumps([steps, [(r, n.cores, n.memory_bytes, n.enclave_bytes) for r, n in job.needs.items()],
                       job.result_bytes])  # fmt: skip


VARIANTS = {
    "psi.ecdh": [{}, {"curve": "fourq"}, {"curve": "p256", "topology": "ring"}],
    "psi.rr22": [{}, {"mode": "lowcomm"}, {"mode": "malicious"}],
    "sgb.secureboost": [{}, {"scheme": "paillier", "key_bits": 3072.0}],
    "he.paillier": [{}, {"key_bits": 3072.0}],
    "he.ckks": [{}, {"degree": "16384"}],
    "stats.masked": [{}, {"statistic": "median"}],
    "sse.query": [{"build": True}, {"scheme": "pibas", "build": True}],
    "mpc.semi2k": [{}, {"circuit": "ops", "mults": 1e6}],
    "mpc.aby3": [{}, {"circuit": "ops", "mults": 1e6}],
    "mpc.cheetah": [{}, {"circuit": "ops", "mults": 1e6}],
}


@pytest.mark.parametrize("name", NAMES)
def test_every_constant_that_matters_is_among_the_sources(name):
    """Change each table entry: if the cost moves, the entry must be named with source and confidence."""
    table = cost_table("reference")
    engine = REGISTRY[name]
    moved = set()
    for params in VARIANTS.get(name, [{}]):
        for profile in engine.profiles():
            for suite in ("international", "sm"):
                before = fingerprint(engine, params, profile, suite)
                named = {s.entry: s for s in engine.cost(params, 2, profile, suite).sources}
                assert all(
                    s.source and s.confidence in ("measured", "read", "assumed") for s in named.values()
                )
                assert all(s.value == table.value(s.entry) for s in named.values())
                for key in table.keys():  # noqa: SIM118 - a table, not a dict
                    if fingerprint(scaled_registry(key)[name], params, profile, suite) != before:
                        moved.add(key)
                        assert key in named, (key, params, profile, suite)
    assert moved


def test_cost_is_quick_enough_for_one_call_an_order():
    """Budget 50 us a new cost; the bound here leaves room for a loaded machine."""
    slow = {}
    for name, engine in REGISTRY.items():
        state = [0.0]

        def fresh(engine=engine, state=state):
            state[0] += 1.0
            engine.cost({"rows": 1e4 + state[0]}, 1, "reference", "international")

        seconds = min(timeit.repeat(fresh, number=50, repeat=5)) / 50
        if seconds > 500e-6:
            slow[name] = seconds
    assert not slow


def test_cost_is_a_pure_function():
    for engine in REGISTRY.values():
        first = engine.cost({"rows": 12345.0}, 2, "reference", "sm")
        other = type(engine)(cost_table("reference")).cost({"rows": 12345.0}, 2, "reference", "sm")
        assert first == other


def test_overview_lists_each_engine():
    rows = overview()
    assert [r.name for r in rows] == NAMES
    for row in rows:
        assert len(row.cells()) == len(HEADINGS)
        assert "measured" in row.constants or "assumed" in row.constants
    assert len(markdown().splitlines()) == len(NAMES) + 2
