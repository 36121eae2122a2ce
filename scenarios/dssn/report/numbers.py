"""Numbers as people read them: value with unit, interval, objective. Never a raw float."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from dssn_models.units import KINDS, format_quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dssn_sim.stats.kpi import Kpi

__all__ = [
    "TITLES",
    "KpiLike",
    "footnotes",
    "headline",
    "show",
    "show_estimate",
    "show_interval",
    "show_kpi",
    "span",
    "statistic",
    "subject",
    "title",
]


class KpiLike(Protocol):
    """What names a KPI: of one run, or paired of two."""

    @property
    def name(self) -> str:
        """Of the catalogue."""
        ...

    @property
    def stat(self) -> str:
        """Statistic."""
        ...

    @property
    def cls(self) -> str:
        """Priority class, '' for all."""
        ...

    @property
    def part(self) -> str:
        """Engine, phase, reason ..., '' for all."""
        ...


K = TypeVar("K", bound=KpiLike)

_KIND: Final = {
    "s": "duration",
    "B": "size",
    "bit/s": "rate",
    "CNY": "money",
    "core-s": "work",
    "share": "share",
}

#: KPI name to words.
TITLES: Final = {
    "orders_total": "Orders",
    "completed_share": "Completed orders",
    "order_to_result": "Order to result",
    "order_to_open": "Order to open network",
    "trade_to_settle": "Trade to settlement",
    "job_time": "Job time",
    "phase_time": "Phase time",
    "phase_wait": "Phase waiting",
    "queue_time": "Waiting per delivery",
    "slo_hit": "Deadline met",
    "admit_refuse": "Refused orders",
    "failed_share": "Failed orders",
    "throughput": "Throughput",
    "util": "Utilisation",
    "bytes": "Bytes on the data plane",
    "raw_exposed": "Raw bytes exposed",
    "channel_setup": "Channel set-up",
    "channel_leak": "Channels never closed",
    "cold_starts": "Cold engine starts",
    "cache_hit": "Engine image found on the node",
    "attest_time": "Attestation (simulated TEE)",
    "evidence_lag": "Evidence to final",
    "unit_cost": "Cost per delivery",
    "unit_bill": "Bill per delivery",
    "bill_total": "Billed in all",
}

_STATS: Final = {
    "mean": "mean", "p50": "median", "share": "share", "sum": "per replication", "max": "largest", "count": "count",
    "rate": "rate",
}  # fmt: skip


def title(name: str) -> str:
    """Return the words for a KPI name."""
    return TITLES.get(name, name.replace("_", " ").capitalize())


def statistic(stat: str) -> str:
    """Return the words for a statistic: ``p95`` is ``95 % within``."""
    if stat in _STATS:
        return _STATS[stat]
    if stat.startswith("p"):
        return f"{stat[1:]} % within"
    return stat


def subject(kpi: KpiLike) -> str:
    """Return class and part of a KPI in words; ``all`` if it is about everything."""
    return ", ".join(x for x in (kpi.part, kpi.cls) if x) or "all"


def show(value: float | None, unit: str, digits: int = 3) -> str:
    """Return a value that was found, with its unit; what is too small to mean anything is 0.

    Examples
    --------
    >>> show(754.2, "s"), show(0.9981, "share"), show(1234.0, ""), show(87.25, "1/h")
    ('12.6 min', '99.8 %', '1 234', '87.2 /h')
    >>> show(2.87e-8, "s"), show(-1.2e-15, "share"), show(1 - 1e-12, "share")
    ('0 s', '0 %', '100 %')
    """
    if value is None or not math.isfinite(value):
        return "–"
    value = _settled(value, unit)
    if unit == "share":
        return f"{_percent(100 * value, digits)} %"
    if unit in _KIND:
        return format_quantity(value, _KIND[unit], digits)
    if unit == "1/h":
        return f"{_number(value, digits)} /h"
    return f"{_number(value, digits)} {unit}".strip()


def footnotes(intervals: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return intervals with a dash where several have the same reason for none, and such reasons, each once.

    Examples
    --------
    >>> footnotes(["1 – 2 s", "none: a total", "none: a total"])
    (['1 – 2 s', '—', '—'], ['— no interval: a total'])
    >>> footnotes(["none: a total", "none: a count"])
    (['none: a total', 'none: a count'], [])
    """
    counts = Counter(text for text in intervals if text.startswith("none: "))
    reasons = [text for text, many in counts.items() if many > 1]
    marks = {r: f"— ({i})" if len(reasons) > 1 else "—" for i, r in enumerate(reasons, 1)}
    notes = [f"{mark} no interval: {reason.removeprefix('none: ')}" for reason, mark in marks.items()]
    return [marks.get(text, text) for text in intervals], notes


