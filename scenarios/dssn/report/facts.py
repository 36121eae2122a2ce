"""Tables of the report that are no KPIs: assumptions, simulated hardware, the run card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from dssn.report.numbers import show
from dssn_models.compute.enclave import enclave_start_s
from dssn_models.units import format_quantity

if TYPE_CHECKING:
    import pandas as pd

    from dssn.report.data import RunData

__all__ = ["assumed", "run_card", "simulated"]


#: Below this weight a constant is listed among the others.
_LEAST: Final = 0.0005


def assumed(data: RunData) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Return the assumed constants that mattered, those with the largest weight first, and the others.

    Weight of a service operation: at most its calls times its time, and at most the busy time of its
    services, as a share of the mean time from order to result. Weight of an engine constant: the share of
    all core-seconds that fell to the streams using it. Weight of the start, quote or verification of a simulated
    TEE: its seconds per completed order that used one, as a share of the time from order to result of those orders.
    """
    entries = data.fact("cost_entries", default=()) or ()
    found: dict[str, tuple[float, dict[str, str]]] = {}
    weigh = _Weights(data)
    for entry in entries:
        if not isinstance(entry, Mapping) or entry.get("confidence") != "assumed":
            continue
        share, is_service = weigh.of(entry)
        what = str(entry.get("entry", ""))
        if is_service:  # the same operation at many sites is one line
            what = f"{weigh.kinds[str(entry['used_by'][0])]}: {what.rsplit('.', 1)[-1]}"
            share += found[what][0] if what in found else 0.0
        text = _weight(min(share, 1.0))
        weight = (
            f"at most {text} of order to result" if is_service else f"in use for {text} of all core-seconds"
        )
        row = {
            "what": what,
            "value": _value(entry.get("value"), str(entry.get("unit", ""))),
            "effect": weight if share >= _LEAST else "next to none",
            "source": str(entry.get("source", "")),
        }
        found[what] = (share, row)
    enclaves = _enclave_weights(data)
    known = {str(e.get("entry", "")) for e in entries if isinstance(e, Mapping)}
    for what, value, why in data.fact("assumptions", default=()) or ():
        row = {"what": str(what), "value": str(value), "effect": "not estimated", "source": str(why)}
        seconds, share = enclaves.get(row["what"], (0.0, 0.0))
        if share >= _LEAST:
            text = show(min(share, 1.0), "share", 2)
            row["effect"] = (
                f"{show(seconds, 's')} per order with such an enclave, {text} of its order to result"
            )
        elif row["what"] in enclaves:
            row["effect"] = "next to none"
        if row["what"] not in known:
            found[row["what"]] = (share, row)
    ordered = sorted(found.values(), key=lambda r: (-r[0], r[1]["what"]))
    mattered = [row for share, row in ordered if share >= _LEAST]
    others = [row for share, row in ordered if share < _LEAST]
    return mattered, others


def _enclave_weights(data: RunData) -> dict[str, tuple[float, float]]:
    """Return, by constant of a simulated TEE, its time (s) per order that used one and its share of their time."""
    keys = ["replication", "order"]
    used = data.table("enclaves").merge(data.completed[[*keys, "order_to_result_s"]], on=keys)
    if used.empty or data.plan is None:
        return {}
    found = {}
    for tee in {n.tee.profile: n.tee for n in data.plan.nodes if n.tee is not None}.values():
        own = used[used["profile"] == tee.profile]
        times = own.drop_duplicates(keys)["order_to_result_s"]
        if own.empty or times.sum() <= 0:
            continue
        built = sum(enclave_start_s(tee, float(size)) - tee.start_s for size in own["bytes"])
        spent = {"start_s_per_byte": built}
        spent |= {name: getattr(tee, name) * len(own) for name in ("start_s", "quote_s", "verify_s")}
        for name, seconds in spent.items():
            found[f"tee.{tee.profile}.{name}"] = (seconds / len(times), seconds / float(times.sum()))
    return found


def _weight(share: float) -> str:
    return "almost all" if 0.995 <= share < 1 else "all" if share >= 1 else show(share, "share", 2)


def _value(value: Any, unit: str) -> str:
    """Return a constant with its unit; ``s per row`` keeps its second part."""
    if not isinstance(value, int | float):
        return str(value)
    first, _, rest = unit.partition(" per ")
    # Constants are shown as they are: time per row is far below any time found in a run.
    text = format_quantity(float(value), "duration") if first == "s" else show(float(value), first)
    return f"{text} per {rest}" if rest else text


def _by_name(values: pd.Series[Any]) -> dict[str, float]:
    return {str(name): float(value) for name, value in values.items()}


