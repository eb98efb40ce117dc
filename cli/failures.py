"""How a command fails: one sentence, or one JSON document, on standard error, and an exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

import click
from click.exceptions import NoArgsIsHelpError

from cli.words import hidden, printable, sentence
from core import errors

MOST = 4000  #: characters of a sentence


class Failure(click.ClickException):
    """What was asked cannot be done, and why; `code` and `details` are what --json gives."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "FAILED",
        details: Mapping[str, Any] | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.details = dict(details or {})
        self.retryable = retryable


class Interrupted(Failure):
    """Somebody pressed Ctrl-C."""

    exit_code = 130

    def __init__(self, message: str = "Stopped by Ctrl-C", *, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, code="INTERRUPTED", details=details)


class Listed(Failure):
    """Several things are wrong, each on a line of its own."""


class Misconfigured(Failure):
    """A setting is missing or wrong; told as one that was called wrongly is."""

    exit_code = 2


def guarded(run: Callable[[], object], *, as_json: bool) -> int:
    """Run a command and return its exit code; what goes wrong is told without a stack trace and without a key."""
    try:
        found = run()
    except click.ClickException as error:
        failure = error
    except (KeyboardInterrupt, click.Abort):
        failure = Interrupted()
    except errors.CoatcheckError as error:
        failure = _of_ours(error)
    except Exception as error:
        if (told := _of_an_engine(error) or _of_python(error)) is None:
            raise
        failure = told
    else:
        return found if isinstance(found, int) else 0
    _tell(failure, as_json=as_json)
    return failure.exit_code


_KINDS: Mapping[type[errors.CoatcheckError], type[Failure]] = {
    errors.SettingsInvalid: Misconfigured,
    errors.BundleInvalid: Listed,
}


def _of_ours(error: errors.CoatcheckError) -> Failure:
    faults, more = (error.errors, error.more) if isinstance(error, errors.InvalidInput) else ([], 0)
    kind = _KINDS.get(type(error), Failure)
    said = sentence(error.message, error.details, faults, more)
    return kind(said, code=error.code, details=error.details, retryable=error.retryable)


def _of_an_engine(error: Exception) -> Failure | None:
    """What the libraries of engines raise; they are loaded by the commands that need them."""
    if "sqlalchemy" in sys.modules:
        import sqlalchemy.exc

        if isinstance(error, sqlalchemy.exc.SQLAlchemyError):
            return _of_the_database(error)
    if "boto3" in sys.modules:
        from storage import objects

        if isinstance(error, objects.OUTAGES):
            said = f"The object store (S3_ENDPOINT_URL) does not answer: {error}"
            return Failure(said, code="UNAVAILABLE", retryable=True)
    return None


def _of_the_database(error: Exception) -> Failure:
    """By what the driver said, as SQLAlchemy would add the statement."""
    from core import database

    cause = getattr(error, "orig", None) or error
    if isinstance(error, database.OUTAGES):
        return Failure(f"The database does not answer: {cause}", code="UNAVAILABLE", retryable=True)
    if getattr(cause, "sqlstate", None) == "42P01":
        return Failure("The database has no tables yet, or older ones: run `coatcheck migrate`", code="NOT_MIGRATED")
    return Failure(f"The database refuses: {cause}")


def _of_python(error: Exception) -> Failure | None:
    if isinstance(error, OSError):
        return Failure(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))
    return Failure(str(error)) if isinstance(error, RuntimeError) else None


def _tell(failure: click.ClickException, *, as_json: bool) -> None:
    said = failure.format_message()
    lines = said.splitlines() if isinstance(failure, Listed) else [" ".join(said.split())]
    message = hidden("\n".join(map(printable, lines)))
    message = f"{message[:MOST]}…" if len(message) > MOST else message
    usage = isinstance(failure, click.UsageError)
    if as_json:
        known = failure if isinstance(failure, Failure) else Failure("", code="USAGE" if usage else "FAILED")
        told = {"code": known.code, "message": message, "details": known.details, "retryable": known.retryable}
        click.echo(hidden(json.dumps({"error": told}, default=str)), err=True)
        return
    if isinstance(failure, NoArgsIsHelpError):
        click.echo(failure.format_message(), err=True)
        return
    if isinstance(failure, click.UsageError) and failure.ctx is not None:
        context = failure.ctx
        click.echo(f"{context.get_usage()}\nTry '{context.command_path} --help' for help.\n", err=True)
    click.echo(f"Error: {message}", err=True)
