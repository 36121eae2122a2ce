"""Formulas of the other engines: ideal time, SPU complexity, ciphertext sizes, federated rounds, statistics, TEE."""

import math

import pytest

from dssn_models.crypto.tables import cost_table
from dssn_models.engines import REGISTRY
from dssn_models.engines.api import JobCost, RoleNeed, Step
from dssn_models.engines.ideal import TCP_OVERHEAD, ideal_steps, ideal_time
from dssn_models.engines.mpc import aby3_primitive, semi2k_primitive
from dssn_models.engines.sgb import power_law
from dssn_models.engines.stats import kept_groups


def step_of(job, name):
    return next(s for s in job.steps if s.name == name)


def work_of(job, role):
    return sum(w for s in job.steps for r, w in s.work if r == role)


def bytes_of(step, source=None, target=None):
    return sum(n for a, b, n in step.traffic if source in (None, a) and target in (None, b))


def cost(name, parties=1, suite="none", **params):
    return REGISTRY[name].cost(params, parties, "reference", suite)


# ------------------------------------------------------------------ ideal time


@pytest.mark.parametrize(
    ("overlap", "expected"), [(1.0, 10 + 8 + 0.06), (0.0, 10 + 0.06), (0.25, 10 + 2 + 0.06)]
)
def test_ideal_time_is_the_formula(overlap, expected):
    step = Step("s", (("guest", 20.0), ("host", 6.0)), (("guest", "host", 1e9),), rounds=3, overlap=overlap)
    job = JobCost((step,), {"guest": RoleNeed(cores=2), "host": RoleNeed(cores=2)})
    assert ideal_time(job, 8, 1e9, 0.02) == pytest.approx(expected)


def test_ideal_time_knows_cores_speed_and_duplex_links():
    serial = Step("serial", (("guest", 4.0),), cores=1.0)
    duplex = Step("duplex", (), (("guest", "host1", 1e8), ("host1", "guest", 1e8)))
    fan_in = Step("fan-in", (), (("host1", "guest", 1e8), ("host2", "guest", 1e8)))
    job = JobCost((serial, duplex, fan_in), {"guest": RoleNeed(cores=4)})
    times = ideal_steps(job, {"guest": 16.0}, 1e8, 0.0, overhead=1.5, speed=2.0)
    assert [t.total_s for t in times] == pytest.approx([2.0, 12.0, 24.0])
    assert [t.name for t in times] == ["serial", "duplex", "fan-in"]
    assert 1.045 < TCP_OVERHEAD < 1.046


# ------------------------------------------------------------------ MPC


@pytest.mark.req("PC-03")
def test_spu_complexity_of_semi2k():
    # K = 64, N = 2 and 4, from SPU's complexity page
    assert semi2k_primitive("mul", 64, 2) == semi2k_primitive("and", 64, 2)
    assert (semi2k_primitive("mul", 64, 2).rounds, semi2k_primitive("mul", 64, 2).bits) == (1, 128)
    assert (semi2k_primitive("trunc", 64, 2).rounds, semi2k_primitive("trunc", 64, 2).bits) == (1, 64)
    assert (semi2k_primitive("a2b", 64, 2).rounds, semi2k_primitive("a2b", 64, 2).bits) == (7, 13 * 128)
    assert (semi2k_primitive("b2a", 64, 2).rounds, semi2k_primitive("b2a", 64, 2).bits) == (1, 64)
    assert semi2k_primitive("mul", 64, 4).bits == 3 * 128
    assert (semi2k_primitive("a2b", 64, 4).rounds, semi2k_primitive("a2b", 64, 4).bits) == (14, 13 * 128 * 9)
    less = semi2k_primitive("less", 64, 2)
    assert (less.rounds, less.bits) == (8, 13 * 128 + 64)


@pytest.mark.req("PC-03")
def test_spu_complexity_of_aby3():
    found = {
        k: (aby3_primitive(k, 64).rounds, aby3_primitive(k, 64).bits)
        for k in ("mul", "trunc", "a2b", "add_bb")
    }
    assert found == {"mul": (1, 64), "trunc": (3, 256), "a2b": (8, 512), "add_bb": (7, 832)}
    # facts: a comparison takes 6 to 9 rounds
    assert 6 <= aby3_primitive("less", 64).rounds <= 9


@pytest.mark.req("PC-03")
def test_mpc_steps_carry_these_bits_and_half_a_round_trip_a_round():
    count = 1e6
    semi = step_of(cost("mpc.semi2k", circuit="ops", mults=count, depth=5.0, iterations=1.0), "multiply")
    assert bytes_of(semi, "guest") == pytest.approx(count * (128 + 64) / 8)
    assert semi.rounds == math.ceil(2 * 5 / 2)
    aby = step_of(cost("mpc.aby3", circuit="ops", comparisons=count, iterations=1.0), "compare")
    assert bytes_of(aby, "host", "arbiter") == pytest.approx(count * 576 / 8)
    assert aby.rounds == math.ceil(9 / 2)
    product = step_of(
        cost("mpc.aby3", circuit="matmul", rows=100.0, features=50.0, columns=20.0, iterations=1.0), "product"
    )
    assert bytes_of(product, "guest") == pytest.approx(100 * 20 * (64 + 256) / 8)
    beaver = step_of(
        cost("mpc.semi2k", circuit="matmul", rows=100.0, features=50.0, columns=20.0, iterations=1.0),
        "product",
    )
    assert bytes_of(beaver, "guest") == pytest.approx((64 * (100 * 50 + 50 * 20) + 64 * 100 * 20) / 8)


