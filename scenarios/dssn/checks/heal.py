"""A faulty document without its faults, so that checks across sections still see the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from dssn.loading.translate import Places
from dssn.loading.tree import Entry, Node, item_key, plain, positions_of
from dssn.schema import Scenario

__all__ = ["Healed", "heal"]

Location = tuple[str | int, ...]
_ROUNDS = 4


@dataclass
class Healed:
    """What is left of a document when everything faulty is taken out.

    Attributes
    ----------
    scenario : Scenario
        The model of what is left.
    document : dict
        The same as plain data.
    positions
        Where its values stand in the files.
    dropped : set[str]
        Names of list items that had to go as a whole; nobody should be blamed for naming them.
    touched : set[str]
        Sections in which something was taken out.
    """

    scenario: Scenario
    document: dict[str, Any]
    positions: dict[Location, Any]
    dropped: set[str] = field(default_factory=set)
    touched: set[str] = field(default_factory=set)


def heal(root: Node, file: str) -> Healed | None:
    """Return the document without what the schema refuses; None if that leaves no scenario.

    A refused value is left out, so its default stands in; an item that lacks something it must have is
    left out as a whole.
    """
    dropped: set[str] = set()
    touched: set[str] = set()
    for _ in range(_ROUNDS):
        document, positions = plain(root), positions_of(root)
        try:
            scenario = Scenario.model_validate(document)
        except ValidationError as err:
            places = Places(document, positions, file)
            errors = err.errors(include_url=False)
        else:
            return Healed(scenario, document, positions, dropped, touched)
        doomed = {_doomed(root, places, e) for e in errors}
        if () in doomed:
            return None
        touched |= {str(loc[0]) for loc in doomed}
        above = {loc[:n] for loc in doomed for n in range(len(loc))}
        root = _without(root, doomed, above, (), dropped)
    return None


def _doomed(root: Node, places: Places, error: Any) -> Location:
    """Return the location to take out for an error; () if nothing helps."""
    real = places.real(error["loc"])
    lacking = error["type"] == "missing" or (error["type"] == "dssn" and error["ctx"]["code"] == "E202")
    return _item(root, real) if lacking else real


def _item(root: Node, loc: Location) -> Location:
    """Return the innermost list item around a location, or the location itself below the top level."""
    here, best = root, 0
    for n, part in enumerate(loc, 1):
        if isinstance(here.value, list) and isinstance(part, int):
            here, best = here.value[part], n
        elif isinstance(here.value, dict):
            here = here.value[part].node
    return loc[:best] if best else loc


def _without(
    node: Node, doomed: set[Location], above: set[Location], at: Location, dropped: set[str]
) -> Node:
    """Return the tree without the doomed locations, noting the names of items that go.

    ``above`` has every location that something doomed lies below; the rest of the tree is shared.
    """
    if at not in above:
        return node
    value = node.value
    if isinstance(value, dict):
        kept = {
            key: Entry(entry.mark, _without(entry.node, doomed, above, (*at, key), dropped))
            for key, entry in value.items()
            if (*at, key) not in doomed
        }
        return Node(node.mark, kept, node.size, node.height)
    if isinstance(value, list):
        left: list[Node] = []
        for i, item in enumerate(value):
            if (*at, i) in doomed:
                dropped.add(item_key(item) or "")
            else:
                left.append(_without(item, doomed, above, (*at, i), dropped))
        return Node(node.mark, left, node.size, node.height)
    return node


def names_dropped(text: str, dropped: Sequence[str] | set[str]) -> bool:
    """Whether a message speaks of something that was taken out."""
    return any(name and name in text for name in dropped)
