"""Inside these tests an unexpected exception is an error, not a problem E199."""

import pytest


@pytest.fixture(autouse=True)
def _raise_internal_errors(monkeypatch):
    monkeypatch.setenv("DSSN_RAISE", "1")
