"""The audit log: every change that somebody made to who may do what."""

from __future__ import annotations

import os
import pwd
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import text

from core import database

_INSERT = text("""
INSERT INTO audit (actor, address, tenant_id, action, object, before, after)
VALUES (:actor, :address, :tenant_id, :action, :object, CAST(:before AS json), CAST(:after AS json))
""")


@dataclass(frozen=True)
class Actor:
    """Who makes a change: `key:<id>` or `cli:<user>`, and from which address, if from one."""

    name: str
    address: str | None = None


def operator() -> Actor:
    """Who runs this program."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # in a container, as a user that it does not know
        name = str(os.getuid())
    return Actor(f"cli:{name}")


def record(
    connection: sqlalchemy.Connection,
    by: Actor,
    action: str,
    object_: str,
    *,
    tenant_id: uuid.UUID | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write it down in the transaction of the change itself; `tenant_id` is whose it is, if it is a tenant's."""
    values: dict[str, Any] = {
        "actor": by.name,
        "address": by.address,
        "tenant_id": tenant_id,
        "action": action,
        "object": object_,
    }
    values |= {"before": _json(before), "after": _json(after)}
    connection.execute(_INSERT, values)


def _json(said: Mapping[str, Any] | None) -> str | None:
    return None if said is None else database.dumps(said)
