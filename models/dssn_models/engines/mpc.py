"""Secure multi-party computation by secret sharing: Semi2k, ABY3, Cheetah.

Rounds and bits of the primitives follow SPU's ``docs/reference/complexity.md`` (K ring bits, N
parties; bits that one party sends). A round there is one message each way at once, half a
round-trip time, so a step carries ``ceil(rounds / 2)`` round trips. The matrix product of Semi2k is
counted as what Beaver's trick opens, ``K (m k + k n) (N - 1)``; SPU's page counts ``2 K (N - 1) m
n``. Work is the measured CPU per operation, divided over the parties.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from dssn_models.engines.api import JobCost
from dssn_models.engines.base import CORES, BaseEngine, Builder, Param, Value, hosts_of, num

__all__ = ["Aby3", "Cheetah", "Primitive", "Semi2k", "aby3_primitive", "semi2k_primitive"]


@dataclass(frozen=True, slots=True)
class Primitive:
    """Complexity of a primitive on one element: message rounds, and bits that one party sends."""

    rounds: float
    bits: float

    def __add__(self, other: Primitive) -> Primitive:
        return Primitive(self.rounds + other.rounds, self.bits + other.bits)


def semi2k_primitive(kind: str, ring: float, parties: int) -> Primitive:
    """Return rounds and bits of a Semi2k primitive (SPU complexity page).

    ``kind``: mul, trunc, and, a2b, b2a, less (a2b and b2a of the difference).
    """
    k, n, log_k = ring, parties, math.log2(ring)
    table: Mapping[str, Callable[[], Primitive]] = {
        "mul": lambda: Primitive(1, 2 * k * (n - 1)),
        "trunc": lambda: Primitive(1, k * (n - 1)),
        "and": lambda: Primitive(1, 2 * k * (n - 1)),
        "a2b": lambda: Primitive(
            (log_k + 1) * math.ceil(math.log2(n)), (2 * log_k + 1) * 2 * k * (n - 1) ** 2
        ),
        "b2a": lambda: Primitive(1, k * (n - 1)),
    }
    if kind == "less":
        return table["a2b"]() + table["b2a"]()
    return table[kind]()


def aby3_primitive(kind: str, ring: float) -> Primitive:
    """Return rounds and bits of an ABY3 primitive (SPU complexity page).

    ``less`` is a2b and one multiplication for the way back to arithmetic shares (assumed: the
    page gives no b2a).
    """
    k, log_k = ring, math.log2(ring)
    table = {
        "mul": Primitive(1, k),
        "trunc": Primitive(3, 4 * k),
        "a2b": Primitive(log_k + 2, k * log_k + 2 * k),
        "add_bb": Primitive(log_k + 1, 2 * k * log_k + k),
    }
    table["less"] = table["a2b"] + table["mul"]
    return table[kind]


@dataclass(slots=True)
class _Circuit:
    """Operations of one layer: elements, then sequential depth."""

    name: str
    mults: float = 0.0
    truncs: float = 0.0
    compares: float = 0.0
    products: tuple[tuple[float, float, float], ...] = ()  # matrix products (m, k, n)
    depth: float = 1.0  # sequential repeats of the layer's chain


_PARAMETERS: Mapping[str, Param] = {
    "circuit": ("logistic_step", "", "logistic_step, matmul, statistics, or ops (counts below)"),
    "rows": (1e4, "", "samples (rows of each party's table)"),
    "features": (20.0, "", "features of all parties together; columns of the matrix"),
    "columns": (1.0, "", "columns of the second matrix (matmul)"),
    "iterations": (10.0, "", "repeats of the circuit (batches of training)"),
    "mults": (0.0, "", "ops: fixed-point multiplications"),
    "comparisons": (0.0, "", "ops: comparisons"),
    "inner": (0.0, "", "ops: inner multiplications of matrix products"),
    "depth": (1.0, "", "ops: multiplications one after another"),
    "cores": CORES,
    "ring": ("64", "", "ring width in bits: 32, 64 or 128"),
}


def _layers(p: Mapping[str, Value]) -> list[_Circuit]:
    """Return the layers of one iteration of the named circuit."""
    rows, features = num(p, "rows"), num(p, "features")
    if p["circuit"] == "logistic_step":
        return [
            _Circuit("predict", truncs=rows, products=((rows, features, 1.0),)),
            # Piecewise linear sigmoid: two comparisons and two selections a row.
            _Circuit("sigmoid", mults=2 * rows, truncs=rows, compares=2 * rows),
            _Circuit("gradient", truncs=features, products=((features, rows, 1.0),)),
        ]
    if p["circuit"] == "matmul":
        columns = num(p, "columns")
        return [_Circuit("product", truncs=rows * columns, products=((rows, features, columns),))]
    if p["circuit"] == "statistics":  # mean and variance of each column, and a threshold count
        cells = rows * features
        return [_Circuit("moments", mults=cells, truncs=features), _Circuit("threshold", compares=features)]
    inner = num(p, "inner")
    side = inner ** (1.0 / 3.0)
    return [
        _Circuit("multiply", mults=num(p, "mults"), truncs=num(p, "mults"), depth=max(num(p, "depth"), 1.0)),
        _Circuit("compare", compares=num(p, "comparisons")),
        _Circuit("matrix products", truncs=side * side, products=((side, side, side),) if inner else ()),
    ]


class _Mpc(BaseEngine):
    weight = "heavy"
    confidentiality = "privacy"
    operators = ("matmul",)
    PARAMETERS: ClassVar[Mapping[str, Param]] = _PARAMETERS
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "circuit": ("logistic_step", "matmul", "statistics", "ops"),
        "ring": ("32", "64", "128"),
    }
    KEY: ClassVar[str]

    def computing(self, hosts: tuple[str, ...]) -> tuple[str, ...]:
        """Return the roles that hold shares and compute."""
        raise NotImplementedError

    def primitive(self, kind: str, ring: float, parties: int, b: Builder) -> Primitive:
        """Return complexity of mul, trunc or less per element."""
        raise NotImplementedError

    def product_bits(self, size: tuple[float, float, float], ring: float, parties: int, b: Builder) -> float:
        """Return bits that one party sends for a matrix product of m x k by k x n."""
        raise NotImplementedError

    def flows(self, roles: Sequence[str], size: float) -> list[tuple[str, str, float]]:
        """Return traffic when each party sends ``size`` bytes: spread over the others."""
        share = size / (len(roles) - 1)
        return [(a, c, share) for a in roles for c in roles if a != c]

    def offline(self, b: Builder, layer: _Circuit, ring: float, repeats: float, roles: Sequence[str]) -> None:
        """Add correlated randomness of a layer, if this engine makes it apart."""

    def build(self, p: dict[str, Value], b: Builder, profile: str) -> JobCost:
        """Return the cost: share inputs, the circuit's layers, open the result."""
        roles = self.computing(b.hosts)
        ring = float(str(p["ring"]))
        rows, features, repeats = num(p, "rows"), num(p, "features"), num(p, "iterations")
        word = ring / 8.0
        owners = ("guest", *b.hosts)
        cells = rows * features / len(owners)
        b.step("compile and start", dict.fromkeys(roles, b.value(f"mpc.{self.KEY}.call_s")), cores=1.0)
        b.step("share inputs", {}, [(o, r, cells * word) for o in owners for r in roles if o != r], rounds=1)
        for layer in _layers(p):
            self.offline(b, layer, ring, repeats, roles)
            self._layer(b, layer, ring, repeats, roles)
        opened = features if p["circuit"] != "matmul" else rows * num(p, "columns")
        b.step(
            "open result",
            {},
            [(r, "guest", opened * word) for r in roles if r != "guest"],
            rounds=1,
            data="result",
        )
        memory = b.value("mpc.memory_bytes_per_value") * (rows * features + 4.0 * rows)
        needs = dict.fromkeys(owners, b.need(1.0, cells * word)) | dict.fromkeys(
            roles, b.need(max(num(p, "cores"), 1.0), memory)
        )
        needs |= {r: b.need(1.0, 0.0) for r in self.EXTRA_ROLES if r not in needs}
        return b.job(needs, opened * word, rows=rows * len(owners), iterations=repeats)

    def _layer(self, b: Builder, layer: _Circuit, ring: float, repeats: float, roles: Sequence[str]) -> None:
        count, head = len(roles), f"mpc.{self.KEY}"
        rounds = bits = work = 0.0
        for kind, elements, key in (
            ("mul", layer.mults, "mult_s"),
            ("trunc", layer.truncs, "fxp_s"),
            ("less", layer.compares, "less_s"),
        ):
            if elements <= 0:
                continue
            one = self.primitive(kind, ring, count, b)
            rounds += one.rounds
            bits += one.bits * elements
            seconds = b.value(f"{head}.{key}")
            if kind == "trunc":  # measured as multiplication with truncation
                seconds = max(seconds - b.value(f"{head}.mult_s"), 0.0)
            work += seconds * elements
        inner = 0.0
        for m, k, n in layer.products:
            inner += m * k * n * b.value(f"{head}.inner_s")
            bits += self.product_bits((m, k, n), ring, count, b)
            rounds += self.primitive("mul", ring, count, b).rounds
        if not (rounds or work or inner):
            return
        # Figures are for two (or three) parties together at 64 bit; a party's part grows with
        # the ring and with the others.
        each = (work + inner) * repeats / self.measured_parties() * (ring / 64.0) * self.crowd(count)
        b.step(
            layer.name,
            dict.fromkeys(roles, each),
            self.flows(roles, bits * repeats / 8.0),
            rounds=math.ceil(rounds * layer.depth / 2.0) * repeats,
            operator="matmul",
            accelerable=inner / (work + inner) if work + inner else 0.0,
        )

    def measured_parties(self) -> int:
        """Parties of the measured figures."""
        return 2

    def crowd(self, parties: int) -> float:
        """Work of a party relative to the measured number of parties."""
        return 1.0


