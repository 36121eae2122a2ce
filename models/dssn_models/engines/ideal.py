"""Time of a step list on idle resources: the formula that all backends must reproduce without contention.

A step takes ``max(C, N) + a * min(C, N) + rounds * RTT``; steps follow one another. C is the
longest computing time of any role, N the longest sending or receiving time of any role (links are
full duplex; a role's pairs share its link).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from dssn_models.crypto.suites import bulk_core_s
from dssn_models.engines.api import JobCost, RoleNeed, Step

__all__ = ["TCP_OVERHEAD", "StepTime", "ideal_steps", "ideal_time"]

#: Ethernet bytes per payload byte of full TCP segments: (1460 - 12 + 52 + 14) / 1448, RFC 9293 and 7323.
TCP_OVERHEAD = 1514.0 / 1448.0

_NO_NEED = RoleNeed()


@dataclass(frozen=True, slots=True)
class StepTime:
    """Parts of one step's time in seconds."""

    name: str
    compute_s: float
    network_s: float
    latency_s: float
    total_s: float


def ideal_steps(
    job: JobCost,
    cores: float | Mapping[str, float],
    bandwidth_bps: float,
    rtt_s: float,
    overhead: float = 1.0,
    speed: float = 1.0,
    suite: str = "none",
) -> list[StepTime]:
    """Return the time of each step on idle resources.

    Parameters
    ----------
    job : JobCost
        From an engine.
    cores : float or Mapping
        Cores of each role's node.
    bandwidth_bps : float
        Of each role's link, in each direction.
    rtt_s : float
        Round-trip time between any two roles.
    overhead : float
        Bytes on the link per payload byte (:data:`TCP_OVERHEAD` for bare TCP).
    speed : float
        Of the cores, relative to the reference core of the cost table.
    suite : str
        Channel encryption at both ends (``none``: in the clear).
    """
    return [_step_time(step, job, cores, bandwidth_bps, rtt_s, overhead, speed, suite) for step in job.steps]


def _step_time(
    step: Step,
    job: JobCost,
    cores: float | Mapping[str, float],
    bandwidth_bps: float,
    rtt_s: float,
    overhead: float,
    speed: float,
    suite: str,
) -> StepTime:
    load: dict[str, float] = defaultdict(float)
    for role, work in step.work:
        load[role] += work
    for source, target, size in step.traffic:
        cipher = bulk_core_s(suite, size)
        for role in (source, target) if cipher else ():
            load[role] += cipher
    compute = 0.0
    for role, work in load.items():
        have = cores[role] if isinstance(cores, Mapping) else cores
        usable = min(have, job.needs.get(role, _NO_NEED).cores, step.cores)
        compute = max(compute, work / (usable * speed))
    sent: dict[tuple[str, str], float] = defaultdict(float)
    for source, target, size in step.traffic:
        sent[source, "out"] += size
        sent[target, "in"] += size
    network = max(sent.values(), default=0.0) * 8.0 * overhead / bandwidth_bps
    latency = step.rounds * rtt_s
    total = max(compute, network) + step.overlap * min(compute, network) + latency
    return StepTime(step.name, compute, network, latency, total)


def ideal_time(
    job: JobCost,
    cores: float | Mapping[str, float],
    bandwidth_bps: float,
    rtt_s: float,
    overhead: float = 1.0,
    speed: float = 1.0,
    suite: str = "none",
) -> float:
    """Return the seconds of the whole run on idle resources (parameters as :func:`ideal_steps`)."""
    return sum(s.total_s for s in ideal_steps(job, cores, bandwidth_bps, rtt_s, overhead, speed, suite))
