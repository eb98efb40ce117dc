"""Too many ask for predictions: those that are let in are answered, the others told so, and nobody else notices."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import prometheus_client
import pytest
from flask.testing import FlaskClient

import api
from core import errors
from serving import turns
from serving.turns import Turns
from tests.api.conftest import Server
from tests.changed import changed
from tests.conftest import Platform, until
from tests.hands import work

PREDICT, BATCH, JOBS = "/api/v1/predict", "/api/v1/predict/batch", "/api/v1/jobs"
ONE, OTHER, THIRD = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
GOOD = {"model": "sentiment", "inputs": {"text": "Lovely"}}


def gauge(name: str) -> prometheus_client.Gauge:
    return prometheus_client.Gauge(name, "-", registry=prometheus_client.CollectorRegistry())


def made(total: int, part: float = 1.0) -> Turns:
    return Turns(total, part, gauge("taken"), gauge("kept"))


class Asked:
    """One that asks for a turn in a thread of its own; `end` is there when it has one, `error` when it was refused."""

    def __init__(self, found: Turns, tenant: uuid.UUID) -> None:
        self.end: Callable[[], None] | None = None
        self.error: errors.Busy | None = None
        self._found, self._tenant = found, tenant
        self.thread = threading.Thread(target=self._ask)
        self.thread.start()

    def _ask(self) -> None:
        try:
            self.end = self._found.take(self._tenant)
        except errors.Busy as error:
            self.error = error


@pytest.fixture(autouse=True)
def never_at_ease(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are as many turns as were asked for, whatever goes on."""
    monkeypatch.setattr(turns, "AT_EASE", 0)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no reason to give up."""
    monkeypatch.setattr(turns, "PATIENCE_S", 30.0)
    monkeypatch.setattr(turns, "LONGEST_S", 30.0)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has no turn at once has none."""
    monkeypatch.setattr(turns, "PATIENCE_S", 0.0)


def test_who_comes_when_all_turns_are_taken_is_called_by_order_of_arrival(patient: None) -> None:
    found = made(1)
    end = found.take(ONE)
    waiting = []
    for _ in range(3):
        waiting.append(Asked(found, ONE))
        until(lambda: found.kept == len(waiting))
    for place, item in enumerate(waiting):
        end()
        item.thread.join(30)
        assert item.end is not None
        assert (found.taken, found.kept) == (1, 2 - place)
        end = item.end
    end()
    assert (found.taken, found.kept) == (0, 0)


def test_a_turn_that_is_ended_twice_is_ended_once() -> None:
    found = made(2)
    first = found.take(ONE)
    found.take(ONE)
    first(), first()
    assert found.taken == 1


def test_a_tenant_has_its_part_and_those_of_others_pass_it_in_the_line(patient: None) -> None:
    found = made(4, 0.5)
    mine = [found.take(ONE), found.take(ONE)]
    greedy = Asked(found, ONE)
    until(lambda: found.kept == 1)
    theirs = [found.take(OTHER), found.take(OTHER)]
    third = Asked(found, THIRD)
    until(lambda: found.kept == 2)
    theirs[0]()
    third.thread.join(30)
    assert (third.end is not None, greedy.end) == (True, None)
    mine[0]()
    greedy.thread.join(30)
    assert greedy.end is not None


@pytest.mark.parametrize(("total", "its_part"), [(1, 1), (3, 2), (8, 6)])
def test_a_tenant_always_has_one_turn(total: int, its_part: int) -> None:
    found = made(total, 0.75)
    for count in range(its_part):
        assert found._has_room(ONE.int, time.monotonic()), count
        found.take(ONE)
    assert not found._has_room(ONE.int, time.monotonic())
    assert found._has_room(OTHER.int, time.monotonic()) == (total > its_part)


def test_who_waits_in_vain_is_refused_after_a_while_and_so_is_everybody_until_then(
    monkeypatch: pytest.MonkeyPatch, hasty: None
) -> None:
    monkeypatch.setattr(turns, "REFUSAL_S", 3.0)
    found = made(1)
    end = found.take(ONE)
    first = Asked(found, OTHER)
    until(lambda: found._refused == 1)
    began, second = time.monotonic(), Asked(found, OTHER)
    until(lambda: found.kept == 2)
    end()
    # Who finds a turn takes it, whoever is being refused meanwhile.
    found.take(THIRD)()
    for item in (first, second):
        item.thread.join(30)
        assert (item.end, type(item.error)) == (None, errors.Busy)
    # Each is kept for half of it at least.
    assert time.monotonic() - began >= 1.5
    assert (found.taken, found.kept) == (0, 0)


