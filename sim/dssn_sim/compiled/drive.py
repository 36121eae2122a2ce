"""Python's side of the machine: compiled functions, room for rows, and the loop around its questions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from dssn_sim.compiled import doors, machine, ops_allocate, ops_data, ops_end, ops_job, ops_place, ops_step
from dssn_sim.compiled.layout import LIFE, RECORDS, State
from dssn_sim.compiled.tape import ASK
from dssn_sim.dataplane import events
from dssn_sim.dataplane.batch import larger
from dssn_sim.dataplane.layout import State as SolverState

__all__ = ["Machine"]

_FUNCTIONS = {
    "start_flow": events.start_flow,
    "stop_flow": events.stop_flow,
    "settle": events.settle,
    "end_due": events.end_due,
    "begin_flow": ops_data.begin_flow,
    "finish_flow": ops_data.finish_flow,
    "begin_work": ops_data.begin_work,
    "finish_work": ops_data.finish_work,
    "cut": ops_data.cut,
    "request": ops_allocate.request,
    "give_back": ops_allocate.give_back,
    "place": ops_place.place,
    "step": ops_step.step,
    "allocate": ops_job.allocate,
    "clean_up": ops_job.clean_up,
    "fail": ops_end.fail,
    "finish": ops_end.finish,
    "advance": machine.advance,
}

#: Tables with more than one row for each row of a life table: name -> (table, field of the machine that is the width).
_WIDE = {"bound": ("jobs", "n_roles"), "columns": ("deliveries", "n_columns"), "providers": ("deliveries", "n_parties"),
         "called": ("deliveries", "n_operations")}  # fmt: skip

Drain = Callable[[str, npt.NDArray[Any]], None]  # (record table, its rows): the rows are only valid during the call


class Machine:
    """A state and a solver that run.

    Parameters
    ----------
    state : State
        Plan tables and the machine's row are set.
    solver : dataplane State
        Links, then devices; capacities and layers are set.
    drain : callable
        Takes the rows of a record table.
    """

    def __init__(self, state: State, solver: SolverState, drain: Drain) -> None:
        self.state = state
        self.solver = solver
        self._drain = drain
        doors.install(state, _FUNCTIONS)
        row = state.machine
        row["solver"] = solver.mem
        row["next_end"] = np.inf
        row["taken_s"] = -1.0
        for name in LIFE:
            row[f"free_{name}"] = -1
        self._widen()

    def run(self, until_s: float) -> int:
        """Let time pass; returns the question (``ASK``), which is SAMPLE at ``until_s``."""
        self.state.machine["until_s"] = until_s
        while True:
            question = int(machine.run(self.state.mem))
            if question != ASK.ROOM:
                return question
            self.make_room()

    def make_room(self) -> None:
        """Drain record tables and double life tables that are nearly full."""
        state, row = self.state, self.state.machine[0]
        spare = int(row["spare"])
        for name in RECORDS:
            if row[f"n_{name}"] + spare > row[f"size_{name}"]:
                self.drain(name)
        for name in ("deliveries", "threads", "jobs", "held", "callers", "channels", "requests", "needs"):
            if row[f"top_{name}"] + spare > row[f"size_{name}"]:
                self._double(name, spare)
        if row_room(state) < spare:
            self._double("heap", spare)
        self._widen()
        misc = self.solver.misc[0]
        flows, legs = len(self.solver.flows), len(self.solver.legs)
        if misc["top_flow"] + spare > flows:
            flows = 2 * flows + spare
        if misc["top_leg"] + spare * row["longest"] > legs:
            legs = 2 * legs + spare * int(row["longest"])
        if flows > len(self.solver.flows) or legs > len(self.solver.legs):
            self.solver = larger(self.solver, flows, legs)
            self._resize("flow_thread", flows)

    def drain(self, name: str) -> None:
        """Hand the rows of a record table out and empty it."""
        n = int(self.state.machine[f"n_{name}"][0])
        if n:
            self._drain(name, self.state.tables[name][:n])
            self.state.machine[f"n_{name}"] = 0

    def drain_all(self) -> None:
        """Hand out what is left in all record tables."""
        for name in RECORDS:
            self.drain(name)

    # ------------------------------------------------------------ inside

    def _resize(self, name: str, n: int) -> None:
        old = self.state.tables[name]
        if n > len(old):
            rows = np.zeros(n, old.dtype)
            rows[: len(old)] = old
            self.state.put(name, rows)

    def _double(self, name: str, spare: int) -> None:
        self._resize(name, 2 * len(self.state.tables[name]) + spare)

    def _widen(self) -> None:
        """Bring the tables that go with others to their length."""
        state, row = self.state, self.state.machine[0]
        for name, (table, width) in _WIDE.items():
            self._resize(name, len(state.tables[table]) * max(1, int(row[width])))
        self._resize("calls", len(state.callers))
        old, n = state.ready, len(state.threads)
        if n > len(old):
            first, count = int(row["ready_first"]), int(row["ready_n"])
            rows = np.zeros(n, old.dtype)
            rows[:count] = old[(first + np.arange(count)) % len(old)]
            state.put("ready", rows)
            state.machine["ready_first"] = 0


def row_room(state: State) -> int:
    """Return how many events the calendar can take."""
    head = state.head[0]
    return int(head["size"]) - int(head["n"])
