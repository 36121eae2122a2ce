"""The findings of ``dssn doctor``."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

__all__ = ["Finding", "examine"]

_GB: Final = 1e9


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    part : str
        ``simulation`` or ``emulation``.
    what, found : str
        What was looked at, and what is there.
    state : str
        ``ok`` or ``missing``.
    remedy : str
        What to do; '' if nothing.
    needed : bool
        Whether the part cannot work without it.
    """

    part: str
    what: str
    state: str
    found: str
    remedy: str = ""
    needed: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def examine() -> list[Finding]:
    """Return all findings, the simulation's first."""
    return [*_python(), *_machine(), _cache(), *_emulation()]


def _state(good: bool) -> str:  # noqa: FBT001  reads as a sentence at the call
    return "ok" if good else "missing"


def _python() -> list[Finding]:
    good = sys.version_info >= (3, 11)
    found = [
        Finding(
            "simulation", "Python", _state(good), f"{platform.python_version()} ({sys.executable})",
            "" if good else "install Python 3.11 or newer",
        )
    ]  # fmt: skip
    try:
        needs = metadata.requires("dssn-testbed") or []
    except metadata.PackageNotFoundError:
        remedy = "install it: pip install dssn-testbed, or uv sync in a checkout"
        return [*found, Finding("simulation", "package dssn-testbed", "missing", "not installed", remedy)]
    names = [n.split(";")[0].strip() for n in needs if "extra ==" not in n]
    have: list[str] = []
    lack: list[str] = []
    for need in names:
        name = (
            need.split("[")[0].split(">")[0].split("=")[0].split("<")[0].split("!")[0].split("~")[0].strip()
        )
        try:
            have.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            lack.append(need)
    remedy = f"pip install {' '.join(repr(n) for n in lack)}" if lack else ""
    shown = [h for h in have if h.split()[0] in ("numpy", "numba", "simpy", "pyarrow")]
    text = f"{len(have)} found ({', '.join(shown)}, ...)" + (
        f"; not found: {', '.join(lack)}" if lack else ""
    )
    return [*found, Finding("simulation", "libraries", _state(not lack), text, remedy)]


def _machine() -> list[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found = [Finding("simulation", "cores", "ok", f"{cores}", needed=False)]
    memory = _memory_bytes()
    if memory is not None:
        good = memory >= 2 * _GB
        found.append(
            Finding(
                "simulation", "free memory", _state(good), f"{memory / _GB:.1f} GB",
                "" if good else "national scenarios want 2 GB; metro runs with less", needed=False,
            )
        )  # fmt: skip
    free = shutil.disk_usage(Path.cwd()).free
    good = free >= 1 * _GB
    found.append(
        Finding(
            "simulation", "free disk here", _state(good), f"{free / _GB:.1f} GB",
            "" if good else "runs of large scenarios write some 100 MB; use --out on another disk", needed=False,
        )
    )  # fmt: skip
    writable = os.access(Path.cwd(), os.W_OK)
    found.append(
        Finding(
            "simulation", "this folder can be written", _state(writable), str(Path.cwd()),
            "" if writable else "run elsewhere or give --out", needed=False,
        )
    )  # fmt: skip
    return found


def _memory_bytes() -> float | None:
    """Return the memory that can be had now, or None where the system does not say."""
    try:
        for text in Path("/proc/meminfo").read_text("ascii").splitlines():
            if text.startswith("MemAvailable:"):
                return float(text.split()[1]) * 1024
    except OSError:
        return None
    return None


def _cache() -> Finding:
    try:
        from dssn_sim.dataplane.compiled import cache_folder

        folder = cache_folder()
    except Exception as error:  # noqa: BLE001  a broken installation is a finding, not a crash
        return Finding(
            "simulation", "compiled data plane", "missing", f"{type(error).__name__}: {error}", "reinstall"
        )
    count = len(list(folder.rglob("*.o"))) if folder.is_dir() else 0
    if count:
        return Finding("simulation", "compiled data plane", "ok", f"{count} functions in {folder}")
    if not os.access(folder if folder.is_dir() else folder.parent, os.W_OK):
        remedy = "set NUMBA_CACHE_DIR to a folder that can be written"
        return Finding(
            "simulation",
            "compiled data plane",
            "missing",
            f"{folder} cannot be written",
            remedy,
            needed=False,
        )
    return Finding(
        "simulation", "compiled data plane", "ok", f"not compiled yet (first run does it; {folder})"
    )


def _emulation() -> list[Finding]:
    part = "emulation"
    linux = sys.platform == "linux"
    found = [
        Finding(part, "Linux", _state(linux), platform.system(), "" if linux else "use Linux"),
        Finding(
            part, "root", _state(_root()), f"user {os.geteuid()}" if hasattr(os, "geteuid") else "unknown",
            "" if _root() else "run as root (sudo) for emulation only",
        ),
    ]  # fmt: skip
    for program, package, why in (
        ("mnexec", "mininet", "starts processes in network namespaces"),
        ("tc", "iproute2", "shapes links"),
        ("ip", "iproute2", "makes namespaces and links"),
        ("ovs-vsctl", "openvswitch-switch", "switches"),
        ("iperf3", "iperf3", "measures shaped links"),
        ("tcpdump", "tcpdump", "captures packets"),
    ):
        path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
        remedy = "" if path else f"apt-get install {package} ({why})"
        needed = program not in ("ovs-vsctl", "iperf3", "tcpdump")
        found.append(Finding(part, program, _state(bool(path)), path or "not found", remedy, needed))
    try:
        version = metadata.version("mininet")
        found.append(Finding(part, "Python package mininet", "ok", version))
    except metadata.PackageNotFoundError:
        remedy = "pip install 'dssn-testbed[emulation]'"
        found.append(Finding(part, "Python package mininet", "missing", "not installed", remedy))
    found += [_namespace(), _netem()]
    return found


def _root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _try(command: list[str]) -> tuple[bool, str]:
    """Run a harmless command; return whether it worked and what it said."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=10, check=False, cwd=tempfile.gettempdir()
        )
    except (OSError, subprocess.SubprocessError) as error:
        return False, str(error)
    return done.returncode == 0, (done.stderr or done.stdout).strip().split("\n")[0]


def _namespace() -> Finding:
    good, text = _try(["unshare", "--net", "true"])
    remedy = "" if good else "needs root and a kernel with network namespaces (in containers: --privileged)"
    return Finding("emulation", "network namespaces", _state(good), "can be made" if good else text, remedy)


def _netem() -> Finding:
    """Try netem on a link of a new namespace, which vanishes with the process."""
    script = "ip link add d0 type veth peer name d1 && tc qdisc add dev d0 root netem delay 1ms"
    good, text = _try(["unshare", "--net", "sh", "-c", script])
    remedy = (
        "" if good else "load the kernel module: modprobe sch_netem (package linux-modules-extra on Ubuntu)"
    )
    return Finding("emulation", "tc netem", _state(good), "can be set" if good else text, remedy)
