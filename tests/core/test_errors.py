"""The tree of everything that can go wrong, as it is drawn and as it is."""

from __future__ import annotations

import re

from api.errors import STATUS
from core import errors
from core.errors import CoatcheckError

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
