"""``dssn new policy`` and ``dssn new scenario``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from dssn.cli.exits import USAGE, CliError, guarded
from dssn.cli.helptext import help_text
from dssn.cli.output import line

__all__ = ["register"]

_KINDS: Final = ("placement", "routing", "admission", "queueing", "technology")


def register(app: typer.Typer) -> None:
    """Add the command group to the application."""
    new = typer.Typer(
        no_args_is_help=True,
        help="Write a starting point: a policy of your own with its test, or a scenario to change.",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    new.command("policy", help=help_text(policy))(guarded(policy))
    new.command("scenario", help=help_text(scenario))(guarded(scenario))
    app.add_typer(new, name="new")


def policy(
    name: Annotated[str, typer.Argument(help="For example greenest, near-and-free or NearAndFree.")],
    *,
    kind: Annotated[str, typer.Option("--kind", help=f"One of {', '.join(_KINDS)}.")] = "placement",
    folder: Annotated[Path, typer.Option("--dir", help="Where to write.")] = Path(),
) -> None:
    """Write a working policy and its test: NAME.py and test_NAME.py.

    The last lines printed show how to test it and how to run a scenario with it.

    Example::

        dssn new policy greenest --kind placement
    """
    if kind not in _KINDS:
        raise CliError(f"--kind {kind}: allowed are {', '.join(_KINDS)}", USAGE)
    from dssn_models.policies.template import new_policy

    try:
        stub = new_policy(name, kind)  # type: ignore[arg-type]
    except ValueError as error:
        raise CliError(str(error), USAGE) from error
    files = {folder / stub.file: stub.source, folder / stub.test_file: stub.test}
    for path in files:
        if path.exists():
            raise CliError(f"{path} exists already; choose another name or folder", USAGE)
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
        line(f"wrote {path}")
    line()
    where = "" if folder == Path() else f"cd {folder} && "
    line(
        f"Test it:  {where}python -m pytest {stub.test_file}   (pip install pytest, or ./try setup, brings pytest)"
    )
    line(f"Use it:   {where}dssn run metro --set policies.{kind}={stub.use}")


def scenario(
    name: Annotated[str, typer.Argument(help="Name of the new file, with or without .yaml.")],
    *,
    source: Annotated[
        str, typer.Option("--from", metavar="SCENARIO", help="Which scenario to copy.")
    ] = "metro",
) -> None:
    """Copy a scenario of the library to a file of your own.

    Imports of presets stay as they are: they resolve from anywhere.

    Example::

        dssn new scenario mine --from metro
        dssn check mine.yaml
        dssn run mine.yaml
    """
    from dssn.loading.shelf import find
    from dssn.problems import Problem, Problems

    target = Path(name if name.endswith((".yaml", ".yml")) else f"{name}.yaml")
    if target.exists():
        raise CliError(f"{target} exists already; choose another name", USAGE)
    found = find(source)
    if isinstance(found, Problem):
        raise Problems([found])
    text = found.read_text(encoding="utf-8")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    line(f"wrote {target}")
    line(f"Check it: dssn check {target}")
    line(f"Run it:   dssn run {target}")
