"""From scenarios to plans: structure, determinism, selectors, groups, faults, traces."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dssn.compile import compile_plan
from dssn.compile.codes import CompileError
from dssn.compile.select import apportion, spread
from dssn.compile.services import NEEDED
from dssn.loading.load import load_scenario, load_text
from dssn_models.dist import Dist
from dssn_models.plan import NetOrderPlan, Plan, SelectorPlan

LIBRARY = Path(__file__).parents[2] / "scenarios" / "library"
NAMES = sorted(p.stem for p in LIBRARY.glob("*.yaml"))


def plan_of(name: str, *sets: str, overrides: tuple[str, ...] = ()) -> Plan:
    return compile_plan(load_scenario(name, overrides, sets))


SMALL = """
dssn: 1
import: [presets/base.yaml]
network: {topology: {kind: line, sites: 4, spacing: 10 km}, planes: {ip: {rate: 1 Gbit/s}}}
nodes:
  - {id: a, role: drn, site: site1}
  - {id: b, role: dsn, site: site2}
  - {id: c, role: dsn, site: site4, size: 32C64G}
  - {id: p, role: pool, site: site3}
assets:
  - {id: x, node: b, level: 3, rows: 1000, sector: one}
  - {id: y, node: c, level: 3, rows: 1000, sector: two}
workload:
  - id: s
    arrivals: {kind: poisson, rate: 60 /h}
    consumers: [a]
    assets: [x, y]
    job: {engine: psi.rr22, rows: 1000}
