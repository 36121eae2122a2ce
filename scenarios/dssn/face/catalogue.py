"""What ships with the testbed: scenarios, policies, engines, as data frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["engines", "policies", "scenarios"]


def scenarios() -> pd.DataFrame:
    """Return the scenarios of the library: ``name``, ``title``, ``question``, ``orders``, ``replications``, ``wall_s``."""
    import pandas as pd

    from dssn.face.measured import measured
    from dssn.loading import list_library

    rows = [(*row, m.orders, m.replications, m.wall_s) for row in list_library() if (m := measured()[row[0]])]
    return pd.DataFrame(rows, columns=["name", "title", "question", "orders", "replications", "wall_s"])


def policies() -> pd.DataFrame:
    """Return the policies that can be named in a scenario: ``kind``, ``name``, ``origin``, ``doc``."""
    import pandas as pd

    from dssn_models.policies.registry import available

    rows = [(p.kind, p.name, p.origin, p.doc) for p in available()]
    return pd.DataFrame(rows, columns=["kind", "name", "origin", "doc"])


def engines() -> pd.DataFrame:
    """Return the engines: ``name``, ``title``, ``weight``, ``confidentiality``, ``profiles``, ``parameters``."""
    import pandas as pd

    from dssn_models.engines.registry import REGISTRY

    rows = [
        (name, e.title, e.weight, e.confidentiality, ", ".join(e.profiles()), ", ".join(e.parameters()))
        for name, e in sorted(REGISTRY.items())
    ]
    return pd.DataFrame(
        rows, columns=["name", "title", "weight", "confidentiality", "profiles", "parameters"]
    )
