"""Every kind of error that there is: what leads to it, and what is told of it."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator
from typing import Any

import flask
import pytest
import structlog
from flask.testing import FlaskClient
from werkzeug.exceptions import RequestedRangeNotSatisfiable

import api
from api import EDITIONS
from api import errors as answered
from core import errors
from tests.api import world
from tests.api.kinds import ELSEWHERE, TOLD, Told
from tests.api.reached import REACHED, At
from tests.changed import changed
from tests.cli.conftest import serving
from tests.conftest import ROOT, Platform

EVERY = sorted(errors.tree(), key=lambda kind: kind.__name__)
KINDS = pytest.mark.parametrize("kind", EVERY, ids=[kind.__name__ for kind in EVERY])


def test_every_kind_is_written_down_here_with_what_leads_to_it() -> None:
    assert set(TOLD) == set(EVERY)
    assert set(REACHED) | set(ELSEWHERE) == set(EVERY)
    assert not set(REACHED) & set(ELSEWHERE)
    for kind, where in ELSEWHERE.items():
        said = (ROOT / "tests" / where).read_text()
        assert f'"{TOLD[kind].code}"' in said or f"errors.{kind.__name__}" in said, kind


def looked_at(answer: Any, told: Told) -> dict[str, object]:
    """The error of an answer, with all that every such answer has."""
    error = world.refusal(answer)
    assert (answer.status_code, error["code"]) == (told.status, told.code), error
    assert error["message"].startswith(told.says)
    assert isinstance(error["details"], dict)
    assert error["request_id"] == answer.headers["X-Request-ID"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", error["timestamp"])
    assert answer.mimetype == ("application/problem+json" if "detail" in error else "application/json")
    assert answer.headers["Cache-Control"] == "no-store"
    # Whoever may try again is told when, and nobody else.
    again = told.retryable and told.status in (409, 429, 503)
    when = answer.headers.get("Retry-After")
    assert when == ("2" if again else None) or (told.code in ("RATE_LIMITED", "BLOCKED") and int(when or 0) > 0)
    assert answer.headers.get("WWW-Authenticate") == ("Bearer" if told.status == 401 else None)
    return dict(error)


@KINDS
def test_a_kind_has_its_code_its_status_and_its_headers_wherever_it_is_raised(
    app: flask.Flask, anonymous: FlaskClient, monkeypatch: pytest.MonkeyPatch, kind: type[errors.CoatcheckError]
) -> None:
    def fail() -> flask.Response:
        raise kind("In a sentence", details={"field": "f"})

    monkeypatch.setitem(app.view_functions, "health.healthz", fail)
    monkeypatch.setattr(answered, "log", structlog.get_logger())
    with structlog.testing.capture_logs() as logs:
        error = looked_at(anonymous.get("/healthz"), dataclasses.replace(TOLD[kind], says=""))
    # What is ours is in the log, but for what is shed.
    ours = TOLD[kind].status >= 500 and kind is not errors.Busy
    assert [(line["event"], line["code"]) for line in logs] == ([("request_failed", TOLD[kind].code)] if ours else [])
    assert (error["message"], error["details"]) == ("In a sentence", {"field": "f"})
    assert kind.retryable == TOLD[kind].retryable


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """A bucket that answers as the name of its object says."""

    def answer(path: str) -> tuple[int, dict[str, str], bytes]:
        what = path.split("/")[2].partition("?")[0]
        return int(what), {}, b"x" * 20

    with serving(answer) as (address, _):
        yield f"{address}/odd"


@pytest.fixture(scope="module")
def patient(platform: Platform, store: str) -> Iterator[flask.Flask]:
    """One that reads from that bucket, and waits for long where it is asked to."""
    made = api.create_app(changed(platform.settings, input_private_buckets=(store,), max_wait_s=300.0))
    yield made
    made.extensions["coatcheck"].close()


@pytest.fixture(params=[edition.prefix for edition in EDITIONS])
def at(
    platform: Platform, patient: flask.Flask, store: str, quiet: None, failing: str, request: pytest.FixtureRequest
) -> Iterator[At]:
    with contextlib.ExitStack() as stack:
        yield At(platform, patient, world.made(platform, patient), failing, store, stack, request.param)


@pytest.mark.parametrize("kind", REACHED, ids=[kind.__name__ for kind in REACHED])
def test_a_request_that_leads_to_it_is_told_so(at: At, kind: type[errors.CoatcheckError]) -> None:
    told = TOLD[kind]
    if kind is errors.OutOfMemory:
        # It may go well the next time: the job waits for that, and the client is given a ticket.
        answer = REACHED[kind](at)
        assert answer.status_code == 202
        job = at.get(f"jobs/{answer.get_json()['job_id']}").get_json()
        assert (job["status"], job["last_error"]["code"]) == ("pending", told.code)
        return
    answer = REACHED[kind](at)
    error = looked_at(answer, told)
    assert error["message"]
    assert ("title" in error) == (at.api != EDITIONS[0].prefix)
    assert "Traceback" not in str(error)


def test_what_nobody_foresaw_is_500_and_tells_nothing_of_it(
    app: flask.Flask, anonymous: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> flask.Response:
        raise ZeroDivisionError("hush")

    monkeypatch.setitem(app.view_functions, "health.healthz", fail)
    answer = anonymous.get("/healthz")
    looked_at(answer, Told("INTERNAL", 500, says="Something went wrong on our side"))
    assert "hush" not in answer.text


def test_every_code_that_http_brings_is_told_in_the_envelope(
    app: flask.Flask, anonymous: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = {
        400: ("MALFORMED_REQUEST", "The request cannot be read"),
        404: ("NOT_FOUND", "There is no such route: the contract, at /openapi/v1.json, lists them all"),
        405: ("METHOD_NOT_ALLOWED", "This route does not take this method; the header Allow says which it takes"),
        406: ("NOT_ACCEPTABLE", "Nothing that is there is what Accept asks for"),
        408: ("REQUEST_TIMEOUT", "The request did not arrive in time"),
        413: ("PAYLOAD_TOO_LARGE", f"The request body is larger than {app.config['MAX_CONTENT_LENGTH']} bytes"),
        414: ("URI_TOO_LONG", "The address is too long"),
        415: ("UNSUPPORTED_MEDIA_TYPE", "The body is of a type that is not taken here"),
        416: ("REQUESTED_RANGE_NOT_SATISFIABLE", "There is no such range"),
        # Whatever else there may be one day is told as HTTP calls it.
        501: ("NOT_IMPLEMENTED", "Not Implemented"),
    }
    assert {status: code for status, (code, _) in written.items() if status != 501} == answered.CODES
    for status, (code, message) in written.items():
        monkeypatch.setitem(app.view_functions, "health.healthz", lambda status=status: flask.abort(status))
        error = looked_at(anonymous.get("/healthz"), Told(code, status))
        assert (error["message"], error["details"]) == (message, {})


def test_who_refuses_in_words_of_their_own_is_quoted_with_their_headers(
    app: flask.Flask, anonymous: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> flask.Response:
        raise RequestedRangeNotSatisfiable(7, "rows", "There are seven rows")

    monkeypatch.setitem(app.view_functions, "health.healthz", refuse)
    answer = anonymous.get("/healthz")
    error = looked_at(answer, Told("REQUESTED_RANGE_NOT_SATISFIABLE", 416))
    assert (error["message"], answer.headers["Content-Range"]) == ("There are seven rows", "rows */7")


def test_an_address_answers_a_method_that_it_does_not_have_with_those_that_it_has(
    app: flask.Flask, anonymous: FlaskClient
) -> None:
    by_rule: dict[str, set[str]] = {}
    for rule in app.url_map.iter_rules():
        by_rule.setdefault(re.sub(r"<[^>]*>", "x", rule.rule), set()).update(rule.methods or ())
    for path, methods in by_rule.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - methods:
            answer = anonymous.open(path, method=method)
            assert answer.status_code == 405
            if not path.startswith("/v2"):  # there an error is a text
                looked_at(answer, Told("METHOD_NOT_ALLOWED", 405))
            assert set(answer.headers["Allow"].split(", ")) == methods, (method, path)


def test_a_range_that_a_file_does_not_have_is_416(anonymous: FlaskClient) -> None:
    with anonymous.get("/docs/assets/page.css", headers={"Range": "bytes=9999999-"}) as answer:
        error = answer.get_json()["error"]
        assert (answer.status_code, error["code"]) == (416, "REQUESTED_RANGE_NOT_SATISFIABLE")


def test_the_documents_name_every_code_beside_its_status() -> None:
    lines = (ROOT / "docs" / "requests.md").read_text().splitlines()
    files = (ROOT / "docs" / "files.md").read_text()
    for kind, told in TOLD.items():
        if kind in REACHED:
            rows = [line for line in lines if line.startswith("|") and f"`{told.code}`" in line]
            assert [row for row in rows if str(told.status) in row] or f"`{told.code}`" in files, told


def test_codes_are_told_apart_by_programs_and_statuses_by_everybody_else() -> None:
    statuses: dict[str, set[int]] = {}
    for told in TOLD.values():
        statuses.setdefault(told.code, set()).add(told.status)
        assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", told.code)
    assert all(len(found) == 1 for found in statuses.values())
