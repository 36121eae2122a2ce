"""Workload W2: files, answers, and what is said about a file that is wrong."""

import numpy as np
import pytest

from dssn_sim.bench.errors import BenchInputError
from dssn_sim.bench.flows import read_finish
from dssn_sim.bench.tasks import exact_departures, read_tasks, run_tasks, write_tasks


def test_answers_are_those_of_the_recursion(tmp_path):
    file = tmp_path / "tasks.bin"
    write_tasks(file, 3000, seed=5)
    tasks = read_tasks(file)
    exact = exact_departures(tasks)
    told = run_tasks(file, tmp_path / "out.csv")
    run_tasks(file, tmp_path / "out.bin")
    assert told == {
        "jobs": 3000, "stages": 5, "mean_sojourn": (exact - tasks.arrivals).mean(), "last": exact.max(),
    }  # fmt: skip
    np.testing.assert_array_equal(np.fromfile(tmp_path / "out.bin"), exact - tasks.arrivals)
    np.testing.assert_allclose(read_finish(tmp_path / "out.csv"), exact - tasks.arrivals, rtol=0, atol=1e-9)


def test_the_generator_gives_the_inputs_that_peers_get(tmp_path):
    file = tmp_path / "tasks.bin"
    write_tasks(file, 2)
    tasks = read_tasks(file)
    # random.Random(11): arrivals of rate 1, then services of mean 0.85 x servers
    np.testing.assert_allclose(tasks.arrivals, [0.60217284789715, 1.4226362293602464], rtol=1e-12)
    np.testing.assert_allclose(tasks.services[0], [17.542617063620586, 4.26158961534803], rtol=1e-12)


def test_other_stations_are_given_by_their_servers(tmp_path):
    file = tmp_path / "tasks.bin"
    write_tasks(file, 500, servers=(3, 2))
    tasks = read_tasks(file, 2)
    assert run_tasks(file, servers=(3, 2))["last"] == exact_departures(tasks, (3, 2)).max()
    with pytest.raises(BenchInputError, match="5 stations need"):
        run_tasks(file)


@pytest.mark.parametrize("values", [[], [0.0], [2.0, 1.0], [np.nan, 1.0], [1.5] * 7, [1.0, 0.5, *[-1.0] * 5]])
def test_a_wrong_file_is_named(tmp_path, values):
    file = tmp_path / "tasks.bin"
    np.array(values).tofile(file)
    with pytest.raises(BenchInputError, match=r"tasks\.bin"):
        run_tasks(file)


def test_a_torn_file_is_named(tmp_path):
    file = tmp_path / "tasks.bin"
    file.write_bytes(b"12345")
    with pytest.raises(BenchInputError, match="not a file of doubles"):
        run_tasks(file)