def test_who_is_refused_is_told_when_all_that_wait_could_have_been_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "REFUSAL_S", 0.1)
    monkeypatch.setattr(turns, "LONGEST_S", 0.1)
    found = made(1)
    found._took_s = 4.0
    found.take(ONE)
    with pytest.raises(errors.Busy) as caught:
        found.take(OTHER)
    assert caught.value.retry_after_s == 4.0
    found._took_s = 1e6
    with pytest.raises(errors.Busy) as caught:
        found.take(OTHER)
    assert caught.value.retry_after_s == turns.MOST_S


class Clock:
    """It goes on when it is told to."""

    now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


def test_how_long_a_turn_takes_is_an_average_of_late_and_less_where_more_than_enough_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(turns, "time", clock)
    monkeypatch.setattr(turns, "AT_EASE", 4)
    found = made(2)
    assert found._usual_s(turns.WAIT_S) == turns.WAIT_S
    for average in (1.0, 1.9375):
        end = found.take(ONE)
        clock.now_s += 16
        end()
        assert found._took_s == average
    assert found._usual_s(turns.WAIT_S) == 6 * 1.9375
    found._took_s = 0.0
    ends = [found.take(ONE) for _ in range(4)]
    clock.now_s += 32
    # Each of four had half of what each of two would have had.
    ends[0]()
    assert found._took_s == 1.0
    assert found.taken == 3
    ends[1]()
    assert found._took_s == pytest.approx(1 + (32 * 2 / 3 - 1) / 16)


@pytest.mark.parametrize(("kept", "took_s", "said_s"), [(0, 0.0, 1.0), (3, 0.5, 1.0), (3, 4.0, 6.0), (60, 4.0, 30.0)])
def test_a_refusal_says_when_all_that_wait_could_have_had_a_turn(kept: int, took_s: float, said_s: float) -> None:
    found = made(2)
    found._refused, found._took_s = kept, took_s
    assert found._busy().retry_after_s == said_s


def test_in_a_rush_everybody_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "AT_EASE", 32)
    # However slow the machine is, it is over before this.
    monkeypatch.setattr(turns, "LATELY_S", 30.0)
    monkeypatch.setattr(turns, "PATIENCE_S", 30.0)
    monkeypatch.setattr(turns, "LONGEST_S", 30.0)
    found = made(4)

    def turn(_: int) -> bool:
        end = found.take(ONE)
        time.sleep(0.01)
        end()
        return True

    with ThreadPoolExecutor(100) as pool:
        assert list(pool.map(turn, range(100))) == [True] * 100


def test_at_ease_there_are_more_turns_than_when_there_is_too_much_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "AT_EASE", 8)
    found = made(2, 0.5)
    ends = [found.take(ONE) for _ in range(4)]
    ends += [found.take(OTHER) for _ in range(4)]
    assert found.taken == 8
    found._refused_at = time.monotonic()
    for end in ends[:4]:
        assert not found._has_room(THIRD.int, time.monotonic())
        end()
    # What one has from before is in nobody's way.
    assert (found.taken, found._has_room(THIRD.int, time.monotonic())) == (4, True)
    for end in ends[4:]:
        end()
    assert [found._has_room(THIRD.int, time.monotonic() + after_s) for after_s in (0.0, turns.CALM_S)] == [True] * 2
    ends = [found.take(ONE)]
    assert [found._has_room(ONE.int, time.monotonic() + after_s) for after_s in (0.0, turns.CALM_S)] == [False, True]


def test_it_is_too_much_when_the_oldest_in_line_waited_long_for_a_while_and_not_for_a_moment() -> None:
    found, now = made(1), time.monotonic()
    found.take(ONE)
    for after_s, waited_s, too_much in [
        (0.0, 0.5, False), (0.09, 0.5, False), (0.11, 0.5, True), (0.12, 0.01, False), (0.13, 0.5, False),
        (0.22, 0.5, False), (0.24, 0.5, True),
    ]:  # fmt: skip
        oldest, newest = turns._Waiting(ONE.int), turns._Waiting(ONE.int)
        oldest.since, newest.since = now + after_s - waited_s, now + after_s
        found._line = [oldest, newest]
        found._call(now + after_s)
        assert (oldest.called.is_set(), found._is_too_much(now + after_s)) == (False, too_much), after_s


def test_it_is_not_too_much_any_more_when_nobody_is_in_line(patient: None) -> None:
    found = made(1)
    end = found.take(ONE)
    asked = Asked(found, ONE)
    until(lambda: found.kept == 1)
    found._line[0].since -= 1
    end()
    asked.thread.join(30)
    assert asked.end is not None
    assert not found._is_too_much(time.monotonic() + 1)


