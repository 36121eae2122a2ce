"""Keyed random numbers: a draw depends on what it is for, never on what was drawn before.

A number is a function of (key, order, n): the key stands for seed, replication and purpose
(:func:`dssn_models.rng.key_of`), n counts the draws of this purpose by this order. So the order in which
things happen moves no draw, both kernels see the same numbers, and two runs that are compared differ only
where their deliveries do.

Source of the mixer and its constants: Steele, Lea and Flood, "Fast splittable pseudorandom number generators"
(OOPSLA 2014), with the finaliser of SplitMix64; policies get numpy's SFC64, whose step is written out below.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dssn_models.dist import Dist
from dssn_models.rng import key_of
from dssn_sim.dataplane.compiled import inner, jit
from dssn_sim.dataplane.memory import array_at, floats_at

__all__ = [
    "KINDS",
    "Drawer",
    "PolicyRandom",
    "draw",
    "draw_table",
    "kind_of",
    "mix",
    "policy_uniform",
    "uniform",
    "uniform_of",
    "uniforms",
]

CONSTANT, EXPONENTIAL, UNIFORM, LOGNORMAL, PARETO, ERLANG, NORMAL, TABLE = range(8)

#: Kind of a :class:`~dssn_models.dist.Dist` to its number in compiled code.
KINDS: Final[Mapping[str, int]] = {
    "constant": CONSTANT,
    "exponential": EXPONENTIAL,
    "uniform": UNIFORM,
    "lognormal": LOGNORMAL,
    "pareto": PARETO,
    "erlang": ERLANG,
    "normal": NORMAL,
    "table": TABLE,
}

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_OTHER = np.uint64(0xD1342543DE82EF95)  # a second odd step, so that order and n do not trade places
_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S3, _S11, _S24, _S27 = np.uint64(3), np.uint64(11), np.uint64(24), np.uint64(27)
_S30, _S31, _S40 = np.uint64(30), np.uint64(31), np.uint64(40)
_ONE = np.uint64(1)
_ULP = 2.0**-53
_words_at = array_at(np.uint64)


@inner
def mix(x: Any) -> Any:
    """Return 64 bits that all depend on all bits of x (the finaliser of SplitMix64)."""
    x = (x ^ (x >> _S30)) * _M1
    x = (x ^ (x >> _S27)) * _M2
    return x ^ (x >> _S31)


@inner
def _state(key: int, order: int, n: int) -> Any:
    return mix(mix(key + _GAMMA * np.uint64(order + 1)) + _OTHER * np.uint64(n + 1))


@inner
def _unit(state: Any, k: int) -> float:
    """Return the k-th uniform number of a state, inside (0, 1)."""
    return (np.float64(mix(state + _GAMMA * np.uint64(k + 1)) >> _S11) + 0.5) * _ULP


@inner
def uniform(key: int, order: int, n: int) -> float:
    """Return the n-th uniform number of an order for a purpose."""
    return _unit(_state(key, order, n), 0)


@inner
def draw(kind: int, a: float, b: float, low: float, high: float, key: int, order: int, n: int) -> float:
    """Return the n-th value of an order from a distribution other than a table (parameters as in Dist)."""
    if kind == CONSTANT:
        return min(max(a, low), high)
    state = _state(key, order, n)
    u = _unit(state, 0)
    x = 0.0
    if kind == EXPONENTIAL:
        x = -a * math.log(u)
    elif kind == UNIFORM:
        x = a + (b - a) * u
    elif kind == PARETO:
        x = a * u ** (-1.0 / b)
    elif kind == ERLANG:
        stages = max(1, int(np.rint(b)))
        for k in range(stages):
            x -= math.log(_unit(state, k))
        x *= a / stages
    else:
        # Box and Muller (1958): two uniform numbers, one normal one.
        z = math.sqrt(-2.0 * math.log(u)) * math.cos(2.0 * math.pi * _unit(state, 1))
        x = a + b * z if kind == NORMAL else a * math.exp(b * z)
    return min(max(x, low), high)


@inner
def draw_table(
    points_p: Any, points_x: Any, at: int, count: int, low: float, high: float, key: int, order: int, n: int
) -> float:
    """Return the n-th value of an order from the quantiles in ``points[at : at + count]``."""
    u = uniform(key, order, n)
    i, last = at, at + count - 1
    while i < last and points_p[i + 1] <= u:
        i += 1
    x: float = points_x[i]
    if i < last and u > points_p[i]:
        x += (points_x[i + 1] - x) * (u - points_p[i]) / (points_p[i + 1] - points_p[i])
    return min(max(x, low), high)


@inner
def _policy_state(key: int, order: int, n: int) -> tuple[Any, Any, Any]:
    state = _state(key, order, n)
    return mix(state + _GAMMA), mix(state + _OTHER), state


@inner
def policy_uniform(key: int, order: int, n: int, k: int) -> float:
    """Return the k-th ``random()`` of the generator that a policy gets for its n-th decision on an order."""
    a, b, c = _policy_state(key, order, n)
    count = _ONE
    out = a
    for _ in range(k + 1):
        # One step of SFC64 (Doty-Humphrey, PractRand) as numpy has it.
        out = a + b + count
        count += _ONE
        a = b ^ (b >> _S11)
        b = c + (c << _S3)
        c = ((c << _S24) | (c >> _S40)) + out
    drawn: float = np.float64(out >> _S11) * _ULP
    return drawn


# ------------------------------------------------------------------ entries for Python


@jit("float64(int64, uint64, int64, int64)")
def _draw_one(at: int, key: int, order: int, n: int) -> float:
    p = floats_at(at)
    return draw(int(p[0]), p[1], p[2], p[3], p[4], key, order, n)


@jit("float64(int64, int64, int64, float64, float64, uint64, int64, int64)")
def _draw_from_table(
    p_at: int, x_at: int, count: int, low: float, high: float, key: int, order: int, n: int
) -> float:
    return draw_table(floats_at(p_at), floats_at(x_at), 0, count, low, high, key, order, n)


@jit("float64(uint64, int64, int64)")
def uniform_of(key: int, order: int, n: int) -> float:
    """Return :func:`uniform` to Python."""
    return uniform(key, order, n)


@jit("void(uint64, int64, int64, int64, int64)")
def _fill_uniform(key: int, first: int, n: int, out_at: int, count: int) -> None:
    out = floats_at(out_at)
    for i in range(count):
        out[i] = uniform(key, first + i, n)


@jit("void(uint64, int64, int64, int64)")
def _policy_words(key: int, order: int, n: int, out_at: int) -> None:
    out = _words_at(out_at)
    out[0], out[1], out[2] = _policy_state(key, order, n)
    out[3] = _ONE


def uniforms(key: int, first: int, count: int, n: int) -> NDArray[np.float64]:
    """Return the n-th uniform numbers of ``count`` orders from ``first`` on."""
    out = np.empty(count)
    _fill_uniform(key, first, n, out.ctypes.data, count)
    return out


def kind_of(dist: Dist) -> int:
    """Return the number of a distribution's kind in compiled code."""
    return KINDS[dist.kind]


