"""Fits of the published profiles: where the constants ``psi.secretflow.*`` and ``sgb.secretflow.*`` come from.

PSI, LAN rows: seconds = ``n (s + p / min(cores, c)) + k n^2 / memory`` with one serial constant ``s`` and, for ECDH, one parallel
constant ``p`` a protocol, and ``c`` and ``k`` common to all rows: 9 constants for 45 rows. No WAN row is used. The split of ``s``
into list handling and protocol uses the published single-thread time of RR22, not the WAN rows either.

Boosting: six rows (two data sets, three networks), no LAN row; the engine itself is the model. Free are the
time of a tree level, the share of gradients sent, and the growth of the trees of the unbalanced data set.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from dssn_models.crypto.tables import CostTable, cost_table
from dssn_models.engines.ideal import TCP_OVERHEAD, ideal_time
from dssn_models.engines.psi import EcdhPsi, KkrtPsi, Rr22Psi
from dssn_models.engines.sgb import SecureBoost

__all__ = [
    "PSI_CASES",
    "SGB_DEPTH",
    "Prediction",
    "fit_psi",
    "fit_sgb",
    "parse_machine",
    "predict_psi",
    "predict_sgb",
]

Row = Mapping[str, str]

#: Published protocol name to (engine class, parameters, key of its constants, has a parallel part).
PSI_CASES: Final[Mapping[str, tuple[type[Any], dict[str, str], str, bool]]] = {
    "ECDH_2PC_FourQ": (EcdhPsi, {"curve": "fourq"}, "fourq", True),
    "ECDH_2PC_25519": (EcdhPsi, {"curve": "x25519"}, "x25519", True),
    "KKRT16": (KkrtPsi, {}, "kkrt", False),
    "RR22_FAST": (Rr22Psi, {"mode": "fast"}, "rr22_fast", False),
    "RR22_LOWCOMM": (Rr22Psi, {"mode": "lowcomm"}, "rr22_lowcomm", False),
}
SGB_DEPTH: Final = 5.0  # not given with the rows; the usual default
_LAN_BPS: Final = 10e9
_LAN_RTT: Final = 0.2e-3


@dataclass(frozen=True, slots=True)
class Prediction:
    """A published row beside what the model gives."""

    row: Row
    seconds: float
    predicted_s: float

    @property
    def error(self) -> float:
        """Relative error of the model."""
        return self.predicted_s / self.seconds - 1.0


def parse_machine(text: str) -> tuple[float, float]:
    """Return cores and memory bytes of a machine such as ``16C32G`` or ``8C16G_8369B``."""
    match = re.match(r"(\d+)C(\d+)G", text)
    if match is None:
        raise ValueError(f"{text!r} is no machine size such as 16C32G")
    return float(match.group(1)), float(match.group(2)) * 1e9


def parse_network(text: str) -> tuple[float, float]:
    """Return bandwidth in bit/s and round-trip time in s of a network such as ``100Mbps_10ms_oneway``.

    ``LAN`` is taken as 10 Gbit/s and 0.2 ms (the tables do not say).
    """
    if text == "LAN":
        return _LAN_BPS, _LAN_RTT
    match = re.match(r"(\d+)\s*Mb(?:ps)?[/_](\d+)\s*ms", text)
    if match is None:
        raise ValueError(f"{text!r} is no network such as 100Mbps_10ms_oneway")
    return float(match.group(1)) * 1e6, 2e-3 * float(match.group(2))


def _lan_seconds(x: NDArray[np.float64], row: Row) -> float:
    index = list(PSI_CASES).index(row["protocol"])
    parallel = x[2 + len(PSI_CASES) + index] if PSI_CASES[row["protocol"]][3] else 0.0
    cores, memory = parse_machine(row["machine"])
    n = float(row["n_per_party"])
    return float(n * 1e-6 * (x[2 + index] + parallel / min(cores, x[0])) + x[1] * 1e-5 * n * n / memory)


def fit_psi(rows: Iterable[Row]) -> dict[str, float]:
    """Return the ``psi.secretflow.*`` constants fitted from the LAN rows (least squares of log ratios)."""
    lan = [r for r in rows if r["network"] == "LAN"]

    def residuals(x: NDArray[np.float64]) -> list[float]:
        return [math.log(_lan_seconds(x, r) / float(r["seconds"])) for r in lan]

    start = [17.0, 3.0, 2.5, 2.5, 3.5, 1.7, 2.1, 33.0, 74.0]
    low, high = [8.0, 0.0] + [0.01] * 7, [32.0, 50.0] + [20.0] * 5 + [200.0] * 2
    x = _solve(residuals, start, low, high)
    out = {"psi.secretflow.cores": x[0], "psi.secretflow.spill_s_byte_per_row2": x[1] * 1e-5}
    for index, (_, _, key, parallel) in enumerate(PSI_CASES.values()):
        out[f"psi.secretflow.{key}_serial_s_per_row"] = x[2 + index] * 1e-6
        if parallel:
            out[f"psi.secretflow.{key}_parallel_s_per_row"] = x[2 + len(PSI_CASES) + index] * 1e-6
    return out


def predict_psi(rows: Iterable[Row], table: CostTable | None = None) -> list[Prediction]:
    """Return the time that profile ``secretflow-psi-v2`` gives for each row, in the clear over bare TCP."""
    costs = table or cost_table()
    engines = {name: case[0](costs) for name, case in PSI_CASES.items()}
    out = []
    for row in rows:
        cores, memory = parse_machine(row["machine"])
        bandwidth, rtt = parse_network(row["network"])
        params = {"rows": float(row["n_per_party"]), "memory": memory, **PSI_CASES[row["protocol"]][1]}
        job = engines[row["protocol"]].cost(params, 1, "secretflow-psi-v2", "none")
        out.append(
            Prediction(row, float(row["seconds"]), ideal_time(job, cores, bandwidth, rtt, TCP_OVERHEAD))
        )
    return out


def fit_sgb(rows: Iterable[Row]) -> dict[str, float]:
    """Return ``sgb.secretflow.*`` and the growth of the data set ``creditcard`` that fit the rows best."""
    known = list(rows)
    table = cost_table()

    def residuals(x: NDArray[np.float64]) -> list[float]:
        values = {"sgb.secretflow.level_s": x[0], "sgb.secretflow.sample_share": x[1]}
        found = predict_sgb(known, table.with_values(values), {"creditcard": x[2]})
        return [math.log(p.predicted_s / p.seconds) for p in found]

    x = _solve(residuals, [0.2, 0.05, 0.7], [0.0, 0.001, 0.1], [2.0, 1.0, 1.0])
    return {
        "sgb.secretflow.level_s": x[0],
        "sgb.secretflow.sample_share": x[1],
        "growth.creditcard": x[2],
    }


def predict_sgb(
    rows: Iterable[Row], table: CostTable | None = None, growth: Mapping[str, float] | None = None
) -> list[Prediction]:
    """Return the time that profile ``secretflow-sgb`` gives for each row.

    Half of the features stand at the host; 100 trees of depth 5 and 100 bins (the rows give the trees only).
    """
    engine = SecureBoost(table or cost_table())
    out = []
    for row in rows:
        cores, _ = parse_machine(row["machine"])
        half = float(row["features"]) / 2.0
        params = {
            "rows": float(row["samples"]), "features": half, "guest_features": half, "trees": 100.0,
            "depth": SGB_DEPTH, "growth": (growth or {}).get(row["dataset"], 1.0),
        }  # fmt: skip
        job = engine.cost(params, 1, "secretflow-sgb", "none")
        bandwidth, rtt = float(row["bandwidth_mbps"]) * 1e6, 2e-3 * float(row["one_way_delay_ms"])
        out.append(
            Prediction(row, float(row["seconds"]), ideal_time(job, cores, bandwidth, rtt, TCP_OVERHEAD))
        )
    return out


def _solve(
    residuals: Callable[[NDArray[np.float64]], list[float]],
    start: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
) -> list[float]:
    found = least_squares(residuals, np.asarray(start), bounds=(np.asarray(low), np.asarray(high)))
    return [float(v) for v in found.x]