def test_that_another_tenant_finds_a_turn_at_once_does_not_hide_a_crowd(patient: None) -> None:
    found = made(4, 0.75)
    for _ in range(3):
        found.take(ONE)
    crowd = Asked(found, ONE)
    until(lambda: found.kept == 1)
    found._line[0].since -= 1
    found.take(OTHER)()
    since = found._slow_since
    found.take(OTHER)()
    assert since == found._slow_since < time.monotonic()
    found._line[0].called.set()
    crowd.thread.join(30)


def test_nobody_passes_those_in_line_when_there_are_more_turns_again(
    monkeypatch: pytest.MonkeyPatch, patient: None
) -> None:
    monkeypatch.setattr(turns, "LATELY_S", 30.0)
    found = made(1)
    end = found.take(ONE)
    line = [Asked(found, tenant) for tenant in (ONE, OTHER)]
    until(lambda: found.kept == 2)
    monkeypatch.setattr(turns, "AT_EASE", 3)
    last = Asked(found, THIRD)
    for item in line:
        item.thread.join(30)
        assert item.end is not None
    assert (found.taken, found.kept, last.end) == (3, 1, None)
    end()
    last.thread.join(30)
    assert last.end is not None


@pytest.mark.parametrize(("clock", "refused"), [("_slow_since", False), ("_late_since", True)])
def test_who_waits_while_there_is_too_much_to_do_is_refused_where_all_wait_long_and_else_has_a_turn(
    monkeypatch: pytest.MonkeyPatch, patient: None, clock: str, refused: bool
) -> None:
    monkeypatch.setattr(turns, "REFUSAL_S", 0.0)
    found = made(1)
    end = found.take(ONE)
    asked = Asked(found, ONE)
    until(lambda: found.kept == 1)
    setattr(found, clock, time.monotonic() - 1)
    asked.thread.join(30 if refused else turns.LATE_S * 3)
    assert (type(asked.error) is errors.Busy) == refused
    end()
    asked.thread.join(30)
    assert (asked.end is None) == refused


def test_all_wait_long_when_the_oldest_in_line_did_for_a_while() -> None:
    found, now = made(1), time.monotonic()
    found.take(ONE)
    for after_s, waited_s, late in [(0.0, 0.26, False), (0.11, 0.26, True), (0.12, 0.24, False), (0.13, 0.26, False)]:
        oldest = turns._Waiting(ONE.int)
        oldest.since = now + after_s - waited_s
        found._line = [oldest]
        found._call(now + after_s)
        oldest.since -= 1.0
        assert found._waits_in_vain(oldest, now + after_s) == late, after_s


def test_who_is_alone_with_too_much_to_do_has_all_turns_and_no_more_than_its_part_once_another_asks() -> None:
    found = made(4, 0.5)
    ends = [found.take(ONE), found.take(ONE)]
    found._refused_at = time.monotonic()
    ends += [found.take(ONE), found.take(ONE)]
    assert not found._has_room(ONE.int, time.monotonic())
    # It finds one, whoever has all of them.
    found.take(OTHER)()
    for end in ends[:2]:
        end()
    assert not found._has_room(ONE.int, time.monotonic())
    found._refused_at = later = time.monotonic() + turns.CALM_S
    assert found._has_room(ONE.int, later)


def test_where_a_turn_takes_long_it_is_waited_for_as_long(hasty: None) -> None:
    found = made(1)
    found._took_s = 10.0
    end = found.take(ONE)
    patient = Asked(found, ONE)
    until(lambda: found.kept == 1)
    patient.thread.join(turns.WAIT_S * 5)
    assert (found._refused, found.kept) == (0, 1)
    end()
    patient.thread.join(30)
    assert patient.end is not None


def test_beyond_those_that_can_be_kept_who_comes_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, patient: None
) -> None:
    monkeypatch.setattr(turns, "MOST_KEPT", 2)
    monkeypatch.setattr(turns, "REFUSAL_S", 30.0)
    found = made(1)
    end = found.take(ONE)
    kept = [Asked(found, ONE) for _ in range(2)]
    until(lambda: found.kept == 2)
    began = time.monotonic()
    with pytest.raises(errors.Busy):
        found.take(OTHER)
    assert time.monotonic() - began < turns.REFUSAL_S / 2
    for item in kept:
        end()
        item.thread.join(30)
        assert item.end is not None
        end = item.end


