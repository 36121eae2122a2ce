"""Source text of a new policy and its test, as ``dssn new policy NAME`` writes them."""

from __future__ import annotations

import keyword
import re
from string import Template
from typing import Final, NamedTuple

from dssn_models.policies.api import PolicyKind
from dssn_models.policies.registry import KINDS

__all__ = ["PolicyStub", "new_policy"]


class PolicyStub(NamedTuple):
    """File names and texts of a new policy, and the line that uses it in a scenario."""

    module: str
    file: str
    source: str
    test_file: str
    test: str
    use: str


_SOURCE: Final = Template('''\
"""$title: a $kind policy.

In a scenario:  policies: {$kind: {use: "$module:$cls"$example}}
"""

from dataclasses import dataclass
from typing import ClassVar

from dssn_models.policies.api import $imports


@dataclass
class $cls:
    """$doc"""

    kind: ClassVar[str] = "$kind"
$options
    def decide(self, view: View, now, rng):
        """$returns"""
$body
''')

_TEST: Final = Template('''\
"""Tests of $module. Run: pytest $test_file"""

import numpy as np
from $module import $cls

from dssn_models.policies.testing import check_policy, make_view


def test_conforms():
    """Legal, repeatable decisions on 200 views, ordinary and odd ones."""
    report = check_policy($cls)
    assert report.cases == 200


def test_decides_as_meant():
    """What the policy is for: change this with the policy."""
    rng = np.random.default_rng(1)
    for _ in range(100):
        view = make_view("$kind", rng)
        decision = $cls().decide(view, 0.0, rng)
$check
''')

_PARTS: Final[dict[PolicyKind, dict[str, str]]] = {
    "placement": {
        "imports": "Choose, RefuseOrder, View",
        "doc": "The node with the least work waiting, with a penalty on distance.",
        "example": ", distance: 2.0",
        "options": "    distance: float = 10.0  # seconds of waiting that one second of round trip weighs\n",
        "returns": "Return the node to run the role on (fields of a candidate: NodeView in policies/api.py).",
        "body": """\
        nodes = [c for c in view.candidates if c.up]
        if not nodes:
            return RefuseOrder("capacity.node")

        def cost(c):
            return c.backlog_core_s / (c.cores * c.core_speed) + self.distance * c.rtt_s

        best = min(nodes, key=lambda c: (cost(c), c.id))
        return Choose(best.id, reason="least wait plus distance")""",
        "check": """\
        up = {c.id for c in view.candidates if c.up}
        assert decision.node in up if up else decision.reason == "capacity.node\"""",
    },
    "routing": {
        "imports": "ChooseRoute, RefuseOrder, View",
        "doc": "The path with the smallest delay among those with room.",
        "example": ", room: 1.0e9",
        "options": "    room: float = 100e6  # free rate (bit/s) that counts as room\n",
        "returns": "Return the path to take (fields of a candidate: RouteView in policies/api.py).",
        "body": """\
        if not view.routes:
            return RefuseOrder("network.no_route")
        best = min(view.routes, key=lambda r: (r.free_bps < self.room, r.delay_s, r.id))
        return ChooseRoute(best.id, reason="smallest delay with room")""",
        "check": """\
        roomy = {r.id for r in view.routes if r.free_bps >= 100e6}
        assert not roomy or decision.route in roomy""",
    },
    "admission": {
        "imports": "Admit, RefuseOrder, View",
        "doc": "Keeps the last places for urgent orders.",
        "example": ", limit: 500",
        "options": "    limit: int = 1000  # deliveries under way at most\n"
        "    reserve: int = 100  # places that only priority 0 may take\n",
        "returns": "Return Admit or RefuseOrder.",
        "body": """\
        urgent = view.job is not None and view.job.priority == 0
        places = self.limit if urgent else self.limit - self.reserve
        return Admit() if view.in_flight < places else RefuseOrder("admission.policy")""",
        "check": """\
        assert type(decision).__name__ == "Admit"  # views hold at most 500 in flight""",
    },
    "queueing": {
        "imports": "Rank, View",
        "doc": "Short jobs first, but age counts: no job waits for ever.",
        "example": ", patience: 30.0",
        "options": "    patience: float = 60.0  # seconds of waiting that outweigh 100 core-seconds\n",
        "returns": "Return the sort key of the one waiting request; the smallest goes first.",
        "body": """\
        item = view.queue[0]
        return Rank((item.arrived_s + item.work_core_s / 100 * self.patience, float(item.id)))""",
        "check": """\
        assert decision.key[0] >= view.queue[0].arrived_s""",
    },
    "technology": {
        "imports": "ChooseTechnology, RefuseOrder, View",
        "doc": "The cheapest carrier service below a delay bound, else the fastest.",
        "example": ", bound: 0.01",
        "options": "    bound: float = 0.02  # one-way delay (s) that is good enough\n",
        "returns": "Return the carrier service to order (fields of a candidate: TechnologyView in policies/api.py).",
        "body": """\
        if not view.technologies:
            return RefuseOrder("network.no_route")
        near = [t for t in view.technologies if t.delay_s <= self.bound]
        if near:
            best = min(near, key=lambda t: (t.price_cny_per_mbps_month, t.name))
        else:
            best = min(view.technologies, key=lambda t: (t.delay_s, t.name))
        return ChooseTechnology(best.name, reason="cheapest within the bound")""",
        "check": """\
        near = {t.name for t in view.technologies if t.delay_s <= 0.02}
        assert not near or decision.technology in near""",
    },
}


def new_policy(name: str, kind: PolicyKind = "placement") -> PolicyStub:
    """Return the files of a new policy.

    Parameters
    ----------
    name : str
        What the user calls it; ``my policy``, ``my-policy`` and ``MyPolicy`` give module ``my_policy``
        and class ``MyPolicy``.
    kind : PolicyKind
        Which question it decides.

    Raises
    ------
    ValueError
        The name gives no identifier, or there is no such kind.

    Examples
    --------
    >>> stub = new_policy("near-and-free")
    >>> stub.file, stub.test_file, stub.use
    ('near_and_free.py', 'test_near_and_free.py', 'near_and_free:NearAndFree')
    """
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no kind of policy; allowed: {', '.join(KINDS)}")
    if re.fullmatch(r"[a-z][a-z0-9_]*", name):
        module, words = name, [w for w in name.split("_") if w]
    else:
        words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", re.sub(r"[^A-Za-z0-9]+", " ", name))
        module = "_".join(w.lower() for w in words)
    cls = "".join(w.capitalize() for w in words)
    if not module.isidentifier() or keyword.iskeyword(module):
        raise ValueError(f"{name!r} gives no module name; take letters, digits and - or _, a letter first")
    test_file = f"test_{module}.py"
    parts = {**_PARTS[kind], "module": module, "cls": cls, "kind": kind, "test_file": test_file,
             "title": " ".join(words).capitalize()}  # fmt: skip
    source, test = _SOURCE.substitute(parts), _TEST.substitute(parts)
    return PolicyStub(module, f"{module}.py", source, test_file, test, f"{module}:{cls}")
