"""The network of workload W1: 31 province hubs, 341 cities, 888 directed links.

Synthetic, and the same on every machine: only ``random.Random(seed).random()`` and plain
arithmetic are used. ``topology.json`` has ``nodes`` (id, name, kind, lon, lat, weight, compute)
and ``links`` (id, a, b, cap_bps, lat_s), one entry a direction.
"""

from __future__ import annotations

import heapq
import json
import math
import random
from pathlib import Path
from typing import Any

from dssn_sim.bench.errors import BenchInputError

__all__ = ["Topology", "make_topology", "read_topology", "shortest_paths", "traffic", "write_topology"]

Topology = dict[str, Any]

# Name, longitude, latitude, population (millions, census of 2020, rounded), cities, national compute hub.
_HUBS = (
    ("Beijing", 116.4, 39.9, 21.9, 2, 1), ("Tianjin", 117.2, 39.1, 13.9, 2, 0),
    ("Hebei", 114.5, 38.0, 74.6, 11, 0), ("Shanxi", 112.5, 37.9, 34.9, 11, 0),
    ("InnerMongolia", 111.7, 40.8, 24.0, 12, 1), ("Liaoning", 123.4, 41.8, 42.6, 14, 0),
    ("Jilin", 125.3, 43.9, 24.1, 9, 0), ("Heilongjiang", 126.6, 45.8, 31.9, 13, 0),
    ("Shanghai", 121.5, 31.2, 24.9, 2, 1), ("Jiangsu", 118.8, 32.1, 84.7, 13, 0),
    ("Zhejiang", 120.2, 30.3, 64.6, 11, 0), ("Anhui", 117.3, 31.9, 61.0, 16, 0),
    ("Fujian", 119.3, 26.1, 41.5, 9, 0), ("Jiangxi", 115.9, 28.7, 45.2, 11, 0),
    ("Shandong", 117.0, 36.7, 101.5, 16, 0), ("Henan", 113.6, 34.8, 99.4, 17, 0),
    ("Hubei", 114.3, 30.6, 57.8, 13, 0), ("Hunan", 113.0, 28.2, 66.4, 14, 0),
    ("Guangdong", 113.3, 23.1, 126.0, 21, 1), ("Guangxi", 108.4, 22.8, 50.1, 14, 0),
    ("Hainan", 110.3, 20.0, 10.1, 4, 0), ("Chongqing", 106.6, 29.6, 32.1, 2, 1),
    ("Sichuan", 104.1, 30.7, 83.7, 21, 0), ("Guizhou", 106.7, 26.6, 38.6, 9, 1),
    ("Yunnan", 102.7, 25.0, 47.2, 16, 0), ("Tibet", 91.1, 29.7, 3.6, 7, 0),
    ("Shaanxi", 108.9, 34.3, 39.5, 10, 0), ("Gansu", 103.8, 36.1, 25.0, 14, 1),
    ("Qinghai", 101.8, 36.6, 5.9, 8, 0), ("Ningxia", 106.3, 38.5, 7.2, 5, 1),
    ("Xinjiang", 87.6, 43.8, 25.9, 14, 0),
)  # fmt: skip
_CAPACITIES_GBPS = (10, 25, 40, 50, 100, 200, 300, 400)
_BUSIEST_GBPS = 400.0
_NEIGHBOURS = 4  # every hub is joined to its nearest
_DETOUR = 1.3
_FIBRE_KM_PER_S = 2.0e5
_HOP_S = 50e-6


def _km(a: dict[str, Any], b: dict[str, Any]) -> float:
    """Return the great-circle distance (haversine, radius 6371 km)."""
    la1, la2 = math.radians(a["lat"]), math.radians(b["lat"])
    dlo = math.radians(a["lon"] - b["lon"])
    h = math.sin((la1 - la2) / 2) ** 2 + math.cos(la1) * math.cos(la2) * math.sin(dlo / 2) ** 2
    return 2 * 6371.0 * math.asin(math.sqrt(h))


def shortest_paths(n: int, links: list[dict[str, Any]]) -> list[list[tuple[int, ...]]]:
    """Return the links from each node to each node: least latency, ties to the lower node."""
    adjacent: list[list[tuple[int, float, int]]] = [[] for _ in range(n)]
    for link in links:
        adjacent[link["a"]].append((link["b"], link["lat_s"], link["id"]))
    for row in adjacent:
        row.sort()
    return [_tree(s, adjacent) for s in range(n)]


def _tree(source: int, adjacent: list[list[tuple[int, float, int]]]) -> list[tuple[int, ...]]:
    distance = [math.inf] * len(adjacent)
    route: list[tuple[int, ...]] = [()] * len(adjacent)
    done = [False] * len(adjacent)
    distance[source] = 0.0
    heap = [(0.0, source)]
    while heap:
        d, u = heapq.heappop(heap)
        if done[u]:
            continue
        done[u] = True
        for v, latency, link in adjacent[u]:
            if d + latency < distance[v] - 1e-15:
                distance[v] = d + latency
                route[v] = (*route[u], link)
                heapq.heappush(heap, (distance[v], v))
    return route


