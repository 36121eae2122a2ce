"""Write ``docs/results.md``: ``python -m dssn_sim.runs.reference > docs/results.md``."""

from __future__ import annotations

import sys

from dssn_models.results import SCHEMA_VERSION, TABLES
from dssn_sim.stats.measures import KPIS

__all__ = ["results_page"]

_HEAD = f"""# The results of a run

Generated from `dssn_models.results` and the KPI catalogue by `python -m dssn_sim.runs.reference`; do not edit.
Result schema {SCHEMA_VERSION}.

## The run folder

| file | holds |
|---|---|
| `run.json` | the run card: scenario and hash, seed, versions, platform, cost entries, exit state, all wall-clock facts |
| `scenario.resolved.yaml` | the scenario after imports, overrides and settings: this file alone repeats the run |
| `summary.json` | KPIs with intervals, verdicts on the objectives, binding resource, warm-up hint |
| `tables/*.parquet` | the tables below, all replications, in order of replication |
| `replications/NNNN/` | the tables of one replication and `done.json` (seed, plan digest, SHA-256 of tables), for `--resume` |
| `log.jsonl` | what happened, one JSON object a line |
| `report.html` | the report, once written |

`exit_state` is `running` (or killed), `completed`, `partial` (some replications failed), `failed` (all did, or the
summary could not be made) or `interrupted` (Ctrl-C).

A replication appears under `replications/` only when it is complete: it is written beside its place, flushed to disk and
renamed. A run killed at any moment keeps what had finished. `--resume` checks seed, plan and library versions, verifies the
SHA-256 of every table, computes what is missing and writes the same bytes as an unbroken run.

Same plan, same seed, same versions: `tables/` and `summary.json` are equal byte for byte, with any number of workers and
after resuming.

A sweep folder holds `sweep.json` (the design), `points/<id>/` (one run folder each) and `index.parquet` (one row a point:
`point`, the settings as `set:<path>`, `state`, `problem`, and for each KPI `<key>`, `<key>:low`, `<key>:high`).

## Reading

```python
from dssn_sim.runs import RunFolder

res = RunFolder.open("out")
res.kpi("order_to_result", "p95", cls="urgent")        # estimate, low, high, method
res.pandas("deliveries")                               # a table as a data frame
res.sql('select cls, avg(order_to_result_s) from deliveries group by cls')   # DuckDB; quote "order"
```

## KPIs

A key is `name.stat[part, class]`: `order_to_result.p95[urgent]`, `job_time.mean[psi.ecdh]`. Definitions and intervals are
explained in [models/statistics.md](models/statistics.md).

"""


def results_page() -> str:
    """Return the text of ``docs/results.md``."""
    lines = [_HEAD, "| KPI | unit | better | statistics | meaning |", "|---|---|---|---|---|"]
    better = {"min": "less", "max": "more", "": ""}
    for name, info in KPIS.items():
        stats = ", ".join(["mean", *(f"p{100 * q:g}" for q in info.quantiles)]) if info.quantiles else ""
        lines.append(
            f"| `{name}` | {info.unit or 'count'} | {better[info.direction]} | {stats} | {info.meaning} |"
        )
    lines += ["", "## Tables", ""]
    lines.append(
        "Times are virtual seconds since the start of the run. Every table starts with `replication` (int32); the file's "
        "metadata names the backend, each field's metadata its unit and meaning."
    )
    for table in TABLES.values():
        lines += ["", f"### {table.name}", "", f"{table.meaning[0].upper()}{table.meaning[1:]}.", ""]
        lines += ["| column | type | unit | meaning |", "|---|---|---|---|"]
        lines += [f"| `{c.name}` | {c.type} | {c.unit} | {c.meaning} |" for c in table.columns]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(results_page())
