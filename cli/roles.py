"""`coatcheck roles`: who may do what in the database."""

from __future__ import annotations

import click

from core import roles as database_roles
from core import settings


@click.command()
def roles() -> None:
    """Make or repair the database's two roles.

    Works as DATABASE_SUPERUSER_URL. The role of DATABASE_OWNER_URL owns the tables and migrates them, the role of
    DATABASE_URL may use them. Their passwords become those of their addresses.
    """
    database_roles.ensure(
        superuser_url=settings.database_url("DATABASE_SUPERUSER_URL"),
        owner_url=settings.database_url("DATABASE_OWNER_URL"),
        app_url=settings.database_url(),
    )
