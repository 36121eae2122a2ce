"""Max-min shares of three small networks, solved by hand.

Water filling (Bertsekas and Gallager, Data Networks, 2nd ed., 6.5.2): raise all rates together until
a link is full, freeze its flows, go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["NETWORKS", "ShareCase"]


@dataclass(frozen=True, slots=True)
class ShareCase:
    """A network, its flows and their shares.

    Attributes
    ----------
    why : str
        The solution by hand.
    """

    name: str
    capacities: tuple[float, ...]
    routes: tuple[tuple[int, ...], ...]
    shares: tuple[float, ...]
    why: str
    weights: tuple[float, ...] | None = None
    caps: tuple[float, ...] | None = None


NETWORKS: Final = (
    ShareCase(
        "parking lot",
        (1.0, 1.0, 1.0),
        ((0, 1, 2), (0,), (1,), (2,)),
        (1 / 2, 1 / 2, 1 / 2, 1 / 2),
        "every link has two flows, all links fill at 1/2",
    ),
    ShareCase(
        "two bottlenecks",
        (1.0, 1.0),
        ((0,), (0,), (0, 1), (1,)),
        (1 / 3, 1 / 3, 1 / 3, 2 / 3),
        "link 0 fills at 1/3 and freezes three flows; the last one takes what link 1 has left",
    ),
    ShareCase(
        "weighted triangle, a cap",
        (10.0, 6.0, 8.0),
        ((0, 1), (0,), (1,), (2,), (2, 0)),
        (1.5, 7.5, 4.5, 7.0, 1.0),
        "the cap holds flow 4 at 1; link 1 fills at level 6/4; link 0 leaves 10 - 1.5 - 1, link 2 leaves 8 - 1",
        weights=(1.0, 2.0, 3.0, 1.0, 1.0),
        caps=(float("inf"), float("inf"), float("inf"), float("inf"), 1.0),
    ),
)
