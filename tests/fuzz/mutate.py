"""Random mutations of every shipped scenario: no traceback, no hang over 10 s, no memory over 1 GiB.

    python -m tests.fuzz.mutate --count 10000 --seed 1

prints a table of outcomes and exits with 1 if one of these three occurred. A case is a function of seed and
number alone; ``--only N`` runs one and prints its files and problems.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

from dssn.checks import check
from dssn.checks.check import RAISE_SWITCH
from dssn.compile.world import World
from dssn.loading.load import load_scenario
from dssn.loading.shelf import library_dir, library_names
from dssn.loading.tree import compose, plain
from dssn.problems import CODES, Problem

if __package__:
    from tests.fuzz.mutations import MUTATIONS, Files, random_sets
else:  # run as a script
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests.fuzz.mutations import MUTATIONS, Files, random_sets

#: Processor time, so that a busy machine makes no hangs; three times as much by the clock.
TIME_LIMIT_S = 10.0
#: Address space that a worker may add to what it has before the first case.
MEMORY_LIMIT_BYTES = 1 << 30
#: A worker is replaced after so many cases, so that what many leave behind is not blamed on one.
CASES_A_WORKER = 500
FAILURES = ("traceback", "hang", "memory", "bad line")


@dataclass
class Case:
    """One mutated scenario."""

    number: int
    scenario: str
    mutation: str
    files: Files
    sets: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Original:
    """A scenario before it is mutated; large ones are taken less often, as each check of them takes longer."""

    name: str
    text: str
    document: Any
    weight: float


def corpus() -> list[Original]:
    """Return each shipped scenario, as written and as resolved."""
    rows = []
    for name in library_names():
        text = (library_dir() / f"{name}.yaml").read_text(encoding="utf-8")
        tree, _ = compose(text, name)
        assert tree is not None
        loaded = load_scenario(name)
        weight = 1 / (1 + len(World.of(loaded).nodes) / 200)
        rows.append(Original(name, text, plain(tree), weight))
        rows.append(Original(f"{name} resolved", loaded.resolved_yaml, loaded.document, weight))
    return rows


def make_case(seed: int, number: int, rows: list[Original]) -> Case:
    """Return a case, the same for the same seed and number."""
    rng = random.Random(f"{seed}/{number}")
    original = rng.choices(rows, [row.weight for row in rows])[0]
    name, text, document = original.name, original.text, original.document
    kind = rng.choices(list(MUTATIONS), [weight for weight, _ in MUTATIONS.values()])[0]
    if rng.random() < 0.05:
        return Case(number, name, "set", {"case.yaml": text.encode()}, random_sets(rng, document))
    return Case(number, name, kind, MUTATIONS[kind][1](rng, text, document))


class _HangError(BaseException):
    """Raised by the timer inside a worker."""


def _on_alarm(signum: int, frame: Any) -> None:
    raise _HangError


def run_case(case: Case, folder: Path) -> tuple[str, list[str]]:
    """Return the outcome of a case and its codes, or the text of a failure."""
    for old in folder.iterdir():
        old.unlink()
    for name, raw in case.files.items():
        (folder / name).write_bytes(raw)
    signal.setitimer(signal.ITIMER_PROF, TIME_LIMIT_S)
    signal.setitimer(signal.ITIMER_REAL, 3 * TIME_LIMIT_S)
    try:
        problems = check(folder / "case.yaml", sets=case.sets)
    except _HangError:
        return "hang", [f"over {TIME_LIMIT_S:g} s"]
    except MemoryError:
        return "memory", ["over 1 GiB"]
    except BaseException:  # noqa: BLE001 - whatever comes out is the finding
        return "traceback", [traceback.format_exc()]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
    faults = [fault for p in problems for fault in bad_line(p)]
    if faults:
        return "bad line", faults
    codes = sorted({p.code for p in problems})
    if "E199" in codes:
        return "traceback", [p.render() for p in problems if p.code == "E199"]
    return ("problems" if any(c[0] == "E" for c in codes) else "ok"), codes


def bad_line(problem: Problem) -> list[str]:
    """Return what is wrong with the wording of a problem."""
    line = problem.render()
    out = []
    if problem.code not in CODES:
        out.append(f"unknown code: {line}")
    if "\n" in line or not line.isprintable() or len(line) > 6000:
        out.append(f"not one printable line: {line[:300]!r}")
    if any(word in line for word in ("Traceback", "pydantic", "object at 0x", "errors.pydantic.dev")):
        out.append(f"inner words: {line}")
    if not problem.found:
        out.append(f"nothing found: {line}")
    return out


def _resident_kib(*, reset: bool = False) -> int:
    """Return the largest resident memory since the last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


class Answer(NamedTuple):
    """What a worker says of a case."""

    number: int
    scenario: str = "?"
    mutation: str = "?"
    outcome: str = "ok"
    details: Sequence[str] = ()
    seconds: float = 0.0
    grown_kib: int = 0

    def __str__(self) -> str:
        return f"case {self.number} ({self.scenario}, {self.mutation})"


def _worker(pipe: Connection, seed: int) -> None:
    """Check the cases whose numbers come through the pipe."""
    os.environ[RAISE_SWITCH] = "1"
    signal.signal(signal.SIGALRM, _on_alarm)
    signal.signal(signal.SIGPROF, _on_alarm)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rows = corpus()
    for name in ("metro", "trace-driven"):  # what is loaded once is not the case's
        check(name)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY_LIMIT_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chdir(folder)
        while (number := pipe.recv()) is not None:
            started = time.perf_counter()
            case = make_case(seed, number, rows)
            before = _resident_kib(reset=True)
            outcome, details = run_case(case, folder)
            grown = _resident_kib() - before
            took = time.perf_counter() - started
            pipe.send(Answer(number, case.scenario, case.mutation, outcome, details, took, grown))