class Semi2k(_Mpc):
    """Semi2k: N parties, additive shares modulo 2^K, multiplication triples from a dealer (the arbiter)."""

    name = "mpc.semi2k"
    title = "MPC with additive shares (Semi2k, trusted dealer)"
    KEY = "semi2k"
    EXTRA_ROLES = ("arbiter",)

    def computing(self, hosts: tuple[str, ...]) -> tuple[str, ...]:
        """All data owners."""
        return ("guest", *hosts)

    def primitive(self, kind: str, ring: float, parties: int, b: Builder) -> Primitive:
        """As the SPU page."""
        return semi2k_primitive(kind, ring, parties)

    def product_bits(self, size: tuple[float, float, float], ring: float, parties: int, b: Builder) -> float:
        """Both masked matrices are opened to all others."""
        m, k, n = size
        return ring * (m * k + k * n) * (parties - 1)

    def crowd(self, parties: int) -> float:
        """Each opening is added up over the others."""
        return parties / 2.0

    def offline(self, b: Builder, layer: _Circuit, ring: float, repeats: float, roles: Sequence[str]) -> None:
        """Add the dealer's corrections: one ring element a triple, all other shares come from seeds."""
        and_gates = layer.compares * (2.0 * math.log2(ring) + 1.0)
        triples = layer.mults + layer.truncs + and_gates + sum(m * n for m, _, n in layer.products)
        size = triples * ring / 8.0 * repeats
        expand = b.value(f"{b.suite.prg}_s_per_word") * 3.0 * triples * repeats * ring / 64.0
        b.step(
            f"deal for {layer.name}",
            {"arbiter": expand * len(roles)},
            [("arbiter", "guest", size)],
            overlap=0.0,
        )


