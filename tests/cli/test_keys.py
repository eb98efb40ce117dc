"""`coatcheck keys`, as an operator runs it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from access import keys as access_keys
from access.issued import Issued
from access.keys import Keyring
from cli.main import coatcheck
from core import errors
from tests.cli.conftest import Here
from tests.conftest import ROOT, Platform

Command = Callable[..., subprocess.CompletedProcess[str]]
KEY = f"cck_{'0a' * 6}_{'5e' * 24}{'c' * 8}"


@pytest.fixture
def keys(platform: Platform) -> Command:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        called = [sys.executable, "-m", "cli.main", "keys", *arguments]
        return subprocess.run(called, env=dict(os.environ), cwd=ROOT, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def tenant() -> str:
    return f"acme [bold]{uuid.uuid4()}[/bold] {'long ' * 6}".strip()


def test_a_key_is_listed_and_ended_by_its_id_and_its_secret_is_shown_once(
    keys: Command, tenant: str, platform: Platform
) -> None:
    made = [keys("create", "--tenant", tenant, "--name", "web").stdout.strip()]
    made.append(access_keys.create(platform.engine, tenant=tenant, name="[red]night[/]", scopes={"jobs"}))
    first, second = (key.split("_")[1] for key in made)
    listed = keys("list", "--tenant", tenant)
    assert (listed.returncode, listed.stderr) == (0, "")
    lines = listed.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["id", first, second]
    assert tenant in lines[1]
    assert ("  client  " in lines[1], "[red]night[/]  jobs  " in lines[2]) == (True, True)
    assert not any(key.split("_")[2] in listed.stdout for key in made)

    assert Keyring(platform.engine).verify(made[0]).key_id == first
    ended = keys("revoke", first)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{first} is revoked\n", "")
    with pytest.raises(errors.Unauthorized):
        Keyring(platform.engine).verify(made[0])
    assert Keyring(platform.engine).verify(made[1]).key_id == second

    (shown,) = json.loads(keys("list", "--tenant", tenant, "--json").stdout)
    assert set(shown) == {field.name for field in dataclasses.fields(Issued)}
    assert (shown["id"], shown["tenant"], shown["tier"], shown["scopes"]) == (second, tenant, "free", ["jobs"])
    every = json.loads(keys("list", "--tenant", tenant, "--json", "--all").stdout)
    assert [(item["id"], item["revoked_at"] is None) for item in every] == [(second, True), (first, False)]


def test_ending_a_key_twice_says_since_when_and_changes_nothing(keys: Command, tenant: str, platform: Platform) -> None:
    key_id = access_keys.create(platform.engine, tenant=tenant, name="web", scopes={"jobs"}).split("_")[1]
    platform.execute("UPDATE api_keys SET revoked_at = '2026-01-02 03:04:05+00' WHERE id = :id", id=key_id)
    again = keys("revoke", key_id)
    assert (again.returncode, again.stdout) == (0, f"{key_id} was revoked at 2026-01-02 03:04:05 UTC\n")
    assert platform.rows("SELECT FROM api_keys WHERE id = :id AND revoked_at = '2026-01-02 03:04:05+00'", id=key_id)


@pytest.mark.parametrize("command", ["revoke", "rotate"])
@pytest.mark.parametrize(
    "given", [KEY, KEY.removeprefix("cck_"), f"{KEY[4:16]}\n", KEY[4:15], KEY[4:16].upper(), "", "%"]
)
def test_what_is_no_id_is_refused_and_a_whole_key_is_never_repeated(given: str, command: str) -> None:
    done = CliRunner().invoke(coatcheck, ["keys", command, given])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "must be a key's id alone, the 12 hex digits after cck_" in " ".join(done.stderr.split())
    assert KEY[17:] not in done.stderr


def test_what_is_not_there_is_said_in_a_sentence(keys: Command) -> None:
    for arguments, said in (
        (("revoke", "0" * 12), "No such API key"),
        (("list", "--tenant", "nobody"), "There is no tenant 'nobody'"),
    ):
        done = keys(*arguments)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", f"Error: {said}\n")


def test_a_key_is_narrowed_by_the_words_of_its_command_and_listed_with_them(keys: Command, tenant: str) -> None:
    narrow = ("--model", "sentiment", "--model", "tumor", "--network", "192.0.2.0/24", "--network", "2001:db8::1")
    create = ("create", "--tenant", tenant, "--name", "kiosk")
    made = json.loads(keys(*create, *narrow, "--expires-in", "90d", "--json").stdout)
    assert (made["models"], made["networks"]) == (["sentiment", "tumor"], ["192.0.2.0/24", "2001:db8::1/128"])
    ends = dt.datetime.fromisoformat(made["expires_at"])
    assert abs(ends - dt.datetime.now(dt.UTC) - dt.timedelta(days=90)) < dt.timedelta(minutes=5)
    line = keys("list", "--tenant", tenant).stdout.splitlines()[1]
    assert f"  kiosk  client  sentiment tumor 192.0.2.0/24 2001:db8::1/128  {dt.datetime.now(dt.UTC):%Y-}" in line
    assert line.endswith(f"{ends:%Y-%m-%d %H:%M}")
    refused = keys(*create, "--network", "example.com")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "networks must each be an address or a network in CIDR notation" in refused.stderr


@pytest.mark.parametrize(("said", "lasts_s"), [("45s", 45), ("30m", 1800), ("12h", 43_200), ("90d", 7_776_000)])
def test_a_key_lasts_as_long_as_was_said(here: Here, said: str, lasts_s: int) -> None:
    create = ("keys", "create", "--tenant", here.key.tenant, "--name", "kiosk", "--expires-in", said, "--json")
    made = json.loads(here(*create).out)
    begins, ends = (dt.datetime.fromisoformat(made[name]) for name in ("created_at", "expires_at"))
    # It is counted from the command's beginning.
    assert lasts_s - 15 < (ends - begins).total_seconds() <= lasts_s


def test_a_rotated_key_is_printed_alone_and_the_old_one_ends_after_the_overlap(
    keys: Command, tenant: str, platform: Platform
) -> None:
    old = keys("create", "--tenant", tenant, "--name", "web", "--scope", "predict").stdout.strip()
    done = keys("rotate", access_keys.id_of(old), "--overlap", "0s")
    assert (done.returncode, done.stderr) == (0, "")
    new = Keyring(platform.engine).verify(done.stdout.strip())
    assert new.scopes == {"predict"}
    with pytest.raises(errors.Unauthorized):
        Keyring(platform.engine).verify(old)
    again = keys("rotate", access_keys.id_of(old))
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == "Error: This key opens nothing any more, and cannot be rotated\n"
    (listed,) = json.loads(keys("list", "--tenant", tenant, "--json").stdout)
    assert (listed["id"], listed["name"], listed["rotated_to"]) == (new.key_id, "web", None)
    every = json.loads(keys("list", "--tenant", tenant, "--all", "--json").stdout)
    assert [item["rotated_to"] for item in every] == [new.key_id, None]
