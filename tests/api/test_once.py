"""Idempotency-Key: what is asked twice under one key is done once, and what failed was not done."""

from __future__ import annotations

import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

import api
from core.audit import Actor
from inference import bundle
from jobs import idempotency
from registry import lifecycle
from tests import callers, graphs
from tests.api import world
from tests.api.world import GOOD, HOOK
from tests.callers import Key
from tests.changed import changed
from tests.conftest import Platform, until
from tests.hands import work
from tests.statements import digest

pytestmark = pytest.mark.usefixtures("quiet")
PREDICT = "/api/v1/predict"
ONCE = {"Idempotency-Key": "k"}
WAITING = """
SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%INSERT INTO idempotency_keys%'
"""
#: A tier's units: so few come again that none does while a test runs.
SLOWLY = {"units_per_minute": 1, "units_burst": 1000}
#: The routes that take a key, and their names in the contract.
KEYED = {
    "predict.predict": "predict", "explain.explain": "explain",
    "predict.predict_batch": "predictBatch", "jobs.submit": "createJob",
    "jobs.retry": "retryJob", "uploads.create": "createUpload", "models.publish": "publishModel",
    "webhooks.create": "createWebhook", "adjustments.create": "createAdjustment",
}  # fmt: skip


def code(answer: Any) -> str:
    return str(answer.get_json()["error"]["code"])


def test_every_route_that_says_so_does_once_what_is_asked_twice(platform: Platform, app: flask.Flask) -> None:
    spec = app.test_client().get("/openapi/v1.json").get_json()
    documented = {
        operation["operationId"]
        for path, item in spec["paths"].items()
        for method, operation in item.items()
        if method != "parameters" and "Idempotency-Key" in [each["name"] for each in operation.get("parameters", ())]
    }
    assert documented == set(KEYED.values())
    owner = world.made(platform, app)
    for route in world.routes(app):
        name = KEYED.get(route.name)
        if name and route.own:
            headers = {**owner.key.headers, "Idempotency-Key": route.rule.endpoint}
            first = owner.ask(route, headers)
            before = digest(platform)
            again = owner.ask(route, headers)
            assert digest(platform) == before, name
            assert again.status_code == first.status_code == route.asked.status, name
            assert ("Idempotent-Replayed" in first.headers, again.headers["Idempotent-Replayed"]) == (False, "true")
            # The address of an upload is signed anew.
            said, repeated = ({**answer.get_json(), "fields": 0} for answer in (first, again))
            assert repeated == said, name
            for header in ("Location", "X-Model-Version", "X-Model-Route", "Retry-After"):
                assert again.headers.get(header) == first.headers.get(header), (name, header)
    # An update finds what the release before has kept: the routes have the same names in it.
    kept = platform.rows("SELECT DISTINCT route FROM idempotency_keys")
    assert {row.route for row in kept} == {
        "predict", "predict/batch", "explain", "jobs", "retry", "uploads", "models", "webhooks", "adjustments",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "body"),
    [(PREDICT, {"inputs": GOOD}), (f"{PREDICT}/batch", {"inputs": [GOOD]}), ("/api/v1/jobs", {"inputs": GOOD})],
)
def test_the_same_key_with_another_x_model_version_is_422(
    client: FlaskClient, platform: Platform, path: str, body: dict[str, Any]
) -> None:
    first = client.post(path, json=body, headers={**ONCE, "X-Model-Version": "1.0.0"})
    assert first.status_code < 300
    before = digest(platform)
    for other in ({"X-Model-Version": "2.1.0"}, {}):
        answer = client.post(path, json=body, headers={**ONCE, **other})
        assert (answer.status_code, code(answer)) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert digest(platform) == before
    assert client.post(path, json=body, headers={**ONCE, "X-Model-Version": "1.0.0"}).status_code < 300


def test_a_key_stands_for_the_retry_of_one_job_and_of_as_many_of_its_rows(client: FlaskClient) -> None:
    old, other = (client.post("/api/v1/jobs", json={"inputs": GOOD}).get_json()["job_id"] for _ in range(2))
    for job_id in (old, other):
        client.post(f"/api/v1/jobs/{job_id}/cancel")
    first = client.post(f"/api/v1/jobs/{old}/retry", headers=ONCE)
    assert first.status_code == 202
    for path in (f"{other}/retry", f"{old}/retry?rows=failed"):
        answer = client.post(f"/api/v1/jobs/{path}", headers=ONCE)
        assert (answer.status_code, code(answer)) == (422, "IDEMPOTENCY_KEY_REUSED"), path
    assert client.post(f"/api/v1/jobs/{old}/retry", headers=ONCE).get_json() == first.get_json()


