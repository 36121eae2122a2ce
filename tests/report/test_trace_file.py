"""The Perfetto trace: valid, complete, and lanes never overlap."""

import gzip
import json
from collections import defaultdict
from itertools import pairwise

import pytest

from dssn.report import trace
from dssn.report.trace import trace_events, write_trace


@pytest.fixture
def events(data):
    return list(trace_events(data))


@pytest.mark.req("OPS-03")
def test_every_order_and_phase_of_one_replication_is_a_slice(data, events):
    orders = data.table("orders")
    phases = data.table("phases")
    slices = [e for e in events if e["ph"] == "X"]
    assert sum(e["cat"] == "order" for e in slices) == (orders["replication"] == 0).sum()
    assert sum(e["cat"] == "phase" for e in slices) == (phases["replication"] == 0).sum()
    assert sum(e["cat"] == "fault" for e in slices) == 1


def test_orders_of_a_lane_do_not_overlap_and_phases_lie_inside(events):
    lanes = defaultdict(list)
    for e in events:
        if e["ph"] == "X" and e["cat"] != "fault":
            lanes[e["pid"], e["tid"]].append(e)
    for content in lanes.values():
        orders = sorted((e["ts"], e["ts"] + e["dur"]) for e in content if e["cat"] == "order")
        assert all(a[1] <= b[0] + 0.01 for a, b in pairwise(orders))
        for e in content:
            if e["cat"] == "phase":
                assert any(a - 0.01 <= e["ts"] and e["ts"] + e["dur"] <= b + 0.01 for a, b in orders)


def test_file_is_json_plain_or_compressed(run_folder):
    plain = json.loads(write_trace(run_folder).read_text("utf-8"))
    packed = json.loads(gzip.decompress(write_trace(run_folder, gzip=True).read_bytes()))
    assert plain == packed
    assert plain["otherData"]["clock"] == "virtual time"


def test_cut_traces_say_so(data, monkeypatch):
    monkeypatch.setattr(trace, "MAX_SLICES", 800)
    notes = []
    events = list(trace_events(data, notes=notes))
    assert "cut after" in notes[0]
    assert sum(e["ph"] == "X" and e["cat"] == "phase" for e in events) <= 800
    assert any(e["ph"] == "I" and "cut after" in e["name"] for e in events)


def test_another_replication_can_be_chosen(data):
    first = [e for e in trace_events(data, 0) if e["ph"] == "X"]
    third = [e for e in trace_events(data, 2) if e["ph"] == "X"]
    assert first != third
    assert third
