"""A scenario in Python: loaded, checked, varied, compiled."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dssn.loading import Loaded
    from dssn.problems import Problem
    from dssn_models.plan import Plan

__all__ = ["Scenario", "check", "load", "loads"]


class Scenario:
    """A scenario that was read and validated.

    Attributes
    ----------
    name, title, question : str
        As in the file.
    hash : str
        SHA-256 of the merged document: equal scenarios have equal hashes.
    yaml : str
        The merged document; loads by itself to the same scenario.
    """

    def __init__(self, loaded: Loaded, source: str | os.PathLike[str] | None = None) -> None:
        self._loaded = loaded
        self._source = source

    @property
    def name(self) -> str:
        """Library name, or file name without suffix."""
        return self._loaded.name

    @property
    def title(self) -> str:
        """One line: what the scenario is."""
        return str(self._loaded.document.get("title", "") or self.name)

    @property
    def question(self) -> str:
        """What the scenario answers."""
        return str(self._loaded.document.get("question", ""))

    @property
    def hash(self) -> str:
        """SHA-256 of the merged document."""
        return self._loaded.hash

    @property
    def yaml(self) -> str:
        """The merged document as YAML."""
        return self._loaded.resolved_yaml

    @cached_property
    def plan(self) -> Plan:
        """The frozen plan in SI units that every backend runs."""
        from dssn.compile import compile_plan

        return compile_plan(self._loaded)

    def check(self) -> list[Problem]:
        """Return what is wrong or odd; warnings have codes that start with ``W``."""
        from dssn.checks import check as run_checks

        return list(run_checks(self._loaded))

    def vary(self, *overrides: str, set: dict[str, object] | Sequence[str] = ()) -> Scenario:  # noqa: A002
        """Return a changed scenario; this one stays as it is.

        Parameters
        ----------
        *overrides : str
            Names under ``overrides:`` of the file.
        set : dict or sequence of str
            ``{"workload.psi.arrivals.rate": "240 /h"}`` or ``["workload.psi.arrivals.rate=240 /h"]``.

        Raises
        ------
        Problems
            If the changed scenario is invalid.
        """
        if self._source is None:
            raise ValueError("a scenario made from text cannot be varied; change the text and load it again")
        pairs = [f"{k}={v}" for k, v in set.items()] if isinstance(set, dict) else list(set)
        return load(
            self._source, overrides=[*self._loaded.overrides, *overrides], set=[*self._loaded.sets, *pairs]
        )

    def __repr__(self) -> str:
        return f"Scenario({self.name!r}, {self.title!r})"

    def _repr_html_(self) -> str:
        """Show what the scenario holds."""
        plan = self.plan
        rows = [
            ("Question", self.question),
            ("Network", f"{len(plan.network.sites)} sites, {len(plan.network.links)} links"),
            ("Nodes", _counted([n.role for n in plan.nodes])),
            ("Assets", str(len(plan.assets))),
            ("Streams", ", ".join(f"{s.id} ({', '.join(t.engine for t in s.steps)})" for s in plan.streams)),
            ("Policies", ", ".join(f"{k}: {p.name}" for k, p in plan.policies.items())),
            ("Faults", str(len(plan.faults)) if plan.faults else "none"),
            ("Overrides", ", ".join(self._loaded.overrides) or "none"),
        ]
        cells = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in rows if v)
        return f"<h4>{escape(self.title)}</h4><table>{cells}</table>"


def _counted(values: Sequence[str]) -> str:
    counts: dict[str, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return ", ".join(f"{n} {value}" for value, n in counts.items())


def load(
    source: str | os.PathLike[str],
    *,
    overrides: Sequence[str] = (),
    set: dict[str, object] | Sequence[str] = (),  # noqa: A002  as on the command line
) -> Scenario:
    """Return a scenario by library name or path.

    Parameters
    ----------
    source : str or path
        ``"metro"`` or ``"my/scenario.yaml"``.
    overrides : sequence of str
        Names under ``overrides:`` of the file, applied in order.
    set : dict or sequence of str
        Single values, applied last: ``{"run.horizon": "1 h"}`` or ``["run.horizon=1 h"]``.

    Raises
    ------
    Problems
        With every problem found; ``print`` it to see them.
    """
    from dssn.loading import load_scenario

    pairs = [f"{k}={v}" for k, v in set.items()] if isinstance(set, dict) else list(set)
    return Scenario(load_scenario(source, tuple(overrides), tuple(pairs)), source)


def loads(text: str, name: str = "text") -> Scenario:
    """Return a scenario from YAML text."""
    from dssn.loading import load_text

    return Scenario(load_text(text, name))


def check(source: str | os.PathLike[str] | Scenario) -> list[Problem]:
    """Return every problem of a scenario, without running it; an empty list means it can run."""
    from dssn.problems import Problems

    try:
        scenario = source if isinstance(source, Scenario) else load(source)
        return scenario.check()
    except Problems as error:
        return list(error.problems)