def test_the_same_key_with_another_query_is_422(client: FlaskClient) -> None:
    assert client.post(PREDICT, json={"inputs": GOOD}, headers=ONCE).status_code == 200
    assert code(client.post(f"{PREDICT}?explain=simple", json={"inputs": GOOD}, headers=ONCE)) == (
        "IDEMPOTENCY_KEY_REUSED"
    )


@pytest.mark.parametrize("path", [PREDICT, f"{PREDICT}/batch"])
def test_an_inline_prediction_that_failed_leaves_its_key_free(
    client: FlaskClient, platform: Platform, failing: str, path: str
) -> None:
    def body(x: int) -> dict[str, Any]:
        row = {"x": x, "y": 1}
        return {"model": failing, "inputs": row if path == PREDICT else [row]}

    before = digest(platform)
    for _ in range(2):
        answer = client.post(path, json=body(-9), headers=ONCE)
        assert (answer.status_code, code(answer)) == (422, "MODEL_ERROR")
    assert digest(platform) == before
    assert client.post(path, json=body(2), headers=ONCE).status_code == 200


def test_an_upload_and_an_endpoint_that_were_refused_leave_their_key_free(app: flask.Flask, platform: Platform) -> None:
    key = callers.key(platform, tier=callers.tier(platform, max_uploads=1))
    client, headers, upload = app.test_client(), {**key.headers, **ONCE}, {"content_type": "text/csv", "size": 1}
    assert client.post("/api/v1/uploads", json=upload, headers=key.headers).status_code == 201
    for _ in range(2):
        assert code(client.post("/api/v1/uploads", json=upload, headers=headers)) == "UPLOAD_QUOTA"
    endpoint = {"url": HOOK, "events": ["job.completed"]}
    made = [client.post("/api/v1/webhooks", json=endpoint, headers=key.headers).get_json() for _ in range(20)]
    for _ in range(2):
        assert code(client.post("/api/v1/webhooks", json=endpoint, headers=headers)) == "WEBHOOK_STATE_CONFLICT"
    client.delete(f"/api/v1/webhooks/{made[0]['id']}", headers=key.headers)
    assert client.post("/api/v1/webhooks", json=endpoint, headers=headers).status_code == 201


def test_a_job_that_was_refused_for_its_backlog_leaves_its_key_free(app: flask.Flask, platform: Platform) -> None:
    key = callers.key(platform, tier=callers.tier(platform, max_pending=1))
    client, headers = app.test_client(), {**key.headers, **ONCE}
    first = client.post("/api/v1/jobs", json={"inputs": GOOD}, headers=key.headers).get_json()["job_id"]
    for _ in range(2):
        assert code(client.post("/api/v1/jobs", json={"inputs": GOOD}, headers=headers)) == "BACKLOG_FULL"
    client.post(f"/api/v1/jobs/{first}/cancel", headers=key.headers)
    until(lambda: client.post("/api/v1/jobs", json={"inputs": GOOD}, headers=headers).status_code == 202)


def test_a_failed_request_frees_its_own_key_and_never_an_answered_one(platform: Platform) -> None:
    """Whoever took over what seemed abandoned may fail after the first one has answered."""
    caller, _ = platform.new_tenant()
    reply = {"status": 200, "headers": {}, "body": {}}
    own, answered, job = (
        idempotency.Key(caller.tenant_id, "predict", name, idempotency.fingerprint({})) for name in ("a", "b", "c")
    )
    with platform.engine.begin() as connection:
        first: Any = idempotency.claim(connection, own)
        second: Any = idempotency.claim(connection, answered)
        third: Any = idempotency.claim(connection, job, job_id=uuid.uuid4())
    with platform.engine.begin() as connection:
        idempotency.answer(connection, second, reply)
    for holder in (first, second, third):
        idempotency.forget(platform.engine, holder)
    assert idempotency.find(platform.engine, own) is None
    with platform.engine.begin() as connection:
        assert isinstance(idempotency.claim(connection, own), idempotency.Holder)
        for key in (answered, job):
            assert isinstance(idempotency.claim(connection, key), idempotency.Earlier)


