"""The calendar against a plain heap, and calls that leave a queue before their turn."""

import heapq

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dssn_sim.compiled.calendar import next_time, put, room, take
from dssn_sim.compiled.memory import CALLS, addresses, new_tables
from dssn_sim.compiled.stations import arrive, finish, withdraw
from dssn_sim.dataplane.compiled import jit
from dssn_sim.dataplane.memory import floats_at, ints_at


@jit("int64(int64, int64, int64, int64)")
def play(mem: int, ops: int, n: int, out: int) -> int:
    """Put in an event for each number of ``ops``, take one for each negative number; return how many were done."""
    times, taken = floats_at(ops), ints_at(out)
    for i in range(n):
        if room(mem) < 1:
            return i
        if times[i] >= 0.0:
            taken[i] = -put(mem, times[i], 7, i)
        elif next_time(mem) < np.inf:
            seq, what, who = take(mem)
            taken[i] = seq if what == 7 and taken[who] == -seq else 0
    return n


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.one_of(st.just(-1.0), st.integers(0, 9).map(float)), max_size=120))
def test_events_come_in_order_of_time_and_number(ops):
    tables = new_tables(1, 1, 1, 128)
    table = addresses(tables)
    times, out = np.array([*ops, *[-1.0] * len(ops)]), np.zeros(2 * len(ops), np.int64)
    assert play(table.ctypes.data, times.ctypes.data, len(times), out.ctypes.data) == len(times)
    heap, expected, seq = [], [], 0
    for t in times:
        if t >= 0:
            seq += 1
            heapq.heappush(heap, (t, seq))
            expected.append(-seq)
        else:
            expected.append(heapq.heappop(heap)[1] if heap else 0)
    assert out.tolist() == expected


@jit("int64(int64, int64)")
def withdrawn(mem: int, who: int) -> int:
    """Let calls 0 to 3 come at times 0 to 3 for 10 s each, withdraw one at 5; return the order of the ends as digits."""
    for c in range(4):
        arrive(mem, c, 0, 0, 10.0, float(c))
    order = 1 if withdraw(mem, who, 5.0) else 2
    while next_time(mem) < np.inf:
        now = next_time(mem)
        seq, _what, c = take(mem)
        if CALLS(mem)[c].event == seq:
            finish(mem, c, now)
            order = 10 * order + c
    return order


def test_a_waiting_call_can_be_withdrawn_and_one_in_service_not():
    def order(who):
        tables = new_tables(1, 1, 4, 8)
        tables.stations["servers"] = tables.stations["up"] = tables.stations["levels"] = 1
        tables.stations["limit"] = -1
        table = addresses(tables)
        result = withdrawn(table.ctypes.data, who)
        assert tables.stations["waiting"][0] == tables.stations["busy"][0] == 0
        return result

    assert [order(c) for c in range(4)] == [20123, 1023, 1013, 1012]
