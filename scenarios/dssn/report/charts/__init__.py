"""Figures: each module draws one kind and says in words what it shows.

A draw function takes :class:`~dssn.report.data.RunData` and returns a
:class:`~dssn.report.charts.base.Chart`, or a :class:`~dssn.report.charts.base.NoChart` with the sentence that
stands in its place when there is nothing to draw.
"""
