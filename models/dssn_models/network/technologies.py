# ruff: noqa: E501 - a table with a source in each row
"""Link technologies as profiles, each value with its source.

What lives here: rate grid, delay, jitter, loss, framing overhead, isolation, times and prices of
the seven carrier services. What does not: which site has which link (``build``) and paths
(``routing``). "FACTS n.m" in a source points at the section of the project's collection of
published figures whose rows are repeated in ``docs/models/network.md``.

All technologies are simulated; no value was measured on an operator's network.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, Literal

__all__ = [
    "ACCESS_PRICE_SHARE",
    "FIBRE_S_PER_KM",
    "FRAMINGS",
    "LENGTH_PRICE_SHARE",
    "LINE_PRICE_LENGTH_M",
    "TECHNOLOGIES",
    "Constant",
    "Framing",
    "RateRange",
    "Technology",
    "technology",
]

Isolation = Literal["hard", "soft", "none"]


@dataclass(frozen=True, slots=True)
class Constant:
    """A value with its unit, source and confidence (``measured`` here, ``read`` in a source, ``assumed``)."""

    name: str
    value: float
    unit: str
    source: str
    confidence: Literal["measured", "read", "assumed"]


@dataclass(frozen=True, slots=True)
class Framing:
    """Headers that a full-size TCP segment carries on one technology.

    Attributes
    ----------
    ip_mtu : int
        Largest IP packet outside the tunnel, bytes.
    inner_bytes : int
        Headers inside that packet and outside the payload: inner IP and TCP, and a tunnel's own.
    outer_bytes : int
        Headers and gaps around the packet on the wire: Ethernet, labels, GFP, XGEM.
    line_factor : float
        Line code or FEC, where the rate of the profile is the rate before it.
    arithmetic : str
        The sum in words.
    """

    ip_mtu: int
    inner_bytes: int
    outer_bytes: int
    line_factor: float
    arithmetic: str

    @property
    def overhead(self) -> float:
        """Bytes on the wire per payload byte of a full-size segment.

        ``(ip_mtu + outer) * line_factor / (ip_mtu - inner)``
        """
        return (self.ip_mtu + self.outer_bytes) * self.line_factor / (self.ip_mtu - self.inner_bytes)


# Header sizes in bytes (IEEE 802.3; RFC 791, 9293, 7323, 3032, 4303, 4385; ITU-T G.7041, G.9807.1).
_ETHERNET: Final = 14 + 4  # header + FCS
_GAPS: Final = 8 + 12  # preamble and start delimiter + inter-frame gap
_IPV4_TCP: Final = 20 + 20 + 12  # IPv4 + TCP + time-stamp option
_LABEL: Final = 4  # one MPLS label
_CONTROL_WORD: Final = 4  # pseudo-wire control word
_GFP: Final = 4 + 4  # GFP-F core and type header
_XGEM: Final = 8  # XGEM header
_ESP: Final = 20 + 8 + 8 + 8 + 2 + 16  # outer IPv4, NAT-T UDP, ESP header, IV, pad trailer, ICV (AES-GCM)

FRAMINGS: Final[Mapping[str, Framing]] = MappingProxyType(
    {
        "otn": Framing(
            1500, _IPV4_TCP, _ETHERNET + _GFP, 1.0,
            "IPv4 20 + TCP 20 + time stamps 12; Ethernet 18 without gaps in GFP-F 8; ODU overhead is outside the client rate",
        ),
        "ptn": Framing(
            1500, _IPV4_TCP, _ETHERNET + 2 * _LABEL + _CONTROL_WORD + _ETHERNET + _GAPS, 1.0,
            "IPv4 20 + TCP 20 + time stamps 12; client Ethernet 18; tunnel and pseudo-wire label 8; control word 4; Ethernet 18; gaps 20",
        ),
        "spn": Framing(
            1500, _IPV4_TCP, _ETHERNET + _GAPS, 66 / 64,
            "IPv4 20 + TCP 20 + time stamps 12; Ethernet 18; gaps 20; 64B/66B blocks of the calendar slot",
        ),
        "pon": Framing(
            1500, _IPV4_TCP, _ETHERNET + _XGEM, 1.0,
            "IPv4 20 + TCP 20 + time stamps 12; Ethernet 18 without gaps in XGEM 8; rates are after FEC RS(248,216)",
        ),
        "ip": Framing(
            1500, _IPV4_TCP, _ETHERNET + _GAPS + 2 * _LABEL, 1.0,
            "IPv4 20 + TCP 20 + time stamps 12; Ethernet 18; gaps 20; transport and VPN label 8",
        ),
        "cmnet": Framing(
            1500, _IPV4_TCP, _ETHERNET + _GAPS, 1.0,
            "IPv4 20 + TCP 20 + time stamps 12; Ethernet 18; gaps 20",
        ),
        "sdwan": Framing(
            1500, _IPV4_TCP + _ESP, _ETHERNET + _GAPS, 1.0,
            "inner IPv4 20 + TCP 20 + time stamps 12; outer IPv4 20 + NAT-T UDP 8 + ESP 8 + IV 8 + trailer 2 + ICV 16; Ethernet 18; gaps 20",
        ),
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RateRange:
    """Rates ``first, first + step, ... last`` in bit/s; step 0 is any rate in between."""

    first_bps: float
    last_bps: float
    step_bps: float = 0.0


@dataclass(frozen=True)
class Technology:
    """A carrier service (simulated). Times in s, rates in bit/s, price in CNY per Mbit/s and month.

    Attributes
    ----------
    per_hop_s : float
        Forwarding latency of one hop, one way, unloaded.
    per_km_s : float
        Propagation per kilometre of fibre.
    end_s : float
        Further delay at each end of a path over this plane (encryption in SD-WAN boxes).
    jitter_s : float
        99 % of the delay variation.
    loss : float
        Packet loss ratio of one link.
    overhead : float
        Bytes on the wire per payload byte (see :data:`FRAMINGS`).
    setup_s, switch_s : float
        Time to open a slice where access exists; time of a protection switch.
    availability : float
        Share of time, as promised for one line.
    detour_factor : float or None
        Path length over great circle where the service does not follow the fibre route; None: as the network.
    shared : bool
        The medium is shared among subscribers (PON tree); each subscriber's rate is its assured rate.
    tree_bps : float
        Rate of the shared part, each way, where it is modelled (``Attachment.split``); 0: none.
    rate_up_share : float
        Default upstream rate as a share of the downstream rate.
    """

    name: str
    title: str
    rates: tuple[RateRange, ...]
    per_hop_s: float
    per_km_s: float
    jitter_s: float
    loss: float
    overhead: float
    isolation: Isolation
    setup_s: float
    switch_s: float
    availability: float
    price_cny_per_mbps_month: float
    detour_factor: float | None = None
    end_s: float = 0.0
    shared: bool = False
    tree_bps: float = 0.0
    rate_up_share: float = 1.0
    note: str = "simulated"
    sources: tuple[Constant, ...] = field(default=(), repr=False)

    @cached_property
    def rate_steps_bps(self) -> tuple[float, ...]:
        """All rates of the grid, ascending; the ends only where any rate is possible."""
        steps: set[float] = set()
        for r in self.rates:
            if r.step_bps == 0:
                steps |= {r.first_bps, r.last_bps}
            else:
                count = round((r.last_bps - r.first_bps) / r.step_bps)
                steps |= {r.first_bps + i * r.step_bps for i in range(count + 1)}
        return tuple(sorted(steps))

    def step_for(self, rate_bps: float) -> float | None:
        """Return the smallest rate of the grid that carries ``rate_bps``, or None above the largest.

        Examples
        --------
        >>> TECHNOLOGIES["spn"].step_for(12e6)
        20000000.0
        """
        if any(r.step_bps == 0 and r.first_bps <= rate_bps <= r.last_bps for r in self.rates):
            return rate_bps
        steps = self.rate_steps_bps
        at = bisect_left(steps, rate_bps * (1 - 1e-12))
        return steps[at] if at < len(steps) else None


FIBRE_S_PER_KM: Final = 4.9e-6
_FIBRE = Constant("per_km_s", FIBRE_S_PER_KM, "s/km", "G.652 fibre, group index 1.468 (FACTS 1.1)", "assumed")

_INTERNET_PRICE: Final = 284_800 / 1000  # CNY per Mbit/s-month of a 1 Gbit/s line, domestic transit
_MPLS_PRICE: Final = _INTERNET_PRICE * (1.5 + 3) / 2
# How a line's list price is laid on links (assumed): a quarter for each end, half by length, so
# that a line over 1 500 km of fibre costs its list price.
ACCESS_PRICE_SHARE: Final = 0.25
LENGTH_PRICE_SHARE: Final = 0.5
LINE_PRICE_LENGTH_M: Final = 1_500e3

_PRIOR = "priors of the link model (FACTS 1.8), a judgement"


def _make(
    name: str,
    title: str,
    isolation: Isolation,
    rates: tuple[RateRange, ...],
    *constants: Constant,
    shared: bool = False,
) -> Technology:
    """Return a profile whose numbers are exactly its constants."""
    framing = FRAMINGS[name]
    overhead = Constant("overhead", framing.overhead, "1", f"computed: {framing.arithmetic}", "read")
    sources = (*constants, overhead, *(() if any(c.name == "per_km_s" for c in constants) else (_FIBRE,)))
    numbers: dict[str, Any] = {c.name: c.value for c in sources}
    return Technology(
        name=name, title=title, isolation=isolation, rates=rates, shared=shared, sources=sources, **numbers
    )  # fmt: skip


def _c(name: str, value: float, unit: str, source: str, *, read: bool = False) -> Constant:
    return Constant(name, value, unit, source, "read" if read else "assumed")


def _price(value: float, source: str, *, read: bool = False) -> Constant:
    return _c("price_cny_per_mbps_month", value, "CNY/(Mbit/s)/month", source, read=read)


_M, _G = 1e6, 1e9

_OTN = _make(
    "otn", "Optical transport network (ODUk, OSU/fgOTN)", "hard",
    (RateRange(10 * _M, _G, 10 * _M), RateRange(1.25 * _G, 100 * _G, 1.25 * _G), RateRange(200 * _G, 800 * _G, 100 * _G)),
    _c("per_hop_s", 15e-6, "s", f"ODUk cross-connect 5-20 us; {_PRIOR}"),
    _c("jitter_s", 1e-6, "s", _PRIOR),
    _c("loss", 0.0, "1", f"post-FEC bit error rate 1e-15 (FACTS 1.3); {_PRIOR}"),
    _c("setup_s", 180.0, "s", "middle of 60-300 s, fibre in place (FACTS 1.8)"),
    _c("switch_s", 0.05, "s", "1+1 ODUk protection below 50 ms, ITU-T G.873.1 (FACTS 1.3)"),
    _c("availability", 0.9999, "1", "standard line (FACTS 1.3)"),
    _price(_INTERNET_PRICE * 3, "3 times the Internet line, middle of 2-4 (FACTS 7, market statements)"),
)  # fmt: skip

_PTN = _make(
    "ptn", "Packet transport network (MPLS-TP)", "soft",
    (RateRange(_M, 10 * _G, _M),),
    _c("per_hop_s", 60e-6, "s", f"30-100 us a hop (FACTS 1.4); {_PRIOR}"),
    _c("jitter_s", 0.5e-3, "s", "middle of 0.1-1 ms (FACTS 1.8)"),
    _c("loss", 1e-6, "1", _PRIOR),
    _c("setup_s", 60.0, "s", _PRIOR),
    _c("switch_s", 0.05, "s", "MPLS-TP protection below 50 ms, ITU-T G.8131 (FACTS 1.4)"),
    _c("availability", 0.9995, "1", _PRIOR),
    _price(_MPLS_PRICE, "no price found; taken as an MPLS VPN, 2.25 times the Internet line (FACTS 7)"),
)  # fmt: skip

_SPN = _make(
    "spn", "Slicing packet network (MTN channel, FGU)", "hard",
    (RateRange(10 * _M, 5 * _G, 10 * _M), RateRange(10 * _G, 400 * _G, 5 * _G)),
    _c("per_hop_s", 25e-6, "s", "middle of 10-40 us for a hard slice (FACTS 1.8)"),
    _c("jitter_s", 5e-6, "s", _PRIOR),
    _c("loss", 0.0, "1", _PRIOR),
    _c("setup_s", 35.0, "s", "middle of 10-60 s (FACTS 1.8)"),
    _c("switch_s", 0.01, "s", "MTN channel protection below 1-10 ms, ITU-T G.8331 (FACTS 1.4)"),
    _c("availability", 0.9999, "1", _PRIOR),
    _price((_MPLS_PRICE + _INTERNET_PRICE * 3) / 2, "no price found; between MPLS VPN and OTN (FACTS 7)"),
)  # fmt: skip

_PON = _make(
    "pon", "Passive optical network access (XGS-PON)", "soft",
    (RateRange(_M, 10 * _M, _M), RateRange(20 * _M, _G, 10 * _M), RateRange(1.5 * _G, 8.5 * _G, 0.5 * _G)),
    # Upstream waits for a grant, downstream for half a frame: one figure, so that a round trip is right.
    _c("per_hop_s", (0.9e-3 + 62.5e-6) / 2, "s", "mean of upstream 0.9 ms (0.3-1.5) and downstream half a frame of 125 us (FACTS 1.5, 1.8)"),
    _c("jitter_s", 1e-3, "s", _PRIOR),
    _c("loss", 1e-6, "1", _PRIOR),
    _c("setup_s", 300.0, "s", _PRIOR),
    _c("switch_s", 1.0, "s", "no protected tree; re-ranging taken as 1 s"),
    _c("availability", 0.999, "1", _PRIOR),
    _c("tree_bps", 9.95328e9 * 216 / 248, "bit/s", "XGS-PON line rate both ways after FEC RS(248,216), ITU-T G.9807.1 (FACTS 1.5)", read=True),
    _c("rate_up_share", 1.0, "1", "XGS-PON is symmetric: 9.953 Gbit/s both ways, ITU-T G.9807.1 (FACTS 1.5)"),
    _price(17_140 / 100, "static-route line at the access layer, 100 Mbit/s, Hunan Telecom list (FACTS 7)", read=True),
    shared=True,
)  # fmt: skip

_IP = _make(
    "ip", "IP bearer (MPLS or SRv6 VPN)", "soft",
    (RateRange(_M, 400 * _G),),
    _c("per_hop_s", 50e-6, "s", f"router hop 20-100 us (FACTS 1.6); {_PRIOR}"),
    _c("jitter_s", 1e-3, "s", _PRIOR),
    _c("loss", 1e-5, "1", _PRIOR),
    _c("setup_s", 30.0, "s", "about the middle of 5-60 s (FACTS 1.8)"),
    _c("switch_s", 0.05, "s", "fast re-route below 50 ms, RFC 7490 (FACTS 1.6)"),
    _c("availability", 0.9995, "1", _PRIOR),
    _price(_MPLS_PRICE, "2.25 times the Internet line, middle of 1.5-3 (FACTS 7, market statements)"),
)  # fmt: skip

_CMNET = _make(
    "cmnet", "Public backbone (CMNET Internet)", "none",
    (RateRange(_M, 100 * _G),),
    _c("per_hop_s", 50e-6, "s", _PRIOR),
    _c("jitter_s", 5e-3, "s", _PRIOR),
    _c("loss", 1e-3, "1", f"domestic backbone 1e-4 to 5e-3 (FACTS 1.6); {_PRIOR}"),
    _c("setup_s", 0.0, "s", "open network"),
    _c("switch_s", 0.6, "s", "IGP convergence, middle of 0.2-1 s (FACTS 1.6)"),
    _c("availability", 0.999, "1", _PRIOR),
    _c("detour_factor", 2.7, "1", "round trip over straight fibre, medians 2.86 at 1000-2000 km and 2.41 at 2000-4000 km (FACTS 1.1); 2.7 in FACTS 1.8"),
    _price(_INTERNET_PRICE, "1 Gbit/s leased line, domestic transit, 284 800 CNY a month, Hunan Telecom list (FACTS 7)", read=True),
)  # fmt: skip

_SDWAN = _make(
    "sdwan", "SD-WAN (IPsec overlay on CMNET)", "none",
    (RateRange(_M, 2 * _G),),
    _c("per_hop_s", 50e-6, "s", "as CMNET, which carries it (FACTS 1.8)"),
    _c("end_s", 0.6e-3, "s", "customer box, middle of 0.2-1 ms (FACTS 1.8)"),
    _c("jitter_s", 5e-3, "s", _PRIOR),
    _c("loss", 1e-3, "1", _PRIOR),
    _c("setup_s", 60.0, "s", _PRIOR),
    _c("switch_s", 0.65, "s", "path switch with BFD, middle of 0.3-1 s (FACTS 1.7)"),
    _c("availability", 0.9995, "1", "two uplinks (FACTS 1.8)"),
    _c("detour_factor", 2.7, "1", "as CMNET, which carries it (FACTS 1.8)"),
    _price(_MPLS_PRICE * 0.45, "0.45 times the MPLS VPN, middle of 0.3-0.6 (FACTS 7, market statements)"),
)  # fmt: skip

TECHNOLOGIES: Final[Mapping[str, Technology]] = MappingProxyType(
    {t.name: t for t in (_OTN, _PTN, _SPN, _PON, _IP, _CMNET, _SDWAN)}
)


def technology(name: str) -> Technology:
    """Return the profile of this name.

    Raises
    ------
    KeyError
        With the names that exist.
    """
    try:
        return TECHNOLOGIES[name]
    except KeyError:
        raise KeyError(f"{name!r} is not a technology ({', '.join(TECHNOLOGIES)})") from None
