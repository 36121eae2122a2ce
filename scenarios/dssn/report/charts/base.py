"""A figure with its words: title, caption and text alternative."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dssn.report.palette import style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

__all__ = ["Chart", "NoChart", "duration_axis", "interval_half_width", "new_figure", "shorten"]


@dataclass(frozen=True)
class Chart:
    """A drawn figure.

    Attributes
    ----------
    key : str
        Short name; file name of the PNG and SVG, and prefix of the ids inside the page.
    title : str
        Heading.
    caption : str
        What is shown, which interval or why none.
    alt : str
        Text alternative: the finding in one sentence, for those who cannot see the figure.
    figure : Figure
        The matplotlib figure.
    informative : bool
        False if it shows one value only; the report leaves such a figure out where it may.
    """

    key: str
    title: str
    caption: str
    alt: str
    figure: Figure
    informative: bool = True

    def svg(self) -> str:
        """Return the figure as an SVG element that can stand inside HTML, ids made unique by ``key``."""
        buffer = io.StringIO()
        with style():
            self.figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        text = buffer.getvalue()
        text = text[text.index("<svg") :]
        text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
        text = re.sub(r'\bid="([^"]+)"', rf'id="{self.key}-\1"', text)
        text = re.sub(r'(xlink:href="|url\()#', rf"\1#{self.key}-", text)
        label = self.alt.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
        return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)

    def save(self, folder: str | Path) -> list[Path]:
        """Write ``key.png`` and ``key.svg`` into a folder and return their paths."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{self.key}.png", folder / f"{self.key}.svg"]
        with style():
            self.figure.savefig(paths[0], dpi=160)
            self.figure.savefig(paths[1], metadata={"Date": None})
        return paths

    def _repr_png_(self) -> bytes:
        """Show the figure in a notebook."""
        buffer = io.BytesIO()
        with style():
            self.figure.savefig(buffer, format="png", dpi=110)
        return buffer.getvalue()


@dataclass(frozen=True)
class NoChart:
    """Why there is no figure."""

    key: str
    title: str
    sentence: str

    @property
    def caption(self) -> str:
        """The sentence, where a chart has its caption."""
        return self.sentence

    def save(self, folder: str | Path) -> list[Path]:
        """Write nothing, and say so by an empty list."""
        return []

    def _repr_html_(self) -> str:
        """Show the sentence in a notebook."""
        from html import escape

        return f"<p><em>{escape(self.sentence)}</em></p>"


def new_figure(width: float = 7.2, height: float = 3.2) -> Figure:
    """Return an empty figure (inches) that lays itself out; no pyplot, no global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def duration_axis(largest_s: float) -> tuple[float, str]:
    """Return the factor and unit that suit an axis which ends at ``largest_s``."""
    for factor, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms")):
        if largest_s >= 2 * factor:
            return factor, unit
    return 1e-6, "us"


def interval_half_width(values: Sequence[float], confidence: float) -> float | None:
    """Return the half width of Student's t interval of the mean, or None below two values."""
    import numpy as np

    sample = np.asarray([v for v in values if np.isfinite(v)], dtype=float)
    if len(sample) < 2:
        return None
    from dssn_sim.stats.intervals import t_value

    return t_value(confidence, len(sample) - 1) * float(sample.std(ddof=1)) / float(np.sqrt(len(sample)))


def shorten(text: str, limit: int = 28) -> str:
    """Return a label cut in the middle to at most ``limit`` characters."""
    if len(text) <= limit:
        return text
    half = (limit - 1) // 2
    return f"{text[:half]}…{text[-half:]}"
