"""`coatcheck load`: how a platform does under a load as it comes in life."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from cli import output
from cli.answers import progress_bar
from cli.failures import Failure, Interrupted
from cli.files import Target
from cli.formats import DASH
from cli.load import model as models
from cli.load import report
from cli.load.drive import Load, Plan
from cli.load.mix import DEFAULT, Mix
from cli.load.picture import svg
from cli.numbers import Finite
from cli.remote import Remote
from cli.text import FilePath

WEIGHTS = ", ".join(f"{kind}={weight:g}" for kind, weight in DEFAULT.items())


@click.command()
@click.option("--rate", type=Finite(0.1, 5000), default=20.0, show_default=True, help="Requests a second.")
@click.option("--seconds", type=click.IntRange(1, 86_400), default=60, show_default=True, help="How long.")
@click.option("--warm-up", type=click.IntRange(0, 3600), default=5, show_default=True, help="Seconds before, not told.")
@click.option("--mix", type=Mix(), help=f"Other weights than {WEIGHTS}; what is not named is left out.")
@click.option("--model", help="Whose stable version is asked; if not given, the first that answers rows at once.")
@click.option("--obey", is_flag=True, help="Ask again what is refused with Retry-After, when that is over.")
@click.option(
    "--picture", type=FilePath(dir_okay=False, path_type=Path), help="Draw the latencies, as SVG, in this file."
)
@output.as_json
def load(
    rate: float,
    seconds: int,
    warm_up: int,
    mix: Mapping[str, float] | None,
    model: str | None,
    obey: bool,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Put a load on a platform, and tell how it did.

    Requests arrive at random, at this rate, whether or not those before them are answered; each wait counts from when
    its request was due. Every ticket is followed to its end. It makes real jobs, which cost the key's tenant units.

    Ctrl-C ends it earlier, with a report of what was until then. Ends with 0 only if all was sent, no error came but
    refusals with Retry-After, and every job completed.
    """
    remote = Remote.from_environment()
    chosen = models.found(remote, model)
    if picture:
        # What cannot be written is told before the load, not after it.
        Target(picture).check(DASH)
    plan = Plan(rate, float(seconds), float(warm_up), mix or DEFAULT, obey)
    run = Load(remote, chosen, plan)
    with progress_bar() as progress:
        task = progress.add_task("load", total=seconds + warm_up, rows="")
        run.run(lambda at: progress.update(task, completed=at))
    said = report.document(plan, chosen, run.record)
    if picture:
        # First, as whoever reads the report may have gone, by the same Ctrl-C.
        Target(picture).write([svg(said).encode()])
    if as_json:
        output.document(said)
    else:
        report.tell(said)
    if run.record.stopped:
        raise Interrupted("Stopped by Ctrl-C: the report is of what was asked and answered until then")
    if not said["good"]:
        raise Failure("The platform did not stand the load: the report says where", code="LOAD")
