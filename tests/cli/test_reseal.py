"""`coatcheck reseal`: one key takes the place of another, and nothing is lost."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
import pty
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from core import errors, ids
from core.seal import Context, Purpose, Seal
from jobs import kinds, reseal
from local.child import Child
from tests import factories
from tests.cli.conftest import Done, Run
from tests.conftest import ROOT, Platform, until
from webhooks import signing_keys
from webhooks.signing import Signing

OLD, LOST = "o" * 32, "l" * 32
Command = Callable[..., Done]
NewJob = Callable[..., uuid.UUID]


@pytest.fixture
def empty(platform: Platform, quiet: None) -> None:
    platform.truncate("webhook_secrets")


@pytest.fixture
def old(platform: Platform, empty: None) -> Seal:
    """As every process sealed before the key was changed."""
    return Seal(dataclasses.replace(platform.settings.sealing, secret_key=OLD))


@pytest.fixture
def both(platform: Platform) -> Seal:
    """As every process seals while the keys are being changed."""
    return Seal(dataclasses.replace(platform.settings.sealing, old_secret_keys=(OLD,)))


@pytest.fixture
def new(platform: Platform) -> Seal:
    """As every process seals afterwards."""
    return Seal(platform.settings.sealing)


@pytest.fixture
def run(run: Run, platform: Platform) -> Command:
    def call(*words: str, **env: str) -> Done:
        return run("reseal", *words, **{**platform.engines.env, "COATCHECK_OLD_SECRET_KEYS": OLD, **env})

    return call


def with_secret(platform: Platform, seal: Seal) -> signing_keys.Owner:
    """A tenant with a webhook secret."""
    owner = (platform.new_tenant()[0].tenant_id, None)
    with platform.engine.begin() as connection:
        signing_keys.ensure(connection, seal, owner, Signing.V1)
    return owner


def with_urls(platform: Platform, new_job: NewJob, seal: Seal, **more: Any) -> uuid.UUID:
    """A job from a file in a client's own bucket."""
    job_id, caller = ids.uuid7(), platform.new_tenant()[0]
    contexts = [Context(purpose, caller.tenant_id, job_id) for purpose in (Purpose.INPUT_URL, Purpose.OUTPUT_URL)]
    urls = [seal.seal(f"https://{context.purpose}", context) for context in contexts]
    inputs = {"url": urls[0], "etag": "e", "sha256": None, "output_url": urls[1], "format": "jsonl", **more}
    return new_job(id=job_id, caller=caller, kind="bulk", inputs=inputs)


def unbound(secret: str) -> str:
    """As it was sealed when that was bound to nothing."""
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(OLD.encode()).digest())).encrypt(secret.encode()).decode()


def opened(platform: Platform, seal: Seal, job_id: uuid.UUID) -> list[str]:
    tenant_id, inputs = platform.one("SELECT tenant_id, inputs FROM jobs WHERE id = :id", id=job_id)
    urls = (("url", Purpose.INPUT_URL), ("output_url", Purpose.OUTPUT_URL))
    return [seal.open(inputs[name], Context(purpose, tenant_id, job_id)) for name, purpose in urls]


def test_afterwards_everything_opens_without_the_old_key_and_a_second_time_has_nothing_to_do(
    platform: Platform, old: Seal, new: Seal, run: Command, new_job: NewJob
) -> None:
    owner, job = with_secret(platform, old), with_urls(platform, new_job, old)
    ended = with_urls(platform, new_job, old)
    platform.execute("UPDATE jobs SET status = 'canceled' WHERE id = :id", id=ended)
    ours, plain = with_secret(platform, new), new_job(inputs={"text": "Lovely", "url": "gAAAAA"})
    with pytest.raises(errors.SecretLost):
        signing_keys.good(platform.engine, new, owner)
    before = signing_keys.good(platform.engine, old, owner), signing_keys.good(platform.engine, new, ours)
    events = platform.rows("SELECT * FROM job_events")

    done = run()
    assert (done.code, done.out, done.err) == (0, "5 resealed, 1 already right, 0 lost\n", "")
    done = run()
    assert (done.code, done.out) == (0, "0 resealed, 6 already right, 0 lost\n")
    done = run("--json")
    assert (done.code, json.loads(done.out), done.err) == (0, {"resealed": 0, "right": 6, "lost": 0}, "")
    assert run(COATCHECK_OLD_SECRET_KEYS="").code == 0

    assert (signing_keys.good(platform.engine, new, owner), signing_keys.good(platform.engine, new, ours)) == before
    for job_id in (job, ended):
        assert opened(platform, new, job_id) == ["https://input-url", "https://output-url"]
    assert platform.one("SELECT inputs ->> 'url' FROM jobs WHERE id = :id", id=plain) == ("gAAAAA",)
    assert platform.rows("SELECT * FROM job_events") == events


