"""What a program costs: CPU seconds and peak memory of a whole process, start and end included."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

__all__ = ["Cost", "PeerError", "machine", "measured", "median_cost"]

# A program inherits the peak memory of whoever started it, so a bare Python of 10 MB starts it and waits.
_LAUNCHER = """
import json, os, sys, time
began = time.perf_counter()
pid = os.fork()
if pid == 0:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.execvp(sys.argv[1], sys.argv[1:])
_, status, use = os.wait4(pid, 0)
wall = time.perf_counter() - began
print(json.dumps([os.waitstatus_to_exitcode(status), use.ru_utime + use.ru_stime, wall, 1024 * use.ru_maxrss]))
"""


class PeerError(Exception):
    """A measured program failed; the text ends with the last lines it said."""


@dataclass(frozen=True)
class Cost:
    """Of one process: CPU (user and system) and wall seconds, peak memory in bytes."""

    cpu_s: float
    wall_s: float
    memory_bytes: float


def measured(command: Sequence[str], timeout_s: float | None = None) -> Cost:
    """Run a command and return what it cost.

    Raises
    ------
    PeerError
        If it fails or takes longer than ``timeout_s``.
    """
    try:
        run = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, *command],
            capture_output=True, text=True, timeout=timeout_s, check=True,
        )  # fmt: skip
        code, cpu, wall, memory = json.loads(run.stdout)
    except subprocess.TimeoutExpired:
        raise PeerError(f"{command[0]}: stopped after {timeout_s:g} s") from None
    except (subprocess.CalledProcessError, ValueError) as error:
        raise PeerError(f"{command[0]}: could not be started ({error})") from None
    if code:
        said = " / ".join(run.stderr.strip().splitlines()[-3:])
        raise PeerError(f"{' '.join(command[:3])} ...: exit {code}: {said}")
    return Cost(cpu, wall, memory)


def median_cost(costs: Sequence[Cost]) -> Cost:
    """Return the medians of repeats."""
    return Cost(
        median(c.cpu_s for c in costs), median(c.wall_s for c in costs), median(c.memory_bytes for c in costs)
    )


def machine() -> dict[str, Any]:
    """Return what the figures depend on: processor, cores, memory, system, Python."""
    processor, memory = platform.processor() or platform.machine(), 0
    try:
        for text in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if text.startswith("model name"):
                processor = text.partition(":")[2].strip()
                break
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        pass  # not Linux: less is known
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "memory_bytes": memory,
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }
