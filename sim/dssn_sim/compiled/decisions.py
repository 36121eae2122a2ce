"""Placement and admission by policies in Python: the machine stops, the policy is asked, the machine goes on.

A policy sees what it would see in the SimPy kernel (``Job._place``, ``Delivery._admission_view``,
``telemetry.Telemetry``) and meets the same random numbers; its decision is checked in the same way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf
from typing import Any, NamedTuple, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dssn_models.engines.api import Engine, RoleNeed
from dssn_models.engines.base import BaseEngine
from dssn_models.engines.registry import REGISTRY
from dssn_models.nodes.admission import admit
from dssn_models.plan import Plan, PolicyPlan
from dssn_models.policies.api import Admit, JobFacts, PolicyKind, RefuseOrder, View
from dssn_models.policies.failed import ask
from dssn_models.policies.registry import SHIPPED, as_policy, label, resolve
from dssn_sim.compiled.blocks import Blocks
from dssn_sim.compiled.draws import PolicyRandom
from dssn_sim.compiled.drive import Machine
from dssn_sim.compiled.lives import Template
from dssn_sim.compiled.sight import Sight
from dssn_sim.compiled.support import ASKED, COMPILED
from dssn_sim.compiled.tape import ASK, REASON

__all__ = ["Decisions", "Own", "own_policies"]

#: Kinds of decision as the machine numbers them (``r_decisions.kind``).
_KIND: dict[PolicyKind, int] = {"placement": 0, "admission": 1}


class Own(NamedTuple):
    """A policy that decides in Python, what tables call it, and whether it is a shipped one, tested to decide legally."""

    name: str
    policy: Any
    trusted: bool


def own_policies(plan: Plan, policies: Mapping[str, Any] | None = None) -> tuple[Plan, dict[PolicyKind, Own]]:
    """Return the policies of a plan that decide in Python, and the plan with none of a shipped name in their place.

    Parameters
    ----------
    plan : Plan
        What to run.
    policies : Mapping, optional
        Policy objects that replace those of the plan.
    """
    own: dict[PolicyKind, Own] = {}
    for kind in ASKED:
        if policies and kind in policies:
            policy = as_policy(policies[kind], kind, {})
            name = label(policy)
        elif kind in plan.policies and plan.policies[kind].name not in COMPILED[kind]:
            policy, name = resolve(plan.policies[kind]), plan.policies[kind].name
        else:
            continue
        own[kind] = Own(name, policy, type(policy) in SHIPPED.values())
    if not own:
        return plan, own
    return replace(plan, policies={**plan.policies, **{kind: PolicyPlan(kind, "") for kind in own}}), own


@dataclass(frozen=True, slots=True, eq=False)
class _Role:
    """A role to place, as all orders with the same run have it; numbers are references (``tape``)."""

    name: str
    engine: BaseEngine
    image: int
    candidates: tuple[int, ...]
    needs: tuple[int, ...]  # cores, least cores, bytes of memory and enclave
    work: tuple[int, ...]
    traffic: tuple[int, ...]
    rounds: tuple[int, ...]


class Decisions:
    """Answers the machine's questions to the policies of a user (see :func:`own_policies`)."""

    def __init__(self, machine: Machine, blocks: Blocks, own: dict[PolicyKind, Own]) -> None:
        self.own = own
        self._state, self._lives = machine.state, blocks.lives
        self._assembly = a = machine.assembly
        self._nodes = a.plan.nodes
        self._row = self._state.machine[0]
        self._random = {kind: PolicyRandom(a.plan.run.seed, a.replication, kind) for kind in own}
        self._said: dict[PolicyKind, deque[str]] = {kind: deque() for kind in own}
        self._roles: dict[tuple[int, int], _Role] = {}
        self._sight = Sight(machine)
        self._fitting = lru_cache(1 << 10)(self._find_fitting)

    def answer(self, question: int) -> None:
        """Decide what the machine has stopped for, and write the answer."""
        thread = self._state.threads[int(self._row["ask_thread"])]
        if question == ASK.ADMISSION:
            self._admit(thread)
        else:
            self._place(thread)

    def told(self, kinds: NDArray[Any], reasons: pa.Array) -> Any:
        """Return the column of reasons of the next decisions, with what own policies said."""
        if not self.own:
            return reasons
        out = reasons.to_pylist()
        for kind, said in self._said.items():
            for i in np.flatnonzero(kinds == _KIND[kind]):
                out[i] = said.popleft()
        return out

    # ------------------------------------------------------------ asking

    def _decide(self, kind: PolicyKind, view: View, d: Any, n: int) -> Any:
        """Return the decision; the machine records it, except for its words."""
        number, own = int(d["number"]), self.own[kind]
        rng = self._random[kind].at(number, n)
        now = float(self._row["now"])
        if own.trusted:
            decision = own.policy.decide(view, now, rng)
        else:
            decision = ask(own.policy, view, rng, kind, own.name, now, number, self._assembly.replication)
        if d["detail"]:
            self._said[kind].append(getattr(decision, "reason", ""))
        return decision

    def _admit(self, thread: Any) -> None:
        at, width = int(thread["d"]), int(self._row["n_parties"])
        d = self._state.deliveries[at]
        template = self._lives.templates[d["template"]]
        stream = template.stream
        providers = self._state.providers[at * width : at * width + template.parties].tolist()
        cls = self._assembly.plan.class_by_id[stream.cls]
        facts = JobFacts(
            str(d["number"]), stream.id, cls.id, cls.priority, template.steps[0].engine, "", 0.0, 0.0,
            _deadline(d), 0.0, tuple(self._nodes[i].id for i in (int(d["consumer"]), *providers)),
        )  # fmt: skip
        view = View(job=facts, in_flight=int(self._row["in_flight"]), state_age_s=self._sight.age_s)
        decision = self._decide("admission", view, d, 0)
        self._row["ask_c"] = 0 if isinstance(decision, Admit) else -1 - REASON[decision.reason]

    def _place(self, thread: Any) -> None:
        state, row = self._state, self._row
        at, job, k = int(thread["d"]), int(thread["job"]), int(state.tape[int(thread["pc"])]["a"])
        d = state.deliveries[at]
        template = self._lives.templates[d["template"]]
        role = self._role(int(state.jobs[job]["job_def"]), k, template)
        columns, consts = state.columns, state.consts
        first = at * int(row["n_columns"])

        def value(ref: int) -> float:
            return float(columns[first + ref] if ref >= 0 else consts[-1 - ref])

        need = RoleNeed(*map(value, role.needs))
        nodes = self._fitting(role, need)
        up = state.nodes["up"][nodes]
        if not up.all():
            nodes = nodes[up != 0]
        row["ask_b"] = len(nodes)
        if not len(nodes):
            return
        # Roles are bound in order, so those before this one have their nodes.
        bound = state.bound["place"][job * int(row["n_roles"]) :][:k].tolist()
        parties = tuple(dict.fromkeys(bound)) or (int(d["consumer"]),)
        views = self._sight.views(
            nodes, (role.engine.image, role.image), need.enclave_bytes, parties, int(d["technology"])
        )
        cls = self._assembly.plan.class_by_id[template.stream.cls]
        now = float(row["now"])
        facts = JobFacts(
            str(d["number"]), template.stream.id, cls.id, cls.priority, role.engine.name, role.name,
            sum(map(value, role.work)), sum(map(value, role.traffic)), _deadline(d), now - float(d["arrived_s"]),
            tuple(self._nodes[i].id for i in parties), rounds=int(sum(map(value, role.rounds))), cores=need.cores,
        )  # fmt: skip
        view = View(
            job=facts, candidates=views, in_flight=int(row["in_flight"]), state_age_s=self._sight.age_s
        )
        decision = self._decide("placement", view, d, int(d["decided"]))
        if isinstance(decision, RefuseOrder):
            row["ask_c"] = -1 - REASON[decision.reason]
        else:
            row["ask_c"] = self._assembly.node_index[decision.node]

    # ------------------------------------------------------------ what a policy sees

    def _role(self, job_def: int, k: int, template: Template) -> _Role:
        """Return the k-th role of a run."""
        found = self._roles.get((job_def, k))
        if found is not None:
            return found
        state = self._state
        row = state.job_defs[job_def]
        role = state.role_defs[row["role0"] + k]
        steps = state.step_defs[row["step0"] : row["step0"] + row["steps"]]
        works = [w for s in steps for w in state.work_defs[s["work0"] : s["work0"] + s["works"]]]
        sends = [x for s in steps for x in state.send_defs[s["send0"] : s["send0"] + s["sends"]]]
        name, engine = self._lives.role_names[row["role0"] + k]
        ident = self._assembly.words.words[row["step"]]
        # As the scenario names them, else in the order of the plan.
        named = next(step.candidates for step in template.steps if step.id == ident)
        known = tuple(self._assembly.node_index[c] for c in named)
        pool = state.candidates[role["first"] : role["first"] + role["count"]]
        references = [int(role[x]) for x in ("cores", "min_cores", "memory", "enclave")]
        made = self._roles[job_def, k] = _Role(
            name, REGISTRY[engine], int(row["image"]), known or tuple(np.sort(pool).tolist()),
            tuple(references),
            tuple(int(w["core_s"]) for w in works if w["role"] == k),
            tuple(int(x["payload"]) for x in sends if k in (x["source"], x["target"])),
            tuple(int(s["rounds"]) for s in steps),
        )  # fmt: skip
        return made

    def _find_fitting(self, role: _Role, need: RoleNeed) -> NDArray[np.int64]:
        """Return the candidates that can run a role at all."""
        engine = cast(Engine, role.engine)
        fit = [i for i in role.candidates if not admit(engine, need, self._nodes[i])]
        return np.array(fit, np.int64)


def _deadline(d: Any) -> float | None:
    return float(d["deadline_s"]) if d["deadline_s"] < inf else None
