"""One replication's KPI values: what is averaged over replications later.

A :class:`Measure` carries the replication's value and, where one replication must do, the
observations in order of time from which an interval inside the replication can be made.
The names are those of the KPI catalogue; see ``docs/models/statistics.md`` for the definitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dssn_sim.stats.facts import RunFacts
from dssn_sim.stats.intervals import quantile

__all__ = ["KPIS", "Key", "KpiInfo", "Measure", "Measures"]

Floats = NDArray[np.float64]
Direction = Literal["min", "max", ""]


@dataclass(frozen=True, slots=True)
class KpiInfo:
    """One entry of the KPI catalogue.

    Attributes
    ----------
    unit : str
        SI unit; '' for counts; shares are fractions.
    direction : str
        ``min`` (less is better), ``max`` or '' (neither).
    meaning : str
        Definition.
    quantiles : tuple of float
        Besides the mean.
    invariant : str or None
        The part ('' for the whole) that is counted in full and does not depend on chance unless something is
        wrong: judged without an interval.
    delivered : bool
        Exists for completed deliveries only: if no order completes, an objective on it is missed.
    """

    unit: str
    direction: Direction
    meaning: str
    quantiles: tuple[float, ...] = ()
    invariant: str | None = None
    delivered: bool = False


_TAIL: Final = (0.5, 0.95, 0.99)

KPIS: Final[dict[str, KpiInfo]] = {
    "orders_total": KpiInfo("", "", "orders that arrived after the warm-up"),
    "completed_share": KpiInfo("share", "max", "orders that ended completed"),
    "order_to_result": KpiInfo("s", "min", "order accepted to signed receipt, completed deliveries", _TAIL, delivered=True),
    "order_to_open": KpiInfo("s", "min", "network order accepted to path tested usable", _TAIL, delivered=True),
    "trade_to_settle": KpiInfo("s", "min", "exchange closes the deal to settlement allowed", _TAIL, delivered=True),
    "job_time": KpiInfo("s", "min", "job created to succeeded, by engine", _TAIL, delivered=True),
    "phase_time": KpiInfo("s", "min", "time in a phase per order that entered it"),
    "phase_wait": KpiInfo("s", "min", "of it waiting for a service or a node"),
    "queue_time": KpiInfo("s", "min", "waiting of all kinds per completed delivery", delivered=True),
    "slo_hit": KpiInfo("share", "max", "deliveries with a deadline that met it", delivered=True),
    "admit_refuse": KpiInfo("share", "min", "orders refused before anything ran, by reason"),
    "failed_share": KpiInfo("share", "min", "orders that began and failed, by reason"),
    "throughput": KpiInfo("1/h", "max", "deliveries completed per hour after the warm-up"),
    "util": KpiInfo("share", "", "time average: cores in use or held, link rate, servers busy"),
    "bytes": KpiInfo("B", "min", "sent on the data plane, with overhead, by class of data"),
    "raw_exposed": KpiInfo(
        "B", "min", "raw bytes that left their owner; must be 0 in privacy and TEE", invariant="privacy and tee"
    ),
    "channel_setup": KpiInfo("s", "min", "set-up of a mutual TLS channel"),
    "channel_leak": KpiInfo("", "min", "channels and slices never closed", invariant=""),
    "cold_starts": KpiInfo("", "min", "engine images loaded from the registry"),
    "cache_hit": KpiInfo("share", "max", "engine starts that found their image on the node"),
    "attest_time": KpiInfo("s", "min", "attestation of an enclave (simulated TEE)", (0.95,)),
    "evidence_lag": KpiInfo("s", "min", "event to final on the ledger", (0.99,)),
    "unit_cost": KpiInfo("CNY", "min", "resources used per completed delivery", delivered=True),
    "unit_bill": KpiInfo("CNY", "", "billed per completed delivery", delivered=True),
    "bill_total": KpiInfo("CNY", "", "billed in all, by side"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Key:
    """What a number is: KPI, statistic, class and part.

    Attributes
    ----------
    name : str
        Of the catalogue.
    stat : str
        ``mean`` ``p50`` ``p95`` ``p99`` ``share`` ``sum`` ``max`` ``count`` ``rate``.
    cls : str
        Priority class, '' for all.
    part : str
        Engine, phase, reason, data class or kind of resource; '' for the whole.
    """

    name: str
    stat: str
    cls: str = ""
    part: str = ""

    def __str__(self) -> str:
        inside = ", ".join(x for x in (self.part, self.cls) if x)
        return f"{self.name}.{self.stat}" + (f"[{inside}]" if inside else "")


@dataclass(slots=True)
class Measure:
    """One replication's value of one key.

    Attributes
    ----------
    value : float
        NaN where nothing was observed.
    n : int
        Observations behind it.
    sample : array, optional
        The observations in order of time (0 and 1 for shares).
    q : float
        The quantile; NaN otherwise.
    """

    value: float
    n: int
    sample: Floats | None = None
    q: float = float("nan")


class Measures:
    """All values of one replication, in the order of the catalogue."""

    def __init__(self, replication: int, facts: RunFacts) -> None:
        self.replication = replication
        self.facts = facts
        self.values: dict[Key, Measure] = {}

    def mean(self, name: str, sample: Floats, *, cls: str = "", part: str = "") -> None:
        """Add the mean of a sample, and the quantiles that the catalogue or an objective asks for."""
        sample = sample[np.isfinite(sample)]
        if len(sample) == 0:
            return
        self.values[Key(name, "mean", cls, part)] = Measure(float(sample.mean()), len(sample), sample)
        asked = {
            o.quantile
            for o in self.facts.objectives
            if o.kpi == name and (o.cls or "") == cls and o.quantile is not None
        }
        for q in sorted({*KPIS[name].quantiles, *asked}):
            key = Key(name, quantile_name(q), cls, part)
            self.values[key] = Measure(quantile(sample, q), len(sample), sample, q)

    def share(self, name: str, hits: NDArray[np.bool_], *, cls: str = "", part: str = "") -> None:
        """Add a share; hits in order of time."""
        if len(hits) == 0:
            return
        sample = hits.astype(np.float64)
        self.values[Key(name, "share", cls, part)] = Measure(float(sample.mean()), len(sample), sample)

    def number(
        self, name: str, stat: str, value: float, *, n: int = 1, cls: str = "", part: str = ""
    ) -> None:
        """Add a count, total or time average that has no observations of its own."""
        self.values[Key(name, stat, cls, part)] = Measure(float(value), n)

    def rate(self, name: str, counts: Floats, per: float, *, cls: str = "") -> None:
        """Add a rate from counts of equal windows; ``per`` turns a count into the rate."""
        sample = counts * per
        self.values[Key(name, "rate", cls)] = Measure(float(sample.mean()), int(counts.sum()), sample)


def quantile_name(q: float) -> str:
    """Return the name of a quantile's statistic.

    Examples
    --------
    >>> quantile_name(0.95), quantile_name(0.999)
    ('p95', 'p99.9')
    """
    return f"p{100 * q:.10g}"


Tables = Mapping[str, pa.Table]
