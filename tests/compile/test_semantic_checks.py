"""A scenario for each problem that shows only across sections, and none for a sound one."""

from __future__ import annotations

import re

import pytest

from dssn.compile.codes import SEMANTIC, CompileError
from dssn.compile.semantic import CHECKS, check_all
from dssn.loading.load import load_scenario, load_text

TEXT = """
dssn: 1
import: [presets/base.yaml]
network: {topology: {kind: ring, sites: 4, spacing: 10 km}, planes: {ip: {rate: 1 Gbit/s}}}
nodes:
  - {id: a, role: drn, site: site1}
  - {id: b, role: dsn, site: site2}
  - {id: p, role: pool, site: site3}
  - {id: e, role: exchange, site: site3}
  - generate: {prefix: g, role: dsn, count: 2, sites: all, size: {8C16G: 50 %, 16C32G: 50 %}}
assets:
  - {id: x, node: b, level: 3, rows: 1000, sector: one}
workload:
  - id: s
    arrivals: {kind: diurnal, rate: 60 /h, profile: office}
    consumers: [a]
    assets: {sector: one}
    exchange: e
    job: {engine: psi.rr22, rows: 1000}
objectives: [{kpi: slo_hit, class: standard, at_least: 90 %}]
run: {horizon: 1 h, replications: 1, seed: 1}
"""

GRAPH = """network:
  topology:
    kind: explicit
    sites: [{id: site1}, {id: site2}, {id: site3}, {id: site4}]
    edges: [{a: site1, b: site3, length: 1 km}, {a: site2, b: site4, length: 1 km}]
  planes: {ip: {rate: 1 Gbit/s}}
"""

MANY = (
    "count: 20000}\n  - generate: {prefix: h, role: dsn, sites: all, count: 20000}\n"
    "  - generate: {prefix: i, role: dsn, count: 20000,"
)