class _Weights:
    """How much a constant weighs in a run."""

    def __init__(self, data: RunData) -> None:
        services = data.table("services")
        deliveries = data.after_warmup("deliveries")
        done = data.completed
        self.orders = max(len(data.after_warmup("orders")), 1)
        self.mean_s = float(done["order_to_result_s"].mean()) if len(done) else 0.0
        self.calls: dict[str, float] = _by_name(services.groupby("service")["calls"].sum())
        busy = services["util"] * services["servers"] * max(data.horizon_s - data.warmup_s, 0.0)
        self.busy_s: dict[str, float] = _by_name(busy.groupby(services["service"]).sum())
        self.kinds = dict(zip(services["service"], services["kind"], strict=True))
        work = deliveries.groupby("stream")["core_s"].sum()
        self.work: dict[str, float] = _by_name(work / work.sum()) if len(work) and work.sum() > 0 else {}

    def of(self, entry: Mapping[str, Any]) -> tuple[float, bool]:
        """Return the weight, and whether it is one of a service operation."""
        users = [str(u) for u in entry.get("used_by", ())]
        if users and users[0] in self.kinds:
            spent = min(self.calls.get(users[0], 0.0) * float(entry["value"]), self.busy_s.get(users[0], 0.0))
            return (spent / self.orders / self.mean_s if self.mean_s > 0 else 0.0), True
        streams = {u.split(".", 1)[0] for u in users}
        return sum(float(self.work.get(s, 0.0)) for s in streams), False


def simulated(data: RunData) -> list[str]:
    """Return what stands in for hardware in this run."""
    found = []
    enclaves = data.table("enclaves")
    if len(enclaves):
        profiles = ", ".join(sorted(enclaves["profile"].unique()))
        found.append(
            f"TEE ({profiles}): {len(enclaves)} enclaves, simulated; no hardware attests anything here"
        )
    if data.plan is not None:
        kinds = sorted({a.kind for n in data.plan.nodes for a in n.accelerators})
        if kinds:
            found.append(f"Accelerators ({', '.join(kinds)}): simulated by a speed-up factor per operator")
        carriers = sorted({link.technology for link in data.plan.network.links})
        if carriers:
            found.append(
                f"Carrier networks ({', '.join(c.upper() for c in carriers)}): simulated by profiles of rate, delay and loss"
            )
    found.append(
        "Cryptography: its time is charged from cost tables; in this kind of run no key and no ciphertext exists"
    )
    return found


def run_card(data: RunData) -> list[tuple[str, str]]:
    """Return what one needs to repeat the run."""
    card: list[tuple[str, str]] = []

    def add(label: str, value: Any) -> None:
        if value not in (None, "", (), [], {}):
            card.append((label, str(value)))

    add("Scenario", data.fact("name", "scenario"))
    add("Scenario hash", data.fact("hash", "scenario_hash"))
    add("Result schema", data.fact("schema_version", "schema"))
    add("Backend", data.fact("backend", default="simulation"))
    add("Seed", data.fact("seed"))
    add("Replications", len(data.replications) or None)
    add("Horizon", show(data.horizon_s, "s") if data.horizon_s else None)
    add("Warm-up cut", show(data.warmup_s, "s"))
    add("Confidence of intervals", show(data.confidence, "share"))
    add("Calibration", data.fact("calibration"))
    add("Overrides", _join(data.fact("overrides")))
    add("Set on the command line", _join(data.fact("sets")))
    wall = data.fact("wall_s", "wall_time_s", "elapsed_s")
    add("Wall time", show(float(wall), "s") if isinstance(wall, int | float) else None)
    events = data.fact("events")
    add("Events", show(float(events), "") if isinstance(events, int | float) else None)
    add("Orders simulated", show(float(len(data.table("orders"))), ""))
    add("Flows simulated", show(float(len(data.table("flows"))), ""))
    kernel = data.fact("kernel")
    if isinstance(kernel, Mapping):
        add("Kernel", f"{kernel.get('name')} ({kernel.get('reason')})")
        share = kernel.get("detail_share", 1.0)
        if isinstance(share, int | float) and share < 1:
            text = (
                f"phases, states, flows, evidence, meters and bills of {show(share, 'share')} of the orders"
            )
            add("Details", f"{text}, chosen by number")
    add("Workers", data.fact("workers"))
    add("Started", data.fact("started", "started_at", "start"))
    add("State", data.fact("state", "exit_state"))
    versions = data.fact("versions")
    if isinstance(versions, Mapping):
        add("Versions", ", ".join(f"{k} {v}" for k, v in versions.items()))
    add("Platform", _join(data.fact("platform", "machine")))
    return card


def _join(value: Any) -> str | None:
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(str(v) for v in value)
    return None if value is None else str(value)
