"""What is behind COATCHECK_URL may be anything: each is told in one sentence."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import urllib3

from cli import words
from tests.cli.conftest import JOB, KEY, SECRET, Answer, Done, Run, deaf, serving

HTML = {"Content-Type": "text/html; charset=utf-8"}
JSON = {"Content-Type": "application/json"}


def envelope(code: str, message: str, **more: object) -> bytes:
    return json.dumps({"error": {"code": code, "message": message, "details": {}, **more}}).encode()


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody here gets better by waiting."""
    monkeypatch.setattr("cli.remote.PATIENCE_S", 0.0)
    monkeypatch.setattr("cli.answers.PATIENCE_S", 0.0)


@pytest.fixture
def against(run: Run) -> Callable[..., Done]:
    """Run a command against a server that always answers so."""

    def go(answer: Answer, *words: str) -> Done:
        with serving(lambda _: answer) as (url, _):
            done = run(*words, COATCHECK_URL=url, COATCHECK_API_KEY=KEY)
            assert SECRET not in done.err
            return done

    return go


@pytest.mark.parametrize(
    "words",
    [("jobs",), ("result", JOB), ("load",), ("submit", "rows.jsonl", "--model", "m"), ("models", "try", "m")],
    ids=" ".join,
)
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((200, HTML, b"<html>"), "does not answer as Coatcheck does: it answers 200 with text/html"),
        ((404, HTML, b"<html>"), "it answers 404 with text/html"),
        ((500, {}, b""), "it answers 500 with no content type"),
        ((200, JSON, b"[]"), "it answers 200 with application/json"),
        ((200, JSON, b"{}"), "it answers 200 with application/json"),
        ((404, JSON, b'{"detail": "Not Found"}'), "it answers 404 with application/json"),
        ((404, JSON, b'{"error": "no"}'), "it answers 404 with application/json"),
        ((404, JSON, b'{"error": {"code": 404}}'), "it answers 404 with application/json"),
        ((200, JSON, b"\xff\xfe"), "it answers 200 with application/json"),
        ((301, {"Location": "https://user:hush@there.example/x?y"}, b""), "answers 301 and leads to https://there.example"),
        ((400, HTML, b"The plain HTTP request was sent to HTTPS port"), "should the address begin with https://?"),
        ((503, HTML, b"<html>busy"), "it answers 503 with text/html"),
        ((401, JSON, envelope("UNAUTHORIZED", "A valid API key is required")), "COATCHECK_API_KEY opens nothing there"),
        ((429, {**JSON, "Retry-After": "3600"}, envelope("BACKLOG_FULL", "Too many jobs")), "try again in 3600 s"),
        ((503, {**JSON, "Retry-After": "7"}, envelope("UNAVAILABLE", "Down")), "Down; try again in 7 s (UNAVAILABLE)"),
        ((404, JSON, envelope("NOT_FOUND", "Not here")), "is the path of COATCHECK_URL right? (NOT_FOUND)"),
        ((422, JSON, envelope("INVALID_INPUT", "\x1b[2J" + "x" * 10_000)), "�[2J"),
    ],
)  # fmt: skip
def test_an_answer_is_told_in_one_sentence(
    against: Callable[..., Done], words: tuple[str, ...], answer: Answer, told: str
) -> None:
    done = against(answer, *words)
    assert (done.code, done.out) == (1, "")
    (line,) = done.err.splitlines()
    assert line.startswith("Error: ")
    assert told in line
    assert "hush" not in line
    assert len(line) < 5000
    code, document = against(answer, *words, "--json").code, against(answer, *words, "--json").err
    assert code == 1
    assert json.loads(document)["error"]["retryable"] == (answer[0] in (429, 503))


def test_every_fault_and_every_fact_is_told(against: Callable[..., Done]) -> None:
    faults = [{"field": f"inputs.{n}", "issue": "is wrong", "limit": 5, "received": [1]} for n in range(3)]
    body = envelope("INVALID_INPUT", "Input validation failed", details=faults[0], errors=faults, more=4)
    told = "; ".join(f"inputs.{n} is wrong (limit: 5, received: [1])" for n in range(3))
    assert against((422, JSON, body), "jobs").err == (
        f"Error: Input validation failed: {told}; and 4 more (INVALID_INPUT)\n"
    )
    given = json.loads(against((422, JSON, body), "jobs", "--json").err)["error"]
    assert given["details"] == faults[0]
    assert given["message"].endswith(f"{told}; and 4 more (INVALID_INPUT)")


