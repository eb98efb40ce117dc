"""What an operator's command is made of."""

from __future__ import annotations

import sqlalchemy

from core import database, settings
from core.seal import Seal
from core.setting_groups import Storage
from registry.catalog import Catalog
from storage.objects import Store
from wiring.base import Lazy, part


class Operator(Lazy):
    """Each part reads the settings that it needs, and no others, and raises SettingsInvalid: a key can be made where
    the store is not known."""

    @part
    def engine(self) -> sqlalchemy.Engine:
        return database.create_engine(settings.database_url())

    @part
    def store(self) -> Store:
        return Store(settings.load_only(Storage))

    @part
    def catalog(self) -> Catalog:
        return Catalog(self.engine, self.store)

    @part
    def seal(self) -> Seal:
        return Seal(settings.load().sealing)
