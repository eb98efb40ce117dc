"""What commands for operators share: the database and the store, by the settings of whoever runs the platform."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import click
import sqlalchemy

from core import database, errors, settings
from core.setting_groups import Storage
from registry.catalog import Catalog
from storage.objects import Store


@contextlib.contextmanager
def configured() -> Iterator[None]:
    """Say of a missing setting where operators have it from."""
    try:
        yield
    except errors.SettingsInvalid as error:
        if "not set" not in error.message:
            raise
        raise errors.SettingsInvalid(f"{error.message}; in a checkout, `. .coatcheck/env.admin` sets them") from error


def engine(url: str | None = None) -> sqlalchemy.Engine:
    """The database, by default that of the settings, until the command ends; raises SettingsInvalid."""
    with configured():
        found = database.create_engine(url or settings.database_url())
    click.get_current_context().call_on_close(found.dispose)
    return found


def registry() -> tuple[Catalog, Store]:
    """Raises SettingsInvalid."""
    found = engine()
    with configured():
        values = settings.load_only(Storage)
    store = Store(values)
    return Catalog(found, store), store