@pytest.mark.parametrize("way", ["jobs", "retry", "predict", "predict/batch", "a prediction that is waited for"])
def test_a_full_backlog_does_not_hide_what_a_key_stands_for(app: flask.Flask, platform: Platform, way: str) -> None:
    """Whoever repeats a request whose answer was lost takes no place that it does not have."""
    key = callers.key(platform, tier=callers.tier(platform, max_pending=1))
    client, pinned = app.test_client(), {"model_version": "2.1.0"}
    path, body, prefer = {
        "jobs": ("jobs", {"inputs": GOOD}, ""),
        "retry": ("jobs/{old}/retry", None, ""),
        "predict": ("predict", {"inputs": GOOD, **pinned}, "respond-async"),
        "predict/batch": ("predict/batch", {"inputs": [GOOD], **pinned}, "respond-async"),
        "a prediction that is waited for": ("predict", {"inputs": GOOD, **pinned}, "wait=0"),
    }[way]
    headers = {**key.headers, **ONCE, "Prefer": prefer}
    more: dict[str, Any] = {} if body is None else {"json": body}
    if way == "retry":
        old = client.post("/api/v1/jobs", json={"inputs": GOOD}, headers=key.headers).get_json()["job_id"]
        client.post(f"/api/v1/jobs/{old}/cancel", headers=key.headers)
        path = path.format(old=old)
    answers = []

    def ask() -> bool:
        answers.append(client.post(f"/api/v1/{path}", headers=headers, **more))
        return answers[-1].status_code == 202

    # The count of what waits may be a second old.
    until(ask)
    again = client.post(f"/api/v1/{path}", headers=headers, **more)
    assert (again.status_code, again.get_json()["job_id"]) == (202, answers[-1].get_json()["job_id"])
    assert again.headers.get("Preference-Applied") == answers[-1].headers.get("Preference-Applied")
    assert platform.one("SELECT count(*) FROM jobs WHERE status = 'pending'") == (1,)


@pytest.mark.parametrize("way", ["jobs", "retry", "predict", "predict/batch"])
def test_of_two_at_the_same_moment_both_hear_of_the_one_job_that_there_is(
    app: flask.Flask, platform: Platform, way: str
) -> None:
    key, alone = (callers.key(platform, tier=callers.tier(platform, **SLOWLY)) for _ in range(2))
    client, pinned = app.test_client(), {"model_version": "2.1.0"}
    body: Any = {"inputs": [GOOD] if way == "predict/batch" else GOOD, **({} if way == "jobs" else pinned)}
    path = f"/api/v1/{way}"
    paths = {key: path, alone: path}
    if way == "retry":
        for who in paths:
            old = client.post("/api/v1/jobs", json={"inputs": GOOD}, headers=who.headers).get_json()["job_id"]
            client.post(f"/api/v1/jobs/{old}/cancel", headers=who.headers)
            paths[who], body = f"/api/v1/jobs/{old}/retry", {}

    def ask(who: Key) -> Any:
        headers = {**who.headers, **ONCE, "Prefer": "respond-async"}
        return app.test_client().post(paths[who], json=body, headers=headers)

    with ThreadPoolExecutor(2) as threads:
        with platform.admin.begin() as connection:
            # Both have looked for the key before either can write it down.
            connection.execute(text("LOCK TABLE idempotency_keys IN EXCLUSIVE MODE"))
            asked = threads.map(ask, [key, key])
            until(lambda: platform.one(WAITING) == (2,))
        answers = list(asked)
    assert [answer.status_code for answer in answers] == [202, 202]
    assert len({answer.get_json()["job_id"] for answer in answers}) == 1
    assert client.get(answers[0].headers["Location"], headers=key.headers).status_code == 200
    assert sorted(answer.headers.get("Idempotent-Replayed", "") for answer in answers) == ["", "true"]
    # And its units are taken once.
    assert ask(alone).status_code == 202
    left = [client.get("/api/v1/jobs", headers=who.headers).headers["RateLimit"] for who in (key, alone)]
    assert re.findall(r'"units";r=(\d+)', left[0]) == re.findall(r'"units";r=(\d+)', left[1]) != []


