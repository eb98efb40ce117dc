"""What is served is served to any door: here is one without HTTP."""

from __future__ import annotations

import ast
import dataclasses
import json
import subprocess
import sys
import uuid
from typing import Any

import pytest

from access.keys import Caller
from core import errors
from inference.output import Label
from jobs import idempotency
from jobs.job import Status
from jobs.result import Fault
from serving import jobs, once, predict, replies, retrieve
from serving.serving import Serving
from serving.values import Answer, Answers, Ask, Order, Preference, Replied, Reply, Served, Ticket
from tests.conftest import ROOT, Platform
from tests.hands import SAID, status_of, took, work

pytestmark = pytest.mark.usefixtures("quiet")
GOOD = {"text": "Lovely"}
#: A model that is not answered inline.
HEAVY = "2.1.0"


class Patient:
    """Always waits."""

    def begin(self) -> bool:
        return True

    def look_again(self) -> None: ...


class Hurried(Patient):
    def begin(self) -> bool:
        return False


@pytest.fixture
def serving(platform: Platform) -> Serving:
    return platform.serving


@pytest.fixture
def caller(platform: Platform) -> Caller:
    return platform.new_tenant()[0]


def ask(caller: Caller, asked: object = None, **given: Any) -> Ask:
    """With `asked`, under a key that is good for just this."""
    if asked is not None:
        given["key"] = idempotency.Key(caller.tenant_id, "door", "k", idempotency.fingerprint(asked))
    return Ask(caller, "req_door", **given)


def one(
    serving: Serving, asks: Ask, wants: Preference | None = None, patience: Patient | None = None
) -> Replied[Reply]:
    return predict.one(
        serving, asks, GOOD, explain=("simple",), wants=wants or Preference(), patience=patience or Patient()
    )


def test_an_input_is_answered_and_again_under_its_key_by_the_same_answer(serving: Serving, caller: Caller) -> None:
    first, again = (one(serving, ask(caller, GOOD)) for _ in range(2))
    assert isinstance(first.value, Answer)
    assert isinstance(first.value.said, Label)
    assert first.value.said.label == "positive"
    assert first.value.served == Served("sentiment", "1.0.0", "stable")
    assert (first.again, again.again, again.value) == (False, True, first.value)
    with pytest.raises(errors.IdempotencyMismatch):
        one(serving, ask(caller, "something else"))


def test_several_are_answered_in_their_places_a_bad_one_by_its_error(serving: Serving, caller: Caller) -> None:
    def several(key: object) -> Replied[Reply]:
        return predict.several(
            serving, ask(caller, key), [GOOD, {"text": 7}, GOOD],
            return_errors="individual", batch_size=8, wants=Preference(), patience=Patient(),
        )  # fmt: skip

    first, again = several("list"), several("list")
    assert isinstance(first.value, Answers)
    assert [type(item) for item in first.value.said] == [Label, Fault, Label]
    assert (again.again, again.value) == (True, first.value)


def test_what_takes_a_job_is_waited_for_or_gets_a_ticket(platform: Platform, serving: Serving, caller: Caller) -> None:
    heavy = ask(caller, version=HEAVY)
    ticket = one(serving, heavy, Preference(wait_s=5, said=True), Hurried()).value
    assert isinstance(ticket, Ticket)
    assert (ticket.status, ticket.applied, ticket.served.route) == (Status.PENDING, "wait=5", "pinned")
    work(platform)
    assert retrieve.wait(serving, caller.tenant_id, ticket.job_id, 5, Patient()).result == SAID
    later = one(serving, ask(caller, "later", version=HEAVY), Preference(respond_async=True)).value
    assert isinstance(later, Ticket)
    assert later.applied is None
    work(platform)
    # Its key stands for the ticket, also when it has ended.
    assert one(serving, ask(caller, "later", version=HEAVY), Preference(respond_async=True)) == Replied(later, True)


def test_a_key_that_waits_twice_for_one_job_gets_its_answer(
    platform: Platform, serving: Serving, caller: Caller
) -> None:
    asks = ask(caller, "both", version=HEAVY)
    first = one(serving, asks, Preference(wait_s=0)).value
    assert isinstance(first, Ticket)
    # As it was led then, whatever the routes say now.
    platform.execute("UPDATE jobs SET route = 'canary next'")
    work(platform)
    found = one(serving, asks).value
    assert isinstance(found, Answer)
    assert found.served.route == "canary next"
    assert (found.said, found.explain) == (SAID, "simple")
    assert len(platform.rows("SELECT FROM jobs")) == 1


