import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dssn.loading.load import to_yaml
from dssn.loading.merge import Merger, parse_set
from dssn.loading.tree import compose, plain, positions_of
from dssn.problems import Problem


def tree(text, file="f"):
    node, problems = compose(text, file)
    assert not problems
    return node


def merged(old, new):
    merger = Merger()
    out = plain(merger.merge(tree(old, "old"), tree(new, "new")))
    return out, [p.code for p in merger.problems]


@pytest.mark.parametrize(
    ("old", "new", "out"),
    [
        ("{a: 1, b: {c: 2}}", "{b: {d: 3}}", {"a": 1, "b": {"c": 2, "d": 3}}),
        ("{a: [1, 2]}", "{a: [3]}", {"a": [3]}),
        ("{a: 1}", "{a: null}", {}),
        ("{a: {b: 1}}", "{a: 5}", {"a": 5}),
        ("{a: 5}", "{a: {b: 1}}", {"a": {"b": 1}}),
        # lists of things with an id
        ("{l: [{id: x, v: 1}, {id: y}]}", "{l: {x: {v: 2}}}", {"l": [{"id": "x", "v": 2}, {"id": "y"}]}),
        ("{l: [{id: x, v: 1}, {id: y}]}", "{l: {y: null}}", {"l": [{"id": "x", "v": 1}]}),
        ("{l: [{id: x, v: 1}]}", "{l: [{id: z}, {id: x, v: 3}]}", {"l": [{"id": "x", "v": 3}, {"id": "z"}]}),
        ("{l: [{id: x}]}", "{l: []}", {"l": []}),
        ("{l: [{id: x}]}", "{l: [{v: 1}]}", {"l": [{"v": 1}]}),
        (
            "{n: [{generate: {prefix: p, count: 2}}]}",
            "{n: {p: {generate: {count: 5}}}}",
            {"n": [{"generate": {"prefix": "p", "count": 5}}]},
        ),
        # another kind or distribution replaces the whole mapping
        ("{t: {kind: ring, sites: 5}}", "{t: {kind: china}}", {"t": {"kind": "china"}}),
        (
            "{t: {kind: ring, sites: 5}}",
            "{t: {kind: ring, x: 1}}",
            {"t": {"kind": "ring", "sites": 5, "x": 1}},
        ),
        ("{r: {lognormal: {median: 1}}}", "{r: {uniform: {low: 2}}}", {"r": {"uniform": {"low": 2}}}),
        (
            "{r: {lognormal: {median: 1, sigma: 2}}}",
            "{r: {lognormal: {median: 3}}}",
            {"r": {"lognormal": {"median": 3, "sigma": 2}}},
        ),
    ],
)
def test_layers(old, new, out):
    assert merged(old, new) == (out, [])


def test_a_mapping_over_a_list_names_only_what_is_there():
    out, codes = merged("{l: [{id: x}]}", "{l: {y: {v: 1}}}")
    assert (out, codes) == ({"l": [{"id": "x"}]}, ["E404"])


def test_a_second_item_of_one_id_is_kept_for_the_checks_to_find():
    out, _ = merged("{l: [{id: x}]}", "{l: [{id: x, a: 1}, {id: x, b: 1}]}")
    assert out == {"l": [{"id": "x", "a": 1}, {"id": "x", "b": 1}]}


def test_positions_survive_the_merge():
    root = Merger().merge(
        tree("a: 1\nl:\n - {id: x, v: 1, w: 2}\n", "base"), tree("l: {x: {v: 5}}\n", "over")
    )
    at = positions_of(root)
    assert at["a",].value.file == "base"
    assert at["l", 0, "w"].value[:] == ("base", 3, 21)
    assert at["l", 0, "v"].value[:] == ("over", 1, 12)


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ("run.seed=9", {"run": {"seed": 9}}),
        ("run.seed=null", {"run": {}}),
        ("workload.psi.rate=200 /h", {"workload": [{"id": "psi", "rate": "200 /h"}]}),
        ("workload.streams.psi.rate=1 /h", {"workload": [{"id": "psi", "rate": "1 /h"}]}),
        ("workload.0.rate=1 /h", {"workload": [{"id": "psi", "rate": "1 /h"}]}),
        ("services.dsp.access.servers=3", {"services": [{"id": "dsp.access", "servers": 3}]}),
        ("workload.psi=null", {"workload": []}),
        ("new.deep.key={a: [1]}", {"new": {"deep": {"key": {"a": [1]}}}}),
        ("mix.1=30 %", {"mix": {1: "30 %"}}),
    ],
)
def test_set(text, out):
    root = tree(
        "{run: {seed: 1}, workload: [{id: psi, rate: 5 /h}], services: [{id: dsp.access, servers: 1}],"
        " mix: {1: 100 %}}"
    )
    merger = Merger()
    found = plain(merger.apply_set(root, text))
    assert merger.problems == []
    for key, value in out.items():
        assert found[key] == value


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("run.seed", "E402"),
        ("=3", "E402"),
        ("a..b=3", "E402"),
        ("run.seed.x=3", "E402"),
        ("run.seed=[1", "E403"),
        ("run.seed=", "E403"),
        ("run.seed=  # nothing", "E403"),
        ("run.seed=!x 1", "E403"),
        ("run.seed=.nan", "E403"),
        ("workload.pis.rate=1", "E404"),
        ("workload.7.rate=1", "E404"),
        (".".join("a" * 60) + "=1", "E402"),
    ],
)
def test_set_that_does_not_fit_is_reported_and_changes_nothing(text, code):
    root = tree("{run: {seed: 1}, workload: [{id: psi}]}")
    merger = Merger()
    assert plain(merger.apply_set(root, text)) == plain(root)
    assert [p.code for p in merger.problems] == [code]
    assert merger.problems[0].file.startswith("--set ")


def test_set_shows_the_option_as_its_place():
    root = Merger().apply_set(tree("{run: {seed: 1}}"), "run.seed=9")
    assert positions_of(root)["run", "seed"].value.file == "--set run.seed=9"


def test_parse_set_returns_path_and_value():
    path, value = parse_set("a.b = [1, x]")
    assert (path, plain(value)) == (["a", "b"], [1, "x"])
    assert isinstance(parse_set("a"), Problem)


_VALUES = st.recursive(
    st.integers(0, 9) | st.sampled_from(["x", "y"]),
    lambda s: st.dictionaries(st.sampled_from("abcd"), s, max_size=3) | st.lists(s, max_size=3),
    max_leaves=8,
)
_MAPPINGS = st.dictionaries(st.sampled_from("abcd"), _VALUES, max_size=4)


def _node(value):
    return tree(to_yaml(value))


@settings(derandomize=True, max_examples=150, deadline=None)
@given(_MAPPINGS, _MAPPINGS)
def test_the_upper_layer_wins_and_merging_twice_changes_nothing(old, new):
    once = Merger().merge(_node(old), _node(new))
    assert plain(Merger().merge(once, _node(new))) == plain(once)
    for key, value in new.items():
        if not isinstance(value, dict):
            assert plain(once)[key] == value
    assert set(plain(once)) == set(old) | set(new)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(_MAPPINGS)
def test_sizes_are_kept(value):
    def count(v):
        below = v.values() if isinstance(v, dict) else v if isinstance(v, list) else ()
        return 1 + sum(count(x) for x in below)

    def height(v):
        below = v.values() if isinstance(v, dict) else v if isinstance(v, list) else None
        return 0 if below is None else 1 + max((height(x) for x in below), default=0)

    node = Merger().merge(_node({"a": 1}), _node(value))
    assert node.size == count(plain(node))
    assert node.height == height(plain(node))
