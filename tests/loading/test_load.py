import os
from pathlib import Path

import pytest

import dssn.loading.document as documents
from dssn.loading import list_library, load_scenario, load_text
from dssn.loading.load import document_hash
from dssn.loading.shelf import find, library_dir, library_names
from dssn.problems import Problem, Problems

NAMES = library_names()


def codes(excinfo):
    return [p.code for p in excinfo.value.problems]


def test_library_has_the_scenario_to_learn_on():
    rows = {name: (title, question) for name, title, question in list_library()}
    assert set(rows) == set(NAMES)
    assert rows["metro"][0].startswith("Ten nodes")
    assert all(title and question for title, question in rows.values())


@pytest.mark.req("TB-01")
@pytest.mark.parametrize("name", NAMES)
def test_resolved_yaml_loads_by_itself_to_the_same_scenario(name):
    loaded = load_scenario(name)
    again = load_text(loaded.resolved_yaml, name)
    assert again.hash == loaded.hash
    assert again.document == loaded.document
    assert again.scenario == loaded.scenario


@pytest.mark.parametrize("name", NAMES)
def test_every_named_override_of_the_library_loads(name):
    document = documents.read_document(find(name), name)
    base = load_scenario(name).hash
    for override in document.overrides:
        assert load_scenario(name, [override]).hash != base


def test_overrides_and_sets_stay_in_the_resolved_yaml():
    loaded = load_scenario("metro", ["busy"], ["run.seed=77"])
    again = load_text(loaded.resolved_yaml)
    assert again.scenario.run.seed == 77
    assert again.document["workload"][0] == load_scenario("metro", ["busy"]).document["workload"][0]
    assert again.hash == loaded.hash != load_scenario("metro").hash


