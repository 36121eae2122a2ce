"""The HTML report: complete, self-contained, honest about what is missing."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from fake_run import empty, make_plan, write_run

from dssn.report import write_report
from dssn.report.binding import find_binding, waiting
from dssn.report.charts import cdf, cost, flowmap, phases, refusals, timeseries, utilisation
from dssn.report.charts.base import Chart, NoChart
from dssn.report.data import RunData
from dssn.report.facts import assumed, run_card, simulated
from dssn.report.html import all_charts, read_kpis, render
from dssn.report.numbers import show
from dssn_models.plan import TeePlan


class Page(HTMLParser):
    """Collects what a page refers to, its ids, and whether its tags are balanced."""

    VOID = frozenset({"meta", "br", "link", "img", "input", "hr"})

    def __init__(self):
        super().__init__()
        self.references, self.ids, self.open, self.tags = [], [], [], []
        self.texts = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href"):
                self.references.append(value)
            if name == "id":
                self.ids.append(value)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def page(run_folder, fake_plan):
    text = render(RunData.open(run_folder, fake_plan))
    parsed = Page()
    parsed.feed(text)
    return text, parsed


@pytest.mark.req("TB-08", "OPS-03")
def test_page_is_self_contained_and_well_formed(page):
    text, parsed = page
    assert parsed.open == []
    assert [r for r in parsed.references if not r.startswith(("#", "data:image/png"))] == []
    assert not re.search(r"url\((?!#)|@import|<script|https?://(?!www\.w3\.org)", text)
    assert len(parsed.ids) == len(set(parsed.ids))
    inside = {r[1:] for r in parsed.references if r.startswith("#")} | set(
        re.findall(r"url\(#([^)]+)\)", text)
    )
    assert inside <= set(parsed.ids)
    assert len(text) < 2_000_000


def test_page_says_what_was_asked_and_escapes_it(page):
    text, parsed = page
    assert "Does the report show what the tables hold?" in text
    assert "A made-up run &lt;with&gt; awkward &amp; characters" in text
    assert "with" not in parsed.tags


def test_every_figure_has_a_text_alternative(page):
    text, _ = page
    figures = text.count("<figure>")
    assert figures >= 7
    assert len(re.findall(r'<svg role="img" aria-label="[^"]{10,}"', text)) == figures


@pytest.mark.req("TB-08")
def test_every_headline_number_has_an_interval_or_a_reason(page, data):
    from dssn.report.numbers import headline, show_interval

    kpis, _ = read_kpis(data)
    rows = headline(kpis)
    assert len(rows) >= 10
    for row in rows:
        assert re.search(r" – |in every replication|none: .{5}", show_interval(row)), row.key


def test_objectives_are_judged_in_the_first_sentence(page, data):
    text, _ = page
    _, verdicts = read_kpis(data)
    assert sorted(v.met for v in verdicts) == ["met", "met", "missed"]
    assert "Of 3 objectives: 1 missed, 2 met." in text
    assert text.index("Of 3 objectives") < text.index("Key figures</h2>")


@pytest.mark.req("TB-10")
def test_hardware_is_called_simulated(page, data):
    text, _ = page
    assert any("sgx2" in s and "simulated" in s for s in simulated(data))
    assert "Simulated hardware" in text


@pytest.mark.req("TB-03")
def test_assumed_constants_are_listed_with_their_weight(data):
    mattered, others = assumed(data)
    by_name = {r["what"]: r for r in mattered + others}
    assert by_name["dsp.access: catalogue"]["value"] == "20 ms"
    assert by_name["dsp.access: catalogue"]["source"] == "guess for tests"
    assert by_name["row size"]["effect"] == "not estimated"
    assert all("%" in r["effect"] or " all " in r["effect"] for r in mattered)
    assert len(by_name) == len(mattered) + len(others)


@pytest.mark.req("TB-03")
def test_the_start_of_an_enclave_weighs_what_it_takes_of_the_orders_that_used_it(data):
    tee = TeePlan("sgx2", 1e9, start_s=2.0, start_s_per_byte=1e-8, quote_s=0.0, verify_s=0.5)
    nodes = tuple(replace(n, tee=tee) if n.id == "dsn0" else n for n in data.plan.nodes)
    rows = [
        (f"tee.sgx2.{name}", "?", "guess") for name in ("start_s", "start_s_per_byte", "quote_s", "slowdown")
    ]
    run = {**data.run, "assumptions": rows}
    changed = RunData(run, data.summary, folder=data.folder, plan=replace(data.plan, nodes=nodes))
    mattered, others = assumed(changed)
    effects = {r["what"].removeprefix("tee.sgx2."): r["effect"] for r in mattered + others}
    done = data.completed
    mean = done.loc[done["cls"] == "urgent", "order_to_result_s"].mean()  # one enclave of 1e8 bytes each
    for name, seconds in (("start_s", 2.0), ("start_s_per_byte", 1.0)):
        text = f"{show(seconds, 's')} per order with such an enclave, {show(seconds / mean, 'share', 2)} of its order"
        assert text in effects[name]
    assert (effects["quote_s"], effects["slowdown"]) == ("next to none", "not estimated")
    assert "tee.sgx2.start_s" in {r["what"] for r in mattered}


def test_what_shared_links_cost_stands_beside_the_phases(page, data):
    text, _ = page
    cost = show(find_binding(data).lost_s["link"], "s")
    assert f"Links that are shared cost {cost} per order" in text


def test_run_card_names_seed_hash_and_versions(data):
    card = dict(run_card(data))
    assert card["Seed"] == "7"
    assert card["Scenario hash"] == "ab" * 32
    assert "numpy" in card["Versions"]
    assert card["State"] == "completed"


def test_report_and_plots_are_written(tmp_path):
    folder = write_run(tmp_path / "run", make_plan(replications=1))
    path = write_report(folder, plots=True, plan=make_plan(replications=1))
    assert path == folder / "report.html"
    assert "One replication only" in path.read_text("utf-8")
    names = {p.name for p in (folder / "plots").iterdir()}
    assert {"phases.png", "phases.svg", "map.svg", "cdf-order-to-result.png", "timeseries.svg"} <= names
    assert not list(folder.glob(".report*"))


def test_a_figure_is_the_same_when_drawn_twice(data):
    again = RunData.open(data.folder, data.plan)
    assert phases.draw(data).svg() == phases.draw(again).svg()


def test_a_run_without_orders_gives_sentences_instead_of_figures(tmp_path):
    plan = make_plan(replications=2)
    folder = write_run(tmp_path / "empty", plan, "fake_run:empty")
    data = RunData.open(folder, plan)
    charts = all_charts(data)
    assert all(isinstance(c, NoChart) for c in charts)
    text = render(data, charts)
    assert "<figure>" not in text
    for chart in charts:
        assert chart.sentence.endswith(".")
    assert "No delivery was completed" in text
    assert empty(plan, 0)["orders"].num_rows == 0


def test_missing_run_json_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"run\.json"):
        RunData.open(tmp_path)


# ------------------------------------------------------------------ the numbers behind the figures


def test_phase_means_add_up_to_the_time_per_delivery(data):
    frame = phases.phase_means(data)
    done = data.after_warmup("deliveries")
    done = done[done["state"] == "completed"]
    for cls, part in frame.groupby("cls"):
        own = done[done["cls"] == cls].groupby("replication")["order_to_result_s"].mean().mean()
        assert part["mean_s"].sum() == pytest.approx(own)
        assert part["share"].sum() == pytest.approx(1)
    assert np.isfinite(frame["half_width_s"]).all()


def test_losses_and_completed_add_up_to_all_orders(data):
    frame = refusals.losses(data)
    orders = data.after_warmup("orders")
    assert frame["share"].sum() + (orders["state"] == "completed").mean() == pytest.approx(1)
    assert set(frame["kind"]) == {"refused", "failed"}


def test_under_way_counts_open_intervals():
    at = np.array([0.5, 1.5, 2.5, 9.0])
    counts = timeseries.under_way(np.array([0.0, 1.0, 2.0]), np.array([3.0, 2.0, np.inf]), at)
    assert counts.tolist() == [1, 2, 2, 1]


def test_busiest_is_sorted_and_complete(data):
    frame = utilisation.busiest(data, "links")
    assert len(frame) == 2 * len(data.plan.network.links)
    assert frame["mean"].is_monotonic_decreasing


def test_cost_table_averages_over_replications(data):
    frame = cost.cost_table(data).set_index(["engine", "cls"])
    done = data.after_warmup("deliveries")
    done = done[(done["state"] == "completed") & (done["cls"] == "bulk")]
    expected = done.groupby("replication")["cost_cny"].mean().mean()
    assert frame.loc[("api.query", "bulk"), "cost_cny"] == pytest.approx(expected)


def test_map_bytes_are_those_of_the_links_table(data):
    pairs = flowmap.pair_bytes(data, data.plan.network)
    links = data.table("links")
    core = {link.id for link in data.plan.network.links if not link.access}
    expected = links[links["link"].isin(core)]["bytes"].sum() / len(data.replications)
    assert sum(v[0] for v in pairs.values()) == pytest.approx(expected)


@pytest.mark.parametrize(("geographic", "where"), [(True, "coordinates put them"), (False, "Schematic")])
def test_map_says_whether_places_are_real(data, geographic, where):
    chart = flowmap.draw(
        RunData(data.run, data.summary, folder=data.folder, plan=make_plan(geographic=geographic))
    )
    assert isinstance(chart, Chart)
    assert where in chart.caption


def test_without_a_plan_the_map_is_left_out_with_a_reason(data):
    chart = flowmap.draw(RunData(data.run, data.summary, folder=data.folder))
    assert isinstance(chart, NoChart)
    assert "does not compile" in chart.sentence


@pytest.mark.parametrize("column", ["order_to_result_s", "bytes_wire", "cost_cny", "queue_s"])
def test_cdf_of_any_column(data, column):
    chart = cdf.draw(data, column, by="engine")
    assert isinstance(chart, Chart)
    assert "median" in chart.alt


def test_words_under_the_distribution_agree_with_the_table_of_figures(data):
    kpis, _ = read_kpis(data)
    alt = cdf.draw(data).alt
    for cls in data.classes:
        for stat, words in (("p50", "median "), ("p95", "95 % within ")):
            (found,) = [k for k in kpis if (k.name, k.stat, k.cls) == ("order_to_result", stat, cls)]
            part = next(p for p in alt.rstrip(".").split("; ") if p.startswith(f"{cls}: "))
            assert words + show(found.estimate, "s") in part
    assert "means over the replications" in cdf.draw(data).caption


def test_cdf_of_a_column_without_values_says_so(data):
    chart = cdf.draw(data, "trade_to_settle_s")
    assert isinstance(chart, NoChart)
    assert "trade_to_settle" in chart.sentence


# ------------------------------------------------------------------ the binding resource


def test_binding_names_the_resource_that_costs_most(data):
    tables = {
        n: data.table(n).copy()
        for n in ("orders", "deliveries", "phases", "flows", "links", "nodes", "services")
    }
    waits = tables["phases"]["phase"] == "coallocate"
    tables["phases"].loc[waits, "wait_s"] = 500.0
    node = RunData(data.run, data.summary, tables, plan=data.plan)
    assert find_binding(node).kind == "node"

    tables["flows"] = tables["flows"].assign(ideal_s=0.1, end_s=tables["flows"]["start_s"] + 5000.0)
    link = find_binding(RunData(data.run, data.summary, tables, plan=data.plan))
    assert (link.kind, link.name) == ("link", "access-drn0")

    tables["services"] = tables["services"].assign(wait_mean_s=9000.0)
    service = find_binding(RunData(data.run, data.summary, tables, plan=data.plan))
    assert (service.kind, service.name) == ("service", "dsp1")


def test_binding_is_none_when_nothing_waits(data):
    found = find_binding(data)
    assert found.kind == "none"
    assert "No resource binds" in found.sentence


@pytest.mark.req("TB-08")
def test_a_link_that_is_full_in_its_peak_is_named_though_nothing_binds_on_average(data):
    links = data.table("links").assign(mean_util=0.02, util_15min=0.05)
    links.loc[(links["link"] == "access-drn3") & (links["direction"] == "ab"), "util_15min"] = 0.97
    found = find_binding(
        RunData(data.run, data.summary, {"links": links}, folder=data.folder, plan=data.plan)
    )
    assert found.kind == "none"
    assert "Nearly full in their busiest quarter of an hour: access-drn3 ab (97 %)" in found.sentence


def test_a_node_that_jobs_hold_is_not_called_queued_for(data):
    nodes = data.table("nodes").assign(busy_15min=0.34, reserved_15min=0.5, util_reserved=0.4)
    nodes.loc[nodes["node"] == "dsn0", "reserved_15min"] = 1.0
    changed = RunData(data.run, data.summary, {"nodes": nodes}, folder=data.folder, plan=data.plan)
    found = find_binding(changed)
    assert found.kind == "none"
    assert "dsn0 (100 % held by jobs, 34 % executing)" in found.sentence
    waited = show(found.lost_s["node"], "s")
    assert found.sentence.endswith(f"Orders queued little for nodes: {waited} each.")
    assert "queued" not in find_binding(data).sentence

    shared = nodes.assign(busy_15min=1.0, reserved_15min=0.0, util_reserved=0.0)
    found = find_binding(
        RunData(data.run, data.summary, {"nodes": shared}, folder=data.folder, plan=data.plan)
    )
    assert "drn0 (100 % executing)" in found.sentence
    assert "work does not queue but takes longer" in found.sentence


def test_waiting_is_counted_by_quarter_of_an_hour(data):
    phases = data.table("phases").copy()
    deliveries = data.after_warmup("deliveries")
    done = deliveries[(deliveries["state"] == "completed") & (deliveries["arrived_s"] // 900 == 5)]
    keys = set(zip(done["replication"], done["order"], strict=True))
    inside = np.array([k in keys for k in zip(phases["replication"], phases["order"], strict=True)])
    phases["wait_s"] = 0.0
    phases.loc[inside & (phases["phase"] == "coallocate"), "wait_s"] = 80.0
    changed = RunData(data.run, data.summary, {"phases": phases}, folder=data.folder, plan=data.plan)
    share = waiting(changed)
    expected = 80.0 * len(done) / done["order_to_result_s"].sum()
    assert share.loc[5.0, "node"] == pytest.approx(expected)
    assert (share.drop(5.0)["node"] == 0).all()
    found = find_binding(changed)
    assert found.kind == "none"
    assert "But from 1:15 h to 1:30 h orders lost" in found.sentence


def test_template_is_beside_the_module():
    import dssn.report

    assert (Path(dssn.report.__file__).parent / "template.html").is_file()
