"""Codes of the problems that show when the parts of a scenario meet (E3xx, W3xx)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

__all__ = ["SEMANTIC", "CompileError", "RawProblem"]

Loc = tuple[str | int, ...]


class RawProblem(NamedTuple):
    """A problem at a location of the merged document; who renders it adds file and line.

    ``needs`` has the places that the problem depends on, all of them; empty: its own location and what lies
    below it. See :mod:`dssn.compile.judge`.
    """

    code: str
    loc: Loc
    found: str
    allowed: str
    hint: str = ""
    needs: tuple[Loc, ...] = ()


class CompileError(ValueError):
    """A scenario that cannot be compiled."""

    def __init__(self, problems: Sequence[RawProblem]) -> None:
        self.problems = tuple(problems)
        shown = [f"{'.'.join(map(str, p.loc))}: {p.code}: {p.found}; allowed: {p.allowed}" for p in problems]
        super().__init__("\n".join(shown))


#: code -> (title, explanation, remedy)
SEMANTIC: Final[dict[str, tuple[str, str, str]]] = {
    "E301": (
        "unknown name",
        "The value names a site, node, asset, class or profile that the scenario does not have.",
        "Take one of the listed names, or define the thing.",
    ),
    "E302": (
        "nothing chosen",
        "A selector matches no node, site or asset, so the entry would do nothing.",
        "Loosen the selector, or add what it asks for.",
    ),
    "E303": (
        "name used twice",
        "Two nodes, assets or streams have the same name; generated names count too.",
        "Rename one, or give the generated group another prefix.",
    ),
    "E304": (
        "topology cannot be built",
        "The file or named topology does not exist or cannot be read, or its parts contradict each other.",
        "The message says which part.",
    ),
    "E305": (
        "no path",
        "The network falls into parts, and a consumer and a provider of one stream lie in different ones.",
        "Add a span between the parts, or choose other nodes.",
    ),
    "E306": (
        "times of the run",
        "The horizon is zero, or the warm-up leaves nothing of it.",
        "Take a horizon longer than the warm-up.",
    ),
    "E307": (
        "wrong role",
        "Assets lie on DSN, orders come from DRN, and an exchange has role exchange.",
        "Choose a node of the role, or change its role.",
    ),
    "E308": (
        "job larger than any node",
        "No node that may run this role has the cores, memory or enclave memory that the engine needs.",
        "Take a larger size or a smaller job.",
    ),
    "E309": (
        "no place for a helper",
        "The engine has a role that neither consumer nor provider plays, and no node may play it.",
        "Add a pool or TEE pool, or say with `place:` which nodes may run it.",
    ),
    "E310": (
        "too large",
        "The scenario would make more nodes, links, assets or orders than one run can hold.",
        "Lower the count, the rate or the horizon.",
    ),
    "E311": (
        "trace cannot be read",
        "The file of a trace is missing or broken, lacks a named column, or has no usable row.",
        "The message says which.",
    ),
    "E312": (
        "service missing",
        "The life of a delivery needs this service or operation, and the scenario does not have it.",
        "Import `presets/base.yaml`.",
    ),
    "E313": (
        "unknown policy",
        "No policy of this name is registered for this kind of decision, or its module cannot be imported.",
        "`dssn policies` lists the registered ones; your own is written as `module:object`.",
    ),
    "E314": (
        "more parties than providers",
        "An order needs more providers than the chosen assets have.",
        "Lower `parties`, or choose assets on more nodes.",
    ),
    "E315": (
        "shares do not add up",
        "The shares of a mix do not sum to 100 %.",
        "Adjust the shares.",
    ),
    "E316": (
        "engine cannot run here",
        "A node that has to run an engine lists its engines, and this one is not among them.",
        "Add the engine to the node, or leave its list empty.",
    ),
    "E317": (
        "the plane is missing",
        (
            "A stream, the routing or the policy asks for a technology that the network has no plane for, or for an "
            "isolation that no plane gives."
        ),
        "Add the plane, or take one of those there are.",
    ),
    "E318": (
        "rate above every line",
        (
            "A stream asks for a rate that no chosen consumer, no chosen provider or no plane can carry. Slices may "
            "reserve 90 % of a line together, and an order opens one to each of its providers."
        ),
        "Ask for less, or give the parties faster access lines.",
    ),
    "W301": (
        "begins after the end",
        "The fault, or the window of a burst, begins after the horizon or the stream's `end` and will hardly be seen.",
        "Move it, or lengthen the horizon.",
    ),
    "W302": (
        "nothing to measure",
        "An objective speaks of a class or KPI that no stream of the scenario produces.",
        "Remove the objective or add a stream.",
    ),
    "W303": (
        "about the topology",
        "The topology's source has gaps that stand-in values fill, or parts that nothing joins.",
        "Read results that depend on distance with care.",
    ),
    "W304": (
        "deliveries will be refused",
        "The sensitivity level or the own `forms` of every chosen asset forbid the form of delivery of the stream.",
        "Meant as a test of refusals? Then all is well.",
    ),
    "W305": (
        "some orders will be refused",
        (
            "Some of the chosen parties cannot carry the rate that the stream asks for, or only its smaller jobs fit a "
            "node. The orders that meet them are refused."
        ),
        "Choose other parties, ask for less, or take larger lines or nodes.",
    ),
    "W306": (
        "access without its plane",
        (
            "An access line is of a carrier technology that the network has no plane for; behind it another plane "
            "carries the traffic."
        ),
        "Add the plane, or take another technology for the line; `pon` is for access only and needs none.",
    ),
    "W307": (
        "some deliveries will be refused",
        (
            "The sensitivity level or the own `forms` of some of the chosen assets forbid the form of delivery of the "
            "stream. The orders that meet them are refused."
        ),
        "Choose other assets or another channel. Meant as a test of refusals? Then all is well.",
    ),
    "W308": (
        "named twice",
        "A stream's list of consumers or assets names one of them again; it is chosen as often as the others.",
        "Remove it; give it a weight if it should be chosen more often.",
    ),
    "W309": (
        "asset larger than the disk",
        "The rows of an asset times their size are more than the disk of its node. The simulator runs it nevertheless.",
        "Give the node a larger `disk`, or the asset fewer or smaller rows.",
    ),
}
