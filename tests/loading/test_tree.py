import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dssn.loading import tree
from dssn.loading.load import to_yaml
from dssn.loading.tree import compose, plain, positions_of, resolve_scalar


def read(text):
    node, problems = compose(text, "f")
    assert problems == []
    return plain(node)


def codes(text):
    return [(p.code, p.line, p.column) for p in compose(text, "f")[1]]


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("null", None),
        ("12", 12),
        ("-3", -3),
        ("2_000_000", 2_000_000),
        ("007", 7),
        ("0o17", 15),
        ("0xff", 255),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1:30", "1:30"),
        ("2026-11-23", "2026-11-23"),
        ("10 Gbit/s", "10 Gbit/s"),
        ("-", "-"),
        (".", "."),
        ("1__2", "1__2"),
        ("9" * 60, 1e60),
    ],
)
def test_plain_words_follow_yaml_1_2(word, value):
    found = resolve_scalar(word)
    assert found == value
    assert type(found) is type(value)


def test_quoted_text_is_text():
    assert read("""{a: "12", b: 'true', c: !!str x}""".replace("!!str ", "")) == {
        "a": "12",
        "b": "true",
        "c": "x",
    }


def test_every_key_and_value_knows_its_place():
    node, _ = compose("run:\n  seed: 7\nnodes:\n  - {id: a, size: 8C16G}\n", "f.yaml")
    at = positions_of(node)
    assert at["run", "seed"].key[:] == ("f.yaml", 2, 3)
    assert at["run", "seed"].value[:] == ("f.yaml", 2, 9)
    assert at["nodes", 0].value[:] == ("f.yaml", 4, 5)
    assert at["nodes", 0, "size"].value[:] == ("f.yaml", 4, 19)


def test_whole_number_keys_stay_numbers_and_quoted_ones_text():
    assert read("{1: a, '1': b, x: c}") == {1: "a", "1": "b", "x": "c"}


def test_all_duplicate_keys_are_reported():
    assert codes("a: 1\nb: 2\na: 3\nb: 4\n") == [("E105", 3, 1), ("E105", 4, 1)]


def test_merge_keys_fill_in_what_is_not_given():
    assert read("x: &b {p: 1, q: 2}\ny: {<<: *b, q: 3}") == {"x": {"p": 1, "q": 2}, "y": {"p": 1, "q": 3}}


@pytest.mark.parametrize("text", ["a: &a [*a]", "&a x: {y: &b {z: *b}}"])
def test_aliases_that_contain_themselves_are_refused(text):
    assert [c for c, *_ in codes(text)] == ["E107"]


def test_alias_bomb_stops_while_reading(monkeypatch):
    monkeypatch.setattr(tree, "MAX_VALUES", 1000)
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{c}: &{c} [{', '.join(['*' + d] * 10)}]\n" for c, d in zip("bcdefgh", "abcdefg", strict=True)
    )
    assert [c for c, *_ in codes(bomb)] == ["E107"]


def test_aliases_cannot_dodge_the_depth_limit():
    chain = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 60))
    assert [c for c, *_ in codes(chain)] == ["E106"]


def test_too_many_problems_end_the_reading(monkeypatch):
    monkeypatch.setattr(tree, "MAX_PROBLEMS", 10)
    assert [c for c, *_ in codes("a: 1\n" * 50)] == ["E105"] * 10 + ["E116"]


@pytest.mark.parametrize("value", [".nan", ".inf", "-.Inf", "1e999", "-1e999", "0x" + "f" * 60])
def test_only_finite_numbers(value):
    assert codes(f"a: {value}") == [("E206", 1, 4)]


@pytest.mark.parametrize("n", [1, 5, 39])
def test_depth_within_the_limit_is_read(n):
    assert plain(compose("[" * n + "]" * n, "f")[0]) is not None


_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Co", "Cn"]), max_size=20)
    | st.sampled_from(
        ["no", "1_0", "0b1", "null", "~", "1e5", "2026-01-01", "12:30", "- a", "a: b", "#x", "", " "]
    )
)
_KEYS = st.text(string.printable, min_size=1, max_size=8) | st.integers(0, 50)
_DOCUMENTS = st.recursive(
    _SCALARS, lambda s: st.lists(s, max_size=4) | st.dictionaries(_KEYS, s, max_size=4), max_leaves=20
)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(_DOCUMENTS)
def test_what_is_written_reads_back_the_same(document):
    if any(c in str(document) for c in "\x0b\x0c"):  # characters that no YAML text may hold unescaped
        return
    found = read(to_yaml(document))
    assert found == document
    assert repr(found) == repr(document)  # 1 is not 1.0 and not True


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.text(st.sampled_from("ab:- \n[]{},'\"&*!#|>%@`?\t1~<"), max_size=60))
def test_any_text_is_read_or_reported(text):
    node, problems = compose(text, "f")
    assert node is None or plain(node) is not Ellipsis
    for p in problems:
        assert p.code[0] == "E"
        assert "\n" not in p.render()
