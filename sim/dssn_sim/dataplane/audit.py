"""Checks of the solver's invariant, from scratch and in plain Python: for tests and hard doubts."""

from __future__ import annotations

from math import inf

from dssn_sim.dataplane.layout import State

__all__ = ["audit"]


def audit(state: State, tolerance: float = 1e-9) -> list[str]:
    """Return what is wrong with a settled solver (nothing, if all is well).

    For every priority layer: no node carries more than its capacity, and every flow is either at
    its own cap, or crosses a full node on which no flow has a higher level. That is weighted
    max-min fairness. The counters that the incremental fill relies on are recounted too.
    """
    wrong: list[str] = []
    misc = state.misc[0]
    flows: dict[int, list[int]] = {}
    for leg in range(int(misc["top_leg"])):
        f = int(state.legs[leg]["flow"])
        if f >= 0:
            flows.setdefault(f, []).append(int(state.legs[leg]["node"]))
    load: dict[int, float] = {}
    top: dict[int, float] = {}
    size: dict[int, int] = {}
    level: dict[int, float] = {}
    for f, nodes in flows.items():
        row = state.flows[f]
        bott = int(row["bott"])
        level[f] = float(row["cap"] / row["w"]) if bott < 0 else float(state.nodes[bott]["lam"])
        if bott >= 0:
            size[bott] = size.get(bott, 0) + 1
            if bott not in nodes:
                wrong.append(f"flow {f} does not cross its bottleneck {bott}")
            if row["cap"] < inf and level[f] > row["cap"] / row["w"] * (1 + tolerance):
                wrong.append(f"flow {f} is above its cap")
        for n in nodes:
            load[n] = load.get(n, 0.0) + level[f] * float(row["w"])
            top[n] = max(top.get(n, 0.0), level[f])
    full = set()
    for n in range(int(misc["n_nodes"])):
        node = state.nodes[n]
        cap = float(node["cap"])
        carried = load.get(n, 0.0)
        if carried > cap * (1 + tolerance):
            wrong.append(f"node {n} carries {carried} of {cap}")
        if carried >= cap * (1 - tolerance):
            full.add(n)
        if abs(carried - float(node["sum"])) > tolerance * max(cap, 1e-300):
            wrong.append(f"node {n}: sum {node['sum']} but carries {carried}")
        if int(node["gsize"]) != size.get(n, 0):
            wrong.append(f"node {n}: {node['gsize']} members, counted {size.get(n, 0)}")
    for f, nodes in flows.items():
        bott = int(state.flows[f]["bott"])
        if bott >= 0 and bott not in full:
            wrong.append(
                f"flow {f}: bottleneck {bott} is not full ({load[bott]} of {state.nodes[bott]['cap']})"
            )
        if bott >= 0 and level[f] < top[bott] * (1 - tolerance):
            wrong.append(f"flow {f}: level {level[f]} below {top[bott]} on bottleneck {bott}")
        if bott < 0 and any(n in full and level[f] > _lowest(state, n) * (1 + tolerance) for n in nodes):
            wrong.append(f"flow {f}: held at a cap above its share")
    return wrong


def _lowest(state: State, n: int) -> float:
    """Return the level of a node's own group (inf: it is nobody's bottleneck)."""
    node = state.nodes[n]
    return float(node["lam"]) if int(node["gsize"]) > 0 else inf
