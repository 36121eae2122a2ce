"""The DSSN testbed: one scenario file, from order to bill.

Everything a notebook needs is here; see ``docs/python.md``. Names load on first use, so that
``import dssn`` costs nothing.

Examples
--------
::

    import dssn

    sc = dssn.load("metro")
    res = dssn.run(sc, replications=5)
    res.kpis                       # pandas
    res.table("deliveries")        # pandas
    res.plot.cdf("order_to_result_s")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dssn.face.catalogue import engines, policies, scenarios
    from dssn.face.result import Result
    from dssn.face.scenario import Scenario, check, load, loads
    from dssn.face.study import Comparison, Sweep, compare, open_run, run, sweep
    from dssn.plots import Plots
    from dssn.problems import Problem, Problems
    from dssn_models.policies.failed import PolicyFailed
    from dssn_models.units import format_quantity, parse_quantity
    from dssn_sim.runs.errors import RunError

__all__ = [
    "Comparison",
    "Plots",
    "PolicyFailed",
    "Problem",
    "Problems",
    "Result",
    "RunError",
    "Scenario",
    "Sweep",
    "check",
    "compare",
    "engines",
    "format_quantity",
    "load",
    "loads",
    "open_run",
    "parse_quantity",
    "policies",
    "run",
    "scenarios",
    "sweep",
]

_WHERE = {
    "Comparison": "dssn.face.study",
    "Plots": "dssn.plots",
    "PolicyFailed": "dssn_models.policies.failed",
    "Problem": "dssn.problems",
    "Problems": "dssn.problems",
    "Result": "dssn.face.result",
    "RunError": "dssn_sim.runs.errors",
    "Scenario": "dssn.face.scenario",
    "Sweep": "dssn.face.study",
    "check": "dssn.face.scenario",
    "compare": "dssn.face.study",
    "engines": "dssn.face.catalogue",
    "format_quantity": "dssn_models.units",
    "load": "dssn.face.scenario",
    "loads": "dssn.face.scenario",
    "open_run": "dssn.face.study",
    "parse_quantity": "dssn_models.units",
    "policies": "dssn.face.catalogue",
    "run": "dssn.face.study",
    "scenarios": "dssn.face.catalogue",
    "sweep": "dssn.face.study",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name in _WHERE:
        from importlib import import_module

        value = getattr(import_module(_WHERE[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'dssn' has no attribute {name!r}; there are {', '.join(__all__)}")


def __dir__() -> list[str]:
    """Let editors complete the public names."""
    return sorted([*globals(), *__all__])
