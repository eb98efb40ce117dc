"""`coatcheck keys`: API keys."""

from __future__ import annotations

import dataclasses
import re
import shlex

import click

from access import keys as access_keys
from access import tenants
from cli import operators, output
from cli.failures import Failure
from core import errors

_ID = re.compile(r"[0-9a-f]{12}")


@click.group()
def keys() -> None:
    """Make, list and revoke API keys."""


@keys.command()
@click.option("--tenant", default="default", show_default=True, help="Whose key; a new tenant is made.")
@click.option("--tier", help="Of a new tenant, free if not given; one that is there keeps its own.")
@click.option("--name", required=True, help="What the key is for.")
@click.option("--admin", is_flag=True, help="May read /metrics as well as use /api/v1, as its tenant.")
@click.option("--models", is_flag=True, help="May publish models as well as use /api/v1, as its tenant.")
@click.option("--metrics", is_flag=True, help="May read /metrics, and nothing else.")
@output.as_json
def create(tenant: str, tier: str | None, name: str, admin: bool, models: bool, metrics: bool, as_json: bool) -> None:
    """Make a key and print it.

    Only its hash is stored, so it cannot be shown again.
    """
    more = {scope for scope, asked in (("admin", admin), (access_keys.MODELS, models)) if asked}
    if more and metrics:
        raise click.UsageError("--metrics excludes --admin and --models")
    scopes = {"metrics"} if metrics else {"jobs", *more}
    with operators.parts() as parts:
        known = {item.name for item in tenants.listed(parts.engine)}
        try:
            key = access_keys.create(parts.engine, tenant=tenant, name=name, scopes=scopes, tier=tier)
        except errors.TenantConflict as error:
            command = f"coatcheck tenants change {shlex.quote(tenant)} --tier {tier}"
            said = f"{error.message}, and no key was made; `{command}` changes that"
            raise Failure(said, code=error.code, details=error.details) from error
        made = next(item for item in access_keys.issued(parts.engine, tenant=tenant) if item.id == key.split("_")[1])
    if tenant not in known:
        output.say(f"Made the tenant {tenant!r} as well, of tier {made.tier}")
    if as_json:
        output.document({"key": key, **dataclasses.asdict(made)})
    else:
        output.line(key)


@keys.command("list")
@click.option("--tenant", help="Only the keys of this one.")
@click.option("--all", "revoked", is_flag=True, help="Also those that were revoked.")
@output.as_json
def list_(tenant: str | None, revoked: bool, as_json: bool) -> None:
    """List the keys that open something.

    Never their secrets. Times are UTC.
    """
    with operators.parts() as parts:
        found = access_keys.issued(parts.engine, tenant=tenant, revoked=revoked)
    if as_json:
        output.document([dataclasses.asdict(key) for key in found])
        return
    rows = [
        (key.id, key.tenant, key.tier, key.name, " ".join(key.scopes), output.when(key.created_at))
        + ((output.when(key.revoked_at),) if revoked else ())
        for key in found
    ]
    columns = ("id", "tenant", "tier", "name", "scopes", "created", *(("revoked",) if revoked else ()))
    output.table(columns, rows)


@keys.command()
@click.argument("key_id")
@output.as_json
def revoke(key_id: str, as_json: bool) -> None:
    """End a key for good.

    KEY_ID is the 12 digits after `cck_`. The key is refused everywhere within 5 s. Safe to repeat.
    """
    if not _ID.fullmatch(key_id):
        # What was given may be a whole key, and is not repeated.
        raise click.BadParameter(
            "must be a key's id alone, the 12 hex digits after cck_, as `coatcheck keys list` shows it",
            param_hint="KEY_ID",
        )
    with operators.parts() as parts:
        since = access_keys.revoke(parts.engine, key_id)
        if as_json:
            ended = next(item for item in access_keys.issued(parts.engine, revoked=True) if item.id == key_id)
            output.document({**dataclasses.asdict(ended), "was_revoked": since is not None})
        else:
            output.line(f"{key_id} was revoked at {since:%Y-%m-%d %H:%M:%S} UTC" if since else f"{key_id} is revoked")
