"""A faulty document with stand-ins for what is wrong, so that checks across sections still see the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from dssn.checks.samples import samples
from dssn.compile.codes import Loc, RawProblem
from dssn.compile.judge import ANY, NAME, Taint
from dssn.loading.translate import Fault, Places, faults_of, schema_at
from dssn.problems import Problem
from dssn.schema import Scenario

__all__ = ["Healed", "heal"]

_ROUNDS: Final = 60
#: Stands for a value that is taken out.
_GONE: Final = object()
_MOST_KEYS: Final = 40
#: Keys whose value decides what may stand beside them.
_DECIDING: Final = ("kind", "engine", "kpi")

Edits = dict[Loc, Any]


@dataclass
class Healed:
    """A document without faults of the schema, and what had to be done to it.

    Attributes
    ----------
    scenario : Scenario
        The model of the document with its stand-ins.
    taint : Taint
        Places of the file whose values are stand-ins, or gone.
    further : list[Problem]
        Problems of the schema that showed only when others were mended.
    """

    scenario: Scenario
    taint: Taint = field(default_factory=Taint)
    further: list[Problem] = field(default_factory=list)
    kept: dict[Loc, list[int]] = field(default_factory=dict)  # list to the numbers of its items in the file

    def original(self, loc: Loc) -> Loc:
        """Return the location in the file of a location in the healed document."""
        return _original(loc, self.kept)

    def in_file(self, raw: RawProblem) -> RawProblem:
        """Return a problem of the healed document at its place in the file."""
        if not self.kept:
            return raw
        needs = tuple(self.original(need) for need in raw.needs)
        return raw._replace(loc=self.original(raw.loc), needs=needs)


def heal(places: Places, err: ValidationError, spoilt: Sequence[Loc] = ()) -> Healed | None:
    """Return the document with stand-ins for what the schema refuses; None if none would do.

    Parameters
    ----------
    places : Places
        The document with its positions.
    err : ValidationError
        What its validation raised.
    spoilt : sequence of Loc
        Locations whose values are known to be wrong already.
    """
    return _Patient(places, spoilt).cure(err)


def _original(loc: Loc, kept: Mapping[Loc, list[int]]) -> Loc:
    out: Loc = ()
    for part in loc:
        numbers = kept.get(out[:-1] if out[-1:] == ("ids",) and out not in kept else out)
        known = numbers is not None and isinstance(part, int) and part < len(numbers)
        out = (*out, numbers[part] if known else part)  # type: ignore[index]
    return out


@dataclass
class _Repair:
    """What is tried against one fault, in this order, and what is tried now."""

    ways: Iterator[Edits]
    edits: Edits = field(default_factory=dict)

    def advance(self) -> None:
        self.edits = next(self.ways, {})


class _Patient:
    """A document under repair; all locations are those of the file unless called healed."""

    def __init__(self, places: Places, spoilt: Sequence[Loc]) -> None:
        self.places = places
        self.spoilt = spoilt
        self.repairs: dict[tuple[Loc, str], _Repair] = {}
        self.further: list[Problem] = []
        self.healed: Any = places.document
        self.kept: dict[Loc, list[int]] = {}

    def cure(self, err: ValidationError) -> Healed | None:
        for attempt in range(_ROUNDS):
            here = Places(self.healed, {}, self.places.file)
            taint = self._taint()
            for fault in faults_of(err, here):
                self._treat(fault, here, taint if attempt else None)
            self._apply()
            try:
                scenario = Scenario.model_validate(self.healed)
            except ValidationError as exc:
                err = exc
            else:
                return Healed(scenario, self._taint(), self.further, self.kept)
        return None

    def _treat(self, fault: Fault, here: Places, taint: Taint | None) -> None:
        """Try the next way against a fault; one that shows only now and hangs on no stand-in is told."""
        loc = _original(fault.loc, self.kept)
        key = (loc, fault.lacks)
        repair = self.repairs.get(key) or self._cause(loc, fault)
        if repair is None:
            if taint is not None and not _doubtful(fault, loc, taint):
                self.further.append(fault.at(self.places, loc))
            repair = self.repairs[key] = _Repair(_ways(fault, loc, here))
        elif fault.hint and loc in repair.edits and repair.edits[loc] not in (fault.hint, _GONE):
            repair.edits[loc] = fault.hint
            return
        repair.advance()

    def _cause(self, loc: Loc, fault: Fault) -> _Repair | None:
        """Return the repair that made the value at a location."""
        spot = (*loc, fault.lacks) if fault.lacks else loc
        for repair in self.repairs.values():
            if any(value is not _GONE and spot[: len(at)] == at for at, value in repair.edits.items()):
                return repair
        return None

    def _edits(self) -> Edits:
        return {loc: value for repair in self.repairs.values() for loc, value in repair.edits.items()}

    def _taint(self) -> Taint:
        changed: list[Loc] = list(self.spoilt)
        gone: list[Loc] = []
        for loc, value in self._edits().items():
            there = self.places.real(loc) == loc
            (changed if there and value is not _GONE else gone).append(loc)
        return Taint(changed, gone)

    def _apply(self) -> None:
        edits = self._edits()
        inside: dict[Loc, list[Loc]] = {}  # container to what changes directly in it
        above: set[Loc] = set()
        for loc in edits:
            inside.setdefault(loc[:-1], []).append(loc)
            above |= {loc[:n] for n in range(len(loc))}
        self.kept = {}
        self.healed = self._copy(self.places.document, (), edits, inside, above)

    def _copy(
        self, value: Any, at: Loc, edits: Edits, inside: Mapping[Loc, list[Loc]], above: set[Loc]
    ) -> Any:
        """Return a value with its edits; what has none is shared with the file's document."""
        if at in edits:
            return edits[at]
        if at not in above:
            return value
        if isinstance(value, dict):
            out = {key: self._copy(item, (*at, key), edits, inside, above) for key, item in value.items()}
            out |= {loc[-1]: edits[loc] for loc in inside.get(at, ()) if loc[-1] not in value}
            return {key: item for key, item in out.items() if item is not _GONE}
        if isinstance(value, list):
            items = [self._copy(item, (*at, i), edits, inside, above) for i, item in enumerate(value)]
            numbers = [i for i, item in enumerate(items) if item is not _GONE]
            if len(numbers) < len(items):
                self.kept[at] = numbers
            return [items[i] for i in numbers]
        return value


