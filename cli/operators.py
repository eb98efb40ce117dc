"""What commands for operators share: the database and the store, by the settings of whoever runs the platform."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import sqlalchemy

from core import database, errors, settings
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


def engine() -> sqlalchemy.Engine:
    """Raises SettingsInvalid."""
    with configured():
        return database.create_engine(settings.database_url())


def registry() -> tuple[Catalog, Store]:
    """Raises SettingsInvalid."""
    with configured():
        url, values = settings.database_url(), settings.load_only(settings.ObjectSettings)
    store = Store(values)
    return Catalog(database.create_engine(url), store, values.model_cache), store
