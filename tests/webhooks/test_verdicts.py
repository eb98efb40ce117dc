"""What one answer means: every status, every way to fail, every wish to be left alone, and what is kept of it."""

from __future__ import annotations

import email.message
import http.client
import socket
import ssl

import pytest

from core import errors
from core.settings import Settings
from webhooks import http_post, receivers
from webhooks.events import FOR_ENDPOINTS, Event
from webhooks.http_post import KEEP_CHARACTERS, Answer
from webhooks.receivers import Receivers
from webhooks.trouble import Trouble
from webhooks.verdict import MAX_RETRY_AFTER_S, THROTTLING, Ending, judge, span_s

SCHEDULE = (0.0, 100.0, 100.0)


@pytest.mark.parametrize("status", [*range(199, 303), 400, 401, 404, 408, 409, 410, 411, 429, 500, 501, 502, 503, 504])
def test_a_2xx_is_delivered_410_is_gone_and_all_else_is_tried_again(status: int) -> None:
    verdict = judge(Answer(3, status), Event.COMPLETED, tries=1, schedule=SCHEDULE)
    ending = Ending.DELIVERED if 200 <= status <= 299 else Ending.FAILED if status == 410 else Ending.AGAIN
    assert (verdict.ending, verdict.gone) == (ending, status == 410)
    assert (verdict.delay_s > 0) is (ending is Ending.AGAIN)


@pytest.mark.parametrize("trouble", Trouble)
def test_no_answer_is_tried_again_whatever_the_trouble_was(trouble: Trouble) -> None:
    assert judge(Answer(3, error=trouble), Event.COMPLETED, tries=1, schedule=SCHEDULE).ending == "pending"


@pytest.mark.parametrize("event", [*FOR_ENDPOINTS, Event.TEST])
@pytest.mark.parametrize("tries", [1, 2, 3, 4])
def test_each_event_is_tried_as_often_as_the_schedule_says_and_progress_once(event: Event, tries: int) -> None:
    ends = tries >= 3 or event is Event.PROGRESS
    assert judge(Answer(3, 500), event, tries=tries, schedule=SCHEDULE).ending == ("failed" if ends else "pending")


@pytest.mark.parametrize("status", [200, 301, 400, 410, 429, 500, 501, 502, 503, 504, 505])
@pytest.mark.parametrize(
    ("wish_s", "held_s"),
    [
        (None, 0),
        (0.0, 0),
        (7.0, 7),
        (MAX_RETRY_AFTER_S - 1, 86_399),
        (MAX_RETRY_AFTER_S, 86_400),
        (MAX_RETRY_AFTER_S + 1, 86_400),
    ],
)
@pytest.mark.parametrize("tries", [1, 3])
def test_who_is_overloaded_is_left_alone_for_as_long_as_it_asks_and_a_day_at_most(
    status: int, wish_s: float | None, held_s: float, tries: int
) -> None:  # fmt: skip
    verdict = judge(Answer(3, status, retry_after_s=wish_s), Event.COMPLETED, tries=tries, schedule=SCHEDULE)
    assert (status in THROTTLING) is (status in (429, 502, 503, 504))
    assert verdict.hold_s == (held_s if status in THROTTLING else 0)
    if verdict.ending is Ending.AGAIN:
        # A wish does not bring it forward.
        assert verdict.delay_s == verdict.hold_s or 80 <= verdict.delay_s <= 120
        assert verdict.delay_s >= verdict.hold_s


def test_a_delivery_waits_no_longer_than_its_schedule_with_a_fifth_more_and_a_day() -> None:
    assert span_s(SCHEDULE) == pytest.approx(200 * 1.2 + 86_400)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (socket.gaierror(), "NAME_NOT_FOUND"),
        (UnicodeError(), "NAME_NOT_FOUND"),
        (ssl.SSLError(), "TLS_ERROR"),
        (ssl.SSLCertVerificationError(), "TLS_ERROR"),
        (TimeoutError(), "TIMED_OUT"),
        (http.client.BadStatusLine("SSH-2.0"), "BAD_ANSWER"),
        (http.client.LineTooLong("header line"), "BAD_ANSWER"),
        # Both a broken protocol and a broken connection: it said nothing at all.
        (http.client.RemoteDisconnected(""), "CONNECTION_FAILED"),
        (ConnectionRefusedError(), "CONNECTION_FAILED"),
        (ConnectionResetError(), "CONNECTION_FAILED"),
        (OSError(), "CONNECTION_FAILED"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_each_way_to_get_no_answer_has_its_word(error: Exception, code: str) -> None:
    assert http_post._code(error) == code


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (None, None), ("0", 0.0), ("120", 120.0), (" 120 ", 120.0), ("999999999", 999_999_999.0),
        ("9999999999", 999_999_999.0), ("-5", None), ("1.5", None), ("soon", None), ("", None), ("٣", None),
        ("²", None), ("Wed, 99 Oct 2026 07:28:00 GMT", None),
    ],
)  # fmt: skip
def test_a_wish_in_seconds_is_a_whole_number_and_anything_else_is_none(said: str | None, seconds: float | None) -> None:
    headers = email.message.Message()
    if said is not None:
        headers["Retry-After"] = said
    assert http_post._retry_after_s(headers) == seconds


@pytest.mark.parametrize(
    ("read", "shown"),
    [
        (b"", ""), (b"x" * (KEEP_CHARACTERS - 1), "x" * 999), (b"x" * KEEP_CHARACTERS, "x" * 1000),
        (b"x" * (KEEP_CHARACTERS + 1), "x" * 1000), ("ü".encode() * 1001, "ü" * 1000),
        (b"a\0b", "a\N{REPLACEMENT CHARACTER}b"), (b"a\xffb", "a\N{REPLACEMENT CHARACTER}b"),
    ],
    ids=["nothing", "below", "at the limit", "above", "characters, not bytes", "a NUL", "no UTF-8"],
)  # fmt: skip
def test_of_an_answer_its_beginning_is_kept_as_a_text_that_the_log_can_hold(read: bytes, shown: str) -> None:
    assert http_post._shown(read) == shown


@pytest.mark.parametrize("length", [receivers.MAX_URL - 1, receivers.MAX_URL, receivers.MAX_URL + 1])
def test_a_url_is_no_longer_than_it_may_be(strict: Settings, length: int) -> None:
    start = "https://receiver.example/"
    url = start + "x" * (length - len(start))
    if length <= 2048:
        assert Receivers(strict).parse(url).path == "/" + "x" * (length - len(start))
        return
    with pytest.raises(errors.InvalidInput) as refused:
        Receivers(strict).parse(url, "webhook_url")
    assert refused.value.details == {
        "field": "webhook_url", "issue": "exceeds maximum length of 2048 characters", "received_length": length,
    }  # fmt: skip
