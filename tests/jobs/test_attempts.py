"""What becomes of a job in a worker's hands, and of one that is handed in once more."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

import models
from core import errors, ids, metrics
from inference.output import Label, Record
from jobs import queries
from jobs.attempt import LARGE_BYTES, Attempts
from jobs.drain import Drainer
from jobs.job import Claimed
from jobs.lease import Held
from jobs.outcome import Outcome
from jobs.payloads import Upload, WholeFile
from jobs.result import Several, Stored
from storage.objects import Store
from tests import factories
from tests.conftest import ROOT, Platform
from tests.hands import SAID, lose, status_of, took

pytestmark = pytest.mark.usefixtures("quiet")
NewJob = Callable[..., UUID]


def charged(platform: Platform) -> object:
    return platform.one("SELECT count(*) FROM usage")[0]


def test_a_job_whose_cancel_was_seen_while_it_ran_is_canceled_though_its_result_is_there(
    platform: Platform, drainer: Drainer, new_job: NewJob
) -> None:
    mine, other = new_job(), new_job()
    held = drainer.leases.hold(took(platform))
    tenant = UUID(str(platform.one("SELECT DISTINCT tenant_id FROM jobs")[0]))
    assert queries.cancel(platform.engine, tenant, mine).cancel_requested
    drainer.leases.beat()
    assert drainer.finisher.finish(held, [Outcome(item, SAID, units=1) for item in held]) == 2
    assert (status_of(platform, mine), status_of(platform, other)) == ("canceled", "completed")
    assert platform.rows("SELECT job_id FROM job_results") == [(other,)]
    assert charged(platform) == 1


def test_a_job_that_ended_before_it_began_has_waited_until_then_and_has_not_run(
    platform: Platform, new_job: NewJob
) -> None:
    mine = new_job()
    tenant = UUID(str(platform.one("SELECT tenant_id FROM jobs WHERE id = :id", id=mine)[0]))
    timing = queries.cancel(platform.engine, tenant, mine).timing
    assert timing.queued_ms == timing.total_ms
    assert timing.queued_ms is not None
    assert timing.ran_ms is None


@pytest.mark.parametrize("more", [{}, {"canceled": True}, {"given_back": True}])
def test_of_a_job_that_was_lost_while_it_ran_nothing_is_written(
    platform: Platform, drainer: Drainer, new_job: NewJob, more: dict[str, bool]
) -> None:
    mine = new_job()
    (held,) = drainer.leases.hold(took(platform))
    lost = dataclasses.replace(held, lost=True, **more)  # type: ignore[arg-type]
    drainer.finisher.finish([held], [Outcome(lost, SAID, units=1)])
    assert (status_of(platform, mine), charged(platform)) == ("processing", 0)


def test_an_accepted_job_whose_version_is_not_listed_waits_for_it_and_is_charged_nothing(
    platform: Platform, drainer: Drainer
) -> None:
    # As a worker sees it that reads from a database which is behind.
    tenant, version = factories.tenant(platform), "9.9.9"
    mine = factories.job(platform, tenant, status="processing", version=version)["id"]
    (held,) = drainer.leases.hold([Claimed(mine, tenant, "predict", 1, 4, "sentiment", version, 60, {}, {}, "req")])
    assert drainer.finisher.finish([held], drainer.attempts.run([held])) == 1
    left = platform.one("SELECT status, max_attempts - attempt, error->>'code' FROM jobs")
    assert left == ("pending", 4, "MODEL_UNAVAILABLE")


class Ended(Attempts):
    """The process is told to end in the middle of a run."""

    def run(self, held: Sequence[Held]) -> list[Outcome]:
        raise KeyboardInterrupt


def test_what_ends_the_process_in_the_middle_of_a_run_is_heard_by_all_and_nothing_is_held_any_more(
    platform: Platform, drainer: Drainer, new_job: NewJob
) -> None:
    mine = new_job()
    with pytest.raises(KeyboardInterrupt):
        dataclasses.replace(drainer, attempts=Ended(drainer.attempts.tools)).drain("cpu", "wake")
    assert not drainer.leases._held
    assert (status_of(platform, mine), charged(platform)) == ("processing", 0)


#: How each attempt ends in the words of metrics, in the row, and how many attempts it has left of four.
ENDS: Mapping[str, tuple[dict[str, Any], dict[str, Any], tuple[str, str, int]]] = {
    "answered": ({}, {"result": SAID}, ("completed", "completed", 3)),
    "lost": ({"lost": True}, {"result": SAID}, ("lost", "processing", 3)),
    "lost and canceled": ({"lost": True, "canceled": True}, {}, ("lost", "processing", 3)),
    "canceled": ({"canceled": True}, {}, ("canceled", "canceled", 3)),
    "canceled and failed": ({"canceled": True}, {"error": errors.ModelError()}, ("canceled", "canceled", 3)),
    "no model": ({}, {"error": errors.ModelUnavailable()}, ("MODEL_UNAVAILABLE", "pending", 4)),
    "no store": ({}, {"error": errors.Unavailable()}, ("UNAVAILABLE", "pending", 4)),
    "no memory": ({}, {"error": errors.OutOfMemory()}, ("MODEL_ERROR", "pending", 3)),
    "a bad model": ({}, {"error": errors.ModelError()}, ("MODEL_ERROR", "failed", 3)),
    "handed over": ({}, {"hand_over": lambda _: True}, ("parked", "processing", 3)),
    "given back": ({"given_back": True}, {}, ("given_back", "pending", 4)),
}


@pytest.mark.parametrize("end", ENDS)
def test_how_an_attempt_ended_is_written_down_and_counted_in_one_word(
    platform: Platform, drainer: Drainer, new_job: NewJob, end: str
) -> None:
    said, comes_to, (word, status, left) = ENDS[end]
    new_job()
    (job,) = took(platform)
    before = counted()
    drainer.finisher.finish([held := Held(job, **said)], [Outcome(held, **comes_to)])
    assert {name: count - before.get(name, 0) for name, count in counted().items() if count != before.get(name)} == {
        word: 1
    }
    assert platform.one("SELECT status, max_attempts - attempt FROM jobs") == (status, left)


def counted() -> dict[str, float]:
    """Attempts by how they ended, of all at this model that there were in this process."""
    samples = [item for family in metrics.ATTEMPTS.collect() for item in family.samples]
    return {
        item.labels["result"]: item.value
        for item in samples
        if (item.name, item.labels["model"]) == ("infer_attempts_total", "sentiment")
    }


def one_text(platform: Platform) -> dict[str, Any]:
    return {}


def several_texts(platform: Platform) -> dict[str, Any]:
    return {"inputs": [{"text": "Lovely", "language": "en", "confidence_threshold": 0.0}] * 3}


def sound(platform: Platform) -> dict[str, Any]:
    key = factories.unique("uploads/sound")
    platform.store.put(key, (ROOT / "bundles" / "speech" / "golden.flac").read_bytes())
    head = platform.store.head(key)
    assert head is not None
    fields = {"threshold": 0.6, "min_speech_ms": 250, "min_silence_ms": 100, "speech_pad_ms": 30}
    return {"kind": "file", "model": "speech", "inputs": WholeFile(Upload(key, head.etag), fields).to_json()}


@pytest.mark.parametrize(("inputs", "answered"), [(one_text, 1), (several_texts, 3), (sound, 1)])
def test_an_attempt_tells_how_long_it_was_in_the_model_and_what_it_costs(
    platform: Platform, drainer: Drainer, new_job: NewJob, inputs: Callable[[Platform], dict[str, Any]], answered: int
) -> None:
    new_job(**inputs(platform))
    held = drainer.leases.hold(took(platform))
    started = time.perf_counter()
    (outcome,) = drainer.attempts.run(held)
    assert 0 < outcome.run_s < time.perf_counter() - started
    units = platform.catalog.resolve(held[0].job.model, held[0].job.version).manifest.units
    assert outcome.units == units * answered
    drainer.finisher.finish(held, [dataclasses.replace(outcome, run_s=1.2346)])
    assert platform.one("SELECT status, run_ms FROM jobs") == ("completed", 1235)
    assert platform.one("SELECT sum(units) FROM usage WHERE kind <> 'inline'") == (units * answered,)


def test_a_wake_up_ends_after_its_slice_of_time_and_asks_for_another(
    platform: Platform, drainer: Drainer, new_job: NewJob
) -> None:
    for model in ("sentiment", "tumor"):
        golden = platform.catalog.resolve(model, None).manifest.golden[0]
        version = platform.catalog.resolve(model, None).version
        new_job(model=model, version=version, inputs=dict(golden.inputs))
    short = dataclasses.replace(drainer, slice_s=0.0)
    platform.hints.clear("cpu")
    assert short.drain("cpu", "wake") == 1
    assert not platform.hints.send("cpu")
    assert short.drain("cpu", "wake") == 1


def large(job: Held, attempt: int, says: str) -> Outcome:
    mine = dataclasses.replace(job.job, attempt=attempt, inputs=[{"text": "x"}])
    return Outcome(Held(mine), Several([Label(says * LARGE_BYTES, 1.0, {})]))


def test_two_attempts_of_one_job_never_share_the_object_of_a_large_result(
    platform: Platform, drainer: Drainer, new_job: NewJob
) -> None:
    new_job(inputs=[{"text": "x"}])
    (held,) = map(Held, took(platform))
    ours = drainer.attempts._lightened(large(held, 2, "b")).result
    zombies = drainer.attempts._lightened(large(held, 1, "a")).result
    assert isinstance(ours, Stored)
    assert isinstance(zombies, Stored)
    assert b"aaa" not in platform.store.get(ours.stored_key)
    assert b"aaa" in platform.store.get(zombies.stored_key)


def test_a_result_that_the_store_does_not_take_is_an_outage_of_its_own_job_alone(
    platform: Platform, drainer: Drainer, new_job: NewJob
) -> None:
    class Away(Store):
        def put(self, key: str, data: bytes) -> None:
            raise errors.Unavailable

    new_job(inputs=[{"text": "x"}])
    (held,) = map(Held, took(platform))
    tools = dataclasses.replace(drainer.attempts.tools, store=Away(platform.settings.storage))
    light = dataclasses.replace(drainer.attempts, tools=tools)._lightened(large(held, 1, "a"))
    assert (light.held.job.id, light.result, type(light.error)) == (held.job.id, None, errors.Unavailable)


@pytest.mark.parametrize(("over", "stored"), [(-1, False), (0, False), (1, True)])
def test_a_result_is_kept_in_the_database_up_to_its_limit(
    platform: Platform, drainer: Drainer, new_job: NewJob, over: int, stored: bool
) -> None:
    new_job(inputs=[{"text": "x"}])
    (held,) = map(Held, took(platform))
    result = Record({"text": "x" * (LARGE_BYTES + over - len('{"text":""}'))})
    light = drainer.attempts._lightened(Outcome(held, result))
    assert light.result is not None
    assert isinstance(light.result, Stored) is stored
    # Of a record all is told.
    assert not isinstance(light.result, Stored) or platform.store.head(light.result.said_key) is None


def test_a_result_is_large_where_all_that_was_said_is_though_little_of_it_is_told(
    platform: Platform, drainer: Drainer, new_job: NewJob
) -> None:
    new_job(inputs=[{"text": "x"}])
    (held,) = map(Held, took(platform))
    said = Several([Label("x", 1.0, {"x" * LARGE_BYTES: 1.0})] * 15)
    assert drainer.attempts._lightened(Outcome(held, said)).result is said
    light = drainer.attempts._lightened(Outcome(held, Several([*said.items, said.items[0]]))).result
    assert isinstance(light, Stored)
    assert json.loads(platform.store.get(light.stored_key)) == {
        "predictions": [{"prediction": "x", "confidence": 1.0}] * 16
    }
    assert light.bytes < LARGE_BYTES < len(platform.store.get(light.said_key))


def test_a_label_is_kept_in_the_database_whatever_is_said_beside_it(
    platform: Platform, drainer: Drainer, new_job: NewJob
) -> None:
    # Or nobody could say afterwards whether it was right.
    new_job(options={"explain": "simple"})
    (held,) = map(Held, took(platform))
    said = Label("x", 1.0, {"x" * LARGE_BYTES: 1.0})
    assert drainer.attempts._lightened(Outcome(held, said)).result is said


def test_work_that_is_thrown_away_since_the_job_is_somebody_elses_is_counted(
    platform: Platform, drainer: Drainer, new_job: NewJob
) -> None:
    new_job(), new_job()
    one, other = map(Held, took(platform))
    lose(platform)
    before = metrics.FENCED._value.get()
    drainer.finisher.finish([one, other], [Outcome(one, SAID, units=1), Outcome(other, error=errors.ModelError())])
    assert metrics.FENCED._value.get() == before + 2
    assert platform.rows("SELECT DISTINCT status FROM jobs") == [("pending",)]


def test_a_job_that_is_handed_in_again_costs_as_much_as_the_first_time(platform: Platform, new_job: NewJob) -> None:
    tenant = factories.tenant(platform, pace=1.0)
    slow = factories.caller(tenant, pace=1.0)
    old = factories.job(platform, tenant, cost=50, status="failed")["id"]
    again = ids.uuid7()
    platform.hints.clear("cpu")
    accepted = metrics.ACCEPTED.labels("sentiment")
    before = accepted._value.get()
    platform.submitter.again(
        queries.get(platform.engine, tenant, old), again,
        caller=slow, request_id="req_again", timeout_s=77, max_attempts=3,
    )  # fmt: skip
    # It is accepted like any other, and woken for.
    assert (accepted._value.get(), platform.hints.send("cpu")) == (before + 1, False)
    behind = new_job(caller=slow)
    apart = platform.one(
        "SELECT extract(epoch FROM b.fair_at - a.fair_at)::float, a.cost FROM jobs a, jobs b"
        " WHERE (a.id, b.id) = (:a, :b)",
        a=again, b=behind,
    )  # fmt: skip
    assert apart == (pytest.approx(50, abs=5), 50)


@pytest.mark.parametrize("status", models.jobs.TERMINAL)
def test_an_ended_job_that_is_retried_has_its_whole_time_again(platform: Platform, status: str) -> None:
    caller, _ = platform.new_tenant()
    was = {"created_at": text("now() - interval '3 h'"), "expires_at": text("now() - interval '1 h'")}
    given = {"status": status, "attempt": 4, "lost_count": 2, "progress": 70, "error": {"code": "X"}, **was}
    old = queries.get(
        platform.engine, caller.tenant_id, factories.job(platform, caller.tenant_id, **given)["id"]
    )  # fmt: skip
    new = ids.uuid7()
    platform.submitter.again(old, new, caller=caller, request_id="req_again", timeout_s=77, max_attempts=3)
    found = platform.one(
        "SELECT status, attempt, max_attempts, lost_count, progress, error, retry_of, expires_at - created_at ="
        " interval '2 h', expires_at > now() FROM jobs WHERE id = :id",
        id=new,
    )
    assert found == ("pending", 0, 3, 0, 0, None, old.id, True, True)


@pytest.mark.parametrize(("kind", "batches"), [("predict", True), ("bulk", False), ("file", False)])
def test_whether_a_job_that_is_handed_in_again_may_share_a_claim_is_its_kinds_to_say(
    platform: Platform, kind: str, batches: bool
) -> None:
    caller, _ = platform.new_tenant()
    # As an upgrade may have left it.
    old_id = factories.job(platform, caller.tenant_id, kind=kind, batches=not batches, status="failed")["id"]
    old, new = queries.get(platform.engine, caller.tenant_id, old_id), ids.uuid7()
    platform.submitter.again(old, new, caller=caller, request_id="req_again", timeout_s=77, max_attempts=3)
    assert platform.one("SELECT batches FROM jobs WHERE id = :id", id=new) == (batches,)
