"""How long runs take: measured for the scenarios of the library, estimated from them for others.

``python -m dssn.face.measured`` runs every scenario of the library once and writes ``library/measured.json``.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass
from functools import cache
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from dssn_models.plan import Plan

__all__ = ["Measured", "about", "estimate_s", "machine", "measured"]


@dataclass(frozen=True, slots=True)
class Measured:
    """One scenario of the library as it was measured.

    Attributes
    ----------
    orders : int
        Expected orders of one replication.
    replications : int
        Of the scenario as it stands.
    cpu_s : float
        CPU time of one replication on one core (s).
    """

    orders: int
    replications: int
    cpu_s: float

    @property
    def wall_s(self) -> float:
        """Time of the whole run, two replications at a time where the run is large enough for that."""
        return self.cpu_s * _rounds(self.orders, self.replications, None, cores=2)


@cache
def _document() -> dict[str, dict[str, dict[str, float]]]:
    found: dict[str, dict[str, dict[str, float]]] = json.loads(_file().read_text("utf-8"))
    return found


def _file() -> Path:
    from dssn.loading.shelf import library_dir

    return library_dir() / "measured.json"


@cache
def measured() -> dict[str, Measured]:
    """Return name to figures for the scenarios of the library."""
    return {
        name: Measured(int(m["orders"]), int(m["replications"]), m["cpu_s"])
        for name, m in _document()["scenarios"].items()
    }


def machine() -> str:
    """Return where the figures were measured."""
    return str(_document()["machine"])


def estimate_s(
    plan: Plan, replications: int | None = None, workers: int | None = None
) -> tuple[float, float]:
    """Return the expected orders of all replications and the expected wall time (s).

    Expected orders times the CPU time of an order: that of the same scenario where it was measured, else
    the median over the library. Scenarios differ by a factor of five to either side of it.
    """
    from dssn_sim.runs.run import expected_orders

    figures = measured()
    known = figures.get(plan.name)
    each = known.cpu_s / known.orders if known else median(m.cpu_s / m.orders for m in figures.values())
    orders, count = expected_orders(plan), replications or plan.run.replications
    return orders * count, orders * each * _rounds(orders, count, workers, cores=os.cpu_count() or 1)


def _rounds(orders: float, replications: int, workers: int | None, *, cores: int) -> int:
    from dssn_sim.runs.run import IN_PROCESS_ORDERS

    used = workers or (1 if orders * replications < IN_PROCESS_ORDERS else cores)
    return math.ceil(replications / min(used, replications))


def about(seconds: float) -> str:
    """Return a duration as one says it.

    Examples
    --------
    >>> [about(s) for s in (7.2, 95, 5400, 20000, 9e5)]
    ['7 s', '2 min', '90 min', '5.6 h', '10 days']
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    if seconds < 2 * 86400:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.0f} days"


def _measure() -> None:
    """Run every scenario of the library once and write the file."""
    import platform
    import time

    from dssn.face.scenario import load
    from dssn.loading.shelf import library_names
    from dssn_sim.kernel import simulate
    from dssn_sim.runs.run import expected_orders

    simulate(load("metro").plan, 0)  # compiles what is to be compiled
    found = {}
    for name in library_names():
        plan = load(name).plan
        began = time.process_time()
        simulate(plan, 0)
        cpu_s = time.process_time() - began
        found[name] = asdict(Measured(round(expected_orders(plan)), plan.run.replications, round(cpu_s, 2)))
        print(name, found[name])
    text = {"machine": f"{os.cpu_count()} cores {platform.machine()}, Python {platform.python_version()}"}
    _file().write_text(json.dumps({**text, "scenarios": found}, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    _measure()
