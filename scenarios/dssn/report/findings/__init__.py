"""Findings: what a run says about the matters its plan has.

A finding is a small function of the run that returns something only where there is something to say: a fault, a
surge, a day with a peak, two channels, a choice of places, several kinds of order. The question of the scenario
decides which come first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dssn.report.findings import channels, events, peak, places, streams
from dssn.report.findings.base import Finding, Grid, mentions, question

if TYPE_CHECKING:
    from collections.abc import Callable

    from dssn.report.data import RunData

__all__ = ["Finding", "Grid", "findings", "relevance"]

#: In the order of their weight where the question decides nothing.
_ALL: Final[tuple[Callable[[RunData], list[Finding]], ...]] = (
    events.finding,
    channels.finding,
    peak.finding,
    places.finding,
    streams.finding,
)


def relevance(data: RunData, finding: Finding) -> int:
    """Return how many words of the question a finding answers."""
    return mentions(question(data), finding.words)


def findings(data: RunData) -> list[Finding]:
    """Return all findings of a run, those that the question asks for first."""
    found = [f for make in _ALL for f in data.once(make)]
    return sorted(found, key=lambda f: -relevance(data, f))
