"""Every setting there is: what it may be is read as it is said, and what it may not be stops the start by its name."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import re
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from core import errors, settings
from core.environment import settings_of
from core.setting_doors import Http
from core.settings import Settings
from tests.changed import changed, name_of
from tests.conftest import ROOT
from tests.core.test_settings import GOOD, STRONG

DECLARED = {name_of(item): item for item in settings_of(Settings)}
FIELDS = list(DECLARED)
#: `UPDATE_SETTINGS=1 ./run test tests/core/test_every_setting.py` writes the tables anew from what is declared.
PAGE = ROOT / "docs" / "settings.md"
#: They stand between the page's first words and what only one command or process reads.
TABLES = re.compile(r"^\| variable .*(?=^Read by one)", re.S | re.M)
SECRET = "Zr5qW0uN8yLx2TgVb7HdKe4MsJ1cPf6A"

#: Of each setting a text that is not its default, and what it is read as.
READ: Mapping[str, tuple[str, Any]] = {
    "redis_url": ("rediss://:b@other:7000/1", "rediss://:b@other:7000/1"),
    "log_level": ("DEBUG", "DEBUG"),
    "max_run_timeout_s": ("7200", 7200),
    "slice_s": ("2.5", 2.5),
    "s3_endpoint_url": ("https://other:9000", "https://other:9000"),
    "s3_access_key": ("other", "other"),
    "s3_secret_key": ("other", "other"),
    "s3_public_url": ("https://files.example", "https://files.example"),
    "s3_bucket": ("other", "other"),
    "s3_region": ("eu-west-1", "eu-west-1"),
    "model_cache": ("/somewhere/else", Path("/somewhere/else")),
    "max_body_bytes": ("1024", 1024),
    "max_wait_s": ("12.5", 12.5),
    "max_connections": ("8", 8),
    "grpc_port": ("65535", 65_535),
    "v1_deprecated_at": ("2027-01-01T00:00:00Z", dt.datetime(2027, 1, 1, tzinfo=dt.UTC)),
    "v1_sunset_at": ("2027-07-01T02:00:00+02:00", dt.datetime(2027, 7, 1, tzinfo=dt.UTC)),
    "tls_certificate": ("/tls/cert.pem", Path("/tls/cert.pem")),
    "tls_key": ("/tls/key.pem", Path("/tls/key.pem")),
    "cors_origins": ("https://a.example, http://localhost:5173", ("https://a.example", "http://localhost:5173")),
    "anonymous": ("true", True),
    "oidc_issuer": ("https://login.example/", "https://login.example/"),
    "oidc_audience": ("api", "api"),
    "oidc_tenant_claim": ("org_id", "org_id"),
    "oidc_tier_claim": ("plan", "plan"),
    "oidc_scope_claim": ("scp", "scp"),
    "trusted_proxies": ("10.0.0.0/8, 2001:db8::7", ("10.0.0.0/8", "2001:db8::7")),
    "database_url": ("postgresql+psycopg://other:b@h/d", "postgresql+psycopg://other:b@h/d"),
    "environment": ("production", "production"),
    "secret_key": (SECRET, SECRET),
    "old_secret_keys": (f"{'a' * 32}, {'b' * 32}", ("a" * 32, "b" * 32)),
    "provider": ("cuda", "cuda"),
    "gpu_memory_mb": ("3", 3),
    "default_model": ("tumor", "tumor"),
    "onnx_threads": ("3", 3),
    "model_memory_mb": ("3", 3),
    "cache_mb": ("3", 3),
    "cache_s": ("1", 1),
    "limits": ("false", False),
    "max_batch_items": ("1", 1),
    "max_upload_bytes": ("1", 1),
    "max_unpacked_bytes": ("1", 1),
    "input_buckets": ("https://s3.example/a,https://s3.example/b", ("https://s3.example/a", "https://s3.example/b")),
    "input_private_buckets": ("http://10.0.0.1:9000/a", ("http://10.0.0.1:9000/a",)),
    "upload_s": ("1", 1),
    "download_s": ("604800", 604_800),
    "inline_timeout_s": ("30", 30.0),
    "default_wait_s": ("0", 0.0),
    "max_waiters": ("0", 0),
    "max_streams": ("0", 0),
    "request_threads": ("1024", 1024),
    "max_predictions": ("256", 256),
    "max_errors": ("10000", 10_000),
    "job_ttl_s": ("1", 1),
    "lease_s": ("30.5", 30.5),
    "heartbeat_s": ("0.5", 0.5),
    "run_timeout_s": ("1", 1),
    "grace_s": ("0", 0.0),
    "max_attempts": ("1", 1),
    "max_losses": ("1", 1),
    "usage_keep_days": ("1", 1),
    "webhook_hosts": ("hooks.internal:8080,[::1]:9000", ("hooks.internal:8080", "[::1]:9000")),
    "webhook_loopback": ("1024,65535", (1024, 65_535)),
    "webhook_schedule": ("0,1.5,604800", (0.0, 1.5, 604_800.0)),
    "webhook_timeout_s": ("30", 30.0),
    "webhook_disable_s": ("1", 1),
    "webhook_senders": ("512", 512),
}

#: Any text is one.
ANY = {
    "s3_access_key",
    "s3_secret_key",
    "s3_bucket",
    "s3_region",
    "model_cache",
    "tls_certificate",
    "tls_key",
    "oidc_tier_claim",
}
WHOLE, NUMBER = ("soon", "1.5", "1e3", "0x10", ""), ("soon", "nan", "", "-1")
#: What each of the others may not be: beside its bounds, and what is no such thing at all.
REFUSED: Mapping[str, tuple[str, ...]] = {
    "redis_url": ("h:6379", "http://h", ""),
    "log_level": ("info", "LOUD", ""),
    "max_run_timeout_s": (*WHOLE, "0", "-1"),
    "slice_s": (*NUMBER, "0"),
    "s3_endpoint_url": ("h:9000", "s3://bucket", ""),
    "s3_public_url": ("files.example", "https://h:99999"),
    "max_body_bytes": (*WHOLE, "1023"),
    "max_wait_s": (*NUMBER, "0"),
    "max_connections": (*WHOLE, "7", "4097"),
    "grpc_port": (*WHOLE, "0", "65536"),
    "cors_origins": ("*,https://a.example", "https://a.example/", "a.example", "http://a.example:80",
                     "https://a.example:443", "https://a.example:65536"),
    "anonymous": ("maybe", "2", ""),
    "oidc_issuer": ("login.example", "https://login.example/?a", "https://login.example/#a", "https://a b"),
    "oidc_audience": ("",),
    "oidc_tenant_claim": ("",),
    "oidc_scope_claim": ("",),
    "trusted_proxies": ("proxy", "10.0.0.1/8", "10.0.0.0/33", "0.0.0.0/0", "::/0", "10.0.0.1:80", "*"),
    "database_url": ("mysql://h", "postgresql://a:b@h:port/d", ""),
    "environment": ("prod", "Production", ""),
    "secret_key": ("x" * 31, ""),
    "old_secret_keys": ("x" * 31, f"{'x' * 32},y"),
    "provider": ("gpu", "CPU", ""),
    "gpu_memory_mb": (*WHOLE, "-1", "16777217"),
    "default_model": ("Tumor", "a b", "tumor\n", "x" * 64),
    "onnx_threads": (*WHOLE, "-1", "257"),
    "model_memory_mb": (*WHOLE, "-1", "16777217"),
    "limits": ("perhaps", "2", ""),
    "max_batch_items": (*WHOLE, "0"),
    "max_upload_bytes": (*WHOLE, "0"),
    "max_unpacked_bytes": (*WHOLE, "0"),
    "input_buckets": ("bucket", "https://h/a/b", "https://h/a?x", "https://h:99999/a"),
    "input_private_buckets": ("bucket", "ftp://h/a", "https://h:99999/a"),
    "upload_s": (*WHOLE, "0", "86401"),
    "download_s": (*WHOLE, "0", "604801"),
    "v1_deprecated_at": ("soon", "2027-01-01", "2027-01-01T00:00:00", "1798761600"),
    "v1_sunset_at": ("soon", "2027-01-01", "2027-01-01T00:00:00", "1798761600"),
    "inline_timeout_s": (*NUMBER, "0", "30.1"),
    "default_wait_s": NUMBER,
    "max_waiters": (*WHOLE, "-1"),
    "max_streams": (*WHOLE, "-1"),
    "request_threads": (*WHOLE, "0", "1025"),
    "max_predictions": (*WHOLE, "-1", "257"),
    "cache_mb": (*WHOLE, "-1", "1048577"),
    "cache_s": (*WHOLE, "0", "2592001"),
    "max_errors": (*WHOLE, "-1", "10001"),
    "job_ttl_s": (*WHOLE, "0", "315360001"),
    "lease_s": (*NUMBER, "0"),
    "heartbeat_s": (*NUMBER, "0", "6.67"),
    "run_timeout_s": (*WHOLE, "0", "3601"),
    "grace_s": NUMBER,
    "max_attempts": (*WHOLE, "0"),
    "max_losses": (*WHOLE, "0"),
    "usage_keep_days": (*WHOLE, "0", "36501"),
    "webhook_hosts": ("hooks.internal", "https://hooks.internal:80", "hooks.internal:80/x"),
    "webhook_loopback": ("80", "1023", "65536", "9000-9100"),
    "webhook_schedule": ("5", "0,-1", "0,604801", "0,soon", ""),
    "webhook_timeout_s": (*NUMBER, "0", "30.5"),
    "webhook_disable_s": (*WHOLE, "0"),
    "webhook_senders": (*WHOLE, "0", "513"),
}  # fmt: skip


def variable(field: str) -> str:
    return DECLARED[field].metadata["variable"]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    # What the platform of other tests has.
    for name in [name for name in os.environ if name.startswith(("COATCHECK_", "S3_", "DATABASE_"))]:
        monkeypatch.delenv(name)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)


def test_every_setting_is_looked_at_here() -> None:
    assert set(READ) == set(FIELDS)
    assert set(REFUSED) | ANY == set(FIELDS)
    assert not set(REFUSED) & ANY


@pytest.mark.parametrize("field", FIELDS)
def test_a_setting_is_read_as_it_is_said_and_no_other_with_it(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    text, value = READ[field]
    if field == "environment":
        monkeypatch.setenv("COATCHECK_SECRET_KEY", STRONG[0])
    before = settings.load()
    monkeypatch.setenv(variable(field), text)
    after = settings.load()
    assert before != after
    assert changed(before, **{field: value}) == after


@pytest.mark.parametrize(("field", "text"), [(field, text) for field, texts in REFUSED.items() for text in texts])
def test_what_it_may_not_be_stops_the_start_with_a_sentence_that_names_it(
    monkeypatch: pytest.MonkeyPatch, field: str, text: str
) -> None:
    monkeypatch.setenv(variable(field), text)
    with pytest.raises(errors.SettingsInvalid) as caught:
        settings.load()
    assert variable(field) in caught.value.message
    assert caught.value.code == "SETTINGS_INVALID"
    assert len(caught.value.message.splitlines()) == 1


@pytest.mark.parametrize(
    ("field", "text"),
    [("max_connections", "4096"), ("onnx_threads", "256"), ("onnx_threads", "0"), ("upload_s", "86400"),
     ("job_ttl_s", "315360000"), ("webhook_senders", "1"), ("request_threads", "1"), ("run_timeout_s", "3600"),
     ("heartbeat_s", "6.66"), ("webhook_loopback", "1024"), ("download_s", "1"), ("secret_key", "x" * 32),
     ("cors_origins", "http://a.example:443"), ("cors_origins", "https://a.example:80"),
     ("cors_origins", "http://a.example:65535")],
)  # fmt: skip
def test_a_bound_itself_is_taken(monkeypatch: pytest.MonkeyPatch, field: str, text: str) -> None:
    monkeypatch.setenv(variable(field), text)
    settings.load()


def test_the_documents_tell_every_setting_as_it_is_declared() -> None:
    if os.environ.get("UPDATE_SETTINGS"):
        PAGE.write_text(TABLES.sub(lambda _: tables(), PAGE.read_text()))
    assert TABLES.findall(PAGE.read_text()) == [tables()]


def tables() -> str:
    """What all rooms share, and then each room's."""
    rooms = [kind for kind in typing.get_type_hints(Settings).values() if dataclasses.is_dataclass(kind)]
    inside = {item for room in rooms for item in settings_of(room)}
    shared = [item for item in settings_of(Settings) if item not in inside]
    return "\n".join([table(shared), *(f"{room.__doc__}\n\n{table(settings_of(room))}" for room in rooms), ""])


def table(items: Iterable[dataclasses.Field[Any]]) -> str:
    rows = (f"| `{item.metadata['variable']}` | {default(item)} | {item.metadata['means']} |" for item in items)
    return "\n".join(("| variable | default | means |", "|---|---|---|", *rows, ""))


def default(item: dataclasses.Field[Any]) -> str:
    """As it would be in the environment; nothing where nothing is meant."""
    value = item.default
    if value is dataclasses.MISSING:
        return "required"
    values = value if isinstance(value, tuple) else (value,)
    said = ",".join(f"{one:g}" if isinstance(one, float) else str(one) for one in values)
    said = said.lower() if isinstance(value, bool) else said
    return f"`{said}`" if value not in ("", None, ()) else ""


def test_a_setting_that_is_not_told_to_a_process_stops_no_start_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COATCHECK_MAX_CONNECTIONS", "7")
    settings.load_only(settings.CelerySettings)
    with pytest.raises(errors.SettingsInvalid, match="COATCHECK_MAX_CONNECTIONS"):
        settings.load_only(Http)
