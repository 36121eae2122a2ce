"""Ways to spoil a scenario file, each a function of the text and a random generator.

A mutation returns the files of a case: ``case.yaml`` is the one that is checked, others lie beside it.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from typing import Any

from dssn.loading.load import to_yaml

Files = dict[str, bytes]
Mutation = Callable[[random.Random, str, Any], Files]

#: Values that stand where something else is due.
NASTY: list[Any] = [
    None, True, False, 0, -1, 1, 2.5, -0.0, 10**9, -(10**9), 10**18, 10**30, 1e-300, 1e300, 1e15, 0.1,
    "", " ", "x", "~", "0", "-1", "1e309", "NaN", "no", "null", "all", "*", "../../etc/passwd", "/dev/zero",
    "5", "5 s", "-5 s", "0 s", "1e30 s", "1e400 s", "5 sec", "5ms", "5 GB", "1e20 GB", "5 Gbps", "0 bit/s",
    "1e-30 bit/s", "1e25 /s", "0 /h", "1e-20 /h", "1 year", "100000 year", "50 %", "150 %", "-1 %", "0 %", "1e9 km",
    "16C32G", "0C0G", "9999C99999G", "1C1G", "site1", "site999", "bank", "nobody", "drn", "china", "os:system",
    "psi.ecdh", "tee.job", "transfer.bulk", "presets/base.yaml", "metro", "case.yaml", "a\u0000b".replace("\u0000", ""),
    "\u202e", "数据", "a, b", "a: b", "- a", "[", "{", "x" * 300, "x" * 5000, "%", "'", '"', "\\", "#",
    [], {}, [[]], [{}], {"": ""}, ["x"], [1, 2, 3], ["site1", "site1"], [None], {"id": "x"}, {"kind": "ring"},
    {"kind": "full_mesh", "sites": 150}, {"kind": "china"}, {"kind": "line", "sites": 2000}, {"kind": "nothing"},
    {"kind": "topohub", "name": "topozoo/Chinanet"}, {"kind": "topohub", "name": "x"},
    {"kind": "graphml", "file": "case.yaml"}, {"kind": "graphml", "file": "/dev/zero"},
    {"kind": "trace", "file": "case.yaml", "time": "a"}, {"kind": "poisson", "rate": "1e9 /s"},
    {"kind": "schedule", "every": "1 ms"}, {"kind": "schedule", "times": ["1 s"] * 500},
    {"kind": "renewal", "gap": "0 s"}, {"kind": "renewal", "gap": {"exponential": {"mean": "1 ns"}}},
    {"lognormal": {"median": 5, "sigma": 9}}, {"lognormal": {"median": "5 s", "sigma": -1}}, {"exponential": {}},
    {"uniform": {"low": 5, "high": 1}}, {"pareto": {"minimum": 1, "shape": 1e-9}}, {"normal": {"mean": -5, "sd": 1e9}},
    {"quantiles": {"0 %": 1, "100 %": 5}}, {"quantiles": {}}, {"erlang": {"mean": 1, "k": 1e9}},
    {"role": "drn"}, {"role": "nobody"}, {"ids": []}, {"zipf": 5}, {"weights": {"nobody": 1}},
    {"generate": {"prefix": "g", "role": "dsn", "count": 10**9}}, {"generate": {"prefix": "g", "role": "dsn"}},
    {"generate": {"prefix": "g", "role": "dsn", "count": 20000, "sites": "all"}},
    {"generate": {"prefix": "g", "nodes": {"role": "dsn"}, "per_node": 1000, "rows": 1}},
    {"x": {"x": {"x": {"x": {"x": 1}}}}},
]  # fmt: skip

UNITS = [
    "s",
    "ms",
    "h",
    "min",
    "GB",
    "Gbit/s",
    "Gbps",
    "km",
    "/h",
    "%",
    "CNY",
    "core-s",
    "",
    "Hz",
    "m",
    "parsec",
]


def _locations(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    out = [at] if at else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        out += _locations(below, (*at, key))
    return out


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _copy(v) for k, v in value.items()}
    return [_copy(v) for v in value] if isinstance(value, list) else value


def _at(value: Any, loc: tuple[Any, ...]) -> Any:
    for key in loc:
        value = value[key]
    return value


def _dump(document: Any) -> Files:
    return {"case.yaml": to_yaml(document).encode("utf-8", "surrogatepass")}


def _typo(rng: random.Random, word: str) -> str:
    if not word:
        return "x"
    i = rng.randrange(len(word))
    letter = rng.choice(string.ascii_letters + "_.- ")
    edits = (word[:i] + word[i + 1 :], word[:i] + letter + word[i:], word[:i] + letter + word[i + 1 :],
             word[:i] + word[i : i + 2][::-1] + word[i + 2 :], word.upper(), word + "s")  # fmt: skip
    return rng.choice(edits)


# ------------------------------------------------------------------ of the document


def _some_value(rng: random.Random, text: str, document: Any) -> Files:
    """One to three values become something else."""
    document = _copy(document)
    for _ in range(rng.choice((1, 1, 2, 3))):
        loc = rng.choice(_locations(document))
        _at(document, loc[:-1])[loc[-1]] = _copy(rng.choice(NASTY))
    return _dump(document)


def _key_typo(rng: random.Random, text: str, document: Any) -> Files:
    document = _copy(document)
    loc = rng.choice([at for at in _locations(document) if isinstance(at[-1], str)])
    parent = _at(document, loc[:-1])
    value = parent.pop(loc[-1])
    parent[_typo(rng, loc[-1])] = value
    return _dump(document)


def _name_typo(rng: random.Random, text: str, document: Any) -> Files:
    document = _copy(document)
    loc = rng.choice([at for at in _locations(document) if isinstance(_at(document, at), str)])
    parent = _at(document, loc[:-1])
    parent[loc[-1]] = _typo(rng, parent[loc[-1]])
    return _dump(document)


def _unit(rng: random.Random, text: str, document: Any) -> Files:
    document = _copy(document)
    places = [at for at in _locations(document) if str(_at(document, at))[:1].isdigit()]
    loc = rng.choice(places)
    parent = _at(document, loc[:-1])
    number = rng.choice(
        [str(parent[loc[-1]]).split()[0], "-3", "0", "1e12", "1e-12", "1e308", "9" * 30, "1_0", "∞"]
    )
    unit = rng.choice(UNITS)
    parent[loc[-1]] = f"{number} {unit}" if unit else rng.choice([number, _number(number)])
    return _dump(document)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _delete(rng: random.Random, text: str, document: Any) -> Files:
    document = _copy(document)
    for _ in range(rng.choice((1, 1, 2, 4))):
        places = _locations(document)
        if not places:
            break
        loc = rng.choice(places)
        del _at(document, loc[:-1])[loc[-1]]
    return _dump(document)


def _swap(rng: random.Random, text: str, document: Any) -> Files:
    document = _copy(document)
    places = _locations(document)
    a, b = rng.choice(places), rng.choice(places)
    if a[: len(b)] == b or b[: len(a)] == a:
        return _dump(document)
    x, y = _at(document, a), _at(document, b)
    _at(document, a[:-1])[a[-1]], _at(document, b[:-1])[b[-1]] = y, x
    return _dump(document)


def _repeat(rng: random.Random, text: str, document: Any) -> Files:
    document = _copy(document)
    lists = [at for at in _locations(document) if isinstance(_at(document, at), list) and _at(document, at)]
    items = _at(document, rng.choice(lists))
    items += [_copy(rng.choice(items)) for _ in range(rng.choice((1, 2, 50)))]
    return _dump(document)


def _huge_count(rng: random.Random, text: str, document: Any) -> Files:
    document = _copy(document)
    kind = rng.choice(("nodes", "rate", "sites", "rows", "horizon", "assets", "faults", "parties"))
    big = rng.choice((20_000, 10**6, 10**9, 10**12))
    network = document.setdefault("network", {})
    if kind == "nodes":
        document.setdefault("nodes", [])
        made = {
            "prefix": "many",
            "role": rng.choice(("dsn", "drn")),
            "count": min(big, 20_000),
            "sites": "all",
        }
        document["nodes"] = [
            *_list(document["nodes"]),
            *({"generate": {**made, "prefix": f"m{i}"}} for i in range(5)),
        ]
    elif kind == "sites" and isinstance(network, dict):
        network["topology"] = {
            "kind": rng.choice(("ring", "full_mesh", "random_geometric", "grid")),
            "sites": big,
        }
    elif kind == "horizon":
        document["run"] = {**_dict(document.get("run")), "horizon": f"{big} d", "sample": "1 ms"}
    elif kind == "assets":
        group = {"prefix": "a", "nodes": {"role": "dsn"}, "per_node": min(big, 1000), "rows": big}
        document["assets"] = [*_list(document.get("assets")), {"generate": group}]
    elif kind == "faults":
        fault = {"kind": "node_down", "role": ["dsn", "drn"], "mtbf": "1 ms", "duration": "1 ms"}
        document["faults"] = [*_list(document.get("faults")), fault]
    else:
        key, value = {
            "rate": ("arrivals", {"kind": "poisson", "rate": f"{big} /s"}),
            "rows": ("job", {"engine": "psi.ecdh", "rows": big}),
            "parties": ("parties", big),
        }[kind]
        for stream in _list(document.get("workload")):
            if isinstance(stream, dict):
                stream[key] = value
    return _dump(document)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _parts(rng: random.Random, text: str, document: Any) -> Files:
    """The network falls apart, or its spans go nowhere."""
    n = rng.choice((1, 2, 5, 8))
    sites = [{"id": f"site{i + 1}"} for i in range(n)]
    edges = [
        {"a": f"site{rng.randrange(1, n + 2)}", "b": f"site{rng.randrange(1, n + 2)}", "length": "20 km"}
        for _ in range(rng.randrange(n + 1))
    ]
    document = {**document, "network": {**_dict(document.get("network"))}}
    document["network"]["topology"] = {"kind": "explicit", "sites": sites, "edges": edges}
    return _dump(document)


# ------------------------------------------------------------------ of the text


def _truncate(rng: random.Random, text: str, document: Any) -> Files:
    raw = text.encode()
    return {"case.yaml": raw[: rng.randrange(len(raw))]}


def _characters(rng: random.Random, text: str, document: Any) -> Files:
    for _ in range(rng.choice((1, 1, 3, 10))):
        i = rng.randrange(len(text))
        new = rng.choice([*"[]{},:'\"&*!#|>%@`?-\t \n~<=\\", "", "é", "\u2028", "\ufeff", "\x07"])
        text = text[:i] + new + text[i + rng.choice((0, 1)) :]
    return {"case.yaml": text.encode()}


def _lines(rng: random.Random, text: str, document: Any) -> Files:
    lines = text.splitlines()
    for _ in range(rng.choice((1, 2, 5))):
        i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
        match rng.randrange(4):
            case 0:
                lines[i] = rng.choice((" ", "  ", "\t")) + lines[i]
            case 1:
                lines.insert(i, lines[j])  # a duplicate key, often
            case 2:
                lines[i], lines[j] = lines[j], lines[i]
            case _:
                lines[i] = lines[i].strip()
    return {"case.yaml": "\n".join(lines).encode()}


def _bytes(rng: random.Random, text: str, document: Any) -> Files:
    raw = bytearray(text.encode())
    match rng.randrange(4):
        case 0:
            raw = bytearray(rng.randbytes(rng.choice((1, 10, 1000, 100_000))))
        case 1:
            for _ in range(rng.choice((1, 5, 50))):
                raw[rng.randrange(len(raw))] = rng.randrange(256)
        case 2:
            raw = bytearray(text.encode(rng.choice(("utf-16", "utf-32", "utf-16-le"))))
        case _:
            raw = bytearray(b"\x89PNG\r\n\x1a\n" + rng.randbytes(500))
    return {"case.yaml": bytes(raw)}


def _nothing(rng: random.Random, text: str, document: Any) -> Files:
    return {
        "case.yaml": rng.choice(
            (b"", b"\n", b"#\n", b"---\n", b"...", b"null", b"[]", b"{}", b"5", b"\xef\xbb\xbf")
        )
    }


def _bomb(rng: random.Random, text: str, document: Any) -> Files:
    width, depth = rng.choice(((9, 9), (2, 30), (100, 5), (1, 200)))
    lines = [f"b0: &b0 [{', '.join(['x'] * width)}]"]
    lines += [f"b{i}: &b{i} [{', '.join([f'*b{i - 1}'] * width)}]" for i in range(1, depth)]
    extra = rng.choice(("", "z: &z [*z]\n", "<<: *b0\n", "? *b0\n: x\n"))
    return {"case.yaml": (text + "\n" + "\n".join(lines) + "\n" + extra).encode()}


def _deep(rng: random.Random, text: str, document: Any) -> Files:
    n = rng.choice((30, 100, 1000, 10_000))
    kind = rng.randrange(4)
    if kind == 0:
        more = "faults: " + "[" * n + "]" * n
    elif kind == 1:
        more = "faults: " + "{a: " * n + "1" + "}" * n
    elif kind == 2:
        more = "faults:\n" + "\n".join(" " * i + "a:" for i in range(1, min(n, 1000)))
    else:
        more = "faults: " + "- " * n
    return {"case.yaml": f"{text}\n{more}\n".encode()}


def _long(rng: random.Random, text: str, document: Any) -> Files:
    n = rng.choice((10_000, 100_000, 3_000_000))
    more = rng.choice(
        (
            "title: " + "x" * n,
            "title: '" + "x\n " * n,
            "faults: [" + "1, " * n,
            "a: b\n" * (n // 10),
            "\n".join(f"k{i}: 1" for i in range(n // 10)),
            "x: !" + "!" * n,
            "? " + "a" * n,
            "nodes:\n" + "  - {id: a, role: drn, site: site1}\n" * min(n // 20, 20_000),
        )
    )
    return {"case.yaml": f"{text}\n{more}\n".encode()}


def _imports(rng: random.Random, text: str, document: Any) -> Files:
    names = [
        "case.yaml",
        "other.yaml",
        "third.yaml",
        "metro",
        "presets/base.yaml",
        "none.yaml",
        "..",
        "/dev/zero",
        "",
    ]
    lines = [line for line in text.splitlines() if not line.startswith("import:")]

    def head() -> str:
        chosen = [rng.choice(names) for _ in range(rng.choice((1, 1, 2, 3, 60)))]
        return f"import: {rng.choice((str(chosen), chosen[0] or 7))}\n"

    body = "\n".join(lines).encode()
    return {
        "case.yaml": head().encode() + body,
        "other.yaml": head().encode() + (b"" if rng.random() < 0.7 else body),
        "third.yaml": rng.choice((b"", b"- 1\n", head().encode(), rng.randbytes(30), b"run: {seed: x}\n")),
    }


def _overrides(rng: random.Random, text: str, document: Any) -> Files:
    document = _copy(document)
    fragment: Any = rng.choice(NASTY)
    if rng.random() < 0.7:
        loc = rng.choice(_locations(document))
        fragment = _copy(rng.choice(NASTY))
        for key in reversed(loc):
            fragment = {str(key): fragment}
    document["overrides"] = {"one": fragment} if rng.random() < 0.9 else fragment
    return _dump(document)


#: Name to mutation; those of values and keys come more often.
MUTATIONS: dict[str, tuple[float, Mutation]] = {
    "value": (5, _some_value),
    "key typo": (2, _key_typo),
    "name typo": (3, _name_typo),
    "unit": (3, _unit),
    "delete": (2, _delete),
    "swap": (2, _swap),
    "repeat": (1, _repeat),
    "huge count": (0.4, _huge_count),
    "parts": (1, _parts),
    "truncate": (1, _truncate),
    "characters": (2, _characters),
    "lines": (2, _lines),
    "bytes": (1, _bytes),
    "nothing": (0.3, _nothing),
    "bomb": (0.5, _bomb),
    "deep": (0.5, _deep),
    "long": (0.2, _long),
    "imports": (1, _imports),
    "overrides": (1.5, _overrides),
}


def random_sets(rng: random.Random, document: Any) -> list[str]:
    """Return ``--set`` texts, most of them wrong."""
    sets = []
    for _ in range(rng.choice((1, 1, 3))):
        loc = [str(k) for k in rng.choice(_locations(document))]
        if rng.random() < 0.4:
            loc[rng.randrange(len(loc))] = _typo(rng, rng.choice(loc))
        value = rng.choice(NASTY)
        text = value if isinstance(value, str) else str(value)
        sets.append(f"{'.'.join(loc)}{rng.choice(('=', '=', '=', '', '=='))}{text}")
    return sets
