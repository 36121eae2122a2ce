# mypy: disable-error-code="no-any-return"
"""Routes between places: access link up, path between the sites, access link down (as ``network.routing.Router``)."""

from __future__ import annotations

from math import inf

from dssn_sim.compiled.ops_base import MACHINE, T
from dssn_sim.compiled.tape import ASK
from dssn_sim.dataplane.compiled import inner

__all__ = ["NO_PATH", "UNKNOWN", "compose", "delay_of", "find_path", "site_rtt"]

PLACES, LINKS, PATHS, PATH_OF, PATH_LINKS, ROUTE, RTT = (
    T.places, T.links, T.paths, T.path_of, T.path_links, T.route, T.rtt,
)  # fmt: skip

UNKNOWN, NO_PATH = -1, -2
_ASK_PATHS, _ASK_RTT = ASK.PATHS, ASK.RTT


@inner
def find_path(mem: int, technology: int, a: int, b: int) -> int:
    """Return the path between the sites of two places, NO_PATH, or UNKNOWN (then Python is asked)."""
    m, places = MACHINE(mem)[0], PLACES(mem)
    if m.down_links > 0:
        for place in (a, b):
            if places[place].link >= 0 and LINKS(mem)[places[place].link].down:
                return NO_PATH
    n = m.n_sites
    path = PATH_OF(mem)[(technology * n + places[a].site) * n + places[b].site]
    if path == UNKNOWN:
        m.ask = _ASK_PATHS
        m.ask_a = technology
        m.ask_b = places[a].site
    return path


@inner
def delay_of(mem: int, path: int, a: int, b: int) -> float:
    """Return the one-way delay between two places (s)."""
    places, links = PLACES(mem), LINKS(mem)
    delay = PATHS(mem)[path].delay_s
    if places[a].link >= 0:
        delay += links[places[a].link].delay_s
    if places[b].link >= 0:
        delay += links[places[b].link].delay_s
    return delay


@inner
def compose(mem: int, path: int, a: int, b: int) -> None:
    """Write the route between two places over a path: its links, and its figures in the machine's row."""
    m, links, out = MACHINE(mem)[0], LINKS(mem), ROUTE(mem)
    row, up, down = PATHS(mem)[path], PLACES(mem)[a].link, PLACES(mem)[b].link
    n = 0
    m.r_delay_s = row.delay_s
    m.r_overhead = row.overhead
    m.r_price = row.price
    m.r_rate = inf
    m.r_narrow = -1
    if up >= 0:
        link = links[up]
        out[n] = 2 * up
        n += 1
        m.r_delay_s += link.delay_s
        m.r_overhead = max(m.r_overhead, link.overhead)
        m.r_price += link.price
        m.r_rate = link.rate_ab
        m.r_narrow = 2 * up
    for k in range(row.first, row.first + row.count):
        out[n] = PATH_LINKS(mem)[k]
        n += 1
    if row.narrow < m.r_rate:
        m.r_rate = row.narrow
        m.r_narrow = row.narrow_link
    if down >= 0:
        link = links[down]
        one_way = 0 if link.shared else 1
        out[n] = 2 * down + one_way
        n += 1
        m.r_delay_s += link.delay_s
        m.r_overhead = max(m.r_overhead, link.overhead)
        m.r_price += link.price
        rate = link.rate_ba if one_way else link.rate_ab
        if rate < m.r_rate:
            m.r_rate = rate
            m.r_narrow = 2 * down + one_way
    m.r_links = n


@inner
def site_rtt(mem: int, a: int, b: int) -> float:
    """Return the round-trip time of control messages between two places; NaN: Python is asked."""
    m, places = MACHINE(mem)[0], PLACES(mem)
    rtt = RTT(mem)[places[a].site * m.n_sites + places[b].site]
    if rtt != rtt:
        m.ask = _ASK_RTT
        m.ask_b = places[a].site
    return rtt
