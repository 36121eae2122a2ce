"""Templates: the life of all orders of one kind, written down as a tape (see ``tape``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dssn_models.engines.api import JobCost, RoleNeed
from dssn_models.plan import JobStepPlan, Plan, StreamPlan
from dssn_models.policies.technology import ISOLATION_RANK
from dssn_sim.compiled import tape
from dssn_sim.compiled.assemble import OPERATIONS, Assembly
from dssn_sim.compiled.layout import PLAN
from dssn_sim.compiled.tape import CONSUMER, HERE, NO_WAIT, PHASE_OF, STATE, Binding

__all__ = ["JobShape", "Lives", "Refs", "Template", "bound_order", "candidates_of", "shape_of"]

_OPERATION: Final = {pair: i for i, pair in enumerate(OPERATIONS)}
_DATA: Final = {name: i for i, name in enumerate(tape.DATA)}
_NO_NEED: Final = RoleNeed()
_NOTE: Final = {name: i for i, name in enumerate(tape.NOTES)}


class Refs:
    """References to the numbers of a template's orders: constants of all templates, columns of its own."""

    def __init__(self, consts: dict[float, int]) -> None:
        self._consts = consts
        self.columns: list[NDArray[np.float64]] = []
        self._known: dict[int, int] = {}

    def of(self, number: Any) -> int:
        """Return the reference to a number or to a column of numbers."""
        if isinstance(number, np.ndarray) and number.ndim:
            found = self._known.get(id(number))
            if found is None:
                found = self._known[id(number)] = len(self.columns)
                self.columns.append(number)
            return found
        return -1 - self._consts.setdefault(float(number), len(self._consts))


@dataclass(frozen=True, slots=True)
class JobShape:
    """An engine run with references in place of numbers."""

    name: tuple[Any, ...]  # id, engine, what it comes after, candidates
    roles: tuple[tuple[str, int, int, int, int], ...]  # name; cores, min_cores, memory, enclave
    steps: tuple[tuple[Any, ...], ...]  # rows of step_defs with their works and sends
    attested: tuple[str, ...]  # roles that may need an enclave
    result: int
    step: JobStepPlan = field(compare=False)


@dataclass(frozen=True, slots=True)
class Template:
    """What the results must know of a life."""

    stream: StreamPlan
    alternate: bool
    parties: int
    columns: int

    @property
    def steps(self) -> tuple[JobStepPlan, ...]:
        """The engine runs."""
        return self.stream.alternate if self.alternate else self.stream.steps


def bound_order(roles: Sequence[str]) -> list[str]:
    """Return the roles in the order in which they are bound: providers, consumer, then the placed ones."""
    hosts = [r for r in roles if r.startswith("host")]
    guest = [r for r in roles if r == "guest"]
    return [*hosts, *guest, *(r for r in roles if r not in hosts and r != "guest")]


def candidates_of(plan: Plan, step: JobStepPlan, role: str) -> tuple[str, ...]:
    """Return the nodes that may run a placed role, by id."""
    wanted = ("tee_pool",) if role == "tee" else ("pool", "relay")
    found = step.candidates or tuple(n.id for n in plan.nodes if n.role in wanted)
    return tuple(sorted(found))


def shape_of(assembly: Assembly, step: JobStepPlan, parties: int, cost: JobCost, refs: Refs) -> JobShape:
    """Return the shape of an engine run of a group of orders with the same steps."""
    roles, attested = [], []
    for role in bound_order(list(assembly.engine(step).roles(parties))):
        need = (
            cost.needs.get(role) or (cost.needs.get("host") if role.startswith("host") else None) or _NO_NEED
        )
        roles.append(
            (role, refs.of(need.cores), refs.of(need.min_cores), refs.of(need.memory_bytes), refs.of(need.enclave_bytes))
        )  # fmt: skip
        if np.any(np.asarray(need.enclave_bytes) > 0):
            attested.append(role)
    position = {r[0]: i for i, r in enumerate(roles)}
    steps = tuple(
        (
            tuple((position[r], refs.of(w)) for r, w in s.work),
            tuple((position[a], position[b], refs.of(x)) for a, b, x in s.traffic),
            refs.of(s.overlap), refs.of(s.rounds), refs.of(s.cores), refs.of(s.accelerable),
            assembly.operators.of(s.operator) if s.operator else -1, _DATA[s.data], int(s.in_enclave),
        )
        for s in cost.steps
    )  # fmt: skip
    name = (step.id, step.engine, step.after, step.candidates)
    return JobShape(name, tuple(roles), steps, tuple(attested), refs.of(cost.result_bytes), step)


