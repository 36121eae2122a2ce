"""Which problems can be believed while other parts of the scenario are faulty.

A check that sees a whole scenario may be wrong about it as long as a value that it looked at is wrong
itself. So every raw problem says which places it depends on (:attr:`RawProblem.needs`), every fault
taints its place, and a problem is told only if nothing that it depends on is tainted by another one.

A place may have :data:`ANY` for "each of these", and may end with :data:`NAME` for "only that it is there".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from dssn.compile.codes import Loc, RawProblem

__all__ = ["ANY", "NAME", "Taint", "judge"]

#: In a place: every key or item.
ANY: Final = "*"
#: At the end of a place: the thing is there, whatever its value.
NAME: Final = "<name>"


@dataclass
class _Branch:
    below: dict[str | int, _Branch] = field(default_factory=dict)
    changed: bool = False  # its value is not what stands in the file
    gone: bool = False  # it was added or taken out


class Taint:
    """Places whose values cannot be relied on.

    Parameters
    ----------
    changed : iterable of Loc
        Places whose value is wrong or was replaced.
    gone : iterable of Loc
        Places that were taken out, or added.
    """

    def __init__(self, changed: Iterable[Loc] = (), gone: Iterable[Loc] = ()) -> None:
        self._root = _Branch()
        for loc in changed:
            self._branch(loc).changed = True
        for loc in gone:
            self._branch(loc).gone = True

    def _branch(self, loc: Loc) -> _Branch:
        here = self._root
        for part in loc:
            here = here.below.setdefault(part, _Branch())
        return here

    def touches(self, need: Loc, but: Loc | None = None) -> bool:
        """Whether something at, above or below the place is tainted; the taint at ``but`` does not count.

        Examples
        --------
        >>> taint = Taint(changed=[("nodes", 3, "size")], gone=[("classes", 0)])
        >>> taint.touches(("nodes", ANY, "id")), taint.touches(("nodes", ANY)), taint.touches(("classes", 0, NAME))
        (False, True, True)
        >>> taint.touches(("nodes", 3, "size", NAME))
        False
        """
        skip = None if but is None else self._branch(but)
        return _touches(self._root, need, skip)


def _touches(here: _Branch, need: Loc, skip: _Branch | None) -> bool:
    counts = here is not skip
    if need == (NAME,):
        return here.gone and counts
    if (here.changed or here.gone) and counts:
        return True
    if not need:
        return any(_touches(b, (), skip) for b in here.below.values())
    part, *rest = need
    if part == ANY:
        return any(_touches(b, tuple(rest), skip) for b in here.below.values())
    below = here.below.get(part)
    return below is not None and _touches(below, tuple(rest), skip)


#: Problems that follow from several places at once; nobody knows which is wrong, so they taint none.
_RESULTS: Final = frozenset({"E305", "E308", "E309", "E312", "E314", "E316"})


def judge(raws: Sequence[RawProblem], taint: Taint) -> list[RawProblem]:
    """Return the problems that hold whatever becomes of the others and of the tainted places.

    Two problems at the very same place do not hide each other: two unknown names in one list are two.
    """
    raws = list(dict.fromkeys(raws))
    wrong = (r.loc for r in raws if r.code.startswith("E") and r.code not in _RESULTS and len(r.loc) > 1)
    others = Taint(changed=wrong)
    known: dict[tuple[Loc, Loc | None], bool] = {}

    def doubtful(need: Loc, own: Loc) -> bool:
        # Only in its own section can a problem meet its own place; elsewhere one look does for all.
        key = (need, own if need[:1] == own[:1] else None)
        if key not in known:
            known[key] = taint.touches(need) or (need != own and others.touches(need, but=own))
        return known[key]

    return [raw for raw in raws if not any(doubtful(need, raw.loc) for need in raw.needs or (raw.loc,))]