class Aby3(_Mpc):
    """ABY3: three computing parties, replicated shares; with one provider the third is the arbiter."""

    name = "mpc.aby3"
    title = "three-party MPC with replicated shares (ABY3)"
    KEY = "aby3"

    def roles(self, parties: int) -> Sequence[str]:
        """Return guest and hosts; an arbiter joins where there is only one host."""
        hosts = hosts_of(parties)
        return ("guest", *hosts) if len(hosts) > 1 else ("guest", *hosts, "arbiter")

    def computing(self, hosts: tuple[str, ...]) -> tuple[str, ...]:
        """Three roles: further hosts only share their inputs."""
        return ("guest", *hosts[:2]) if len(hosts) > 1 else ("guest", *hosts, "arbiter")

    def primitive(self, kind: str, ring: float, parties: int, b: Builder) -> Primitive:
        """As the SPU page."""
        return aby3_primitive(kind, ring)

    def product_bits(self, size: tuple[float, float, float], ring: float, parties: int, b: Builder) -> float:
        """One ring element per element of the result (SPU page: mul bits times m n)."""
        m, _, n = size
        return ring * m * n

    def flows(self, roles: Sequence[str], size: float) -> list[tuple[str, str, float]]:
        """Each party sends to the next."""
        return [(roles[i], roles[(i + 1) % len(roles)], size) for i in range(len(roles))]

    def measured_parties(self) -> int:
        """Parties of the measured figures."""
        return 3


class Cheetah(_Mpc):
    """Cheetah: two computing parties, lattice encryption and silent OT, no dealer."""

    name = "mpc.cheetah"
    title = "two-party MPC with lattice encryption (Cheetah)"
    KEY = "cheetah"

    def computing(self, hosts: tuple[str, ...]) -> tuple[str, ...]:
        """Guest and first host; further hosts only share their inputs."""
        return ("guest", hosts[0])

    def primitive(self, kind: str, ring: float, parties: int, b: Builder) -> Primitive:
        """Assumed constants of the table."""
        if kind == "mul":
            return Primitive(2, b.value("mpc.cheetah.mult_bits") * ring / 64.0)
        if kind == "trunc":
            return Primitive(2, b.value("mpc.cheetah.trunc_bits_per_bit") * ring)
        return Primitive(
            b.value("mpc.cheetah.less_rounds"), b.value("mpc.cheetah.less_bits_per_bit") * ring / 2.0
        )

    def product_bits(self, size: tuple[float, float, float], ring: float, parties: int, b: Builder) -> float:
        """Packed ciphertexts of the smaller operand there, of the result back; per party half."""
        m, k, n = size
        return b.value("mpc.cheetah.element_bits") * (min(m * k, k * n) + m * n) / 2.0 * ring / 64.0
