"""The busiest quarter of an hour, against a brute-force search over the samples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dssn_sim.peaks import WINDOW_S, Peaks, Use


def played(samples, start=0.0, step=60.0):
    """Return the peaks after cumulative samples of one link, one node."""
    zero = Use(*(np.zeros(1) for _ in range(3)))
    peaks, total = Peaks(start, zero), 0.0
    for i, rate in enumerate(samples):
        total += rate * step
        now = start + (i + 1) * step
        peaks.look(now, Use(np.array([total]), np.array([2 * total]), np.array([4 * total])))
    return peaks.largest


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
@settings(derandomize=True, max_examples=100)
def test_peak_is_the_largest_mean_of_a_window(rates):
    width = round(WINDOW_S / 60)
    windows = [np.mean(rates[i : i + width]) for i in range(max(1, len(rates) - width + 1))]
    found = played(rates)
    assert found.links[0] == pytest.approx(max(windows), abs=1e-9)
    assert found.held[0] == pytest.approx(2 * found.busy[0])


def test_samples_of_the_warm_up_do_not_count():
    zero = Use(*(np.zeros(1) for _ in range(3)))
    peaks = Peaks(600.0, zero)
    peaks.look(300.0, Use(np.array([300.0]), np.array([300.0]), np.array([300.0])))
    assert peaks.largest is zero
    peaks.look(660.0, Use(np.array([6.0]), np.array([12.0]), np.array([24.0])))
    assert peaks.largest.links[0] == pytest.approx(0.1)


@pytest.mark.req("TB-08")
def test_tables_of_a_run_hold_peaks_at_or_above_the_means():
    import dssn
    from dssn_sim.kernel import simulate

    plan = dssn.load("metro", set=["run.horizon=45 min"]).plan
    tables = simulate(plan, 0)
    links, nodes = tables["links"].to_pandas(), tables["nodes"].to_pandas()
    # Means over the run are averages of windows and a rest shorter than a sample.
    assert (links["util_15min"] >= 0.9 * links["mean_util"]).all()
    assert links["util_15min"].max() > links["mean_util"].max()
    assert (nodes["reserved_15min"] >= 0.9 * nodes["util_reserved"]).all()
    assert nodes[["busy_15min", "reserved_15min"]].to_numpy().max() <= 1 + 1e-9
