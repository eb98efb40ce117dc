"""`coatcheck reseal`: everything sealed, under the current key."""

from __future__ import annotations

import click
from rich.console import Console
from rich.progress import Progress

from core import database, settings
from core.seal import Seal
from jobs import reseal as resealing

#: So many of those that are lost are named.
NAMED = 20


@click.command()
def reseal() -> None:
    """Seal what is in the database anew: under COATCHECK_SECRET_KEY, each value for its own place.

    Opens what was sealed under COATCHECK_OLD_SECRET_KEYS, too. May run beside the platform, be stopped, and be run
    again.
    """
    values = settings.load()
    engine = database.create_engine(values.database_url)
    all_ = resealing.Tally()
    screen = Console(stderr=True)
    with Progress(console=screen, disable=not screen.is_terminal) as progress:
        task = progress.add_task("rows", total=resealing.rows(engine))
        for tally in resealing.steps(engine, Seal(values)):
            all_.add(tally)
            progress.advance(task, tally.rows)
    click.echo(f"{all_.resealed} resealed, {all_.right} already right, {len(all_.lost)} lost")
    if all_.lost:
        for where in all_.lost[:NAMED]:
            click.echo(f"  lost: {where}", err=True)
        raise click.ClickException(
            f"{len(all_.lost)} values open under none of the keys given, or were sealed for another place; add the key "
            "that they were sealed under to COATCHECK_OLD_SECRET_KEYS and run this again"
        )
