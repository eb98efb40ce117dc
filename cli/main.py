"""The `coatcheck` command."""

from __future__ import annotations

import sys

import click

from cli.jobs import jobs, result, submit
from cli.keys import keys
from cli.local import down, status, up
from cli.migrate import migrate
from cli.models import models
from cli.reseal import reseal
from cli.roles import roles
from cli.serve import proxy, serve
from core import database, errors
from storage import objects


@click.group()
def coatcheck() -> None:
    """Coatcheck: self-hosted asynchronous ML inference."""


for command in (up, down, status, serve, proxy, submit, jobs, result, roles, migrate, models, keys, reseal):
    coatcheck.add_command(command)


def main() -> None:
    """Run a command; an error of ours is one sentence, not a stack trace."""
    try:
        coatcheck(prog_name="coatcheck")
    except errors.CoatcheckError as error:
        what = (f"{error.details[name]}" for name in ("field", "issue") if name in error.details)
        click.echo(f"Error: {' '.join((error.message, *what))}", err=True)
        sys.exit(1)
    except database.OUTAGES as error:
        click.echo(f"Error: the database does not answer: {error}", err=True)
        sys.exit(1)
    except objects.OUTAGES as error:
        click.echo(f"Error: the object store (S3_ENDPOINT_URL) does not answer: {error}", err=True)
        sys.exit(1)
    except (OSError, RuntimeError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