@pytest.fixture
def narrow(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """Of an API that makes one prediction at once, and waits for no turn."""
    monkeypatch.setattr(turns, "PATIENCE_S", 0.0)
    app = api.create_app(changed(platform.settings, max_predictions=1))
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {platform.new_tenant()[1]}"
    assert client.post(PREDICT, json=GOOD).status_code == 200
    yield client
    app.extensions["coatcheck"].close()


def turns_of(client: FlaskClient) -> Turns:
    found: Turns = client.application.extensions["coatcheck"].predictions
    return found


class Unread:
    """A body that nobody may look at."""

    def read(self, *_: object) -> bytes:
        raise AssertionError("the body was read")

    readline = read


@pytest.mark.parametrize("path", [PREDICT, BATCH])
def test_a_prediction_too_many_is_refused_before_its_body_is_read(narrow: FlaskClient, path: str) -> None:
    end = turns_of(narrow).take(ONE)
    body = {"wsgi.input": Unread(), "CONTENT_LENGTH": "1000", "CONTENT_TYPE": "application/json"}
    answer = narrow.post(path, environ_overrides=body)
    error = answer.get_json()["error"]
    assert (answer.status_code, error["code"], answer.headers["Retry-After"]) == (503, "BUSY", "1")
    assert "Prefer: respond-async" in error["message"]
    end()
    assert narrow.post(PREDICT, json=GOOD).status_code == 200


def test_what_was_refused_cost_nothing(narrow: FlaskClient) -> None:
    def left() -> str:
        return narrow.get("/api/v1/limits").headers["RateLimit"].split(";")[1]

    before, end = left(), turns_of(narrow).take(ONE)
    for _ in range(3):
        assert narrow.post(PREDICT, json=GOOD).status_code == 503
    end()
    assert int(before[2:]) - int(left()[2:]) <= 1


def test_jobs_are_accepted_while_no_prediction_is(narrow: FlaskClient, quiet: None) -> None:
    turns_of(narrow).take(ONE)
    jobs = [
        narrow.post(JOBS, json=GOOD),
        narrow.post(PREDICT, json=GOOD, headers={"Prefer": "wait=1, respond-async"}),
        narrow.post(BATCH, json={**GOOD, "inputs": [GOOD["inputs"]]}, headers={"Prefer": "Respond-Async"}),
    ]
    assert [item.status_code for item in jobs] == [202, 202, 202]
    assert narrow.get(f"{JOBS}/{jobs[0].get_json()['job_id']}").status_code == 200


@pytest.mark.parametrize(
    "body",
    ['{"model": "sentiment", "inputs": {"text": "Lovely"}}', "{", '{"inputs": 7}', '{"model": "no", "inputs": {}}', ""],
    ids=["good", "no JSON", "bad", "no such model", "nothing"],
)
@pytest.mark.parametrize("path", [PREDICT, BATCH])
def test_whatever_a_prediction_ends_in_its_turn_is_over_afterwards(narrow: FlaskClient, path: str, body: str) -> None:
    narrow.post(path, data=body, content_type="application/json")
    assert turns_of(narrow).taken == 0


def test_a_turn_is_over_when_the_code_breaks(narrow: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(narrow.application.extensions["coatcheck"].catalog, "resolve", broken)
    assert narrow.post(PREDICT, json=GOOD).status_code == 500
    assert turns_of(narrow).taken == 0


def test_who_waits_for_a_job_leaves_the_turn_to_others(narrow: FlaskClient, platform: Platform, quiet: None) -> None:
    here, answers = narrow.application.extensions["coatcheck"], []
    by_job = {"json": {**GOOD, "model_version": "2.1.0"}, "headers": {"Prefer": "wait=30"}}
    thread = threading.Thread(target=lambda: answers.append(narrow.post(PREDICT, **by_job)))
    thread.start()
    until(lambda: here.waiters.taken == 1)
    assert turns_of(narrow).taken == 0
    assert narrow.post(PREDICT, json=GOOD).status_code == 200
    work(platform)
    thread.join(60)
    assert answers[0].get_json()["prediction"]


def test_a_bad_key_is_told_so_however_many_ask(narrow: FlaskClient) -> None:
    turns_of(narrow).take(ONE)
    assert narrow.post(PREDICT, json=GOOD, headers={"Authorization": "Bearer none"}).status_code == 401


def test_a_tenant_that_floods_leaves_others_their_predictions(server: Server, platform: Platform) -> None:
    """Through the real server, with bodies that never come."""
    (_, greedy), (_, modest) = platform.new_tenant(), platform.new_tenant()
    extra = "Content-Type: application/json\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n"
    with contextlib.ExitStack() as stack:
        flood = [
            stack.enter_context(server.connect(f"POST {PREDICT} HTTP/1.1\r\nHost: h\r\nX-API-Key: {greedy}\r\n{extra}"))
            for _ in range(30)
        ]
        said = sorted(int(item.recv(4096)[9:12]) for item in flood)
        assert said == [100] * 24 + [503] * 6
        body = b'{"model": "sentiment", "inputs": {"text": "Lovely"}}'
        head = f"POST {PREDICT} HTTP/1.1\r\nHost: h\r\nX-API-Key: {modest}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        assert b" 200 " in server.ask(head, body).splitlines()[0]
