"""Map of flows: sites where they lie, links as wide as the bytes they carried."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from dssn.report.charts.base import Chart, NoChart, new_figure, shorten
from dssn.report.palette import INK, OTHER, style
from dssn_models.units import format_quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from dssn.report.data import RunData
    from dssn_models.plan import NetworkPlan

__all__ = ["draw", "layout", "pair_bytes"]

_KEY, _TITLE = "map", "Map of flows"


def pair_bytes(data: RunData, network: NetworkPlan) -> dict[tuple[str, str], tuple[float, float]]:
    """Return (site, site) to (bytes per replication, largest average utilisation), all planes and both ways together."""
    links = data.table("links")
    n = max(links["replication"].nunique(), 1)
    totals = links.groupby("link")["bytes"].sum() / n
    utils = links.groupby("link")["mean_util"].max()
    result: dict[tuple[str, str], tuple[float, float]] = {}
    for link in network.links:
        if link.access:
            continue
        pair = (min(link.a, link.b), max(link.a, link.b))
        carried, util = result.get(pair, (0.0, 0.0))
        result[pair] = (carried + float(totals.get(link.id, 0.0)), max(util, float(utils.get(link.id, 0.0))))
    return result


def layout(network: NetworkPlan) -> tuple[dict[str, tuple[float, float]], bool]:
    """Return site positions and whether they are geographic.

    Geographic: equirectangular with the middle latitude kept true to length. Otherwise a circle up to 12
    sites, above that a spring layout with a fixed seed.
    """
    places = {(s.lat, s.lon) for s in network.sites}
    if len(places) > max(1, len(network.sites) // 2):
        middle = math.radians(sum(s.lat for s in network.sites) / len(network.sites))
        return {s.id: (s.lon * math.cos(middle), s.lat) for s in network.sites}, True
    import networkx as nx

    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(s.id for s in network.sites)
    graph.add_edges_from((link.a, link.b) for link in network.links if not link.access)
    positions: Mapping[str, np.ndarray] = (
        nx.circular_layout(graph) if len(graph) <= 12 else nx.spring_layout(graph, seed=1)
    )
    return {k: (float(v[0]), float(v[1])) for k, v in positions.items()}, False


def draw(data: RunData) -> Chart | NoChart:
    """Draw the sites and the bytes between them."""
    if data.plan is None:
        return NoChart(
            _KEY,
            _TITLE,
            "The resolved scenario of this run does not compile with this version, so the map is left out.",
        )
    network = data.plan.network
    pairs = pair_bytes(data, network)
    carried = {p: v for p, v in pairs.items() if v[0] > 0}
    if len(network.sites) < 2 or not pairs:
        return NoChart(_KEY, _TITLE, "The network has one site only, so there are no links to map.")
    if not carried:
        return NoChart(_KEY, _TITLE, "No byte crossed a link between sites.")
    positions, geographic = layout(network)
    most = max(v[0] for v in carried.values())
    with style():
        figure = new_figure(7.2, 5.6 if geographic else 4.8)
        axes = figure.add_subplot()
        _links(figure, axes, pairs, positions, most)
        _sites(axes, data, network, positions, carried)
        axes.set_aspect("equal")
        axes.axis("off")
        axes.margins(0.05)
    top = sorted(carried.items(), key=lambda item: -item[1][0])[:3]
    named = ", ".join(f"{a} – {b} ({format_quantity(v[0], 'size')})" for (a, b), v in top)
    if not geographic:
        where = "Schematic: the scenario gives no coordinates"
    elif any(s.province or s.region for s in network.sites):
        where = "Sites at their longitude and latitude"
    else:
        where = "Sites where the topology's coordinates put them (those of generated topologies are made up)"
    caption = (
        f"{where}. Line width: bytes carried per replication, all planes and both directions together (widest: "
        f"{format_quantity(most, 'size')}); colour: highest average utilisation of a direction. Circle size: nodes at the site."
    )
    return Chart(_KEY, _TITLE, caption, f"Most bytes between {named}.", figure)


def _links(figure: Figure, axes: Axes, pairs: Mapping[tuple[str, str], tuple[float, float]],
           positions: Mapping[str, tuple[float, float]], most: float) -> None:  # fmt: skip
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.collections import LineCollection
    from matplotlib.colors import Normalize

    ordered = sorted(pairs.items(), key=lambda item: item[1][0])
    segments = [(positions[a], positions[b]) for (a, b), _ in ordered if a in positions and b in positions]
    values = [v for (a, b), v in ordered if a in positions and b in positions]
    top = max((v[1] for v in values), default=0.0)
    norm = Normalize(0.0, max(top, 1e-6))
    cmap = colormaps["cividis_r"]
    colours = [cmap(norm(v[1])) if v[0] > 0 else OTHER for v in values]
    widths = [0.5 if v[0] <= 0 else 0.7 + 6.3 * math.sqrt(v[0] / most) for v in values]
    axes.add_collection(
        LineCollection(segments, colors=colours, linewidths=widths, capstyle="round", zorder=1)
    )
    bar = figure.colorbar(
        ScalarMappable(norm, cmap), ax=axes, shrink=0.5, pad=0.01, location="bottom", aspect=40
    )
    bar.ax.xaxis.set_major_formatter(lambda v, _: format_quantity(float(v), "share", 2) if v else "0 %")
    bar.set_label("average utilisation", fontsize=8)


def _sites(axes: Axes, data: RunData, network: NetworkPlan, positions: Mapping[str, tuple[float, float]],
           carried: Mapping[tuple[str, str], tuple[float, float]]) -> None:  # fmt: skip
    assert data.plan is not None
    nodes: dict[str, int] = {}
    for node in data.plan.nodes:
        nodes[node.site] = nodes.get(node.site, 0) + 1
    xs = [positions[s.id][0] for s in network.sites]
    ys = [positions[s.id][1] for s in network.sites]
    sizes = [10 + 14 * math.sqrt(nodes.get(s.id, 0)) for s in network.sites]
    axes.scatter(xs, ys, s=sizes, color="white", edgecolors=INK, linewidths=1.0, zorder=2)
    load: dict[str, float] = {}
    for (a, b), (volume, _) in carried.items():
        load[a] = load.get(a, 0.0) + volume
        load[b] = load.get(b, 0.0) + volume
    _label(axes, sorted(load, key=lambda s: -load[s]), positions)


def _label(axes: Axes, sites: Sequence[str], positions: Mapping[str, tuple[float, float]]) -> None:
    """Name the sites, busiest first, leaving out names that would cover one already there."""
    from matplotlib.patheffects import withStroke

    halo = withStroke(linewidth=2.2, foreground="white")
    every = np.array([positions[s] for s in sites])
    width, height = np.maximum(np.ptp(every, axis=0), 1e-9)
    size = max(width, height)
    taken: list[tuple[float, float, float, float]] = []
    for site in sites:
        x, y = positions[site]
        text = shorten(site, 16)
        box = (x, y, x + size * (0.012 + 0.0125 * len(text)), y + size * 0.024)
        if any(box[0] < t[2] and t[0] < box[2] and box[1] < t[3] and t[1] < box[3] for t in taken):
            continue
        taken.append(box)
        axes.annotate(
            text, (x, y), xytext=(4, 3), textcoords="offset points", fontsize=7, color=INK, zorder=3, path_effects=[halo]
        )  # fmt: skip
