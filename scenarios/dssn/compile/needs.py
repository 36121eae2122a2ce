"""What a problem depends on: the places behind names and selections (see :mod:`dssn.compile.judge`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from dssn.compile.codes import Loc, RawProblem
from dssn.compile.judge import ANY
from dssn.problems import nearest
from dssn.schema.nodes import GeneratedAssets, GeneratedNodes

if TYPE_CHECKING:
    from dssn.compile.world import World
    from dssn.schema import Scenario
    from dssn.schema.selectors import AssetChoice, NodeSelector, SiteSelector

__all__ = [
    "SITES",
    "among_chosen",
    "asset_names",
    "assets_chosen",
    "groups_of_role",
    "item_of",
    "listed",
    "node_names",
    "nodes_chosen",
    "of_entry",
    "of_nodes",
    "places",
    "sites_chosen",
    "unknown",
    "unknown_item",
]

Needs = tuple[Loc, ...]

_MAP: Final[Loc] = ("network", "topology")
#: Which sites there are.
SITES: Final[Needs] = (
    (*_MAP, "sites", ANY, "id"),
    *((*_MAP, key) for key in ("kind", "rows", "columns", "depth", "branching", "cities", "file", "name")),
)
_NODE_KEYS: Final = ("role", "site", "party", "operator")


def listed(names: Iterable[str]) -> str:
    """Return the first names of a list, for messages."""
    known = list(names)
    return ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")


def unknown(loc: Loc, name: str, what: str, names: Iterable[str], needs: Needs = ()) -> RawProblem:
    """Return the problem of a name that does not exist; ``needs`` are the places that make the names."""
    known = list(names)
    shown = listed(known) if known else f"no {what} is defined"
    return RawProblem(
        "E301", loc, f"no {what} '{name}'", shown, nearest(name, known), needs and (loc, *needs)
    )


def item_of(loc: Loc, number: int) -> Needs:
    """Return the places of an id in a selector, which may be a plain list; the first is where to report it."""
    return ((*loc, "ids", number), (*loc, number))


def unknown_item(
    loc: Loc, number: int, name: str, what: str, names: Iterable[str], needs: Needs
) -> RawProblem:
    """Return the problem of an unknown id in a selector; what else stands in the selector does not matter."""
    item = item_of(loc, number)
    return unknown(item[0], name, what, names)._replace(needs=(*item, *needs))


def places(key: str) -> Needs:
    """Return what says in which province or region sites lie."""
    return (*SITES, (*_MAP, "sites", ANY, key))


def of_entry(section: str, key: str) -> Needs:
    """Return a property of all entries of a section, single or generated."""
    return ((section, ANY, key), (section, ANY, "generate", key))


def sites_chosen(loc: Loc, chosen: SiteSelector) -> Needs:
    """Return what a choice of sites at ``loc`` depends on."""
    keys = [key for key in ("kind", "province", "region") if getattr(chosen, key) is not None]
    return (loc, *SITES, *(place for key in keys for place in places(key)))


# ------------------------------------------------------------------ nodes


def _made(section: str, i: int, *keys: str) -> Needs:
    return tuple((section, i, "generate", key) for key in keys)


def _is_made(name: str, prefix: str) -> bool:
    return name.startswith(prefix) and name[len(prefix) :].isdecimal()


def node_names(scenario: Scenario, names: Iterable[str] = ()) -> Needs:
    """Return what says whether nodes of these names exist."""
    needs: list[Loc] = [("nodes", ANY, "id"), ("nodes", ANY, "generate", "prefix")]
    for i, entry in enumerate(scenario.nodes):
        if isinstance(entry, GeneratedNodes) and any(_is_made(n, entry.generate.prefix) for n in names):
            needs += _made("nodes", i, "count", "per_site", "sites", "weight")
            needs += SITES
    return tuple(dict.fromkeys(needs))


def nodes_chosen(scenario: Scenario, loc: Loc, chosen: NodeSelector, role: str | None = None) -> Needs:
    """Return what a choice of nodes at ``loc`` depends on; ``role`` is the one taken where none is named."""
    needs = [place for key in _node_keys(chosen, role) for place in of_entry("nodes", key)]
    if chosen.ids is not None or chosen.prefix is not None:
        needs += node_names(scenario, chosen.ids or ())
    if chosen.ids is None:
        roles = chosen.role or ((role,) if role is not None else None)
        needs += groups_of_role(scenario, roles)
    return (*_own(loc, chosen), *_maps(chosen), *dict.fromkeys(needs))


def groups_of_role(scenario: Scenario, roles: Sequence[str] | None) -> Needs:
    """Return what the generated nodes of some roles (or of any) depend on to be there at all."""
    found = [
        ("nodes", i, "generate", "sites")
        for i, entry in enumerate(scenario.nodes)
        if isinstance(entry, GeneratedNodes) and (roles is None or entry.generate.role in roles)
    ]
    return (*found, *SITES) if found else ()


def among_chosen(
    world: World, loc: Loc, chosen: NodeSelector, names: Iterable[str], role: str | None = None
) -> Needs:
    """Return what it depends on that certain nodes are among the chosen ones, whoever else is."""
    names = list(names)
    keys = [*_node_keys(chosen, role), "sites", "id", "prefix"]
    return (*_own(loc, chosen), *_maps(chosen), *of_nodes(world, names, keys))


def _node_keys(chosen: NodeSelector, role: str | None) -> list[str]:
    """Return the keys of nodes that a selector looks at."""
    keys = [key for key in _NODE_KEYS if getattr(chosen, key) is not None]
    keys += ["role"] if role is not None and chosen.role is None and chosen.ids is None else []
    keys += ["labels"] if chosen.label else []
    if chosen.party is not None:  # a node without a party has its own, or the platform's
        keys += ["role", "id", "prefix"]
    return keys + (["site"] if _maps(chosen) else [])


def _maps(chosen: NodeSelector) -> Needs:
    keys = [key for key in ("province", "region") if getattr(chosen, key) is not None]
    return tuple(place for key in keys for place in places(key))


def _own(loc: Loc, chosen: NodeSelector | AssetChoice) -> Needs:
    """Return the keys of a selector; the weights that stand beside them do not matter."""
    if chosen.model_fields_set <= {"ids"}:  # perhaps the short form, a plain list
        return (loc,)
    return tuple((*loc, key) for key in type(chosen).model_fields if key not in ("weights", "zipf", "by"))


def of_nodes(world: World, names: Iterable[str], keys: Iterable[str]) -> Needs:
    """Return properties of certain nodes."""
    locs = dict.fromkeys(world.where[name] for name in names if name in world.where)
    wanted = list(keys)
    return tuple((*loc, key) for loc in locs for key in wanted)


# ------------------------------------------------------------------ assets


def asset_names(scenario: Scenario, names: Iterable[str] = ()) -> Needs:
    """Return what says whether assets of these names exist."""
    needs: list[Loc] = [("assets", ANY, "id"), ("assets", ANY, "generate", "prefix")]
    for i, entry in enumerate(scenario.assets):
        if isinstance(entry, GeneratedAssets) and any(_is_made(n, entry.generate.prefix) for n in names):
            needs += _made("assets", i, "per_node")
            needs += nodes_chosen(scenario, ("assets", i, "generate", "nodes"), entry.generate.nodes)
    return tuple(dict.fromkeys(needs))


def assets_chosen(scenario: Scenario, loc: Loc, chosen: AssetChoice) -> Needs:
    """Return what a choice of assets at ``loc`` depends on."""
    needs: list[Loc] = []
    for key, names in (("sector", ("sector", "sectors")), ("level", ("level",)), ("node", ("node", "nodes"))):
        if getattr(chosen, key) is not None:
            needs += [place for name in names for place in of_entry("assets", name)]
    if chosen.ids is not None or chosen.prefix is not None:
        needs += asset_names(scenario, chosen.ids or ())
    if chosen.province is not None or chosen.region is not None:
        needs += [*of_entry("assets", "node"), *of_entry("assets", "nodes"), *of_entry("nodes", "site")]
        needs += [
            p for key in ("province", "region") if getattr(chosen, key) is not None for p in places(key)
        ]
    if chosen.ids is None:
        for i, entry in enumerate(scenario.assets):
            if isinstance(entry, GeneratedAssets):
                needs += nodes_chosen(scenario, ("assets", i, "generate", "nodes"), entry.generate.nodes)
    return (*_own(loc, chosen), *dict.fromkeys(needs))