def test_a_key_whose_job_came_to_nothing_is_told_of_the_version_that_it_was_asked_of(
    platform: Platform, serving: Serving, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks = ask(caller, "nothing", version=HEAVY)
    first = one(serving, asks, Preference(wait_s=0)).value
    assert isinstance(first, Ticket)
    platform.execute("UPDATE jobs SET route = 'canary next'")
    woken: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(serving.hints, "send", woken.append)
        retrieve.cancel(serving, caller.tenant_id, first.job_id)
    assert woken == ["webhooks"]
    with pytest.raises(errors.JobFailed) as raised:
        one(serving, asks)
    assert raised.value.served == (HEAVY, "canary next")


def codes(kind: type[errors.CoatcheckError] = errors.CoatcheckError) -> set[str]:
    """Of all errors that there are."""
    return {kind.code}.union(*map(codes, kind.__subclasses__()))


def test_who_waited_for_a_job_is_told_what_was_wrong_with_the_input_and_that_it_failed_of_all_else(
    platform: Platform, serving: Serving, caller: Caller
) -> None:
    told = {}
    for code in sorted(codes()):
        asks = ask(caller, code, version=HEAVY)
        asks = dataclasses.replace(asks, key=dataclasses.replace(asks.key, key=code))
        one(serving, asks, Preference(wait_s=0))
        [job] = took(platform)
        error = json.dumps({"code": code, "message": "So it was.", "details": {"field": "a", "issue": "b", "c": 1}})
        ended = "UPDATE jobs SET status = 'failed', error = CAST(:error AS json) WHERE id = :id"
        platform.execute(ended, id=job.id, error=error)
        with pytest.raises(errors.CoatcheckError) as raised:
            one(serving, asks)
        said = raised.value.details
        assert (said["field"], said["issue"], said["code"], "c" in said) == ("a", "b", code, False)
        assert "So it was." in raised.value.message
        told[code] = raised.value.code
    own = {
        "MODEL_ERROR", "INPUT_REFUSED", "TIMED_OUT", "TOLERANCE_NOT_MET", "INPUT_UNREADABLE", "INPUT_TOO_LARGE",
        "BATCH_TOO_LARGE",
    }  # fmt: skip
    assert told == {code: code if code in own else "JOB_FAILED" for code in told}
    assert own < told.keys()


def test_a_job_is_handed_in_once_and_handed_in_again(platform: Platform, serving: Serving, caller: Caller) -> None:
    order = Order(inputs=[GOOD, GOOD], priority="low", metadata={"order": 7})
    first, again = (jobs.submit(serving, ask(caller, "order"), order) for _ in range(2))
    assert isinstance(first.value, Ticket)
    assert (first.again, again) == (False, Replied(first.value, True))
    with pytest.raises(errors.JobStateConflict):
        jobs.again(serving, ask(caller), first.value.job_id)
    work(platform)
    second = jobs.again(serving, ask(caller), first.value.job_id).value
    assert isinstance(second, Ticket)
    assert (status_of(platform, first.value.job_id), status_of(platform, second.job_id)) == ("completed", "pending")
    stranger = platform.new_tenant()[0]
    with pytest.raises(errors.JobNotFound):
        jobs.again(serving, ask(stranger), first.value.job_id)


@pytest.mark.parametrize(
    "reply",
    [
        Ticket(uuid.UUID(int=7), Status.PROCESSING, Served("m", "1", "stable"), "req", "wait=5"),
        Answer(Label("a", 0.5, {"a": 0.5}), "simple", Served("m", "1", "pinned"), "req"),
        Answers([Label("b", 1.0, {}), Fault({"code": "X"})], Served("m", "1", "stable"), "req"),
    ],
    ids=["ticket", "answer", "answers"],
)
def test_a_reply_is_read_as_it_was_kept(platform: Platform, reply: Reply) -> None:
    key = idempotency.Key(uuid.uuid4(), "door", "k", b"f")
    kept = [once.replied(platform.engine, key, lambda: reply, lambda _: Replied(reply)) for _ in range(2)]
    assert kept == [Replied(reply), Replied(reply, again=True)]


def test_what_an_earlier_release_kept_is_still_answered() -> None:
    def http(body: dict[str, Any], **headers: str) -> Reply:
        about = {"model": "m", "model_version": "1", "request_id": "req"}
        return replies.read(
            {"status": 200, "headers": {"X-Model-Route": "stable", **headers}, "body": {**body, **about}}
        )

    served = Served("m", "1", "stable")
    job = {"job_id": "job_0000000000000000000000000000000a", "status": "pending", "links": {}}
    ticket = Ticket(uuid.UUID(int=10), Status.PENDING, served, "req", "respond-async")
    assert http(job, **{"Preference-Applied": "respond-async"}) == ticket
    said = http({"prediction": "a", "confidence": 0.5, "explanation": {"method": "scores", "scores": {"a": 0.5}}})
    assert isinstance(said, Answer)
    assert isinstance(said.said, Label)
    assert (said.said.label, said.said.scores, bool(said.explain)) == ("a", {"a": 0.5}, True)
    assert http({"predictions": [{"error": {}}], "count": 1, "failed": 1}) == Answers([Fault({})], served, "req")


def test_serving_needs_no_web() -> None:
    for file in (ROOT / "serving").glob("*.py"):
        names = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
        assert not [node.module for node in names if str(node.module).split(".")[0] in ("api", "flask", "werkzeug")]
    script = "import sys, serving.jobs, serving.predict; print({'api', 'flask', 'werkzeug'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
