"""Evidence that shows what was changed, and proofs that verify."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dssn_models.trust.evidence import (
    EvidenceLog,
    MerkleLog,
    commit,
    verify_chain,
    verify_consistency,
    verify_inclusion,
)

# Leaves and tree heads of the reference vectors of Certificate Transparency (RFC 6962 implementations).
LEAVES = [bytes.fromhex(x) for x in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")]  # fmt: skip
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


@pytest.mark.req("CTL-19")
def test_tree_heads_of_the_published_vectors():
    log = MerkleLog()
    assert log.root().hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for leaf, root in zip(LEAVES, ROOTS, strict=True):
        log.append(leaf)
        assert log.root().hex() == root
    assert [log.root(i + 1).hex() for i in range(8)] == ROOTS


@pytest.mark.req("CTL-19")
@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.integers(1, 70), st.data())
def test_every_proof_verifies_and_no_other_does(n, data):
    log = MerkleLog()
    for i in range(n):
        log.append(str(i).encode())
    size = data.draw(st.integers(1, n))
    index = data.draw(st.integers(0, size - 1))
    path = log.inclusion(index, size)
    assert verify_inclusion(str(index).encode(), index, size, path, log.root(size))
    assert not verify_inclusion(b"other", index, size, path, log.root(size))
    proof = log.consistency(size, n)
    assert verify_consistency(size, n, log.root(size), log.root(n), proof)
    if size < n:
        assert not verify_consistency(size, n, bytes(32), log.root(n), proof)


@pytest.mark.req("BIZ-05")
def test_a_changed_or_missing_record_is_named():
    log = EvidenceLog(np.random.default_rng(1))
    records = [log.append("d1", e, "facts") for e in ("order", "contract", "receipt", "settle")]
    log.append("d2", "order", "facts")
    assert verify_chain(records) == ""
    assert "missing" in verify_chain([*records[:1], *records[2:]])
    changed = [*records[:1], replace(records[1], commitment=bytes(32)), *records[2:]]
    assert "record 1 or 2" in verify_chain(changed)


@pytest.mark.req("CTL-21")
def test_equal_facts_give_unlike_commitments_and_open_only_with_the_salt():
    log = EvidenceLog(np.random.default_rng(1))
    a, b = log.append("d", "x", "yes"), log.append("d", "x", "yes")
    assert a.commitment != b.commitment
    assert commit(a.salt, "x", "yes") == a.commitment
    assert commit(b.salt, "x", "yes") != a.commitment
