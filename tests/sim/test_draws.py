"""Keyed draws: each kind has its distribution, and nothing but key, order and n moves a number."""

import math

import numpy as np
import pytest
from scipy import stats

from dssn_models.dist import Dist
from dssn_models.rng import key_of
from dssn_sim.compiled.draws import Drawer, PolicyRandom, policy_uniform, uniform_of
from dssn_sim.dataplane.compiled import jit

N = 20_000

#: Distribution -> its exact form in scipy.
KINDS = {
    "exponential": (Dist("exponential", 2.5), stats.expon(scale=2.5)),
    "uniform": (Dist("uniform", 1.0, 4.0), stats.uniform(1.0, 3.0)),
    "lognormal": (Dist("lognormal", 2.0, 0.6), stats.lognorm(0.6, scale=2.0)),
    "pareto": (Dist("pareto", 1.5, 3.5), stats.pareto(3.5, scale=1.5)),
    "erlang": (Dist("erlang", 3.0, 4.0), stats.gamma(4, scale=0.75)),
    "normal": (Dist("normal", 10.0, 2.0), stats.norm(10.0, 2.0)),
    "table": (
        Dist("table", 0.0, points_p=(0.0, 0.5, 0.9, 1.0), points_x=(1.0, 2.0, 5.0, 20.0)),
        stats.rv_histogram((np.array([0.5, 0.4, 0.1]), np.array([1.0, 2.0, 5.0, 20.0])), density=False),
    ),
}


def sample(dist, key, n=N, calls=1):
    drawer = Drawer(dist, key)
    return np.array([drawer(i // calls, i % calls) for i in range(n)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("calls", [1, 10])
def test_each_kind_has_its_distribution(kind, calls):
    dist, exact = KINDS[kind]
    x = sample(dist, key_of(7, 0, kind, str(calls)), calls=calls)
    assert stats.kstest(x, exact.cdf).pvalue > 1e-3
    assert x.mean() == pytest.approx(exact.mean(), abs=5 * exact.std() / math.sqrt(N))
    assert x.var() == pytest.approx(exact.var(), rel=0.15)


def test_clipping_and_constants():
    assert Drawer(Dist("constant", 3.0, high=2.0), 1)(5, 6) == 2.0
    x = sample(Dist("exponential", 1.0, low=0.5, high=1.5), 3, 2000)
    assert (x.min(), x.max()) == (0.5, 1.5)


def test_neighbours_are_independent():
    """Orders, counts and keys next to one another give numbers that know nothing of one another."""
    key = key_of(1, 0, "service", "a", "b")
    u = np.array([[uniform_of(key, i, n) for n in range(4)] for i in range(5000)])
    other = np.array([uniform_of(key_of(1, 1, "service", "a", "b"), i, 0) for i in range(5000)])
    columns = np.column_stack([u[:-1], u[1:, 0], other[:-1]])
    r = np.corrcoef(columns.T)[np.triu_indices(6, 1)]
    assert np.abs(r).max() < 4 / math.sqrt(5000)
    assert len(np.unique(u)) == u.size
    assert uniform_of(key, 3, 5) != uniform_of(key, 5, 3)


def test_a_draw_depends_on_nothing_before_it():
    dist, key = KINDS["erlang"][0], key_of(1, 2, "x")
    forward = [Drawer(dist, key)(i, 0) for i in range(50)]
    drawer = Drawer(dist, key)
    assert [drawer(i, 0) for i in reversed(range(50))] == forward[::-1]


@jit("float64(uint64, int64, int64, int64)")
def _policy_uniform(key, order, n, k):
    return policy_uniform(key, order, n, k)


def test_policy_random_is_the_generator_that_compiled_code_has():
    random, key = PolicyRandom(4, 1, "placement"), key_of(4, 1, "policy", "placement")
    for order in (0, 3, 3, 7):
        n = int(order == 3 and random._made.get(3, 0))
        got = random.of(order).random(6)
        assert list(got) == [_policy_uniform(key, order, n, k) for k in range(6)]
    first = np.array([PolicyRandom(4, 1, "placement").of(i).random() for i in range(3000)])
    assert stats.kstest(first, "uniform").pvalue > 1e-3
