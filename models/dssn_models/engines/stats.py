"""Joint statistics: hosts count at home, masks hide the parts, noise and a threshold protect groups.

Masks are pairwise and cancel in the sum, so the guest learns only totals; with one host there is
nothing to hide among hosts and noise and threshold alone protect. Noise is added at the hosts
before masking.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from dssn_models.engines.api import JobCost
from dssn_models.engines.base import BaseEngine, Builder, Param, Value, num
from dssn_models.engines.columns import exp

__all__ = ["MaskedStatistics", "kept_groups"]

_CELL = 8.0
_QUERY = 1000.0  # bytes of the query text
_CELLS = {"count": 1.0, "sum": 1.0, "mean": 2.0, "group_by": 2.0, "median": 1.0}


def kept_groups(groups: float, rows: float, minimum: float) -> float:
    """Return the expected number of groups with at least ``minimum`` rows.

    Group sizes are taken as geometric with mean ``rows / groups``: ``groups * exp(-minimum / mean)``.
    """
    if groups <= 0 or rows <= 0:
        return 0.0
    return groups * exp(-minimum * groups / rows)


class MaskedStatistics(BaseEngine):
    """Count, sum, mean, group-by and median over several tables, with differential privacy."""

    name = "stats.masked"
    title = "masked joint statistics with differential privacy"
    weight = "light"
    confidentiality = "privacy"
    EXTRA_ROLES = ()
    PARAMETERS: ClassVar[Mapping[str, Param]] = {
        "rows": (1e6, "", "rows of each host's table"),
        "statistic": ("group_by", "", "count, sum, mean, group_by or median"),
        "columns": (1.0, "", "columns asked for"),
        "groups": (100.0, "", "groups (group_by)"),
        "min_group": (10.0, "", "smaller groups are left out"),
        "epsilon": (1.0, "", "privacy budget of the query; 0: no noise"),
    }
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {"statistic": tuple(_CELLS)}

    def build(self, p: dict[str, Value], b: Builder, profile: str) -> JobCost:
        """Return the cost; a median takes one count per pass of its bisection."""
        statistic, rows, count = str(p["statistic"]), num(p, "rows"), len(b.hosts)
        groups = num(p, "groups") if statistic == "group_by" else 1.0
        passes = b.value("stats.quantile_passes") if statistic == "median" else 1.0
        cells = groups * _CELLS[statistic] * max(num(p, "columns"), 1.0) * passes
        scan = b.value("stats.group_by_s_per_row") * rows * max(num(p, "columns"), 1.0) * passes
        noise = b.value("dp.laplace_s_per_value") * cells if p["epsilon"] else 0.0
        mask = 0.0
        if count > 1:
            agree = b.value(f"{b.suite.agree}_s")
            keys = [("guest", h, 64.0 * (count - 1)) for h in b.hosts] + [(h, "guest", 64.0) for h in b.hosts]
            b.step("agree masks", dict.fromkeys(b.hosts, 2.0 * agree * (count - 1)), keys, rounds=1)
            mask = b.value(f"{b.suite.prg}_s_per_word") * cells * (count - 1)
        b.step("scan tables", dict.fromkeys(b.hosts, scan))
        b.step("add noise and masks", dict.fromkeys(b.hosts, noise + mask), cores=1.0)
        # A single host's noisy totals are the result; several hosts' parts are masked.
        b.step(
            "send parts",
            {},
            [t for h in b.hosts for t in (("guest", h, _QUERY), (h, "guest", cells * _CELL))],
            rounds=passes,
            data="protocol" if count > 1 else "result",
        )
        kept = kept_groups(groups, rows * count, num(p, "min_group"))
        result = kept * _CELLS[statistic] * max(num(p, "columns"), 1.0) * _CELL
        needs = {"guest": b.need(1.0, cells * _CELL)} | dict.fromkeys(
            b.hosts, b.need(8.0, min(16.0 * rows, 4e9))
        )
        return b.job(needs, result, rows=rows * count, results=kept, epsilon=num(p, "epsilon"))
