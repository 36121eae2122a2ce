"""Node forms and sizes, simulated TEEs, paging cliff, accelerators."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dssn_models.compute import accelerate, catalogue, enclave
from dssn_models.crypto.published import published
from dssn_models.plan import AcceleratorPlan, TeePlan

positive = st.floats(1e-3, 1e15)
MILD = TeePlan("sgx1", enclave_bytes=1e8, slowdown=1.2, paging_factor=9.0)


@pytest.mark.req("NOD-05")
def test_sizes_parse_and_price_by_cores():
    size = catalogue.parse_size("16C32G")
    assert (size.cores, size.memory_bytes, size.name) == (16.0, 32e9, "16C32G")
    assert catalogue.parse_size(" 48C96G ").cores == 48
    # 0.05 USD per vCPU-hour at 7.1 CNY
    assert size.price_cny_per_hour == pytest.approx(16 * 0.355)
    assert catalogue.SIZES["32C64G"].price_cny_per_hour == pytest.approx(2 * size.price_cny_per_hour)


@pytest.mark.parametrize(
    "text", ["", "16", "16C", "C32G", "0C1G", "16c32g", "16C32GB", "99999C1G", None, 7, "-1C2G"]
)
def test_bad_sizes_say_what_is_allowed(text):
    with pytest.raises(ValueError, match="16C32G"):
        catalogue.parse_size(text)


@pytest.mark.req("NOD-05")
def test_forms_have_boot_price_and_limits():
    assert set(catalogue.FORMS) == {"agent", "box", "rack", "cloud", "tee_box"}
    for name, form in catalogue.FORMS.items():
        assert form.boot_s > 0
        assert 0 < form.price_factor < 2
        assert form.max_cores >= 16
        sources = catalogue.form_sources(name)
        assert {s.confidence for s in sources} <= {"measured", "read", "assumed"}
    assert catalogue.FORMS["tee_box"].tee
    assert catalogue.FORMS["agent"].boot_s < catalogue.FORMS["rack"].boot_s


@pytest.mark.req("PC-16", "PC-17")
def test_tee_profiles_are_complete_and_say_simulated():
    assert set(catalogue.TEES) == {"sgx1", "sgx2", "tdx", "sev_snp", "csv", "trustzone"}
    for name, tee in catalogue.TEES.items():
        assert tee.profile == name
        assert "simulated" in catalogue.TEE_TITLES[name]
        assert tee.enclave_bytes > 0
        assert tee.slowdown >= 1
        assert tee.paging_factor > 1
        assert min(tee.start_s, tee.start_s_per_byte, tee.quote_s, tee.verify_s) > 0
        fields = {s.entry.split(".")[-1]: s.value for s in catalogue.tee_sources(name)}
        assert fields["enclave_bytes"] == tee.enclave_bytes
        assert fields["quote_s"] == tee.quote_s
    starts = {
        form: min(t.start_s for t in catalogue.TEES.values() if t.form == form) for form in ("process", "vm")
    }
    assert starts["process"] < starts["vm"]


@pytest.mark.req("PC-15")
@settings(derandomize=True, deadline=None, max_examples=200)
@given(positive, positive)
def test_paging_cliff_never_falls_and_stays_between_its_bounds(a, b):
    low, high = sorted((a, b))
    assert enclave.enclave_factor(MILD, low) <= enclave.enclave_factor(MILD, high) * (1 + 1e-12)
    assert 1.2 <= enclave.enclave_factor(MILD, high) <= 1.2 * 9.0 * (1 + 1e-12)


@pytest.mark.req("PC-15")
def test_paging_cliff_is_continuous_at_the_limit_and_steep_after():
    limit = MILD.enclave_bytes
    assert enclave.enclave_work(10.0, MILD, limit) == pytest.approx(12.0)
    assert enclave.enclave_work(10.0, MILD, limit * (1 + 1e-9)) == pytest.approx(12.0, rel=1e-7)
    assert enclave.enclave_work(10.0, MILD, 0.0) == pytest.approx(12.0)
    # half of the pages beyond the limit: factor (1 + 9) / 2 = 5
    assert enclave.enclave_work(10.0, MILD, 2 * limit) == pytest.approx(60.0)
    assert enclave.enclave_factor(MILD, 1e15) == pytest.approx(1.2 * 9, rel=1e-5)


@pytest.mark.req("PC-15", "PC-16")
@pytest.mark.parametrize(
    ("cpu", "profile"), [("Xeon E-2276G (SGX1)", "sgx1"), ("Xeon Gold 5315Y (SGX2)", "sgx2")]
)
def test_enclave_build_times_match_the_published_rows(cpu, profile):
    rows = [r for r in published("sgx_enclave_build") if r["cpu"] == cpu]
    assert len(rows) >= 2
    for row in rows:
        modelled = enclave.enclave_start_s(catalogue.TEES[profile], float(row["enclave_mb"]) * 1e6)
        assert modelled == pytest.approx(float(row["seconds"]), rel=0.05)


def test_enclave_start_grows_with_size():
    for tee in catalogue.TEES.values():
        times = [enclave.enclave_start_s(tee, s) for s in (0.0, 1e6, 1e8, 1e9, 1e12)]
        assert times == sorted(times)
        assert times[0] == tee.start_s


@pytest.mark.req("PC-19")
@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.floats(0, 1e6), st.floats(0, 1), st.floats(1, 1e4))
def test_amdahl(work, share, speedup):
    card = AcceleratorPlan("gpu", 1, {"matmul": speedup})
    left = accelerate.accelerated_work(work, "matmul", share, [card])
    assert left == pytest.approx(work * ((1 - share) + share / speedup), abs=1e-12)
    assert work * (1 - share) * (1 - 1e-12) <= left <= work * (1 + 1e-12)


@pytest.mark.req("PC-19")
def test_only_covered_operators_gain_and_the_best_card_is_taken():
    cards = [
        catalogue.accelerator("fpga"),
        catalogue.accelerator("paillier_card"),
        catalogue.accelerator("gpu", 0),
    ]
    assert accelerate.accelerated_work(100.0, "train", 1.0, cards) == 100.0
    assert accelerate.accelerated_work(100.0, "", 1.0, cards) == 100.0
    assert accelerate.accelerated_work(100.0, "paillier", 0.0, cards) == 100.0
    assert accelerate.accelerated_work(100.0, "paillier", 1.0, cards) == pytest.approx(100 / 40)
    assert accelerate.accelerated_work(100.0, "paillier", 1.0, cards[:1]) == pytest.approx(100 / 20)
    found = accelerate.best_accelerator("paillier", cards)
    assert found is not None
    assert found[0].kind == "paillier_card"
    with pytest.raises(KeyError, match="gpu"):
        catalogue.accelerator("tpu")


def test_engine_operators_are_ones_that_some_card_knows():
    from dssn_models.engines import REGISTRY

    used = {op for e in REGISTRY.values() for op in e.operators}
    assert used <= set(catalogue.OPERATORS)
    for engine in REGISTRY.values():
        steps = engine.cost({}, 2, "reference", "international").steps
        assert {s.operator for s in steps if s.operator} <= set(catalogue.OPERATORS)
