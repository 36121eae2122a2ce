"""Each file below tests/scenarios_bad is wrong in a known way; the expected lines stand beside it.

``.expected`` begins with the command; ``DSSN_UPDATE_EXPECTED=1 pytest tests/checks/test_negative_files.py``
rewrites the lines after it (read the difference before you commit it).
"""

import os
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from dssn.checks import check
from dssn.problems import CODES, Problem

BAD = Path(__file__).parents[1] / "scenarios_bad"
ROOT = Path(__file__).parents[2]
CASES = sorted(BAD.glob("*.expected"))
#: A file for them would be broken or very long; test_check.py has them.
WITHOUT_FILE = {"E116", "E199"}


def run(command: str) -> list[Problem]:
    words = shlex.split(command)
    assert words[:3] == ["$", "dssn", "check"], command
    options: dict[str, list[str]] = {"--override": [], "--set": []}
    for option, value in zip(words[4::2], words[5::2], strict=True):
        options[option].append(value)
    return check(words[3], options["--override"], options["--set"])


def lines(problems: list[Problem]) -> list[str]:
    """Lists of many words are cut, so that a new key or engine elsewhere changes nothing here."""
    return [_cut(p).render().replace(f"{ROOT}/", "") for p in problems]


def _cut(problem: Problem) -> Problem:
    words = problem.allowed.split(", ")
    if len(words) <= 5 or "for example" in problem.allowed:
        return problem
    return replace(problem, allowed=", ".join([*words[:2], "..."]))


@pytest.mark.parametrize("case", CASES, ids=lambda p: p.stem)
def test_problems_of_the_file_are_the_expected_lines(case, monkeypatch):
    monkeypatch.chdir(BAD)
    command, *expected = case.read_text(encoding="utf-8").splitlines()
    found = lines(run(command))
    if os.environ.get("DSSN_UPDATE_EXPECTED") == "1":
        case.write_text("\n".join([command, *found]) + "\n", encoding="utf-8")
    assert found == expected
    assert any(f": {case.stem[:4]}: " in line for line in found), (
        "the file must show the code it is named after"
    )


def test_every_code_has_a_negative_file():
    assert {p.stem[:4] for p in CASES} >= set(CODES) - WITHOUT_FILE


def test_every_scenario_has_its_expected_lines_beside_it():
    assert {p.stem for p in BAD.glob("*.yaml")} <= {p.stem for p in CASES}


def test_lines_are_single_and_have_the_documented_form(monkeypatch):
    form = re.compile(r"^(--set .*?|[^:]+)(:\d+:\d+)?: [EW]\d{3}: ")
    for case in CASES:
        for line in case.read_text(encoding="utf-8").splitlines()[1:]:
            assert form.match(line), (case.name, line)
            assert "pydantic" not in line
            assert "Traceback" not in line
