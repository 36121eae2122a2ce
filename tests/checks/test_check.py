import importlib
import time

import pytest

from dssn.checks import check, check_text
from dssn.loading.shelf import library_names
from dssn.problems import CODES, MAX_PROBLEMS, Problem, nearest, shorten

NAMES = library_names()
checks = importlib.import_module("dssn.checks.check")  # the package's name `check` is the function


def found(text, **kw):
    return [(p.code, p.path) for p in check_text(text, **kw)]


@pytest.mark.req("TB-01")
@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_scenario_is_without_fault(name):
    assert [p.render() for p in check(name) if not p.is_warning] == []


def test_faults_across_sections_show_beside_faults_of_the_schema():
    text = (
        "import: metro\n"
        "run: {sed: 3}\n"
        "workload: {psi: {consumers: [bnak], assets: [calls]}}\n"
        "nodes:\n"
        "  - {id: extra, role: drn, site: site9, size: 8cores}\n"
    )
    assert found(text) == [
        ("E201", "run.sed"),
        ("E301", "workload.psi.consumers.0"),
        ("E301", "nodes.extra.site"),
        ("E208", "nodes.extra.size"),
    ]


def test_nobody_is_blamed_for_naming_what_had_to_be_left_out():
    text = (
        "import: metro\n"
        "nodes:\n"
        "  - {id: extra, site: site1}\n"  # no role: the node is left out
        "assets:\n"
        "  - {id: more, node: extra, rows: 5}\n"
        "workload: {psi: {consumers: [bank, extra], assets: [calls]}}\n"
    )
    assert found(text) == [("E202", "nodes.extra")]


def test_a_missing_import_does_not_bring_a_flood_of_missing_keys():
    assert found("import: presets/bsae.yaml\ntitle: x\n") == [("E110", "import")]


def test_overrides_that_nobody_asked_for_are_tried():
    text = "import: metro\noverrides: {night: {run: {horizon: 3}}}\n"
    assert found(text) == [("E204", "run.horizon")]
    assert found(text, overrides=["busy"]) == [("E204", "run.horizon")]


def test_a_trace_that_only_an_untried_override_needs_may_be_absent():
    text = (
        "import: metro\n"
        "overrides: {real: {workload: {psi: {arrivals: {kind: trace, file: none.csv, time: t}}}}}\n"
    )
    assert found(text) == []
    assert found(text, overrides=["real"]) == [("E311", "workload.psi.arrivals.file")]


def test_options_are_checked_too():
    problems = check("metro", ["bussy"], ["run.seeds=3"])
    assert [(p.code, p.hint) for p in problems] == [("E401", "busy"), ("E201", "seed")]


@pytest.mark.parametrize(
    "source", ["", "\0", "nosuch", "/", "a/b/c.yaml", "x" * 10_000, "☃", "-"], ids=range(8)
)
def test_any_source_is_answered(source):
    problems = check(source)
    assert [p.code for p in problems] in (["E101"], ["E113"])
    assert len(problems[0].render()) < 1000


def test_an_unexpected_exception_becomes_a_problem_unless_the_switch_is_set(monkeypatch):
    def broken(*_, **__):
        raise KeyError("inside")

    monkeypatch.setattr(checks, "find_all", broken)
    with pytest.raises(KeyError):
        check("metro")
    monkeypatch.setenv(checks.RAISE_SWITCH, "0")
    (problem,) = check("metro")
    assert problem.code == "E199"
    assert "KeyError at test_check.py:" in problem.found
    (problem,) = check_text("import: metro\n", "text")
    assert (problem.code, problem.file) == ("E199", "text")


def test_recursion_ends_in_a_problem_not_in_a_crash():
    deep = "a: " + "{a:\n " * 5000 + "1" + "}" * 5000
    assert [c for c, _ in found(deep)] == ["E106"]


@pytest.mark.parametrize(
    "text",
    [
        "title: '" + "x\n " * 150_000,
        "a: b\n" * 100_000,
        "\n".join(f"k{i}: 1" for i in range(40_000)),
        "import: metro\n" + "\n".join(f"k{i}: 1" for i in range(12_000)),
        "import: metro\nnodes:\n" + "  - {id: a, rle: b}\n" * 5_000,
        "import: metro\nassets:\n" + "  - {id: a, node: bnk, rows: 5}\n" * 5_000,
        "x: " + "!" * 19_000 + "\n",
    ],
    ids=[
        "open quote",
        "one key",
        "too many keys",
        "many keys",
        "many bad nodes",
        "many unknown nodes",
        "long tag",
    ],
)
def test_the_worst_texts_take_seconds_of_processor_time(text):
    started = time.process_time()
    problems = check_text(text)
    assert problems
    assert len(problems) <= 1000
    assert time.process_time() - started < 2.5  # a quarter of the longest file, a quarter of 10 s


