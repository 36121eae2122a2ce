"""``check``: every problem of a scenario, whatever the input."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from dssn.checks.heal import Healed, heal, names_dropped
from dssn.compile import compile_plan
from dssn.compile.codes import CompileError, RawProblem
from dssn.compile.semantic import check_all
from dssn.loading.document import Document, read_text
from dssn.loading.load import Loaded, document_hash, open_document, with_schema_problems
from dssn.loading.translate import Places
from dssn.loading.tree import plain, positions_of
from dssn.problems import MAX_PROBLEMS, Problem, limited, shorten, sort_problems
from dssn.schema import Scenario

__all__ = ["check", "check_text"]

#: Set to 1, unexpected exceptions pass through instead of becoming E199.
RAISE_SWITCH: Final = "DSSN_RAISE"
#: Named overrides that are tried one by one.
_MAX_VARIANTS: Final = 20
#: Codes that still hold when faulty parts were taken out.
_SAFE_AFTER_HEALING: Final = frozenset({"E301", "E303", "E304", "E306", "E311", "E313", "E315"})


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
    others = [name for name in document.overrides if name not in overrides][:_MAX_VARIANTS]
    if document.root is not None and not any(not p.is_warning for p in found):
        for name in others:
            tried = _variant(document, path, [*overrides, name], sets, asked=False)
            found += [p for p in tried if not p.is_warning]
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
    data, positions = plain(root), positions_of(root)
    try:
        scenario = Scenario.model_validate(data)
    except ValidationError as err:
        problems = with_schema_problems(document, err, Places(data, positions, document.name))
        few = len(problems) < MAX_PROBLEMS
        healed = heal(root, document.name) if document.complete and few else None
        return problems + (_semantics_of_rest(healed, document, path) if healed is not None else [])
    name = path.stem if path is not None else document.name
    problems = [Places(data, positions, document.name).with_path(p) for p in problems]
    loaded = Loaded(scenario, data, positions, path, name, document_hash(data), files=document.files)
    raws = list(check_all(loaded))
    if not asked:
        raws = [raw for raw in raws if raw.code != "E311"]
    elif not any(raw.code.startswith("E") for raw in raws) and not problems:
        try:
            compile_plan(loaded)
        except CompileError as err:
            raws += err.problems
    return problems + _located(_without_followers(raws), loaded.places())


def _without_followers(raws: Sequence[RawProblem]) -> list[RawProblem]:
    """Return the problems that stand by themselves.

    Where sites, nodes or assets could not be made, selectors find nothing and objectives have nothing to
    measure; to say so too would only hide the cause.
    """
    unmade = any(
        r.code == "E304"
        or (r.code in ("E301", "E310") and r.loc[:1] in (("nodes",), ("assets",), ("network",)))
        for r in raws
    )
    errors = any(r.code.startswith("E") for r in raws)
    return [
        r
        for r in raws
        if not (unmade and r.code in ("E302", "E305", "E314")) and not (errors and r.code == "W302")
    ]


def _located(raws: Iterable[RawProblem], places: Places) -> list[Problem]:
    raws = list(dict.fromkeys(raws))
    shown = [places.problem(r.code, r.loc, r.found, r.allowed, r.hint) for r in raws[:MAX_PROBLEMS]]
    return limited(shown, places.file, len(raws))


def _semantics_of_rest(healed: Healed, document: Document, path: Path | None) -> list[Problem]:
    """Return what is wrong across sections in a document whose faulty parts were taken out."""
    loaded = Loaded(
        healed.scenario, healed.document, healed.positions, path, document.name, "", files=document.files
    )
    raws = [
        raw
        for raw in check_all(loaded)
        if raw.code in _SAFE_AFTER_HEALING
        and not names_dropped(raw.found, healed.dropped)
        and not (raw.code == "E306" and "run" in healed.touched)
        and not (raw.code == "E304" and "network" in healed.touched)
    ]
    return _located(raws, loaded.places())
