"""In what two runs differ: settings, seeds, policies, versions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dssn_sim.runs import RunFolder

__all__ = ["differences"]

_SHOWN: Final = 6
#: Said elsewhere (seed of the run card, horizon and warm-up by the comparison), or without consequence.
_ELSEWHERE: Final = {"title", "question", "run.seed", "run.replications", "run.horizon", "run.warmup"}


def differences(a: RunFolder, b: RunFolder) -> list[str]:
    """Return one sentence on what differs between two runs; nothing if only chance could.

    Parameters
    ----------
    a, b : RunFolder
        The runs.
    """
    found: list[tuple[str, object, object]] = []
    first, second = a.run, b.run
    if first["scenario"]["name"] != second["scenario"]["name"]:
        found.append(("scenario", first["scenario"]["name"], second["scenario"]["name"]))
    if first["seed"] != second["seed"]:
        found.append(("seed", first["seed"], second["seed"]))
    if first["scenario"]["hash"] != second["scenario"]["hash"]:
        found += _settings(a, b)
    named = {path for path, _, _ in found}
    for kind in sorted({*first["policies"], *second["policies"]}):
        x, y = (r["policies"].get(kind, {}).get("name", "none") for r in (first, second))
        if x != y and not any(p.startswith(f"policies.{kind}") for p in named):  # an object given in Python
            found.append((f"policies.{kind}", x, y))
    if first["versions"].get("code") != second["versions"].get("code"):
        found.append(
            ("version of the program", first["versions"].get("code"), second["versions"].get("code"))
        )
    if not found:
        return []
    words = [f"{path} ({_short(x)}, {_short(y)})" for path, x, y in found[:_SHOWN]]
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return [f"A and B differ in {', '.join(words)}{more}"]


def _settings(a: RunFolder, b: RunFolder) -> list[tuple[str, object, object]]:
    from ruamel.yaml import YAML

    yaml: Any = YAML(typ="safe", pure=True)
    x, y = (dict(_leaves(yaml.load(run.resolved_yaml), "")) for run in (a, b))
    return [
        (path, x.get(path, "not set"), y.get(path, "not set"))
        for path in dict.fromkeys((*x, *y))
        if x.get(path) != y.get(path) and path not in _ELSEWHERE
    ]


def _leaves(value: object, path: str) -> Iterator[tuple[str, object]]:
    """Yield path and value of everything that has no parts; list items go by their id."""
    if isinstance(value, dict) and value:
        items = [(str(k), v) for k, v in value.items()]
    elif isinstance(value, list) and value:
        items = [(str(v.get("id", i)) if isinstance(v, dict) else str(i), v) for i, v in enumerate(value)]
    else:
        yield path, value
        return
    for key, below in items:
        yield from _leaves(below, f"{path}.{key}" if path else key)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:36]} ..."
