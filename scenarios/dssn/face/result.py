"""The result of a run in Python: KPIs and tables as pandas, Arrow inside, plots and report."""

from __future__ import annotations

from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from dssn.plots import Plots
    from dssn.report.data import RunData
    from dssn_models.plan import Plan
    from dssn_sim.runs import RunFolder

__all__ = ["Result"]


class Result:
    """A finished run.

    Attributes
    ----------
    path : Path
        The run folder: ``run.json``, ``summary.json``, ``tables/*.parquet``, ``report.html``.
    kpis : DataFrame
        One row a KPI, with interval; see ``docs/models/statistics.md``.
    objectives : DataFrame
        The verdict on each objective.
    plot : Plots
        Figures: ``res.plot.cdf("order_to_result_s")``.
    """

    def __init__(self, folder: RunFolder, plan: Plan | None = None, keep: Any = None) -> None:
        self._folder = folder
        self._plan = plan
        self._keep = keep  # a temporary folder lives as long as its result

    @property
    def path(self) -> Path:
        """The run folder."""
        return self._folder.path

    @property
    def state(self) -> str:
        """``completed``, ``partial``, ``failed`` or ``interrupted``."""
        return self._folder.state

    @property
    def info(self) -> dict[str, Any]:
        """``run.json``: versions, seed, cost entries, failures."""
        return dict(self._folder.run)

    @cached_property
    def kpis(self) -> pd.DataFrame:
        """All KPIs in SI units: ``name stat cls part unit estimate low high n method objective met ...``."""
        import pandas as pd

        return pd.DataFrame([k.as_dict() for k in self._folder.kpis]).set_index("key")

    @cached_property
    def objectives(self) -> pd.DataFrame:
        """The objectives with their verdicts: met, missed or undecided."""
        import pandas as pd

        columns = [
            "text",
            "kpi",
            "cls",
            "stat",
            "bound",
            "direction",
            "met",
            "estimate",
            "low",
            "high",
            "key",
            "why",
        ]
        return pd.DataFrame([v.as_dict() for v in self._folder.objectives], columns=columns)

    def kpi(self, name: str, stat: str | None = None, cls: str = "", part: str = "") -> float:
        """Return the estimate of one KPI, SI units."""
        return float(self._folder.kpi(name, stat, cls, part).estimate)

    def table(self, name: str, replication: int | None = None) -> pd.DataFrame:
        """Return a result table as a data frame (``orders deliveries phases flows links nodes ...``)."""
        return self._folder.pandas(name, replication)

    def arrow(self, name: str, replication: int | None = None) -> pa.Table:
        """Return a result table as Arrow."""
        return self._folder.table(name, replication)

    def sql(self, query: str) -> pd.DataFrame:
        """Return what DuckDB answers; every table is a view. Write ``"order"`` for the column of that name."""
        return self._folder.sql(query)

    @cached_property
    def plot(self) -> Plots:
        """Figures of this run."""
        from dssn.plots import Plots

        return Plots(self._data)

    @cached_property
    def _data(self) -> RunData:
        from dssn.report.data import RunData

        return RunData.open(self.path, self._plan)

    def answer(self) -> str:
        """Return the answer in words, as at the top of the report."""
        from dssn.report.answer import answer

        return "\n".join(answer(self._data, self._folder.kpis, self._folder.objectives))

    def report(self, *, plots: bool = False) -> Path:
        """Write ``report.html`` into the run folder and return its path."""
        from dssn.report.html import write_report

        return write_report(self.path, plots=plots, plan=self._plan)

    def trace(self, *, gzip: bool = False) -> Path:
        """Write ``trace.json`` for https://ui.perfetto.dev and return its path."""
        from dssn.report.trace import write_trace

        return write_trace(self.path, gzip=gzip)

    def __repr__(self) -> str:
        return f"Result({self._folder.run['scenario']['name']!r}, {self.state}, {str(self.path)!r})"

    def _repr_html_(self) -> str:
        """Show the answer and the first KPIs."""
        from dssn.report.numbers import headline, show_kpi, statistic, subject, title

        sentences = "".join(f"<p>{escape(s)}</p>" for s in self.answer().split("\n"))
        rows = ""
        for k in headline(self._folder.kpis):
            value, interval = show_kpi(k)
            cells = (title(k.name), subject(k), statistic(k.stat), value, interval, k.met)
            rows += "<tr>" + "".join(f"<td>{escape(c)}</td>" for c in cells) + "</tr>"
        name = escape(str(self._folder.run["scenario"]["title"]))
        head = "<tr><th>KPI</th><th>of</th><th>statistic</th><th>value</th><th>interval</th><th>objective</th></tr>"
        return f"<h4>{name}</h4>{sentences}<table>{head}{rows}</table>"
