import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fake_run import make_plan, write_run

from dssn.report.data import RunData


@pytest.fixture(scope="session")
def fake_plan():
    return make_plan()


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory, fake_plan):
    return write_run(tmp_path_factory.mktemp("runs") / "fake", fake_plan)


@pytest.fixture(scope="session")
def data(run_folder, fake_plan):
    return RunData.open(run_folder, fake_plan)
