"""The result tables and their columns: one schema for every backend.

Columns are declared as (name, Arrow type name, unit or '', meaning). Times are virtual seconds since
the start of the run (wall seconds in the emulation). Every table starts with
``replication`` and carries ``backend`` once on disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["SCHEMA_VERSION", "TABLES", "Column", "Table"]

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    name: str
    type: str  # int64 | int32 | float64 | string | bool
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Table:
    """One table."""

    name: str
    columns: tuple[Column, ...]
    meaning: str

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(c.name for c in self.columns)


def _table(name: str, meaning: str, *columns: tuple[str, str, str, str]) -> Table:
    return Table(name, tuple(Column(*c) for c in columns), meaning)


_S, _I, _F, _B = "string", "int64", "float64", "bool"

TABLES: Final[dict[str, Table]] = {
    t.name: t
    for t in (
        _table(
            "orders", "every business order, also refused ones",
            ("order", _I, "", "number of the order in the replication"),
            ("stream", _S, "", "order stream"), ("cls", _S, "", "priority class"),
            ("arrived_s", _F, "s", "accepted for processing"), ("consumer", _S, "", "DRN"),
            ("providers", _S, "", "DSN ids, comma separated"), ("assets", _S, "", "asset ids, comma separated"),
            ("channel", _S, "", "privacy api package stream tee"), ("exchange", _S, "", "exchange node or empty"),
            ("level", _I, "", "sensitivity level of the request"),
            ("state", _S, "", "final order state"), ("reason", _S, "", "reason code or empty"),
            ("ended_s", _F, "s", "last state change"), ("deadline_s", _F, "s", "absolute deadline or NaN"),
        ),
        _table(
            "deliveries", "orders that ended completed or failed, with their times",
            ("order", _I, "", ""), ("stream", _S, "", ""), ("cls", _S, "", ""), ("engine", _S, "", "last engine of the chain"),
            ("channel", _S, "", ""), ("arrived_s", _F, "s", ""), ("completed_s", _F, "s", "signed receipt at the consumer"),
            ("order_to_result_s", _F, "s", "KPI order_to_result"), ("order_to_open_s", _F, "s", "KPI order_to_open, NaN if no net order"),
            ("trade_to_settle_s", _F, "s", "KPI trade_to_settle, NaN off-exchange"), ("job_time_s", _F, "s", "KPI job_time"),
            ("queue_s", _F, "s", "waiting of all kinds"), ("bytes_wire", _F, "B", "sent on the data plane, with overhead"),
            ("bytes_payload", _F, "B", ""), ("core_s", _F, "core-s", "executed"), ("raw_exposed", _F, "B", "raw bytes that left the owner"),
            ("result_bytes", _F, "B", ""), ("cost_cny", _F, "CNY", "resources used"), ("bill_cny", _F, "CNY", "rated"),
            ("attempts", _I, "", ""), ("slo_hit", _B, "", "within the deadline"), ("state", _S, "", ""), ("reason", _S, "", ""),
            ("consumer_site", _S, "", ""), ("provider_site", _S, "", "first provider's site"), ("run_site", _S, "", "where the placed role ran"),
        ),
        _table(
            "phases", "time of each phase of each delivery",
            ("order", _I, "", ""), ("cls", _S, "", ""), ("phase", _S, "", "market.states.PHASES"), ("start_s", _F, "s", ""),
            ("end_s", _F, "s", ""), ("wait_s", _F, "s", "of it waiting for a service or a node"), ("node", _S, "", "where, if one place"),
            ("detail", _S, "", "engine or step"),
        ),
        _table(
            "states", "state history of every order's machines",
            ("order", _I, "", ""), ("machine", _S, "", "order negotiation job allocation transfer"), ("state", _S, "", ""), ("at_s", _F, "s", ""),
        ),
        _table(
            "flows", "every transfer of the data plane",
            ("order", _I, "", ""), ("source", _S, "", "node"), ("target", _S, "", "node"), ("cls", _S, "", ""), ("data", _S, "", "control protocol result raw image"),
            ("payload_bytes", _F, "B", ""), ("wire_bytes", _F, "B", ""), ("start_s", _F, "s", ""), ("end_s", _F, "s", ""),
            ("ideal_s", _F, "s", "time alone on the path"), ("bottleneck", _S, "", "narrowest link of the path"), ("technology", _S, "", ""),
        ),
        _table(
            "links", "samples and totals of each directed link",
            ("link", _S, "", ""), ("direction", _S, "", "ab or ba"), ("technology", _S, "", ""), ("capacity_bps", _F, "bit/s", ""),
            ("mean_util", _F, "", "time average after warm-up"), ("peak_util", _F, "", "largest sample"), ("bytes", _F, "B", ""), ("down_s", _F, "s", ""),
            ("reserved_mean", _F, "", "time average of the reserved share"),
            ("util_15min", _F, "", "largest mean over 15 min after the warm-up"),
        ),
        _table(
            "nodes", "totals of each node",
            ("node", _S, "", ""), ("role", _S, "", ""), ("site", _S, "", ""), ("size", _S, "", ""), ("cores", _F, "", ""),
            ("util_busy", _F, "", "cores executing, time average"), ("util_reserved", _F, "", "cores held by jobs"),
            ("idle_reserved_core_s", _F, "core-s", "held and not executing"), ("core_s", _F, "core-s", "executed"), ("jobs", _I, "", ""),
            ("memory_peak_bytes", _F, "B", ""), ("down_s", _F, "s", ""), ("cold_starts", _I, "", ""), ("warm_starts", _I, "", ""),
            ("queue_mean", _F, "", "jobs waiting, time average"), ("cost_cny", _F, "CNY", "node price over the run"),
            ("busy_15min", _F, "", "cores executing, largest mean over 15 min after the warm-up"),
            ("reserved_15min", _F, "", "cores held by jobs, likewise"),
        ),
        _table(
            "services", "totals of each control-plane station",
            ("service", _S, "", ""), ("kind", _S, "", ""), ("site", _S, "", ""), ("servers", _I, "", ""), ("calls", _I, "", ""), ("util", _F, "", ""),
            ("wait_mean_s", _F, "s", ""), ("wait_p99_s", _F, "s", ""), ("dropped", _I, "", ""), ("down_s", _F, "s", ""),
        ),
        _table(
            "samples", "time series", ("at_s", _F, "s", ""), ("kind", _S, "", "node link service class"), ("id", _S, "", ""), ("metric", _S, "", ""), ("value", _F, "", ""),
        ),
        _table(
            "enclaves", "enclaves opened (simulated TEE)",
            ("order", _I, "", ""), ("node", _S, "", ""), ("profile", _S, "", ""), ("bytes", _F, "B", ""), ("start_s", _F, "s", ""), ("end_s", _F, "s", ""), ("paged_bytes", _F, "B", ""),
            ("attest_s", _F, "s", ""),
        ),
        _table(
            "channels", "mutual TLS channels between nodes",
            ("a", _S, "", ""), ("b", _S, "", ""), ("suite", _S, "", ""), ("opened_s", _F, "s", ""), ("closed_s", _F, "s", ""), ("uses", _I, "", ""), ("setup_s", _F, "s", ""),
        ),
        _table(
            "slices", "network orders", ("order", _I, "", ""), ("technology", _S, "", ""), ("isolation", _S, "", ""), ("rate_bps", _F, "bit/s", ""),
            ("opened_s", _F, "s", ""), ("closed_s", _F, "s", ""), ("hops", _I, "", ""), ("delay_s", _F, "s", ""),
        ),
        _table(
            "decisions", "every decision of a policy",
            ("at_s", _F, "s", ""), ("order", _I, "", ""), ("kind", _S, "", ""), ("policy", _S, "", ""), ("choice", _S, "", ""), ("reason", _S, "", ""), ("candidates", _I, "", ""),
        ),
        _table(
            "refusals", "refused and failed orders", ("at_s", _F, "s", ""), ("order", _I, "", ""), ("stream", _S, "", ""), ("cls", _S, "", ""), ("phase", _S, "", ""), ("reason", _S, "", ""), ("detail", _S, "", ""),
        ),
        _table(
            "evidence", "evidence records", ("order", _I, "", ""), ("seq", _I, "", ""), ("event", _S, "", ""), ("at_s", _F, "s", ""), ("final_s", _F, "s", "on the ledger"), ("hash", _S, "", "salted commitment, hex"),
        ),
        _table(
            "meters", "metered usage", ("order", _I, "", ""), ("party", _S, "", ""), ("kind", _S, "", "calls rows bytes core_s tee_s result slice_mbps_h"), ("quantity", _F, "", ""),
        ),
        _table(
            "bills", "rated and split bills", ("order", _I, "", ""), ("party", _S, "", ""), ("role", _S, "", "payer or payee"), ("item", _S, "", ""), ("amount_cny", _F, "CNY", ""),
        ),
        _table("alarms", "monitoring alarms", ("at_s", _F, "s", ""), ("kind", _S, "", ""), ("target", _S, "", ""), ("order", _I, "", "-1 if none"), ("text", _S, "", "")),
    )
}  # fmt: skip
