"""`coatcheck up|down|status`: the whole platform on this machine."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

import click

from cli import output
from local import commands

NOT_ALL = 3
ROOT = Path(__file__).resolve().parent.parent


@click.command()
@click.option("--detach", is_flag=True, help="Return when everything runs; stop with `down`.")
@click.option("--quiet", is_flag=True, help="Do not repeat here what the processes log.")
def up(detach: bool, quiet: bool) -> None:
    """Start the whole platform on this machine.

    Engines, API, workers and Flower, from this checkout. Ctrl-C stops it all.
    """
    sys.exit(commands.up(ROOT, os.environ, detach=detach, quiet=quiet))


@click.command()
def down() -> None:
    """Stop everything that `up` started, and wait for it."""
    sys.exit(commands.down(ROOT))


@click.command()
@output.as_json
def status(as_json: bool) -> None:
    """Show what is running.

    The exit code is 3 when not everything is.
    """
    found = commands.status(ROOT)
    if as_json:
        output.document(dataclasses.asdict(found))
    else:
        for item in found.processes:
            output.line(f"  {item}")
        told = {"not running": "Not running (./run up)", "starting": "  still starting"}
        output.line(told.get(found.state, f"  {found.url}"))
        for problem in found.problems:
            output.line(f"    {problem}")
        if found.outdated:
            output.line(f"    {commands.OUTDATED}")
    sys.exit(0 if found.state == "running" else NOT_ALL)
