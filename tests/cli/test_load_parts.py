"""The parts of a load: what each kind of request is, what its answer is called, and how a ticket is followed."""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from cli.failures import Failure
from cli.load import hostile, mix
from cli.load import model as models
from cli.load.door import Answer as Came
from cli.load.door import Door
from cli.load.drive import ROUTES, Load, Plan
from cli.load.model import Model
from cli.load.record import Record
from cli.load.tickets import POLL, STREAM, Followers, Ticket
from cli.remote import Remote
from tests.cli.conftest import JOB, KEY, Answer, Run, serving
from tests.engines import until

JSON = {"Content-Type": "application/json"}
MODEL = Model("m", "1.0.0", {"x": 1})
FULL = {**JSON, "Retry-After": "1"}
JOBS, EVENTS, WAIT = "/api/v1/jobs", f"/api/v1/jobs/{JOB}/events", f"/api/v1/jobs/{JOB}?wait=1"


def answer(status: int, headers: Mapping[str, str] = JSON, /, **found: object) -> Answer:
    return status, dict(headers), json.dumps(found).encode()


def busy(status: int, headers: Mapping[str, str] = JSON) -> Answer:
    return answer(status, headers, error={"code": "BUSY", "message": "busy"})


#: A platform on which all goes well, by the ends of its paths; the store is at the same address.
GOOD: dict[str, Answer] = {
    "/predict": answer(200, label="a"), "/predict/batch": answer(200, labels=["a"]),
    "/jobs": answer(202, job_id=JOB), "/events": (200, {}, b"event: progress\ndata: 1\n\nevent: completed\n\n"),
    "?wait=1": answer(200, status="completed"), "/store": (204, {}, b""),
}  # fmt: skip


def loaded(
    monkeypatch: pytest.MonkeyPatch, kind: str, routes: Mapping[str, Answer] = GOOD, **plan: Any
) -> tuple[Record, Counter[str]]:
    """What a short load of one kind comes to, and how often each path was asked for."""
    monkeypatch.setattr("cli.load.drive.SENDERS", 8)
    at: list[str] = []

    def answers(path: str) -> Answer:
        if path.endswith("/uploads") and "/uploads" not in routes:
            return answer(201, url=f"{at[0]}/store", fields={}, upload_id="u")
        return next(found for end, found in routes.items() if path.endswith(end))

    with serving(answers) as (url, asked):
        at.append(url)
        # A burst is ten: chance would have none at all in one run of five.
        rate = 400.0 if kind == "burst" else 40.0
        usual: dict[str, Any] = {"rate": rate, "seconds": 0.4, "warm_up_s": 0.0, "obey": False}
        load = Load(Remote(url, KEY), MODEL, Plan(mix={kind: 1.0}, **{**usual, **plan}))
        load.run(lambda _: None)
    return load.record, Counter(item.split()[1] for item in asked)


@pytest.mark.parametrize(
    ("kind", "paths"),
    [
        ("inline", {"/api/v1/predict"}), ("burst", {"/api/v1/predict"}), ("batch", {"/api/v1/predict/batch"}),
        ("poll", {JOBS, WAIT}), ("stream", {JOBS, EVENTS}), ("file", {"/api/v1/uploads", "/store", JOBS, WAIT}),
    ],
)  # fmt: skip
def test_each_kind_asks_for_what_it_is_and_every_ticket_is_followed(
    monkeypatch: pytest.MonkeyPatch, kind: str, paths: set[str]
) -> None:
    record, asked = loaded(monkeypatch, kind)
    assert ({*asked}, record.good) == (paths, True), record.errors
    assert len({*asked.values()}) == 1
    route = ROUTES["inline" if kind == "burst" else kind]
    followed = {STREAM} if kind == "stream" else {POLL} if JOBS in paths else set()
    assert record.routes.keys() == {route, *followed}
    assert record.routes[route].sent == record.routes[route].ok == record.lag.count > 0
    assert record.tickets.accepted == record.tickets.done == (record.lag.count if followed else 0)


