"""The run folder: written once and whole, the same bytes whatever computed it, readable without a plan."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fake_backend
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dssn_models.results import TABLES
from dssn_sim.runs import RunError, RunFolder, run_plan
from dssn_sim.runs.writing import arrow_schema, conform
from dssn_sim.truth.equality import differences, tables_equal

FAKE = "fake_backend:simulate"


def run(out, **options):
    run_options = {k: options.pop(k) for k in ("horizon_s", "warmup_s") if k in options}
    options.setdefault("simulate", FAKE)
    options.setdefault("workers", 1)
    return run_plan(fake_backend.plan(**run_options), out, "dssn: 1\n", **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    sys.path.insert(0, str(Path(__file__).parent))
    return run(tmp_path_factory.mktemp("run") / "a")


def test_folder_has_what_the_architecture_lists(folder):
    assert folder.state == "completed"
    names = {p.name for p in folder.path.iterdir()}
    assert {
        "run.json",
        "scenario.resolved.yaml",
        "summary.json",
        "log.jsonl",
        "tables",
        "replications",
    } <= names
    assert folder.tables == list(TABLES)
    assert not list(folder.path.rglob(".*.tmp"))
    card = folder.run
    assert card["seed"] == 7
    assert card["scenario"]["hash"] == "abc123"
    assert card["versions"]["numpy"]
    assert "simulated" in card["simulated"]
    assert folder.resolved_yaml == "dssn: 1\n"


@pytest.mark.req("TB-02")
def test_tables_follow_the_schema_with_replication_first(folder):
    for name, table in TABLES.items():
        found = folder.table(name)
        assert found.column_names == ["replication", *table.names]
        assert found.schema.metadata[b"backend"] == b"simulation"
    orders = folder.table("orders")
    assert orders.column("replication").to_numpy().tolist() == sorted(
        orders.column("replication").to_pylist()
    )
    assert set(orders.column("replication").to_pylist()) == {0, 1, 2}
    assert folder.table("orders", replication=1).num_rows < orders.num_rows


def test_open_reads_back_what_was_written(folder):
    again = RunFolder.open(folder.path)
    assert again.summary == folder.summary
    assert [k.key for k in again.kpis] == [k.key for k in folder.kpis]
    assert again.facts == folder.facts
    frame = again.sql("select cls, count(*) as n from deliveries group by cls order by cls")
    assert frame["n"].sum() == again.pandas("deliveries").shape[0]
    with pytest.raises(RunError, match=r"syntax|Parser"):
        again.sql("selekt 1")


def test_folders_that_are_no_run_say_so(tmp_path, folder):
    with pytest.raises(RunError, match="no such folder"):
        RunFolder.open(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"run\.json is missing"):
        RunFolder.open(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="is a file"):
        RunFolder.open(tmp_path / "file")
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RunError, match="cannot be read"):
        RunFolder.open(tmp_path)
    (tmp_path / "run.json").write_text('{"schema_version": 99}')
    with pytest.raises(RunError, match="schema 99"):
        RunFolder.open(tmp_path)
    with pytest.raises(RunError, match="no result table 'ordres'"):
        folder.table("ordres")


@pytest.mark.req("TB-02")
def test_same_bytes_twice_with_two_workers_and_with_an_executor(tmp_path, folder):
    twice = run(tmp_path / "b")
    events = []
    two = run(tmp_path / "c", workers=2, progress=events.append)
    assert sorted(e.replication for e in events if e.state == "finished") == [0, 1, 2]
    with ThreadPoolExecutor(2) as executor:
        handed = run(tmp_path / "d", executor=executor)
    for other in (twice, two, handed):
        assert differences(folder.path, other.path) == []
        assert (other.path / "summary.json").read_bytes() == (folder.path / "summary.json").read_bytes()


def test_another_seed_gives_other_bytes(tmp_path, folder):
    other = run(tmp_path / "b", seed=8)
    assert not tables_equal(folder.path, other.path)
    assert "orders" in " ".join(differences(folder.path, other.path))


def test_an_existing_run_is_not_overwritten_by_accident(tmp_path):
    run(tmp_path / "a", replications=1)
    with pytest.raises(RunError, match="holds a run already"):
        run(tmp_path / "a", replications=1)
    run(tmp_path / "a", replications=1, overwrite=True, seed=9)
    assert RunFolder.open(tmp_path / "a").run["seed"] == 9
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("precious")
    with pytest.raises(RunError, match="not empty and holds no run"):
        run(tmp_path / "other", overwrite=True)
    assert (tmp_path / "other" / "thesis.tex").read_text() == "precious"


def test_a_run_killed_before_its_card_was_written_can_start_again(tmp_path):
    (tmp_path / "a" / "replications").mkdir(parents=True)
    (tmp_path / "a" / ".lock").touch()
    (tmp_path / "a" / ".run.json.17.tmp").write_text("{")
    assert run(tmp_path / "a", replications=1, resume=True).state == "completed"
    assert not (tmp_path / "a" / ".run.json.17.tmp").exists()


def test_a_disk_that_refuses_is_a_plain_error(tmp_path, monkeypatch):
    from dssn_sim.runs import run as module

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "publish_folder", full)
    with pytest.raises(RunError, match="No space left"):
        run(tmp_path / "a", replications=1)
    monkeypatch.undo()
    assert RunFolder.open(tmp_path / "a").state == "failed"


def test_resume_computes_only_what_is_missing(tmp_path, monkeypatch):
    count = tmp_path / "count"
    count.mkdir()
    monkeypatch.setenv("FAKE_COUNT", str(count))
    counting = "fake_backend:counting"
    run(tmp_path / "a", simulate=counting, replications=2)
    whole = run(tmp_path / "b", simulate=counting, replications=3)
    for mark in count.iterdir():
        mark.unlink()
    resumed = run(tmp_path / "a", simulate=counting, replications=3, resume=True)
    assert {p.name for p in count.iterdir()} == {"2"}
    assert differences(whole.path, resumed.path) == []


def test_resume_recomputes_a_damaged_replication(tmp_path):
    first = run(tmp_path / "a")
    before = (first.path / "tables" / "orders.parquet").read_bytes()
    broken = first.path / "replications" / "0001" / "orders.parquet"
    broken.write_bytes(broken.read_bytes()[:-50])
    resumed = run(tmp_path / "a", resume=True)
    assert (resumed.path / "tables" / "orders.parquet").read_bytes() == before
    assert list(resumed.run["replication_wall_s"]) == ["1"]


def test_resume_refuses_another_seed_plan_or_version(tmp_path):
    first = run(tmp_path / "a", replications=1)
    with pytest.raises(RunError, match="seed 7, not 8"):
        run(tmp_path / "a", replications=1, seed=8, resume=True)
    with pytest.raises(RunError, match="another plan"):
        run(tmp_path / "a", replications=1, horizon_s=900.0, resume=True)
    card = json.loads((first.path / "run.json").read_text())
    card["versions"]["numpy"] = "0.1"
    (first.path / "run.json").write_text(json.dumps(card))
    with pytest.raises(RunError, match="other versions"):
        run(tmp_path / "a", replications=1, resume=True)


def test_a_failed_replication_leaves_the_others(tmp_path):
    found = run(tmp_path / "a", simulate="fake_backend:failing")
    assert found.state == "partial"
    (failure,) = found.failures
    assert (failure["replication"], failure["origin"], failure["type"]) == (1, "simulate", "ValueError")
    assert "unlucky" in failure["message"]
    assert set(found.table("orders").column("replication").to_pylist()) == {0, 2}
    assert found.summary["failed_replications"] == [1]
    assert "unlucky" in (found.path / "log.jsonl").read_text()


def test_all_failed_is_a_failed_run_without_tables(tmp_path):
    found = run(tmp_path / "a", simulate="fake_backend:all_failing")
    assert found.state == "failed"
    assert len(found.failures) == 3
    with pytest.raises(RunError, match="not finished"):
        found.table("orders")


def test_a_worker_that_dies_fails_only_its_replication(tmp_path):
    found = run(tmp_path / "a", simulate="fake_backend:dying", workers=2)
    assert found.state == "partial"
    (failure,) = found.failures
    assert (failure["replication"], failure["origin"]) == (1, "worker")
    assert set(found.table("orders").column("replication").to_pylist()) == {0, 2}


def test_ctrl_c_keeps_what_had_finished(tmp_path, folder):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a", simulate="fake_backend:interrupting")
    found = RunFolder.open(tmp_path / "a")
    assert found.state == "interrupted"
    assert (found.path / "replications" / "0000" / "done.json").is_file()
    with pytest.raises(RunError, match="1 of 3 replications done"):
        found.table("orders")


KILLED = """
import sys
if __name__ == "__main__":
    import fake_backend
    from dssn_sim.runs import run_plan
    run_plan(fake_backend.plan(), sys.argv[1], "dssn: 1\\n", workers=int(sys.argv[2]), resume=True,
             simulate="fake_backend:slow")
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_kill_9_loses_nothing_that_had_finished(tmp_path, workers):
    script = tmp_path / "script.py"
    script.write_text(KILLED)
    out = tmp_path / "out"
    environment = {**os.environ, "FAKE_SLEEP_S": "60"}
    process = subprocess.Popen([sys.executable, str(script), str(out), str(workers)], env=environment)
    first = out / "replications" / "0000" / "done.json"
    deadline = time.monotonic() + 20
    while not first.is_file() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert first.is_file()
    stamp = first.stat().st_mtime_ns
    assert RunFolder.open(out).state == "running"
    (out / "replications" / ".0002.1.tmp").mkdir()  # as a kill in the middle of writing leaves it
    subprocess.run(
        [sys.executable, str(script), str(out), "1"], env={**os.environ, "FAKE_SLEEP_S": "0"}, check=True
    )
    assert first.stat().st_mtime_ns == stamp
    assert not list((out / "replications").glob(".*"))
    whole = run(tmp_path / "whole", simulate="fake_backend:slow")
    assert differences(whole.path, out) == []


