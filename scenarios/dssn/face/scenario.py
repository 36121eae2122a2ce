"""A scenario in Python: loaded, checked, varied, compiled."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import networkx as nx

    from dssn.compile.codes import RawProblem
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

    def __init__(self, loaded: Loaded, source: str | Path | None = None) -> None:
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
    def overrides(self) -> tuple[str, ...]:
        """The named overrides that were applied."""
        return tuple(self._loaded.overrides)

    @property
    def yaml(self) -> str:
        """The merged document as YAML."""
        return self._loaded.resolved_yaml

    @cached_property
    def plan(self) -> Plan:
        """The frozen plan in SI units that every backend runs.

        Raises
        ------
        Problems
            If the parts of the scenario do not fit together.
        """
        from dssn.compile import compile_plan
        from dssn.compile.codes import CompileError
        from dssn.problems import Problems

        try:
            return compile_plan(self._loaded)
        except CompileError as error:
            raise Problems(self._located(error.problems)) from error

    def check(self) -> list[Problem]:
        """Return what is wrong or odd; warnings have codes that start with ``W``."""
        from dssn.compile.semantic import check_all
        from dssn.problems import Problems

        found = [*self._loaded.warnings, *self._located(check_all(self._loaded))]
        if not any(not p.is_warning for p in found):
            try:
                _ = self.plan
            except Problems as error:
                found += error.problems
        return found

    def _located(self, raws: Iterable[RawProblem]) -> list[Problem]:
        places = self._loaded.places()
        return [places.problem(r.code, r.loc, r.found, r.allowed, r.hint) for r in dict.fromkeys(raws)]

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
        source, before, sets = self.origin()
        return load(source, overrides=[*before, *overrides], set=[*sets, *as_sets(set)])

    def with_topology(self, graph: nx.Graph[Any]) -> Scenario:
        """Return the scenario on a networkx graph.

        Parameters
        ----------
        graph : networkx.Graph
            Nodes become sites (attributes ``lat``/``lon`` or ``pos``, ``population``, ``kind`` ... where
            given), edges become spans (``length_m``, ``length_km`` or ``dist`` in km, else the great circle).

        Raises
        ------
        TopologyError
            If the graph is no network (empty, without ends).
        Problems
            If the scenario names sites that the graph does not have.
        """
        from dssn_models.network.topologies import from_networkx

        topology = from_networkx(graph)
        detour = self.plan.network.detour_factor
        sites = [{k: v for k, v in asdict(s).items() if v not in ("", 0.0)} for s in topology.sites]
        edges = [
            {
                "a": e.a,
                "b": e.b,
                "length": f"{e.length_m * (1.0 if e.routed else detour):.9g} m",
                "srlg": e.srlg,
            }
            for e in topology.edges
        ]
        spec = json.dumps({"kind": "explicit", "sites": sites, "edges": edges}, ensure_ascii=False)
        return self.vary(set={"network.topology": spec})

    def origin(self) -> tuple[str | Path, list[str], list[str]]:
        """Return the file or name it was loaded from, with the overrides and settings applied so far."""
        if self._source is None:
            raise ValueError("a scenario made from text cannot be varied; change the text and load it again")
        return self._source, list(self._loaded.overrides), list(self._loaded.sets)

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
            ("Overrides", ", ".join(self.overrides) or "none"),
        ]
        cells = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in rows if v)
        return f"<h4>{escape(self.title)}</h4><table>{cells}</table>"


def _counted(values: Sequence[str]) -> str:
    counts: dict[str, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return ", ".join(f"{n} {value}" for value, n in counts.items())


def load(
    source: str | Path,
    *,
    overrides: str | Sequence[str] = (),
    set: dict[str, object] | Sequence[str] = (),  # noqa: A002  as on the command line
) -> Scenario:
    """Return a scenario by library name or path.

    Parameters
    ----------
    source : str or path
        ``"metro"`` or ``"my/scenario.yaml"``.
    overrides : str or sequence of str
        Names under ``overrides:`` of the file, applied in order.
    set : dict or sequence of str
        Single values, applied last: ``{"run.horizon": "1 h"}`` or ``["run.horizon=1 h"]``.

    Raises
    ------
    Problems
        With every problem found; ``print`` it to see them.
    """
    from dssn.loading import load_scenario

    return Scenario(load_scenario(source, as_names(overrides), tuple(as_sets(set))), source)


def as_names(overrides: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names of overrides; one alone may be given as it is."""
    return (overrides,) if isinstance(overrides, str) else tuple(overrides)


def as_sets(settings: Mapping[str, object] | Sequence[str]) -> list[str]:
    """Return ``PATH=VALUE`` texts; a value that is no text is written as JSON, which YAML reads (None: null)."""
    if isinstance(settings, str):
        return [settings]
    if not isinstance(settings, Mapping):
        return list(settings)
    return [f"{k}={v if isinstance(v, str) else json.dumps(v, default=_plain)}" for k, v in settings.items()]


def _plain(value: Any) -> Any:
    """Return a numpy scalar as a number, anything else as its text."""
    return value.item() if hasattr(value, "item") else str(value)


def loads(text: str, name: str = "text") -> Scenario:
    """Return a scenario from YAML text."""
    from dssn.loading import load_text

    return Scenario(load_text(text, name))


def check(source: str | Path | Scenario) -> list[Problem]:
    """Return every problem of a scenario, without running it; an empty list means it can run.

    A name or path is checked with all its named overrides; a :class:`Scenario` as it is.
    """
    if isinstance(source, Scenario):
        return source.check()
    from dssn.checks import check as check_file

    return list(check_file(source))
