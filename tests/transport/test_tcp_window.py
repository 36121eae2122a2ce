"""The window's rules against what the RFCs say in closed form."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dssn_models.network.transport import Window, mathis_bps, slow_start_rounds
from dssn_models.plan import TcpPlan

pytestmark = pytest.mark.req("NET-02")


def newreno(**changes: object) -> Window:
    return Window(TcpPlan(congestion="newreno", max_window_bytes=1e12, **changes))  # type: ignore[arg-type]


def cubic(**changes: object) -> Window:
    return Window(TcpPlan(congestion="cubic", max_window_bytes=1e12, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(("window", "factor"), [(cubic(), 2.0), (newreno(), 1.5)])
def test_slow_start_multiplies_the_window_each_round(window: Window, factor: float) -> None:
    for n in range(8):
        assert window.size == pytest.approx(10 * factor**n)
        window.grow(window.step(0.1, n * 0.1))


def test_rounds_of_slow_start() -> None:
    assert [slow_start_rounds(n, 10, 2.0) for n in (1, 10, 11, 30, 31, 630, 631)] == [1, 1, 2, 2, 3, 6, 7]


def test_newreno_halves_and_then_adds_one_segment_in_two_rounds() -> None:
    window = newreno()
    window.size = 100.0
    assert window.lose(1.0) == pytest.approx(1.0, abs=0.03)
    assert window.phase == "recovery"
    assert window.repaired() == 0.0
    assert (window.size, window.phase) == (50.0, "avoidance")
    assert window.step(0.1, 1.0) == 0.5  # one segment an acknowledgement of two: RFC 5681


def test_cubic_is_back_at_its_old_window_after_k() -> None:
    """RFC 9438: W(t) = C (t - K)^3 + W_max with K = cbrt(W_max (1 - beta) / C)."""
    window = cubic()
    window.size = 1000.0
    window.lose(1.0)
    window.repaired()
    assert window.size == pytest.approx(700.0)
    k = (1000.0 * 0.3 / 0.4) ** (1 / 3)
    t, rtt = 0.0, 0.01
    while t < k:
        window.grow(window.step(rtt, t))
        t += rtt
    assert window.size == pytest.approx(1000.0, rel=0.01)


def test_many_losses_take_longer_to_repair_and_leave_what_arrived() -> None:
    window = newreno()
    window.size = 1000.0
    rounds = window.lose(600.0)
    assert window.size == 400.0  # packet conservation: less than the threshold of 500
    assert rounds == pytest.approx(1 + 600 / 400)
    assert window.repaired() == pytest.approx(100.0)


def test_time_out_begins_with_one_segment() -> None:
    window = newreno()
    window.size = 80.0
    window.time_out()
    assert window.step(0.1, 0.0) == 0.0
    window.restart()
    assert (window.size, window.ssthresh, window.phase) == (1.0, 40.0, "slow_start")


def test_hystart_ends_slow_start_when_the_train_is_longer_than_the_round_trip() -> None:
    window = cubic()
    window.size = 100.0
    assert not window.measured(0.050, 0.049)
    assert window.measured(0.050, 0.051)
    window.full_pipe(0.051)
    assert window.phase == "avoidance"
    assert 100.0 < window.size <= 200.0
    reno = newreno()
    reno.size = 100.0
    assert not reno.measured(0.050, 0.051)


def test_streams_lose_one_window_of_many() -> None:
    window = newreno(streams=4)
    assert window.size == 40.0
    window.lose(1.0)
    window.repaired()
    assert window.size == pytest.approx(35.0)


def test_bbr_keeps_two_bandwidth_delay_products() -> None:
    window = Window(TcpPlan(congestion="bbr"))
    window.measured(0.1, 0.0)
    window.paced(1000.0)
    assert window.size == pytest.approx(200.0)
    assert not window.answers_loss


@given(
    congestion=st.sampled_from(["cubic", "newreno", "bbr"]),
    events=st.lists(st.sampled_from(["grow", "lose", "repair", "time_out", "restart"]), max_size=60),
    most=st.floats(1.0, 1e5),
)
@settings(derandomize=True, deadline=None)
def test_a_window_stays_between_one_segment_and_its_most(
    congestion: str, events: list[str], most: float
) -> None:
    window = Window(TcpPlan(congestion=congestion, initial_window=1, max_window_bytes=1448 * most))  # type: ignore[arg-type]
    now = 0.0
    for event in events:
        now += 0.05
        if event == "grow":
            step = window.step(0.05, now)
            assert step >= 0.0
            window.grow(step)
        elif event == "lose" and window.phase in ("slow_start", "avoidance"):
            assert window.lose(window.size / 3) >= 1.0
        elif event == "repair" and window.phase == "recovery":
            window.repaired()
        elif event == "time_out" and window.phase != "timeout":
            window.time_out()
        elif event == "restart" and window.phase == "timeout":
            window.restart()
        assert 1.0 <= window.size <= window.most * (1 + 1e-12)
        assert math.isfinite(window.size)


def test_mathis_formula() -> None:
    assert mathis_bps(1448, 0.1, 1e-4) == pytest.approx(8 * 1448 / 0.1 * math.sqrt(1.5e4))
