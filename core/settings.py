"""Every setting of the platform: read once, typed, and refused with its name when wrong."""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import environs
import sqlalchemy.exc
from marshmallow import validate

from core import errors, hosts
from core import setting_rules as rules

ENVIRONMENTS = ("development", "production")
PROVIDERS = ("cpu", "cuda")
#: For what needs no key, such as probes: they are answered also while every place is taken.
_KEYLESS_THREADS = 4
#: Not read here, but ours: what `.coatcheck/env*` hands to people, and what is handed to a worker and its children.
_OTHERS = ("URL", "API_KEY", "ADMIN_KEY", "WORKER_INCARNATION", "WORKER_POOLS", "WORKER_STOP_FILE", "ALIVE_FILE")


@dataclass(frozen=True)
class QueueSettings:
    """What every Celery process needs, and beat and Flower need alone."""

    redis_url: str = field(repr=False)
    log_level: str
    max_run_timeout_s: int
    slice_s: float  #: how long one wake-up may drain before it gives the pool back


@dataclass(frozen=True)
class ObjectSettings:
    """Where files and bundles lie."""

    s3_endpoint_url: str
    s3_access_key: str = field(repr=False)
    s3_secret_key: str = field(repr=False)
    s3_public_url: str  #: how clients reach the store, where that is not how we do
    s3_bucket: str
    s3_region: str
    model_cache: Path


@dataclass(frozen=True)
class ProxySettings:
    """What the proxy needs."""

    max_body_bytes: int
    max_wait_s: float
    max_connections: int  #: requests of one key that are open at once
    tls_certificate: Path | None
    tls_key: Path | None
    cors_origins: tuple[str, ...]  #: whose pages may read what we answer; `*` alone: everybody's


@dataclass(frozen=True)
class Settings(QueueSettings, ObjectSettings, ProxySettings):
    """All of them, as the API and the workers need them; the table in docs/settings.md mirrors the fields."""

    database_url: str = field(repr=False)
    environment: str
    secret_key: str = field(repr=False)  #: seals what may be in the database only so
    old_secret_keys: tuple[str, ...] = field(repr=False)  #: open what was sealed under them, and seal nothing
    provider: str
    onnx_threads: int  #: 0 = what the cgroup allows
    max_batch_items: int
    max_upload_bytes: int
    max_unpacked_bytes: int
    input_buckets: tuple[str, ...]  #: from which signed URLs are read
    input_private_buckets: tuple[str, ...]  #: the same, at addresses that are not public
    upload_s: int  #: how long an upload may take to begin
    download_s: int  #: how long an address of a result is good for
    inline_timeout_s: float  #: how long the runs of one request may take in the API itself
    default_wait_s: float
    max_waiters: int
    max_streams: int
    request_threads: int  #: for requests that neither wait nor stream
    job_ttl_s: int  #: how long an accepted job may take before it expires
    lease_s: float
    heartbeat_s: float
    run_timeout_s: int  #: how long one attempt may run when the job does not say
    grace_s: float  #: how long a worker that was asked to stop goes on with what it holds
    max_attempts: int
    max_losses: int
    webhook_hosts: tuple[str, ...]  #: receivers that may be without TLS, on any port, at addresses that are not public
    webhook_loopback: tuple[int, ...]  #: ports of this machine at which receivers may be
    webhook_schedule: tuple[float, ...]  #: seconds before each attempt
    webhook_timeout_s: float  #: what one call may take in all
    webhook_disable_s: int  #: an endpoint that fails for so long is switched off
    webhook_senders: int  #: calls that one process makes at once

    @property
    def api_threads(self) -> int:
        """The threads of one API process: one for everything that has a place, and some for what needs none."""
        return self.max_waiters + self.max_streams + self.request_threads + _KEYLESS_THREADS

    @property
    def engines(self) -> list[tuple[str, int]]:
        """Hosts and ports of the engines; raises ValueError, sqlalchemy.exc.ArgumentError."""
        return [*hosts.of_database(self.database_url), *hosts.of_redis(self.redis_url), *self.stores]

    @property
    def stores(self) -> list[tuple[str, int]]:
        """Those of the store alone; raises ValueError."""
        return [hosts.of_url(url) for url in (self.s3_endpoint_url, self.s3_public_url) if url]


S = TypeVar("S", QueueSettings, ObjectSettings, ProxySettings, Settings)


