"""Statistics of runs: warm-up cut, KPIs with intervals, objectives, binding resource, comparison."""

from dssn_sim.stats.binding import Binding, binding
from dssn_sim.stats.compare import Comparison, PairedKpi, compare, paired
from dssn_sim.stats.facts import RunFacts
from dssn_sim.stats.intervals import Interval
from dssn_sim.stats.kpi import Kpi, Verdict, judge, kpis
from dssn_sim.stats.measures import KPIS

__all__ = [
    "KPIS",
    "Binding",
    "Comparison",
    "Interval",
    "Kpi",
    "PairedKpi",
    "RunFacts",
    "Verdict",
    "binding",
    "compare",
    "judge",
    "kpis",
    "paired",
]
