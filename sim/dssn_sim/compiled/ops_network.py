# mypy: disable-error-code="no-any-return"
"""The network order: which carrier service, by the shipped policies of ``dssn_models.policies.technology``.

Same choice as in Python, ties by name (``planes`` is sorted by it). A policy of the user's own is asked in Python.
"""

from __future__ import annotations

from math import inf

from dssn_sim.compiled import tape
from dssn_sim.compiled.ops_base import DELIVERIES, MACHINE, THREADS, T, value
from dssn_sim.compiled.ops_place import link_free, look
from dssn_sim.compiled.ops_route import UNKNOWN, compose, find_path
from dssn_sim.dataplane.compiled import inner, jit

__all__ = ["TECHNOLOGIES", "choose_network"]

TAPE, PLANES, PATHS, PATH_LINKS, PLACES, LINKS, ROUTE, PROVIDERS, R_DECISIONS = (
    T.tape, T.planes, T.paths, T.path_links, T.places, T.links, T.route, T.providers, T.r_decisions,
)  # fmt: skip

#: Technology policies by number (``machine.technology``).
TECHNOLOGIES = ("cheapest", "fastest", "fixed")
CHEAPEST, FASTEST, FIXED = range(3)
_NO_ROUTE, _NO_ROOM = tape.REASON["network.no_route"], tape.REASON["capacity.network"]

NEXT, ASKED = 0, 2  # else choose_network() returns -reason


@inner
def _isolation(mem: int, path: int, a: int, b: int) -> int:
    """Return the isolation of a route: of its first link between sites, else of its first access link; 0: none."""
    row, places, links = PATHS(mem)[path], PLACES(mem), LINKS(mem)
    if row.count > 0:
        return links[PATH_LINKS(mem)[row.first] >> 1].isolation
    for place in (a, b):
        if places[place].link >= 0:
            return links[places[place].link].isolation
    return 0


@inner
def _free(mem: int, path: int, a: int, b: int) -> float:
    """Return the free rate of a route as telemetry last showed it."""
    m, free = MACHINE(mem)[0], inf
    compose(mem, path, a, b)
    for i in range(m.r_links):
        free = min(free, link_free(mem, ROUTE(mem)[i]))
    return free


@jit("int64(int64, int64)")
def choose_network(mem: int, t: int) -> int:
    """Choose the carrier service of a thread's delivery; NEXT, ASKED or -reason."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    d, row, planes = DELIVERIES(mem)[th.d], TAPE(mem)[th.pc], PLANES(mem)
    a, b = d.consumer, PROVIDERS(mem)[th.d * m.n_parties]
    rate = value(mem, th.d, row.b)
    for i in range(m.n_planes):
        if find_path(mem, planes[i], a, b) == UNKNOWN:
            return ASKED
    look(mem)
    found, best, fixed = 0, -1, False
    least = (inf, inf)
    for i in range(m.n_planes):
        path = find_path(mem, planes[i], a, b)
        if path < 0:
            continue
        found += 1
        fixed = fixed or planes[i] == m.fixed
        free = _free(mem, path, a, b)
        if _isolation(mem, path, a, b) < row.a or free < rate:
            continue
        key = (m.r_price, m.r_delay_s) if m.technology == CHEAPEST else (m.r_delay_s, -free)
        if best < 0 or key < least:
            best = planes[i]
            least = key
    if m.technology == FIXED:
        best = m.fixed if fixed else -1
    m.ask_a, m.ask_b = (a, b) if found == 0 else (-2, -1)  # what a refusal names
    if found == 0:
        return NEXT if a == b else -_NO_ROUTE
    reason = 0
    if best < 0:
        reason = _NO_ROUTE if m.technology == FIXED else _NO_ROOM
    if d.detail:
        out = R_DECISIONS(mem)[m.n_r_decisions]
        m.n_r_decisions += 1
        out.number = d.number
        out.at_s = m.now
        out.kind = 2
        out.choice = best if reason == 0 else -1 - reason
        out.candidates = found
    if reason:
        return -reason
    d.technology = best
    return NEXT
