"""``docs/results.md`` is what the schema says."""

from pathlib import Path

import pytest

from dssn_sim.runs.reference import results_page

PAGE = Path(__file__).parents[2] / "docs" / "results.md"


@pytest.mark.req("TB-01")
def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == results_page(), (
        "run: python -m dssn_sim.runs.reference > docs/results.md"
    )
