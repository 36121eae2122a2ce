"""Who is measured: our command and the peers found on this machine, each as a command line."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dssn_sim.bench.tasks import SERVERS
from dssn_sim.dataplane.compiled import cache_folder

__all__ = ["REFERENCE", "Missing", "Tool", "find_tools", "flows_command", "plain_reference", "tasks_command"]

_HERE: Final = Path(__file__).parent / "peers"
_SERVERS = [str(c) for c in SERVERS]


#: Name of the slow exact solver, which is compared with but is no peer.
REFERENCE: Final = "plain reference"


@dataclass(frozen=True)
class Tool:
    """A program that can run some workloads.

    ``flows`` and ``tasks`` are the command before the files; for flows ``{mode}`` is ``plain`` or ``capped``.
    """

    name: str
    version: str
    flows: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    capped: bool = True  # can limit the rate of a flow
    last: tuple[str, ...] = ()  # arguments after the files
    largest: int = 10**9  # flows or jobs beyond which it is not tried


@dataclass(frozen=True)
class Missing:
    """A peer that is not there, and how to get it."""

    name: str
    why: str
    remedy: str


def _compiled(source: str) -> Path:
    """Return the program of a C++ file that needs SimGrid, compiled if it was not before."""
    compiler = shutil.which("g++")
    if compiler is None:
        raise FileNotFoundError("no g++")
    text = (_HERE / source).read_bytes()
    probe = subprocess.run([compiler, "-E", "-x", "c++", "-", "-dM"], input="#include <simgrid/version.h>\n", text=True,
                           capture_output=True, check=False)  # fmt: skip
    if probe.returncode:
        raise FileNotFoundError("no simgrid/s4u.hpp")
    release = "".join(sorted(line for line in probe.stdout.splitlines() if "SIMGRID_VERSION" in line))
    digest = hashlib.sha256(text + release.encode()).hexdigest()[:16]
    program = cache_folder() / "peers" / f"{Path(source).stem}-{digest}"
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        part = program.with_suffix(".part")
        made = subprocess.run(
            [compiler, "-O2", "-std=c++17", str(_HERE / source), "-o", str(part), "-lsimgrid"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode:
            raise FileNotFoundError(made.stderr.strip().splitlines()[-1])
        part.replace(program)
    return program


def _simgrid() -> Tool:
    program = _compiled("simgrid_flows.cpp")
    release = subprocess.run([program, "release"], capture_output=True, text=True, check=True).stdout.strip()
    quiet = "--log=root.thres:critical"
    return Tool(
        "SimGrid (C++)", release, (str(program), "{mode}"), (str(_compiled("simgrid_tasks.cpp")),),
        last=(quiet, "--cfg=network/optim:Full", "--cfg=contexts/stack-size:64"),
    )  # fmt: skip


def _python_peer(python: str, package: str) -> str:
    """Return the version of a package of another Python."""
    ask = f"import {package}; from importlib.metadata import version; print(version({package!r}))"
    found = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=False)
    if found.returncode:
        raise FileNotFoundError(f"{python} cannot import it")
    return found.stdout.strip()


def plain_reference() -> Tool:
    """Return the slow exact solver as a tool, for answers and not for its speed."""
    from dssn_sim.bench import reference

    return Tool(REFERENCE, "", flows=(sys.executable, "-m", reference.__name__), largest=100_000)


def find_tools(ours: Sequence[str], version: str, python: str) -> tuple[list[Tool], list[Missing]]:
    """Return who can be measured, ours first, and who is missing.

    Parameters
    ----------
    ours
        The ``dssn`` command.
    version
        Of ours.
    python
        The Python that has the peers' packages.
    """
    tools = [Tool("DSSN", version, (*ours, "bench", "flows"), (*ours, "bench", "tasks"))]
    missing = []
    try:
        tools.append(_simgrid())
    except FileNotFoundError as error:
        missing.append(
            Missing(
                "SimGrid (C++)",
                str(error),
                "apt-get install g++ libsimgrid-dev (or a build in CPATH and LIBRARY_PATH)",
            )
        )

    def peer(name: str, package: str, remedy: str, *kinds: Tool) -> None:
        try:
            release = _python_peer(python, package)
        except FileNotFoundError as error:
            missing.append(Missing(name, str(error), remedy))
            return
        tools.extend(
            Tool(k.name, release, tuple(k.flows), tuple(k.tasks), k.capped, k.last, k.largest) for k in kinds
        )

    def tasks(file: str, name: str, style: str, largest: int = 10**9) -> Tool:
        return Tool(name, "", tasks=(python, str(_HERE / file)), last=(style,), largest=largest)

    peer("SimGrid (Python)", "simgrid", "pip install simgrid 'pybind11<3' (needs cmake and Boost, 15 min)",
         Tool("SimGrid (Python)", "", flows=(python, str(_HERE / "simgrid_flows.py")), capped=False, largest=20_000))  # fmt: skip
    peer("SimPy", "simpy", "pip install simpy", tasks("simpy_tasks.py", "SimPy, callbacks", "callback"),
         tasks("simpy_tasks.py", "SimPy, processes", "process"))  # fmt: skip
    peer("Ciw", "ciw", "pip install ciw", tasks("ciw_tasks.py", "Ciw", "sequential"))
    peer("salabim", "salabim", "pip install salabim", tasks("salabim_tasks.py", "salabim", "yield"))
    return tools, missing


def flows_command(
    tool: Tool, topology: Path, network: Path, flows: Path, out: Path, *, capped: bool
) -> list[str]:
    """Return the command that runs a flow file."""
    if tool.name == "DSSN":
        return [*tool.flows, "--topology", str(topology), "--flows", str(flows), "--out", str(out)]
    if tool.name == REFERENCE:
        return [*tool.flows, str(topology), str(flows), str(out)]
    mode = "capped" if capped else "plain"
    return [
        *(a.format(mode=mode) if a == "{mode}" else a for a in tool.flows),
        str(network),
        str(flows),
        str(out),
        *tool.last,
    ]


def tasks_command(tool: Tool, tasks: Path, out: Path) -> list[str]:
    """Return the command that runs a task file; ``out`` ends in ``.bin``."""
    if tool.name == "DSSN":
        return [*tool.tasks, "--input", str(tasks), "--out", str(out)]
    if tool.name == "SimGrid (C++)":
        return [*tool.tasks, str(tasks), str(out), *_SERVERS, tool.last[0], tool.last[2]]
    return [*tool.tasks, str(tasks), str(out), *tool.last, *_SERVERS]
