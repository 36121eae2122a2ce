"""What ends a run when a user's own policy raises, or decides what cannot be."""

from __future__ import annotations

import inspect
import pickle
import site
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from dssn_models.policies.api import Decision, Policy, PolicyKind, View
from dssn_models.policies.legality import fault_of
from dssn_models.policies.registry import FunctionPolicy

__all__ = ["PolicyFailed", "ask"]

_SHOWN: Final = 300


class PolicyFailed(Exception):  # noqa: N818  reads as what happened, as the class is caught by users
    """A policy of the user raised, or returned something that is no decision; the run ends.

    The exception of the policy is the ``__cause__``; there is none where it returned a wrong decision.

    Attributes
    ----------
    kind, policy : str
        The question (``placement`` ...) and the policy's name.
    where : str
        ``file:line``: where the policy's own code raised, or where ``decide`` begins.
    text : str
        Type and text of the exception, or what is wrong with the decision.
    time_s : float
        Virtual time.
    order : int
        Number of the order at hand.
    replication : int
        Number of the replication.
    """

    def __init__(
        self, kind: str, policy: str, where: str, text: str, time_s: float, order: int, replication: int
    ) -> None:
        # SimPy makes a new exception from ``args`` when it throws into a process: keep them complete.
        super().__init__(kind, policy, where, text, time_s, order, replication)
        self.kind = kind
        self.policy = policy
        self.where = where
        self.text = text
        self.time_s = time_s
        self.order = order
        self.replication = replication

    def __str__(self) -> str:
        return (
            f"{self.kind} policy {self.policy} failed at {self.where}: {self.text} "
            f"(virtual time {self.time_s:.3f} s, order {self.order}, replication {self.replication})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel from a worker process with the cause."""
        return _rebuild, (self.args, _portable(self.__cause__))

    @classmethod
    def of(
        cls, policy: Any, error: BaseException | str, kind: str, name: str, time_s: float, order: int,
        replication: int,
    ) -> PolicyFailed:  # fmt: skip
        """Return the failure of a policy object: what it raised, or what is wrong with its decision."""
        if isinstance(error, str):
            return cls(kind, name, _begins(policy), _short(error), time_s, order, replication)
        text = _short("".join(traceback.format_exception_only(error)).strip())
        where = _raised(error) or _begins(policy)
        return cls(kind, name, where, text, time_s, order, replication)

    @property
    def first(self) -> PolicyFailed:
        """The failure as it was raised: SimPy hands copies from process to process, each the next one's cause."""
        found = self
        while isinstance(found.__cause__, PolicyFailed):
            found = found.__cause__
        return found


def ask(
    policy: Policy, view: View, rng: np.random.Generator, kind: PolicyKind, name: str, now: float, order: int,
    replication: int,
) -> Decision:  # fmt: skip
    """Return the decision of a user's own policy.

    Raises
    ------
    PolicyFailed
        If it raises or decides what cannot be.
    """
    place = (kind, name, now, order, replication)
    try:
        decision = policy.decide(view, now, rng)
    except (Exception, SystemExit) as error:
        raise PolicyFailed.of(policy, error, *place) from error
    if fault := fault_of(kind, view, decision):
        raise PolicyFailed.of(policy, fault, *place)
    return decision


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 4]} ..."


def _rebuild(args: tuple[Any, ...], cause: BaseException | None) -> PolicyFailed:
    error = PolicyFailed(*args)
    error.__cause__ = cause
    return error


def _portable(cause: BaseException | None) -> BaseException | None:
    """Return the cause with its traceback as a note, because a traceback itself cannot travel."""
    if cause is None:
        return None
    told = "".join(traceback.format_exception(cause)).rstrip()
    cause.add_note(told)
    try:
        pickle.loads(pickle.dumps(cause))
    except Exception:  # noqa: BLE001  an exception class may fail in any way here
        return RuntimeError(told)
    return cause


#: Code that is not the user's: this package, the standard library, installed packages.
_NOT_THEIRS: Final = tuple(
    str(p) + "/"
    for p in (
        Path(__file__).parents[1],
        sysconfig.get_paths()["stdlib"],
        *site.getsitepackages(),
        site.getusersitepackages(),
    )
)
_COMPILED: Final = (".pyx", ".pxd", ".pxi")  # Cython gives no full names


def _raised(error: BaseException) -> str:
    """Return the innermost line of the user's own code; '' if there is none."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)[1:]):
        if not frame.filename.startswith(_NOT_THEIRS) and not frame.filename.endswith(_COMPILED):
            return f"{frame.filename}:{frame.lineno}"
    return ""


def _begins(policy: Any) -> str:
    """Return where a policy's function begins."""
    function: Callable[..., Any] = policy.function if isinstance(policy, FunctionPolicy) else policy.decide
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else "an unknown place"