CASES = [
    ("{id: b, role: dsn, site: site2}", "{id: b, role: dsn, site: sitee2}", "E301", ("nodes", 1, "site"), "site2"),
    ("node: b,", "node: bb,", "E301", ("assets", 0, "node"), "b"),
    ("consumers: [a]", "consumers: [aa]", "E301", ("workload", 0, "consumers", "ids", 0), "a"),
    ("consumers: [a]", "consumers: {role: dnr}", "E301", ("workload", 0, "consumers", "role", 0), "drn"),
    ("{sector: one}", "{sector: onne}", "E301", ("workload", 0, "assets", "sector", 0), "one"),
    ("{sector: one}", "[xx]", "E301", ("workload", 0, "assets", "ids", 0), "x"),
    ("profile: office", "profile: offices", "E301", ("workload", 0, "arrivals", "profile"), "office"),
    ("exchange: e\n", "exchange: ee\n", "E301", ("workload", 0, "exchange"), "e"),
    ("id: s\n", "id: s\n    class: standart\n", "E301", ("workload", 0, "class"), "standard"),
    ("class: standard, at", "class: standart, at", "E301", ("objectives", 0, "class"), "standard"),
    ("rows: 1000}\nobj", "rows: 1000, place: [pp]}\nobj", "E301", ("workload", 0, "job", "place", "ids", 0), "p"),
    ("sites: all, size", "sites: [sites1], size", "E301", ("nodes", 4, "generate", "sites", "ids", 0), "site1"),
    ("sites: all, size", "sites: {kind: hub}, size", "E302", ("nodes", 4, "generate", "sites"), ""),
    ("{sector: one}", "{level: 1}", "E302", ("workload", 0, "assets"), ""),
    ("consumers: [a]", "consumers: {label: {x: y}}", "E302", ("workload", 0, "consumers"), ""),
    ("{id: p,", "{id: b,", "E303", ("nodes", 2, "id"), ""),
    ("{id: p,", "{id: g1,", "E303", ("nodes", 4, "generate", "prefix"), ""),
    ("{id: p,", "{id: site4,", "E303", ("nodes", 2, "id"), ""),
    ("prefix: g,", "prefix: g, form: rack}\n  - generate: {prefix: g,", None, (), ""),
    ("{kind: ring, sites: 4, spacing: 10 km}", "{kind: topohub, name: topozoo/Chinanett}", "E304",
     ("network", "topology", "name"), "topozoo/Chinanet"),
    ("{kind: ring, sites: 4, spacing: 10 km}", "{kind: graphml, file: none.graphml}", "E304",
     ("network", "topology", "file"), ""),
    ("network: {topology: {kind: ring, sites: 4, spacing: 10 km}, planes: {ip: {rate: 1 Gbit/s}}}\n", GRAPH, "E305",
     ("workload", 0), ""),
    ("horizon: 1 h,", "horizon: 1 h, warmup: 1 h,", "E306", ("run", "warmup"), ""),
    ("horizon: 1 h,", "horizon: 0 s,", "E306", ("run", "horizon"), ""),
    ("node: b,", "node: p,", "E307", ("assets", 0, "node"), ""),
    ("consumers: [a]", "consumers: [b]", "E307", ("workload", 0, "consumers", "ids", 0), ""),
    ("exchange: e\n", "exchange: p\n", "E307", ("workload", 0, "exchange"), ""),
    ("{engine: psi.rr22, rows: 1000}", "{engine: mpc.cheetah, rows: 100000000}", "E308", ("workload", 0, "job"), ""),
    ("{engine: psi.rr22, rows: 1000}", "{engine: tee.job}", "E309", ("workload", 0, "job"), ""),
    ("{engine: psi.rr22, rows: 1000}", "{engine: he.paillier, place: {role: pool, site: site1}}", "E309",
     ("workload", 0, "job", "place"), ""),
    ("rate: 60 /h", "rate: 1000000 /s", "E310", ("workload", 0, "arrivals", "rate"), ""),
    ("horizon: 1 h,", "horizon: 30 year,", "E310", ("run", "horizon"), ""),
    ("count: 2,", MANY, "E310", ("nodes", 6, "generate"), ""),
    ("import: [presets/base.yaml]",
     "classes: [{id: standard}]\nprofiles: {office: [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}\nservices: []",
     "E312", ("services",), ""),
    ("objectives:", "policies: {placement: neerest}\nobjectives:", "E313", ("policies", "placement"), "nearest"),
    ("objectives:", "policies: {admission: {use: max_in_flight, limitt: 3}}\nobjectives:", "E313",
     ("policies", "admission"), ""),
    ("objectives:", "policies: {placement: 'no_such_module:thing'}\nobjectives:", "E313", ("policies", "placement"), ""),
    ("exchange: e\n", "exchange: e\n    parties: 2\n", "E314", ("workload", 0, "parties"), ""),
    ("8C16G: 50 %,", "8C16G: 60 %,", "E315", ("nodes", 4, "generate", "size"), ""),
    ("{id: b, role: dsn, site: site2}", "{id: b, role: dsn, site: site2, engines: [psi.ecdh]}", "E316",
     ("workload", 0, "job"), ""),
    ("exchange: e\n", "exchange: e\n    net: {technology: otn}\n", "E317", ("workload", 0, "net", "technology"), ""),
    ("objectives:", "policies: {technology: {use: fixed, technology: ptn}}\nobjectives:", "E317",
     ("policies", "technology"), ""),
    ("rows: 1000}\nobj", "rows: 1000}\n    net: {isolation: hard, rate: 1 Mbit/s}\npolicies: {technology: cheapest}\nobj",
     "E317", ("workload", 0, "net", "isolation"), ""),
    ("exchange: e\n", "exchange: e\n    net: {isolation: soft, rate: 950 Mbit/s}\n", "E318",
     ("workload", 0, "net", "rate"), ""),
    ("{engine: psi.rr22, rows: 1000}", "{engine: mpc.cheetah, rows: {lognormal: {median: 10000000, sigma: 5}}}", "W305",
     ("workload", 0, "job"), ""),
    ("role: drn, site: site1}", "role: drn, site: site1, access: {technology: otn}}", "W306",
     ("nodes", 0, "access", 0, "technology"), ""),
    ("objectives:", "faults: [{kind: node_down, target: bb, at: 1 s, duration: 1 s}]\nobjectives:", "E301",
     ("faults", 0, "target"), "b"),
    ("objectives:", "faults: [{kind: link_down, between: [site1, site3], at: 1 s, duration: 1 s}]\nobjectives:",
     "E302", ("faults", 0), ""),
    ("objectives:", "faults: [{kind: node_down, target: b, at: 2 h, duration: 1 s}]\nobjectives:", "W301",
     ("faults", 0, "at"), ""),
    ("class: standard, at", "class: urgent, at", "W302", ("objectives", 0, "class"), ""),
    ("exchange: e\n", "exchange: e\n    channel: api\n", "W304", ("workload", 0), ""),
    ("sector: one}\nw", "sector: one, forms: [tee, api]}\nw", "W304", ("workload", 0), ""),
    ("sector: one}\nw", "sector: one}\n  - {id: y, node: b, level: 1, rows: 1, sector: one, forms: [tee]}\nw", "W307",
     ("workload", 0), ""),
    ("{engine: psi.rr22, rows: 1000}", "{engine: transfer.bulk, size: 1 MB}", "W304", ("workload", 0), ""),
    ("{sector: one}", "[x, x]", "W308", ("workload", 0, "assets", "ids", 1), ""),
    ("consumers: [a]", "consumers: {ids: [a, a]}", "W308", ("workload", 0, "consumers", "ids", 1), ""),
    ("rows: 1000, sector", "rows: 1000, row_size: 2 GB, sector", "W309", ("assets", 0, "rows"), ""),
    ("kind: diurnal, rate: 60 /h, profile: office}",
     "kind: bursts, rate: 60 /h, windows: [{at: 0 s, duration: 1 s, factor: 2}, {at: 1 h, duration: 1 s, factor: 2}]}",
     "W301", ("workload", 0, "arrivals", "windows", 1, "at"), ""),
    ("kind: diurnal, rate: 60 /h, profile: office}",
     "kind: bursts, rate: 60 /h, end: 5 min, windows: [{at: 6 min, duration: 1 s, factor: 2}]}",
     "W301", ("workload", 0, "arrivals", "windows", 0, "at"), ""),
]  # fmt: skip


