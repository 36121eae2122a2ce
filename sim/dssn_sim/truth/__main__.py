"""Print the truth table: ``python -m dssn_sim.truth [--quick] [--seed N] [--seeds N]``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from dssn_sim.truth.table import CONFIDENCE, QUICK_WIDTH, SEED, WIDTH, Coverage, Row, coverage, truth_table

__all__ = ["format_coverage", "format_rows", "main"]


def format_rows(rows: Sequence[Row]) -> str:
    """Return the table as text."""
    lines = [
        f"{'case':32} {'quantity':34} {'closed form':>11} {'simulated':>11} {'99 % interval':>24} {'width':>9}  ok"
    ]
    for r in rows:
        exact = r.case.startswith("max-min")
        interval = "exact" if exact else f"{r.low:.5f} to {r.high:.5f}"
        width = f"{r.width / 2:.0e}" if exact else f"{100 * r.width:.2f} %"
        lines.append(
            f"{r.case:32} {r.quantity:34} {r.closed:11.5f} {r.simulated:11.5f} {interval:>24} {width:>9}  "
            f"{'yes' if r.ok else 'NO'}"
        )
    return "\n".join(lines)


def format_coverage(found: Sequence[Coverage]) -> str:
    """Return how many seeds fall inside, row by row and in all."""
    lines = [f"{c.case:32} {c.quantity:34} {c.inside:3d} of {c.seeds}" for c in found]
    inside, total = sum(c.inside for c in found), sum(c.seeds for c in found)
    lines.append(
        f"in all {inside} of {total} ({100 * inside / total:.1f} %), expected {100 * CONFIDENCE:.0f} %"
    )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the table; return 0 if every row passes."""
    parser = argparse.ArgumentParser(prog="python -m dssn_sim.truth", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="an eighth of the customers, wider bound")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument(
        "--seeds", type=int, default=0, help="also count how many of this many seeds fall inside"
    )
    options = parser.parse_args(arguments)
    started = time.monotonic()
    rows = truth_table(options.quick, options.seed)
    bound = QUICK_WIDTH if options.quick else WIDTH
    print(format_rows(rows))
    print(
        f"{sum(r.ok for r in rows)} of {len(rows)} rows inside their interval and narrower than "
        f"{100 * bound:.0f} %; {time.monotonic() - started:.0f} s; seed {options.seed}"
    )
    if options.seeds:
        print(
            f"\n{options.seeds} seeds, an eighth of the customers each: intervals that hold the closed form"
        )
        print(format_coverage(coverage(range(1, options.seeds + 1))))
    return 0 if all(r.ok for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