def _doubtful(fault: Fault, loc: Loc, taint: Taint) -> bool:
    """Whether a fault that shows only in a document with stand-ins may be the fault of a stand-in."""
    if taint.touches((*loc, ANY, NAME) if fault.code == "E202" else loc):
        return True
    if loc[-1:] == ("after",) and taint.touches((*loc[:-2], ANY, "id")):
        return True
    return any(taint.touches((*loc[:n], key)) for n in range(len(loc) + 1) for key in _DECIDING)


# ------------------------------------------------------------------ ways to mend a fault


def _ways(fault: Fault, loc: Loc, here: Places) -> Iterator[Edits]:
    """Yield edits that may mend a fault, first those that keep most of what was written."""
    name = f"stand-in {'.'.join(map(str, (*loc, fault.lacks)))}"[:100]
    if fault.lacks:
        spot: Loc = (*loc, fault.lacks)
        for value in samples(schema_at(here.document, (*fault.loc, fault.lacks)), name):
            yield {spot: value}
    elif fault.key and fault.code != "E202":
        parent, value = here.value(fault.loc[:-1]), here.value(fault.loc)
        if fault.hint and fault.hint not in parent:
            yield {loc: _GONE, (*loc[:-1], fault.hint): value}
        yield {loc: _GONE}
    else:
        yield from _other_values(fault, loc, here, name)
        if loc:
            yield {loc: _GONE}
    for n in range(len(loc), 0, -1):
        if isinstance(loc[n - 1], int):
            yield {loc[:n]: _GONE}
    if len(loc) > 1:
        yield {loc[:1]: _GONE}


def _other_values(fault: Fault, loc: Loc, here: Places, name: str) -> Iterator[Edits]:
    if fault.hint:
        yield {loc: fault.hint}
    # Of a value that is too large no clamp is tried: the greatest count allowed can make a huge network.
    if "ge" in fault.bounds:
        yield {loc: fault.bounds["ge"]}
    if "gt" in fault.bounds:
        yield {loc: fault.bounds["gt"] + 1}
    value, schemas = here.value(fault.loc), schema_at(here.document, fault.loc)
    if isinstance(value, dict):
        yield from _other_keys(value, schemas, loc, name)
    for sample in samples(schemas, name):
        yield {loc: sample}


def _other_keys(value: Mapping[Any, Any], schemas: Any, loc: Loc, name: str) -> Iterator[Edits]:
    """Yield the ways to mend a mapping whose keys do not go together: one more, or one less."""
    known: dict[str, Any] = {}
    for schema in schemas:
        known |= schema.get("properties", {})
    lacking = [key for key in known if key not in value][:_MOST_KEYS]
    for key in list(value)[:_MOST_KEYS]:
        yield {(*loc, key): _GONE}
    for key in lacking:
        for sample in samples([known[key]], name):
            yield {(*loc, key): sample}
