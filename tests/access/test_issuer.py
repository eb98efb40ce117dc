"""The issuer's keys: how much is read of it, how often it is asked, and how long anybody waits for that."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from access import issuer as issuers
from core import errors
from tests.access.conftest import Clock
from tests.conftest import until
from tests.hands import without_threads
from tests.issuer import Issuer


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(issuers, "monotonic", made.monotonic)
    return made


@pytest.fixture
def theirs() -> Iterator[Issuer]:
    found = Issuer()
    yield found
    found.stop()


@pytest.fixture
def known(theirs: Issuer, clock: Clock) -> issuers.Issuer:
    """As we know it."""
    return issuers.Issuer(theirs.url)


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_a_list_of_keys_is_read_up_to_its_limit_and_no_longer_one(
    theirs: Issuer, known: issuers.Issuer, more: int
) -> None:
    listed = json.dumps({"keys": theirs.listed}).encode()
    theirs.answers["/login/keys"] = (200, listed.ljust(262_144 + more))
    if more <= 0:
        assert known.key(theirs.kid).key_id == theirs.kid
    else:
        with pytest.raises(errors.Unavailable):
            known.key(theirs.kid)


def test_unknown_keys_are_looked_for_again_each_minute_however_often_they_come(
    theirs: Issuer, known: issuers.Issuer, clock: Clock
) -> None:
    for asked in range(1, issuers.WAITING + 2):
        with pytest.raises(errors.Unauthorized):
            known.key("made up")
        assert theirs.asked == asked
        clock.now_s += 60


def test_an_issuer_that_failed_is_asked_again_after_a_minute_also_where_the_key_is_known(
    theirs: Issuer, known: issuers.Issuer, clock: Clock
) -> None:
    def looked(times: int) -> None:
        assert known.key(theirs.kid)
        until(lambda: theirs.asked == times and not known._asking.locked())

    looked(1)
    theirs.answers["/login/keys"] = (500, b"{}")
    clock.now_s += 600
    looked(2)
    theirs.answers.clear()
    clock.now_s += 60
    looked(3)
    # Since it answers, what it says is good for longer.
    clock.now_s += 60
    looked(3)


def test_a_key_that_is_known_is_good_also_while_there_is_no_thread_to_ask_about_it(
    theirs: Issuer, known: issuers.Issuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert known.key(theirs.kid)
    clock.now_s += 600
    with without_threads(monkeypatch):
        assert known.key(theirs.kid)
    assert theirs.asked == 1
    assert known.key(theirs.kid)
    until(lambda: theirs.asked == 2 and not known._asking.locked())


def test_who_comes_while_somebody_asks_waits_for_a_moment_and_not_for_the_answer(
    monkeypatch: pytest.MonkeyPatch, known: issuers.Issuer
) -> None:
    monkeypatch.setattr(issuers, "WAIT_S", 0.05)
    with known._asking, pytest.raises(errors.Unavailable):
        known.key("new")