@pytest.mark.req("PC-03")
def test_mpc_work_is_the_measured_work_divided_over_the_parties():
    table = cost_table()
    for name, parties in (("semi2k", 2), ("aby3", 3), ("cheetah", 2)):
        job = cost(f"mpc.{name}", circuit="ops", comparisons=1e6, iterations=1.0)
        step = step_of(job, "compare")
        assert len(step.work) == parties
        assert sum(w for _, w in step.work) == pytest.approx(1e6 * table.value(f"mpc.{name}.less_s"))


@pytest.mark.req("PC-03")
def test_mpc_choice_depends_on_the_network():
    def seconds(name, bandwidth, rtt):
        return ideal_time(cost(name, suite="international", rows=1e5), 16, bandwidth, rtt)

    # Without a dealer the work is many times larger where the network is no hindrance.
    assert seconds("mpc.cheetah", 1e10, 1e-4) > 5 * seconds("mpc.aby3", 1e10, 1e-4)
    # Rounds dominate over long distance whatever the bandwidth.
    assert seconds("mpc.aby3", 1e10, 0.05) > 2 * seconds("mpc.aby3", 1e10, 1e-4)


def test_ring_width_scales_bits():
    wide, narrow = (
        step_of(cost("mpc.semi2k", circuit="ops", mults=1e5, ring=r), "multiply") for r in ("128", "64")
    )
    assert bytes_of(wide) == pytest.approx(2 * bytes_of(narrow))


# ------------------------------------------------------------------ homomorphic encryption


@pytest.mark.req("PC-04")
def test_power_law_hits_both_measured_lengths():
    assert power_law(566e-6, 1566e-6, 2048) == pytest.approx(566e-6)
    assert power_law(566e-6, 1566e-6, 3072) == pytest.approx(1566e-6)
    assert power_law(566e-6, 1566e-6, 4096) > 3e-3


@pytest.mark.req("PC-04")
def test_paillier_ciphertexts_as_the_scheme_says():
    plain = cost("he.paillier", rows=1000.0, packed=False)
    assert bytes_of(step_of(plain, "encrypt and send"), "host") == 1000 * 512
    assert work_of(plain, "host") == pytest.approx(1000 * 566e-6)
    # 2048 / (32 + 1) = 62 values in a ciphertext
    packed = cost("he.paillier", rows=1000.0)
    assert bytes_of(step_of(packed, "encrypt and send"), "host") == math.ceil(1000 / 62) * 512
    longer = cost("he.paillier", rows=1000.0, packed=False, key_bits=3072.0)
    assert bytes_of(step_of(longer, "encrypt and send"), "host") == 1000 * 768
    assert work_of(longer, "host") == pytest.approx(1000 * 1566e-6)


@pytest.mark.req("PC-04")
def test_ckks_packs_half_the_degree():
    small, large = (cost("he.ckks", rows=8193.0, degree=d) for d in ("8192", "16384"))
    assert bytes_of(step_of(small, "encrypt and send")) == 3 * 332e3
    assert bytes_of(step_of(large, "encrypt and send")) == 2 * 1450e3
    assert step_of(small, "send sum").traffic == (("arbiter", "guest", 3 * 332e3),)


# ------------------------------------------------------------------ federated learning, boosting


@pytest.mark.req("PC-01")
def test_federated_bytes_and_work():
    job = cost(
        "fl.horizontal",
        parties=4,
        rows=1000.0,
        model=1e6,
        rounds=10.0,
        epochs=2.0,
        sample_work=1e-3,
        secure=False,
    )
    train = step_of(job, "train and send update")
    assert bytes_of(train, "host1", "arbiter") == 10e6
    assert bytes_of(step_of(job, "send model"), "arbiter") == 4 * 10e6
    assert dict(train.work)["host1"] == pytest.approx(1000 * 10 * 2 * 1e-3)
    assert train.rounds == 10
    half = cost(
        "fl.horizontal",
        parties=4,
        rows=1000.0,
        model=1e6,
        rounds=10.0,
        sample_work=1e-3,
        secure=False,
        selection=0.5,
    )
    assert bytes_of(step_of(half, "train and send update"), "host1") == 5e6


@pytest.mark.req("PC-01")
def test_secure_aggregation_adds_bits_rounds_and_work():
    off, on = (cost("fl.horizontal", parties=8, suite="international", secure=s) for s in (False, True))
    train_off, train_on = step_of(off, "train and send update"), step_of(on, "train and send update")
    # 32 bit values grow by log2(8) = 3 bit
    assert bytes_of(train_on, "host1") == pytest.approx(bytes_of(train_off, "host1") * 35 / 32)
    assert train_on.rounds == 4 * train_off.rounds
    assert dict(train_on.work)["host1"] > dict(train_off.work)["host1"]


