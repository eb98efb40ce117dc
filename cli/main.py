"""The `coatcheck` command."""

from __future__ import annotations

# First of all, since what follows takes a second.
from cli.early import leaving

# isort: split
import sys
from collections.abc import Sequence

with leaving():
    from importlib import metadata

    import click

    from cli import access, failures
    from cli.database import migrate, roles
    from cli.explain import explain
    from cli.jobs import jobs, result
    from cli.load.command import load
    from cli.local import down, status, up
    from cli.models import models
    from cli.reseal import reseal
    from cli.routes import apply, routes
    from cli.serve import proxy, serve, serve_express
    from cli.serve_grpc import serve_grpc
    from cli.submit import submit

    VERSION = metadata.version("coatcheck")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="coatcheck", message="%(prog)s %(version)s")
def coatcheck() -> None:
    """Coatcheck: self-hosted asynchronous ML inference.

    Clients use submit, jobs, result, explain, load, models show and models try, with the settings of `.coatcheck/env`;
    the other commands are for operators, with those of `.coatcheck/env.admin`.

    Exit codes: 0 done; 1 refused or failed; 2 called wrongly, or a setting is missing or wrong; 3 (status) not all
    runs; 130 stopped by Ctrl-C; 141 the reader of the output has gone.
    """


for command in (
    up, down, status, serve, serve_express, serve_grpc, proxy, submit, jobs, result, explain, load, roles, migrate,
    models, routes, apply, *access.COMMANDS, reseal,
):  # fmt: skip
    coatcheck.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; what goes wrong is one sentence, or one JSON document with --json, not a stack trace."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            # Not every terminal has every character.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    options = given[: given.index("--")] if "--" in given else given
    run = lambda: coatcheck.main(given, prog_name="coatcheck", standalone_mode=False)  # noqa: E731
    sys.exit(failures.guarded(run, as_json="--json" in options))


if __name__ == "__main__":
    main()
