"""`./run chaos`: a soak of any length."""

from __future__ import annotations

import secrets
import sys
import tempfile
from pathlib import Path

import click

from tests.chaos import show
from tests.chaos.sabotage import SABOTAGES


@click.command()
@click.option("--minutes", type=click.FloatRange(0.2, 1440), default=3.0, show_default=True, help="How long.")
@click.option("--seed", type=int, help="The same faults again; by default a new one, which is printed.")
@click.option("--every", type=click.FloatRange(0.2), default=1.5, show_default=True, help="Seconds between faults.")
@click.option("--lease", type=click.FloatRange(1), default=20.0, show_default=True, help="COATCHECK_LEASE_S.")
@click.option(
    "--sabotage", multiple=True, type=click.Choice(list(SABOTAGES)), help="Break this first: the run must fail."
)
def chaos(minutes: float, seed: int | None, every: float, lease: float, sabotage: tuple[str, ...]) -> None:
    """Kill, freeze and cut off processes and engines at random, and account for every job that was accepted."""
    seed = secrets.randbelow(10**6) if seed is None else seed
    click.echo(f"seed {seed}, {minutes:g} minutes, a fault every {every:g} s, lease {lease:g} s")
    with tempfile.TemporaryDirectory(prefix="coatcheck-chaos-", ignore_cleanup_errors=True) as folder:
        report = show.run(
            Path(folder), seed=seed, minutes=minutes, every_s=every, lease_s=lease, sabotages=sabotage, say=click.echo
        )
    click.echo(report.table())
    click.echo("faults: " + ", ".join(f"{name} {count}" for name, count in sorted(report.nemesis.done.items())))
    for kind, faults in report.verdict.faults.items():
        for fault in faults[:20]:
            click.echo(f"{kind}: {fault}")
    sys.exit(1 if report.verdict.faults else 0)


chaos()
