"""Every kind of field of the scenario language: what it takes, and what it says when it does not."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML

from dssn.schema import Scenario, json_schema
from dssn.schema.base import show_quantity
from dssn.schema.jobs import Job
from dssn.schema.operations import KPIS, Fault, Objective, Policies
from dssn.schema.quantities import Amount, Duration, RandomDuration, Rate, Share, parse_distribution
from dssn.schema.workload import Stream
from dssn_models.dist import Dist
from dssn_models.engines.registry import REGISTRY
from dssn_models.units import KINDS, parse_quantity

LIBRARY = Path(__file__).parents[2] / "scenarios" / "library"


def _yaml(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def _merged(name: str) -> dict[str, Any]:
    """Merge the imports below a file; enough for files without lists to be merged by id."""
    document = _yaml((LIBRARY / f"{name}.yaml").read_text())
    base: dict[str, Any] = _yaml((LIBRARY / "presets" / "base.yaml").read_text())
    return {**base, **document}


METRO = _merged("metro")


def errors(document: dict[str, Any]) -> list[dict[str, Any]]:
    with pytest.raises(ValidationError) as info:
        Scenario.model_validate(document)
    return [dict(e) for e in info.value.errors()]


def changed(**sections: Any) -> dict[str, Any]:
    return {**copy.deepcopy(METRO), **sections}


def fails(kind: Any, value: object) -> dict[str, Any]:
    with pytest.raises(ValidationError) as info:
        TypeAdapter(kind).validate_python(value)
    found = info.value.errors()
    assert len(found) == 1
    return dict(found[0])


# ------------------------------------------------------------------ quantities


def test_quantities_are_si() -> None:
    assert TypeAdapter(Rate).validate_python("10 Gbit/s") == 1e10
    assert TypeAdapter(Duration).validate_python("5 ms") == 0.005
    assert TypeAdapter(Share).validate_python("2 %") == 0.02


@pytest.mark.parametrize(
    ("kind", "value", "code", "hint"),
    [
        (Rate, 10, "E204", "10 Gbit/s"),
        (Rate, "10", "E204", "10 Gbit/s"),
        (Rate, "10 Gb", "E205", ""),
        (Rate, "10 gbit/s", "E205", "10 Gbit/s"),
        (Rate, "0 bit/s", "E206", ""),
        (Duration, "-3 s", "E205", ""),
        (Duration, "3 sec", "E205", "3 s"),
        (Duration, True, "E205", ""),
        (Duration, ["3 s"], "E205", ""),
        (Share, "130 %", "E206", ""),
    ],
)
def test_bad_quantities_say_why(kind: Any, value: object, code: str, hint: str) -> None:
    error = fails(kind, value)
    assert error["type"] == "dssn"
    assert error["ctx"]["code"] == code
    assert error["ctx"]["allowed"]
    if hint:
        assert error["ctx"]["hint"] == hint


@given(st.sampled_from(sorted(KINDS)), st.floats(1e-9, 1e12))
@settings(derandomize=True, max_examples=200, deadline=None)
def test_shown_quantities_parse_back(kind: str, value: float) -> None:
    assert parse_quantity(show_quantity(value, kind), kind) == pytest.approx(value, rel=1e-9)


# ------------------------------------------------------------------ distributions


@pytest.mark.parametrize(
    ("text", "dist"),
    [
        ("3 s", Dist("constant", 3.0)),
        ("{exponential: {mean: 2 min}}", Dist("exponential", 120.0)),
        ("{uniform: {low: 1 s, high: 3 s}}", Dist("uniform", 1.0, 3.0)),
        ("{lognormal: {median: 1 h, sigma: 0.5, max: 2 h}}", Dist("lognormal", 3600.0, 0.5, high=7200.0)),
        ("{pareto: {minimum: 1 ms, shape: 1.5, min: 2 ms}}", Dist("pareto", 0.001, 1.5, low=0.002)),
        ("{erlang: {mean: 4 s, k: 3}}", Dist("erlang", 4.0, 3.0)),
        ("{normal: {mean: 4 s, sd: 1 s}}", Dist("normal", 4.0, 1.0)),
        ("{constant: {value: 4 s}}", Dist("constant", 4.0)),
        (
            '{quantiles: {"0 %": 0 s, "50 %": 1 s, "100 %": 10 s}}',
            Dist("table", 0.0, points_p=(0.0, 0.5, 1.0), points_x=(0.0, 1.0, 10.0)),
        ),
    ],
)
def test_distributions(text: str, dist: Dist) -> None:
    assert TypeAdapter(RandomDuration).validate_python(_yaml(text)) == dist


@pytest.mark.parametrize(
    ("text", "loc", "code"),
    [
        ("{lognormal: {median: 3, sigma: 1}}", ("lognormal", "median"), "E204"),
        ("{lognormal: {median: 3 s, sigma: 1 s}}", ("lognormal", "sigma"), "E203"),
        ("{lognormal: {median: 3 s, sd: 1}}", ("lognormal", "sd"), "E201"),
        ("{lognormal: {median: 0 s, sigma: 1}}", ("lognormal", "median"), "E206"),
        ("{uniform: {low: 3 s, high: 1 s}}", ("uniform", "high"), "E206"),
        ("{erlang: {mean: 3 s, k: 1.5}}", ("erlang", "k"), "E206"),
        ("{exponential: {mean: 1 s, min: 3 s, max: 2 s}}", ("exponential", "max"), "E206"),
        ('{quantiles: {"50 %": 1 s}}', ("quantiles",), "E209"),
        ('{quantiles: {"50 %": 2 s, "60 %": 1 s}}', ("quantiles",), "E210"),
        ('{quantiles: {half: 2 s, "60 %": 1 s}}', ("quantiles", "half"), "E208"),
        ("{lognormall: {median: 3 s, sigma: 1}}", (), "E207"),
        ("{lognormal: 3 s}", (), "E203"),
        ("{}", (), "E209"),
    ],
)
def test_bad_distributions_name_the_place(text: str, loc: tuple[str, ...], code: str) -> None:
    with pytest.raises(ValidationError) as info:
        TypeAdapter(RandomDuration).validate_python(_yaml(text))
    found = {e["loc"]: e["ctx"]["code"] for e in info.value.errors()}
    assert found[loc] == code


def test_a_misspelt_parameter_and_the_missing_one_are_both_told() -> None:
    with pytest.raises(ValidationError) as info:
        TypeAdapter(RandomDuration).validate_python({"exponential": {"meen": "2 s"}})
    assert sorted(e["ctx"]["code"] for e in info.value.errors()) == ["E201", "E202"]
    assert {e["ctx"]["hint"] for e in info.value.errors()} == {"mean", ""}


def test_a_mix_draws_its_values_with_their_shares() -> None:
    import numpy as np

    mix = parse_distribution({"mix": {1: "60 %", 3: "30 %", 4: "10 %"}}, "")
    draws = mix.sample(np.random.default_rng(1), 100_000)
    assert set(np.unique(draws)) == {1.0, 3.0, 4.0}
    for value, share in ((1, 0.6), (3, 0.3), (4, 0.1)):
        assert (draws == value).mean() == pytest.approx(share, abs=0.01)
    assert mix.mean == pytest.approx(0.6 + 0.9 + 0.4)
    assert fails(Amount, {"mix": {1: "60 %", 3: "30 %"}})["ctx"]["code"] == "E210"


# ------------------------------------------------------------------ the whole file


@pytest.mark.req("TB-01")
def test_metro_is_valid_and_frozen() -> None:
    scenario = Scenario.model_validate(METRO)
    assert [s.id for s in scenario.workload] == ["psi", "api", "tee"]
    with pytest.raises(ValidationError):
        scenario.title = "other"  # type: ignore[misc]


def test_all_problems_are_told_at_once() -> None:
    bad = changed(run={"horizon": 4, "seed": "x"}, tittle="x")
    bad["workload"][0]["arrivals"]["rate"] = "60"
    bad["nodes"][0]["size"] = "16 cores"
    places = {e["loc"] for e in errors(bad)}
    assert places == {
        ("run", "horizon"),
        ("run", "seed"),
        ("tittle",),
        ("workload", 0, "arrivals", "poisson", "rate"),
        ("nodes", 0, "<one>", "size"),
    }


def test_a_union_speaks_of_the_member_meant_only() -> None:
    bad = copy.deepcopy(METRO)
    bad["network"]["topology"] = {"kind": "ring", "sites": 1, "spacing": "20 km"}
    bad["nodes"][5]["generate"]["cuont"] = 3
    found = errors(bad)
    assert [e["loc"] for e in found] == [
        ("network", "topology", "ring", "sites"),
        ("nodes", 5, "<generate>", "generate", "cuont"),
    ]
    bad["network"]["topology"] = {"kind": "rign"}
    assert errors(bad)[0]["type"] == "union_tag_invalid"


@pytest.mark.parametrize("value", [True, "3", 2.5, -1, 10**9])
def test_counts_take_whole_numbers_only(value: object) -> None:
    bad = copy.deepcopy(METRO)
    bad["nodes"][5]["generate"]["count"] = value
    assert errors(bad)[0]["loc"][-1] == "count"


# ------------------------------------------------------------------ jobs


def test_job_parameters_are_checked_against_the_engine() -> None:
    job = Job.model_validate({"engine": "api.query", "calls": 10, "answer": "4 kB", "content": "result"})
    assert job.params == {
        "calls": Dist("constant", 10.0),
        "answer": Dist("constant", 4000.0),
        "content": "result",
    }
    flag = Job.model_validate({"engine": "fl.horizontal", "secure": False})
    assert flag.params == {"secure": False}


@pytest.mark.parametrize(
    ("job", "loc", "code", "hint"),
    [
        ({"engine": "psi.ecdhh"}, ("engine",), "E207", "psi.ecdh"),
        ({"engine": "psi.ecdh", "row": 3}, ("row",), "E201", "rows"),
        ({"engine": "api.query", "answer": 4000}, ("answer",), "E204", "4000 GB"),
        ({"engine": "api.query", "calls": "10 kB"}, ("calls",), "E203", ""),
        ({"engine": "fl.horizontal", "secure": 1}, ("secure",), "E203", ""),
        ({"engine": "mpc.semi2k", "circuit": "matmull"}, ("circuit",), "E207", "matmul"),
        ({"engine": "psi.ecdh", "profile": "fast"}, ("profile",), "E207", ""),
        ({"engine": "psi.ecdh", "rows": {"lognormal": {"median": 5}}}, ("rows", "lognormal"), "E202", ""),
    ],
)
def test_bad_job_parameters(job: dict[str, Any], loc: tuple[str, ...], code: str, hint: str) -> None:
    with pytest.raises(ValidationError) as info:
        Job.model_validate(job)
    found = {e["loc"]: e["ctx"] for e in info.value.errors()}
    assert found[loc]["code"] == code
    assert not hint or found[loc]["hint"] == hint


def test_faults_of_job_and_parameters_come_together() -> None:
    with pytest.raises(ValidationError) as info:
        Job.model_validate({"engine": "psi.ecdh", "row": 3, "after": 7, "place": {"rolle": "pool"}})
    assert {e["loc"] for e in info.value.errors()} == {("row",), ("after",), ("place", "rolle")}


def test_every_default_of_every_engine_parses_as_the_schema_reads_it() -> None:
    for engine in REGISTRY.values():
        written = {
            name: show_quantity(default, kind)
            if kind in KINDS and not isinstance(default, str | bool)
            else default
            for name, (default, kind, _) in engine.parameters().items()
        }
        job = Job.model_validate({"engine": engine.name, **written})
        assert set(job.params) == set(engine.parameters())


# ------------------------------------------------------------------ streams and the rest

STREAM = {
    "id": "s",
    "arrivals": {"kind": "poisson", "rate": "1 /h"},
    "consumers": ["a"],
    "assets": ["b"],
    "job": {"engine": "api.query"},
}


def test_selectors_take_short_forms() -> None:
    stream = Stream.model_validate({**STREAM, "consumers": "a", "assets": {"level": 3, "zipf": 1.1}})
    assert stream.consumers.ids == ("a",)
    assert stream.assets.level == (3,)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"job": None}, "E202"),
        ({"chain": [{"engine": "api.query"}]}, "E202"),
        ({"threshold": 3}, "E202"),
        ({"job": None, "chain": [{"engine": "api.query"}, {"engine": "api.query"}]}, "E209"),
        ({"job": None, "chain": [{"id": "a", "engine": "api.query", "after": ["c"]}]}, "E210"),
        (
            {
                "job": None,
                "chain": [
                    {"id": "a", "engine": "api.query", "after": ["b"]},
                    {"id": "b", "engine": "api.query", "after": ["a"]},
                ],
            },
            "E210",
        ),
    ],
)
def test_streams_that_contradict_themselves(change: dict[str, Any], code: str) -> None:
    document = {k: v for k, v in {**STREAM, **change}.items() if v is not None}
    with pytest.raises(ValidationError) as info:
        Stream.model_validate(document)
    assert [e["ctx"]["code"] for e in info.value.errors()] == [code]


ARRIVALS = [
    {"kind": "poisson", "rate": "60 /h"},
    {"kind": "diurnal", "rate": "60 /h", "profile": "office"},
    {"kind": "diurnal", "rate": "60 /h", "profile": [1] * 24},
    {"kind": "bursts", "rate": "60 /h", "windows": [{"at": "1 h", "duration": "5 min", "factor": 10}]},
    {"kind": "schedule", "times": ["1 s", "2 s"]},
    {"kind": "schedule", "every": "10 s"},
    {"kind": "renewal", "gap": {"erlang": {"mean": "1 s", "k": 4}}},
    {
        "kind": "trace",
        "file": "x.csv",
        "time": "t",
        "sizes": {"rows": "n"},
        "classes": {"column": "c", "map": {"a": "b"}},
    },
]


@pytest.mark.parametrize("arrivals", ARRIVALS, ids=lambda a: a["kind"])
def test_each_kind_of_arrivals(arrivals: dict[str, Any]) -> None:
    stream = Stream.model_validate({**STREAM, "arrivals": arrivals})
    assert stream.arrivals.kind == arrivals["kind"]
    with pytest.raises(ValidationError) as info:
        Stream.model_validate({**STREAM, "arrivals": {**arrivals, "speed": 3}})
    assert [e["loc"] for e in info.value.errors()] == [("arrivals", arrivals["kind"], "speed")]


def test_policies_take_a_name_or_options() -> None:
    p = Policies.model_validate({"placement": "joint", "admission": {"use": "max_in_flight", "limit": 3}})
    assert p.placement.use == "joint"
    assert p.admission.options == {"limit": 3}
    assert p.queueing.use == "priority"
    assert p.routing is None


def test_objectives_have_the_unit_of_their_kpi() -> None:
    assert Objective.model_validate({"kpi": "slo_hit", "at_least": "99 %"}).bound == 0.99
    assert Objective.model_validate({"kpi": "queue_time", "quantile": "95 %", "at_most": "3 s"}).bound == 3.0
    assert Objective.model_validate({"kpi": "channel_leak", "at_most": 0}).bound == 0.0
    for bad in (
        {"kpi": "slo_hit", "at_least": "3 s"},
        {"kpi": "slo_hit"},
        {"kpi": "slo_hit", "at_least": "99 %", "quantile": "5 %"},
        {"kpi": "slo_hitt", "at_least": "99 %"},
        {"kpi": "queue_time", "at_most": "3 s", "at_least": "1 s"},
    ):
        with pytest.raises(ValidationError):
            Objective.model_validate(bad)


def test_objectives_only_name_kpis_that_are_measured() -> None:
    from dssn_sim.stats.measures import KPIS as MEASURED

    assert set(KPIS) <= set(MEASURED)


@pytest.mark.parametrize(
    "bad",
    [
        {"kind": "node_down", "target": "a", "duration": "1 h"},
        {"kind": "node_down", "target": "a", "at": "1 h"},
        {"kind": "node_down", "at": "1 h", "duration": "1 h"},
        {"kind": "node_down", "target": "a", "role": "dsn", "at": "1 h", "duration": "1 h"},
        {"kind": "node_down", "technology": "otn", "at": "1 h", "duration": "1 h"},
        {"kind": "node_down", "target": "a", "at": "1 h", "mtbf": "1 d", "duration": "1 h"},
    ],
)
def test_faults_that_say_too_little_or_too_much(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Fault.model_validate(bad)


def test_a_group_needs_one_number() -> None:
    for change in ({"count": None}, {"per_site": 2}):
        bad = copy.deepcopy(METRO)
        group = {**bad["nodes"][5]["generate"], **change}
        bad["nodes"][5]["generate"] = {k: v for k, v in group.items() if v is not None}
        assert errors(bad)[0]["ctx"]["code"] == "E202"


# ------------------------------------------------------------------ JSON schema


@pytest.mark.req("TB-01")
def test_json_schema_has_units_engines_and_docstrings() -> None:
    schema = json_schema()
    definitions = schema["$defs"]
    run = definitions["Run"]["properties"]
    assert run["drain_limit"]["default"] == "1 d"
    assert run["horizon"]["examples"] == ["5 ms"]
    assert "warm-up" in definitions["Run"]["description"].lower()
    job = definitions["Job"]
    assert job["properties"]["engine"]["enum"] == list(REGISTRY)
    rows = next(a for a in job["allOf"] if a["if"]["properties"]["engine"]["const"] == "psi.ecdh")
    assert "rows" in rows["then"]["properties"]
    undocumented = [
        f"{name}.{field}"
        for name, model in definitions.items()
        for field, body in model.get("properties", {}).items()
        if field != "kind" and "description" not in body
    ]
    assert undocumented == []


@pytest.mark.parametrize("path", sorted(LIBRARY.glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_files_fit_the_json_schema(path: Path) -> None:
    import re

    jsonschema = pytest.importorskip("jsonschema")
    document = _yaml(path.read_text())
    problems = [e.message for e in jsonschema.Draft202012Validator(json_schema()).iter_errors(document)]
    assert problems == []
    assert re.search(r"\S", document["question"])


def test_dist_bounds_default_to_no_bound() -> None:
    dist = TypeAdapter(Amount).validate_python({"exponential": {"mean": 3}})
    assert (dist.low, dist.high) == (0.0, math.inf)
