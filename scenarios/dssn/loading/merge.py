"""Laying one tree over another: imports, overrides, ``--set``.

The rules, the same for every layer:

- a mapping merges key by key;
- a list of things with an ``id`` merges by id, with a list of its kind or a mapping ``{id: {...}}`` laid over
  it; a ``generate`` entry answers to its ``prefix``; new ids of a list are appended, new ids of a mapping
  are an error;
- any other list, and any scalar, replaces what was there;
- a mapping that names another ``kind``, or another random distribution, replaces the whole mapping, because
  the old one's parameters would be left over;
- ``null`` deletes the key or, under an id, the item.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, get_args

from dssn.loading.tree import MAX_DEPTH, Entry, Key, Mark, Node, compose, item_key, resolve_scalar
from dssn.problems import Problem, nearest, shorten
from dssn_models.dist import DistKind

__all__ = ["Merger", "parse_set"]

_DISTRIBUTIONS: Final = frozenset(get_args(DistKind)) | {"quantiles"}


def _sized(mark: Mark, value: list[Node] | dict[Key, Entry]) -> Node:
    nodes = value if isinstance(value, list) else [e.node for e in value.values()]
    return Node(mark, value, 1 + sum(n.size for n in nodes), 1 + max((n.height for n in nodes), default=0))


def _kind(node: Node) -> object:
    if not isinstance(node.value, dict) or "kind" not in node.value:
        return None
    return node.value["kind"].node.value


def _replaces(old: dict[Key, Entry], new: dict[Key, Entry], old_node: Node, new_node: Node) -> bool:
    """Whether the new mapping is another thing, not a change of the old one."""
    kind, before = _kind(new_node), _kind(old_node)
    if kind is not None and before is not None and kind != before:
        return True
    if len(new) == 1 and len(old) == 1:
        (a,), (b,) = old, new
        return a != b and a in _DISTRIBUTIONS and b in _DISTRIBUTIONS
    return False


def _keys(items: list[Node]) -> list[str] | None:
    """Return the id of each item, or None where one has none."""
    keys = [item_key(item) for item in items]
    return [k for k in keys if k is not None] if keys and None not in keys else None


@dataclass(slots=True)
class Merger:
    """Merges trees and collects what does not fit."""

    problems: list[Problem] = field(default_factory=list)

    def report(self, code: str, mark: Mark, path: str, found: str, allowed: str, hint: str = "") -> None:
        """Note a problem."""
        self.problems.append(Problem(code, mark.file, mark.line, mark.column, path, found, allowed, hint))

    def merge(self, old: Node, new: Node, path: str = "") -> Node:
        """Return ``new`` laid over ``old``."""
        a, b = old.value, new.value
        if isinstance(a, dict) and isinstance(b, dict):
            return new if _replaces(a, b, old, new) else self._mappings(a, b, new.mark, path)
        if isinstance(a, list) and isinstance(b, dict) and (keys := _keys(a)) is not None:
            return self._by_mapping(a, keys, b, old.mark, path)
        if isinstance(a, list) and isinstance(b, list):
            before, after = _keys(a), _keys(b)
            if before is not None and after is not None and len(set(before)) == len(before):
                return self._by_list(a, before, b, after, new.mark, path)
        return new

    def _mappings(self, a: dict[Key, Entry], b: dict[Key, Entry], mark: Mark, path: str) -> Node:
        out = dict(a)
        for key, entry in b.items():
            if key not in out:
                out[key] = entry
            elif entry.node.value is None:
                del out[key]
            else:
                merged = self.merge(out[key].node, entry.node, f"{path}.{key}" if path else str(key))
                out[key] = Entry(entry.mark, merged)
        return _sized(mark, out)

    def _by_mapping(self, a: list[Node], keys: list[str], b: dict[Key, Entry], mark: Mark, path: str) -> Node:
        out: dict[int, Node | None] = dict(enumerate(a))
        places = {k: i for i, k in reversed(list(enumerate(keys)))}
        for name, entry in b.items():
            key = str(name)
            if key not in places:
                self.no_item(entry.mark, path, key, keys)
                continue
            i = places[key]
            out[i] = None if entry.node.value is None else self.merge(a[i], entry.node, f"{path}.{key}")
        return _sized(mark, [n for n in out.values() if n is not None])

    def _by_list(
        self, a: list[Node], before: list[str], b: list[Node], after: list[str], mark: Mark, path: str
    ) -> Node:
        out = list(a)
        places = {k: i for i, k in enumerate(before)}
        for key, node in zip(after, b, strict=True):
            if key in places:
                out[places[key]] = self.merge(out[places[key]], node, f"{path}.{key}")
                del places[key]  # a second item of the same id in the new list is appended, and found later
            else:
                out.append(node)
        return _sized(mark, out)

    def no_item(self, mark: Mark, path: str, key: str, keys: list[str]) -> None:
        """Report an id that the list does not have."""
        listed = ", ".join(keys[:20]) + (", ..." if len(keys) > 20 else "")
        self.report("E404", mark, f"{path}.{key}", f"no item {shorten(key)}", listed, nearest(key, keys))

    # ------------------------------------------------------------ --set

    def apply_set(self, root: Node, text: str) -> Node:
        """Return the tree with one ``PATH=VALUE`` laid over it."""
        parsed = parse_set(text)
        if isinstance(parsed, Problem):
            self.problems.append(parsed)
            return root
        path, value = parsed
        return self._set(root, path, value, "")

    def _set(self, node: Node, path: list[str], new: Node, done: str) -> Node:
        here = node.value
        if isinstance(here, dict):
            names = {str(k): k for k in here}
            word, rest = _longest(path, list(names))
            key = names.get(word, resolve_scalar(word))
            if isinstance(key, bool) or not isinstance(key, int):
                key = word
            return self._set_key(node, here, key, rest, new, done)
        if isinstance(here, list):
            return self._set_item(node, here, path, new, done)
        self.report(
            "E402",
            new.mark,
            done,
            f"the path goes on to {shorten('.'.join(path))}, but {done or 'the file'} is {shorten(here)}",
            "a path through mappings and list ids",
        )
        return node

    def _set_key(
        self, node: Node, here: dict[Key, Entry], key: Key, rest: list[str], new: Node, done: str
    ) -> Node:
        at = f"{done}.{key}" if done else str(key)
        out = dict(here)
        if rest:
            below = here[key].node if key in here else _sized(new.mark, {})
            if below.value is None:
                below = _sized(new.mark, {})
            out[key] = Entry(here[key].mark if key in here else new.mark, self._set(below, rest, new, at))
        elif new.value is None and key in here:
            del out[key]
        else:
            merged = self.merge(here[key].node, new, at) if key in here else new
            out[key] = Entry(new.mark, merged)
        return _sized(node.mark, out)

    def _set_item(self, node: Node, here: list[Node], path: list[str], new: Node, done: str) -> Node:
        keys = [item_key(item) for item in here]
        named = [k for k in keys if k is not None]
        key, rest = _longest(path, named)
        if key in named:
            i = keys.index(key)
        elif key.isdecimal() and len(key) < 7 and int(key) < len(here):
            i = int(key)
        elif key in ("streams", "items") and rest:  # the list itself has no name of its own
            return self._set_item(node, here, rest, new, done)
        else:
            allowed = named or [str(n) for n in range(len(here))]
            self.no_item(new.mark, done, key, allowed)
            return node
        at = f"{done}.{key}"
        out = list(here)
        if rest:
            out[i] = self._set(here[i], rest, new, at)
        elif new.value is None:
            del out[i]
        else:
            out[i] = self.merge(here[i], new, at)
        return _sized(node.mark, out)


def _longest(path: list[str], names: list[str]) -> tuple[str, list[str]]:
    """Split a path into its first name and the rest; names may have dots (``dsp.access``)."""
    known = set(names)
    for n in range(min(len(path), 4), 1, -1):
        if (joined := ".".join(path[:n])) in known:
            return joined, path[n:]
    return path[0], path[1:]


def parse_set(text: str) -> tuple[list[str], Node] | Problem:
    """Return the path and the value of ``a.b=value``, or what is wrong with it."""
    label = f"--set {text if len(text) <= 80 else text[:77] + '...'}"
    left, equals, right = text.partition("=")
    path = [part.strip() for part in left.split(".")]
    if not equals:
        return Problem("E402", label, found="no '='", allowed="PATH=VALUE, for example run.seed=7")
    if not all(path) or len(path) > MAX_DEPTH:
        return Problem("E402", label, found=f"path {shorten(left)}", allowed="names with dots between them")
    value, problems = compose(right, label)
    if problems:
        first = problems[0]
        return Problem("E403", label, path=".".join(path), found=first.found, allowed="one YAML value")
    if value is None:  # a variable of the shell that is not set must not delete anything
        return Problem(
            "E403",
            label,
            path=".".join(path),
            found="no value",
            allowed="one YAML value; null deletes the key",
        )
    return path, _anonymous(value, Mark(label))


def _anonymous(node: Node, mark: Mark) -> Node:
    """Return the tree with every mark at the option: lines of a command line mean nothing."""
    value = node.value
    if isinstance(value, dict):
        return _sized(mark, {k: Entry(mark, _anonymous(e.node, mark)) for k, e in value.items()})
    if isinstance(value, list):
        return _sized(mark, [_anonymous(n, mark) for n in value])
    return Node(mark, value)
