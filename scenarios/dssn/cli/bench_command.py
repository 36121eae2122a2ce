"""``dssn bench``: the workloads side by side with the peers, and our side alone on any file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from dssn.cli.exits import CliError, guarded
from dssn.cli.helptext import help_text
from dssn.cli.output import line

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    bench = typer.Typer(help="Measure speed, memory and exactness.", no_args_is_help=True)
    bench.command("flows", short_help="Flows over a network, from a file.", help=help_text(flows))(
        guarded(flows)
    )
    app.add_typer(bench, name="bench")


def _get_ready() -> None:
    """Compile what was never compiled on this machine, and say so."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # nothing here uses them, and starting them takes time
    from dssn_sim.bench import textio
    from dssn_sim.dataplane import compiled

    if not compiled.is_warm(textio):
        print("dssn: compiling for this machine (about 15 s, once)", file=sys.stderr, flush=True)
        compiled.warm_up(textio)


def flows(
    *,
    topology: Annotated[Path, typer.Option("--topology", help="Nodes and directed links (JSON).")],
    flows: Annotated[Path, typer.Option("--flows", help="A flow a line (CSV).")],
    out: Annotated[Path, typer.Option("--out", help="Where to write id,finish_s.")],
) -> None:
    """Run flows over a network, exact max-min, and write when each is finished.

    FLOWS has start_s,size_bytes,src,dst,cap_bps,route a line (cap 0: none; route: link ids joined by '-').
    A flow that crosses a link without capacity never ends: its time is inf, and a line on stderr says so.

    Example::

        dssn bench flows --topology topology.json --flows flows.csv --out finish.csv
    """
    _get_ready()
    from dssn_sim.bench.errors import BenchInputError
    from dssn_sim.bench.flows import read_flows, run_flow_table, write_finish
    from dssn_sim.bench.topology import read_topology

    try:
        net = read_topology(topology)
        table = read_flows(flows, len(net["links"]))
    except BenchInputError as error:
        raise CliError(str(error)) from None
    finish = run_flow_table(net, table)
    write_finish(out, finish)
    _say_stalled(finish)
    line(f"{len(finish)} flows -> {out}")


def _say_stalled(finish: Any) -> None:
    """Name the flows that never end, with the reason code."""
    stalled = [str(i) for i in (finish == float("inf")).nonzero()[0]]
    if stalled:
        shown = ", ".join(stalled[:5]) + (" ..." if len(stalled) > 5 else "")
        text = f"dssn: capacity.network: {len(stalled)} flows cross a link without capacity and never end: {shown}"
        print(text, file=sys.stderr)
