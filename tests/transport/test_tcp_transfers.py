"""Transfers under TCP on the data plane: closed forms, fairness, losses, and the bookkeeping."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from dssn_models.network.transport import mathis_bps
from dssn_models.plan import LinkPlan, NetworkPlan, TcpPlan
from dssn_sim.dataplane import DataPlane
from dssn_sim.transport import Tcp

pytestmark = pytest.mark.req("NET-02")

SEGMENT = 1448.0


class Net:
    """Links in a row of numbers (rate, delay, loss) and transfers over them."""

    def __init__(
        self,
        links: Sequence[tuple[float, float, float]],
        overhead: float = 1.0,
        jitter: float = 0.0,
        **tcp: object,
    ) -> None:
        plans = tuple(
            LinkPlan(
                i, str(i), "a", "b", "ip", rate, rate, delay, loss=loss, overhead=overhead, jitter_s=jitter
            )
            for i, (rate, delay, loss) in enumerate(links)
        )
        settings = {"max_window_bytes": 1e12, **tcp}
        self.env = simpy.Environment()
        self.links = plans
        self.overhead = overhead
        network = NetworkPlan((), plans, transport="tcp", tcp=TcpPlan(**settings))  # type: ignore[arg-type]
        self.plane = DataPlane(self.env, network, [])
        self.tcp = Tcp(self.plane, network)

    def start(self, path: Sequence[int], size: float, at: float = 0.0) -> list[float]:
        """Start a transfer; its end stands in the list."""
        end: list[float] = []
        delay = sum(self.links[x // 2].delay_s for x in path)

        def process() -> Iterator[simpy.Event]:
            yield self.env.timeout(at)
            yield self.tcp.transfer(path, size * self.overhead, latency_s=delay)
            end.append(self.env.now)

        self.env.process(process())  # type: ignore[arg-type]
        return end


@pytest.mark.parametrize(
    ("rounds", "congestion", "factor"),
    [(1, "cubic", 2.0), (4, "cubic", 2.0), (7, "cubic", 2.0), (6, "newreno", 1.5)],
)
def test_a_short_transfer_takes_its_rounds_of_slow_start(rounds: int, congestion: str, factor: float) -> None:
    """The last window leaves at once: (rounds - 1) round trips, half of one more, and the last burst."""
    net = Net([(1e12, 0.05, 0.0)], congestion=congestion)
    sent = 10 * sum(factor**n for n in range(rounds - 1)) + 3
    end = net.start([0], sent * SEGMENT)
    net.env.run()
    assert end[0] == pytest.approx((rounds - 1) * 0.1 + 0.05, abs=1e-5)


def test_a_long_transfer_fills_the_link_but_for_its_start() -> None:
    net = Net([(1e9, 0.005, 0.0)], overhead=1538 / 1448)
    end = net.start([0], 1e9)
    net.env.run()
    ideal = 8e9 * 1538 / 1448 / 1e9
    assert ideal < end[0] < ideal + 0.15


def test_the_window_over_the_round_trip_limits_the_rate() -> None:
    net = Net([(10e9, 0.05, 0.0)], max_window_bytes=1e6)
    end = net.start([0], 200e6)
    net.env.run()
    assert 200e6 * 8 / end[0] == pytest.approx(1e6 * 8 / 0.1, rel=0.05)


def test_parallel_streams_have_a_window_each() -> None:
    one, four = (Net([(10e9, 0.05, 0.0)], max_window_bytes=1e6, streams=n) for n in (1, 4))
    ends = [net.start([0], 400e6) for net in (one, four)]
    one.env.run()
    four.env.run()
    assert ends[0][0] / ends[1][0] == pytest.approx(4.0, rel=0.1)


@pytest.mark.parametrize("loss", [1e-4, 1e-3])
def test_random_loss_gives_the_law_of_mathis(loss: float) -> None:
    """NewReno that adds a segment in two rounds: the rate is sqrt(3 / (4 p)) segments a round trip."""
    net = Net([(100e9, 0.025, loss)], congestion="newreno")
    size = 300 / loss * SEGMENT
    end = net.start([0], size)
    net.env.run()
    law = mathis_bps(SEGMENT, 0.05, loss, acknowledged=2.0)
    assert size * 8 / end[0] == pytest.approx(law, rel=0.1)


def test_equal_transfers_that_start_together_end_together() -> None:
    net = Net([(1e9, 0.01, 0.0)])
    ends = [net.start([0], 50e6) for _ in range(4)]
    net.env.run()
    times = [e[0] for e in ends]
    assert max(times) / min(times) < 1.05
    assert max(times) > 4 * 50e6 * 8 / 1e9


def test_a_longer_round_trip_gets_less() -> None:
    """Two NewReno transfers share a link; the one with five times the round trip is well behind."""
    net = Net([(1e8, 0.001, 0.0), (1e10, 0.009, 0.0), (1e10, 0.049, 0.0)], congestion="newreno")
    near, far = net.start([2, 0], 300e6), net.start([4, 0], 300e6)
    net.env.run()
    assert far[0] > 1.3 * near[0]


def test_jitter_and_delay_slow_a_short_transfer_down() -> None:
    calm, shaky = (Net([(1e10, 0.01, 0.0)], jitter=j) for j in (0.0, 0.02))
    ends = [net.start([0], 1e6) for net in (calm, shaky)]
    calm.env.run()
    shaky.env.run()
    assert ends[1][0] > 1.2 * ends[0][0]


def test_a_shallow_queue_costs_newreno_a_share_of_the_link() -> None:
    """With a queue far below the bandwidth-delay product the window swings between half of it and all of it."""
    times = []
    for buffer in (0.1, 0.001):
        net = Net([(1e8, 0.05, 0.0)], congestion="newreno", buffer_s=buffer)
        end = net.start([0], 500e6)
        net.env.run()
        times.append(end[0])
    ideal = 500e6 * 8 / 1e8
    assert times[0] == pytest.approx(ideal, rel=0.06)
    assert times[1] == pytest.approx(ideal / 0.75, rel=0.15)


def test_bbr_does_not_mind_loss() -> None:
    ends = []
    for congestion in ("bbr", "cubic"):
        net = Net([(1e8, 0.02, 0.01)], congestion=congestion)
        end = net.start([0], 20e6)
        net.env.run()
        ends.append(end[0])
    assert ends[0] < 1.15 * 20e6 * 8 / 1e8 + 0.5
    assert ends[1] > 5 * ends[0]


@pytest.mark.req("NET-23")
def test_a_cut_link_stops_a_transfer_and_it_goes_on_after_the_repair() -> None:
    net = Net([(1e8, 0.01, 0.0)])
    end = net.start([0], 50e6)

    def faults() -> Iterator[simpy.Event]:
        yield net.env.timeout(1.0)
        net.plane.set_link_rate(0, 0.0)
        yield net.env.timeout(10.0)
        net.plane.set_link_rate(0, 1e8)

    net.env.process(faults())  # type: ignore[arg-type]
    net.env.run()
    assert 14.0 < end[0] < 30.0


def test_a_cancelled_transfer_tells_what_moved_and_leaves_its_queues() -> None:
    net = Net([(1e8, 0.01, 0.0)])
    event = net.tcp.transfer([0], 50e6, latency_s=0.01)
    net.env.run(until=2.0)
    outcome = net.plane.cancel(event, "cancelled")
    net.env.run()
    assert 0.8 * 2 * 1e8 / 8 < outcome.done < 2 * 1e8 / 8
    assert net.plane.link_use()[0].bytes == pytest.approx(outcome.done)
    assert net.tcp.round_trip([0], 0.01) == pytest.approx(0.02, abs=1e-3)


def test_a_hard_slice_has_a_queue_of_its_own() -> None:
    net = Net([(1e9, 0.005, 0.0)])
    number = net.plane.open_slice([0], 1e8, hard=True)
    crowd = [net.start([0], 100e6) for _ in range(3)]
    event = net.tcp.transfer([0], 10e6, latency_s=0.005, slice_id=number)
    net.env.run(until=event)
    assert net.env.now == pytest.approx(10e6 * 8 / 1e8, rel=0.25)
    net.env.run()
    assert all(crowd)


@given(
    flows=st.lists(
        st.tuples(st.integers(0, 2), st.floats(1.0, 3e7), st.floats(0.0, 2.0)), min_size=1, max_size=12
    ),
    congestion=st.sampled_from(["cubic", "newreno", "bbr"]),
    queue=st.sampled_from(["droptail", "fqcodel"]),
    buffer=st.sampled_from([0.002, 0.05]),
    loss=st.sampled_from([0.0, 1e-3]),
)
@settings(derandomize=True, deadline=None, max_examples=60)
def test_every_transfer_ends_no_sooner_than_its_link_and_distance_allow(
    flows: list[tuple[int, float, float]], congestion: str, queue: str, buffer: float, loss: float
) -> None:
    links = [(5e7, 0.01, loss), (2e8, 0.002, 0.0), (1e9, 0.03, 0.0)]
    paths = ([0], [2, 0], [4, 2, 0])
    net = Net(links, congestion=congestion, queue=queue, buffer_s=buffer)
    ends = [net.start(paths[p], size, at) for p, size, at in flows]
    net.env.run()
    for (p, size, at), end in zip(flows, ends, strict=True):
        delay = sum(links[x // 2][1] for x in paths[p])
        assert end[0] - at >= (size * 8 / 5e7 + delay) * (1 - 1e-9)
    carried = net.plane.link_use()[0].bytes
    asked = sum(size for _, size, _ in flows)
    assert asked * (1 - 1e-9) <= carried <= asked * (1 + 3 * loss + 1e-9)


def test_two_runs_are_equal() -> None:
    def run() -> list[float]:
        net = Net([(1e8, 0.02, 1e-4), (1e9, 0.001, 0.0)])
        ends = [net.start([2, 0], 3e6 * (1 + i), 0.01 * i) for i in range(8)]
        net.env.run()
        return [e[0] for e in ends]

    assert run() == run()
