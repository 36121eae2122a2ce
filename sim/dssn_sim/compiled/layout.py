"""The machine's memory: every table, its columns, and who writes it.

Compiled code gets one number, the address of a table of addresses (as in :mod:`dssn_sim.compiled.memory`, whose
five tables come first). Rows refer to each other by number; -1 is none. Three kinds of tables:

- *plan*: written once by ``assemble`` from the plan; the machine only reads them.
- *life*: rows of what is under way, reused through free lists and doubled when they fill up.
- *record*: rows of results; the machine appends and Python drains them when they fill up.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from dssn_sim.compiled import memory

__all__ = ["FIXED", "LIFE", "PLAN", "RECORDS", "SPARE", "TABLES", "State"]

#: Rows that each life and record table keeps free at the begin of an event, beyond the plan's own widths.
SPARE: Final = 256


def _row(**fields: str) -> np.dtype[Any]:
    """Return an aligned record; names ending in ``_s`` are seconds."""
    return np.dtype(list(fields.items()), align=True)


# ------------------------------------------------------------------ plan

PLAN: Final[dict[str, np.dtype[Any]]] = {
    # One operation of a tape: tape.Op and its operands.
    "tape": _row(op="i4", a="i4", b="i4", c="i4"),
    # Constants that operands refer to as -1 - row (references >= 0 are columns of the order, see tape.py).
    "consts": np.dtype("f8"),
    # Priority classes; layer is the position of the priority among all priorities in use.
    "classes": _row(weight="f8", priority="i4", layer="i4"),
    # One life: where its tape begins, and what all its orders share.
    "templates": _row(
        keep_open_s="f8", start="i4", cls="i4", stream="i4", parties="i4",
        suite="i4",  # row 0 of suites is the one that images are fetched with
        technology="i4",  # code of the carrier service ordered, 0: none (see paths)
        exchange="i4",  # 1: traded through an exchange
        columns="i4",  # floats of an order
    ),
    # One engine run of a template.
    "job_defs": _row(
        role0="i4", roles="i4",  # rows in role_defs, in the order in which roles are bound
        step0="i4", steps="i4",  # rows in step_defs
        pair0="i4", pairs="i4",  # rows in pair_defs: (source, target) of all traffic, in order, distinct
        engine="i4", image="i4",
        step="i4",  # code of the step's id (detail of its phases)
        result="i4",  # reference: bytes of the result
    ),
    # One role of an engine run. Positions of roles count from the job's first.
    "role_defs": _row(
        bind="i4",  # tape.Binding
        arg="i4",  # number of the provider, or position of the role it is another name of
        first="i4", count="i4",  # rows in candidates, sorted by node id
        cores="i4", min_cores="i4", memory="i4", enclave="i4",  # references
        reported="i4",  # 1: where it ran is the delivery's run_site (tee and arbiter)
        order="i4",  # position by name among the job's roles
    ),
    "candidates": np.dtype("i4"),
    "step_defs": _row(
        work0="i4", works="i4",  # rows in work_defs
        send0="i4", sends="i4",  # rows in send_defs
        overlap="i4", rounds="i4", cores="i4", accelerable="i4",  # references
        operator="i4",  # column of speedups; -1: none
        data="i4",  # tape.DATA
        in_enclave="i4",
    ),
    "work_defs": _row(role="i4", core_s="i4"),  # core_s: reference
    "send_defs": _row(source="i4", target="i4", payload="i4"),  # payload: reference
    "pair_defs": _row(source="i4", target="i4"),
    # Places: first all nodes of the plan in its order, then all sites (equipment without access link).
    "places": _row(
        cores="f8", speed="f8", memory="f8", cache="f8", price="f8",  # price: CNY per hour
        engines="u8",  # bit set of the engines it offers
        site="i4",
        link="i4",  # access link; -1: none
        reserved="i4",  # 1: cores are reserved; 0: shared
        tee="i4", form="i4",
        speedup="i4",  # row of speedups; -1: no accelerators
        rank="i4",  # position by id
    ),
    "speedups": np.dtype("f8"),  # [row, operator] of the best card; 1: none
    "tees": _row(
        enclave="f8", slowdown="f8", paging="f8", start_s="f8", start_s_per_byte="f8", eviction="f8",
        quote_s="f8", verify_s="f8",
    ),
    # forms: bit set of node forms that take it; cores and memory: least node of its weight class.
    "engines": _row(cores="f8", memory="f8", forms="u8", bit="u8"),
    "images": _row(bytes="f8", start_s="f8", verify_s_per_byte="f8"),
    # record: bytes on TCP per payload byte; bulk: core-seconds of one end per byte; the rest of one handshake.
    "suites": _row(
        record="f8", bulk="f8", shake_bytes="f8", rounds="f8", client="f8", server="f8",
    ),
    "links": _row(
        delay_s="f8", overhead="f8", price="f8", rate_ab="f8", rate_ba="f8", technology="i4", shared="i4",
        down="i4",
        isolation="i4",  # 0 none, 1 soft, 2 hard
    ),
    # Site-to-site paths: [technology code, source site, target site] -> row of paths; -1: not asked yet, -2: none.
    "path_of": np.dtype("i4"),
    "paths": _row(
        delay_s="f8", overhead="f8", price="f8", narrow="f8", first="i4", count="i4",
        narrow_link="i4",  # directed; -1: no link
    ),
    "path_links": np.dtype("i4"),
    "planes": np.dtype("i4"),  # codes of the carrier services, by name
    "rtt": np.dtype("f8"),  # [site, site] of control paths; NaN: not asked yet
    # [operation, site] -> row of desks; -1: the scenario has no such service.
    "desk_of": np.dtype("i4"),
    "desks": _row(
        bytes="f8", before_s="f8", after_s="f8", rtt_s="f8", batch_s="f8", key="u8",
        station="i4", operation="i4", dist="i4", by_priority="i4",  # 1: the station serves by priority class
    ),
    "dists": _row(a="f8", b="f8", low="f8", high="f8", kind="i4", first="i4", count="i4"),
    "points_p": np.dtype("f8"),  # quantiles of table distributions
    "points_x": np.dtype("f8"),
    "registry": np.dtype("i4"),  # [site] -> place of the image registry that serves it; -1: none
    # Addresses of compiled functions that other compiled functions call (see machine.doors).
    "doors": np.dtype("i8"),
    # Orders of the present block, by time; floats and ints begin at x and p.
    "orders": _row(
        arrived_s="f8", far_s="f8",  # far: round-trip time to the farthest provider
        deadline_s="f8",  # absolute; inf: none
        number="i8", x="i8", p="i8",
        template="i4", consumer="i4",
        verdict="i1", human="i1",  # of review and of the person: tape.PASS, tape.APPROVAL, or tape.REFUSE + reason
        defect="i1", detail="i1",  # detail: 1: keep its phases, flows ...
    ),
    "xs": np.dtype("f8"),
    "ps": np.dtype("i4"),  # places of the providers
}  # fmt: skip

# ------------------------------------------------------------------ life

_DELIVERY = _row(
    arrived_s="f8", far_s="f8", deadline_s="f8", opened_s="f8", receipt_s="f8", settled_s="f8", written_s="f8",
    job_began_s="f8", job_ended_s="f8",
    control_bytes="f8", wire="f8", payload="f8", raw="f8", core_s="f8", queue_s="f8", attest_s="f8", price="f8",
    wait_s="f8",  # of all phases so far
    tee_s="f8", result_bytes="f8", number="i8",
    template="i4", cls="i4", consumer="i4", technology="i4", run_place="i4", main="i4", attempts="i4",
    jobs="i4",  # engine runs whose results were collected
    decided="i4",  # decisions of the placement policy so far
    next="i4",  # free list
    reason="i4", about="i4", about2="i4",
    phase="i1", verdict="i1", human="i1", defect="i1", detail="i1", notes="i1",
    order="i1", negotiation="i1", job="i1", transfer="i1",  # states (tape.STATE), -1: not begun
)  # fmt: skip

#: What a delivery or a branch of it is doing; see machine.py.
_THREAD = _row(
    start_s="f8", amount="f8", left="f8", payload="f8", wire="f8", ideal_s="f8", price="f8", factor="f8", rate="f8",
    most="f8", latency_s="f8", waited_s="f8",
    phase_s="f8", phase_wait="f8",
    event="i8",  # number of the calendar's event that it waits for
    patience="i8",  # of the event at which it gives a call up; 0: never
    d="i4", job="i4", pc="i4",
    at="i4",  # row of what it waits for: call, channel, request, flow, device ...
    parent="i4", children="i4", child="i4", sister="i4",  # branches: still running, first, next
    a="i4", b="i4",  # places it works on
    detail="i4",  # code of the phase's detail
    path="i4", narrow="i4", data="i4",
    next="i4", prev="i4",  # in a list of those that wait for the same thing
    reason="i4", about="i4", about2="i4",
    wait="i1", sub="i1", phase="i1", refused="i1",
    owns="i1",  # it pulls the image (1) or opens the channel (2) that others wait for
)  # fmt: skip

LIFE: Final[dict[str, np.dtype[Any]]] = {
    "deliveries": _DELIVERY,
    "threads": _THREAD,
    # One engine run under way.
    "jobs": _row(
        since="i8",  # number by which runs on a node are in order
        d="i4", thread="i4", job_def="i4", request="i4", held="i4", next="i4",
        pc="i4",  # of its JOB: where a retry goes on
        runs="i4",  # 1: it counts on its nodes (from the plan to the clean-up)
    ),
    # Roles of a job: row job * width + position.
    "bound": _row(
        promised="f8", work="f8", enclave="f8", began_s="f8", paged="f8", cores="f8", memory="f8",
        place="i4", first="i4",  # first: position of the first role on the same place
    ),
    "held": _row(channel="i4", next="i4"),  # channels a job uses
    # Who made a call: same rows as CALLS.
    "callers": _row(arrived_s="f8", service_s="f8", thread="i4", desk="i4", level="i4", next="i4"),
    "channels": _row(
        opened_s="f8", setup_s="f8", close_s="f8", armed_s="f8",
        a="i4", b="i4", suite="i4", uses="i4", users="i4", waiter="i4", last="i4", timers="i4", next="i4",
        open="i1", ready="i1", listed="i1", detail="i1",  # detail: whether the order that opened it keeps its details
    ),
    "requests": _row(
        key0="f8", key1="f8", key2="f8", rank="i8", stamp="i8", bypassed="i4", need="i4", thread="i4", next="i4",
        state="i1", guarded="i1",
    ),
    # What a request needs of one node (micro-cores, bytes); also its entry in the heap of the node's far requests.
    "needs": _row(
        cores_f="f8", memory_f="f8", cores="i8", memory="i8", place="i4", request="i4", next="i4",
        child="i4", sister="i4", prev="i4",
    ),
    "flow_thread": np.dtype("i4"),  # solver row -> thread
    "ready": np.dtype("i4"),  # ring of threads that go on now
    "columns": np.dtype("f8"),  # [delivery, column] the order's floats
    "providers": np.dtype("i4"),  # [delivery, k]
    "called": np.dtype("i4"),  # [delivery, operation] calls so far
}  # fmt: skip

#: Of fixed size: per node, link, image ...
FIXED: Final[dict[str, np.dtype[Any]]] = {
    # Present state of a node: what telemetry counts, and the allocator's.
    "nodes": _row(
        held_cores="f8", held_memory="f8", backlog="f8", held_integral="f8", queue_integral="f8", peak_memory="f8",
        changed_s="f8", enclave_used="f8", floors="f8", factor="f8", core_s="f8",
        saw_cores="f8", saw_memory="f8", saw_backlog="f8",  # as telemetry last showed it
        total_cores="i8", total_memory="i8", free_cores="i8", free_memory="i8", most_cores="i8", most_memory="i8",
        queue="i4", saw_queue="i4", near="i4", guards="i4", far="i4", dirty="i4", jobs="i4", cold="i4", warm="i4",
        work="i4", clock="i4", up="i4", revoked="i4",
    ),
    "near": np.dtype("i4"),  # [node, 2 window + 2] the first requests in order
    "dirty": np.dtype("i4"),  # nodes whose requests must be looked at again
    "guards": np.dtype("i4"),  # [node, k] guarded requests in order
    "cached": _row(bytes="f8", used="i4", waiter="i4", last="i4", held="i1", pulling="i1"),  # [node, image]
    "free_of": _row(bps="f8", look="i8"),  # [directed link] free rate as telemetry last showed it
    "buckets": np.dtype("i4"),  # hash table of open channels
    "scratch": np.dtype("i4"),  # requests or candidates at hand: 1 + window x nodes
    "route": np.dtype("i8"),  # links of the route at hand
    "in_flight": np.dtype("i8"),  # by class
}  # fmt: skip

# ------------------------------------------------------------------ records

RECORDS: Final[dict[str, np.dtype[Any]]] = {
    # One row an order that ended; what depends on the order alone (parties, assets, level) is not repeated here.
    "r_ends": _row(
        number="i8", ended_s="f8", arrived_s="f8", deadline_s="f8", opened_s="f8", receipt_s="f8", settled_s="f8",
        job_began_s="f8", job_ended_s="f8", queue_s="f8", wire="f8", payload="f8", core_s="f8", raw="f8",
        result_bytes="f8", price="f8", tee_s="f8", control_bytes="f8",
        template="i4", consumer="i4", run_place="i4", attempts="i4", technology="i4", jobs="i4",
        reason="i4",  # tape.REASONS, 0: none
        state="i1",  # 0 completed, 1 failed, 2 rejected
        phase="i1",  # last phase begun
        detail="i1",
    ),
    "r_refusals": _row(at_s="f8", number="i8", reason="i4", about="i4", about2="i4", phase="i4", template="i4"),
    "r_phases": _row(number="i8", start_s="f8", end_s="f8", wait_s="f8", phase="i4", step="i4", cls="i4"),
    "r_states": _row(number="i8", at_s="f8", state="i4", step="i4"),
    "r_flows": _row(
        number="i8", payload="f8", wire="f8", start_s="f8", end_s="f8", ideal_s="f8",
        source="i4", target="i4", cls="i4", data="i4", narrow="i4", path="i4",
    ),
    "r_proofs": _row(number="i8", written_s="f8", final_s="f8", result_bytes="f8", notes="i4", verdict="i4", technology="i4"),
    "r_enclaves": _row(number="i8", bytes="f8", start_s="f8", end_s="f8", paged="f8", attest_s="f8", place="i4"),
    "r_channels": _row(opened_s="f8", closed_s="f8", setup_s="f8", a="i4", b="i4", suite="i4", uses="i4"),
    "r_decisions": _row(number="i8", at_s="f8", kind="i4", choice="i4", candidates="i4"),
    "r_waits": _row(wait_s="f8", station="i4"),  # of calls that waited
}  # fmt: skip

# ------------------------------------------------------------------ one row for the whole

MACHINE = np.dtype(
    [
        ("now", "f8"), ("until_s", "f8"), ("next_end", "f8"), ("retry_s", "f8"), ("patience_s", "f8"), ("give_up_s", "f8"),
        ("telemetry_s", "f8"), ("taken_s", "f8"),
        ("horizon_s", "f8"), ("charged", "f8"), ("aging", "f8"),
        # the route at hand (its links stand in the table route)
        ("r_delay_s", "f8"), ("r_overhead", "f8"), ("r_price", "f8"), ("r_rate", "f8"), ("r_links", "i4"), ("r_narrow", "i4"),
        ("route_at", "i8"),  # address of that table
        ("solver", "i8"),  # memory of the data plane
        ("policy_key", "u8"),  # of the placement policy's draws
        ("stamp", "i8"), ("looks", "i8"), ("arrivals", "i8"), ("in_flight", "i8"),
        ("arrived", "i8"), ("done", "i8"), ("failed", "i8"),
        ("waiting", "i8"), ("next_order", "i8"), ("n_orders", "i8"), ("events", "i8"), ("flows", "i8"), ("open", "i8"),
        # sizes
        ("n_nodes", "i4"), ("n_sites", "i4"), ("n_links", "i4"), ("n_images", "i4"), ("n_operations", "i4"),
        ("n_columns", "i4"), ("n_parties", "i4"), ("n_roles", "i4"), ("n_operators", "i4"), ("n_buckets", "i4"),
        ("n_guards", "i4"),
        # how decisions are taken
        ("placement", "i4"), ("choices", "i4"), ("queueing", "i4"), ("technology", "i4"), ("fixed", "i4"), ("n_planes", "i4"),
        ("max_retries", "i4"), ("look_at_links", "i4"),
        ("window", "i4"), ("max_bypass", "i4"),
        # state of the loop
        ("dirty", "i4"), ("draining", "i4"), ("more_orders", "i4"), ("ready_first", "i4"), ("ready_n", "i4"), ("n_dirty", "i4"),
        ("spare", "i4"), ("longest", "i4"), ("down_links", "i4"),
        # what Python is asked for
        ("ask", "i4"), ("ask_thread", "i4"), ("ask_a", "i4"), ("ask_b", "i4"), ("ask_c", "i4"),
        *[(f"free_{name}", "i4") for name in LIFE],
        *[(f"top_{name}", "i4") for name in LIFE],
        *[(f"size_{name}", "i4") for name in LIFE],
        *[(f"n_{name}", "i4") for name in RECORDS],
        *[(f"size_{name}", "i4") for name in RECORDS],
    ],
    align=True,
)  # fmt: skip

_OWN: Final[dict[str, np.dtype[Any]]] = {**PLAN, **LIFE, **FIXED, **RECORDS, "machine": MACHINE}

#: All tables in the order of their addresses.
TABLES: Final[dict[str, np.dtype[Any]]] = {
    "head": memory.CALENDAR, "heap": memory.EVENT, "stations": memory.STATION, "levels": memory.LEVEL, "calls": memory.CALL,
    **_OWN,
}  # fmt: skip


class State:
    """All tables of one replication, by name as attributes, and their addresses.

    ``mem`` stays the same for life; setting a table anew (``state.put("paths", rows)``) writes its address.
    """

    def __init__(self) -> None:
        self.tables: dict[str, npt.NDArray[Any]] = {
            "machine": np.zeros(1, MACHINE),
            "head": np.zeros(1, memory.CALENDAR),
        }
        self._position = {name: i for i, name in enumerate(TABLES)}
        self._addresses = np.zeros(len(TABLES), np.int64)
        for name, kind in TABLES.items():
            self.put(name, self.tables.get(name, np.zeros(1, kind)))

    def __getattr__(self, name: str) -> npt.NDArray[Any]:
        try:
            return self.__dict__["tables"][name]  # type: ignore[no-any-return]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def mem(self) -> int:
        """Address of the table of addresses: what compiled functions take."""
        return int(self._addresses.ctypes.data)

    def put(self, name: str, rows: npt.NDArray[Any]) -> None:
        """Use ``rows`` as a table from now on."""
        rows = np.ascontiguousarray(rows, TABLES[name]).reshape(-1)
        if len(rows) == 0:
            rows = np.zeros(1, TABLES[name])
        self.tables[name] = rows
        self._addresses[self._position[name]] = rows.ctypes.data
        if name == "route":
            self.tables["machine"]["route_at"] = rows.ctypes.data
        if name in LIFE or name in RECORDS:
            self.tables["machine"][f"size_{name}"] = len(rows)
        elif name == "heap":
            self.tables["head"]["size"] = len(rows)