class Lives:
    """Writes templates; equal ones are written once."""

    def __init__(self, assembly: Assembly) -> None:
        self.assembly = assembly
        self.consts: dict[float, int] = {}
        self.templates: list[Template] = []
        self.role_names: list[tuple[str, str]] = []  # of role_defs: role and engine
        self._known: dict[tuple[Any, ...], int] = {}
        self._rows: dict[str, list[Any]] = {
            name: [] for name in (
                "tape", "templates", "job_defs", "role_defs", "candidates", "step_defs", "work_defs", "send_defs",
                "pair_defs",
            )
        }  # fmt: skip
        self._candidates: dict[tuple[int, ...], int] = {}
        self._jobs: dict[JobShape, int] = {}
        self._load = self._branch(
            [("PULL", 4), ("CALL", "registry", "pull"), ("FETCH",), ("VERIFY",), ("START",)]
        )
        self._open = self._branch(
            [
                ("ACQUIRE", 5),
                ("CALL", "dsp.transport", "channel"),
                ("CALL", "ca", "status"),
                ("SHAKE",),
                ("OPENED",),
            ]
        )

    # ------------------------------------------------------------ rows

    def _op(self, name: str, a: int = 0, b: int = 0, c: int = 0) -> int:
        """Append an operation; return its position."""
        self._rows["tape"].append((tape.OPS[name], a, b, c))
        return len(self._rows["tape"]) - 1

    def _aim(self, at: int, field: int) -> None:
        """Let an operand of the operation ``at`` name the next position."""
        row = list(self._rows["tape"][at])
        row[field] = len(self._rows["tape"])
        self._rows["tape"][at] = tuple(row)

    def _call(self, kind: str, operation: str, flags: int = 0, where: int = CONSUMER) -> None:
        self._op("CALL", _OPERATION[kind, operation], flags, where)

    def _branch(self, ops: list[tuple[Any, ...]]) -> int:
        """Append the tape of a branch; its first operation may jump to the given operation of the branch."""
        start = len(self._rows["tape"])
        for op in ops:
            if op[0] == "CALL":
                self._call(op[1], op[2], NO_WAIT, HERE)
            else:
                self._op(op[0], *(start + x for x in op[1:]))
        self._op("BRANCH_END")
        return start

    def write(self) -> None:
        """Hand the tables to the machine."""
        for name, rows in self._rows.items():
            table = np.zeros(len(rows), PLAN[name])
            if rows and isinstance(rows[0], dict):
                for field_name in rows[0]:
                    table[field_name] = [row[field_name] for row in rows]
            else:
                table[:] = rows
            self.assembly.state.put(name, table)
        self.assembly.state.put("consts", np.array(list(self.consts), float))

    # ------------------------------------------------------------ templates

    def template(
        self, stream: int, jobs: Sequence[JobShape], parties: int, *, alternate: bool, columns: int
    ) -> int:
        """Return the number of the template of these engine runs."""
        key = (stream, alternate, parties, tuple(jobs), columns)
        number = self._known.get(key)
        if number is None:
            number = self._known[key] = len(self.templates)
            plan = self.assembly.plan.streams[stream]
            self.templates.append(Template(plan, alternate, parties, columns))
            self._template(stream, plan, jobs, parties, columns)
        return number

    def _template(
        self, index: int, stream: StreamPlan, jobs: Sequence[JobShape], parties: int, columns: int
    ) -> None:
        a = self.assembly
        links = []
        if len(jobs) > 1:
            links = [self._link(k, job) for k, job in enumerate(jobs)]
        start = self._before(stream)
        if links:
            self._op("CHAIN", len(links))
            position = {job.step.id: i for i, job in enumerate(jobs)}
            for job, at in zip(jobs, links, strict=True):
                after = tuple(position[x] for x in job.step.after)
                self._op("LINK", at, self._list(after), len(after))
        else:
            self._job(jobs[0], chained=False)
        self._after(stream)
        technology = stream.net.technology
        self._rows["templates"].append(
            {
                "keep_open_s": stream.net.keep_open_s, "start": start, "cls": a.class_index[stream.cls],
                "stream": index, "parties": parties, "suite": a.suites.of(stream.net.suite), "columns": columns,
                "technology": a.technologies.of(technology) if technology is not None else 0,
                "exchange": stream.exchange is not None,
            }
        )  # fmt: skip

    def _list(self, numbers: tuple[int, ...]) -> int:
        """Return the first row of a list in ``candidates``; equal lists are kept once."""
        first = self._candidates.get(numbers)
        if first is None:
            first = self._candidates[numbers] = len(self._rows["candidates"])
            self._rows["candidates"].extend(numbers)
        return first

    def _state(self, machine: str, state: str) -> None:
        self._op("STATE_IS", STATE[machine, state], -1)

    def _phase(self, name: str, detail: str = "") -> None:
        self._op("PHASE", PHASE_OF[name], self.assembly.words.of(detail) if detail else -1)

    def _before(self, stream: StreamPlan) -> int:
        """From the order to the begin of the chain."""
        traded = stream.exchange is not None
        start = len(self._rows["tape"])
        self._phase("order")
        self._state("order", "acknowledged")
        if "admission" in self.assembly.plan.policies:
            self._op("ADMIT", 1 if self.assembly.plan.policies["admission"].name == "always" else 2)
        if traded:
            self._call("exchange", "trade")
        self._call("dsp.access", "authenticate")
        self._op("TRUST")
        self._op("NOTE", _NOTE["order"])
        self._call("dsp.delivery", "order")
        self._state("order", "inProgress")
        self._op("PHASE_END")
        self._phase("catalogue")
        self._call("dsp.access", "catalogue")
        self._op("PHASE_END")
        self._phase("negotiation")
        self._state("negotiation", "REQUESTED")
        self._call("dsp.delivery", "contract")
        self._op("NEGOTIATE")
        self._op("NOTE", _NOTE["contract"])
        self._op("PHASE_END")
        self._phase("review")
        self._call("review", "review")
        review = self._op("REVIEW")
        self._state("order", "held")
        self._call("reviewers", "human")
        self._state("order", "inProgress")
        self._op("HUMAN")
        self._aim(review, 1)
        self._op("NOTE", _NOTE["review"])
        self._op("PHASE_END")
        self._phase("network_order")
        if stream.net.technology is None and "technology" in self.assembly.plan.policies:
            net = stream.net
            rate = self.consts.setdefault(float(net.rate_bps or 0.0), len(self.consts))
            self._op("CHOOSE_NETWORK", ISOLATION_RANK[net.isolation], -1 - rate)
        self._op("PHASE_END")
        self._state("job", "Initialized")
        self._state("job", "Pending")
        return start

    def _after(self, stream: StreamPlan) -> None:
        """From the end of the chain to release."""
        self._state("job", "Succeeded")
        self._phase("deliver")
        self._state("transfer", "REQUESTED")
        self._state("transfer", "STARTED")
        self._op("QUALITY")
        self._call("dsp.delivery", "deliver")
        self._state("transfer", "COMPLETED")
        self._op("NOTE", _NOTE["receipt"])
        self._op("PHASE_END")
        self._op("MARK", 0)
        self._phase("evidence")
        self._call("dsp.supervision", "audit")
        self._op("MARK", 1)
        self._call("ledger", "append")
        self._op("PROVE")
        self._op("PHASE_END")
        self._phase("meter")
        self._call("dsp.supervision", "meter")
        self._op("PHASE_END")
        self._phase("settle")
        self._call("dsp.supervision", "settle")
        if stream.exchange is not None:
            self._call("exchange", "settle")
        self._op("MARK", 2)
        self._op("PHASE_END")
        self._phase("release")
        self._state("order", "completed")
        self._op("PHASE_END")
        self._op("END")

    # ------------------------------------------------------------ engine runs

    def _link(self, k: int, job: JobShape) -> int:
        start = len(self._rows["tape"])
        self._job(job, chained=True)
        self._op("BRANCH_END", k + 1)
        return start

    def _job(self, job: JobShape, *, chained: bool) -> None:
        number = self._job_def(job)
        positions = {r[0]: i for i, r in enumerate(job.roles)}
        name = job.step.id
        self._op("JOB", number)
        self._phase("plan", name)
        self._call("dsp.scheduling", "plan", NO_WAIT)
        self._op("BIND")
        for role, at in positions.items():
            if role != "guest" and not role.startswith("host"):
                self._op("PLACE", at)
        self._op("CHECK_NODES")
        self._op("PHASE_END")
        self._op("NODES_UP")
        self._phase("coallocate", name)
        self._op("ALLOCATE", self.assembly.words.of(name) if chained else -1)
        self._op("PHASE_END")
        self._phase("load", name)
        self._op("LOAD", self._load)
        self._op("PHASE_END")
        self._phase("channel", name)
        self._op("OPEN", self._open)
        self._op("PHASE_END")
        if job.attested:
            self._phase("attest", name)
            self._op("ATTEST_BEGIN")
            for role in job.attested:
                at = positions[role]
                enclave = self._op("ENCLAVE", at)
                self._call("dsp.security", "attest_policy", NO_WAIT, at)
                self._call("verifier", "verify", NO_WAIT, at)
                self._op("APPRAISE", at)
                self._aim(enclave, 2)
            self._op("ATTEST_END")
            self._op("PHASE_END")
        self._phase("run", job.step.engine)
        for k in range(len(job.steps)):
            self._op("STEP", self._rows["job_defs"][number]["step0"] + k)
        self._op("PHASE_END")
        self._op("JOB_END")

    def _job_def(self, job: JobShape) -> int:
        """Write the definition of an engine run; equal ones are written once."""
        rows, a = self._rows, self.assembly
        known = self._jobs.get(job)
        if known is not None:
            return known
        role0, step0, pair0 = len(rows["role_defs"]), len(rows["step_defs"]), len(rows["pair_defs"])
        provider, by_name = 0, sorted(r[0] for r in job.roles)
        for role, *needs in job.roles:
            bind, arg, first, count = Binding.PLACED, 0, 0, 0
            if role == "guest":
                bind = Binding.CONSUMER
            elif role.startswith("host"):
                bind, arg, provider = Binding.PROVIDER, provider, provider + 1
            else:
                nodes = tuple(a.node_index[c] for c in candidates_of(a.plan, job.step, role))
                first, count = self._list(nodes), len(nodes)
            self.role_names.append((role, job.step.engine))
            reported = role in ("tee", "arbiter")
            cores, least, memory, enclave = needs
            rows["role_defs"].append(
                {
                    "bind": bind, "arg": arg, "first": first, "count": count, "cores": cores, "min_cores": least,
                    "memory": memory, "enclave": enclave, "reported": reported, "order": by_name.index(role),
                }
            )  # fmt: skip
        pairs: dict[tuple[int, int], None] = {}
        for works, sends, *rest in job.steps:
            rows["step_defs"].append(
                (len(rows["work_defs"]), len(works), len(rows["send_defs"]), len(sends), *rest)
            )
            rows["work_defs"].extend(works)
            rows["send_defs"].extend(sends)
            pairs.update(dict.fromkeys((s, t) for s, t, _x in sends))
        rows["pair_defs"].extend(pairs)
        engine = a.engines.of(job.step.engine)
        number = self._jobs[job] = len(rows["job_defs"])
        rows["job_defs"].append(
            {
                "role0": role0, "roles": len(job.roles), "step0": step0, "steps": len(job.steps), "pair0": pair0,
                "pairs": len(pairs), "engine": engine, "image": engine, "step": a.words.of(job.step.id),
                "result": job.result,
            }
        )  # fmt: skip
        return number
