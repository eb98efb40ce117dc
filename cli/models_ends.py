"""`coatcheck models deprecate` and `remove`: how a published version ends."""

from __future__ import annotations

import datetime as dt

import click

from cli import operators, output
from core import audit
from registry import lifecycle


@click.command()
@click.argument("name")
@click.argument("version")
@click.option("--message", help="Why, and what to use in its place.")
@click.option("--sunset", type=click.DateTime(["%Y-%m-%d"]), help="The day, in UTC, until which it is meant to answer.")
@click.option("--undo", is_flag=True, help="Say so no more.")
@output.as_json
def deprecate(
    name: str, version: str, message: str | None, sunset: dt.datetime | None, undo: bool, as_json: bool
) -> None:
    """Say that a version is not to be used any more.

    It answers whoever asks for it as before, and its answers say so in the headers Deprecation and Sunset. Nothing
    happens on the day of --sunset. Of a model with several versions the stable one cannot be deprecated, nor can one
    that its routes name.
    """
    if undo and (message or sunset):
        raise click.UsageError("--undo goes alone")
    sunset_at, by = sunset and sunset.replace(tzinfo=dt.UTC), audit.operator()
    if sunset_at and sunset_at.date() < dt.datetime.now(dt.UTC).date():
        raise click.UsageError("--sunset must not be over: it is until when the version is meant to answer")
    with operators.parts() as parts:
        if undo:
            before = lifecycle.undo(parts.engine, name, version, by)
        else:
            before = lifecycle.deprecate(parts.engine, name, version, by, message=message, sunset_at=sunset_at)
    if as_json:
        about = {"message": message, "sunset_at": sunset_at}
        output.document({"model": name, "version": version, "deprecated": not undo, "before": before, **about})
    elif undo:
        output.line(f"{name} {version} is {'not deprecated any more' if before else 'not deprecated, and was not'}")
    else:
        output.line(f"{name} {version} is deprecated{' still; what is said of it is new' if before else ''}")


@click.command()
@click.argument("name")
@click.argument("version")
@output.as_json
def remove(name: str, version: str, as_json: bool) -> None:
    """Let nobody ask for a version any more.

    It holds within a second, and for good: its number stays taken. Jobs that are accepted already are done with it, and
    its bundle is removed after the last of them, an hour later at the soonest. Of a model with several versions the
    stable one cannot be removed; the last version takes the model with it.
    """
    with operators.parts() as parts:
        lifecycle.remove(parts.engine, name, version, audit.operator())
    if as_json:
        output.document({"model": name, "version": version})
    else:
        output.line(f"{name} {version} is removed; jobs that it has are done")
