"""States and phases by their standard names.

Negotiation and transfer: Dataspace Protocol 2025-1. Job: Kuscia ``KusciaJob`` and BFIA.
Co-allocation: Kuscia ``TaskResource``. Network order: TM Forum service order. The legal
transitions are tables; whoever moves a state goes through :func:`check_transition`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

__all__ = ["MACHINES", "PHASES", "IllegalTransitionError", "check_transition", "is_legal_path"]

#: Phases of a delivery in order; rows of the ``phases`` table carry these names.
PHASES: Final[tuple[str, ...]] = (
    "order", "catalogue", "negotiation", "review", "network_order", "plan", "coallocate", "load", "channel",
    "attest", "run", "deliver", "evidence", "meter", "settle", "release",
)  # fmt: skip

#: machine -> state -> states that may follow; the first state listed is the initial one.
MACHINES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "order": {
        "acknowledged": ("inProgress", "rejected", "cancelled"),
        "inProgress": ("held", "pending", "completed", "failed", "partial", "cancelled", "rejected"),
        "held": ("inProgress", "failed", "cancelled"),
        "pending": ("inProgress", "failed", "cancelled"),
        "completed": (), "failed": (), "partial": (), "cancelled": (), "rejected": (),
    },
    "negotiation": {
        "REQUESTED": ("OFFERED", "AGREED", "TERMINATED"),
        "OFFERED": ("REQUESTED", "ACCEPTED", "TERMINATED"),
        "ACCEPTED": ("AGREED", "TERMINATED"),
        "AGREED": ("VERIFIED", "TERMINATED"),
        "VERIFIED": ("FINALIZED", "TERMINATED"),
        "FINALIZED": (), "TERMINATED": (),
    },
    "job": {
        "Initialized": ("AwaitingApproval", "Pending", "Cancelled", "ApprovalReject"),
        "AwaitingApproval": ("Pending", "ApprovalReject", "Cancelled"),
        "Pending": ("Running", "Failed", "Cancelled"),
        "Running": ("Succeeded", "Failed", "Suspended", "Cancelled"),
        "Suspended": ("Running", "Failed", "Cancelled"),
        "Succeeded": (), "Failed": (), "Cancelled": (), "ApprovalReject": (),
    },
    "allocation": {
        "Pending": ("Reserving", "Failed"),
        "Reserving": ("Reserved", "Failed", "Pending"),
        "Reserved": ("Schedulable", "Failed", "Pending"),
        "Schedulable": (), "Failed": (),
    },
    "transfer": {
        "REQUESTED": ("STARTED", "TERMINATED"),
        "STARTED": ("SUSPENDED", "COMPLETED", "TERMINATED"),
        "SUSPENDED": ("STARTED", "TERMINATED"),
        "COMPLETED": (), "TERMINATED": (),
    },
}  # fmt: skip


class IllegalTransitionError(RuntimeError):
    """A state change that the machine does not allow; always our own bug."""


def check_transition(machine: str, before: str, after: str) -> None:
    """Raise :class:`IllegalTransitionError` unless ``before -> after`` is legal."""
    if after not in MACHINES[machine][before]:
        raise IllegalTransitionError(
            f"{machine}: {before} -> {after} is not legal ({MACHINES[machine][before]})"
        )


def is_legal_path(machine: str, states: tuple[str, ...]) -> bool:
    """Return whether a history starts at the initial state and only takes legal steps."""
    table = MACHINES[machine]
    if not states or states[0] != next(iter(table)):
        return False
    return all(b in table[a] for a, b in pairwise(states))