def test_a_fact_that_is_no_json_is_told_as_a_text() -> None:
    assert words.sentence("No", {"limit": Path("a/b"), "at": {"x": Path("c")}}) == 'No: (limit: "a/b", at: {"x": "c"})'


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_go_well_the_next_time_is_tried_again_as_late_as_the_server_asks(
    run: Run, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr("cli.remote.PATIENCE_S", 30.0)
    answers = iter([(status, {**JSON, "Retry-After": "1"}, b"{}"), (200, JSON, b'{"jobs": []}')])
    started = time.monotonic()
    with serving(lambda _: next(answers)) as (url, asked):
        done = run("jobs", COATCHECK_URL=url, COATCHECK_API_KEY=KEY)
    assert time.monotonic() - started >= 1
    assert (done.code, done.err) == (0, f"{url} answers {status}; trying again in 1 s\n")
    assert len(asked) == 2


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:8000", "localhost", "http://", "http://h:99999", "http://h:port", "ftp://h", "http://me:hush@h",
     "http://h?hush", "http://h#hush", "http://h/api/v1", "http://h/api/v1/", "http://[::1", KEY, "http:///x"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_before_anything_is_sent(run: Run, url: str) -> None:
    done = run("jobs", COATCHECK_URL=url, COATCHECK_API_KEY=KEY)
    assert (done.code, done.out) == (2, "")
    assert "Error: COATCHECK_URL must be " in done.err
    assert not any(secret in done.err for secret in ("hush", SECRET))


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", " {}", "\t{} \n"])
def test_white_space_around_address_and_key_does_no_harm(run: Run, around: str) -> None:
    with serving(lambda _: (200, JSON, b'{"jobs": []}')) as (url, asked):
        done = run("jobs", COATCHECK_URL=around.format(url), COATCHECK_API_KEY=around.format(KEY))
    assert (done.code, done.err) == (0, "")
    assert f"Authorization: Bearer {KEY}\n" in asked[0].replace("\r", "")


@pytest.mark.parametrize("inside", ["\n", "\r\n", " ", "\t", "\x00", "é", "\u2028", "\x7f", "🔑"])
def test_a_damaged_key_is_refused_and_not_quoted(run: Run, inside: str) -> None:
    if inside == "\x00":
        inside = "\x01"  # no variable holds a NUL
    done = run("jobs", COATCHECK_URL="http://127.0.0.1:9", COATCHECK_API_KEY=f"{KEY}{inside}{KEY}")
    assert (done.code, done.out) == (2, "")
    assert "COATCHECK_API_KEY is damaged" in done.err
    assert SECRET not in done.err


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_with_the_key(run: Run, status: int) -> None:
    with (
        serving(lambda _: (200, JSON, b'{"jobs": []}')) as (there, asked),
        serving(lambda _: (status, {"Location": f"{there}/api/v1/jobs"}, b"")) as (url, _),
    ):
        done = run("jobs", COATCHECK_URL=url, COATCHECK_API_KEY=KEY)
    assert (done.code, asked) == (1, [])
    assert f"it answers {status} and leads to {there}" in done.err


@contextlib.contextmanager
def nowhere() -> Iterator[str]:
    yield "http://nowhere.invalid"


@contextlib.contextmanager
def mute() -> Iterator[str]:
    """The address of one that is connected and says nothing, and in the end is gone."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        end = threading.Timer(20, listener.close)
        end.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        end.cancel()


@contextlib.contextmanager
def hanging_up() -> Iterator[str]:
    """The address of one that hears a request and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hear() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)

        thread = threading.Thread(target=hear)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize(
    ("at", "timeout", "why"),
    [
        (nowhere, {}, "its name leads nowhere"),
        (deaf, {"connect": 0.5}, "no connection within 0.5 s"),
        (mute, {"read": 0.5}, "no answer within 0.5 s"),
        (hanging_up, {}, "the connection broke (ProtocolError)"),
    ],
)
def test_why_nobody_answers_is_told_and_that_it_may_go_well_the_next_time(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    at: Callable[[], contextlib.AbstractContextManager[str]],
    timeout: dict[str, float],
    why: str,
) -> None:
    monkeypatch.setattr("cli.connection.TIMEOUT", urllib3.Timeout(**timeout))
    with at() as url:
        done = run("jobs", "--json", COATCHECK_URL=url, COATCHECK_API_KEY=KEY)
    error = json.loads(done.err)["error"]
    assert (done.code, error["message"]) == (1, f"{url} does not answer: {why}")
    assert (error["code"], error["retryable"]) == ("UNREACHABLE", True)