def load() -> Settings:
    """Read the environment.

    Raises SettingsInvalid naming every variable that is missing or wrong.
    """
    settings = load_only(Settings)
    if settings.heartbeat_s * 3 > settings.lease_s:
        raise errors.SettingsInvalid(
            f"COATCHECK_HEARTBEAT_S={settings.heartbeat_s:g} is too slow for COATCHECK_LEASE_S={settings.lease_s:g}: "
            "a lease must outlive three heartbeats"
        )
    if settings.run_timeout_s > settings.max_run_timeout_s:
        raise errors.SettingsInvalid(
            f"COATCHECK_RUN_TIMEOUT_S={settings.run_timeout_s} is more than "
            f"COATCHECK_MAX_RUN_TIMEOUT_S={settings.max_run_timeout_s}"
        )
    if settings.environment == "production" and rules.guessable(settings.secret_key):
        raise errors.SettingsInvalid(
            "COATCHECK_SECRET_KEY is too easy to guess for COATCHECK_ENVIRONMENT=production; make one with "
            "`openssl rand -base64 32`, and if this one is in use, keep it in COATCHECK_OLD_SECRET_KEYS until "
            "`coatcheck reseal` is done"
        )
    _check_what_tenants_reach(settings)
    return settings


def _check_what_tenants_reach(settings: Settings) -> None:
    """Raises SettingsInvalid where what is listed for tenants is ours."""
    if settings.webhook_loopback and settings.environment == "production":
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
    for port in settings.webhook_loopback:
        if port in ports:
            raise errors.SettingsInvalid(
                f"COATCHECK_WEBHOOK_LOOPBACK={port} is the port of an engine (DATABASE_URL, REDIS_URL, S3_ENDPOINT_URL "
                "or S3_PUBLIC_URL): let your receiver listen on another one"
            )
    for bucket in (*settings.input_buckets, *settings.input_private_buckets):
        if hosts.of_url(bucket) in settings.stores and bucket.rpartition("/")[2] == settings.s3_bucket:
            raise errors.SettingsInvalid(
                f"COATCHECK_INPUT_BUCKETS or COATCHECK_INPUT_PRIVATE_BUCKETS lists S3_BUCKET={settings.s3_bucket}, "
                "which holds everybody's files: give tenants a bucket of their own"
            )


def load_only(kind: type[S]) -> S:
    """Read a part of the environment, for a process that is not given the rest; raises SettingsInvalid as `load`."""
    env = environs.Env(eager=False)
    values = _read(env)
    wanted = {item.name for item in dataclasses.fields(kind)}
    try:
        env.seal()
    except environs.EnvValidationError as error:
        # By variable, as `seal` gives them.
        messages = cast(Mapping[str, Any], error.error_messages)
        faults = {name: text for name, text in messages.items() if name.removeprefix("COATCHECK_").lower() in wanted}
        if faults:
            raise errors.SettingsInvalid(rules.told(faults)) from error
    _refuse_unknown(os.environ)  # noqa: TID251 - this is the place
    return kind(**{name: value for name, value in values.items() if name in wanted})


def proxy() -> ProxySettings:
    """What the proxy reads; raises SettingsInvalid, also where a file is not there."""
    settings = load_only(ProxySettings)
    for name, path in (("TLS_CERTIFICATE", settings.tls_certificate), ("TLS_KEY", settings.tls_key)):
        if path is not None and ("$" in str(path) or not path.is_file()):
            raise errors.SettingsInvalid(
                f"COATCHECK_{name}={path} is no file (or has a $ in its name): give a PEM file, or unset it"
            )
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        raise errors.SettingsInvalid("COATCHECK_TLS_CERTIFICATE and COATCHECK_TLS_KEY go together: set both, or none")
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