@pytest.mark.parametrize("path", ["predict", "predict/batch"])
def test_whoever_asks_again_and_would_rather_not_wait_gets_a_ticket_of_the_job_that_there_is(
    client: FlaskClient, platform: Platform, path: str
) -> None:
    body = {"inputs": GOOD if path == "predict" else [GOOD], "model_version": "2.1.0"}
    first = client.post(f"/api/v1/{path}", json=body, headers={**ONCE, "Prefer": "wait=0"})
    again = client.post(f"/api/v1/{path}", json=body, headers={**ONCE, "Prefer": "respond-async"})
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.get_json()["job_id"] == first.get_json()["job_id"]
    assert again.headers["Preference-Applied"] == "respond-async"
    assert client.get(again.headers["Location"]).status_code == 200
    work(platform)
    done = client.post(f"/api/v1/{path}", json=body, headers={**ONCE, "Prefer": "respond-async"})
    assert done.status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "table"),
    [
        ("admin/adjustments", {"units": 5, "reason": "made good"}, "adjustments"),
        ("uploads", {"content_type": "text/csv", "size": 10}, "uploads"),
        ("webhooks", {"url": "https://receiver.example/", "events": ["job.completed"]}, "webhook_endpoints"),
    ],
)
def test_what_was_made_by_who_died_before_it_answered_is_made_once(
    app: flask.Flask, platform: Platform, monkeypatch: pytest.MonkeyPatch, path: str, body: dict[str, Any], table: str
) -> None:
    key = callers.key(platform, scopes=["admin", "files", "webhooks"])
    client, headers = app.test_client(), {**key.headers, **ONCE}
    body = {**body, **({"tenant": key.tenant} if table == "adjustments" else {})}

    def dies(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(idempotency, "answer", dies)
        with pytest.raises(SystemExit):
            client.post(f"/api/v1/{path}", json=body, headers=headers)
    platform.execute("UPDATE idempotency_keys SET created_at = created_at - interval '1 h'")
    for _ in range(2):
        assert client.post(f"/api/v1/{path}", json=body, headers=headers).status_code == 201
    made = f"SELECT count(*) FROM {table} JOIN tenants ON tenants.id = tenant_id WHERE name = :name"
    assert platform.one(made, name=key.tenant)[0] == 1


@pytest.mark.parametrize("way", ["predict", "batch"])
@pytest.mark.parametrize("first", ["by a job", "at once"])
def test_a_key_stands_for_its_first_answer_whichever_version_is_asked_the_second_time(
    platform: Platform, tmp_path: Path, first: str, way: str
) -> None:
    """As a retry's own X-Request-ID may lead it to another version than the first."""
    made = api.create_app(changed(platform.settings, cache_mb=1))
    client, headers = made.test_client(), callers.key(platform).headers
    name = f"m{uuid.uuid4().hex}"
    folders = [graphs.bundle(tmp_path / uuid.uuid4().hex, name=name, version=version, inline=inline)
               for version, inline in (("1.0.0", first == "at once"), ("2.0.0", first != "at once"))]  # fmt: skip
    for folder in folders:
        platform.catalog.publish(bundle.load(folder))
    path, inputs = (PREDICT, {"x": 2, "y": 1}) if way == "predict" else (f"{PREDICT}/batch", [{"x": 2, "y": 1}])

    def ask(**more: str) -> Any:
        body = {"model": name, "inputs": inputs, "options": {"cache": True}}
        return client.post(path, json=body, headers={**headers, **more})

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, **ONCE)
        if first == "by a job":
            until(lambda: platform.rows("SELECT FROM jobs WHERE model = :name AND status = 'pending'", name=name))
            work(platform)
        answer = asked.result()
    assert (answer.status_code, answer.headers["X-Model-Version"]) == (200, "1.0.0")
    lifecycle.make_stable(platform.engine, name, "2.0.0", Actor("cli:me"))
    made.extensions["coatcheck"].catalog._forget()
    again = ask(**ONCE)
    assert (again.status_code, again.headers["X-Model-Version"], again.headers["Idempotent-Replayed"]) == (
        200, "1.0.0", "true",
    )  # fmt: skip
    assert again.get_json() == answer.get_json()
    if first == "by a job":
        # And nobody is told the one version's answer as the other's.
        other = ask()
        assert (other.headers["X-Model-Version"], other.headers["X-Cache"]) == ("2.0.0", "miss")
    made.extensions["coatcheck"].close()
