"""Cost tables and suites: provenance, look-ups, figures."""

import json
from importlib import resources

import pytest

from dssn_models.crypto import suites
from dssn_models.crypto.published import published, published_names
from dssn_models.crypto.tables import CONFIDENCES, available_tables, cost_table, parse_table


def test_every_entry_has_unit_source_and_confidence():
    for name in available_tables():
        table = cost_table(name)
        assert table.entries
        for key, entry in table.entries.items():
            assert entry.key == key
            assert entry.unit
            assert entry.source
            assert entry.confidence in CONFIDENCES
            if entry.confidence == "measured":
                assert entry.machine
                assert entry.date
            if entry.spread:
                assert entry.spread[0] <= entry.value <= entry.spread[1]


def test_look_up_and_unknown_key_names_the_nearest():
    table = cost_table("reference")
    source = table.get("psi.kkrt.bits_per_row")
    assert (source.value, source.confidence) == (1032.0, "read")
    assert table.value("psi.kkrt.bits_per_row") == 1032.0
    with pytest.raises(KeyError, match=r"psi\.kkrt\.bits_per_row"):
        table.value("psi.kkrt.bits_per_rows")
    with pytest.raises(KeyError, match="reference"):
        cost_table("nowhere")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"confidence": "sure"}, "confidence"),
        ({"source": " "}, "source"),
        ({"entries": {"a": [-1, "s"]}}, "a: value"),
        ({"entries": {"a": ["x", "s"]}}, "a: value"),
        ({"entries": {"a": [1.0, ""]}}, "a: no unit"),
    ],
)
def test_bad_tables_are_refused(change, message):
    group = {"source": "test", "confidence": "assumed", "entries": {"a": [1.0, "s"]}}
    text = {"name": "t", "title": "t", "machine": "m", "date": "d", "groups": [group | change]}
    assert parse_table(json.dumps(text | {"groups": [group]})).value("a") == 1.0
    with pytest.raises(ValueError, match=message):
        parse_table(json.dumps(text))
    with pytest.raises(ValueError, match="twice"):
        parse_table(json.dumps(text | {"groups": [group, group]}))


def test_with_values_leaves_the_table_alone():
    table = cost_table("reference")
    other = table.with_values({"api.call_s": 1.0})
    assert other.value("api.call_s") == 1.0
    assert table.value("api.call_s") != 1.0


def test_reference_file_is_plain_ascii_text():
    path = resources.files("dssn_models.crypto") / "data" / "reference.json"
    assert path.read_bytes().decode("ascii")


@pytest.mark.req("NET-17", "CTL-22")
def test_sm_suite_costs_more_computing_than_international():
    sm, other = suites.handshake("sm"), suites.handshake("international")
    assert sm.client_core_s > 2 * other.client_core_s
    assert sm.server_core_s > 2 * other.server_core_s
    assert (other.up_bytes, other.down_bytes, other.rounds) == (1097.0, 2265.0, 2)
    # 1.9 GB against 76 MB a CPU second for both ends
    assert 20 < suites.bulk_core_s("sm", 1e9) / suites.bulk_core_s("international", 1e9) < 30
    assert suites.hash_core_s("sm", 1e6) > suites.hash_core_s("international", 1e6)
    assert suites.sign_core_s("sm") > suites.sign_core_s("international")
    assert suites.verify_core_s("sm") > suites.verify_core_s("international")
    assert suites.aead_core_s("sm", 1e6) == pytest.approx(1 / 155, rel=1e-3)


@pytest.mark.req("NET-17")
def test_better_implementations_of_sm_are_ordered():
    for cost in (suites.bulk_core_s, suites.aead_core_s, suites.hash_core_s):
        stock, optimised, card = (cost(s, 1e6) for s in ("sm", "sm-optimised", "sm-hardware"))
        assert stock > optimised > card > 0
    assert suites.SUITES["sm-hardware"].simulated
    assert "simulated" in suites.SUITES["sm-hardware"].title


@pytest.mark.parametrize("name", list(suites.SUITES))
def test_each_suite_is_complete(name):
    table = cost_table("reference")
    for key in suites.suite_keys(name):
        assert table.value(key) >= 0
    full, resumed = suites.handshake(name), suites.handshake(name, resumed=True)
    assert resumed.client_core_s <= full.client_core_s
    assert resumed.up_bytes <= full.up_bytes
    assert full.rounds >= 1
    assert 1.0 <= suites.record_overhead(name) < 1.01
    assert suites.bulk_core_s(name, 0.0) == 0.0
    assert suites.bulk_core_s(name, 2e6) == pytest.approx(2 * suites.bulk_core_s(name, 1e6))
    assert suites.SUITES[name].curve.split("_")[0] in ("x25519", "sm2")


def test_record_overhead_is_22_bytes_a_record():
    assert suites.record_overhead("sm") == pytest.approx(1 + 22 / 16384, rel=1e-4)


def test_no_suite_costs_nothing_and_unknown_suite_lists_names():
    assert suites.handshake("none").client_core_s == 0.0
    assert suites.bulk_core_s("none", 1e9) == 0.0
    with pytest.raises(KeyError, match="international"):
        suites.find_suite("internatonal")


def test_published_rows_are_in_the_package():
    assert set(published_names()) == {"psi_secretflow_v2", "sgb_secretflow", "sgx_enclave_build"}
    rows = published("psi_secretflow_v2")
    assert len(rows) == 50
    assert sum(r["network"] == "LAN" for r in rows) == 45
    with pytest.raises(KeyError, match="sgb_secretflow"):
        published("other")