PROXIED = {"COATCHECK_URL": "http://coatcheck.example", "COATCHECK_API_KEY": KEY}


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"])
def test_the_proxy_of_the_environment_is_used(run: Run, name: str) -> None:
    with serving(lambda _: (200, JSON, b'{"jobs": []}')) as (url, asked):
        done = run("jobs", **PROXIED, **{name: url.replace("http://", "http://me:hush@")})
    assert (done.code, done.err) == (0, "")
    assert asked[0].startswith("GET http://coatcheck.example/api/v1/jobs?limit=20 HTTP/1.1")
    assert (
        "Proxy-Authorization: Basic bWU6aHVzaA==" in asked[0] or "proxy-authorization: Basic bWU6aHVzaA==" in asked[0]
    )


@pytest.mark.parametrize("no_proxy", ["coatcheck.example", ".example", "*", "other, coatcheck.example"])
def test_no_proxy_is_heeded(run: Run, no_proxy: str) -> None:
    with serving(lambda _: (200, JSON, b'{"jobs": []}')) as (url, asked):
        done = run("jobs", **PROXIED, HTTP_PROXY=url, NO_PROXY=no_proxy)
    assert (done.code, asked) == (1, [])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_what_is_on_this_machine_is_not_reached_through_a_proxy(run: Run, host: str) -> None:
    with (
        serving(lambda _: (200, JSON, b'{"jobs": []}')) as (url, _),
        serving(lambda _: (500, {}, b"")) as (proxy, asked),
    ):
        here = url.replace("127.0.0.1", host)
        done = run("jobs", COATCHECK_URL=here, COATCHECK_API_KEY=KEY, HTTP_PROXY=proxy, ALL_PROXY=proxy)
    assert (done.code, asked) == (0, [])


@pytest.mark.parametrize("proxy", ["http://me:hush@127.0.0.1:9", "127.0.0.1:9", "socks5://me:hush@127.0.0.1:9", "x://"])
def test_a_proxy_that_does_not_work_is_told_without_its_password(run: Run, proxy: str) -> None:
    done = run("jobs", **PROXIED, HTTP_PROXY=proxy)
    assert (done.code, done.out) == (1, "")
    assert "proxy" in done.err.lower()
    assert "hush" not in done.err


def test_a_proxy_that_says_nothing_is_not_waited_for_longer_than_anybody_else(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.connection.TIMEOUT", urllib3.Timeout(read=0.5))
    with mute() as proxy:
        done = run("jobs", **PROXIED, HTTP_PROXY=proxy)
    assert (done.code, done.err) == (1, "Error: http://coatcheck.example does not answer: no answer within 0.5 s\n")


def test_an_address_with_tls_goes_through_the_proxy_without_showing_it_the_key(run: Run) -> None:
    with serving(lambda _: (200, JSON, b"{}")) as (proxy, asked):
        done = run("jobs", COATCHECK_URL="https://coatcheck.example", COATCHECK_API_KEY=KEY, HTTPS_PROXY=proxy)
    assert (done.code, SECRET in "".join(asked)) == (1, False)


def sent(asked: str) -> dict[str, str]:
    """The headers of a request that a server heard."""
    lines = (line for line in asked.splitlines()[1:] if line.strip())
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


def test_a_request_says_who_asks_and_whose_key_it_has_and_nothing_else(run: Run) -> None:
    def answer(path: str) -> Answer:
        return (200, JSON, b'{"jobs": []}') if "jobs" in path else (500, {}, b"")

    with serving(answer) as (url, asked):
        run("jobs", COATCHECK_URL=url, COATCHECK_API_KEY=KEY)
        run("submit", "rows.jsonl", COATCHECK_URL=url, COATCHECK_API_KEY=KEY)
    always = {
        "host": url.removeprefix("http://"), "accept-encoding": "identity", "user-agent": "coatcheck",
        "authorization": f"Bearer {KEY}",
    }  # fmt: skip
    listing, upload = map(sent, asked)
    assert asked[0].startswith("GET /api/v1/jobs?limit=20 HTTP/1.1\n")
    assert listing == always
    assert asked[1].startswith("POST /api/v1/uploads HTTP/1.1\n")
    assert uuid.UUID(upload.pop("idempotency-key")).version == 4
    assert int(upload.pop("content-length"))
    assert upload == {**always, "content-type": "application/json"}
