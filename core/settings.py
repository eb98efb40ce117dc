"""Every setting of the platform: read once, typed, and refused with its name when wrong."""

from __future__ import annotations

import difflib
import os
import ssl
from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from typing import TypeVar

import environs
import sqlalchemy.exc
from marshmallow import validate

from core import errors, hosts
from core import setting_rules as rules
from core.environment import read, setting, settings_of
from core.setting_cache import Cache
from core.setting_doors import Grpc, Http, Oidc, Versions
from core.setting_groups import Api, Files, Jobs, Models, Queue, Sealing, Storage, Webhooks

ENVIRONMENTS = ("development", "production")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
#: Not read here, but ours: what `.coatcheck/env*` hands to people, and what is handed to a worker and its children.
_OTHERS = ("URL", "API_KEY", "ADMIN_KEY", "WORKER_INCARNATION", "WORKER_POOLS", "WORKER_STOP_FILE", "ALIVE_FILE")


@dataclass(frozen=True, kw_only=True)
class CelerySettings:
    """What every Celery process needs, and beat and Flower need alone."""

    log_level: str = setting(
        "COATCHECK_LOG_LEVEL", "INFO", "`DEBUG`, `INFO`, `WARNING`, `ERROR`", validate.OneOf(LOG_LEVELS)
    )
    queue: Queue


@dataclass(frozen=True, kw_only=True)
class Settings(CelerySettings):
    """All of them by room, as the API and the workers need them."""

    environment: str = setting("COATCHECK_ENVIRONMENT", "development", "or `production`", validate.OneOf(ENVIRONMENTS))
    database_url: str = setting(
        "DATABASE_URL", MISSING, "`postgresql+psycopg://…`, Postgres 15 or newer", rules.database_url, secret=True
    )
    storage: Storage
    sealing: Sealing
    models: Models
    http: Http
    grpc: Grpc
    versions: Versions
    oidc: Oidc
    api: Api
    cache: Cache
    files: Files
    jobs: Jobs
    webhooks: Webhooks

    @property
    def engines(self) -> list[tuple[str, int]]:
        """Hosts and ports of the engines; raises ValueError, sqlalchemy.exc.ArgumentError."""
        return [*hosts.of_database(self.database_url), *hosts.of_redis(self.queue.redis_url), *self.stores]

    @property
    def stores(self) -> list[tuple[str, int]]:
        """Those of the store alone; raises ValueError."""
        return [hosts.of_url(url) for url in (self.storage.endpoint_url, self.storage.public_url) if url]


T = TypeVar("T")


def load() -> Settings:
    """Read the environment.

    Raises SettingsInvalid naming every variable that is missing or wrong.
    """
    settings = load_only(Settings)
    jobs, max_run_timeout_s = settings.jobs, settings.queue.max_run_timeout_s
    if jobs.heartbeat_s * 3 > jobs.lease_s:
        raise errors.SettingsInvalid(
            f"COATCHECK_HEARTBEAT_S={jobs.heartbeat_s:g} is too slow for COATCHECK_LEASE_S={jobs.lease_s:g}: "
            "a lease must outlive three heartbeats"
        )
    if jobs.run_timeout_s > max_run_timeout_s:
        raise errors.SettingsInvalid(
            f"COATCHECK_RUN_TIMEOUT_S={jobs.run_timeout_s} is more than COATCHECK_MAX_RUN_TIMEOUT_S={max_run_timeout_s}"
        )
    deprecated_at, sunset_at = settings.versions.v1_deprecated_at, settings.versions.v1_sunset_at
    if deprecated_at and sunset_at and sunset_at < deprecated_at:
        raise errors.SettingsInvalid("COATCHECK_V1_SUNSET_AT is before COATCHECK_V1_DEPRECATED_AT, and cannot be")
    if settings.environment == "production" and rules.guessable(settings.sealing.secret_key):
        raise errors.SettingsInvalid(
            "COATCHECK_SECRET_KEY is too easy to guess for COATCHECK_ENVIRONMENT=production; make one with "
            "`openssl rand -base64 32`, and if this one is in use, keep it in COATCHECK_OLD_SECRET_KEYS until "
            "`coatcheck reseal` is done"
        )
    if settings.environment == "production" and settings.oidc.issuer.startswith("http:"):
        raise errors.SettingsInvalid(
            "COATCHECK_OIDC_ISSUER is without TLS: who stands between could sign tokens; give it as https://, or set "
            "COATCHECK_ENVIRONMENT=development"
        )
    _check_what_tenants_reach(settings)
    return settings


