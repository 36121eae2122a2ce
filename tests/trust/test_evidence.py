import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dssn_models.trust.evidence import EvidenceLog, Head, check_chain, commit, opens
from dssn_models.trust.merkle import (
    EMPTY_ROOT,
    MerkleLog,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
)


def salts(seed):
    rng = np.random.default_rng(seed)
    return lambda _order, _seq: rng.bytes(16)


# Leaves and roots of the Certificate Transparency reference tests (merkle_tree_test of google/certificate-transparency).
LEAVES = [bytes.fromhex(x) for x in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def log_of(leaves):
    log = MerkleLog()
    for leaf in leaves:
        log.append(leaf)
    return log


def rfc_root(leaves):
    """The definition of RFC 6962, section 2.1, word for word."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(rfc_root(leaves[:k]), rfc_root(leaves[k:]))


def test_known_roots():
    log = MerkleLog()
    assert log.root().hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for leaf, root in zip(LEAVES, ROOTS, strict=True):
        log.append(leaf)
        assert log.root().hex() == root
    assert [log.root(n + 1).hex() for n in range(8)] == ROOTS


def test_known_paths():
    log = log_of(LEAVES)
    assert [p.hex() for p in log.inclusion(0)] == [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]
    assert [p.hex() for p in log.consistency(1, 8)] == [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]
    assert log.consistency(8, 8) == []


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 40), st.data())
def test_proofs_of_every_size(n, data):
    leaves = [bytes([i]) * (i % 5) for i in range(n)]
    log = log_of(leaves)
    assert log.root() == rfc_root(leaves)
    size = data.draw(st.integers(1, n))
    index = data.draw(st.integers(0, size - 1))
    root, path = log.root(size), log.inclusion(index, size)
    assert root == rfc_root(leaves[:size])
    assert len(path) <= max(1, (size - 1).bit_length())
    assert verify_inclusion(leaf_hash(leaves[index]), index, size, path, root)
    assert not verify_inclusion(leaf_hash(b"other"), index, size, path, root)
    if index + 1 < size:
        assert (
            not verify_inclusion(leaf_hash(leaves[index]), index + 1, size, path, root)
            or leaves[index] == leaves[index + 1]
        )
    if path:
        assert not verify_inclusion(leaf_hash(leaves[index]), index, size, path[:-1], root)
    assert not verify_inclusion(leaf_hash(leaves[index]), index, size, [*path, bytes(32)], root)
    proof = log.consistency(size, n)
    assert verify_consistency(size, n, log.root(size), log.root(), proof)
    if size < n:
        assert not verify_consistency(size, n, bytes(32), log.root(), proof)
        assert not verify_consistency(size, n, log.root(size), bytes(32), proof)
        assert not verify_consistency(size, n, log.root(size), log.root(), [*proof, bytes(32)])


def test_bounds():
    log = log_of(LEAVES)
    for bad in (
        lambda: log.inclusion(8),
        lambda: log.root(9),
        lambda: log.consistency(0, 8),
        lambda: log.leaf(-1),
    ):
        with pytest.raises(IndexError):
            bad()
    assert not verify_inclusion(bytes(32), 5, 5, [], bytes(32))
    assert not verify_consistency(0, 5, bytes(32), bytes(32), [])
    assert verify_consistency(5, 5, bytes(32), bytes(32), [])


# ------------------------------------------------------------ chains

EVENTS = ("order", "contract", "review", "receipt", "settle")


def a_log(orders=3, seed=1):
    log = EvidenceLog(salts(seed))
    records = {str(o): [] for o in range(orders)}
    for event in EVENTS:
        for o in records:
            records[o].append(log.append(o, event, f"facts of {o} {event}"))
    return log, records


@pytest.mark.req("BIZ-05")
def test_whole_chain_passes():
    log, records = a_log()
    for order, chain in records.items():
        assert log.check(order, chain) == []
        assert log.check(order, chain[::-1]) == []
        assert all(log.proves(r) for r in chain)


@pytest.mark.req("BIZ-05")
@pytest.mark.parametrize("seq", range(5))
def test_a_deleted_record_is_named(seq):
    log, records = a_log()
    chain = records["1"]
    found = log.check("1", chain[:seq] + chain[seq + 1 :])
    assert [(f.seq, f.kind) for f in found] == [(seq, "missing")]


@pytest.mark.req("BIZ-05")
@pytest.mark.parametrize("seq", range(5))
@pytest.mark.parametrize("field", ["event", "commitment", "previous"])
def test_a_changed_record_is_named(seq, field):
    log, records = a_log()
    chain = list(records["1"])
    value = {"event": "refund", "commitment": commit(b"x", "other facts"), "previous": bytes([1] * 32)}[field]
    chain[seq] = chain[seq]._replace(**{field: value})
    assert {(f.seq, f.kind) for f in log.check("1", chain)} == {(seq, "changed")}


def rehash(record, **changes):
    """Change a record as a forger who knows how to hash it anew."""
    other = EvidenceLog(salts(9))
    other.heads[record.order] = Head(record.seq, changes.get("previous", record.previous))
    forged = other.append(record.order, changes.get("event", record.event), "forged")
    return forged._replace(leaf=record.leaf)


@pytest.mark.req("BIZ-05")
@pytest.mark.parametrize("seq", range(5))
def test_a_forged_record_is_named_with_and_without_the_log(seq):
    log, records = a_log()
    chain = list(records["1"])
    chain[seq] = rehash(chain[seq])
    assert {(f.seq, f.kind) for f in log.check("1", chain)} == {(seq, "changed")}
    assert {f.seq for f in check_chain("1", chain, log.heads["1"])} == {seq}


@pytest.mark.req("BIZ-05")
def test_a_wholly_forged_chain_is_found():
    log, records = a_log()
    chain = list(records["1"])
    for seq in range(2, 5):
        chain[seq] = rehash(chain[seq], previous=chain[seq - 1].hash)
    assert {f.seq for f in log.check("1", chain)} == {2, 3, 4}
    assert {f.seq for f in check_chain("1", chain, log.heads["1"])} == {4}  # only the head gives it away
    assert not log.proves(chain[2])


def test_added_and_foreign_records_are_named():
    log, records = a_log()
    extra = records["1"][0]._replace(seq=5)
    assert [f.kind for f in log.check("1", [*records["1"], extra])] == ["added"]
    assert [f.kind for f in log.check("1", [*records["1"], records["1"][0]])] == ["added"]
    assert [f.kind for f in log.check("1", [*records["1"], records["0"][0]])] == ["added"]
    assert [f.kind for f in log.check("never", records["1"][:1])] == ["added"]


@pytest.mark.req("CTL-21")
def test_commitments_hide_facts_of_small_domains():
    log = EvidenceLog(salts(1))
    a, b = log.append("1", "review", "pass"), log.append("2", "review", "pass")
    assert a.commitment != b.commitment  # equal facts do not show
    guesses = {commit(b"", w) for w in ("pass", "refuse", "needs_approval")}
    assert a.commitment not in guesses
    assert opens(a.commitment, a.salt, "pass")
    assert not opens(a.commitment, a.salt, "refuse")


@pytest.mark.req("TB-02")
def test_same_salt_stream_same_log():
    assert a_log()[0].merkle.root() == a_log()[0].merkle.root()
    assert a_log()[0].merkle.root() != a_log(seed=2)[0].merkle.root()


def test_fields_cannot_be_shifted_between_order_and_event():
    log = EvidenceLog(salts(1))
    r = log.append("1", "a", "x")
    other = r._replace(order="1|0|1:", event="a")
    assert [f.kind for f in check_chain("1|0|1:", [other], Head(1, r.hash))] == ["changed"]