def _read(env: environs.Env) -> dict[str, Any]:
    values: dict[str, Any] = {
        "database_url": env.str("DATABASE_URL", validate=rules.database_url),
        "redis_url": env.str("REDIS_URL", validate=rules.REDIS_URL),
        "s3_endpoint_url": env.str("S3_ENDPOINT_URL", validate=rules.S3_URL),
        "s3_access_key": env.str("S3_ACCESS_KEY"),
        "s3_secret_key": env.str("S3_SECRET_KEY"),
        "s3_public_url": env.str("S3_PUBLIC_URL", ""),
        "s3_bucket": env.str("S3_BUCKET", "coatcheck"),
        "s3_region": env.str("S3_REGION", "us-east-1"),
    }
    with env.prefixed("COATCHECK_"):
        values |= {
            "environment": env.str("ENVIRONMENT", "development", validate=validate.OneOf(ENVIRONMENTS)),
            "secret_key": env.str("SECRET_KEY", validate=validate.Length(rules.MIN_SECRET)),
            "old_secret_keys": _listed(env.list("OLD_SECRET_KEYS", [], subcast=str.strip, validate=rules.secrets)),
            "log_level": env.str("LOG_LEVEL", "INFO", validate=validate.OneOf(("DEBUG", "INFO", "WARNING", "ERROR"))),
            "model_cache": env.path("MODEL_CACHE", Path(".coatcheck/models")),
            "provider": env.str("PROVIDER", "cpu", validate=validate.OneOf(PROVIDERS)),
            "onnx_threads": env.int("ONNX_THREADS", 0, validate=validate.Range(0, 256)),
            "max_body_bytes": env.int("MAX_BODY_BYTES", 4 * 2**20, validate=validate.Range(1024)),
            "max_connections": env.int("MAX_CONNECTIONS", 256, validate=validate.Range(8, 4096)),
            "tls_certificate": rules.path(env.str("TLS_CERTIFICATE", "")),
            "tls_key": rules.path(env.str("TLS_KEY", "")),
            "cors_origins": _listed(env.list("CORS_ORIGINS", [], subcast=str.strip, validate=rules.origins)),
            "max_batch_items": env.int("MAX_BATCH_ITEMS", 1000, validate=validate.Range(1)),
            "max_upload_bytes": env.int("MAX_UPLOAD_BYTES", 2**30, validate=validate.Range(1)),
            "max_unpacked_bytes": env.int("MAX_UNPACKED_BYTES", 8 * 2**30, validate=validate.Range(1)),
            "input_buckets": _listed(env.list("INPUT_BUCKETS", [], validate=rules.buckets)),
            "input_private_buckets": _listed(env.list("INPUT_PRIVATE_BUCKETS", [], validate=rules.buckets)),
            "upload_s": env.int("UPLOAD_S", 900, validate=validate.Range(1, 86_400)),
            "download_s": env.int("DOWNLOAD_S", 3600, validate=validate.Range(1, 604_800)),
            "inline_timeout_s": env.float("INLINE_TIMEOUT_S", 10.0, validate=[rules.POSITIVE, validate.Range(max=30)]),
            "default_wait_s": env.float("DEFAULT_WAIT_S", 10.0, validate=validate.Range(0)),
            "max_wait_s": env.float("MAX_WAIT_S", 30.0, validate=rules.POSITIVE),
            "max_waiters": env.int("MAX_WAITERS", 32, validate=validate.Range(0)),
            "job_ttl_s": env.int("JOB_TTL_S", 86_400, validate=validate.Range(1, 10 * 365 * 86_400)),
            "lease_s": env.float("LEASE_S", 20.0, validate=rules.POSITIVE),
            "heartbeat_s": env.float("HEARTBEAT_S", 5.0, validate=rules.POSITIVE),
            "run_timeout_s": env.int("RUN_TIMEOUT_S", 300, validate=validate.Range(1)),
            "max_run_timeout_s": env.int("MAX_RUN_TIMEOUT_S", 3600, validate=validate.Range(1)),
            "grace_s": env.float("GRACE_S", 20.0, validate=validate.Range(0)),
            "max_streams": env.int("MAX_STREAMS", 32, validate=validate.Range(0)),
            "request_threads": env.int("REQUEST_THREADS", 96, validate=validate.Range(1, 1024)),
            "slice_s": env.float("SLICE_S", 5.0, validate=rules.POSITIVE),
            "max_attempts": env.int("MAX_ATTEMPTS", 4, validate=validate.Range(1)),
            "max_losses": env.int("MAX_LOSSES", 3, validate=validate.Range(1)),
        }
        values |= _read_webhooks(env)
    return values


def _read_webhooks(env: environs.Env) -> dict[str, Any]:
    return {
        "webhook_hosts": _listed(env.list("WEBHOOK_HOSTS", [], validate=rules.receivers)),
        "webhook_loopback": tuple(map(int, _listed(env.list("WEBHOOK_LOOPBACK", [], validate=rules.ports)))),
        "webhook_schedule": _listed(
            env.list("WEBHOOK_SCHEDULE", list(rules.SCHEDULE), subcast=float, validate=rules.delays)
        ),
        "webhook_timeout_s": env.float("WEBHOOK_TIMEOUT_S", 15.0, validate=[rules.POSITIVE, validate.Range(max=30)]),
        "webhook_disable_s": env.int("WEBHOOK_DISABLE_S", 5 * 86_400, validate=validate.Range(1)),
        "webhook_senders": env.int("WEBHOOK_SENDERS", 64, validate=validate.Range(1, 512)),
    }


def _listed(found: list[Any] | None) -> tuple[Any, ...]:
    """What is wrong is None until everything that is wrong is told at once."""
    return tuple(found or ())


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    """A misspelt setting must not pass as a default; raises SettingsInvalid."""
    known = [
        f"COATCHECK_{name}" for name in (*(field.name.upper() for field in dataclasses.fields(Settings)), *_OTHERS)
    ]
    for name in sorted(environ):
        if name.startswith("COATCHECK_") and name not in known:
            close = difflib.get_close_matches(name, known, 1)
            meant = f"; did you mean {close[0]}?" if close else ""
            raise errors.SettingsInvalid(f"There is no setting {name}{meant} (docs/settings.md)")
