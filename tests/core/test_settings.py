from __future__ import annotations

import os
import random
import string
from pathlib import Path

import pytest

from core import errors, settings
from core.setting_groups import Storage

GOOD = {
    "DATABASE_URL": "postgresql+psycopg://a:b@h/d",
    "REDIS_URL": "redis://:secret@h/0",
    "S3_ENDPOINT_URL": "http://h",
    "S3_ACCESS_KEY": "k",
    "S3_SECRET_KEY": "hush",
    "COATCHECK_SECRET_KEY": "hush" * 8,
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    # What the platform of other tests has.
    for name in [name for name in os.environ if name.startswith(("COATCHECK_", "S3_", "DATABASE_"))]:
        monkeypatch.delenv(name)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://h"),
        ("REDIS_URL", "h:6379"),
        ("COATCHECK_LEASE_S", "soon"),
        ("COATCHECK_LEASE_S", "0"),
        ("COATCHECK_HEARTBEAT_S", "10"),
        ("COATCHECK_PROVIDER", "tpu"),
        ("COATCHECK_MAX_BODY_BYTES", "-1"),
        ("COATCHECK_JOB_TTL_S", "99999999999999"),
        ("COATCHECK_RUN_TIMEOUT_S", "7200"),
        ("COATCHECK_LEASES", "20"),
        ("COATCHECK_WEBHOOK_SCHEDULE", "5,10"),
        ("COATCHECK_WEBHOOK_SCHEDULE", "0,-1"),
        ("COATCHECK_WEBHOOK_SCHEDULE", "0,soon"),
        ("COATCHECK_WEBHOOK_SCHEDULE", ""),
        ("COATCHECK_INPUT_BUCKETS", "bucket"),
        ("COATCHECK_INPUT_BUCKETS", "https://host/bucket?x"),
        ("COATCHECK_INPUT_BUCKETS", "https://host:99999/bucket"),
        ("DATABASE_URL", "postgresql://a:b@h:port/d"),
        ("REDIS_URL", "redis://h:port/0"),
        ("S3_ENDPOINT_URL", "http://h:99999"),
        ("COATCHECK_WEBHOOK_HOSTS", "hooks.internal"),
        ("COATCHECK_WEBHOOK_HOSTS", "hooks.internal:8080/path"),
        ("COATCHECK_WEBHOOK_HOSTS", "https://hooks.internal:8080"),
        ("COATCHECK_WEBHOOK_TIMEOUT_S", "31"),
        ("COATCHECK_WEBHOOK_SENDERS", "0"),
        ("COATCHECK_SECRET_KEY", "x" * 31),
        ("COATCHECK_OLD_SECRET_KEYS", f"{'x' * 32},short"),
        ("COATCHECK_OLD_SECRET_KEYS", ","),
        ("COATCHECK_REQUEST_THREADS", "0"),
    ],
)
def test_a_wrong_setting_stops_the_start_by_its_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(errors.SettingsInvalid, match=name):
        settings.load()


def test_there_is_a_thread_for_every_place_and_some_for_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("MAX_WAITERS", "2"), ("MAX_STREAMS", "3"), ("REQUEST_THREADS", "5")):
        monkeypatch.setenv(f"COATCHECK_{name}", value)
    # Those that are predicted at their ease, and wait for that, and what needs no key.
    assert settings.load().api.threads == 2 + 3 + 5 + 32 + 256 + 4
    monkeypatch.setenv("COATCHECK_MAX_PREDICTIONS", "40")
    assert settings.load().api.threads == 2 + 3 + 5 + 40 + 256 + 4


@pytest.mark.parametrize(
    "name",
    ["URL", "API_KEY", "ADMIN_KEY", "WORKER_INCARNATION", "WORKER_POOLS", "WORKER_STOP_FILE", "ALIVE_FILE"],
)
def test_what_is_handed_to_people_and_to_workers_is_no_misspelt_setting(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"COATCHECK_{name}", "x")
    settings.load()
    monkeypatch.setenv(f"COATCHECK_{name}S", "x")
    with pytest.raises(errors.SettingsInvalid, match=f"COATCHECK_{name}S"):
        settings.load()


