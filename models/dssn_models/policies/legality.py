"""What makes a decision legal for its kind: checked by the backends and by the test kit."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from dssn_models.market.reasons import REFUSED
from dssn_models.policies.api import (
    Admit,
    Choose,
    ChooseRoute,
    ChooseTechnology,
    PolicyKind,
    Rank,
    RefuseOrder,
    View,
)

__all__ = ["EXPECTED", "fault_of"]

#: Kind to the decision types it may return (``RefuseOrder`` is legal for all but queueing).
EXPECTED: dict[str, type] = {
    "placement": Choose,
    "routing": ChooseRoute,
    "admission": Admit,
    "queueing": Rank,
    "technology": ChooseTechnology,
}


def _choose(view: View, decision: Choose) -> str:
    nodes = {c.id: c for c in view.candidates}
    if decision.node not in nodes:
        return f"{decision.node!r} is not a candidate ({', '.join(nodes)})"
    return "" if nodes[decision.node].up else f"node {decision.node!r} is down"


def _route(view: View, decision: ChooseRoute) -> str:
    ids = [r.id for r in view.routes]
    return "" if decision.route in ids else f"route {decision.route!r} is not a candidate ({ids})"


def _technology(view: View, decision: ChooseTechnology) -> str:
    names = [t.name for t in view.technologies]
    if decision.technology not in names:
        return f"{decision.technology!r} does not reach both ends ({', '.join(names)})"
    rate = decision.rate_bps
    if rate is not None and not (rate > 0 and math.isfinite(rate)):
        return f"rate_bps {rate!r} is not a positive number"
    if decision.isolation not in (None, "none", "soft", "hard"):
        return f"isolation {decision.isolation!r} is not none, soft or hard"
    return ""


def _rank(view: View, decision: Rank) -> str:
    key = decision.key
    if not isinstance(key, tuple) or not key:
        return f"key {key!r} is not a tuple of numbers"
    for part in key:
        if isinstance(part, bool) or not isinstance(part, int | float):
            return f"key part {part!r} is not a number"
        if math.isnan(part):
            return "key holds NaN, which has no order"
    return ""


_CHECKS: dict[type, Callable[[View, Any], str]] = {
    Choose: _choose,
    ChooseRoute: _route,
    ChooseTechnology: _technology,
    Rank: _rank,
}


def fault_of(kind: PolicyKind, view: View, decision: object) -> str:
    """Return what is wrong with a decision, or '' if it is legal.

    Parameters
    ----------
    kind : PolicyKind
        Which question was asked.
    view : View
        What the policy saw.
    decision : object
        What it returned.

    Examples
    --------
    >>> fault_of("queueing", View(), Rank((1.0, 2.0)))
    ''
    >>> fault_of("queueing", View(), Admit())
    'a queueing policy must return Rank, not Admit'
    """
    if isinstance(decision, RefuseOrder) and kind != "queueing":
        return "" if decision.reason in REFUSED else f"{decision.reason!r} is no reason code of a refusal"
    expected = EXPECTED[kind]
    if type(decision) is not expected:
        return f"a {kind} policy must return {expected.__name__}, not {type(decision).__name__}"
    check = _CHECKS.get(expected)
    return check(view, decision) if check is not None else ""