@dataclass
class Tally:
    """What came out."""

    outcomes: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    mutations: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: list[tuple[float, str]] = field(default_factory=list)
    seconds: float = 0.0
    largest: list[tuple[int, str]] = field(default_factory=list)

    def add(self, answer: Answer) -> None:
        """Count one case."""
        self.outcomes[answer.outcome] += 1
        self.mutations[answer.mutation, answer.outcome] += 1
        if answer.outcome in FAILURES:
            self.failures.append("\n".join([f"{answer}: {answer.outcome}", *answer.details]))
        else:
            self.codes.update(answer.details)
        self.seconds += answer.seconds
        self.slowest = sorted([*self.slowest, (answer.seconds, str(answer))])[-5:]
        self.largest = sorted([*self.largest, (answer.grown_kib, str(answer))])[-3:]

    @property
    def failed(self) -> int:
        """Number of cases that show a fault of the checker."""
        return sum(self.outcomes[f] for f in FAILURES)

    def table(self, seed: int, count: int, wall_s: float) -> str:
        """Return the outcomes as text."""
        lines = [
            f"{count} mutations, seed {seed}, {wall_s:.0f} s, {1e3 * self.seconds / max(count, 1):.0f} ms a case"
        ]
        lines += [f"  {name:<10} {self.outcomes[name]:>7}" for name in ("ok", "problems", *FAILURES)]
        lines += ["by mutation:"]
        for mutation in [*MUTATIONS, "set"]:
            row = {o: n for (m, o), n in self.mutations.items() if m == mutation}
            lines.append(f"  {mutation:<12}" + "".join(f" {o} {n}" for o, n in sorted(row.items())))
        lines += ["cases in which a code occurred:"]
        for code in sorted(CODES):
            lines.append(f"  {code} {CODES[code].title:<32} {self.codes[code]:>7}")
        lines += ["slowest:"] + [f"  {took:6.2f} s {what}" for took, what in reversed(self.slowest)]
        lines.append("largest growth of resident memory:")
        lines += [f"  {kib / 1024:6.0f} MiB {what}" for kib, what in reversed(self.largest)]
        return "\n".join(lines)


def fuzz(count: int, seed: int, workers: int = 2, first: int = 0) -> tuple[Tally, float]:
    """Run the cases in worker processes; one that ends or stops answering is replaced."""
    context = multiprocessing.get_context("fork")
    tally = Tally()
    started = time.perf_counter()
    numbers = iter(range(first, first + count))
    running: dict[Connection, tuple[Any, int, float]] = {}
    done: Counter[Connection] = Counter()

    def start() -> None:
        number = next(numbers, None)
        if number is None:
            return
        here, there = context.Pipe()
        process = context.Process(target=_worker, args=(there, seed), daemon=True)
        process.start()
        there.close()
        here.send(number)
        running[here] = (process, number, time.perf_counter())

    for _ in range(workers):
        start()
    while running:
        for pipe in wait(list(running), timeout=1.0):
            assert isinstance(pipe, Connection)
            process, number, _ = running[pipe]
            try:
                answer = pipe.recv()
            except (EOFError, ConnectionResetError):
                process.join()
                why = f"the worker ended with {process.exitcode}"
                tally.add(Answer(number, outcome="memory", details=[why]))
                del running[pipe]
                start()
                continue
            tally.add(answer)
            done[pipe] += 1
            following = next(numbers, None) if done[pipe] < CASES_A_WORKER else None
            pipe.send(following)
            if following is None:
                process.join()
                del running[pipe]
                start()
            else:
                running[pipe] = (process, following, time.perf_counter())
        for pipe, (process, number, since) in list(running.items()):
            if time.perf_counter() - since > 3 * TIME_LIMIT_S + 10:  # deaf to the timer
                process.kill()
                process.join()
                tally.add(Answer(number, outcome="hang", details=["killed from outside"]))
                del running[pipe]
                start()
    return tally, time.perf_counter() - started


def _show(seed: int, number: int) -> int:
    case = make_case(seed, number, corpus())
    with tempfile.TemporaryDirectory() as name:
        for file, raw in case.files.items():
            sys.stdout.write(f"--- {file}\n{raw[:20_000].decode('utf-8', 'backslashreplace')}\n")
            (Path(name) / file).write_bytes(raw)
        os.chdir(name)
        started = time.perf_counter()
        problems = check("case.yaml", sets=case.sets)
        took = time.perf_counter() - started
    sys.stdout.write(f"--- {case.scenario}, {case.mutation}, {case.sets}, {took:.2f} s\n")
    sys.stdout.writelines(f"{p.render()}\n" for p in problems[:100])
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", type=int, help="show one case")
    args = parser.parse_args(argv)
    if args.only is not None:
        os.environ[RAISE_SWITCH] = "1"
        return _show(args.seed, args.only)
    tally, wall_s = fuzz(args.count, args.seed, args.workers)
    for text in tally.failures[:20]:
        sys.stdout.write(f"{text}\n\n")
    sys.stdout.write(f"{tally.table(args.seed, args.count, wall_s)}\n")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
