"""The coverage table: marks are read right, and the page in docs/ is current."""

import textwrap
from pathlib import Path

import pytest

from dssn.report.requirements import coverage, find_root, marks, render, summary, unknown_ids

ROOT = Path(__file__).parents[2]


@pytest.mark.req("TB-09")
def test_marks_on_functions_classes_and_modules_are_found(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_marks.py").write_text(
        textwrap.dedent(
            """
            import pytest
            pytestmark = [pytest.mark.slow, pytest.mark.req("A-1")]

            @pytest.mark.req("B-1", "B-2")
            def test_one(): ...

            @pytest.mark.req("C-1")
            class TestGroup:
                @pytest.mark.req("D-1")
                def test_two(self): ...

            @pytest.mark.req("E-1")
            def helper(): ...

            def test_three(): ...
            """
        ),
        encoding="utf-8",
    )
    found = marks(tmp_path / "tests", tmp_path)
    file = "tests/test_marks.py::"
    assert found["B-1"] == found["B-2"] == [f"{file}test_one"]
    assert found["C-1"] == found["D-1"] == [f"{file}TestGroup::test_two"]
    assert found["A-1"] == [f"{file}test_one", f"{file}TestGroup::test_two", f"{file}test_three"]
    assert "E-1" not in found


@pytest.mark.req("TB-09")
def test_tests_name_only_ids_that_exist():
    assert unknown_ids(ROOT) == {}


def test_table_has_each_id_once_and_known_modes():
    rows = coverage(ROOT)
    assert len({r.id for r in rows}) == len(rows) == 181
    assert {r.mode for r in rows} <= {"S", "E", "SE", "doc"}
    assert {r.priority for r in rows} == {"0", "1", "2"}


@pytest.mark.req("TB-09")
def test_page_is_current():
    page = (ROOT / "docs" / "coverage.md").read_text("utf-8")
    assert page == render(coverage(ROOT)), "run: dssn requirements --write"


def test_summary_counts_what_is_covered():
    rows = coverage(ROOT)
    assert summary(rows).startswith(f"{sum(bool(r.tests) for r in rows)} of 181 ")


def test_root_is_found_from_below(tmp_path):
    assert find_root(ROOT / "tests" / "report") == ROOT
    assert find_root(tmp_path) is None
