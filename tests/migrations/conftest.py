"""The schema as it is migrated, with nothing in it, for as long as one transaction."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import cast

import psycopg
import pytest
import sqlalchemy
from sqlalchemy import exc, text

import models
from tests.conftest import Platform

#: What an illegal statement was refused by: the name of a constraint, or the words of a trigger. None: it was not.
Refused = Callable[..., str | None]


@pytest.fixture
def db(platform: Platform) -> Iterator[sqlalchemy.Connection]:
    """As the superuser, whom only triggers and constraints can refuse anything; all of it is undone."""
    with platform.admin.connect() as connection:
        connection.execute(text(f"TRUNCATE {', '.join(models.Base.metadata.tables)}"))
        yield connection
        connection.rollback()


@pytest.fixture
def refused(db: sqlalchemy.Connection) -> Refused:
    """Try a statement, and undo it."""

    def attempt(sql: str, **parameters: object) -> str | None:
        with contextlib.closing(db.begin_nested()) as point:
            try:
                db.execute(text(sql), parameters)
                db.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
            except exc.DBAPIError as error:
                diagnosis = cast("psycopg.Error", error.orig).diag
                return str(diagnosis.constraint_name or diagnosis.message_primary)
            finally:
                point.rollback()
        return None

    return attempt
