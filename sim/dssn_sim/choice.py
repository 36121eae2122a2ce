"""Which kernel runs a plan: the readable one on SimPy, or the one in machine code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

from dssn_models.market.orders import expected_orders
from dssn_models.plan import Plan
from dssn_sim.compiled.support import why_not

__all__ = ["COMPILED_FROM", "Choice", "KernelError", "choose"]

#: Expected orders of a replication from which ``auto`` takes compiled code: below it SimPy needs seconds, and
#: nobody waits for a compiler. A function of the plan alone, so that a plan always gives the same bytes.
COMPILED_FROM: Final = 5_000


class KernelError(ValueError):
    """The kernel that a plan asks for cannot run it."""


class Choice(NamedTuple):
    """A kernel, and why it is not the other one."""

    kernel: Literal["simpy", "compiled"]
    reason: str


def choose(plan: Plan, policies: Mapping[str, Any] | None = None) -> Choice:
    """Return the kernel that runs a plan.

    Raises
    ------
    KernelError
        If the plan asks for compiled code and uses what only the SimPy kernel has.
    """
    if plan.run.kernel == "simpy":
        return Choice("simpy", "run.kernel")
    missing = why_not(plan, policies)
    if plan.run.kernel == "compiled":
        if missing:
            raise KernelError(f"run.kernel: compiled cannot run this plan: {missing}; allowed: auto, simpy")
        return Choice("compiled", "run.kernel")
    if missing:
        return Choice("simpy", missing)
    orders = sum(expected_orders(plan).values())
    if orders < COMPILED_FROM:
        return Choice("simpy", f"{orders:.0f} orders expected, fewer than {COMPILED_FROM}")
    return Choice("compiled", f"{orders:.0f} orders expected")
