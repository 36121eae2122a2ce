"""``check``: every problem of a scenario, whatever the input."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from dssn.checks.heal import Healed, heal
from dssn.compile.assemble import plan_of
from dssn.compile.codes import Loc, RawProblem
from dssn.compile.judge import Taint, judge
from dssn.compile.semantic import find_all
from dssn.compile.world import World
from dssn.loading.document import Document, read_text
from dssn.loading.load import Loaded, open_document, with_schema_problems
from dssn.loading.translate import Places
from dssn.loading.tree import Mark, plain, positions_of
from dssn.problems import MAX_PROBLEMS, Problem, limited, shorten, sort_problems
from dssn.schema import Scenario

__all__ = ["check", "check_text"]

#: Set to 1, unexpected exceptions pass through instead of becoming E199.
RAISE_SWITCH: Final = "DSSN_RAISE"
#: Named overrides that are tried one by one.
_MAX_VARIANTS: Final = 20
#: With more problems than this, overrides are left for later.
_FEW: Final = 50


def check(
    source: str | os.PathLike[str], overrides: Sequence[str] = (), sets: Sequence[str] = ()
) -> list[Problem]:
    """Return every problem of a scenario, in file order; an empty list means that it can run.

    The file is read and merged, validated, checked across sections and compiled. Named overrides that are
    not asked for are tried one by one, so that a fault in them shows before the day they are needed.
    Warnings (codes ``W...``) are in the list too; see :attr:`dssn.problems.Problem.is_warning`.

    Parameters
    ----------
    source : str or path
        A path or the name of a shipped scenario.
    overrides, sets : sequence of str
        As for :func:`dssn.loading.load_scenario`.
    """
    name = shorten(os.fspath(source), 200)[1:-1]
    try:
        document, path = open_document(source)
        return _check(document, path, overrides, sets)
    except Exception as err:  # noqa: BLE001 - the outermost border
        return [_internal(err, name)]


def check_text(
    text: str, name: str = "scenario", overrides: Sequence[str] = (), sets: Sequence[str] = ()
) -> list[Problem]:
    """Return every problem of a YAML text, as :func:`check` does for a file."""
    try:
        return _check(read_text(text, name), None, overrides, sets)
    except Exception as err:  # noqa: BLE001 - the outermost border
        return [_internal(err, name)]


def _internal(err: Exception, name: str) -> Problem:
    """Return the problem for a fault of ours; tests switch it off and see the exception."""
    if os.environ.get(RAISE_SWITCH) == "1":
        raise err
    last = traceback.extract_tb(err.__traceback__)[-1]
    where = f"{Path(last.filename).name}:{last.lineno}"
    found = f"{type(err).__name__} at {where}: {shorten(str(err), 120)}"
    return Problem("E199", name, found=found, allowed="please report this with the scenario")


def _check(
    document: Document, path: Path | None, overrides: Sequence[str], sets: Sequence[str]
) -> list[Problem]:
    found = _variant(document, path, overrides, sets)
    told = {(p.code, p.path) for p in found}
    others = [name for name in document.overrides if name not in overrides][:_MAX_VARIANTS]
    huge = any(p.code == "E310" for p in found)  # to expand it once more for each would take too long
    if document.root is not None and len(found) < _FEW and not huge:
        for name in others:
            tried = _variant(document, path, [name], sets, asked=False)
            found += [p for p in tried if not p.is_warning and (p.code, p.path) not in told]
    return limited(sort_problems(found, document.name), document.name)


def _variant(
    document: Document,
    path: Path | None,
    overrides: Sequence[str],
    sets: Sequence[str],
    *,
    asked: bool = True,
) -> list[Problem]:
    """Return the problems of the document with some overrides and options applied.

    An override that nobody asked for may need a trace that is not on this machine; that is no fault of it.
    """
    document = document.copy()
    document.apply(overrides, sets)
    root, problems = document.root, document.problems
    if root is None:
        return problems
    data = plain(root)
    places = Places(data, positions_of(root), document.name)
    spoilt = _places_of(problems, places)
    try:
        healed: Healed | None = Healed(Scenario.model_validate(data), Taint(spoilt))
        problems = [places.with_path(p) for p in problems]
    except ValidationError as err:
        problems = with_schema_problems(document, err, places)
        few = len(problems) < MAX_PROBLEMS
        healed = heal(places, err, spoilt) if document.complete and few else None
    if healed is None:
        return problems
    raws = _semantics(healed, document, path, places, asked=asked)
    return [*problems, *healed.further, *_located(raws, places)]


def _places_of(problems: Sequence[Problem], places: Places) -> list[Loc]:
    """Return the locations of the problems of reading; their values are not what was meant."""
    marks = {Mark(p.file, p.line, p.column) for p in problems if p.line}
    return [loc for loc, at in places.positions.items() if marks.intersection(at)] if marks else []


def _semantics(
    healed: Healed, document: Document, path: Path | None, places: Places, *, asked: bool
) -> list[RawProblem]:
    """Return what is wrong across sections, as far as it can be judged."""
    name = path.stem if path is not None else document.name
    loaded = Loaded(healed.scenario, places.document, places.positions, path, name, "", files=document.files)
    world = World(healed.scenario, lambda loc, file: loaded.data_file(healed.original(loc), file), name)
    found = [healed.in_file(raw) for raw in find_all(world)]
    raws = [raw for raw in judge(found, healed.taint) if asked or raw.code != "E311"]
    if asked and not any(raw.code.startswith("E") for raw in found) and not document.problems:
        plan_of(world)  # to be sure that nothing else stands in its way
    return raws


def _located(raws: Iterable[RawProblem], places: Places) -> list[Problem]:
    raws = list(dict.fromkeys(raws))
    shown = [places.problem(r.code, r.loc, r.found, r.allowed, r.hint) for r in raws[:MAX_PROBLEMS]]
    return limited(shown, places.file, len(raws))
