import subprocess
import sys

import pytest

from dssn_models.plan import PolicyPlan
from dssn_models.policies.registry import KINDS, PolicyError, resolve
from dssn_models.policies.template import new_policy


def test_stubs_pass_their_tests_and_resolve(tmp_path, monkeypatch):
    stubs = {kind: new_policy(f"mine-{kind}", kind) for kind in KINDS}
    for stub in stubs.values():
        (tmp_path / stub.file).write_text(stub.source)
        (tmp_path / stub.test_file).write_text(stub.test)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", "."],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 passed" in done.stdout
    monkeypatch.syspath_prepend(str(tmp_path))
    for kind, stub in stubs.items():
        assert resolve(PolicyPlan(kind, stub.use)).kind == kind
        other = "queueing" if kind != "queueing" else "routing"
        with pytest.raises(PolicyError, match=f"is a {kind} policy") as caught:
            resolve(PolicyPlan(other, stub.use))
        assert caught.value.code == "kind"
        monkeypatch.delitem(sys.modules, stub.module)


def test_names():
    assert new_policy("MyOwn policy").use == "my_own_policy:MyOwnPolicy"
    assert new_policy("TEEFirst").module == "tee_first"
    assert new_policy("near2x_best").use == "near2x_best:Near2xBest"
    for bad in ("", "7up", "class", "***"):
        with pytest.raises(ValueError, match="module name"):
            new_policy(bad)
    with pytest.raises(ValueError, match="allowed: placement"):
        new_policy("x", "plaicement")


def test_the_stub_is_short():
    assert len(new_policy("x").source.splitlines()) < 40
