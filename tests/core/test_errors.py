"""The tree of everything that can go wrong, as it is drawn and as it is."""

from __future__ import annotations

import re

import pytest

from api.errors import STATUS
from core import errors
from core.errors import CoatcheckError, InvalidInput

_LINE = re.compile(r"(?P<lead>[│ ]*)[├└]── (?P<name>\w+)(?P<said>.*)")


def drawn() -> dict[str, tuple[str, bool]]:
    """Of each kind in the picture: what it is derived from, and whether it is said to be retryable."""
    found, above = {}, [CoatcheckError.__name__]
    for match in filter(None, map(_LINE.fullmatch, errors.__doc__.splitlines())):
        depth = len(match["lead"]) // 4 + 1
        assert match["name"] not in found
        found[match["name"]] = above[depth - 1], match["said"].endswith("(retryable)")
        above[depth:] = [match["name"]]
    return found


def test_the_tree_is_drawn_as_it_is() -> None:
    kinds = list(errors.tree())[1:]
    assert drawn() == {kind.__name__: (kind.__base__.__name__, kind.retryable) for kind in kinds}


def test_a_code_is_given_to_one_kind_and_shared_only_with_what_is_derived_from_it() -> None:
    first: dict[str, type[CoatcheckError]] = {}
    for kind in errors.tree():
        assert issubclass(kind, first.setdefault(kind.code, kind)), kind


def test_a_kind_has_the_status_of_itself_or_of_the_next_that_it_is_derived_from() -> None:
    """Only what a client is told of no request has that of what nobody foresaw."""
    bare = {kind.__name__ for kind in errors.tree() if not set(kind.mro()) & set(STATUS) - {CoatcheckError}}
    assert bare == {
        "CoatcheckError", "AddressRefused", "BundleInvalid", "OutputRefused", "OutputUnavailable", "SettingsInvalid",
    }  # fmt: skip


@pytest.mark.parametrize("more", [-1, 0, 1])
@pytest.mark.parametrize(("fact", "most"), [("field", 200), ("issue", 500), ("value", 500)])
def test_of_what_a_client_wrote_so_much_is_told_and_no_more(fact: str, most: int, more: int) -> None:
    wrote = "x" * (most + more)
    told = InvalidInput(errors=[{"field": "text", "issue": "is odd", fact: wrote}]).errors[0][fact]
    assert told == (wrote if more <= 0 else f"{wrote[:most]}…")


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_of_what_went_wrong_so_much_is_said_and_no_more(more: int) -> None:
    wrote = "x" * (2000 + more)
    assert InvalidInput(wrote).message == (wrote if more <= 0 else f"{wrote[:2000]}…")


def test_what_is_no_character_is_told_as_a_question_mark() -> None:
    refused = errors.InputRefused("no \udcff here", details={"field": "\ud800", "line": 7})
    assert errors.body(refused) == {
        "code": "INPUT_REFUSED", "message": "no ? here", "details": {"field": "?", "line": 7},
    }  # fmt: skip


@pytest.mark.parametrize("faults", [1, 2, 19, 20, 21])
@pytest.mark.parametrize("most", [1, 20])
def test_so_many_faults_of_an_input_are_told_apart_and_of_the_others_how_many_there_are(faults: int, most: int) -> None:
    listed = [{"field": f"field {number}", "issue": "is odd"} for number in range(faults)]
    invalid = InvalidInput(errors=listed)
    assert (len(invalid.errors), invalid.more) == (min(faults, 20), max(0, faults - 20))
    found = errors.body(invalid, most=most)
    assert found["details"] == listed[0]
    assert found.get("errors", listed[:1]) == listed[:most]
    assert found.get("more", 0) == max(0, faults - most)
    assert ("errors" in found, "more" in found) == (min(faults, most) > 1, faults > most)