def test_of_very_many_problems_the_first_are_listed_and_the_rest_counted():
    problems = check_text("import: metro\n" + "\n".join(f"k{i}: 1" for i in range(700)))
    assert [p.code for p in problems].count("E201") == MAX_PROBLEMS == 500
    assert problems[-1].code == "E116"
    assert len(problems) == 501


def test_problems_have_a_json_form_with_all_parts():
    (problem,) = check_text("import: metro\nrun: {sed: 3}\n", "mine")
    data = problem.to_json()
    assert data["text"] == problem.render()
    assert {k: data[k] for k in ("code", "file", "line", "column", "path", "hint")} == {
        "code": "E201",
        "file": "mine",
        "line": 2,
        "column": 7,
        "path": "run.sed",
        "hint": "seed",
    }


def test_a_rendered_problem_is_one_printable_line():
    line = Problem("E201", "a\nb", 1, 1, "p\tq", "x\u202ey", "z\x00").render()
    assert line.isprintable()


def test_codes_are_explained():
    for code, info in CODES.items():
        assert code[0] in "EW"
        assert code[1:].isdecimal()
        assert len(code) == 4
        for text in info:
            assert text
            assert "\n" not in text
        assert info.explanation.endswith(".")


@pytest.mark.parametrize(
    ("word", "names", "near"),
    [
        ("dnr", ["dsn", "drn"], "drn"),
        ("Horizon", ["horizon"], "horizon"),
        ("warm_up", ["warmup", "horizon"], "warmup"),
        ("x" * 1000, ["x"], ""),
        ("", ["a"], ""),
        ("node7", [f"node{i}" for i in range(2000)], ""),
    ],
)
def test_nearest(word, names, near):
    if near == "" and word in names:
        assert nearest(word, names) == ""  # it is there; there is nothing to suggest
    else:
        assert nearest(word, names) == near


def test_shorten_never_shows_a_huge_number_or_python_words():
    assert len(shorten(10**5000)) < 60
    assert shorten([True, None]) == "a list of 2"
    assert shorten("y" * 100, 20) == "'" + "y" * 16 + "...'"


def test_every_bad_span_of_a_written_topology_is_told_with_the_nearest_name():
    text = (
        "import: metro\n"
        "network:\n"
        "  topology:\n"
        "    kind: explicit\n"
        "    sites: [{id: site1}, {id: site2}, {id: site3}, {id: site4}, {id: site5}]\n"
        "    edges:\n"
        "      - {a: site1, b: siet2, length: 1 km}\n"
        "      - {a: site1, b: site1, length: 1 km}\n"
        "      - {a: site9x, b: site2, length: 1 km}\n"
        "      - {a: site3, b: site4, length: 1 m}\n"
        "      - {a: site4, b: site5, length: 10}\n"
    )
    problems = check_text(text)
    assert [(p.code, p.path, p.hint) for p in problems if p.path.startswith("network")] == [
        ("E301", "network.topology.edges.0.b", "site2"),
        ("E304", "network.topology.edges.1", ""),
        ("E301", "network.topology.edges.2.a", "site5"),
        ("E204", "network.topology.edges.4.length", "10 km"),
    ]
    assert [p.code for p in problems if not p.path.startswith("network")] == []


def test_an_unknown_name_waits_while_a_name_given_twice_may_be_the_one():
    text = "import: metro\nnodes: [{generate: {prefix: dsn, role: dsn, count: 1}}]\nassets: [{id: x, node: dsn9, rows: 5}]\n"
    assert found(text.replace("prefix: dsn", "prefix: more")) == [("E301", "assets.x.node")]
    twice = (
        "import: metro\nnodes: [{id: dsn1, role: drn, site: site1}]\nassets: [{id: x, node: dsn9, rows: 5}]\n"
    )
    assert found(twice) == [("E303", "nodes.dsn1.id")]


