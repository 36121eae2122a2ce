"""Co-allocation in compiled code grants the same requests in the same order as ``nodes.allocation``."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dssn_models.nodes.allocation import Allocator
from dssn_sim.compiled.layout import FIXED, LIFE, State
from dssn_sim.compiled.ops_allocate import give_back, request

MICRO = 1_000_000


class Compiled:
    """The machine's tables as far as the allocator reads them, behind the reference's interface."""

    def __init__(self, capacities, window, max_bypass):
        n = len(capacities)
        self.state = state = State()
        for name in ("requests", "needs", "threads", "ready"):
            state.put(name, np.zeros(512, LIFE[name]))
        nodes = np.zeros(n, FIXED["nodes"])
        for i, (cores, memory) in enumerate(capacities):
            for kind in ("total", "free", "most"):
                nodes[f"{kind}_cores"][i], nodes[f"{kind}_memory"][i] = round(cores * MICRO), memory
        nodes["far"] = -1
        state.put("nodes", nodes)
        state.put("near", np.zeros(n * (2 * window + 2), np.int32))
        state.put("guards", np.zeros(n * 128, np.int32))
        state.put("dirty", np.zeros(n, np.int32))
        state.put("scratch", np.zeros(n * window + 8, np.int32))
        self.row = state.machine[0]
        self.row["window"], self.row["max_bypass"], self.row["n_guards"] = window, max_bypass, 128
        self.row["free_requests"] = self.row["free_needs"] = -1
        self.needs = 0
        self.rank = 0

    def ask(self, ident, needs, key):
        """Queue request ``ident`` (its row and thread); return what was granted."""
        state = self.state
        last = -1
        for place, (cores, memory) in needs.items():
            i, self.needs = self.needs, self.needs + 1
            row = state.needs[i]
            row["place"], row["request"], row["next"] = place, ident, -1
            row["cores"], row["memory"] = round(cores * MICRO), memory
            row["cores_f"], row["memory_f"] = cores, memory
            if last >= 0:
                state.needs[last]["next"] = i
            else:
                state.requests[ident]["need"] = i
            last = i
        self.rank += 1
        row = state.requests[ident]
        row["key0"], row["rank"], row["thread"] = key, self.rank, ident
        request(state.mem, ident)
        return self.granted()

    def back(self, ident):
        give_back(self.state.mem, ident)
        # Rows are not used again here, so that a row is the request's name.
        self.row["free_requests"] = self.row["free_needs"] = -1
        return self.granted()

    def granted(self):
        first, n = int(self.row["ready_first"]), int(self.row["ready_n"])
        size = int(self.row["size_ready"])
        found = [int(self.state.ready[(first + i) % size]) for i in range(n)]
        self.row["ready_first"], self.row["ready_n"] = (first + n) % size, 0
        return found


@pytest.mark.req("DCC-11")
@settings(derandomize=True, max_examples=150, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from([(1, 1), (2, 3), (4, 2), (32, 64)]))
def test_same_grants_as_the_reference(seed, limits):
    window, max_bypass = limits
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 5))
    capacities = [(int(rng.integers(2, 9)), int(rng.integers(2, 9)) * 10**9) for _ in range(n)]
    ours = Compiled(capacities, window, max_bypass)
    theirs = Allocator(dict(enumerate(capacities)), window=window, max_bypass=max_bypass)
    held, waiting = [], []

    def compare(got):
        assert got == theirs.ready()
        held.extend(got)
        waiting[:] = [w for w in waiting if w not in got]

    for ident in range(int(rng.integers(5, 120))):
        needs = {
            int(p): (
                float(rng.integers(0, capacities[p][0] * 2 + 1)) / 2,
                float(rng.integers(0, capacities[p][1])),
            )
            for p in rng.choice(n, size=int(rng.integers(1, n + 1)), replace=False)
        }
        key = float(rng.integers(3))
        theirs.request(ident, needs, (key,))
        waiting.append(ident)
        compare(ours.ask(ident, needs, key))
        while rng.random() < 0.45 and held + waiting:
            pool = held if held and (not waiting or rng.random() < 0.8) else waiting
            gone = pool.pop(int(rng.integers(len(pool))))
            (theirs.release if pool is held else theirs.cancel)(gone)
            compare(ours.back(gone))
        free = [tuple(theirs.free(p)) for p in range(n)]
        assert [(x["free_cores"] / MICRO, float(x["free_memory"])) for x in ours.state.nodes] == free