@pytest.mark.req("PC-02")
def test_boosting_bytes_and_rounds():
    job = cost("sgb.secureboost", rows=1000.0, features=10.0, trees=20.0, depth=4.0, bins=50.0)
    assert bytes_of(step_of(job, "encrypt gradients")) == 20 * 1000 * 269
    # eight node histograms a tree of depth four (siblings by subtraction)
    assert bytes_of(step_of(job, "add histograms")) == 20 * 8 * 10 * 50 * 269
    assert sum(s.rounds for s in job.steps) == 20 * (4 + 1)
    paillier = cost("sgb.secureboost", rows=1000.0, scheme="paillier")
    assert work_of(paillier, "guest") > 5 * work_of(cost("sgb.secureboost", rows=1000.0), "guest")


# ------------------------------------------------------------------ statistics, search, TEE, transfer


@pytest.mark.req("PC-07", "PC-05")
def test_small_groups_are_left_out():
    assert kept_groups(100, 1e6, 0) == 100
    assert kept_groups(100, 1000, 10) == pytest.approx(100 * math.exp(-1))
    assert kept_groups(0, 1e6, 10) == kept_groups(100, 0, 10) == 0
    counts = [cost("stats.masked", rows=1000.0, min_group=g).meters["results"] for g in (0.0, 5.0, 50.0)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[2]


@pytest.mark.req("PC-05", "PC-07")
def test_noise_takes_work_and_masks_hide_parts():
    quiet, noisy = (cost("stats.masked", epsilon=e) for e in (0.0, 1.0))
    assert work_of(noisy, "host") - work_of(quiet, "host") == pytest.approx(200 * 17e-6)
    assert step_of(cost("stats.masked", parties=3), "send parts").data == "protocol"
    assert step_of(cost("stats.masked", parties=1), "send parts").data == "result"
    assert step_of(cost("stats.masked", statistic="median"), "send parts").rounds == 20


@pytest.mark.req("PC-08")
def test_search_is_linear_in_the_matches_not_in_the_index():
    few, many = (step_of(cost("sse.query", matches=m, scheme="pibas"), "search") for m in (100.0, 1000.0))
    assert dict(many.work)["host"] == pytest.approx(10 * dict(few.work)["host"])
    assert dict(few.work)["host"] == pytest.approx(100 * 3.6e-6)
    small, large = (step_of(cost("sse.query", rows=r), "search") for r in (1e4, 1e8))
    assert small == large
    assert work_of(cost("sse.query", rows=1e6, build=True), "host") > 0.02


@pytest.mark.req("PC-15")
def test_tee_job_computes_inside_and_needs_its_working_set():
    job = cost("tee.job", parties=2, rows=1e6, row_size=100.0, work=50.0)
    assert job.needs["tee"].enclave_bytes == pytest.approx(1.5 * 2e8)
    assert step_of(job, "compute").in_enclave
    assert dict(step_of(job, "compute").work) == {"tee": 50.0}
    assert step_of(job, "seal and send input").data == "protocol"
    assert bytes_of(step_of(job, "seal and send input"), None, "tee") == 2e8
    assert step_of(job, "return result").data == "result"


def test_bulk_transfer_is_bound_by_the_slower_of_cipher_and_link():
    plain = cost("transfer.bulk", suite="international", size=1e9)
    assert ideal_time(plain, 8, 1e9, 0.01, suite="international") == pytest.approx(8.01, rel=1e-6)
    sm = cost("transfer.bulk", suite="sm", size=1e9)
    # SM4-GCM from stock libraries takes 6.6 core-s per GB and end, SM3 2.1: more than the link at 10 Gbit/s
    assert ideal_time(sm, 8, 1e10, 0.0, suite="sm") == pytest.approx(6.58 + 2.06 + 0.16, rel=0.01)
    eight = cost("transfer.bulk", suite="sm", size=1e9, streams=8.0)
    assert ideal_time(eight, 8, 1e10, 0.0, suite="sm") == pytest.approx(8.8 / 8, rel=0.01)


def test_api_round_trips_follow_concurrency():
    assert cost("api.query", calls=10.0).steps[0].rounds == 10
    assert cost("api.query", calls=10.0, concurrency=4.0).steps[0].rounds == 3
    job = cost("api.query", calls=10.0, answer=4000.0, request=500.0)
    assert bytes_of(job.steps[0], "host") == 40e3
    assert bytes_of(job.steps[0], "guest") == 5e3
    assert job.meters["calls"] == 10


def test_stream_bytes_are_duration_times_rate():
    job = cost("transfer.stream", duration=60.0, rate=8e6)
    assert bytes_of(job.steps[0]) == 60e6
    assert job.meters["rows"] == 60e3
    assert job.meters["stream_s"] == 60.0
