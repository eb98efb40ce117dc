"""Limits of the settings, of the tier and of the model: at each there is an answer, beyond it a refusal."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import api
from access import keys
from tests import callers
from tests.api.conftest import Server
from tests.api.world import GOOD, HOOK
from tests.changed import changed
from tests.conftest import Platform
from tests.statements import digest
from webhooks.events import FOR_ENDPOINTS

pytestmark = pytest.mark.usefixtures("quiet")
JOBS, PREDICT, UPLOADS, WEBHOOKS = (f"/api/v1/{name}" for name in ("jobs", "predict", "uploads", "webhooks"))
Ask = Callable[[FlaskClient, int], TestResponse]


def nested(levels: int) -> str:
    return '{"inputs":' + "[" * (levels - 1) + "]" * (levels - 1) + "}"


def raw(client: FlaskClient, path: str, body: str) -> TestResponse:
    return client.post(path, data=body, content_type="application/json")


#: Limits that depend on the settings, on the tier or on the model: what asks for so much, the limit, and who says no.
OTHERS: Mapping[str, tuple[Ask, int, int, str]] = {
    "bytes of metadata": (
        lambda c, n: c.post(JOBS, json={"inputs": GOOD, "metadata": {"a": "x" * (n - 8)}}), 4096, 422, "metadata"),
    "levels": (lambda c, n: raw(c, JOBS, nested(n)), 64, 400, "body"),
    "a whole number": (
        lambda c, n: raw(c, JOBS, f'{{"inputs": {{"text": "a"}}, "metadata": {{"a": {n}}}}}'), 2**64 - 1, 422, "body"),
    "characters of a text": (lambda c, n: c.post(PREDICT, json={"inputs": {"text": "a" * n}}), 1000, 422, "text"),
    "items of a batch": (lambda c, n: c.post(f"{PREDICT}/batch", json={"inputs": [GOOD] * n}), 7, 413, "inputs"),
    "items of a job": (lambda c, n: c.post(JOBS, json={"inputs": [GOOD] * n}), 7, 413, "inputs"),
    "Idempotency-Key": (
        lambda c, n: c.post(JOBS, json={"inputs": GOOD}, headers={"Idempotency-Key": "k" * n}), 255, 422,
        "Idempotency-Key"),
    "seconds of Prefer": (
        lambda c, n: c.post(PREDICT, json={"inputs": GOOD}, headers={"Prefer": f"wait={n}"}), 9, 422, "Prefer"),
    "seconds of a wait": (lambda c, n: c.get(f"{JOBS}/{ended(c)}?wait={n}"), 9, 422, "wait"),
    "seconds of a life": (
        lambda c, n: c.post(JOBS, json={"inputs": GOOD, "expires_in_s": n}), 500, 422, "expires_in_s"),
    "seconds of a run": (lambda c, n: c.post(JOBS, json={"inputs": GOOD, "timeout_s": n}), 400, 422, "timeout_s"),
    "bytes of an upload": (
        lambda c, n: c.post(UPLOADS, json={"content_type": "text/csv", "size": n}), 1000, 422, "size"),
    "events of an endpoint": (
        lambda c, n: c.post(WEBHOOKS, json={"url": HOOK, "events": [*FOR_ENDPOINTS, "more"][:n]}),
        len(FOR_ENDPOINTS), 422, "events"),
}  # fmt: skip


def ended(client: FlaskClient) -> str:
    job_id = str(client.post(JOBS, json={"inputs": GOOD}).get_json()["job_id"])
    client.post(f"{JOBS}/{job_id}/cancel")
    return job_id


@pytest.fixture
def small(platform: Platform) -> Iterator[FlaskClient]:
    """A client of a tier and of settings with small limits."""
    app = api.create_app(
        changed(
            platform.settings, max_batch_items=7, max_wait_s=9.0, max_run_timeout_s=400, max_upload_bytes=1000,
            max_body_bytes=8192,
        )
    )  # fmt: skip
    tier = callers.tier(platform, max_ttl_s=500)
    client = app.test_client()
    # Some events are for operators alone.
    key = callers.key(platform, tier=tier, scopes={*keys.CLIENT, "admin"})
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key.token}"
    yield client
    app.extensions["coatcheck"].close()


@pytest.mark.parametrize("what", OTHERS)
def test_at_a_limit_there_is_an_answer_and_beyond_it_a_refusal_that_names_it_and_stores_nothing(
    small: FlaskClient, platform: Platform, what: str
) -> None:
    ask, limit, status, field = OTHERS[what]
    for size in (limit - 1, limit):
        answer = ask(small, size)
        # What is read without a fault may be no input all the same.
        assert answer.status_code < 300 or (what == "levels" and answer.status_code == 422), (size, answer.text)
    before = digest(platform)
    answer = ask(small, limit + 1)
    assert answer.status_code == status, answer.text
    error = answer.get_json()["error"]
    assert error["details"]["field"] == field
    if what != "a whole number":
        assert str(limit) in error["details"]["issue"].replace(",", ""), error
    if what != "seconds of a wait":
        assert digest(platform) == before


@pytest.mark.parametrize("said", [True, False], ids=["with a length", "without one"])
def test_a_body_over_the_limit_is_413_whether_or_not_it_says_its_length(small: FlaskClient, said: bool) -> None:
    limit, start = 8192, b'{"inputs": {"text": "a"}}'

    def ask(size: int) -> TestResponse:
        body = start.ljust(size)
        if said:
            return small.post(PREDICT, data=body, content_type="application/json")
        more = {"wsgi.input_terminated": True}
        return small.post(
            PREDICT, input_stream=io.BytesIO(body), content_type="application/json", environ_overrides=more
        )

    # Of one that does not say its length nobody knows, at the limit, whether it goes on.
    assert ask(limit if said else limit - 1).status_code == 200
    answer = ask(limit + 1)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert str(limit) in answer.get_json()["error"]["message"]


@pytest.mark.parametrize("more", [-1, 1])
def test_a_body_in_chunks_over_the_limit_is_413_and_not_what_is_left_of_it(
    server: Server, platform: Platform, more: int
) -> None:
    body = b'{"inputs": {"text": "a"}}'.ljust(platform.settings.http.max_body_bytes + more)
    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    lines = f"Host: h\r\nX-API-Key: {callers.key(platform).token}\r\nContent-Type: application/json\r\n"
    answer = server.ask(f"POST {PREDICT} HTTP/1.1\r\n{lines}Transfer-Encoding: chunked\r\n", chunk)
    assert int(answer[9:12]) == (413 if more > 0 else 200)


def test_a_request_id_is_kept_up_to_its_limit_and_is_another_one_beyond(small: FlaskClient) -> None:
    for size, kept in ((1, True), (127, True), (128, True), (129, False)):
        answer = small.get(JOBS, headers={"X-Request-ID": "x" * size})
        assert (answer.status_code, answer.headers["X-Request-ID"] == "x" * size) == (200, kept)


@pytest.mark.parametrize("value", [-(2**63), -(2**63) - 1])
def test_a_whole_number_fits_64_bits_at_its_other_end_too(small: FlaskClient, value: int) -> None:
    answer = raw(small, JOBS, f'{{"inputs": {{"text": "a"}}, "metadata": {{"a": {value}}}}}')
    assert answer.status_code == (202 if value == -(2**63) else 422)


def test_the_smaller_of_the_settings_and_the_tiers_limit_holds(small: FlaskClient, platform: Platform) -> None:
    def upload(size: int, **limits: Any) -> int:
        key = callers.key(platform, tier=callers.tier(platform, **limits))
        return small.post(UPLOADS, json={"content_type": "text/csv", "size": size}, headers=key.headers).status_code

    assert [upload(size, max_upload_bytes=100) for size in (100, 101)] == [201, 422]
    assert [upload(size, max_upload_bytes=10_000) for size in (1000, 1001)] == [201, 422]


def test_without_a_word_a_job_has_the_time_of_the_settings_or_of_its_tier_if_that_is_less(
    small: FlaskClient, platform: Platform
) -> None:
    made = small.post(JOBS, json={"inputs": GOOD}).get_json()["job_id"]
    (found,) = platform.rows("SELECT extract(epoch FROM expires_at - created_at)::int, timeout_s FROM jobs")
    assert made
    assert tuple(found) == (500, 300)


def test_a_priority_is_offered_by_the_tier_or_refused(small: FlaskClient, platform: Platform) -> None:
    key = callers.key(platform, tier=callers.tier(platform, priorities=["low", "normal"]))
    for priority in ("low", "normal"):
        assert small.post(JOBS, json={"inputs": GOOD, "priority": priority}, headers=key.headers).status_code == 202
    answer = small.post(JOBS, json={"inputs": GOOD, "priority": "high"}, headers=key.headers)
    assert answer.status_code == 422
    assert answer.get_json()["error"]["details"]["field"] == "priority"
    assert "low, normal" in answer.get_json()["error"]["details"]["issue"]
