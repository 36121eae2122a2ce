"""Reports: one self-contained HTML page for a run, its figures, and a trace for Perfetto.

``write_report(folder)`` reads a run folder and nothing else; it never needs the simulator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dssn.report.html import write_report
    from dssn.report.trace import write_trace

__all__ = ["write_report", "write_trace"]


def __getattr__(name: str) -> Any:
    """Import on first use, so that the command line starts quickly."""
    if name == "write_report":
        from dssn.report.html import write_report

        return write_report
    if name == "write_trace":
        from dssn.report.trace import write_trace

        return write_trace
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
