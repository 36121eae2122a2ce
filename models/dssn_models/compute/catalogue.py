"""Catalogue of node forms, sizes, simulated TEEs and accelerators, every figure with its source.

The figures stand in ``data/catalogue.json``; nothing here is a constant of its own. TEEs and
accelerators are *simulated*: a profile says how long they would take.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from dssn_models.crypto.tables import CostTable, parse_table
from dssn_models.engines.api import CostSource
from dssn_models.plan import AcceleratorPlan, TeePlan

__all__ = [
    "ACCELERATORS",
    "FORMS",
    "OPERATORS",
    "SIZES",
    "TEES",
    "TEE_TITLES",
    "NodeForm",
    "NodeSize",
    "accelerator",
    "catalogue_table",
    "form_sources",
    "parse_size",
    "price_cny_per_hour",
    "tee_sources",
]

SIMULATED: Final = "simulated"


@dataclass(frozen=True, slots=True)
class NodeForm:
    """A product form of a node [NOD-05].

    ``price_factor`` multiplies the price of the size, ``boot_s`` is the time from power to
    service, ``max_cores`` the largest size the form comes in, ``sharing`` its default use of cores.
    """

    name: str
    title: str
    boot_s: float
    price_factor: float
    max_cores: float
    sharing: str = "reserved"
    tee: bool = False


@dataclass(frozen=True, slots=True)
class NodeSize:
    """Cores, memory and list price of a node size; ``16C32G`` is 16 cores and 32 GB."""

    cores: float
    memory_bytes: float
    price_cny_per_hour: float

    @property
    def name(self) -> str:
        """The size as people write it."""
        return f"{self.cores:g}C{self.memory_bytes / 1e9:g}G"


@cache
def catalogue_table() -> CostTable:
    """Return the catalogue's constants with source and confidence."""
    path = resources.files("dssn_models.compute") / "data" / "catalogue.json"
    return parse_table(path.read_text(encoding="utf-8"))


def _v(key: str) -> float:
    return catalogue_table().value(key)


def price_cny_per_hour(cores: float) -> float:
    """List price of a machine with this many cores: cloud price per vCPU-hour in CNY.

    The source sells 4 GiB with a core; sizes with less memory are priced the same.
    """
    return cores * _v("price.vcpu_usd_per_hour") * _v("price.cny_per_usd")


_SIZE: Final = re.compile(r"^\s*(\d{1,4})C(\d{1,5})G\s*$")
_MAX_CORES: Final = 1024
_MAX_MEMORY_GB: Final = 16384


def parse_size(text: str) -> NodeSize:
    """Return the size that a text such as ``16C32G`` names.

    Raises
    ------
    ValueError
        If it is no size; the message says what is allowed.

    Examples
    --------
    >>> parse_size("16C32G").memory_bytes
    32000000000.0
    """
    match = _SIZE.match(text) if isinstance(text, str) else None
    cores, memory = (int(match.group(1)), int(match.group(2))) if match else (0, 0)
    if not (1 <= cores <= _MAX_CORES and 1 <= memory <= _MAX_MEMORY_GB):
        raise ValueError(
            f"{str(text)[:40]!r} is no node size; allowed: cores and gigabytes, for example '16C32G', "
            f"up to {_MAX_CORES}C{_MAX_MEMORY_GB}G; usual: {', '.join(_SIZE_NAMES)}"
        )
    return NodeSize(float(cores), memory * 1e9, price_cny_per_hour(cores))


_SIZE_NAMES: Final = (
    "2C4G",
    "4C8G",
    "8C16G",
    "8C32G",
    "16C32G",
    "16C64G",
    "32C64G",
    "32C128G",
    "64C128G",
    "64C256G",
    "128C256G",
    "128C512G",
    "256C512G",
)

#: Usual sizes; any other is fine through :func:`parse_size`.
SIZES: Final[Mapping[str, NodeSize]] = {name: parse_size(name) for name in _SIZE_NAMES}

_FORM_TITLES: Final = {
    "agent": ("agent or gateway on the party's own machine", "ps", False),
    "box": ("all-in-one box", "reserved", False),
    "rack": ("rack servers", "reserved", False),
    "cloud": ("hosted in a cloud", "reserved", False),
    "tee_box": ("box with a simulated TEE", "reserved", True),
}

FORMS: Final[Mapping[str, NodeForm]] = {
    name: NodeForm(
        name, title, _v(f"form.{name}.boot_s"), _v(f"form.{name}.price_factor"),
        _v(f"form.{name}.max_cores"), sharing, tee,
    )
    for name, (title, sharing, tee) in _FORM_TITLES.items()
}  # fmt: skip

TEE_TITLES: Final[Mapping[str, str]] = {
    "sgx1": "simulated SGX, small protected memory with paging",
    "sgx2": "simulated SGX, large protected memory",
    "tdx": "simulated TDX virtual machine",
    "sev_snp": "simulated SEV-SNP virtual machine",
    "csv": "simulated Hygon CSV virtual machine",
    "trustzone": "simulated TrustZone (OP-TEE)",
}
_TEE_FORMS: Final = {"sgx1": "process", "sgx2": "process", "trustzone": "process"}
_TEE_FIELDS: Final = (
    "enclave_bytes",
    "slowdown",
    "paging_factor",
    "start_s",
    "start_s_per_byte",
    "quote_s",
    "verify_s",
)

#: TEE profile name to plan. All simulated.
TEES: Final[Mapping[str, TeePlan]] = {
    name: TeePlan(
        profile=name, form=_TEE_FORMS.get(name, "vm"), **{f: _v(f"tee.{name}.{f}") for f in _TEE_FIELDS}
    )
    for name in TEE_TITLES
}


def _speedups(kind: str) -> dict[str, float]:
    head = f"accelerator.{kind}."
    return {key.removeprefix(head): _v(key) for key in catalogue_table().entries if key.startswith(head)}


#: Accelerator kind to one card of it. All simulated.
ACCELERATORS: Final[Mapping[str, AcceleratorPlan]] = {
    kind: AcceleratorPlan(kind, 1, _speedups(kind)) for kind in ("gpu", "fpga", "paillier_card", "sm_card")
}

#: Operators that some accelerator speeds up; engines name theirs from these.
OPERATORS: Final[tuple[str, ...]] = tuple(sorted({op for a in ACCELERATORS.values() for op in a.speedup}))


def accelerator(kind: str, count: int = 1) -> AcceleratorPlan:
    """Return this many cards of a kind; KeyError lists the kinds."""
    if kind not in ACCELERATORS:
        raise KeyError(f"no accelerator {kind!r}; there are: {', '.join(ACCELERATORS)}")
    return AcceleratorPlan(kind, count, ACCELERATORS[kind].speedup)


def tee_sources(profile: str) -> tuple[CostSource, ...]:
    """Return the constants behind a TEE profile."""
    table = catalogue_table()
    return (*(table.get(f"tee.{profile}.{f}") for f in _TEE_FIELDS), table.get("tee.eviction_build_factor"))


def form_sources(name: str) -> tuple[CostSource, ...]:
    """Return the constants behind a node form and its price."""
    table = catalogue_table()
    keys = [f"form.{name}.{f}" for f in ("boot_s", "price_factor", "max_cores")]
    return tuple(table.get(k) for k in (*keys, "price.vcpu_usd_per_hour", "price.cny_per_usd"))