class Drawer:
    """Draws from one distribution for one purpose; ``drawer(order, n)`` is the n-th value of an order."""

    __slots__ = ("_call", "_kept", "constant")

    def __init__(self, dist: Dist, key: int) -> None:
        self.constant: float | None = None
        self._call: Callable[[int, int], float]
        self._kept: tuple[NDArray[np.float64], ...]
        if dist.kind == "constant":
            self.constant = min(max(dist.a, dist.low), dist.high)
        elif dist.kind == "table":
            p, x = np.array(dist.points_p, dtype=float), np.array(dist.points_x, dtype=float)
            self._kept = p, x  # kept: compiled code has their addresses
            at, count = (p.ctypes.data, x.ctypes.data), len(p)
            self._call = lambda order, n: _draw_from_table(*at, count, dist.low, dist.high, key, order, n)
        else:
            self._kept = (np.array([kind_of(dist), dist.a, dist.b, dist.low, dist.high]),)
            where, one = self._kept[0].ctypes.data, _draw_one.bind()  # type: ignore[attr-defined]
            self._call = lambda order, n: one(where, key, order, n)

    def __call__(self, order: int, n: int) -> float:
        """Return the n-th value that an order draws."""
        return self._call(order, n) if self.constant is None else self.constant


class PolicyRandom:
    """One numpy generator for all decisions of a kind, set anew for each: keyed by order and decision."""

    __slots__ = ("_at", "_bits", "_key", "_made", "_set", "_state", "rng")

    def __init__(self, seed: int, replication: int, kind: str) -> None:
        self._key = key_of(seed, replication, "policy", kind)
        self._bits = np.random.SFC64(0)
        self._state = self._bits.state
        self._at = self._state["state"]["state"].ctypes.data
        self._made: dict[int, int] = {}
        self._set = _policy_words.bind()  # type: ignore[attr-defined]
        self.rng = np.random.Generator(self._bits)

    def of(self, order: int) -> np.random.Generator:
        """Return the generator for the next decision on an order."""
        n = self._made.get(order, 0)
        self._made[order] = n + 1
        return self.at(order, n)

    def at(self, order: int, n: int) -> np.random.Generator:
        """Return the generator for the n-th decision on an order."""
        self._set(self._key, order, n, self._at)
        self._bits.state = self._state
        return self.rng

    def forget(self, order: int) -> None:
        """Drop the count of an order that has ended."""
        self._made.pop(order, None)
