"""Figures of a run for notebooks: ``res.plot.cdf(...)`` and the others of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dssn.report.charts.base import Chart, NoChart
    from dssn.report.data import RunData

__all__ = ["Plots"]


class Plots:
    """Draws the figures of one run.

    Each method returns a chart that shows itself in a notebook; ``chart.figure`` is the matplotlib
    figure, ``chart.save(folder)`` writes PNG and SVG, ``chart.caption`` says what is shown. Where there is
    nothing to draw, the answer says so in a sentence.
    """

    def __init__(self, data: RunData) -> None:
        self._data = data

    def cdf(
        self, column: str = "order_to_result_s", by: str = "cls", table: str = "deliveries"
    ) -> Chart | NoChart:
        """Distribution of a column, one line per value of ``by``, with a band over the replications.

        Raises
        ------
        RunError
            If there is no such table or column, or the column holds no numbers.
        """
        from dssn.report.charts import cdf
        from dssn_models.results import TABLES
        from dssn_sim.runs.errors import unknown

        if table not in TABLES:
            raise unknown("result table", table, TABLES)
        columns = TABLES[table].columns
        numbers = [c.name for c in columns if c.type in ("float64", "int64", "int32")]
        name = column if column in numbers else f"{column}_s"
        if name not in numbers:
            raise unknown(f"column of numbers in table {table!r}:", column, numbers)
        if by not in (groups := ["replication", *TABLES[table].names]):
            raise unknown(f"column in table {table!r}:", by, groups)
        return cdf.draw(self._data, name, by, table)

    def phases(self) -> Chart | NoChart:
        """Mean time of each phase, stacked by class; waiting hatched."""
        from dssn.report.charts import phases

        return phases.draw(self._data)

    def timeseries(self) -> Chart | NoChart:
        """Arrivals and completions, deliveries under way, refusals and failures over time."""
        from dssn.report.charts import timeseries

        return timeseries.draw(self._data)

    def utilisation(self) -> Chart | NoChart:
        """Busiest nodes, links and services, and how all are spread."""
        from dssn.report.charts import utilisation

        return utilisation.draw(self._data)

    def map(self) -> Chart | NoChart:
        """Sites where they lie, links as wide as the bytes they carried."""
        from dssn.report.charts import flowmap

        return flowmap.draw(self._data)

    def refusals(self) -> Chart | NoChart:
        """From all orders to completed ones: what was lost, by reason."""
        from dssn.report.charts import refusals

        return refusals.draw(self._data)

    def cost(self) -> Chart | NoChart:
        """Mean cost per delivery by engine and class."""
        from dssn.report.charts import cost

        return cost.draw(self._data)

    def all(self) -> list[Chart | NoChart]:
        """Every figure of the report, in its order."""
        from dssn.report.html import all_charts

        return all_charts(self._data)