run: {horizon: 1 h, replications: 1, seed: 1}
"""


def small(*sets: str, extra: str = "") -> Plan:
    return compile_plan(load_text(SMALL + extra, sets=sets))


# ------------------------------------------------------------------ metro, the golden plan


@pytest.mark.req("TB-01", "NOD-05")
def test_metro_by_structure() -> None:
    plan = plan_of("metro")
    assert [s.id for s in plan.network.sites] == [f"site{i}" for i in range(1, 6)]
    assert sorted({link.technology for link in plan.network.links}) == ["ip", "otn", "pon"]
    assert sum(link.access for link in plan.network.links) == len(plan.nodes) == 10
    assert len(plan.network.links) == 2 * 5 + 10
    assert [(n.id, n.role, n.site, n.cores) for n in plan.nodes[:3]] == [
        ("bank", "drn", "site1", 16.0),
        ("shop", "drn", "site2", 8.0),
        ("carrier", "dsn", "site3", 16.0),
    ]
    assert [n.id for n in plan.nodes if n.id.startswith("dsn")] == ["dsn1", "dsn2", "dsn3"]
    enclave = plan.node_by_id["enclave"]
    assert enclave.tee is not None
    assert (enclave.form, enclave.tee.profile, enclave.party) == ("tee_box", "sgx2", "dssn")
    assert [a.node for a in plan.assets if a.sector == "open"] == [
        "carrier",
        "hospital",
        "cityhall",
        "dsn1",
        "dsn2",
        "dsn3",
    ]
    assert plan.asset_by_id["cases"].row_bytes == 1000.0
    kinds = {p.id: p.kind for p in plan.parties}
    assert (kinds["bank"], kinds["carrier"], kinds["dssn"]) == ("consumer", "provider", "service")
    psi, api, tee = plan.streams
    assert psi.consumers == SelectorPlan(("bank", "shop"))
    assert psi.steps[0].profile == "reference"
    assert isinstance(psi.steps[0].params["rows"], Dist)
    assert api.channel == "api"
    assert [(s.id, s.after, s.candidates) for s in tee.steps] == [
        ("run", (), ("enclave",)),
        ("report", ("run",), ()),
    ]
    assert tee.net == NetOrderPlan()
    assert {k: p.name for k, p in plan.policies.items()} == {
        "placement": "nearest", "admission": "always", "queueing": "priority", "technology": "cheapest",
    }  # fmt: skip
    assert [(o.kpi, o.cls, o.quantile, o.bound, o.direction) for o in plan.objectives] == [
        ("order_to_result", "standard", 0.95, 600.0, "max"),
        ("order_to_result", "urgent", 0.95, 300.0, "max"),
    ]
    assert {s.kind for s in plan.services} == set(NEEDED)
    for service in plan.services:
        assert set(NEEDED[service.kind]) <= set(service.operations)
        assert service.site == "site1"
    assert plan.run.seed == 1
    assert plan.scenario_hash


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.req("SCN-01", "SCN-05", "SCN-07", "SCN-09", "ECO-04", "BIZ-01")
def test_every_shipped_scenario_compiles_the_same_twice(name: str) -> None:
    loaded = load_scenario(name)
    plan = compile_plan(loaded)
    assert plan == compile_plan(load_scenario(name))
    assert plan.question.endswith("?")
    assert plan.streams
    assert plan.objectives
    for stream in plan.streams:
        assert set(stream.consumers.ids) <= set(plan.node_by_id)
        assert set(stream.assets.ids) <= set(plan.asset_by_id)
        assert stream.cls in plan.class_by_id


@pytest.mark.parametrize("name", NAMES)
def test_every_override_compiles(name: str) -> None:
    document = load_scenario(name)
    from ruamel.yaml import YAML

    raw = YAML(typ="safe", pure=True).load((LIBRARY / f"{name}.yaml").read_text())
    for override in raw.get("overrides", {}):
        if override in ("azure-llm", "alibaba-gpu"):
            continue  # they need a file that is not shipped
        assert plan_of(name, overrides=(override,)).scenario_hash != document.hash


@pytest.mark.req("DCC-01")
def test_three_thousand_nodes_in_two_seconds() -> None:
    loaded = load_scenario("national-day", ["full"])
    compile_plan(loaded)  # the topology is built once a process
    start = time.process_time()
    plan = compile_plan(loaded)
    assert time.process_time() - start < 2.0
    assert 2900 <= len(plan.nodes) <= 3100


# ------------------------------------------------------------------ pieces


@given(st.integers(0, 500), st.lists(st.floats(0, 1e9), min_size=1, max_size=30))
@settings(derandomize=True, deadline=None)
def test_apportion_gives_away_all_and_is_fair(count: int, weights: list[float]) -> None:
    shares = apportion(count, weights)
    assert sum(shares) == count
    total = sum(weights)
    if total > 1e-6:
        for share, weight in zip(shares, weights, strict=True):
            assert abs(share - count * weight / total) < 1 + 1e-6


@given(st.integers(1, 300), st.floats(0.01, 0.99))
@settings(derandomize=True, deadline=None)
def test_spread_keeps_every_prefix_near_the_mix(count: int, share: float) -> None:
    picks = spread(count, {"a": share, "b": 1 - share})
    for n in range(1, count + 1):
        assert abs(picks[:n].count("a") - share * n) <= 1


def test_a_new_asset_does_not_move_the_size_of_another() -> None:
    group = "assets: [{generate: {prefix: g, nodes: {role: dsn}, per_node: %d, rows: {lognormal: {median: 1000, sigma: 1}}}}]"
    text = (
        SMALL.split("assets:")[0]
        + "%s\nworkload:"
        + SMALL.split("workload:")[1].replace("[x, y]", "{prefix: g}")
    )
    few = compile_plan(load_text(text % (group % 1))).asset_by_id
    many = compile_plan(load_text(text % (group % 3))).asset_by_id
    assert len(many) == 6
    assert few["g1"].rows == many["g1"].rows
    assert few["g2"].rows == many["g2"].rows
    assert few["g1"].rows != few["g2"].rows


def test_consumers_weighted_by_population_share_their_site() -> None:
    plan = plan_of("national-day")
    regional = {s.id: s for s in plan.streams if s.id.startswith("regional-query.")}
    assert len(regional) == 31
    assert sum(s.arrivals.rate for s in regional.values()) == pytest.approx(4000 / 86400)
    for stream in regional.values():
        province = stream.id.partition(".")[2]
        sites = {s.id for s in plan.network.sites if s.province == province}
        assert {plan.node_by_id[c].site for c in stream.consumers.ids} <= sites
        assert {plan.node_by_id[plan.asset_by_id[a].node].site for a in stream.assets.ids} <= sites
    shandong, tibet = regional["regional-query.Shandong"], regional["regional-query.Tibet"]
    assert shandong.arrivals.rate > 10 * tibet.arrivals.rate


def test_replicas_are_stations_of_one_kind_for_their_regions() -> None:
    plan = plan_of("exchange-peak-day")
    access = [s for s in plan.services if s.kind == "dsp.access"]
    assert len(access) == 7
    regions = {s.region for s in plan.network.sites if s.region}
    assert {r for s in access for r in s.serves} == regions
    assert all(s.id == f"dsp.access@{s.site}" for s in access)


def test_profiles_have_mean_one() -> None:
    for stream in plan_of("exchange-peak-day").streams:
        assert len(stream.arrivals.profile) == 24
        assert sum(stream.arrivals.profile) / 24 == pytest.approx(1.0)


def test_planes_leave_room_for_other_traffic() -> None:
    links = small("network.spare=0.25").network.links
    assert {link.rate_ab_bps for link in links if not link.access} == {0.25e9}


def test_the_default_plane_is_one_that_exists() -> None:
    assert small().network.routing.default_technology == "ip"
    other = compile_plan(load_text(SMALL.replace("planes: {ip:", "planes: {otn:")))
    assert other.network.routing.default_technology == "otn"


def test_preloaded_engines_become_images() -> None:
    plan = plan_of("hub-outage")
    assert "psi.rr22:1" in plan.node_by_id["dsn1"].preloaded


def test_helpers_go_to_pools_unless_told() -> None:
    job = "workload.s.job={engine: he.paillier, rows: 100%s}"
    assert small(job % "").streams[0].steps[0].candidates == ("p",)
    assert small(job % ", place: [b, c]").streams[0].steps[0].candidates == ("b", "c")
    assert small(job % ", place: {role: dsn, site: site4}").streams[0].steps[0].candidates == ("c",)


def test_compliance_and_tariff_reach_the_plan() -> None:
    plan = plan_of("hospital-network")
    assert plan.compliance["levels"][4]["forms"] == ("privacy", "tee")
    assert plan.compliance["purposes"] == ("epidemic", "clinical", "research")
    assert plan.tariff["core_s"] == pytest.approx(0.5 / 3600)
    from dssn_models.market.metering import KINDS

    assert set(plan.tariff) <= set(KINDS)


def test_assumed_constants_are_listed_with_their_reason() -> None:
    rows = plan_of("metro").assumptions
    names = [what for what, _, _ in rows]
    assert len(set(rows)) == len(rows)
    assert "dsp.access.catalogue" in names
    assert "tee.sgx2.slowdown" in names
    assert any(n.startswith("pon.") for n in names)
    assert not any(n.startswith("sdwan.") for n in names)
    assert "ledger.append" not in names  # measured
    assert all(why for _, _, why in rows)


# ------------------------------------------------------------------ faults


@pytest.mark.req("DCC-13")
def test_faults_at_given_times() -> None:
    faults = "faults: [{id: f, kind: %s, at: [10 min, 20 min], duration: 1 min%s}]\n"
    plan = small(extra=faults % ("link_slow", ", between: [site2, site1], factor: 0.5"))
    assert [(f.target, f.at_s, f.duration_s, f.factor, f.label) for f in plan.faults] == [
        ("ip:site1--site2", 600.0, 60.0, 0.5, "f"),
        ("ip:site1--site2", 1200.0, 60.0, 0.5, "f"),
    ]
    assert {f.target for f in small(extra=faults % ("node_down", ", role: dsn")).faults} == {"b", "c"}
    assert {f.target for f in small(extra=faults % ("site_down", ", target: site3")).faults} == {"site3"}
    by_plane = small(extra=faults % ("link_down", ", technology: ip")).faults
    assert len(by_plane) == 2 * 3  # the lines between sites, not the access lines


@pytest.mark.req("DCC-13")
def test_random_faults_are_drawn_from_a_stream_of_their_own() -> None:
    times = "mtbf: {exponential: {mean: 2 min}}, duration: {exponential: {mean: 10 s}}"
    text = "faults: [{id: f, kind: node_down, target: %s, " + times + "}]\n"
    one = [f for f in small(extra=text % "[b]").faults if f.target == "b"]
    both = [f for f in small(extra=text % "[c, b]").faults if f.target == "b"]
    assert one == both
    assert 10 < len(one) < 60
    ends = [f.at_s + f.duration_s for f in one]
    assert all(end <= later.at_s for end, later in zip(ends, one[1:], strict=False))
    assert one != [f for f in small("run.seed=2", extra=text % "[b]").faults if f.target == "b"]


# ------------------------------------------------------------------ traces


def trace(tmp_path: Path, csv: str, arrivals: str, **more: Any) -> Plan:
    (tmp_path / "t.csv").write_text(csv)
    text = SMALL.replace(
        "arrivals: {kind: poisson, rate: 60 /h}",
        f"arrivals: {{kind: trace, file: {tmp_path}/t.csv, {arrivals}}}",
    )
    return compile_plan(load_text(text, **more))


CSV = "when,n,kind,begin,end\n5.0,10,x,0,10\n1.0,20,y,0,20\n,30,x,0,1\n9.0,40,z,5,10\n7000,1,x,0,1\n"


def test_trace_times_are_sorted_and_shifted_and_cut_at_the_horizon(tmp_path: Path) -> None:
    (s,) = trace(tmp_path, CSV, "time: when, sizes: {rows: n}").streams
    assert s.arrivals.times == (0.0, 4.0, 8.0)
    assert s.arrivals.columns == {"rows": (20.0, 10.0, 40.0)}


def test_trace_skips_its_begin(tmp_path: Path) -> None:
    (s,) = trace(tmp_path, CSV, "time: when, skip: 3 s, time_scale: 2").streams
    assert s.arrivals.times == (2.0, 10.0)


def test_trace_scales_times_and_computes_sizes(tmp_path: Path) -> None:
    sizes = "sizes: {rows: {column: end, minus: begin, times: n, scale: 2, max: 500}}"
    (s,) = trace(tmp_path, CSV, f"time: when, {sizes}, time_scale: 0.5, start: 1 min, limit: 2").streams
    assert s.arrivals.times == (60.0, 62.0)
    assert s.arrivals.columns == {"rows": (500.0, 200.0)}


def test_trace_classes_make_streams_and_where_filters(tmp_path: Path) -> None:
    classes = "classes: {column: kind, map: {x: urgent, z: bulk}}"
    plans = trace(tmp_path, CSV, f"time: when, {classes}").streams
    assert {(s.id, s.cls, s.arrivals.times) for s in plans} == {
        ("s", "standard", (0.0,)),
        ("s.urgent", "urgent", (4.0,)),
        ("s.bulk", "bulk", (8.0,)),
    }
    (only,) = trace(tmp_path, CSV, "time: when, where: {kind: z}").streams
    assert only.arrivals.times == (0.0,)


def test_trace_of_date_strings_with_seven_digits(tmp_path: Path) -> None:
    csv = "T,n\n2023-11-16 18:15:46.6805900,374\n2023-11-16 18:15:50.9951690,396\n2023-11-16 18:16:46.6805900,3\n"
    (s,) = trace(tmp_path, csv, "time: {column: T, unit: timestamp}, sizes: {rows: n}").streams
    assert s.arrivals.times == pytest.approx((0.0, 4.314579, 60.0))


def test_parquet_traces(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"t": [3000, 1000], "n": [1, 2]}), tmp_path / "t.parquet")
    arrivals = (
        f"{{kind: trace, file: {tmp_path}/t.parquet, time: {{column: t, unit: ms}}, sizes: {{rows: n}}}}"
    )
    (s,) = small(f"workload.s.arrivals={arrivals}").streams
    assert s.arrivals.times == (0.0, 2.0)
    assert s.arrivals.columns["rows"] == (2.0, 1.0)


@pytest.mark.parametrize(
    ("csv", "arrivals", "found"),
    [
        (CSV, "time: whem", "no column 'whem'"),
        (CSV, "time: kind", "holds no date"),
        (CSV, "time: when, sizes: {rows: kind}", "holds string"),
        (CSV, "time: when, where: {kind: q}", "no usable row"),
        ("a,b\n1,2\n1,2,3\n", "time: a", "cannot be read"),
        ("", "time: a", "cannot be read"),
        ("when,n\n", "time: when", "no usable row"),
        (CSV, "time: when, sizes: {rowz: n}", "no parameter"),
        (CSV, "time: when, skip: 1 d", "lie before"),
    ],
)
def test_traces_that_cannot_be_used(tmp_path: Path, csv: str, arrivals: str, found: str) -> None:
    with pytest.raises(CompileError) as info:
        trace(tmp_path, csv, arrivals)
    assert any(found in p.found for p in info.value.problems), info.value.problems
    assert all(p.loc[:3] == ("workload", 0, "arrivals") for p in info.value.problems)


def test_a_missing_trace_file(tmp_path: Path) -> None:
    with pytest.raises(CompileError) as info:
        small("workload.s.arrivals={kind: trace, file: no/such.csv, time: t}")
    (problem,) = info.value.problems
    assert (problem.code, problem.loc) == ("E311", ("workload", 0, "arrivals", "file"))
