"""The schema as it is migrated, with nothing in it, for as long as one transaction."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import cast

import alembic.config
import psycopg
import pytest
import sqlalchemy
from sqlalchemy import exc, text

import models
from tests.conftest import ROOT, Platform, truncate

#: What an illegal statement was refused by: the name of a constraint, or the words of a trigger. None: it was not.
Refused = Callable[..., str | None]


@pytest.fixture
def db(platform: Platform) -> Iterator[sqlalchemy.Connection]:
    """As the superuser, whom only triggers and constraints can refuse anything; all of it is undone."""
    with platform.admin.connect() as connection:
        truncate(connection, ", ".join(models.Base.metadata.tables))
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


@pytest.fixture
def config() -> alembic.config.Config:
    return alembic.config.Config(ROOT / "alembic.ini")


@pytest.fixture
def empty(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> sqlalchemy.Engine:
    """A database of its own, in which nobody has done anything."""
    url = sqlalchemy.make_url(platform.engines.superuser_url)
    with platform.admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("DROP DATABASE IF EXISTS as_it_stands WITH (FORCE)")
        connection.exec_driver_sql("CREATE DATABASE as_it_stands")
    monkeypatch.setenv("DATABASE_OWNER_URL", url.set(database="as_it_stands").render_as_string(hide_password=False))
    return sqlalchemy.create_engine(url.set(database="as_it_stands"), poolclass=sqlalchemy.NullPool)
