"""The tape: the life of a delivery as a row of small operations.

All orders of a template live the same life, so it is written down once. An operation has three whole-number
operands a, b, c (0 where unused). What differs from order to order stands in the order's columns; an operand
(or a field of a definition) that is a *reference* names such a value: ``ref >= 0`` is column ``ref`` of the
order, ``ref < 0`` is row ``-1 - ref`` of the table of constants.

The life of a template with one engine run::

    PHASE order / STATE order acknowledged / ADMIT / CALL exchange trade (if traded) / CALL dsp.access authenticate
    TRUST / NOTE order / CALL dsp.delivery order / STATE order inProgress / PHASE_END
    PHASE catalogue / CALL dsp.access catalogue / PHASE_END
    PHASE negotiation / STATE negotiation REQUESTED / CALL dsp.delivery contract / NEGOTIATE / NOTE contract / PHASE_END
    PHASE review / CALL review review / REVIEW x / STATE order held / CALL reviewers human / STATE order inProgress / HUMAN
    x: NOTE review / PHASE_END
    PHASE network_order / CHOOSE_NETWORK (if a policy decides) / PHASE_END
    STATE job Initialized / STATE job Pending / JOB j
    r: PHASE plan / CALL dsp.scheduling plan (NO_WAIT) / BIND / PLACE p ... / CHECK_NODES / PHASE_END / NODES_UP
       PHASE coallocate / ALLOCATE / PHASE_END
       PHASE load / LOAD l / PHASE_END
       PHASE channel / OPEN c / PHASE_END
       PHASE attest / ATTEST_BEGIN / E ... / ATTEST_END / PHASE_END       (only if a role needs an enclave; one E for each role)
       PHASE run / STEP s ... / PHASE_END / JOB_END
    STATE job Succeeded         (a chain: CHAIN n / LINK r0 / LINK r1 ... in place of JOB, each run ends in BRANCH_END k)
    PHASE deliver / STATE transfer REQUESTED / STATE transfer STARTED / QUALITY / CALL dsp.delivery deliver
    STATE transfer COMPLETED / NOTE receipt / PHASE_END / MARK receipt
    PHASE evidence / CALL dsp.supervision audit / MARK written / CALL ledger append / PROVE / PHASE_END
    PHASE meter / CALL dsp.supervision meter / PHASE_END
    PHASE settle / CALL dsp.supervision settle / CALL exchange settle (if traded) / MARK settled / PHASE_END
    PHASE release / STATE order completed / PHASE_END / END
    E: ENCLAVE p n / CALL dsp.security attest_policy at p / CALL verifier verify at p / APPRAISE p / n:
    l: PULL w / CALL registry pull / FETCH / VERIFY / w: START / BRANCH_END        (a branch for each node)
    c: ACQUIRE e / CALL dsp.transport channel / CALL ca status / SHAKE / OPENED / e: BRANCH_END   (a branch for each pair)
"""

from __future__ import annotations

from typing import Final

from dssn_models.market.reasons import REASONS as _REASONS
from dssn_models.market.states import MACHINES, PHASES

__all__ = ["ASK", "DATA", "NOTES", "OPS", "PHASE_OF", "REASON", "REASONS", "STATE", "Binding"]

