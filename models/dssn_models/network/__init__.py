"""Link technologies, topologies, links and routes.

``technologies`` holds the profiles, ``topologies`` sites and edges, ``build`` makes links of them,
``routing`` finds routes, ``selection`` fits a technology or an access point to a need.
"""

from dssn_models.network.build import Attachment, PlaneSpec, build_network
from dssn_models.network.graph import Edge, Topology, TopologyError
from dssn_models.network.routing import Route, Router, both_ways, rtt_matrix
from dssn_models.network.selection import Choice, NetworkNeed, PopChoice, Unmet, cheapest_feasible, choose_pop
from dssn_models.network.technologies import TECHNOLOGIES, Constant, Technology, technology

__all__ = [
    "TECHNOLOGIES",
    "Attachment",
    "Choice",
    "Constant",
    "Edge",
    "NetworkNeed",
    "PlaneSpec",
    "PopChoice",
    "Route",
    "Router",
    "Technology",
    "Topology",
    "TopologyError",
    "Unmet",
    "both_ways",
    "build_network",
    "cheapest_feasible",
    "choose_pop",
    "rtt_matrix",
    "technology",
]
