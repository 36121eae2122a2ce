"""What ``summary.json`` holds: KPIs, verdicts, binding resource, warm-up hint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from dssn_sim.stats.binding import binding
from dssn_sim.stats.catalogue import measure
from dssn_sim.stats.facts import RunFacts
from dssn_sim.stats.kpi import combine, judge
from dssn_sim.stats.warmup import hint

__all__ = ["summarise"]


def summarise(
    replications: Sequence[Mapping[str, pa.Table]], facts: RunFacts, numbers: Sequence[int]
) -> dict[str, Any]:
    """Return the summary of the finished replications.

    Parameters
    ----------
    replications : sequence of Mapping
        Tables of each replication, uncut.
    numbers : sequence of int
        The replications' numbers.
    """
    values = [measure(tables, number, facts) for number, tables in zip(numbers, replications, strict=True)]
    found = combine(values, facts)
    verdicts = judge(found, facts.objectives)
    warmup = hint(list(replications), facts)
    return {
        "confidence": facts.confidence,
        "replications": list(numbers),
        "kpis": [k.as_dict() for k in found],
        "objectives": [v.as_dict() for v in verdicts],
        "binding": binding(replications, facts).as_dict(),
        "warmup": {
            "used_s": warmup.used_s,
            "suggested_s": warmup.suggested_s,
            "enough": warmup.enough,
            "text": warmup.text,
        },
    }
