import json
from pathlib import Path

import pytest

from dssn.checks.reference import PAGES, scenario_markdown, write_pages
from dssn.loading.load import load_scenario
from dssn.loading.shelf import library_dir, library_names
from dssn.loading.tree import compose, plain
from dssn.problems import CODES, errors_markdown
from dssn.schema import json_schema

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_current(name):
    """Run ``python -m dssn.checks.reference docs`` after a change of the schema or of the codes."""
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name]()


def test_every_code_is_on_the_page():
    page = errors_markdown()
    for code, info in CODES.items():
        assert f"### {code} {info.title}\n" in page
        assert info.remedy in page


def test_every_model_and_key_is_on_the_page():
    page = scenario_markdown()
    schema = json_schema()
    for name, model in schema["$defs"].items():
        assert f"### {name}\n" in page, name
        for key in model.get("properties", {}):
            assert f"| `{key}` |" in page, (name, key)


def test_links_of_the_page_lead_somewhere():
    import re

    page = scenario_markdown()
    targets = {h.lower() for h in re.findall(r"^#+ (.+)$", page, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= targets


def test_pages_are_written(tmp_path):
    assert [p.name for p in write_pages(tmp_path)] == list(PAGES)
    assert (tmp_path / "errors.md").read_text(encoding="utf-8") == errors_markdown()


@pytest.fixture(scope="module")
def editor():
    """What an editor does with the schema: list what it finds wrong."""
    validator = pytest.importorskip("jsonschema").Draft202012Validator(json_schema())
    return lambda document: [e.message[:300] for e in validator.iter_errors(json.loads(json.dumps(document)))]


@pytest.mark.parametrize("name", library_names())
def test_an_editor_finds_nothing_wrong_in_the_shipped_files(name, editor):
    tree, _ = compose((library_dir() / f"{name}.yaml").read_text(encoding="utf-8"), name)
    assert editor(plain(tree)) == []


def test_an_editor_finds_faults(editor):
    document = load_scenario("metro").document
    assert editor({**document, "rnu": {}})
    assert editor({**document, "run": {**document["run"], "horizon": "4 hours"}})
    assert editor({**document, "run": {**document["run"], "sed": 1}})


def test_the_json_schema_has_a_description_for_every_key():
    schema = json_schema()
    bare = [
        f"{name}.{key}"
        for name, model in schema["$defs"].items()
        for key, part in model.get("properties", {}).items()
        if key not in ("kind",) and "description" not in part and "$ref" not in part
    ]
    assert bare == []
