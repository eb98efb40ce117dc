"""Which models stay open, to the byte."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from core import metrics
from registry.kept import AnyModel, Kept


class Opened:
    """What is kept of a model: that it is there."""

    def __init__(self, name: str) -> None:
        self.bundle = SimpleNamespace(manifest=SimpleNamespace(name=name, version="1.0.0"))


def opened(kept: Kept, names: Iterable[str], weight: int = 10) -> list[AnyModel]:
    """Each opened in its turn, in use as long as the list is held."""
    held: list[AnyModel] = []
    for name in names:
        with kept.room(name, weight):
            held.append(cast(AnyModel, Opened(name)))
            kept.add(name, held[-1])
    return held


def there(kept: Kept, names: str) -> str:
    return "".join(name for name in names if kept.get(name) is not None)


@pytest.mark.parametrize(("budget", "stay"), [(29, "bc"), (30, "abc"), (39, "bcd"), (40, "abcd")])
def test_as_many_stay_open_as_the_budget_holds(budget: int, stay: str) -> None:
    kept = Kept(budget)
    opened(kept, "abc" if budget <= 30 else "abcd")
    assert there(kept, "abcd") == stay


@pytest.mark.parametrize("in_use", [False, True])
@pytest.mark.parametrize(("budget", "stay"), [(19, "b"), (20, "ab")])
def test_what_is_being_opened_counts_as_if_it_were_open(budget: int, stay: str, in_use: bool) -> None:
    kept = Kept(budget)
    held = opened(kept, "ab", 5)
    if not in_use:
        held.clear()
    with kept.room("c", 10):
        assert there(kept, "ab") == stay
    # Nothing came of it: its room is there again.
    opened(kept, "d", 5)
    assert there(kept, "abd") == f"{stay}d"


def test_that_goes_first_which_was_asked_for_longest_ago_also_of_those_that_were_in_use() -> None:
    kept = Kept(20)
    opened(kept, "ab")
    assert kept.get("a") is not None
    held = opened(kept, "c")
    assert there(kept, "abc") == "ac"
    held += opened(kept, "d")
    held.clear()
    opened(kept, "e")
    assert there(kept, "abcde") == "de"


def test_to_be_in_use_while_others_are_opened_is_not_to_be_asked_for() -> None:
    kept = Kept(20)
    held = opened(kept, "abc")
    held.clear()
    opened(kept, "d")
    assert there(kept, "abcd") == "cd"


@pytest.mark.parametrize("in_use", [False, True])
def test_each_that_is_closed_is_counted_once(in_use: bool) -> None:
    name = f"closed-{in_use}"
    kept, closed = Kept(10), metrics.MODELS_CLOSED.labels(name)
    held = opened(kept, [name])
    if not in_use:
        held.clear()
    assert closed._value.get() == 0
    opened(kept, "ab")
    assert closed._value.get() == 1


@pytest.mark.parametrize(("budget", "stay"), [(9, "c"), (10, "c"), (19, "c"), (20, "bc"), (30, "abc")])
def test_what_is_in_use_is_kept_as_far_as_there_is_room_and_that_asked_for_last_first(budget: int, stay: str) -> None:
    kept = Kept(budget)
    held = opened(kept, "abc")
    assert there(kept, "abc") == stay
    assert len(kept.all()) == 3
    # Whoever asks again has the same one, which is kept from now on.
    assert kept.get_back("a") is held[0]
    assert "a" in there(kept, "abc")


def test_what_is_no_longer_in_use_goes_when_its_use_ends_and_is_known_to_have_been_open() -> None:
    kept = Kept(10)
    held: list[Any] = opened(kept, "ab")
    assert kept.get_back("a") is held[0]
    held.clear()
    assert [kept.get_back(name) is not None for name in "ab"] == [True, False]
    assert [kept.was_open(name) for name in "abc"] == [True, True, False]
