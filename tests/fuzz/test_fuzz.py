import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.fuzz import mutate
from tests.fuzz.mutations import MUTATIONS

from dssn.problems import Problem


@pytest.fixture(scope="module")
def rows():
    return mutate.corpus()


@pytest.mark.slow
def test_mutated_scenarios_are_answered():
    """Three hundred here; ``python -m tests.fuzz.mutate --count 10000`` runs the full number."""
    tally, wall_s = mutate.fuzz(300, seed=20, workers=2)
    assert not tally.failed, "\n\n".join(tally.failures) + "\n" + tally.table(20, 300, wall_s)
    assert sum(tally.outcomes.values()) == 300
    assert len(tally.codes) > 20, "the mutations must reach many rules"


def test_a_case_depends_on_seed_and_number_alone(rows):
    assert mutate.make_case(1, 7, rows) == mutate.make_case(1, 7, rows)
    assert mutate.make_case(1, 7, rows) != mutate.make_case(2, 7, rows)


@pytest.mark.parametrize("name", MUTATIONS)
def test_each_mutation_changes_the_file(rows, name):
    original = next(row for row in rows if row.name == "metro")
    changed = 0
    for number in range(10):
        files = MUTATIONS[name][1](random.Random(number), original.text, original.document)
        assert all(isinstance(raw, bytes) for raw in files.values())
        changed += files["case.yaml"] != original.text.encode()
    assert changed >= 8


def test_failures_are_noticed(rows, tmp_path, monkeypatch):
    case = mutate.make_case(1, 0, rows)

    def loop(*_, **__):
        while True:
            pass

    def grow(*_, **__):
        raise MemoryError

    def odd(*_, **__):
        return [Problem("E998", "f", 1, 1, "p", "pydantic says\nno")]

    def broken(*_, **__):
        raise KeyError("x")

    import signal

    monkeypatch.setattr(mutate, "TIME_LIMIT_S", 0.1)
    before = [signal.signal(s, mutate._on_alarm) for s in (signal.SIGALRM, signal.SIGPROF)]
    try:
        for function, outcome in ((loop, "hang"), (grow, "memory"), (odd, "bad line"), (broken, "traceback")):
            monkeypatch.setattr(mutate, "check", function)
            assert mutate.run_case(case, tmp_path)[0] == outcome
    finally:
        for s, handler in zip((signal.SIGALRM, signal.SIGPROF), before, strict=True):
            signal.signal(s, handler)


def test_a_worker_that_dies_is_counted_and_replaced(monkeypatch):
    def dies(case, folder):
        if case.number == 2:
            import os

            os._exit(9)
        return "ok", []

    monkeypatch.setattr(mutate, "run_case", dies)
    tally, _ = mutate.fuzz(6, seed=1, workers=2)
    assert tally.outcomes["ok"] == 5
    assert tally.outcomes["memory"] == 1
    assert tally.failed == 1