def test_production_refuses_receivers_on_its_own_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COATCHECK_WEBHOOK_LOOPBACK", "9000,9100")
    assert settings.load().webhooks.loopback == (9000, 9100)
    monkeypatch.setenv("COATCHECK_ENVIRONMENT", "production")
    monkeypatch.setenv("COATCHECK_SECRET_KEY", STRONG[0])
    with pytest.raises(errors.SettingsInvalid, match=r"COATCHECK_WEBHOOK_LOOPBACK.*unset it"):
        settings.load()


WEAK = [
    "a" * 64,
    "0123456789" * 4,
    "changeme" * 5,
    "CHANGE_ME-7Zk0pQ3vXl9sWc2nBf6hJd1rTy8uGm4eLa5",
    "0123456789abcdef" * 4,
    "abcdefghijklmnopqrstuvwxyz0123456789",
    "correct horse battery staple",
]
STRONG = ["".join(random.Random(1).choices(letters, k=size)) for letters, size in (
    (string.ascii_letters + string.digits + "+/", 32), (string.hexdigits.lower()[:16], 64), (string.printable[:94], 32),
)]  # fmt: skip


@pytest.mark.parametrize("secret", [item.ljust(32, "!") for item in WEAK])
def test_production_refuses_a_secret_that_can_be_guessed_and_says_how_to_make_one(
    monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("COATCHECK_SECRET_KEY", secret)
    assert settings.load().sealing.secret_key == secret
    monkeypatch.setenv("COATCHECK_ENVIRONMENT", "production")
    with pytest.raises(errors.SettingsInvalid, match=r"COATCHECK_SECRET_KEY.*openssl rand -base64 32") as caught:
        settings.load()
    assert secret not in caught.value.message


@pytest.mark.parametrize("secret", STRONG)
def test_production_takes_a_random_one_and_lets_a_weak_one_go(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    monkeypatch.setenv("COATCHECK_ENVIRONMENT", "production")
    monkeypatch.setenv("COATCHECK_SECRET_KEY", secret)
    monkeypatch.setenv("COATCHECK_OLD_SECRET_KEYS", f"{'a' * 32}, {'b' * 32}")
    assert settings.load().sealing.old_secret_keys == ("a" * 32, "b" * 32)
    monkeypatch.setenv("COATCHECK_OLD_SECRET_KEYS", "")
    assert settings.load().sealing.old_secret_keys == ()


@pytest.mark.parametrize("value", ["true", "false", "1", "80", "1023", "65536", "9000-9100", "9000,80", "*", "٩٠٠٠"])
def test_receivers_on_this_machine_are_named_by_their_ports(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("COATCHECK_WEBHOOK_LOOPBACK", value)
    with pytest.raises(errors.SettingsInvalid, match=r"COATCHECK_WEBHOOK_LOOPBACK: must be .*ports"):
        settings.load()


@pytest.mark.parametrize(
    ("name", "value", "port"),
    [
        ("DATABASE_URL", "postgresql+psycopg://a:b@h/d", 5432),
        ("DATABASE_URL", "postgresql+psycopg://a:b%23@h:7001/d", 7001),
        ("DATABASE_URL", "postgresql+psycopg://a:b@/d?host=one:7001&host=two:7002", 7002),
        ("DATABASE_URL", "postgresql+psycopg://a:b@/d?host=one,two&port=7001,7002", 7002),
        ("REDIS_URL", "redis://:secret@h/0", 6379),
        ("S3_ENDPOINT_URL", "http://h:8333", 8333),
        ("S3_PUBLIC_URL", "http://h:8334", 8334),
    ],
)
def test_an_engines_port_is_no_receivers(monkeypatch: pytest.MonkeyPatch, name: str, value: str, port: int) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("COATCHECK_WEBHOOK_LOOPBACK", f"9000,{port}")
    with pytest.raises(errors.SettingsInvalid, match=f"COATCHECK_WEBHOOK_LOOPBACK={port} is the port of an engine"):
        settings.load()


@pytest.mark.parametrize("name", ["COATCHECK_INPUT_BUCKETS", "COATCHECK_INPUT_PRIVATE_BUCKETS"])
@pytest.mark.parametrize("store", ["http://h", "http://h:80", "https://files.example"])
def test_the_platforms_own_bucket_is_nobodys_to_read(monkeypatch: pytest.MonkeyPatch, name: str, store: str) -> None:
    monkeypatch.setenv("S3_PUBLIC_URL", "https://files.example")
    monkeypatch.setenv(name, f"{store}/inbox")
    settings.load()
    monkeypatch.setenv(name, f"{store}/inbox,{store}/coatcheck")
    with pytest.raises(errors.SettingsInvalid, match="S3_BUCKET=coatcheck"):
        settings.load()


def test_a_misspelt_setting_is_told_what_it_may_have_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COATCHECK_LEESE_S", "20")
    with pytest.raises(errors.SettingsInvalid, match="did you mean COATCHECK_LEASE_S"):
        settings.load()


@pytest.mark.parametrize("after", ["hu@sh@h/d", "hu@sh@h:1/d", "hush@h:port/d", "hu:sh@[::1/d", "hush@h:1:2/d"])
def test_an_address_of_a_database_that_cannot_be_read_is_refused_without_its_password(
    monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://user:{after}")
    for read in (settings.load, settings.database_url):
        with pytest.raises(errors.SettingsInvalid, match="DATABASE_URL") as caught:
            read()
        assert "%40" in caught.value.message
        assert "sh@" not in caught.value.message


def test_all_missing_settings_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in GOOD:
        monkeypatch.delenv(name)
    with pytest.raises(errors.SettingsInvalid) as caught:
        settings.load()
    assert all(name in caught.value.message for name in GOOD)


def test_secrets_do_not_show_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COATCHECK_OLD_SECRET_KEYS", "hush" * 8)
    assert "hush" not in repr(settings.load())
    assert "secret" not in repr(settings.load())


def test_a_process_that_is_not_given_all_needs_only_its_part(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in GOOD.keys() - {"REDIS_URL"}:
        monkeypatch.delenv(name)
    assert settings.load_only(settings.CelerySettings).queue.redis_url == GOOD["REDIS_URL"]
    with pytest.raises(errors.SettingsInvalid, match="S3_ENDPOINT_URL") as caught:
        settings.load_only(Storage)
    assert "COATCHECK_SECRET_KEY" not in caught.value.message
    monkeypatch.setenv("COATCHECK_SLICE_S", "soon")
    with pytest.raises(errors.SettingsInvalid, match="COATCHECK_SLICE_S"):
        settings.load_only(settings.CelerySettings)


def test_migrations_go_by_the_owner_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_OWNER_URL", raising=False)
    assert settings.owner_url() == GOOD["DATABASE_URL"]
    monkeypatch.setenv("DATABASE_OWNER_URL", "postgresql://owner:b@h/d")
    assert settings.owner_url() == "postgresql://owner:b@h/d"
    monkeypatch.setenv("DATABASE_OWNER_URL", "garbage")
    with pytest.raises(errors.SettingsInvalid, match="DATABASE_OWNER_URL"):
        settings.owner_url()


def test_in_production_who_signs_tokens_is_asked_by_tls_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COATCHECK_OIDC_ISSUER", "http://login.example/")
    settings.load()
    monkeypatch.setenv("COATCHECK_ENVIRONMENT", "production")
    monkeypatch.setenv("COATCHECK_SECRET_KEY", STRONG[0])
    with pytest.raises(errors.SettingsInvalid, match="COATCHECK_OIDC_ISSUER"):
        settings.load()
    monkeypatch.setenv("COATCHECK_OIDC_ISSUER", "https://login.example/")
    settings.load()


def test_what_the_proxy_speaks_tls_with_is_two_files_that_its_configuration_can_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("a.pem", "$b.pem"):
        (tmp_path / name).touch()
    certificate, key = "COATCHECK_TLS_CERTIFICATE", "COATCHECK_TLS_KEY"
    monkeypatch.setenv(certificate, str(tmp_path / "a.pem"))
    with pytest.raises(errors.SettingsInvalid, match="go together"):
        settings.proxy()
    for name in ("$b.pem", "c.pem", ""):
        monkeypatch.setenv(key, str(tmp_path / name) if name else "")
        with pytest.raises(errors.SettingsInvalid, match=f"{key}=.* is no file" if name else "go together"):
            settings.proxy()
    monkeypatch.setenv(key, str(tmp_path / "a.pem"))
    assert settings.proxy().tls_key == tmp_path / "a.pem"