#: Below this a share is 0 (or 1, if it lacks no more), and a difference nothing against what it is one of.
_NOTHING: Final = 1e-9
#: A duration (s) below this is 0: no model here is finer.
_SHORTEST_S: Final = 1e-6


def _settled(value: float, unit: str, like: float = 0.0) -> float:
    """Return the value without what rounding left of a 0 or a whole; ``like`` is what a difference is one of."""
    least = _SHORTEST_S if unit == "s" else _NOTHING if unit == "share" else 0.0
    if abs(value) < max(least, _NOTHING * abs(like)):
        return 0.0
    return 1.0 if unit == "share" and abs(value - 1) < _NOTHING else value


def _percent(value: float, digits: int) -> str:
    """Keep 99.98 % apart from 100 %."""
    text = f"{value:.{digits}g}"
    if float(text) == 100 and value < 100:
        text = f"{math.floor(value * 1000) / 1000:.3f}"
    if "e-" in text:
        return f"{float(text):f}".rstrip("0").rstrip(".")
    return f"{float(text):.0f}" if "e+" in text else text


def _number(value: float, digits: int) -> str:
    if abs(value) >= 1000 or value == int(value):
        return f"{round(value):,}".replace(",", " ")
    text = f"{value:.{digits}g}"
    return f"{float(text):f}".rstrip("0").rstrip(".") if "e" in text else text


def show_kpi(kpi: Kpi) -> tuple[str, str]:
    """Return value and interval of a KPI, both in one unit with the same number of decimals.

    The interval is the reason if there is none.
    """
    if kpi.low is None or kpi.high is None:
        why = f"none: {kpi.why_no_interval}" if kpi.why_no_interval else "none"
        return show(kpi.estimate, kpi.unit), why
    if kpi.low == kpi.high:
        only = kpi.method.startswith("exact")
        return show(kpi.estimate, kpi.unit), (
            kpi.method if only else f"{show(kpi.low, kpi.unit)} in every replication"
        )
    return show_estimate(kpi.estimate, kpi.low, kpi.high, kpi.unit)


def show_interval(kpi: Kpi) -> str:
    """Return ``low – high`` with unit, or why there is none; see :func:`show_kpi`."""
    return show_kpi(kpi)[1]


#: Decimals of a percentage at most, unless it is so small that none of its digits would be seen.
_PERCENT_DECIMALS: Final = 2
#: An interval that many times as wide as the value gives the unit.
_MUCH_WIDER: Final = 10


def show_estimate(value: float, low: float, high: float, unit: str, like: float = 0.0) -> tuple[str, str]:
    """Return a value and its interval in one unit and with the same number of decimals.

    As many decimals as give the value three digits, and more if the bounds would look alike: at most four digits
    of the value, or two decimals of a percentage. The unit is that of the value, or of the interval where that is
    much wider. A share of nothing or all is a bare 0 or 100.

    Parameters
    ----------
    value, low, high : float
        In SI units.
    unit : str
        Of the KPI catalogue.
    like : float
        If the value is a difference: the size of what was compared.

    Examples
    --------
    >>> show_estimate(139.2, 115.8, 162.0, "s"), show_estimate(0.99, 0.9712, 1.0, "share")
    (('2.32 min', '1.93 – 2.70 min'), ('99.0 %', '97.1 – 100 %'))
    >>> show_estimate(0.0, 0.0, 0.00682, "share"), show_estimate(180.3, 157.0, 202.9, "")
    (('0 %', '0 – 0.7 %'), ('180', '157 – 203'))
    >>> show_estimate(0.00073, -0.022895, 0.02436, "s", like=754.0)
    ('0.7 ms', '-22.9 – 24.4 ms')
    """
    if not all(math.isfinite(v) for v in (value, low, high)):
        return show(value, unit), span(show(low, unit), show(high, unit))
    value, low, high = (_settled(v, unit, like) for v in (value, low, high))
    wide = high - low > _MUCH_WIDER * abs(value)
    factor, name = _scale(max(abs(low), abs(high)) if wide else value, unit)
    scaled = [v / factor for v in (value, low, high)]
    share = unit == "share"
    decimals = _decimals(*scaled, share=share)
    while share and value < 1 and round(scaled[0], decimals) == 100 and decimals < _PERCENT_DECIMALS:
        decimals += 1  # 99.98 % is not 100 %
    texts = [_fixed(v, decimals, share=share) for v in scaled]
    space = " " if name else ""
    return f"{texts[0]}{space}{name}", f"{texts[1]} – {texts[2]}{space}{name}"