def test_set_comes_after_overrides_and_overrides_after_the_file(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(
        "import: metro\nworkload: {psi: {arrivals: {rate: 61 /h}}}\n"
        "overrides: {busy: {workload: {psi: {arrivals: {rate: 241 /h}}}}}\n"
    )

    def psi(**kw):
        return load_scenario(path, **kw).document["workload"][0]["arrivals"]["rate"]

    assert psi() == "61 /h"
    assert psi(overrides=["busy"]) == "241 /h"
    assert psi(overrides=["busy"], sets=["workload.psi.arrivals.rate=1 /h"]) == "1 /h"
    assert psi(sets=["workload.psi.arrivals.rate=1 /h", "workload.psi.arrivals.rate=2 /h"]) == "2 /h"


def test_merge_order_of_imports(tmp_path, monkeypatch):
    (tmp_path / "a.yaml").write_text("import: [deep]\ntitle: a\nquestion: a\n")
    (tmp_path / "deep.yaml").write_text("title: deep\nquestion: deep\nrun: {seed: 42, replications: 4}\n")
    (tmp_path / "b.yaml").write_text("question: b\n")
    main = tmp_path / "main.yaml"
    main.write_text("import: [metro, a.yaml, b]\nrun: {replications: 2}\n")
    loaded = load_scenario(main)
    assert (loaded.scenario.title, loaded.scenario.question) == ("a", "b")
    assert (loaded.scenario.run.seed, loaded.scenario.run.replications) == (42, 2)
    at = loaded.positions
    assert at["run", "seed"].value[1:] == (3, 13)
    assert Path(at["run", "seed"].value.file).name == "deep.yaml"
    assert Path(at["run", "replications"].value.file).name == "main.yaml"
    assert len(loaded.files) == 6  # main, metro and its preset, a, deep, b


def test_a_path_beats_nothing_and_a_name_is_the_librarys(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "metro").write_text("title: mine\n")
    (tmp_path / "mine").write_text("title: mine\n")
    assert find("metro") == library_dir() / "metro.yaml"
    assert find("mine") == Path("mine")
    assert find("./metro") == Path("metro")
    assert find(Path("metro")) == Path("metro")


@pytest.mark.parametrize(
    ("source", "code", "hint"),
    [
        ("metr", "E113", "metro"),
        ("METRO", "E113", "metro"),
        ("nothing-like-it", "E113", ""),
        ("missing.yaml", "E101", ""),
        ("", "E101", ""),
        ("a\0b", "E101", ""),
        ("x" * 5000 + ".yaml", "E101", ""),
        ("/dev/null", "E101", ""),
        (".", "E113", ""),
        ("..", "E113", ""),
    ],
)
def test_sources_that_are_no_scenario(source, code, hint):
    with pytest.raises(Problems) as excinfo:
        load_scenario(source)
    assert codes(excinfo) == [code]
    assert excinfo.value.problems[0].hint == hint


def test_a_near_file_name_is_suggested(tmp_path):
    (tmp_path / "city.yaml").write_text("import: metro\n")
    with pytest.raises(Problems) as excinfo:
        load_scenario(tmp_path / "citty.yaml")
    assert excinfo.value.problems[0].hint == "city.yaml"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    path = tmp_path / "locked.yaml"
    path.write_text("import: metro\n")
    path.chmod(0)
    with pytest.raises(Problems) as excinfo:
        load_scenario(path)
    assert codes(excinfo) == ["E101"]


def test_a_symbolic_link_loop_is_a_missing_file(tmp_path):
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    with pytest.raises(Problems) as excinfo:
        load_scenario(tmp_path / "loop.yaml")
    assert codes(excinfo) == ["E101"]


def test_an_import_cycle_through_a_link_is_found(tmp_path):
    (tmp_path / "a.yaml").write_text("import: b.yaml\n")
    (tmp_path / "b.yaml").symlink_to(tmp_path / "a.yaml")
    with pytest.raises(Problems) as excinfo:
        load_scenario(tmp_path / "a.yaml")
    assert codes(excinfo) == ["E111"] + ["E202"] * 0


def test_too_many_imports(tmp_path):
    (tmp_path / "leaf.yaml").write_text("title: leaf\n")
    names = ", ".join(["leaf.yaml"] * (documents.MAX_IMPORTS + 5))
    (tmp_path / "main.yaml").write_text(f"import: [metro, {names}]\n")
    with pytest.raises(Problems) as excinfo:
        load_scenario(tmp_path / "main.yaml")
    assert codes(excinfo) == ["E112"]


def test_problems_come_all_at_once_and_in_file_order(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(
        "import: metro\nrun:\n  sed: 1\n  horizon: 5\nnodes:\n  - {id: x, role: dnr, site: site1}\ntitle: a\ntitle: b\n"
    )
    with pytest.raises(Problems) as excinfo:
        load_scenario(path)
    found = [(p.line, p.code, p.hint) for p in excinfo.value.problems]
    assert found == [(3, "E201", "seed"), (4, "E204", "5 s"), (6, "E207", "drn"), (8, "E105", "")]


def test_a_problem_of_a_preset_names_the_preset(tmp_path):
    (tmp_path / "preset.yaml").write_text("run:\n  horizon: 10 parsecs\n")
    (tmp_path / "main.yaml").write_text("import: [metro, preset.yaml]\n")
    with pytest.raises(Problems) as excinfo:
        load_scenario(tmp_path / "main.yaml")
    (problem,) = excinfo.value.problems
    assert (Path(problem.file).name, problem.line, problem.column) == ("preset.yaml", 2, 12)


def test_problems_survive_pickling_and_print_one_a_line():
    import pickle

    error = Problems(
        [Problem("E201", "b", 2, 1, "x", "y"), Problem("E105", "a", 9, 1), Problem("E105", "a", 9, 1)], "b"
    )
    again = pickle.loads(pickle.dumps(error))
    assert [p.file for p in error.problems] == ["b", "a"]
    assert {p.render() for p in again.problems} == {p.render() for p in error.problems}
    assert len(str(error).splitlines()) == 2


def test_data_files_are_found_beside_the_file_that_names_them(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "part.yaml").write_text("network: {topology: {kind: graphml, file: map.graphml}}\n")
    (tmp_path / "sub" / "map.graphml").write_text("x")
    (tmp_path / "main.yaml").write_text("import: [metro, sub/part.yaml]\n")
    loaded = load_scenario(tmp_path / "main.yaml")
    loc = ("network", "topology", "file")
    assert loaded.data_file(loc, "map.graphml") == tmp_path / "sub" / "map.graphml"
    assert loaded.data_file(loc, "none.graphml") == tmp_path / "sub" / "none.graphml"
    again = load_text(loaded.resolved_yaml)
    assert again.document["network"]["topology"]["file"] == str(tmp_path / "sub" / "map.graphml")


def test_the_hash_does_not_depend_on_how_the_scenario_was_put_together(tmp_path):
    (tmp_path / "one.yaml").write_text("import: metro\nrun: {seed: 5}\n")
    assert load_scenario(tmp_path / "one.yaml").hash == load_scenario("metro", sets=["run.seed=5"]).hash


def test_hash_is_of_the_canonical_form():
    assert document_hash({"b": 1, "a": 2}) == document_hash({"a": 2, "b": 1})
    assert document_hash({"a": 1}) != document_hash({"a": "1"})
    assert document_hash({1: "x", 3: "y"}) == document_hash({3: "y", 1: "x"})
    assert document_hash({1: "x", "b": "y"}) != document_hash({1: "y", "b": "x"})


def test_options_are_named_in_the_head_of_the_resolved_yaml():
    text = load_scenario("metro", ["busy"], ["run.seed=3"]).resolved_yaml
    assert text.splitlines()[0] == "# metro --override busy --set 'run.seed=3', resolved"


def test_in_a_wheel_the_library_lies_inside_the_package(tmp_path, monkeypatch):
    import dssn

    inside = tmp_path / "dssn" / "library"
    inside.mkdir(parents=True)
    (inside / "only.yaml").write_text("title: t\nquestion: q\n")
    monkeypatch.setattr(dssn, "__path__", [str(tmp_path / "dssn")])
    assert library_dir() == inside
    assert list_library() == [("only", "t", "q")]
