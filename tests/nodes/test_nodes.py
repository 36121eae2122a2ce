import doctest
import importlib
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dssn_models.engines.api import RoleNeed
from dssn_models.market.reasons import REFUSED
from dssn_models.nodes.admission import WEIGHTS, admit, density, explain
from dssn_models.nodes.images import ImageCache
from dssn_models.plan import NodePlan, TeePlan


def engine(weight="light", name="psi.ecdh"):
    return SimpleNamespace(name=name, weight=weight)


def node(**kw):
    return NodePlan(
        **{"id": "n", "role": "dsn", "site": "x", "party": "p", "cores": 8.0, "memory_bytes": 16e9, **kw}
    )


SMALL = {"form": "agent", "cores": 2.0, "memory_bytes": 4e9, "size": "2C4G"}


@pytest.mark.req("DCC-17", "NOD-05")
@pytest.mark.parametrize(
    ("weight", "need", "kw", "reason"),
    [
        ("light", {}, {}, ""),
        ("heavy", {}, {}, ""),
        ("light", {}, SMALL, ""),
        ("medium", {}, SMALL, "capacity.engine"),
        ("heavy", {}, SMALL, "capacity.engine"),
        ("heavy", {}, {"form": "box", "cores": 4.0}, "capacity.engine"),
        ("light", {"min_cores": 16}, {}, "capacity.node"),
        ("light", {"memory_bytes": 17e9}, {}, "capacity.node"),
        ("light", {"enclave_bytes": 1e9}, {}, "capacity.engine"),
        ("light", {"enclave_bytes": 1e9}, {"tee": TeePlan("sgx2", 64e9)}, ""),
        ("light", {"enclave_bytes": 20e9}, {"tee": TeePlan("sgx1", 0.1e9)}, "capacity.node"),
        ("light", {"enclave_bytes": 8e9}, {"tee": TeePlan("sgx1", 0.1e9)}, ""),  # pages, slowly
        ("light", {}, {"engines": ("api.query",)}, "capacity.engine"),
        ("light", {}, {"engines": ("api.query", "psi.ecdh")}, ""),
    ],
)
def test_admission(weight, need, kw, reason):
    got, text = explain(engine(weight), RoleNeed(**need), node(**kw))
    assert got == reason == admit(engine(weight), RoleNeed(**need), node(**kw))
    assert bool(text) == bool(reason)
    assert not reason or reason in REFUSED


def test_weights_ask_for_more_and_more():
    light, medium, heavy = (WEIGHTS[w] for w in ("light", "medium", "heavy"))
    assert light.cores < medium.cores < heavy.cores
    assert light.memory_bytes < medium.memory_bytes < heavy.memory_bytes
    assert light.forms > medium.forms >= heavy.forms


@pytest.mark.req("DCC-17")
def test_density():
    need = RoleNeed(cores=2, memory_bytes=3e9)
    assert density(engine(), need, node()) == 4  # cores bind
    assert density(engine(), RoleNeed(cores=1, memory_bytes=3e9), node()) == 5  # memory binds
    assert density(engine(), need, node(sharing="ps")) == 5
    assert density(engine("medium"), need, node(**SMALL)) == 0


# ------------------------------------------------------------ image cache


@pytest.mark.req("DCC-18")
def test_least_recently_and_least_frequently_used():
    for policy, gone in (("lru", "a"), ("lfu", "b")):
        c = ImageCache(3.0, policy)
        for name in "abc":
            assert c.put(name, 1.0) == []
        for name in "aacbc":
            assert c.use(name)
        # a: used twice, longest ago; b: used once; c: twice, last
        assert c.put("d", 1.0) == [gone]
        assert not c.use(gone)
        assert (c.hits, c.misses, c.evictions) == (5, 1, 1)


@pytest.mark.req("DCC-18")
def test_pins_and_what_is_too_large():
    c = ImageCache(3.0)
    c.preload(["a", "b"], {"a": 2.0, "b": 1.0})
    c.pin("a")
    assert c.put("c", 2.0) == []
    assert "c" not in c  # a is pinned and leaves no room
    assert "b" in c  # so nothing goes for it
    assert c.put("d", 1.0) == ["b"]
    c.unpin("a")
    assert c.put("c", 2.0) == ["a"]
    assert c.put("huge", 4.0) == []
    assert c.images == {"d": 1.0, "c": 2.0}
    with pytest.raises(ValueError, match="not pinned"):
        c.unpin("c")


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.sampled_from(["lru", "lfu"]),
    st.lists(st.tuples(st.sampled_from("abcdefg"), st.floats(0.1, 6.0)), max_size=40),
)
def test_never_over_capacity(policy, uses):
    c, size = ImageCache(10.0, policy), {}
    for name, bytes_ in uses:
        size.setdefault(name, bytes_)
        held = name in c
        assert c.use(name) == held
        if not held:
            gone = c.put(name, size[name])
            assert name in c
            assert not any(g in c for g in gone)
        assert c.used_bytes <= 10.0 * (1 + 1e-12)
        assert c.images == {n: size[n] for n in c.images}
    assert c.hits + c.misses == len(uses)


@pytest.mark.parametrize("module", ["allocation", "images"])
def test_docstring_examples(module):
    result = doctest.testmod(importlib.import_module(f"dssn_models.nodes.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