def test_the_path_of_a_fault_counts_the_faults_of_the_file():
    text = (
        "import: metro\n"
        "faults:\n"
        "  - {kind: node_down, at: 1 min, duration: 1 min}\n"  # no target, and none can be guessed
        "  - {kind: node_down, target: hospitl, at: 1 min, duration: 1 min}\n"
        "  - {kind: link_down, between: [site1, site3], at: 1 min, duration: 1 min}\n"
    )
    problems = check_text(text)
    assert [(p.code, p.path, p.hint) for p in problems] == [
        ("E209", "faults.0", ""),
        ("E301", "faults.1.target", "hospital"),
        ("E302", "faults.2", ""),
    ]
    assert problems[2].found == "link_down hits nothing: there is no link between site1 and site3"
    assert problems[2].allowed == "site1 is linked to site2, site5; site3 is linked to site2, site4"


def test_all_columns_that_a_trace_lacks_are_told(tmp_path):
    (tmp_path / "t.csv").write_text("time,rows\n1,5\n")
    text = (
        "import: metro\n"
        f"workload: [{{id: api, arrivals: {{kind: trace, file: {tmp_path}/t.csv, time: tiem, where: {{kind: a}},"
        " sizes: {rows: rwos}}}]\n"
    )
    assert [(p.code, p.path, p.hint) for p in check_text(text)] == [
        ("E311", "workload.api.arrivals.time", "time"),
        ("E311", "workload.api.arrivals.where.kind", ""),
        ("E311", "workload.api.arrivals.sizes.rows", "rows"),
    ]


def test_a_misspelt_key_is_told_once():
    text = "import: metro\nrun: {horizon: null, horizen: 1 h}\n"
    assert found(text) == [("E201", "run.horizen")]


def test_faults_of_an_override_show_beside_those_of_the_file():
    text = "import: metro\nrun: {sed: 3}\noverrides: {night: {run: {sample: 3}}}\n"
    assert found(text) == [("E201", "run.sed"), ("E204", "run.sample")]


def orders_of(*streams):
    """Return what is said of too many orders in metro with these streams changed."""
    text = "import: metro\n" + "".join(streams)
    return [(p.path, p.found) for p in check_text(text, "text") if p.code == "E310"]


def test_too_many_orders_are_told_of_the_streams_that_make_them():
    two = "workload: {api: {arrivals: {rate: 20000 /s}}, tee: {arrivals: {rate: 30000 /s}}}\n"
    assert [path for path, _ in orders_of(two)] == [
        f"workload.{name}.arrivals.rate" for name in ("api", "tee")
    ]
    together = "workload: {api: {arrivals: {rate: 5000 /s}}, psi: {arrivals: {rate: 4000 /s}}}\n"
    [(path, what)] = orders_of(together)  # neither is too much alone: 13.5 and 10.8 million in 45 min
    assert (path, what) == (
        "workload.api.arrivals.rate", "about 2.43e+07 orders a replication, most in stream 'api' (1.35e+07)",
    )  # fmt: skip


def test_a_horizon_that_is_too_long_does_not_hide_too_many_orders():
    long, fast = "run: {horizon: 30 year}\n", "workload: {tee: {arrivals: {rate: 900000 /s}}}\n"
    few = "workload: {psi: {arrivals: {rate: 10 /h}}, api: {arrivals: {rate: 1 /h}}, tee: {arrivals: {rate: 1 /h}}}\n"
    assert [path for path, _ in orders_of(long, few)] == ["run.horizon"]
    paths = {path for path, _ in orders_of(long, fast)}
    assert {"run.horizon", "workload.tee.arrivals.rate"} <= paths


def test_a_wrong_item_of_a_list_is_told_at_its_place():
    text = (
        "import: metro\n"
        "workload:\n"
        "  psi: {consumers: [bank, hospitl, carrier], assets: [calls, taxes]}\n"
        "  api: {consumers: {ids: [shop, shup]}, assets: {node: [carrier, bnk]}}\n"
    )
    told = {p.path: p for p in check_text(text, "text")}
    places = {path: (p.code, p.line, p.column) for path, p in told.items()}
    assert places == {
        "workload.psi.consumers.1": ("E301", 3, 27),
        "workload.psi.consumers.2": ("E307", 3, 36),
        "workload.psi.assets.1": ("E301", 3, 62),
        "workload.api.consumers.ids.1": ("E301", 4, 33),
        "workload.api.assets.node.1": ("E301", 4, 66),
    }
    # Only nodes that may stand there are offered.
    assert told["workload.psi.consumers.1"].allowed == "bank, shop"
    assert told["workload.psi.consumers.1"].hint != "hospital"
    assert set(told["workload.api.assets.node.1"].allowed.split(", ")) == {
        "carrier", "hospital", "cityhall", "dsn1", "dsn2", "dsn3",
    }  # fmt: skip
