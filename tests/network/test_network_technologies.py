import dataclasses

import pytest

from dssn_models.network.selection import Choice, NetworkNeed, Unmet, cheapest_feasible, choose_pop
from dssn_models.network.technologies import TECHNOLOGIES, Technology, technology
from dssn_models.network.topologies import china

NUMBERS = [
    f.name
    for f in dataclasses.fields(Technology)
    if f.name not in {"name", "title", "rates", "isolation", "shared", "note", "sources"}
]


@pytest.mark.req("NET-02")
def test_all_seven_kinds_are_there_and_say_simulated():
    assert list(TECHNOLOGIES) == ["otn", "ptn", "spn", "pon", "ip", "cmnet", "sdwan"]
    assert all(t.note == "simulated" for t in TECHNOLOGIES.values())
    with pytest.raises(KeyError, match=r"otm.*otn, ptn"):
        technology("otm")


@pytest.mark.req("NET-02")
@pytest.mark.parametrize("tech", TECHNOLOGIES.values(), ids=lambda t: t.name)
def test_every_number_has_a_source(tech):
    by_name = {c.name: c for c in tech.sources}
    assert len(by_name) == len(tech.sources), "one source a value"
    defaults = {f.name: f.default for f in dataclasses.fields(Technology)}
    for name in NUMBERS:
        value = getattr(tech, name)
        if name in by_name:
            assert value == by_name[name].value
            assert by_name[name].source
            assert by_name[name].confidence in {"measured", "read", "assumed"}
        else:
            assert value == defaults[name], f"{tech.name}.{name} has no source"


@pytest.mark.req("NET-02")
@pytest.mark.parametrize(
    ("name", "wire", "payload"),
    [
        # 1500-byte IP packet with IPv4 20, TCP 20, time stamps 12: 1448 bytes of payload.
        ("otn", 1500 + 18 + 8, 1448),
        ("ptn", 1500 + 18 + 8 + 4 + 18 + 20, 1448),
        ("spn", (1500 + 18 + 20) * 66 / 64, 1448),
        ("pon", 1500 + 18 + 8, 1448),
        ("ip", 1500 + 18 + 20 + 8, 1448),
        ("cmnet", 1500 + 18 + 20, 1448),
        # ESP tunnel takes 62 more out of the packet: 20 + 8 + 8 + 8 + 2 + 16.
        ("sdwan", 1500 + 18 + 20, 1448 - 62),
    ],
)
def test_overhead_is_the_sum_of_the_headers(name, wire, payload):
    assert technology(name).overhead == pytest.approx(wire / payload, rel=1e-12)


@pytest.mark.req("NET-02")
def test_orders_between_kinds_that_the_sources_state():
    t = TECHNOLOGIES
    assert t["otn"].price_cny_per_mbps_month / t["cmnet"].price_cny_per_mbps_month == pytest.approx(3)
    assert 0.3 <= t["sdwan"].price_cny_per_mbps_month / t["ip"].price_cny_per_mbps_month <= 0.6
    assert t["otn"].jitter_s < t["spn"].jitter_s < t["ptn"].jitter_s < t["cmnet"].jitter_s
    assert {n for n in t if t[n].isolation == "hard"} == {"otn", "spn"}
    assert t["cmnet"].setup_s == 0


@pytest.mark.req("NET-02")
def test_rate_grid():
    otn, ip = technology("otn"), technology("ip")
    assert otn.step_for(12e6) == 20e6
    assert otn.step_for(10e6) == 10e6
    assert otn.step_for(1.1e9) == 1.25e9
    assert otn.step_for(101e9) == 200e9
    assert otn.step_for(1e15) is None
    assert ip.step_for(12.34e6) == 12.34e6
    assert ip.step_for(5) == ip.rate_steps_bps[0], "below the grid the smallest rate is taken"
    for tech in TECHNOLOGIES.values():
        steps = tech.rate_steps_bps
        assert list(steps) == sorted(set(steps))


