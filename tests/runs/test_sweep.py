"""Sweeps: one run folder a point, failures recorded, resumed without computing twice."""

from dataclasses import replace

import fake_backend
import pytest

from dssn_models.plan import PolicyPlan
from dssn_sim.runs import RunError, SweepFolder, sweep
from dssn_sim.runs.sweep import points_of
from dssn_sim.truth.equality import differences

FAKE = "fake_backend:simulate"


def make_plan(sets):
    if sets.get("speed", 1.0) <= 0:
        raise ValueError(f"speed: {sets['speed']}; above 0")
    policy = PolicyPlan("queueing", "fifo", {"speed": sets.get("speed", 1.0)})
    plan = replace(fake_backend.plan(horizon_s=sets.get("horizon", 2000.0)), policies={"queueing": policy})
    return plan, f"dssn: 1\nspeed: {sets}\n"


def test_cross_product_and_list_of_points():
    assert [p.sets for p in points_of({"a": [1, 2], "b": [3, 4]})] == [
        {"a": 1, "b": 3}, {"a": 1, "b": 4}, {"a": 2, "b": 3}, {"a": 2, "b": 4},
    ]  # fmt: skip
    assert [p.sets for p in points_of([{"a": 1}, {"b": 2}])] == [{"a": 1}, {"b": 2}]
    assert len({p.id for p in points_of({"a": [1, 1.5, "1"]})}) == 3
    with pytest.raises(RunError, match="list of values"):
        points_of({"a": "12"})
    with pytest.raises(RunError, match="no points"):
        points_of([])


def test_faster_servers_give_shorter_times_and_failures_stay_in_their_point(tmp_path):
    found = sweep(
        make_plan, {"speed": [1.0, 2.0, -1.0]}, tmp_path / "s", replications=2, workers=1, simulate=FAKE
    )
    frame = found.pandas()
    assert frame["state"].tolist() == ["completed", "completed", "invalid"]
    assert "above 0" in frame["problem"].tolist()[2]
    times = frame["order_to_result.mean"].tolist()
    assert times[1] < times[0]
    assert frame["set:speed"].tolist() == [1.0, 2.0, -1.0]
    assert found.run(found.points[1]).kpi("order_to_result", "mean").estimate == times[1]
    assert SweepFolder.open(tmp_path / "s").points == found.points


def test_sweep_resumes_and_extends(tmp_path, monkeypatch):
    count = tmp_path / "count"
    count.mkdir()
    monkeypatch.setenv("FAKE_COUNT", str(count))
    options = {"replications": 2, "workers": 1, "simulate": "fake_backend:counting"}
    first = sweep(make_plan, [{"speed": 1.0}, {"speed": 2.0}], tmp_path / "s", **options)
    for mark in count.iterdir():
        mark.unlink()
    again = sweep(make_plan, [{"speed": 1.0}, {"speed": 2.0}], tmp_path / "s", resume=True, **options)
    assert list(count.iterdir()) == []
    assert again.index.equals(first.index)
    longer = sweep(
        make_plan, [{"speed": 1.0}, {"speed": 2.0}, {"speed": 3.0}], tmp_path / "s", resume=True, **options
    )
    assert longer.index.num_rows == 3
    assert {p.name for p in count.iterdir()} == {"0", "1"}
    with pytest.raises(RunError, match="another design"):
        sweep(make_plan, [{"speed": 9.0}], tmp_path / "s", resume=True, **options)
    with pytest.raises(RunError, match="holds a sweep already"):
        sweep(make_plan, [{"speed": 1.0}], tmp_path / "s", **options)


def test_points_do_not_depend_on_workers(tmp_path):
    design = {"speed": [1.0, 2.0]}
    one = sweep(make_plan, design, tmp_path / "one", replications=1, workers=1, simulate=FAKE)
    two = sweep(make_plan, design, tmp_path / "two", replications=1, workers=2, simulate=FAKE)
    for point in one.points:
        assert differences(one.run(point).path, two.run(point).path) == []
    assert one.index.equals(two.index)


def test_unfinished_and_foreign_folders(tmp_path):
    with pytest.raises(RunError, match=r"sweep\.json is missing"):
        SweepFolder.open(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        sweep(
            make_plan, [{"speed": 1.0}, {"speed": 2.0}], tmp_path / "s", replications=2, workers=1,
            simulate="fake_backend:interrupting",
        )  # fmt: skip
    with pytest.raises(RunError, match="not finished"):
        SweepFolder.open(tmp_path / "s")
