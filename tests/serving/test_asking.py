"""What is asked beside the inputs: which version, on whose behalf, and what a file is to the model."""

from __future__ import annotations

import time
import uuid
from types import SimpleNamespace
from typing import Any, cast

import pytest

from core import errors
from inference.manifest import Manifest
from serving import asking, files
from serving.values import Ask, Order
from tests import factories


@pytest.mark.parametrize(
    ("header", "said", "version"),
    [
        (None, None, None), ("1.0.0", None, "1.0.0"), (None, "2", "2"), ("2", "2", "2"), ("v2", "2", "v2"),
        ("2", "v2", "2"), ("champion", None, "champion"),
    ],
)  # fmt: skip
def test_a_version_is_pinned_by_a_header_or_by_the_body(
    header: str | None, said: str | None, version: str | None
) -> None:
    assert asking.version(header, said) == version


@pytest.mark.parametrize(
    ("header", "said", "field"),
    [("", None, "X-Model-Version"), ("", "1", "X-Model-Version"), ("1.0.0", "2.0.0", "model_version")],
)
def test_both_must_say_the_same(header: str, said: str | None, field: str) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        asking.version(header, said)
    assert caught.value.details["field"] == field


@pytest.mark.parametrize(
    ("given", "good"),
    [
        (None, True), ("u", True), ("a b~", True), ("u" * 128, True), ("", False), ("u" * 129, False), ("ä", False),
        ("a\t", False),
    ],
)  # fmt: skip
def test_a_route_key_is_printable_ascii(given: str | None, good: bool) -> None:
    if good:
        assert asking.route_key(given) == given
        return
    with pytest.raises(errors.InvalidInput) as caught:
        asking.route_key(given)
    assert caught.value.details["field"] == "X-Route-Key"


def test_who_asks_is_decided_for_by_its_route_key_or_its_tenant_until_its_deadline() -> None:
    caller = factories.caller(uuid.uuid4())
    plain = Ask(caller, "r")
    assert (plain.unit.request, plain.unit.caller) == ("r", caller.party)
    assert Ask(caller, "r", route_key="u").unit.caller == "u"
    assert not plain.is_over
    assert Ask(caller, "r", ends_at=time.monotonic()).is_over
    assert not Ask(caller, "r", ends_at=time.monotonic() + 60).is_over
    assert [order.has_file for order in (Order(), Order(upload_id="u"), Order(input_url="u"))] == [False, True, True]


PNG, CSV = "image/png", "text/csv"


@pytest.mark.parametrize(
    ("takes_file", "takes_rows", "type_", "form", "whole"),
    [
        (True, False, None, None, True), (True, False, CSV, "csv", True), (False, True, PNG, None, False),
        (False, True, CSV, "csv", False), (True, True, PNG, None, True), (True, True, PNG, "csv", True),
        (True, True, CSV, None, False), (True, True, None, None, True), (True, True, None, "csv", False),
        (True, True, "audio/wav", None, True), (True, True, "audio/wav", "jsonl", False),
    ],
)  # fmt: skip
def test_a_file_is_the_input_itself_or_holds_rows(
    takes_file: bool,
    takes_rows: bool,
    type_: str | None,
    form: str | None,
    whole: bool,
) -> None:
    manifest: Any = SimpleNamespace(takes_file=takes_file, takes_rows=takes_rows, file_types=(PNG,))
    assert files._is_whole(cast("Manifest", manifest), type_, form) is whole
