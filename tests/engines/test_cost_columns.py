"""Costs of many orders at once are those of each order by itself, to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dssn_models.engines.columns import values_of
from dssn_models.engines.registry import REGISTRY

PROFILES = [(name, profile) for name, engine in REGISTRY.items() for profile in engine.profiles()]


def at(number, i, n):
    return float(values_of(number, n)[i])


def assert_same(group, i, one):
    n = len(group.rows)
    many = group.cost
    assert len(many.steps) == len(one.steps)
    for a, b in zip(many.steps, one.steps, strict=True):
        assert (a.name, a.data, a.operator, a.in_enclave) == (b.name, b.data, b.operator, b.in_enclave)
        assert [(r, at(w, i, n)) for r, w in a.work] == list(b.work)
        assert [(s, t, at(x, i, n)) for s, t, x in a.traffic] == list(b.traffic)
        numbers = [(at(x, i, n), float(y)) for x, y in (
            (a.rounds, b.rounds), (a.overlap, b.overlap), (a.accelerable, b.accelerable), (a.cores, b.cores))]  # fmt: skip
        assert all(x == y for x, y in numbers), numbers
    assert many.needs.keys() == one.needs.keys()
    for role, need in one.needs.items():
        other = many.needs[role]
        assert at(other.cores, i, n) == need.cores
        assert at(other.min_cores, i, n) == need.min_cores
        assert at(other.memory_bytes, i, n) == need.memory_bytes
        assert at(other.enclave_bytes, i, n) == need.enclave_bytes
    assert at(many.result_bytes, i, n) == one.result_bytes
    assert {k: at(v, i, n) for k, v in many.meters.items()} == dict(one.meters)


def parameters(engine):
    """A column, a number or a word for each of an engine's parameters."""
    out = {}
    for name, (default, _unit, _meaning) in engine.parameters().items():
        if isinstance(default, str):
            out[name] = st.sampled_from(engine.choices()[name])
        elif isinstance(default, bool):
            out[name] = st.booleans() | st.lists(st.sampled_from([0.0, 1.0]), min_size=12, max_size=12)
        else:
            usual = float(default) or 100.0
            number = st.one_of(
                st.just(0.0), st.floats(0.01 * usual, 100 * usual), st.sampled_from([1.0, usual, 3.0])
            )
            out[name] = number | st.lists(number, min_size=12, max_size=12)
    return st.fixed_dictionaries({}, optional=out)


@pytest.mark.parametrize(("name", "profile"), PROFILES)
@given(data=st.data())
@settings(max_examples=25, derandomize=True, deadline=None)
def test_columns_equal_single_orders(name, profile, data):
    engine = REGISTRY[name]
    params = data.draw(parameters(engine))
    parties = data.draw(st.integers(1, 4))
    suite = data.draw(st.sampled_from(["international", "sm", "none"]))
    columns = {k: np.array(v) if isinstance(v, list) else v for k, v in params.items()}
    groups = engine.cost_columns(columns, 12, parties, profile, suite)
    assert sorted(r for g in groups for r in g.rows) == list(range(12))
    for group in groups:
        for i, row in enumerate(group.rows):
            one = {k: v[row] if isinstance(v, list) else v for k, v in params.items()}
            assert_same(group, i, engine.cost(one, parties, profile, suite))


def test_a_number_out_of_range_is_named():
    with pytest.raises(ValueError, match=r"rows -3\.0"):
        REGISTRY["psi.rr22"].cost_columns({"rows": np.array([1.0, -3.0])}, 2, 1, "reference", "sm")
    with pytest.raises(ValueError, match="mode"):
        REGISTRY["psi.rr22"].cost_columns({"mode": np.array([1.0, 1.0])}, 2, 1, "reference", "sm")


def test_one_group_where_all_branches_agree():
    rows = np.linspace(1e6, 2e6, 1000)
    assert len(REGISTRY["psi.rr22"].cost_columns({"rows": rows}, 1000, 2, "reference", "sm")) == 1
