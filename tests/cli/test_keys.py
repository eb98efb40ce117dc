"""`coatcheck keys`, as an operator runs it."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from access import keys as access_keys
from access.keys import Keyring
from cli.main import coatcheck
from core import errors
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
    assert "[red]night[/]" in lines[2]
    assert not any(key.split("_")[2] in listed.stdout for key in made)

    assert Keyring(platform.engine).verify(made[0]).key_id == first
    ended = keys("revoke", first)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{first} is revoked\n", "")
    with pytest.raises(errors.Unauthorized):
        Keyring(platform.engine).verify(made[0])
    assert Keyring(platform.engine).verify(made[1]).key_id == second

    (shown,) = json.loads(keys("list", "--tenant", tenant, "--json").stdout)
    assert set(shown) == {field.name for field in dataclasses.fields(access_keys.Issued)}
    assert (shown["id"], shown["tenant"], shown["tier"], shown["scopes"]) == (second, tenant, "free", ["jobs"])
    every = json.loads(keys("list", "--tenant", tenant, "--json", "--all").stdout)
    assert [(item["id"], item["revoked_at"] is None) for item in every] == [(second, True), (first, False)]


def test_ending_a_key_twice_says_since_when_and_changes_nothing(keys: Command, tenant: str, platform: Platform) -> None:
    key_id = access_keys.create(platform.engine, tenant=tenant, name="web", scopes={"jobs"}).split("_")[1]
    platform.execute("UPDATE api_keys SET revoked_at = '2026-01-02 03:04:05+00' WHERE id = :id", id=key_id)
    again = keys("revoke", key_id)
    assert (again.returncode, again.stdout) == (0, f"{key_id} was revoked at 2026-01-02 03:04:05 UTC\n")
    assert platform.rows("SELECT FROM api_keys WHERE id = :id AND revoked_at = '2026-01-02 03:04:05+00'", id=key_id)


@pytest.mark.parametrize(
    "given", [KEY, KEY.removeprefix("cck_"), f"{KEY[4:16]}\n", KEY[4:15], KEY[4:16].upper(), "", "%"]
)
def test_what_is_no_id_is_refused_and_a_whole_key_is_never_repeated(given: str) -> None:
    done = CliRunner().invoke(coatcheck, ["keys", "revoke", given])
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
