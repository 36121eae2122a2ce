"""Which resource binds: the busiest one, and the phase that waits most."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dssn_sim.stats.facts import RunFacts
from dssn_sim.stats.intervals import across
from dssn_sim.stats.rows import Rows
from dssn_sim.stats.warmup import cut

__all__ = ["Binding", "Busy", "binding"]

Found = list[tuple[str, str, str, float, float]]


@dataclass(frozen=True, slots=True)
class Busy:
    """A resource and how busy it is.

    Attributes
    ----------
    kind : str
        ``node`` | ``link`` | ``service``.
    id : str
        Its id; a link with its direction.
    group : str
        What it is one of: role and size, technology, kind of service.
    util : float
        Time average over the replications, as a share; a node counts as busy by the larger of cores
        executing and cores held.
    low, high : float or None
        Interval over the replications.
    group_util : float
        Mean over the group.
    peak : float or None
        Largest mean over 15 min, mean over the replications; None if it was not recorded.
    """

    kind: str
    id: str
    group: str
    util: float
    low: float | None
    high: float | None
    group_util: float
    why_no_interval: str = ""
    peak: float | None = None


@dataclass(frozen=True, slots=True)
class Binding:
    """The busiest resources and the waiting by phase.

    Attributes
    ----------
    busiest : tuple of Busy
        Highest utilisation first, at most ten.
    waits : tuple of (phase, share of all waiting, mean wait per order in s)
        Most waiting first.
    text : str
        The finding in one or two sentences.
    """

    busiest: tuple[Busy, ...]
    waits: tuple[tuple[str, float, float], ...]
    text: str

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def binding(replications: Sequence[Mapping[str, pa.Table]], facts: RunFacts) -> Binding:
    """Return which resource binds, from the tables of each replication."""
    values: dict[tuple[str, str, str], list[float]] = {}
    peaks: dict[tuple[str, str, str], list[float]] = {}
    wait: dict[str, float] = {}
    orders = 0
    for tables in replications:
        for kind, group, name, util, peak in _utilisations(tables):
            values.setdefault((kind, group, name), []).append(util)
            peaks.setdefault((kind, group, name), []).append(peak)
        if "phases" in tables:
            kept = cut({k: tables[k] for k in ("orders", "phases") if k in tables}, facts.warmup_s)
            rows = Rows(kept["phases"])
            codes, phases = rows.codes("phase")
            totals = np.bincount(codes, weights=np.nan_to_num(rows.number("wait_s")), minlength=len(phases))
            for phase, total in zip(phases, totals, strict=True):
                wait[phase] = wait.get(phase, 0.0) + float(total)
            orders += len(np.unique(rows.integer("order")))
    groups: dict[tuple[str, str], list[float]] = {}
    for (kind, group, _), seen in values.items():
        groups.setdefault((kind, group), []).append(float(np.mean(seen)))
    busiest = []
    for (kind, group, name), seen in values.items():
        found = across(seen, facts.confidence)
        low = None if found.low is None else max(0.0, found.low)
        high = None if found.high is None else min(found.high, max(1.0, found.estimate))
        mean = float(np.mean(groups[kind, group]))
        highest = float(np.mean(peaks[kind, group, name]))
        seen_peak = highest if math.isfinite(highest) else None
        busiest.append(Busy(kind, name, group, found.estimate, low, high, mean, found.why, seen_peak))
    busiest.sort(key=lambda b: (-b.util, b.kind, b.id))
    total = math.fsum(wait.values())
    waits = tuple(
        (phase, seconds / total, seconds / max(1, orders))
        for phase, seconds in sorted(wait.items(), key=lambda w: (-w[1], w[0]))
        if total > 0 and seconds > 0
    )
    return Binding(tuple(busiest[:10]), waits, _text(busiest, waits))


def _utilisations(tables: Mapping[str, pa.Table]) -> Found:
    """Return (kind, group, id, utilisation, the same in the busiest 15 min) of every resource of one replication."""
    found: Found = []
    if "nodes" in tables:
        rows = Rows(tables["nodes"])
        util: NDArray[np.float64] = np.fmax(rows.number("util_busy"), rows.number("util_reserved"))
        groups = [
            f"{r} {s}".strip() for r, s in zip(_strings(rows, "role"), _strings(rows, "size"), strict=True)
        ]
        peak = np.fmax(_peak(rows, "busy_15min"), _peak(rows, "reserved_15min"))
        found += _named("node", groups, _strings(rows, "node"), util, peak)
    if "links" in tables:
        rows = Rows(tables["links"])
        names = [f"{x} {d}" for x, d in zip(_strings(rows, "link"), _strings(rows, "direction"), strict=True)]
        found += _named(
            "link", _strings(rows, "technology"), names, rows.number("mean_util"), _peak(rows, "util_15min")
        )
    if "services" in tables:
        rows = Rows(tables["services"])
        util, none = rows.number("util"), np.full(len(rows), math.nan)
        found += _named("service", _strings(rows, "kind"), _strings(rows, "service"), util, none)
    return found


def _strings(rows: Rows, name: str) -> list[str]:
    return [v or "" for v in rows.table.column(name).to_pylist()]


def _peak(rows: Rows, column: str) -> NDArray[np.float64]:
    """Return a column of peaks; NaN for runs of an older version, which lack it."""
    return rows.number(column) if column in rows.table.column_names else np.full(len(rows), math.nan)


def _named(
    kind: str, groups: list[str], names: list[str], util: NDArray[np.float64], peak: NDArray[np.float64]
) -> Found:
    return [
        (kind, group, name, float(u), float(p))
        for group, name, u, p in zip(groups, names, util, peak, strict=True)
        if math.isfinite(u)
    ]


def _text(busiest: Sequence[Busy], waits: Sequence[tuple[str, float, float]]) -> str:
    parts = []
    if busiest and busiest[0].util > 0:
        top = busiest[0]
        of = f" ({top.group})" if top.group and top.group != top.id else ""
        within = ""
        if top.low is not None and top.high is not None and top.low < top.high:
            within = f" (interval {100 * top.low:.0f} to {100 * top.high:.0f} %)"
        peak = "" if top.peak is None else f", {100 * top.peak:.0f} % in its busiest 15 min"
        parts.append(
            f"The busiest resource is {top.kind} {top.id}{of} at {100 * top.util:.0f} %{within}{peak}."
        )
    if waits:
        phase, share, seconds = waits[0]
        parts.append(
            f"Of all waiting, {100 * share:.0f} % is in the phase {phase.replace('_', ' ')} "
            f"({seconds:.3g} s per order)."
        )
    elif busiest:
        parts.append("No order waited.")
    return " ".join(parts)