# Operations. The comment names the operands.
(
    END,  # the delivery is complete
    PHASE,  # a: phase (PHASE_OF); b: code of its detail, -1: none
    PHASE_END,
    STATE_IS,  # a: state (STATE); b: code of the job's step in a chain, -1: none
    NOTE,  # a: kind of evidence (NOTES)
    MARK,  # a: 0 receipt, 1 written, 2 settled, 3 opened: this is when
    CALL,  # a: operation; b: flags (NO_WAIT); c: position of the role whose node calls, CONSUMER, or HERE (the branch's node)
    ADMIT,  # a: 1: admitted without looking (policy always), recorded; 2: a policy decides (asks Python)
    TRUST,  # refuse if a certificate of consumer or provider is revoked
    NEGOTIATE,  # five half round trips to the farthest provider, each to the next state
    REVIEW,  # a: where to go on if nobody needs to look
    HUMAN,  # the person's verdict
    CHOOSE_NETWORK,  # a technology policy decides; a: isolation asked (0 none, 1 soft, 2 hard); b: reference of the rate asked
    NETWORK_ORDER,  # slices to and from every provider (asks Python)
    JOB,  # a: row of job_defs; begins an attempt, and is where a retry goes on
    BIND,  # roles of consumer and providers to their nodes
    PLACE,  # a: position of a role that the placement policy places
    CHECK_NODES,  # every node can run its roles; the work is promised to them
    ALLOCATE,  # cores and memory on all nodes at once; a: code of the job's step in a chain, -1: none
    LOAD,  # a: tape of a branch; one for each node
    OPEN,  # a: tape of a branch; one for each pair of nodes that talk
    ATTEST_BEGIN,
    ENCLAVE,  # a: position of a role; b: where to go on if it needs no enclave
    APPRAISE,  # a: position of a role
    ATTEST_END,
    STEP,  # a: row of step_defs
    JOB_END,  # give everything back, take the results
    QUALITY,  # fail if the delivery is defective
    PROVE,  # record the evidence
    # branches
    PULL,  # a: where to go on if the image is here (no pull needed)
    FETCH,  # the image from the registry
    VERIFY,  # its hash; then it is in the cache
    START,  # the engine starts
    ACQUIRE,  # a: where to go on if the channel is open
    SHAKE,  # TCP and TLS handshake
    OPENED,
    BRANCH_END,  # a: number of the link in its chain + 1, 0: no chain
    CHAIN,  # a: number of jobs; the next a operations are LINKs
    LINK,  # a: tape of the job; b, c: first row and number of the links it comes after (rows of candidates hold their numbers)
    NODES_UP,  # fail if a node of the run is down
) = range(40)

#: Name -> number of every operation.
OPS: Final[dict[str, int]] = {
    name: value for name, value in globals().items() if name.isupper() and isinstance(value, int)
}

# Flags of CALL.
NO_WAIT = 1  # waiting at the service does not count as waiting of the delivery
CONSUMER = -1
HERE = -2

# Verdicts: of the automatic review and of the person.
PASS, APPROVAL, REFUSE = 0, 1, 2  # REFUSE + n: refused for reason n


class Binding:
    """How a role comes to its node (``role_defs.bind``)."""

    CONSUMER, PROVIDER, PLACED, ALIAS = range(4)


#: Phase -> number.
PHASE_OF: Final[dict[str, int]] = {name: i for i, name in enumerate(PHASES)}

#: (machine, state) -> number; ``STATES`` is the way back.
STATES: Final[tuple[tuple[str, str], ...]] = tuple((m, s) for m, states in MACHINES.items() for s in states)
STATE: Final[dict[tuple[str, str], int]] = {pair: i for i, pair in enumerate(STATES)}

#: Kinds of evidence in the order in which they are written.
NOTES: Final[tuple[str, ...]] = ("order", "contract", "review", "network", "receipt")

#: Reason codes by number; 0 is none.
REASONS: Final[tuple[str, ...]] = ("", *_REASONS)
REASON: Final[dict[str, int]] = {code: i for i, code in enumerate(REASONS)}

#: Classes of bytes in the flows table.
DATA: Final[tuple[str, ...]] = ("protocol", "result", "raw", "image")


class ASK:
    """Why the machine returned to Python (``machine.ask``); it goes on where it stopped when it is entered again."""

    (
        NOTHING,  # the horizon, or the end of the drain, is reached
        ORDERS,  # the block of orders is used up
        ROOM,  # a life table is nearly full: grow it; a record table is nearly full: drain it
        PATHS,  # ask_a: technology code, ask_b: source site: fill this row of path_of
        RTT,  # ask_b: source site: fill this row of rtt
        PLACEMENT,  # ask_thread: its PLACE needs a policy in Python; answer: ask_c = node, or -1 - reason
        ADMISSION,  # answer: ask_c = 0, or -1 - reason
        TECHNOLOGY,  # answer: the delivery's technology, or ask_c = -1 - reason
        NETWORK,  # slices: not compiled yet
        SAMPLE,  # until_s is reached: time to look (samples, warm-up, faults, progress)
    ) = range(10)