def test_what_was_bound_to_nothing_is_bound(platform: Platform, new: Seal, empty: None, run: Command) -> None:
    owner, thief = with_secret(platform, new), with_secret(platform, new)
    mine = "UPDATE webhook_secrets SET sealed = :sealed WHERE tenant_id = :id"
    platform.execute(mine, sealed=unbound("whsec_AAAA"), id=owner[0])
    assert run().out == "1 resealed, 1 already right, 0 lost\n"
    (found,) = signing_keys.good(platform.engine, new, owner)
    assert found.key.secret == "whsec_AAAA"
    stolen = platform.one("SELECT sealed FROM webhook_secrets WHERE tenant_id = :id", id=owner[0])[0]
    platform.execute(mine, sealed=stolen, id=thief[0])
    done = run()
    assert (done.code, done.out) == (1, "0 resealed, 1 already right, 1 lost\n")
    assert "Error: 1 value is lost, sealed under none" in done.err


def test_two_jobs_with_one_text_that_is_bound_to_nothing_have_one_of_their_own_each(
    platform: Platform, old: Seal, both: Seal, new: Seal, new_job: NewJob
) -> None:
    urls = {"url": unbound("https://one"), "output_url": unbound("https://two")}
    jobs = [with_urls(platform, new_job, old, **urls) for _ in range(2)]
    list(reseal.steps(platform.engine, both))
    assert [opened(platform, new, job_id) for job_id in jobs] == [["https://one", "https://two"]] * 2


def test_what_is_lost_is_named_and_left_as_it_is_and_the_rest_goes_on(
    platform: Platform, old: Seal, new: Seal, run: Command, new_job: NewJob
) -> None:
    foreign = Seal(dataclasses.replace(platform.settings.sealing, secret_key=LOST))
    with_secret(platform, foreign)
    lost, job = with_urls(platform, new_job, foreign), with_urls(platform, new_job, old)
    done = run()
    assert (done.code, done.out) == (1, "2 resealed, 0 already right, 3 lost\n")
    assert f"lost: jobs {lost} output_url" in done.err
    assert "Error: 3 values are lost, sealed under none of the keys given" in done.err
    assert "Traceback" not in done.err
    told = json.loads(run("--json").err)["error"]
    assert told["code"] == "SECRET_LOST"
    assert f"jobs {lost} output_url" in told["details"]["lost"]
    assert len(told["details"]["lost"]) == 3
    assert opened(platform, new, job)
    assert opened(platform, foreign, lost)
    done = run(COATCHECK_OLD_SECRET_KEYS=f"{OLD},{LOST}")
    assert (done.code, done.out) == (0, "3 resealed, 2 already right, 0 lost\n")


def test_on_a_terminal_it_shows_how_far_it_is(platform: Platform, old: Seal) -> None:
    with_secret(platform, old)
    ours, theirs = pty.openpty()
    environ = {**os.environ, "COATCHECK_OLD_SECRET_KEYS": OLD, "TERM": "xterm"}
    called = [sys.executable, "-m", "cli.main", "reseal"]
    done = subprocess.run(called, env=environ, cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs, check=True)
    assert done.stdout == b"1 resealed, 0 already right, 0 lost\n"
    shown = os.read(ours, 65_536)
    assert b"100%" in shown
    os.close(ours)
    os.close(theirs)


def test_killed_in_the_middle_it_can_be_run_again(
    platform: Platform, old: Seal, both: Seal, run: Command, spawn: Callable[..., Child]
) -> None:
    owners = [with_secret(platform, old) for _ in range(6)]
    with platform.engine.connect() as connection:
        # It waits where a row is held.
        fourth = text("SELECT FROM webhook_secrets WHERE tenant_id = :id FOR UPDATE")
        connection.execute(fourth, {"id": owners[3][0]})
        child = spawn("reseal", "cli.main", "reseal", COATCHECK_OLD_SECRET_KEYS=OLD)
        done = f"SELECT count(*) FROM webhook_secrets WHERE sealed LIKE 's1.{both._current}.%'"
        # Asked all the while, or Postgres would end a transaction that does nothing.
        until(lambda: connection.execute(text("SELECT 1")) and platform.one(done) == (3,))
        child.kill()
    for owner in owners:
        assert len(signing_keys.good(platform.engine, both, owner)) == 1
    assert run().out == "3 resealed, 3 already right, 0 lost\n"


