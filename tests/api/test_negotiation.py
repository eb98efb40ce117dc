"""What a request prefers, and under which key it is done once."""

from __future__ import annotations

import dataclasses
import uuid

import pytest

from api import negotiation
from core import errors
from serving import once
from serving.values import Preference
from tests import factories


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("respond-async", Preference(True, None, said=True)),
        ("Respond-Async; of=course", Preference(True, None, said=True)),
        ("wait=5", Preference(False, 5.0, said=True)),
        ('WAIT = "5" ; x=y', Preference(False, 5.0, said=True)),
        ("wait=0", Preference(False, 0.0, said=True)),
        ("wait=30", Preference(False, 30.0, said=True)),
        ("wait=5, wait=nonsense", Preference(False, 5.0, said=True)),
        ("wait=5,respond-async", Preference(True, 5.0, said=True)),
        ("handling=lenient, respond-sync", Preference(False, None, said=True)),
    ],
)
def test_a_preference_is_read_wherever_it_stands_and_unknown_ones_are_ignored(header: str, wanted: Preference) -> None:
    assert negotiation._preferred(header, False, 30.0) == wanted
    assert negotiation._preferred(header, True, 30.0) == dataclasses.replace(wanted, respond_async=True)


@pytest.mark.parametrize("said", ["", "x", "31", "-1", "1.5", "٣", "1e1", "0" * 9 + "1", "9" * 50])
def test_a_wait_is_whole_seconds_up_to_the_most(said: str) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        negotiation._preferred(f"respond-async, wait={said}", False, 30.0)
    issue = "wait must be whole seconds from 0 to 30"
    assert caught.value.details == {"field": "Prefer", "issue": issue, "received": said[:40]}


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ("k", "k"), ('"k"', "k"), ('"a b"', "a b"), ("a b", "a b"), ("!", "!"), ("a" * 255, "a" * 255), ("~", "~"),
        ("", None), ("a" * 256, None), (" a", None), ("a ", None), ('"a', None), ("ä", None), ('""', None),
        ("a\x7f", None), ('a"', 'a"'),
    ],
)  # fmt: skip
def test_a_key_is_printable_ascii_bare_or_in_quotes(given: str, key: str | None) -> None:
    caller = factories.caller(uuid.uuid4())
    if key is None:
        with pytest.raises(errors.InvalidInput) as caught:
            once.key(caller, "predict", given, {"a": 1})
        assert caught.value.details["field"] == "Idempotency-Key"
        return
    found = once.key(caller, "predict", given, {"a": 1})
    assert found is not None
    assert (found.tenant_id, found.route, found.key) == (caller.tenant_id, "predict", key)
    assert found == once.key(caller, "predict", given, {"a": 1})
    assert found != once.key(caller, "predict", given, {"a": 2})
    assert found != once.key(caller, "jobs", given, {"a": 1})


def test_without_one_nothing_is_kept_and_a_stranger_has_none() -> None:
    caller = factories.caller(uuid.uuid4())
    assert once.key(caller, "predict", None, {}) is None
    stranger = dataclasses.replace(caller, network="192.0.2.1")
    assert once.key(stranger, "predict", None, {}) is None
    with pytest.raises(errors.Unauthorized):
        once.key(stranger, "predict", "k", {})
