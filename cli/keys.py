"""`coatcheck keys`: API keys."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import shlex
from collections.abc import Collection

import click

from access import derived, issued, tenants
from access import keys as access_keys
from access.bounds import Bounds
from access.issued import Issued
from access.keys import ADMIN
from cli import operators, output
from cli.failures import Failure
from core import errors
from core.clock import Clock

_ID = re.compile(r"[0-9a-f]{12}")


_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class KeyId(click.ParamType[str]):
    """The public part of a key alone."""

    name = "key_id"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not _ID.fullmatch(value):
            # What was given may be a whole key, and is not repeated.
            self.fail("must be a key's id alone, the 12 hex digits after cck_, as `coatcheck keys list` shows it")
        return value


class Duration(click.ParamType[int]):
    """Such as 90d, 12h, 30m or 45s, in seconds, up to `most_s`."""

    name = "duration"

    def __init__(self, least_s: int, most_s: int) -> None:
        self._least_s, self._most_s = least_s, most_s

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        said = re.fullmatch(r"([0-9]{1,9})([smhd])", value)
        seconds = int(said[1]) * _UNITS_S[said[2]] if said else -1
        if not self._least_s <= seconds <= self._most_s:
            self.fail(f"must be such as 90d, 12h, 30m or 45s, from {self._least_s}s to {self._most_s // 86_400}d")
        return seconds


@click.group()
def keys() -> None:
    """Make, list, rotate and revoke API keys."""


@keys.command()
@click.option("--tenant", default="default", show_default=True, help="Whose key; a new tenant is made.")
@click.option("--tier", help="Of a new tenant, free if not given; one that is there keeps its own.")
@click.option("--name", required=True, help="What the key is for.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(sorted(access_keys.SCOPES)),
    metavar="SCOPE",
    help=f"What it may do, one of {', '.join(sorted(access_keys.SCOPES))}; may be given several times. Without it, "
    "all that a client needs.",
)
@click.option("--admin", is_flag=True, help="May administer the platform as well, and read /metrics.")
@click.option("--models", is_flag=True, help="May publish models as well.")
@click.option("--metrics", is_flag=True, help="May read /metrics, and nothing else.")
@click.option("--model", "only", multiple=True, help="The only model that it may ask; may be given several times.")
@click.option(
    "--network",
    "networks",
    multiple=True,
    help="Where it may be used from, such as 192.0.2.0/24; may be given several times.",
)
@click.option(
    "--expires-in",
    "life_s",
    type=Duration(1, derived.MAX_LIFE_S),
    help="How long it is good: such as 90d, 12h, 30m or 45s.",
)
@output.as_json
def create(
    tenant: str,
    tier: str | None,
    name: str,
    scopes: tuple[str, ...],
    admin: bool,
    models: bool,
    metrics: bool,
    only: tuple[str, ...],
    networks: tuple[str, ...],
    life_s: int | None,
    as_json: bool,
) -> None:
    """Make a key and print it.

    Only its hash is stored, so it cannot be shown again.
    """
    may = _scopes(scopes, admin=admin, models=models, metrics=metrics)
    with operators.parts() as parts:
        known = {item.name for item in tenants.listed(parts.engine)}
        try:
            ends = None if life_s is None else Clock(parts.engine).now() + dt.timedelta(seconds=life_s)
            bounds = Bounds.read(models=only or None, networks=networks or None, expires_at=ends)
            key = access_keys.create(parts.engine, tenant=tenant, name=name, scopes=may, tier=tier, bounds=bounds)
        except errors.TenantConflict as error:
            command = f"coatcheck tenants change {shlex.quote(tenant)} --tier {tier}"
            said = f"{error.message}, and no key was made; `{command}` changes that"
            raise Failure(said, code=error.code, details=error.details) from error
        made = issued.get(parts.engine, access_keys.id_of(key))
    if tenant not in known:
        output.say(f"Made the tenant {tenant!r} as well, of tier {made.tier}")
    _print(key, made, as_json=as_json)


@keys.command("list")
@click.option("--tenant", help="Only the keys of this one.")
@click.option("--all", "revoked", is_flag=True, help="Also those that have expired or were revoked.")
@output.as_json
def list_(tenant: str | None, revoked: bool, as_json: bool) -> None:
    """List the keys that open something.

    Never their secrets. Times are UTC.
    """
    with operators.parts() as parts:
        found = issued.listed(parts.engine, tenant=tenant, revoked=revoked)
    if as_json:
        output.document([dataclasses.asdict(key) for key in found])
        return
    columns = ("id", "tenant", "tier", "name", "scopes", "only", "created", "used", "expires")
    rows = [_row(key) + ((output.when(key.revoked_at),) if revoked else ()) for key in found]
    output.table((*columns, *(("revoked",) if revoked else ())), rows)


@keys.command()
@click.argument("key_id", type=KeyId())
@click.option(
    "--overlap",
    "overlap_s",
    default="1d",
    show_default=True,
    type=Duration(0, derived.MAX_OVERLAP_S),
    help="How long the old key goes on: such as 7d, 12h, 30m or 0s.",
)
@output.as_json
def rotate(key_id: str, overlap_s: int, as_json: bool) -> None:
    """Make a key in the place of one, and print it.

    KEY_ID is the 12 digits after `cck_`. The new key may what the old one may, and ends when that would have; the old
    one ends after the overlap.
    """
    with operators.parts() as parts:
        key = derived.rotate(parts.engine, key_id, overlap_s=overlap_s)
        made = issued.get(parts.engine, access_keys.id_of(key))
    _print(key, made, as_json=as_json)


@keys.command()
@click.argument("key_id", type=KeyId())
@output.as_json
def revoke(key_id: str, as_json: bool) -> None:
    """End a key for good.

    KEY_ID is the 12 digits after `cck_`. The key is refused everywhere within 5 s. Safe to repeat.
    """
    with operators.parts() as parts:
        since = access_keys.revoke(parts.engine, key_id, last=True)
        ended = issued.get(parts.engine, key_id)
        alone = ADMIN in ended.scopes and not any(ADMIN in key.scopes for key in issued.listed(parts.engine))
    if as_json:
        output.document({**dataclasses.asdict(ended), "was_revoked": since is not None})
    else:
        output.line(f"{key_id} was revoked at {since:%Y-%m-%d %H:%M:%S} UTC" if since else f"{key_id} is revoked")
    if alone:
        output.say("No key with the scope admin is left: `coatcheck keys create --admin` makes one")


def _scopes(said: Collection[str], *, admin: bool, models: bool, metrics: bool) -> Collection[str]:
    more = {scope for scope, asked in (("admin", admin), (access_keys.MODELS, models)) if asked}
    if metrics and (more or said):
        raise click.UsageError("--metrics excludes --admin, --models and --scope")
    return {"metrics"} if metrics else {*(said or access_keys.CLIENT), *more}


def _print(key: str, made: Issued, *, as_json: bool) -> None:
    if as_json:
        output.document({"key": key, **dataclasses.asdict(made)})
    else:
        output.line(key)


def _row(key: Issued) -> tuple[str, ...]:
    only = " ".join((*(key.models or ()), *(key.networks or ())))
    # Most are for all that a client needs.
    scopes = "client" if set(key.scopes) == access_keys.CLIENT else " ".join(key.scopes)
    moments = (output.when(at) for at in (key.created_at, key.last_used_at, key.expires_at))
    return (key.id, key.tenant, key.tier, key.name, scopes, only, *moments)
