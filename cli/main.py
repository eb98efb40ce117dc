"""The `coatcheck` command."""

from __future__ import annotations

# First of all, since what follows may take a second.
from cli.early import leaving

# isort: split
import importlib
import sys
from collections import UserDict
from collections.abc import Iterator, Sequence

with leaving():
    from importlib import metadata

    import click

    from cli import failures, text

    VERSION = metadata.version("coatcheck")

#: In which module each command is, under its own name.
MODULES = {
    "adjust": "cli.usage",
    "apply": "cli.routes",
    "audit": "cli.audit",
    "blocks": "cli.blocks",
    "down": "cli.local",
    "explain": "cli.explain",
    "jobs": "cli.jobs",
    "keys": "cli.keys",
    "load": "cli.load.command",
    "migrate": "cli.database",
    "models": "cli.models",
    "proxy": "cli.serve",
    "reseal": "cli.reseal",
    "result": "cli.jobs",
    "roles": "cli.database",
    "routes": "cli.routes",
    "serve": "cli.serve",
    "serve-express": "cli.serve",
    "serve-grpc": "cli.serve_grpc",
    "status": "cli.local",
    "submit": "cli.submit",
    "tenants": "cli.tenants",
    "tiers": "cli.tiers",
    "up": "cli.local",
    "usage": "cli.usage",
}


class Commands(UserDict[str, click.Command]):
    """Each is loaded when it is asked for: what all of them need takes a second, and most need a tenth of it."""

    def __getitem__(self, name: str) -> click.Command:
        if name not in self.data:
            where = MODULES[name]
            with leaving():
                module = importlib.import_module(where)
            self.data[name] = text.insisted_on(getattr(module, name.replace("-", "_")))
        return self.data[name]

    def __contains__(self, name: object) -> bool:
        return name in MODULES

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES)

    def __len__(self) -> int:
        return len(MODULES)


@click.group(commands=Commands(), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="coatcheck", message="%(prog)s %(version)s")
def coatcheck() -> None:
    """Coatcheck: self-hosted asynchronous ML inference.

    Clients use submit, jobs, result, explain, load, models show and models try, with the settings of `.coatcheck/env`;
    the other commands are for operators, with those of `.coatcheck/env.admin`.

    Exit codes: 0 done; 1 refused or failed; 2 called wrongly, or a setting is missing or wrong; 3 (status) not all
    runs; 130 stopped by Ctrl-C; 141 the reader of the output has gone.
    """


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
