"""`coatcheck reseal`: everything sealed, under the current key."""

from __future__ import annotations

import click
from rich.progress import Progress

from cli import operators, output
from cli.failures import Failure
from cli.words import count
from jobs import reseal as resealing

#: So many of those that are lost are named.
NAMED = 20


@click.command()
@output.as_json
def reseal(as_json: bool) -> None:
    """Encrypt the secrets in the database anew.

    Afterwards all open under COATCHECK_SECRET_KEY. What was encrypted under COATCHECK_OLD_SECRET_KEYS is read too. May
    run beside the platform, be stopped, and be run again.
    """
    all_ = resealing.Tally()
    with operators.parts() as parts:
        # All settings are read before the database is asked anything.
        seal, engine = parts.seal, parts.engine
        with Progress(console=output.screen, disable=not output.screen.is_terminal) as progress:
            task = progress.add_task("rows", total=resealing.rows(engine))
            for tally in resealing.steps(engine, seal):
                all_.add(tally)
                progress.advance(task, tally.rows)
    if as_json:
        output.document({"resealed": all_.resealed, "right": all_.right, "lost": len(all_.lost)})
    else:
        output.line(f"{all_.resealed} resealed, {all_.right} already right, {len(all_.lost)} lost")
    if all_.lost:
        named, lost = all_.lost[:NAMED], f"{count(len(all_.lost), 'value')} {'is' if len(all_.lost) == 1 else 'are'}"
        for where in () if as_json else named:
            output.say(f"  lost: {where}")
        raise Failure(
            f"{lost} lost, sealed under none of the keys given, or for another place: add the key to "
            "COATCHECK_OLD_SECRET_KEYS and run this again",
            code="SECRET_LOST",
            details={"lost": named},
        )