@pytest.mark.parametrize(
    ("kind", "routes", "code", "expected"),
    [
        ("poll", {"/jobs": answer(202, id=JOB)}, "NOT_COATCHECK", False),
        ("poll", {"/jobs": busy(500, FULL)}, "BUSY", False),
        ("poll", {"/jobs": busy(429, FULL)}, "BUSY", True),
        ("hostile", {"/predict": busy(429, FULL)}, "BUSY", True),
        ("file", {"/uploads": busy(503, FULL)}, "BUSY", True),
        ("file", {"/uploads": answer(201, url="u", fields={})}, "NOT_COATCHECK", False),
        ("file", {"/store": (403, {}, b"no")}, "STORE_REFUSED", False),
    ],
)
def test_what_came_instead_of_an_answer_is_told_by_its_code_and_whether_it_may_be(
    monkeypatch: pytest.MonkeyPatch, kind: str, routes: Mapping[str, Answer], code: str, expected: bool
) -> None:
    record, _ = loaded(monkeypatch, kind, {**GOOD, **routes})
    assert record.errors == {(ROUTES[kind], code, expected): record.lag.count}
    assert (record.good, record.tickets.accepted) == (expected, 0)
    assert record.routes[ROUTES[kind]].refused == (record.lag.count if expected else 0)


def test_who_obeys_does_not_wait_beyond_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    record, asked = loaded(monkeypatch, "inline", {"/predict": busy(429, FULL)}, obey=True)
    assert asked["/api/v1/predict"] == record.lag.count == record.errors[ROUTES["inline"], "BUSY", True]


