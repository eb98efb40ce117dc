"""Two roles of Postgres: one owns the tables and migrates them, the other may only use them."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import psycopg
import sqlalchemy
from psycopg import sql

from core import database, errors

#: Run in one transaction. Alembic's own table is made here, because what the owner makes later is the app's to use, and
#: the app has no business in that one.
_RIGHTS = sql.SQL("""
REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC;
REVOKE CREATE ON SCHEMA public FROM PUBLIC, {app};
GRANT USAGE, CREATE ON SCHEMA public TO {owner};
GRANT USAGE ON SCHEMA public TO {app};
CREATE TABLE IF NOT EXISTS public.alembic_version
  (version_num varchar(32) NOT NULL CONSTRAINT alembic_version_pkc PRIMARY KEY);
ALTER TABLE public.alembic_version OWNER TO {owner};
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {app};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {app};
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {app};
REVOKE ALL ON public.alembic_version FROM {app};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {app};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT USAGE ON SEQUENCES TO {app};
""")

#: What was made before there was an owner. Sequences and row types follow their tables; what an extension made stays
#: its own.
_LEFT_OVER = """
SELECT format('ALTER TABLE %%s OWNER TO %%I', c.oid::regclass, %(owner)s::text) FROM pg_class c
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm') AND relowner = current_user::regrole
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
UNION ALL
SELECT format('ALTER ROUTINE %%s OWNER TO %%I', p.oid::regprocedure, %(owner)s::text) FROM pg_proc p
WHERE pronamespace = 'public'::regnamespace AND proowner = current_user::regrole
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')
"""


def ensure(*, superuser_url: str, owner_url: str, app_url: str, say: Callable[[str], object]) -> None:
    """Make the roles of these addresses, or bring them back to what they should be, with the tables that are there;
    `say` is told whom that waits for.

    Raises SettingsInvalid when an address names no role or password, or when two name the same role.
    """
    superuser, owner, app = (sqlalchemy.make_url(url) for url in (superuser_url, owner_url, app_url))
    if len({superuser.username, owner.username, app.username} - {None}) != 3 or not (owner.password and app.password):
        raise errors.SettingsInvalid(
            "DATABASE_SUPERUSER_URL, DATABASE_OWNER_URL and DATABASE_URL must name three roles, each with its password"
        )
    engine = database.create_engine(superuser_url, application="coatcheck-roles", statement_s=None)
    try:
        with engine.begin() as pooled:
            # psycopg's own, which quotes names.
            connection = cast(psycopg.Connection, pooled.connection.driver_connection)
            database.take_turn(connection, say)
            if connection.execute("SELECT FROM pg_roles WHERE rolname = current_user AND rolsuper").fetchone() is None:
                raise errors.SettingsInvalid(f"DATABASE_SUPERUSER_URL: {superuser.username} is no superuser")
            for url in (owner, app):
                _ensure_role(connection, str(url.username), str(url.password))
            _share(connection, str(owner.username), str(app.username))
    finally:
        engine.dispose()


def _share(connection: psycopg.Connection, owner: str, app: str) -> None:
    left_over = connection.execute(_LEFT_OVER, {"owner": owner}).fetchall()
    for (command,) in left_over:
        connection.execute(command.encode())
    names = {"owner": owner, "app": app, "database": connection.info.dbname}
    connection.execute(_RIGHTS.format(**{name: sql.Identifier(value) for name, value in names.items()}))


def _ensure_role(connection: psycopg.Connection, name: str, password: str) -> None:
    role = sql.Identifier(name)
    if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (name,)).fetchone() is None:
        connection.execute(sql.SQL("CREATE ROLE {}").format(role))
    # Hashed here, so that no log of statements shows it.
    hashed = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    connection.execute(
        sql.SQL("ALTER ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD {}").format(
            role, sql.Literal(hashed)
        )
    )
