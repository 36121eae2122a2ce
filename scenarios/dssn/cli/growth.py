"""One size of the growth curve of ``dssn bench --growth``, run in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["command", "main"]


def command(orders: int, out: Path) -> list[str]:
    """Return the command that runs ``national-day`` with so many orders into a folder."""
    return [sys.executable, "-c", "from dssn.cli.growth import main; main()", str(orders), str(out)]


def main() -> None:
    """Run one replication on one worker, from the scenario to tables and report."""
    from dataclasses import replace

    from dssn.face.scenario import load
    from dssn.report.html import write_report
    from dssn_sim.bench.growth import scaled
    from dssn_sim.runs import run_plan

    orders, out = int(sys.argv[1]), Path(sys.argv[2])
    scenario = load("national-day", overrides=["full"])
    plan = scaled(scenario.plan, orders)
    plan = replace(plan, run=replace(plan.run, kernel="compiled"))
    folder = run_plan(plan, out, scenario.yaml, replications=1, workers=1)
    if folder.state != "completed":
        sys.exit(f"{out}: {folder.failures}")
    write_report(out, plan=plan)