def _exhaustive(need, catalogue):
    """An independent search: all technologies times all rates, nothing shared with the code under test."""
    rank = {"none": 0, "soft": 1, "hard": 2}
    best = None
    for t in catalogue.values():
        rates = list(t.rate_steps_bps)
        if any(r.step_bps == 0 for r in t.rates):
            rates.append(max(need.rate_bps, rates[0]))
        for rate in rates:
            factor = t.detour_factor or need.detour_factor
            delay = need.length_m / 1000 * factor * t.per_km_s + need.hops * t.per_hop_s + 2 * t.end_s
            share = 0.5 + 0.5 * need.length_m * need.detour_factor / 1.5e6
            cost = rate / 1e6 * t.price_cny_per_mbps_month * share
            ok = (
                need.rate_bps <= rate <= t.rate_steps_bps[-1]
                and (need.max_delay_s is None or delay <= need.max_delay_s)
                and (need.max_jitter_s is None or t.jitter_s <= need.max_jitter_s)
                and (need.max_loss is None or 1 - (1 - t.loss) ** need.hops <= need.max_loss)
                and (need.min_availability is None or t.availability >= need.min_availability)
                and (need.max_setup_s is None or t.setup_s <= need.max_setup_s)
                and (need.budget_cny_month is None or cost <= need.budget_cny_month)
                and rank[t.isolation] >= rank[need.isolation]
            )
            if ok and (best is None or cost < best):
                best = cost
    return best


NEEDS = [
    NetworkNeed(
        rate, length, hops, delay, jitter, loss, availability, isolation, setup, budget
    )
    for rate in (3e6, 155e6, 2.4e9, 9e11)
    for length, hops in ((30e3, 1), (1.2e6, 4))
    for delay, jitter in ((None, None), (0.01, 1e-5), (0.02, 2e-3))
    for loss, availability in ((None, None), (1e-5, 0.9999))
    for isolation in ("none", "soft", "hard")
    for setup, budget in ((None, None), (40.0, 60_000.0))
]  # fmt: skip


@pytest.mark.req("NET-03")
def test_cheapest_feasible_equals_exhaustive_search():
    light = {n: t for n, t in TECHNOLOGIES.items() if n != "ptn"}  # its 10 000 rates would take long
    outcomes = set()
    for need in NEEDS:
        choice, best = cheapest_feasible(need, light), _exhaustive(need, light)
        outcomes.add(type(choice))
        if best is None:
            assert isinstance(choice, Unmet)
            assert set(choice.reasons) == set(light)
        else:
            assert isinstance(choice, Choice)
            assert choice.cost_cny_month == pytest.approx(best, rel=1e-12)
            assert choice.rate_bps >= need.rate_bps
            assert all(slack >= 0 for slack in choice.slack.values())
    assert outcomes == {Choice, Unmet}


@pytest.mark.req("NET-03")
def test_an_unmet_need_is_explained_by_technology():
    need = NetworkNeed(100e6, 1e6, max_delay_s=1e-3, isolation="hard", min_availability=0.99999)
    answer = cheapest_feasible(need)
    assert isinstance(answer, Unmet)
    assert answer.nearest in {"otn", "spn"}
    assert any("delay_s is" in why for why in answer.reasons["otn"])
    assert any("isolation is none, hard is asked" in why for why in answer.reasons["cmnet"])
    assert "availability is 0.9999, the bound is 0.99999" in str(answer)
    too_fast = cheapest_feasible(NetworkNeed(1e15))
    assert all("over its largest" in why[0] for why in too_fast.reasons.values())


@pytest.mark.req("ACC-03")
def test_pop_choice_equals_brute_force():
    from random import Random

    from dssn_models.network.geo import great_circle_m

    sites, rng, pon = china().sites, Random(3), technology("pon")
    prices = {s.id: rng.uniform(0, 300) for s in sites}
    for _ in range(60):
        lat, lon = rng.uniform(18, 53), rng.uniform(74, 134)
        for weights in ((1.0, 0.0), (0.0, 1.0), (1e4, 1.0)):
            scores = {
                s.id: weights[0]
                * 2
                * (great_circle_m(lat, lon, s.lat, s.lon) / 1e3 * 1.3 * pon.per_km_s + pon.per_hop_s)
                + weights[1] * prices[s.id]
                for s in sites
            }
            got = choose_pop(lat, lon, sites, weights, prices=prices)
            assert got.score == pytest.approx(min(scores.values()), rel=1e-9)
            assert scores[got.site] == pytest.approx(min(scores.values()), rel=1e-9)


@pytest.mark.req("ACC-03")
def test_pop_of_a_node_in_a_city_is_that_city():
    for s in china().sites:
        if s.kind in {"province_capital", "city"}:
            assert choose_pop(s.lat, s.lon, china().sites).site == s.id
    with pytest.raises(ValueError, match="no site"):
        choose_pop(0, 0, [])
