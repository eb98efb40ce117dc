"""What is JSON, and where what is none stops being it."""

from __future__ import annotations

import pytest

from core.strict_json import MAX_LEVELS, NestedTooDeep, NotJson, loads


def nested(levels: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    return opening * levels + closing * levels


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"a": NaN}', "is not valid JSON: NaN at column 7 is no JSON number; a field without a value is left out"),
        (b"[1,\n Infinity]", "is not valid JSON: Infinity at line 2, column 2 is no JSON number; "
                             "a field without a value is left out"),
        (b'{"a": "\xff"}', "is not UTF-8, as JSON must be: byte 0xFF at column 8"),
        (b'{\n"\xc3\xbc": "\xfe"}', "is not UTF-8, as JSON must be: byte 0xFE at line 2, column 7"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(text: bytes, said: str) -> None:
    with pytest.raises(NotJson) as refused:
        loads(text)
    assert (str(refused.value), type(refused.value)) == (said, NotJson)


@pytest.mark.parametrize(("text", "place"), [(b"{", 2), (b"[1 2]\n", 4), ("[\u00fc 2]".encode(), 2), (b"", 1)])
def test_in_one_line_the_column_says_all(text: bytes, place: int) -> None:
    with pytest.raises(NotJson, match=rf"^is not valid JSON: .* at column {place}$"):
        loads(text)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":[', b"]}")])
def test_lists_and_objects_are_in_each_other_up_to_a_limit(opening: bytes, closing: bytes) -> None:
    most = MAX_LEVELS // len(closing)
    assert loads(nested(most, opening, closing))
    for levels in (most + 1, 5000):
        with pytest.raises(NestedTooDeep, match=r"^is nested more than 64 levels deep$"):
            loads(nested(levels, opening, closing))


def test_many_that_stand_beside_each_other_are_not_deep() -> None:
    text = b"[" + b",".join([b'[{"a": [1]}]'] * 100) + b"]"
    assert len(loads(text)) == 100
