"""Transfers under TCP beside packet-level times: ``packets.csv`` holds runs of ns-3 3.37 made for this test."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest

from dssn_sim.bench.errors import BenchInputError
from dssn_sim.bench.packets import compare, main, named_case, predict, read_scenario, summary

pytestmark = pytest.mark.req("NET-02")

TABLE = Path(__file__).with_name("packets.csv")


def test_case_means_are_near_the_packet_level_ones() -> None:
    rows = compare(TABLE)
    errors = sorted(abs(r.error) for r in rows)
    assert len(errors) >= 15
    assert median(errors) < 0.05
    assert errors[int(0.9 * (len(errors) - 1))] < 0.2
    assert all(abs(r.error) < 0.2 for r in rows if r.name.startswith("wan-"))


def test_the_runner_prints_every_case_and_the_summary(capsys: pytest.CaptureFixture[str]) -> None:
    main([str(TABLE), "--only", "x1-"])
    text = capsys.readouterr().out
    rows = compare(TABLE, "x1-")
    assert all(r.name in text for r in rows)
    assert summary(rows)[0][0] == "all"


def test_a_scenario_file_is_read_as_the_named_case(tmp_path: Path) -> None:
    case = named_case("db-100M-20ms-2MB-x3-b0.5-TcpNewReno-droptail")
    lines = ["nodes 8"]
    lines += [
        f"link {a} {b} {rate:.0f} {delay:.9f} {frames} {loss:g}"
        for a, b, rate, delay, frames, loss in case.links
    ]
    lines += [f"flow {a} {b} {size:.0f} {start:.6f}" for a, b, size, start in case.flows]
    path = tmp_path / "case.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    assert predict(read_scenario(path, "TcpNewReno")) == pytest.approx(predict(case), rel=1e-6)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchInputError, match="star-1"):
        named_case("star-1-TcpCubic-droptail")
    path = tmp_path / "case.txt"
    path.write_text("nodes 2\nlink 0 1 fast\n", encoding="utf-8")
    with pytest.raises(BenchInputError, match=r"case\.txt:2"):
        read_scenario(path)