def test_two_processes_cannot_write_one_folder(tmp_path):
    from dssn_sim.runs.run import begin

    job = begin(fake_backend.plan(), tmp_path / "a", "", simulate=FAKE)
    try:
        with pytest.raises(RunError, match="another process"):
            run(tmp_path / "a", resume=True)
    finally:
        job.lock.close()


def test_table_selection(tmp_path):
    found = run(tmp_path / "a", tables=["orders", "deliveries"])
    assert found.tables == ["orders", "deliveries"]
    assert found.kpi("order_to_result", "mean").low is not None
    with pytest.raises(RunError, match="was not kept"):
        found.table("flows")
    with pytest.raises(RunError, match="no result table flow"):
        run(tmp_path / "b", tables=["flow"])


def test_progress_tells_of_every_replication(tmp_path):
    events = []
    run(tmp_path / "w1", progress=events.append)
    assert sorted(e.replication for e in events if e.state == "finished") == [0, 1, 2]
    assert all(0 <= e.share <= 1 for e in events)
    events = []
    run(tmp_path / "w1", resume=True, progress=events.append)
    assert [e.state for e in events] == ["skipped"] * 3


def test_a_plan_that_does_not_pickle_asks_for_one_worker(tmp_path):
    with pytest.raises(RunError, match="one worker"):
        run(tmp_path / "a", workers=2, policies={"queueing": lambda view, now, rng: None})
    assert RunFolder.open(tmp_path / "a").state == "failed"