def test_what_is_sent_in_the_warm_up_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    record, asked = loaded(monkeypatch, "inline", rate=80.0, warm_up_s=0.25, seconds=0.25)
    assert asked["/api/v1/predict"] > record.routes[ROUTES["inline"]].sent == record.lag.count > 0


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long those who follow tickets pause, without their doing so; not those whom a test before has left."""
    found: list[float] = []
    left = set(threading.enumerate())

    def sleep(seconds: float) -> None:
        time.sleep(seconds) if threading.current_thread() in left else found.append(seconds)

    monkeypatch.setattr("cli.load.tickets.time", SimpleNamespace(monotonic=lambda: 5.0, sleep=sleep))
    return found


def followed(answers: list[Answer], *, streamed: bool = False) -> tuple[Record, list[str]]:
    """What becomes of a ticket, and what was asked for."""
    record, left = Record(0.0, 1.0), iter(answers)
    with serving(lambda _: next(left)) as (url, asked):
        Followers(Door(Remote(url, KEY), 1), record, lambda: 0.75).take(Ticket(JOB, 0.25, streamed=streamed))
        until(lambda: not record.tickets.open)
    return record, [item.split()[1] for item in asked]


def test_a_ticket_is_asked_for_until_it_ends_with_a_pause_between(waited: list[float]) -> None:
    pending, expired = answer(200, status="pending"), answer(200, status="expired")
    record, asked = followed([busy(503, FULL), (500, {}, b""), pending, expired])
    assert (asked, waited) == ([WAIT] * 4, [0.5] * 3)
    # A refusal that says when to come again is none of its faults.
    assert record.errors == {(POLL, "HTTP_500", False): 1, (POLL, "expired", False): 1}
    assert (record.tickets.failed, record.tickets.done) == (1, 0)
    assert record.routes[POLL].took.most_s == 0.5


@pytest.mark.parametrize(
    ("first", "error"),
    [
        ((200, {}, b"event: progress\n\n"), None),
        (busy(503), (STREAM, "BUSY", True)),
        (busy(404), (STREAM, "BUSY", False)),
        ((502, {}, b"<html>"), (STREAM, "HTTP_502", False)),
        ((204, {}, b""), (STREAM, "NOT_COATCHECK", False)),
        (answer(201, status="pending"), (STREAM, "NO_STREAM", False)),
    ],
)
def test_a_ticket_whose_stream_does_not_say_its_end_is_asked_for_from_then_on(
    waited: list[float], first: Answer, error: tuple[str, str, bool] | None
) -> None:
    record, asked = followed([first, answer(200, status="completed")], streamed=True)
    assert (asked, record.tickets.done) == ([EVENTS, WAIT], 1)
    assert record.errors == ({error: 1} if error else {})


@pytest.mark.parametrize("status", ["failed", "canceled"])
def test_a_stream_says_that_a_job_has_not_ended_well(waited: list[float], status: str) -> None:
    record, asked = followed([(200, {}, f"id: 1\nevent: {status}\n\n".encode())], streamed=True)
    assert (asked, record.errors, record.tickets.failed) == ([EVENTS], {(STREAM, status, False): 1}, 1)


@pytest.mark.parametrize(
    ("came", "code"),
    [
        (answer(200, x=1), None), (answer(299, x=1), None), (answer(200), "NOT_COATCHECK"),
        ((200, {}, b"<html>"), "NOT_COATCHECK"), ((200, {}, b"[1]"), "NOT_COATCHECK"), (answer(300, x=1), "HTTP_300"),
        (busy(404), "BUSY"), (answer(404, error="no"), "HTTP_404"), (answer(404, error={"code": 5}), "HTTP_404"),
    ],
)  # fmt: skip
def test_an_answer_has_the_code_of_its_error_or_its_status(came: Answer, code: str | None) -> None:
    with serving(lambda _: came) as (url, asked):
        found = Door(Remote(url, KEY), 1).get("/jobs")
    assert (found.status, found.code) == (came[0], code)
    assert asked[0].startswith("GET /api/v1/jobs HTTP/1.1\n")
    for line in (f"Authorization: Bearer {KEY}", "User-Agent: coatcheck-load", "Content-Type: application/json"):
        assert re.search(f"^{line}\r?$", asked[0], re.M)


def test_who_is_not_there_is_an_answer_too_and_no_stream() -> None:
    door = Door(Remote("http://127.0.0.1:9", KEY), 1)
    assert door.post("/predict", {}) == Came(0, "UNREACHABLE", {})
    with pytest.raises(Failure) as caught:
        list(door.events("/jobs/x/events"))
    assert caught.value.code == "UNREACHABLE"


def test_a_bad_key_comes_once_in_a_while_so_that_nobody_is_held_back_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(hostile, "time", SimpleNamespace(monotonic=lambda: now[0]))
    tricks = hostile.Tricks(random.Random(7))
    drawn: Callable[[], bool] = lambda: tricks.next() is hostile.NO_KEY  # noqa: E731
    assert [drawn() for _ in range(20)] == [True] + [False] * 19
    now[0] += 5.5
    assert not drawn()
    now[0] += 0.5
    assert [drawn(), drawn()] == [True, False]
    assert mix.BURST == 10


def described(*later: str) -> Callable[[str], Answer]:
    """A platform of the models a, b and c, of which these answer later."""

    def answers(path: str) -> Answer:
        if path == "/api/v1/models":
            return answer(200, models=[{"name": name} for name in ("a", "b", "c")])
        name = path.split("/")[4]
        kinds = ["application/x-ndjson"] if name != "c" else ["audio/wav"]
        return answer(200, stable_version="1.0.0", inline=name not in later, example={"of": name}, file_types=kinds)

    return answers


@pytest.mark.parametrize(("later", "found"), [((), "a"), (("a",), "b"), (("a", "b"), "a")])
def test_the_first_model_that_answers_rows_at_once_is_asked_or_else_the_first_that_does_later(
    later: tuple[str, ...], found: str
) -> None:
    with serving(described(*later)) as (url, _):
        assert models.found(Remote(url, KEY), None) == Model(found, "1.0.0", {"of": found})
        assert models.found(Remote(url, KEY), "b").name == "b"
        with pytest.raises(Failure) as caught:
            models.found(Remote(url, KEY), "c")
    assert caught.value.code == "INVALID_INPUT"


def test_the_name_of_a_model_is_one_part_of_its_address() -> None:
    with serving(described()) as (url, asked):
        models.found(Remote(url, KEY), "a?b")
    assert [item.split()[1] for item in asked] == [
        "/api/v1/models/a%3Fb", "/api/v1/models/a%3Fb/versions/1.0.0"
    ]  # fmt: skip


def test_where_a_picture_cannot_be_drawn_nothing_is_sent(run: Run) -> None:
    with serving(described()) as (url, asked):
        done = run("load", "--model", "a", "--picture", "nowhere/x.svg", COATCHECK_URL=url, COATCHECK_API_KEY=KEY)
    assert (done.code, "nowhere/x.svg cannot be written (No such file" in done.err) == (1, True)
    assert all(" /api/v1/models/" in item for item in asked)


@pytest.mark.parametrize("words", [("load", "--rate"), ("explain", "tumor", "--tolerance")])
@pytest.mark.parametrize("value", ["nan", "inf", "-nan"])
def test_what_is_no_finite_number_is_refused(run: Run, words: tuple[str, ...], value: str) -> None:
    done = run(*words[:-1], f"{words[-1]}={value}")
    assert (done.code, words[-1] in done.err) == (2, True)
