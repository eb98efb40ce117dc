"""`coatcheck up|down|status`: the whole platform on this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from local import commands

ROOT = Path(__file__).resolve().parent.parent


@click.command()
@click.option("--detach", is_flag=True, help="Return when everything runs; stop with `down`.")
@click.option("--quiet", is_flag=True, help="Do not repeat here what the processes log.")
def up(detach: bool, quiet: bool) -> None:
    """Start everything here: engines, API, workers, Flower."""
    sys.exit(commands.up(ROOT, os.environ, detach=detach, quiet=quiet))


@click.command()
def down() -> None:
    """Stop everything that `up` started."""
    sys.exit(commands.down(ROOT))


@click.command()
def status() -> None:
    """Say what runs."""
    sys.exit(commands.status(ROOT))