def test_conform_names_what_does_not_fit():
    orders = arrow_schema("orders").empty_table()
    with pytest.raises(ValueError, match="order_book"):
        conform("order_book", orders, 0)
    with pytest.raises(ValueError, match=r"missing columns \['deadline_s'\]"):
        conform("orders", orders.drop_columns(["deadline_s"]), 0)


def test_merge_keeps_large_tables_in_row_groups(tmp_path):
    from dssn_sim.runs.writing import ROW_GROUP, ParquetTable, write_parquet

    rows = ROW_GROUP + 10
    columns = {"replication": pa.array([0] * rows, pa.int32())}
    schema = arrow_schema("samples")
    for field in list(schema)[1:]:
        columns[field.name] = pa.array(
            ["x"] * rows if field.type == pa.string() else [1.0] * rows, field.type
        )
    write_parquet(tmp_path / "one.parquet", pa.table(columns, schema=schema))
    merged = ParquetTable(tmp_path / "all.parquet", schema)
    merged.add(tmp_path / "one.parquet")
    merged.add(tmp_path / "one.parquet")
    merged.close()
    assert merged.rows == 2 * rows
    file = pq.ParquetFile(tmp_path / "all.parquet")
    assert file.metadata.num_rows == 2 * rows
    assert file.metadata.num_row_groups == 4


def _children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="reads the process table of Linux")
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_the_run(tmp_path, kind):
    script = tmp_path / "script.py"
    script.write_text(KILLED)
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, str(script), str(out), "2"],
        env={**os.environ, "FAKE_SLEEP_S": "60"},
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 40
    while not (out / "replications" / "0000" / "done.json").is_file() and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = _children(process.pid)
    assert len(workers) >= 2
    process.send_signal(kind)
    process.wait(timeout=20)
    if kind == signal.SIGINT:
        assert RunFolder.open(out).state == "interrupted"
    while any(Path(f"/proc/{w}").is_dir() for w in workers) and time.monotonic() < deadline + 20:
        time.sleep(0.05)
    assert not [w for w in workers if Path(f"/proc/{w}").is_dir()]