def test_beside_a_rotation_both_keys_stay(platform: Platform, old: Seal, both: Seal, new: Seal) -> None:
    owner = with_secret(platform, old)
    (first,) = signing_keys.good(platform.engine, old, owner)
    tallies: list[reseal.Tally] = []
    resealing = threading.Thread(target=lambda: tallies.extend(reseal.steps(platform.engine, both)))
    with platform.engine.begin() as connection:
        # What `signing_keys.rotate` does, held before its end.
        connection.execute(signing_keys._RETIRE, {"tenant_id": owner[0], "endpoint_id": None, "overlap_s": 600})
        signing_keys.ensure(connection, both, owner, Signing.V1)
        resealing.start()
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%webhook_secrets%'"
        )
        until(lambda: platform.one(waiting) == (1,))
    resealing.join(30)
    assert sum(tally.resealed for tally in tallies) == 1
    current, retiring = signing_keys.good(platform.engine, new, owner)
    assert (retiring.key, current.retires_at) == (first.key, None)
    assert retiring.retires_at is not None


def test_what_somebody_else_changed_meanwhile_stays_as_they_left_it(
    platform: Platform, old: Seal, new: Seal, new_job: NewJob
) -> None:
    owner, job = with_secret(platform, old), with_urls(platform, new_job, old)

    class Slow(Seal):
        """Somebody is faster, each time: behind the look at what there is, and before it is written."""

        def renewed(self, sealed: str, context: Context) -> str:
            found = super().renewed(sealed, context)
            if context.owner_id == job:
                platform.execute("""UPDATE jobs SET inputs = '{"url": "theirs", "output_url": "theirs"}'""")
            else:
                platform.execute("UPDATE webhook_secrets SET sealed = 'theirs'")
            return found

    tallies = list(
        reseal.steps(platform.engine, Slow(dataclasses.replace(platform.settings.sealing, old_secret_keys=(OLD,))))
    )
    assert [(tally.resealed, tally.lost) for tally in tallies if tally.rows] == [(0, []), (0, [])]
    assert platform.one("SELECT sealed FROM webhook_secrets WHERE tenant_id = :id", id=owner[0]) == ("theirs",)
    assert platform.one("SELECT inputs ->> 'url' FROM jobs WHERE id = :id", id=job) == ("theirs",)


def test_a_job_that_runs_keeps_all_but_its_urls_to_the_byte(
    platform: Platform, old: Seal, both: Seal, new: Seal, new_job: NewJob
) -> None:
    job = with_urls(platform, new_job, old)
    # As JSON has it, and JSONB would not: a NUL, a name twice, a number in another form.
    odd = r'"fields":  {"a": "\u0000", "b": 1.0e1, "b": 2}'
    platform.execute(
        "UPDATE jobs SET status = 'processing', attempt = 1, lease_expires_at = 'infinity', "
        "inputs = CAST(replace(CAST(inputs AS text), '\"etag\"', :odd || ', \"etag\"') AS json) WHERE id = :id",
        odd=odd, id=job,
    )  # fmt: skip
    list(reseal.steps(platform.engine, both))
    assert opened(platform, new, job) == ["https://input-url", "https://output-url"]
    kept, attempt, status = platform.one(
        "SELECT CAST(inputs AS text), attempt, status FROM jobs WHERE id = :id", id=job
    )
    assert odd in str(kept)
    assert (attempt, status) == (1, "processing")


def test_only_inputs_in_which_something_is_sealed_are_read_at_all(platform: Platform, empty: None) -> None:
    tenant = factories.tenant(platform)
    names = [*kinds.KINDS, "of-a-later-release"]
    made = {factories.job(platform, tenant, kind=name)["id"]: name for name in names}
    found = reseal._read(platform.engine, reseal._JOBS, reseal._FIRST)
    assert {made[row.id] for row in found} == set(names)
    assert {made[row.id] for row in found if row.inputs is not None} == {"bulk", "file"}


def test_many_rows_are_read_a_few_at_a_time(
    platform: Platform, old: Seal, both: Seal, monkeypatch: pytest.MonkeyPatch, new_job: NewJob
) -> None:
    monkeypatch.setattr(reseal, "LIMIT", 2)
    for _ in range(3):
        with_secret(platform, old)
        with_urls(platform, new_job, old)
        new_job()
    tallies = list(reseal.steps(platform.engine, both))
    assert [tally.rows for tally in tallies] == [2, 1, 2, 2, 2]
    assert sum(tally.resealed for tally in tallies) == 9
    assert reseal.rows(platform.engine) == 9
