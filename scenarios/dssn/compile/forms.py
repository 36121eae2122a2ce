"""Checks of what the compliance review will say to the forms of delivery that streams ask for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dssn.compile.choices import parties_of
from dssn.compile.codes import Loc, RawProblem
from dssn.compile.judge import ANY
from dssn.compile.needs import of_entry
from dssn.compile.services import compliance
from dssn.compile.streams import groups
from dssn.compile.world import World
from dssn.schema.jobs import Job
from dssn_models.engines.registry import REGISTRY
from dssn_models.market.orders import ALTERNATE_CHANNEL
from dssn_models.trust.compliance import RulePack, common_forms, form_of

__all__ = ["check_forms"]


def check_forms(world: World) -> Iterator[RawProblem]:
    """W304, W307: what a stream orders may be delivered in the form that it asks for."""
    pack = RulePack.from_mapping(compliance(world.scenario.compliance))
    for i, spec in enumerate(world.scenario.workload):
        if spec.baseline:
            continue
        assets = list({a.id: a for share in groups(world, spec) for a in share.assets}.values())
        ways: list[tuple[str, Sequence[Job]]] = [(spec.channel, spec.steps)]
        if spec.alternate is not None:
            ways.append((ALTERNATE_CHANNEL, spec.alternate))
        for channel, jobs in ways:
            form = form_of(channel, REGISTRY[jobs[0].engine].confidentiality)
            # The requests of a dual channel have levels of their own.
            high = [a for a in assets if spec.threshold is None and form not in pack.levels[a.level].forms]
            other = [a for a in assets if form not in common_forms([a.forms])]
            refused = {a.id for a in (*high, *other)}
            if not refused:
                continue
            asked = f"'{form}'" if form == channel else f"'{form}' ({jobs[0].engine} under '{channel}')"
            why = [f"levels {', '.join(map(str, sorted({a.level for a in high})))}"] if high else []
            why += [f"forms {', '.join(sorted({f for a in other for f in a.forms}))}"] if other else []
            code, what = "W304", f"no chosen asset may be delivered as {asked}"
            if len(refused) < len(assets):
                code = "W307"
                what = f"{len(refused)} of {len(assets)} chosen assets may not be delivered as {asked}, first '{min(refused)}'"
            loc: Loc = ("workload", i)
            needs = (
                *((*loc, key) for key in ("channel", "baseline", "threshold")), (*loc, "job", "engine"),
                (*loc, "chain", ANY, "engine"), (*loc, "alternate", ANY, "engine"), ("compliance", "levels"),
                *of_entry("assets", "level"), *of_entry("assets", "forms"),
                *parties_of(world, spec, loc, consumers=False, assets=True),
            )  # fmt: skip
            yield RawProblem(code, loc, f"{what} ({'; '.join(why)})", "", "", needs)