def test_the_sound_scenario_has_no_problem() -> None:
    assert check_all(load_text(TEXT)) == []


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[2]}-{'.'.join(map(str, c[3]))}-{c[1][:24]}")
def test_each_problem_is_found_at_its_place(
    case: tuple[str, str, str | None, tuple[object, ...], str],
) -> None:
    old, new, code, loc, hint = case
    assert TEXT.count(old) == 1, old
    text = TEXT.replace(old, new)
    if code is None:  # a second group with the same prefix
        code, loc = "E303", ("nodes", 5, "generate", "prefix")
        text = text.replace("form: rack}", "role: dsn, count: 1, sites: all}")
    found = check_all(load_text(text))
    hits = [p for p in found if p.code == code and p.loc == loc]
    assert hits, found
    assert code in SEMANTIC
    if hint:
        assert hits[0].hint == hint
    assert all(p.found and "\n" not in p.found for p in found)
    # One fault, one line: nothing else is reported because of it.
    assert {p.code for p in found} == {code}, found


def test_every_code_has_a_case_or_a_test_of_its_own() -> None:
    tested = {c[2] for c in CASES} | {"E303"}
    elsewhere = {"E311", "W303"}  # traces; topologies with gaps
    assert set(SEMANTIC) == (tested - {None}) | elsewhere


def test_gaps_of_a_topology_are_a_warning() -> None:
    text = TEXT.replace("{kind: ring, sites: 4, spacing: 10 km}", "{kind: topohub, name: topozoo/Chinanet}")
    for i, city in enumerate(("Beijing", "Shanghai", "Guangzhou"), 1):
        text = re.sub(rf"\bsite{i}\b", city, text)
    assert {p.code for p in check_all(load_text(text))} <= {"W303"}


def test_compile_raises_what_the_checks_find() -> None:
    from dssn.compile import compile_plan

    loaded = load_text(TEXT.replace("consumers: [a]", "consumers: [aa]").replace("node: b,", "node: bb,"))
    with pytest.raises(CompileError) as info:
        compile_plan(loaded)
    assert list(info.value.problems) == check_all(loaded)
    assert len(info.value.problems) == 2


def test_checks_take_a_world_each_and_do_not_touch_it() -> None:
    from dssn.compile.world import World

    world = World.of(load_scenario("metro"))
    for check in CHECKS:
        assert list(check(world)) == list(check(world)) == []


@pytest.mark.parametrize(
    "name",
    ["metro", "exchange-peak-day", "bank-joint-model", "province-dual-channel", "hospital-network", "hub-outage",
     "national-day", "trace-driven"],
)  # fmt: skip
def test_shipped_scenarios_have_no_problem_and_no_warning(name: str) -> None:
    assert check_all(load_scenario(name)) == []
