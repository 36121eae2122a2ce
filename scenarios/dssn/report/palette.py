"""Colours and matplotlib settings of all figures.

Okabe and Ito's palette (https://jfly.uni-koeln.de/color/) stays apart for the common kinds of
colour blindness. Classes keep one colour through the whole report; so do phases.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

__all__ = [
    "BAD",
    "GOOD",
    "GREY",
    "INK",
    "NEUTRAL",
    "OKABE_ITO",
    "OTHER",
    "class_colours",
    "phase_colours",
    "style",
]

OKABE_ITO: Final = (
    "#0072B2",  # blue
    "#E69F00",  # orange
    "#009E73",  # bluish green
    "#CC79A7",  # reddish purple
    "#56B4E9",  # sky blue
    "#D55E00",  # vermillion
    "#F0E442",  # yellow
)
INK: Final = "#1f2933"
GREY: Final = "#6b7785"
OTHER: Final = "#b8c0c8"
GOOD: Final = "#009E73"
BAD: Final = "#D55E00"
NEUTRAL: Final = "#0072B2"


def class_colours(classes: Iterable[str]) -> dict[str, str]:
    """Return class id to colour, in the order given; after seven classes the colours repeat."""
    return {c: OKABE_ITO[i % len(OKABE_ITO)] for i, c in enumerate(classes)}


def phase_colours(phases: Iterable[str]) -> dict[str, str]:
    """Return phase name to colour; ``other`` is grey."""
    table = {p: OKABE_ITO[i % len(OKABE_ITO)] for i, p in enumerate(p for p in phases if p != "other")}
    table["other"] = OTHER
    return table


@contextmanager
def style() -> Iterator[None]:
    """Set the look of a figure, and make its SVG reproducible (fixed ids, text kept as text)."""
    import matplotlib as mpl

    with mpl.rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "dssn",
            "font.family": "sans-serif",
            "font.sans-serif": ["DejaVu Sans", "Noto Sans CJK SC", "sans-serif"],
            "font.size": 9,
            "axes.titlesize": 10,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.labelsize": 9,
            "axes.edgecolor": GREY,
            "axes.labelcolor": INK,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": "#e3e7eb",
            "grid.linewidth": 0.6,
            "text.color": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "legend.frameon": False,
            "legend.fontsize": 8.5,
            "figure.facecolor": "white",
            "hatch.linewidth": 0.6,
            "hatch.color": "white",
        }
    ):
        yield
