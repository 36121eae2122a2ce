"""The list of engines, for ``dssn engines`` and the documentation."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from dssn_models.engines.registry import REGISTRY

__all__ = ["HEADINGS", "EngineRow", "markdown", "overview"]

HEADINGS = (
    "engine",
    "what",
    "weight",
    "leaves the owner",
    "roles (1 provider)",
    "cost profiles",
    "constants",
    "protocol",
)


@dataclass(frozen=True, slots=True)
class EngineRow:
    """One engine; ``constants`` says how many of its constants are measured, read and assumed."""

    name: str
    title: str
    weight: str
    confidentiality: str
    roles: str
    profiles: str
    constants: str
    protocol: str

    def cells(self) -> tuple[str, ...]:
        """Return the row as texts, in the order of :data:`HEADINGS`."""
        return (self.name, self.title, self.weight, self.confidentiality, self.roles, self.profiles,
                self.constants, self.protocol)  # fmt: skip


def overview(suite: str = "international") -> list[EngineRow]:
    """Return a row for each engine."""
    rows = []
    for engine in REGISTRY.values():
        confidence: dict[str, str] = {}
        for profile in engine.profiles():
            confidence |= {s.entry: s.confidence for s in engine.cost({}, 2, profile, suite).sources}
        count = Counter(confidence.values())
        rows.append(
            EngineRow(
                name=engine.name,
                title=engine.title,
                weight=engine.weight,
                confidentiality=engine.confidentiality,
                roles=", ".join(engine.roles(1)),
                profiles=", ".join(engine.profiles()),
                constants=", ".join(f"{count[c]} {c}" for c in ("measured", "read", "assumed") if count[c]),
                protocol="yes" if engine.protocol else "no",
            )
        )
    return rows


def markdown() -> str:
    """Return the list as a Markdown table."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    lines += ["| " + " | ".join(r.cells()) + " |" for r in overview()]
    return "\n".join(lines)
