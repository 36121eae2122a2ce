"""Help texts from docstrings: prose is refilled, indented blocks (examples) stay as they are.

Plain text, not rich: rendering help with rich takes longer than everything else ``dssn --help`` does.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["help_text"]


def help_text(function: Callable[..., Any]) -> str:
    """Return a command's docstring as help.

    ``::`` before an indented block becomes ``:``, and the block is marked to keep its lines.
    """
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    shown = []
    for paragraph in paragraphs:
        text = paragraph[:-1] if paragraph.endswith("::") else paragraph
        shown.append(f"\b\n{text}" if text.startswith("    ") else text)
    return "\n\n".join(shown)
