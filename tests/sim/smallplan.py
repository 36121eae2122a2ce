"""A three-city plan made by hand: every number on one page, so that times can be computed on paper."""

from dataclasses import replace

from dssn.compile.services import NEEDED as OPERATIONS
from dssn_models.dist import Dist, constant
from dssn_models.plan import (
    ArrivalPlan,
    AssetPlan,
    ClassPlan,
    JobStepPlan,
    LinkPlan,
    NetOrderPlan,
    NetworkPlan,
    NodePlan,
    ObjectivePlan,
    OperationPlan,
    PartyPlan,
    Plan,
    PolicyPlan,
    RoutingPlan,
    RunPlan,
    SelectorPlan,
    ServicePlan,
    SitePlan,
    StreamPlan,
    TeePlan,
)


def services(site="A", service_s=0.002):
    return tuple(
        ServicePlan(kind, kind, site, 4, {op: OperationPlan(constant(service_s)) for op in ops})
        for kind, ops in OPERATIONS.items()
    )


def network(protection="restoration", rate=1e9, plane="ip"):
    """A triangle A-B-C, 100 km (0.5 ms) a side; two planes; nodes hang on 1 Gbit/s access links."""
    sites = tuple(SitePlan(x, lat=30 + i, lon=110 + i) for i, x in enumerate("ABC"))
    links = []

    def add(ident, a, b, tech, rate_bps, delay, access=False, isolation="soft", setup=0.0):
        links.append(
            LinkPlan(
                len(links), ident, a, b, tech, rate_bps, rate_bps, delay, access=access, isolation=isolation,
                setup_s=setup, price_cny_per_mbps_month=100.0,
            )
        )  # fmt: skip

    for a, b in ("AB", "BC", "AC"):
        add(f"ip:{a}-{b}", a, b, "ip", rate, 0.0005)
        add(f"otn:{a}-{b}", a, b, "otn", rate, 0.0005, isolation="hard", setup=5.0)
    for node, site in (
        ("drn1", "A"),
        ("dsn1", "B"),
        ("dsn2", "C"),
        ("pool1", "B"),
        ("tee1", "C"),
        ("dsn3", "B"),
    ):
        add(f"access:{node}", node, site, "pon", 1e9, 0.0001, access=True)
    return NetworkPlan(
        sites, tuple(links), RoutingPlan(protection=protection, restoration_s=2.0, switch_s=0.05)
    )


def nodes(sharing="reserved"):
    def node(ident, role, site, **more):
        return NodePlan(
            ident, role, site, f"party-{ident}", cores=8, memory_bytes=16e9, sharing=sharing,
            price_cny_per_hour=4.0, **more,
        )  # fmt: skip

    return (
        node("drn1", "drn", "A"), node("dsn1", "dsn", "B"), node("dsn2", "dsn", "C"), node("pool1", "pool", "B"),
        node("tee1", "tee_pool", "C", tee=TeePlan("sgx2", 8e9, 1.1, 5.0, 0.1)), node("dsn3", "dsn", "B"),
    )  # fmt: skip


def stream(engine="psi.ecdh", channel="privacy", ident="s", times=(10.0,), parties=1, cls="standard", **more):
    params = more.pop("params", {"rows": constant(1e5)} if engine.startswith("psi") else {})
    fields = {
        "id": ident, "cls": cls, "arrivals": ArrivalPlan("schedule", times=tuple(times)),
        "consumers": SelectorPlan(("drn1",)), "assets": SelectorPlan(("a1",) if parties == 1 else ("a1", "a2")),
        "parties": constant(float(parties)), "steps": (JobStepPlan("job", engine, params=params),), "channel": channel,
    }  # fmt: skip
    return StreamPlan(**{**fields, **more})


def plan(streams=None, **more):
    """Return the small plan; keyword arguments replace its fields."""
    fields = {
        "name": "small", "title": "Small", "question": "?", "network": network(), "nodes": nodes(), "services": services(),
        "parties": tuple(PartyPlan(f"party-{n}", "provider") for n in ("drn1", "dsn1", "dsn2", "dsn3", "pool1", "tee1")),
        "assets": (
            AssetPlan("a1", "dsn1", level=1, rows=1e5), AssetPlan("a2", "dsn2", level=1, rows=1e5),
            AssetPlan("a3", "dsn3", level=1),
        ),
        "classes": (ClassPlan("urgent", 0, 4.0, 60.0), ClassPlan("standard", 1, 2.0, 600.0), ClassPlan("bulk", 2, 1.0)),
        "streams": tuple(streams or (stream(),)),
        "policies": {
            "placement": PolicyPlan("placement", "nearest"), "admission": PolicyPlan("admission", "always"),
            "queueing": PolicyPlan("queueing", "priority"),
        },
        "faults": (), "objectives": (ObjectivePlan("order_to_result", 60.0),),
        "run": RunPlan(3600.0, sample_s=600.0, seed=7), "tariff": {}, "compliance": {},
    }  # fmt: skip
    return Plan(**{**fields, **more})


__all__ = [
    "Dist",
    "NetOrderPlan",
    "constant_stream",
    "network",
    "nodes",
    "plan",
    "replace",
    "services",
    "stream",
]


def constant_stream(n):
    """Return a Poisson stream of about n PSI orders of random size within the hour."""
    return stream(
        arrivals=ArrivalPlan("poisson", rate=n / 3600),
        params={"rows": Dist("lognormal", 1e5, 0.5, high=1e6)},
    )
