"""How long each kind of order takes, what it costs, and what is lost of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dssn.report.findings.base import (
    Finding,
    Grid,
    base_of,
    completed,
    mean_text,
    mentions,
    quantile_of,
    question,
    share_of,
    told,
)
from dssn.report.numbers import show

if TYPE_CHECKING:
    from dssn.report.data import RunData

__all__ = ["finding"]

_TIMES: Final = ("how long", "time", "take", "quick", "fast", "deliver")
_COSTS: Final = ("cost", "price", "cheap", "dear", "tariff")
_ROWS: Final = 12
_NAMED: Final = 4


def finding(data: RunData) -> list[Finding]:
    """Return times (the streams that the question names first) and the dearest stream, if there are several."""
    done = completed(data)
    if done.empty:
        return []
    done = done.assign(base=base_of(done["stream"]))
    orders = data.after_warmup("orders")
    orders = orders.assign(base=base_of(orders["stream"]))
    bases = list(dict.fromkeys(s.id.split(".")[0] for s in data.plan.streams)) if data.plan else []
    bases = [b for b in bases if (done["base"] == b).any()] or sorted(done["base"].unique())
    if len(bases) < 2:
        return []
    rows, texts, shares = [], {}, {}
    total = float(done["cost_cny"].sum())
    for base in bases[:_ROWS]:
        own, asked = done[done["base"] == base], orders[orders["base"] == base]
        half, tail = (quantile_of(data, own, "order_to_result_s", q) for q in (0.5, 0.95))
        by_replication = own.groupby("replication")["cost_cny"].mean().tolist()
        cost = mean_text(data, by_replication, "CNY")
        lost = told(share_of(data, asked["state"] != "completed", asked), "share")
        count = show(len(asked) / max(len(data.replications), 1), "")
        rows.append((base, str(own["cls"].iloc[0]), count, told(half, "s"), told(tail, "s"), lost, cost))
        texts[base] = f"{base}: half within {show(half.estimate, 's')}, 95 % within {told(tail, 's')}"
        shares[base] = (float(own["cost_cny"].sum()) / total if total > 0 else 0.0, cost)
    named = [b for b in texts if mentions(question(data), (b, *b.split("-")))]
    words = (*_TIMES, *named)
    grid = Grid(
        "By kind of order",
        ("Stream", "Class", "Orders", "Half within", "95 % within", "Lost", "Cost per delivery"),
        tuple(rows),
        "From order to signed receipt; lost: refused or failed; cost: resources used. Means over the replications, "
        "intervals in brackets.",
    )
    found = []
    sentences = [f"{'; '.join(texts[b] for b in named[:_NAMED])}."] if named else []
    found.append(Finding("streams", tuple(s[0].upper() + s[1:] for s in sentences), words, (grid,)))
    top = max(shares, key=lambda b: shares[b][0])
    if shares[top][0] > 0:
        text = f"{show(shares[top][0], 'share', 2)} of the cost of resources is that of {top}, with {shares[top][1]} a delivery."
        found.append(Finding("cost", (text,), _COSTS))
    return found
