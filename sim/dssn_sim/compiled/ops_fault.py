# mypy: disable-error-code="no-any-return"
"""What faults and repairs do to the machine; ``faults`` calls these between two events."""

from __future__ import annotations

from dssn_sim.compiled.doors import door
from dssn_sim.compiled.ops_base import FLOW, MACHINE, THREADS, T, ready
from dssn_sim.compiled.ops_channel import close_channel
from dssn_sim.compiled.ops_data import rescale
from dssn_sim.compiled.stations import set_up
from dssn_sim.dataplane.compiled import inner, jit
from dssn_sim.dataplane.memory import FLOWS, LEGS
from dssn_sim.dataplane.memory import NODES as SOLVER_NODES

__all__ = ["reroute", "set_node", "set_station", "tear_down"]

NODES, CHANNELS = T.nodes, T.channels
_stop_flow, _finish_flow = door("stop_flow"), door("finish_flow")


@jit("void(int64, int64, int64)")
def set_station(mem: int, s: int, servers: int) -> None:
    """Let so many servers of a station work from now on."""
    set_up(mem, s, servers, MACHINE(mem)[0].now)


@jit("void(int64, int64, boolean)")
def set_node(mem: int, place: int, up: bool) -> None:  # noqa: FBT001
    """Take a node's cores away or give them back."""
    NODES(mem)[place].up = up
    MACHINE(mem)[0].dirty = 1
    rescale(mem, place)


@jit("void(int64, int64)")
def tear_down(mem: int, place: int) -> None:
    """Close all channels of a node."""
    channels = CHANNELS(mem)
    for c in range(MACHINE(mem)[0].top_channels):
        row = channels[c]
        if row.listed and row.ready and (row.a == place or row.b == place):
            close_channel(mem, c)


@inner
def _crosses(mem: int, slot: int, link: int) -> bool:
    solver = MACHINE(mem)[0].solver
    flow = FLOWS(solver)[slot]
    for leg in range(flow.r0, flow.r0 + flow.rn):  # noqa: SIM110
        if SOLVER_NODES(solver)[LEGS(solver)[leg].node].link == link:
            return True
    return False


@jit("void(int64, int64)")
def reroute(mem: int, link: int) -> None:
    """Take the transfers on a directed link off it; what is left of each looks for another route."""
    m, threads = MACHINE(mem)[0], THREADS(mem)
    for t in range(m.top_threads):
        th = threads[t]
        if th.wait == FLOW and _crosses(mem, th.at, link):
            left = _stop_flow(mem, (m.solver, th.at, m.now, False))
            m.dirty = 1
            done = max(th.amount - left / 8.0, 0.0)
            th.wire += done
            th.left = max(0.0, th.left - done / th.factor)
            if th.left > 1e-6:
                ready(mem, t)
            else:
                th.amount = 0.0
                _finish_flow(mem, (mem, t))