def traffic(nodes: list[dict[str, Any]]) -> tuple[list[tuple[int, int]], list[float]]:
    """Return the pairs of cities and their probabilities.

    60 % gravity between cities, 30 % from cities to those of the national compute hubs, 10 % back.
    """
    cities = [v for v in nodes if v["kind"] == "city"]
    weight = {v["id"]: v["weight"] for v in cities}
    total = sum(weight.values())
    compute = [v for v in cities if v["compute"]]
    hub = {v["id"]: 1.0 / len(compute) for v in compute}
    pairs, shares = [], []
    for a in weight:
        for b in weight:
            if a != b:
                share = 0.6 * weight[a] / total * weight[b] / total
                share += 0.3 * weight[a] / total * hub.get(b, 0.0)
                share += 0.1 * hub.get(a, 0.0) * weight[b] / total
                pairs.append((a, b))
                shares.append(share)
    whole = sum(shares)
    return pairs, [s / whole for s in shares]


def _cities(nodes: list[dict[str, Any]], rnd: random.Random) -> list[tuple[int, int]]:
    """Append the cities of every hub to ``nodes``; return their tree links (upper, city)."""
    tree = []
    for hub, (name, lon, lat, people, count, compute) in enumerate(_HUBS):
        raw = [1.0 / (i + 1) ** 0.7 for i in range(count)]
        whole = sum(raw)
        mine: list[int] = []
        for i in range(count):
            r = 0.4 + 2.2 * rnd.random()
            angle = 2 * math.pi * rnd.random()
            city = len(nodes)
            nodes.append(
                {
                    "id": city, "name": f"{name}-{i:02d}", "kind": "city",
                    "lon": round(lon + r * math.cos(angle), 3), "lat": round(lat + 0.8 * r * math.sin(angle), 3),
                    "weight": round(people * raw[i] / whole, 4), "compute": compute,
                }
            )  # fmt: skip
            # a quarter of the cities hang below an earlier city of the province, the others at the hub
            below = len(mine) >= 2 and rnd.random() < 0.25
            tree.append((mine[int(rnd.random() * min(3, len(mine)))] if below else hub, city))
            mine.append(city)
    return tree


def _mesh(nodes: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """Return the links between hubs: compute hubs fully meshed, every hub to its nearest."""
    core = [i for i, hub in enumerate(_HUBS) if hub[5]]
    mesh = {(i, j) for i in core for j in core if i < j}
    for i in range(len(_HUBS)):
        near = sorted((_km(nodes[i], nodes[j]), j) for j in range(len(_HUBS)) if j != i)
        mesh |= {(min(i, j), max(i, j)) for _, j in near[:_NEIGHBOURS]}
    return sorted(mesh)


def make_topology(seed: int = 20240101) -> Topology:
    """Return the network; capacities follow the traffic, so that links are loaded within a factor of two."""
    rnd = random.Random(seed)
    nodes: list[dict[str, Any]] = [
        {"id": i, "name": name, "kind": "hub", "lon": lon, "lat": lat, "weight": 0.0, "compute": compute}
        for i, (name, lon, lat, _, _, compute) in enumerate(_HUBS)
    ]
    tree = _cities(nodes, rnd)
    links: list[dict[str, Any]] = []
    for u, v in _mesh(nodes) + tree:
        latency = round(_km(nodes[u], nodes[v]) * _DETOUR / _FIBRE_KM_PER_S + _HOP_S, 6)
        for a, b in ((u, v), (v, u)):
            links.append({"id": len(links), "a": a, "b": b, "cap_bps": 0, "lat_s": latency})
    load = [0.0] * len(links)
    paths = shortest_paths(len(nodes), links)
    pairs, shares = traffic(nodes)
    for (s, t), share in zip(pairs, shares, strict=True):
        for link in paths[s][t]:
            load[link] += share
    busiest = max(load)
    for i in range(0, len(links), 2):
        need = max(load[i], load[i + 1]) / busiest * _BUSIEST_GBPS
        size = next((c for c in _CAPACITIES_GBPS if c >= need), _CAPACITIES_GBPS[-1])
        links[i]["cap_bps"] = links[i + 1]["cap_bps"] = size * 10**9
    return {"nodes": nodes, "links": links}


def write_topology(path: Path, topology: Topology) -> None:
    """Write ``topology.json``, a line a node or link."""
    nodes, links = (",\n".join(map(json.dumps, topology[k])) for k in ("nodes", "links"))
    path.write_text(f'{{"nodes":[\n{nodes}\n],"links":[\n{links}\n]}}\n', encoding="utf-8")


def read_topology(path: Path) -> Topology:
    """Read ``topology.json``; links must be numbered 0, 1, ... and have a capacity and a latency.

    Raises
    ------
    BenchInputError
        If it is not such a file.
    """
    try:
        topology = json.loads(path.read_text(encoding="utf-8"))
        links = topology["links"]
        for i, link in enumerate(links):
            if link["id"] != i or not link["cap_bps"] >= 0 or not link["lat_s"] >= 0:
                raise BenchInputError(
                    f"{path}: link {i}: needs id {i}, cap_bps of 0 or more and lat_s of 0 or more, not {link}"
                )
    except (ValueError, KeyError, TypeError) as error:
        raise BenchInputError(
            f"{path}: not a topology with links of id, cap_bps and lat_s ({error})"
        ) from None
    return dict(topology)