def _fixed(value: float, decimals: int, *, share: bool) -> str:
    if share and value in (0.0, 100.0):
        return f"{value:.0f}"
    rounded = round(value, decimals)
    if share and rounded == 100 > value:
        rounded -= 10.0**-decimals
    return f"{rounded + 0.0:,.{decimals}f}".replace(",", " ")  # + 0.0: no -0


def _scale(value: float, unit: str) -> tuple[float, str]:
    """Return factor and name of the unit in which a value is shown."""
    kind = _KIND.get(unit)
    if kind is None:
        return 1.0, "/h" if unit == "1/h" else unit
    name = format_quantity(value, kind).rpartition(" ")[2] if value else ""
    return (KINDS[kind].factors[name], name) if name else (1.0, "%" if unit == "share" else unit)


def _decimals(value: float, low: float, high: float, *, share: bool) -> int:
    def digits(x: float, count: int) -> int:
        return count - 1 - math.floor(math.log10(abs(x))) if x else 0

    largest = max(abs(low), abs(high))
    wanted = digits(value, 3) if value else digits(largest, 1)
    if high > low:
        width = high - low
        if width > _MUCH_WIDER * abs(value):  # then the interval says how much of the value is to be trusted
            wanted = min(digits(value, 1), digits(width, 3))
        wanted = max(wanted, digits(width, 1))
    most = max(_PERCENT_DECIMALS, digits(value or largest, 1)) if share else digits(value or largest, 4)
    return max(min(wanted, most), 0)


def span(low: str, high: str) -> str:
    """Return two shown values as a range, a common unit once.

    Examples
    --------
    >>> span("1.5 s", "2 s"), span("59 s", "1.2 min"), span("3", "5")
    ('1.5 – 2 s', '59 s – 1.2 min', '3 – 5')
    """
    first, _, unit = low.rpartition(" ")
    if first and not unit[0].isdigit() and high.endswith(f" {unit}"):
        return f"{first} – {high}"
    return f"{low} – {high}"


_HEADLINE: Final = (
    ("orders_total", ("count",)),
    ("completed_share", ("share",)),
    ("order_to_result", ("p50", "p95", "p99")),
    ("order_to_open", ("p95",)),
    ("trade_to_settle", ("p50", "p95")),
    ("throughput", ("rate",)),
    ("slo_hit", ("share",)),
    ("admit_refuse", ("share",)),
    ("failed_share", ("share",)),
    ("evidence_lag", ("p99",)),
    ("unit_cost", ("mean",)),
)
_BY_CLASS: Final = {"order_to_result", "slo_hit", "trade_to_settle"}
_PARTS: Final = {
    ("util", "max", "nodes busy"),
    ("util", "max", "nodes held"),
    ("util", "max", "nodes busy, busiest 15 min"),
    ("util", "max", "nodes held, busiest 15 min"),
    ("util", "max", "links"),
    ("util", "max", "links, busiest 15 min"),
    ("util", "max", "services"),
    ("raw_exposed", "sum", "privacy and tee"),
}


def headline(kpis: Iterable[K]) -> list[K]:
    """Return the KPIs of the first table: those with an objective, and the ones everybody asks for.

    Serves paired KPIs of a comparison as well; they have no objectives.
    """
    found = list(kpis)
    by_key: dict[tuple[str, str], list[K]] = {}
    for kpi in found:
        by_key.setdefault((kpi.name, kpi.stat), []).append(kpi)
    chosen: list[K] = []
    for name, stats in _HEADLINE:
        for stat in stats:
            chosen += _main(name, by_key.get((name, stat), []))
        chosen += [k for k in found if k.name == name and _judged(k) and k not in chosen]
    chosen += [k for k in found if (k.name, k.stat, k.part) in _PARTS and not k.cls]
    chosen += [k for k in found if _judged(k) and k not in chosen]
    return chosen


def _judged(kpi: KpiLike) -> bool:
    return bool(getattr(kpi, "objective", ""))


def _main(name: str, rows: Sequence[K]) -> list[K]:
    whole = [k for k in rows if not k.part]
    classes = [k for k in whole if k.cls]
    if name in _BY_CLASS and len(classes) > 1 and rows[0].stat != "p99":
        return [*[k for k in whole if not k.cls], *classes]
    return [k for k in whole if not k.cls or _judged(k)]