def _check_what_tenants_reach(settings: Settings) -> None:
    """Raises SettingsInvalid where what is listed for tenants is ours."""
    if settings.webhooks.loopback and settings.environment == "production":
        raise errors.SettingsInvalid(
            "COATCHECK_WEBHOOK_LOOPBACK lets clients reach what listens on this machine, and is for development; "
            "unset it, or set COATCHECK_ENVIRONMENT=development"
        )
    try:
        ports = {port for _, port in settings.engines}
    except (ValueError, KeyError, sqlalchemy.exc.ArgumentError):
        raise errors.SettingsInvalid(
            "DATABASE_URL, REDIS_URL, S3_ENDPOINT_URL or S3_PUBLIC_URL is not a URL with a host and port"
        ) from None  # which may quote a password
    for port in settings.webhooks.loopback:
        if port in ports:
            raise errors.SettingsInvalid(
                f"COATCHECK_WEBHOOK_LOOPBACK={port} is the port of an engine (DATABASE_URL, REDIS_URL, S3_ENDPOINT_URL "
                "or S3_PUBLIC_URL): let your receiver listen on another one"
            )
    ours = settings.storage.bucket
    for bucket in (*settings.files.input_buckets, *settings.files.input_private_buckets):
        if hosts.of_url(bucket) in settings.stores and bucket.rpartition("/")[2] == ours:
            raise errors.SettingsInvalid(
                f"COATCHECK_INPUT_BUCKETS or COATCHECK_INPUT_PRIVATE_BUCKETS lists S3_BUCKET={ours}, "
                "which holds everybody's files: give tenants a bucket of their own"
            )


def load_only(kind: type[T]) -> T:
    """Read a part of the environment, for a process that is not given the rest; raises SettingsInvalid as `load`."""
    found = read(kind)
    _refuse_unknown(os.environ)  # noqa: TID251 - this is the place
    return found


def proxy() -> Http:
    """What the proxy reads; raises SettingsInvalid, also where a file is not there."""
    settings = load_only(Http)
    for name, path in (("TLS_CERTIFICATE", settings.tls_certificate), ("TLS_KEY", settings.tls_key)):
        if path is not None and ("$" in str(path) or not path.is_file()):
            raise errors.SettingsInvalid(
                f"COATCHECK_{name}={path} is no file (or has a $ in its name): give a PEM file, or unset it"
            )
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        raise errors.SettingsInvalid("COATCHECK_TLS_CERTIFICATE and COATCHECK_TLS_KEY go together: set both, or none")
    return settings


def speaking_tls() -> Http:
    """The same for who may be about to speak TLS; raises SettingsInvalid as well unless the certificate and its key can
    be read and belong together. A key with a password cannot be read."""
    settings = proxy()
    if settings.tls_certificate is None:
        return settings
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings.tls_certificate, settings.tls_key, password="")
    except OSError as error:
        raise errors.SettingsInvalid(
            "COATCHECK_TLS_CERTIFICATE and COATCHECK_TLS_KEY are no certificate in PEM and its key without a password: "
            f"{error.strerror}"
        ) from error
    return settings


def database_url(name: str = "DATABASE_URL") -> str:
    """Only the database's address, for commands that need nothing else."""
    try:
        return environs.Env().str(name, validate=rules.database_url)
    except environs.EnvValidationError as error:
        raise errors.SettingsInvalid(str(error)) from error
    except environs.EnvError as error:
        raise errors.SettingsInvalid(rules.told({name: [rules.UNSET]})) from error


def owner_url() -> str:
    """The database's address for migrations, as the owner of the tables where there is one."""
    return database_url("DATABASE_OWNER_URL" if environs.Env().str("DATABASE_OWNER_URL", "") else "DATABASE_URL")


def names() -> list[str]:
    """The variables of all settings, in the order of docs/settings.md."""
    return [item.metadata["variable"] for item in settings_of(Settings)]


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    """A misspelt setting must not pass as a default; raises SettingsInvalid."""
    known = [*names(), *(f"COATCHECK_{name}" for name in _OTHERS)]
    for name in sorted(environ):
        if name.startswith("COATCHECK_") and name not in known:
            close = [name.removeprefix("COATCHECK_"), *difflib.get_close_matches(name, known)]
            meant = next((f"; did you mean {one}?" for one in close if one in known), "")
            raise errors.SettingsInvalid(f"There is no setting {name}{meant} (docs/settings.md)")
