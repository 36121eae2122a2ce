"""Of several faults in one file each is told as if it were alone: none hides another, none invents one."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dssn.checks import check_text
from dssn.loading.load import load_scenario, to_yaml
from dssn_models.network.topologies import china

BASES = ("metro", "bank-joint-model", "province-dual-channel")

Fragment = dict[str, Any]


def parts(site: str, other: str) -> Fragment:
    """Return a sound addition to any scenario, for the faults to spoil."""
    return {
        "nodes": [
            {"id": "t-drn", "role": "drn", "site": site, "size": "8C16G"},
            {"id": "t-dsn", "role": "dsn", "site": other, "size": "8C16G"},
            {"id": "t-dsn2", "role": "dsn", "site": site, "size": "8C16G"},
            {"id": "t-pool", "role": "pool", "site": site, "size": "32C64G"},
            {"id": "t-tee", "role": "tee_pool", "site": site, "size": "16C32G", "tee": "sgx2"},
            {"generate": {"prefix": "t-more", "role": "drn", "count": 2, "sites": [other], "size": "8C16G"}},
        ],
        "assets": [
            {"id": "t-one", "node": "t-dsn", "level": 3, "rows": 1000, "sector": "t-sector"},
            {"id": "t-two", "node": "t-dsn2", "level": 1, "rows": 1000, "sector": "t-other"},
        ],
        "workload": [
            {
                "id": "t-psi", "arrivals": {"kind": "poisson", "rate": "1 /h"}, "consumers": ["t-drn"],
                "assets": ["t-one"], "job": {"engine": "psi.rr22", "rows": 1000},
            },
            {
                "id": "t-tee", "arrivals": {"kind": "diurnal", "rate": "1 /h", "profile": "office"},
                "consumers": {"prefix": "t-more"}, "assets": {"sector": "t-other"}, "channel": "tee",
                "chain": [
                    {"id": "run", "engine": "tee.job", "rows": 1000, "place": {"role": "tee_pool"}},
                    {"id": "report", "engine": "transfer.bulk", "size": "1 MB", "after": ["run"]},
                ],
            },
            {
                "id": "t-net", "arrivals": {"kind": "schedule", "times": ["1 min"]}, "consumers": {"role": "drn"},
                "assets": {"level": 1}, "channel": "api", "job": {"engine": "api.query"},
            },
        ],
        "faults": [
            {"id": "t-down", "kind": "node_down", "target": "t-pool", "at": "1 min", "duration": "1 min"},
            {"id": "t-link", "kind": "link_down", "technology": "otn", "at": "1 min", "duration": "1 min"},
        ],
        "objectives": [
            {"id": "t-fast", "kpi": "order_to_result", "class": "standard", "at_most": "1 d"},
            {"id": "t-done", "kpi": "completed_share", "at_least": "1 %"},
        ],
    }  # fmt: skip


class Wrong(NamedTuple):
    """A fault: the code and path that it must show, and what to lay over the scenario."""

    code: str
    path: str
    over: Fragment


def stream(name: str, **over: Any) -> Fragment:
    return {"workload": {name: over}}


def node(name: str, **over: Any) -> Fragment:
    return {"nodes": {name: over}}


FAULTS: dict[str, Wrong] = {
    "misspelt key": Wrong("E201", "run.sed", {"run": {"sed": 3}}),
    "no unit": Wrong("E204", "run.sample", {"run": {"sample": 5}}),
    "no replications": Wrong("E206", "run.replications", {"run": {"replications": 0}}),
    "long warm-up": Wrong("E306", "run.warmup", {"run": {"warmup": "900 d"}}),
    "rate of a plane": Wrong("E205", "network.planes.otn.rate", {"network": {"planes": {"otn": {"rate": "fast"}}}}),
    "role of access": Wrong("E301", "network.access.dfault", {"network": {"access": {"dfault": {"rate": "1 Gbit/s"}}}}),
    "default plane": Wrong(
        "E317", "network.routing.default_technology", {"network": {"routing": {"default_technology": "cmnet"}}}
    ),
    "metric": Wrong("E207", "network.routing.metric", {"network": {"routing": {"metric": "dely"}}}),
    "size of a node": Wrong("E208", "nodes.t-pool.size", node("t-pool", size="8cores")),
    "site of a node": Wrong("E301", "nodes.t-dsn2.site", node("t-dsn2", site="Atlantis")),
    "sites of a group": Wrong(
        "E301", "nodes.t-lost.generate.sites.0",
        {"nodes": [{"generate": {"prefix": "t-lost", "role": "pool", "count": 1, "sites": ["Atlantis"]}}]},
    ),
    "node without site": Wrong("E202", "nodes.t-bare", {"nodes": [{"id": "t-bare", "role": "platform"}]}),
    "mix of sizes": Wrong(
        "E315", "nodes.t-mix.generate.size",
        {"nodes": [{"generate": {
            "prefix": "t-mix", "role": "platform", "count": 2, "size": {"8C16G": "60 %", "4C8G": "60 %"}}}]},
    ),
    "asset of nobody": Wrong(
        "E301", "assets.t-three.node", {"assets": [{"id": "t-three", "node": "t-dsnn", "level": 2, "rows": 5}]}
    ),
    "asset of a consumer": Wrong(
        "E307", "assets.t-four.node", {"assets": [{"id": "t-four", "node": "t-drn", "level": 2, "rows": 5}]}
    ),
    "level": Wrong("E206", "assets.t-one.level", {"assets": {"t-one": {"level": 7}}}),
    "class": Wrong("E301", "workload.t-psi.class", stream("t-psi", **{"class": "standrad"})),
    "engine": Wrong("E207", "workload.t-psi.job.engine", stream("t-psi", job={"engine": "psi.rr2"})),
    "two consumers": Wrong("E307", "workload.t-psi.consumers.0", stream("t-psi", consumers=["t-dsn", "t-drnn"])),
    "parties": Wrong("E314", "workload.t-psi.parties", stream("t-psi", parties=5)),
    "arrival rate": Wrong("E204", "workload.t-psi.arrivals.rate", stream("t-psi", arrivals={"rate": 5})),
    "orders": Wrong(
        "E310", "workload.t-fast.arrivals.rate",
        {"workload": [{
            "id": "t-fast", "arrivals": {"kind": "poisson", "rate": "900000 /s"}, "consumers": ["t-drn"],
            "assets": ["t-one"], "job": {"engine": "psi.rr22", "rows": 1000}}]},
    ),
    "profile": Wrong("E301", "workload.t-tee.arrivals.profile", stream("t-tee", arrivals={"profile": "ofice"})),
    "sector": Wrong("E301", "workload.t-tee.assets.sector", stream("t-tee", assets={"sector": "t-othr"})),
    "place": Wrong(
        "E309", "workload.t-tee.chain.run.place", stream("t-tee", chain={"run": {"place": {"role": "relay"}}})
    ),
    "order of a chain": Wrong(
        "E210", "workload.t-tee.chain.report.after", stream("t-tee", chain={"report": {"after": ["ran"]}})
    ),
    "plane of a stream": Wrong("E317", "workload.t-net.net.technology", stream("t-net", net={"technology": "cmnet"})),
    "isolation": Wrong("E207", "workload.t-net.net.isolation", stream("t-net", net={"isolation": "hardd"})),
    "rate": Wrong("E318", "workload.t-psi.net.rate", stream("t-psi", net={"isolation": "soft", "rate": "950 Tbit/s"})),
    "consumers": Wrong("E302", "workload.t-net.consumers", stream("t-net", consumers={"label": {"a": "b"}})),
    "target of a fault": Wrong("E301", "faults.t-down.target", {"faults": {"t-down": {"target": "t-pol"}}}),
    "late fault": Wrong("W301", "faults.t-down.at", {"faults": {"t-down": {"at": "900 d"}}}),
    "time of a fault": Wrong("E205", "faults.t-link.duration", {"faults": {"t-link": {"duration": "1 m"}}}),
    "plane of a fault": Wrong("E301", "faults.t-link.technology", {"faults": {"t-link": {"technology": "cmnet"}}}),
    "class of an objective": Wrong("E301", "objectives.t-fast.class", {"objectives": {"t-fast": {"class": "fast"}}}),
    "bound": Wrong("E205", "objectives.t-done.at_least", {"objectives": {"t-done": {"at_least": "5 kB"}}}),
    "kpi": Wrong("E207", "objectives.t-fast.kpi", {"objectives": {"t-fast": {"kpi": "order_to_reslt"}}}),
    "policy": Wrong("E313", "policies.placement", {"policies": {"placement": "neerest"}}),
    "option": Wrong("E313", "policies.admission", {"policies": {"admission": {"use": "max_in_flight", "limt": 3}}}),
    "tariff": Wrong("E201", "tariff.rows", {"tariff": {"rows": 1}}),
    "class weight": Wrong("E206", "classes.bulk.weight", {"classes": {"bulk": {"weight": 0}}}),
    "party": Wrong("E207", "parties.t-party.kind", {"parties": [{"id": "t-party", "kind": "merchnt"}]}),
}  # fmt: skip

#: Pairs in which the first really hangs on the second, so that only the second is told, and why.
HANGS_ON: dict[tuple[str, str], str] = {
    ("plane of a fault", "role of access"): "an access line of a mended role may have that technology",
    ("rate", "role of access"): "the access line of the mended role may be that of the consumer",
}


@cache
def base(name: str) -> Fragment:
    """Return a scenario as plain data, with the additions."""
    document = load_scenario(name).document
    document.pop("overrides", None)
    sites = [n["site"] for n in document["nodes"] if "site" in n] or [s.id for s in china().sites]
    return laid(document, parts(sites[0], sites[-1]))


def laid(below: Any, above: Any) -> Any:
    """Return one fragment over another, with the rules of imports."""
    if isinstance(below, list) and isinstance(above, dict):
        return [laid(i, above[i["id"]]) if isinstance(i, dict) and i.get("id") in above else i for i in below]
    if isinstance(below, list) and isinstance(above, list) and above and isinstance(above[0], dict):
        return [*below, *above]
    if isinstance(below, dict) and isinstance(above, dict):
        out = {**below}
        for key, value in above.items():
            out[key] = laid(below[key], value) if key in below else value
        return out
    return above


def told(name: str, faults: tuple[str, ...]) -> set[tuple[str, str]]:
    document = base(name)
    for fault in faults:
        document = laid(document, FAULTS[fault].over)
    return {(p.code, p.path) for p in check_text(to_yaml(document), "text")}


@cache
def alone(name: str, fault: str) -> frozenset[tuple[str, str]]:
    return frozenset(told(name, (fault,)))


def expected(name: str, faults: Collection[str]) -> set[tuple[str, str]]:
    """Return what the faults show one by one, without those that hang on another of them."""
    free = [f for f in faults if not any((f, other) in HANGS_ON for other in faults)]
    return {line for fault in free for line in alone(name, fault)}


@pytest.mark.parametrize("name", BASES)
def test_the_additions_are_sound(name: str) -> None:
    assert told(name, ()) == set()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_alone_is_told_at_its_place(fault: str) -> None:
    shown = alone("metro", fault)
    assert (FAULTS[fault].code, FAULTS[fault].path) in shown
    assert len(shown) == (2 if fault == "two consumers" else 1)  # one of them is unknown, the other no DRN


@pytest.mark.parametrize("name", BASES)
@settings(max_examples=25, derandomize=True, deadline=None)
@given(faults=st.lists(st.sampled_from(sorted(FAULTS)), min_size=2, max_size=5, unique=True))
def test_several_faults_show_what_each_shows_alone(name: str, faults: list[str]) -> None:
    assert told(name, tuple(faults)) == expected(name, faults)


def test_all_faults_together_show_what_each_shows_alone() -> None:
    assert told("metro", tuple(FAULTS)) == expected("metro", FAULTS)


def test_what_hangs_on_another_fault_is_told_when_that_is_mended() -> None:
    for (one, other), reason in HANGS_ON.items():
        assert told("metro", (one, other)) == alone("metro", other), reason
        assert alone("metro", one)
