"""Choices by exhaustive search: which technology fits a need, which point of presence is near.

Both are small enough to look at everything, and say why a candidate was not taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from dssn_models.network.geo import EARTH_RADIUS_M
from dssn_models.network.technologies import (
    ACCESS_PRICE_SHARE,
    LENGTH_PRICE_SHARE,
    LINE_PRICE_LENGTH_M,
    TECHNOLOGIES,
    Technology,
    technology,
)
from dssn_models.plan import SitePlan

__all__ = ["Choice", "NetworkNeed", "PopChoice", "Unmet", "cheapest_feasible", "choose_pop", "line_delay_s"]

_STRENGTH: Final = {"none": 0, "soft": 1, "hard": 2}


@dataclass(frozen=True, slots=True)
class NetworkNeed:
    """What a line between two places must do; None means any.

    Attributes
    ----------
    rate_bps : float
        At least.
    length_m : float
        Map distance between the places.
    hops : int
        Links in between.
    """

    rate_bps: float
    length_m: float = 0.0
    hops: int = 1
    max_delay_s: float | None = None
    max_jitter_s: float | None = None
    max_loss: float | None = None
    min_availability: float | None = None
    isolation: Literal["none", "soft", "hard"] = "none"
    max_setup_s: float | None = None
    budget_cny_month: float | None = None
    detour_factor: float = 1.3


@dataclass(frozen=True)
class Choice:
    """The cheapest technology that meets the need; ``slack`` is bound minus value (SI units) per bound."""

    technology: str
    rate_bps: float
    cost_cny_month: float
    slack: Mapping[str, float]
    rejected: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Unmet:
    """No technology meets the need: the reasons of each, and the one that misses fewest bounds."""

    reasons: Mapping[str, tuple[str, ...]]
    nearest: str

    def __str__(self) -> str:
        return "; ".join(f"{name}: {', '.join(why)}" for name, why in self.reasons.items())


def line_delay_s(tech: Technology, length_m: float, hops: int, detour_factor: float) -> float:
    """Return the one-way delay (s) of a line: ``length * detour * per_km + hops * per_hop + 2 * end``."""
    factor = tech.detour_factor if tech.detour_factor is not None else detour_factor
    return length_m / 1e3 * factor * tech.per_km_s + hops * tech.per_hop_s + 2 * tech.end_s


def _bounds(need: NetworkNeed, tech: Technology, cost: float) -> list[tuple[str, float, float, float]]:
    """Return (name, value, bound, slack) of every bound of the need."""
    delay = line_delay_s(tech, need.length_m, need.hops, need.detour_factor)
    loss = 1 - (1 - tech.loss) ** need.hops
    upper = [
        ("delay_s", delay, need.max_delay_s),
        ("jitter_s", tech.jitter_s, need.max_jitter_s),
        ("loss", loss, need.max_loss),
        ("setup_s", tech.setup_s, need.max_setup_s),
        ("cost_cny_month", cost, need.budget_cny_month),
    ]
    rows = [(name, value, bound, bound - value) for name, value, bound in upper if bound is not None]
    if need.min_availability is not None:
        rows.append(
            (
                "availability",
                tech.availability,
                need.min_availability,
                tech.availability - need.min_availability,
            )
        )
    strength = _STRENGTH[tech.isolation] - _STRENGTH[need.isolation]
    rows.append(("isolation", _STRENGTH[tech.isolation], _STRENGTH[need.isolation], float(strength)))
    return rows


def cheapest_feasible(
    need: NetworkNeed, catalogue: Mapping[str, Technology] = TECHNOLOGIES
) -> Choice | Unmet:
    """Return the cheapest technology that meets every bound, or why none does.

    Cost is the next rate of the grid times the line price, a half of it for the two ends and a half
    per 1 500 km of fibre. Equal costs go to the smaller delay, then to the name.
    """
    feasible: list[tuple[float, float, str, float, dict[str, float]]] = []
    rejected: dict[str, tuple[str, ...]] = {}
    for name, tech in catalogue.items():
        rate = tech.step_for(need.rate_bps)
        if rate is None:
            largest = tech.rate_steps_bps[-1]
            rejected[name] = (f"rate {need.rate_bps:g} bit/s is over its largest, {largest:g}",)
            continue
        share = (
            2 * ACCESS_PRICE_SHARE
            + LENGTH_PRICE_SHARE * need.length_m * need.detour_factor / LINE_PRICE_LENGTH_M
        )
        cost = rate / 1e6 * tech.price_cny_per_mbps_month * share
        rows = _bounds(need, tech, cost)
        missed = tuple(
            f"isolation is {tech.isolation}, {need.isolation} is asked"
            if what == "isolation"
            else f"{what} is {value:g}, the bound is {bound:g}"
            for what, value, bound, slack in rows
            if slack < 0
        )
        if missed:
            rejected[name] = missed
        else:
            delay = line_delay_s(tech, need.length_m, need.hops, need.detour_factor)
            feasible.append((cost, delay, name, rate, {row[0]: row[3] for row in rows}))
    if not feasible:
        nearest = min(rejected, key=lambda n: (len(rejected[n]), n), default="")
        return Unmet(rejected, nearest)
    cost, _, name, rate, slack_of = min(feasible, key=lambda f: f[:3])
    return Choice(name, rate, cost, slack_of, rejected)


@dataclass(frozen=True, slots=True)
class PopChoice:
    """A chosen point of presence: round trip of the access line, its price, and the score that won."""

    site: str
    rtt_s: float
    price: float
    score: float


def choose_pop(
    lat: float,
    lon: float,
    sites: Sequence[SitePlan],
    weights: tuple[float, float] = (1.0, 0.0),
    *,
    prices: Mapping[str, float] | None = None,
    access: str = "pon",
    detour_factor: float = 1.3,
) -> PopChoice:
    """Return the site where a node at (lat, lon) attaches.

    Parameters
    ----------
    weights : tuple of float
        Weight of the round trip (per second) and of the price (per CNY); the least weighted sum wins,
        then the site id.
    prices : mapping of str to float
        Site id to price in CNY; 0 where missing.
    access : str
        Technology of the access line.
    """
    if not sites:
        raise ValueError("there is no site to choose from")
    tech = technology(access)
    p = np.radians([s.lat for s in sites])
    q = np.radians([s.lon for s in sites])
    here = np.radians(lat), np.radians(lon)
    h = np.sin((p - here[0]) / 2) ** 2 + np.cos(p) * np.cos(here[0]) * np.sin((q - here[1]) / 2) ** 2
    length = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(1.0, h)))
    own = tech.detour_factor if tech.detour_factor is not None else detour_factor
    rtt = 2 * (length / 1e3 * own * tech.per_km_s + tech.per_hop_s + 2 * tech.end_s)
    price = np.array([(prices or {}).get(s.id, 0.0) for s in sites])
    score = weights[0] * rtt + weights[1] * price
    best = min(np.flatnonzero(score == score.min()), key=lambda i: sites[int(i)].id)
    return PopChoice(sites[int(best)].id, float(rtt[best]), float(price[best]), float(score[best]))
