"""From how far off on an answer misses its golden example, and what is said then: of every kind of answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inference import kinds, output
from inference.answers import ANSWERS
from inference.manifest import Golden


def missed(key: str, wanted: Mapping[str, Any], found: Any) -> str | None:
    return ANSWERS[key].missed(Golden({}, None, wanted), found)


def test_a_label_may_be_a_little_less_sure_and_no_other() -> None:
    wanted = {"prediction": "a", "confidence": 0.5}

    def of(label: str, confidence: float) -> str | None:
        return missed("labels", wanted, output.Label(label, confidence, {}))

    assert of("a", 0.5) is of("a", 0.519) is of("a", 0.481) is None
    assert of("a", 0.521) == "must give a 0.5, but gives a 0.521"
    assert of("a", 0.479) == "must give a 0.5, but gives a 0.479"
    assert of("b", 0.5) == "must give a 0.5, but gives b 0.5"


def test_labels_that_are_only_in_another_order_are_told_so() -> None:
    def hint(*pairs: tuple[str, float, str, float]) -> str:
        return ANSWERS["labels"].hint(
            (Golden({}, None, {"prediction": wanted, "confidence": sure}), output.Label(found, given, {}))
            for wanted, sure, found, given in pairs
        )

    surely = "; all are as sure as they should be, but it gives"
    fix = ": put labels in the order of the graph's outputs"
    assert hint(("a", 0.9, "b", 0.9), ("b", 0.8, "a", 0.819)) == f"{surely} a where b is right, b where a is right{fix}"
    assert hint(("a", 0.9, "b", 0.9), ("c", 0.8, "c", 0.8)) == f"{surely} b where a is right{fix}"
    assert hint(("a", 0.9, "b", 0.87), ("b", 0.8, "a", 0.8)) == "", "not as sure"
    assert hint(("a", 0.9, "b", 0.9), ("b", 0.8, "b", 0.8)) == "", "b is right for two"
    assert hint(("a", 0.9, "b", 0.9), ("a", 0.8, "a", 0.8)) == "", "a is right for two"


def test_behind_a_miss_of_other_answers_than_labels_nothing_more_is_said() -> None:
    assert {answer.hint([]) for key, answer in ANSWERS.items() if key != "labels"} == {""}


def test_tags_are_just_those_each_about_as_likely() -> None:
    def of(tags: list[str], **scores: float) -> str | None:
        return missed("tags", {"tags": {"warm": 0.5}}, output.Tags(tags, scores))

    assert of(["warm"], warm=0.519, loud=0.1) is of(["warm"], warm=0.481) is None
    assert of(["warm"], warm=0.521) == "must give warm 0.5, but gives it 0.521"
    assert of([], warm=0.479) == "must give warm 0.5, but gives it 0.479"
    assert of(["loud", "warm"], warm=0.5, loud=0.7) == "must not give loud, but gives it 0.7"


def test_numbers_may_differ_by_a_thousandth_of_their_size_and_small_ones_by_a_thousandth() -> None:
    def one(wanted: float, found: float) -> str | None:
        return missed("numbers", {"prediction": wanted}, output.Numbers({"price": found}))

    for wanted, off in ((0.0, 0.00099), (0.5, 0.00099), (1.0, 0.00099), (-2000.0, 1.99), (2000.0, 1.99)):
        assert one(wanted, wanted + off) is one(wanted, wanted - off) is None
        assert one(wanted, wanted + 1.02 * off) == f"must give price {wanted}, but gives {wanted + 1.02 * off}"
    both = {"prediction": {"low": 1, "high": 2}}
    assert missed("numbers", both, output.Numbers({"low": 1.0, "high": 2.001})) is None
    assert missed("numbers", both, output.Numbers({"low": 1.0, "high": 3.0})) == "must give high 2, but gives 3.0"


def test_a_box_may_be_apart_by_a_fiftieth_of_its_longer_side() -> None:
    def box(label: str = "a", confidence: float = 0.5, corners: tuple[float, ...] = (0, 0, 100, 50)) -> dict[str, Any]:
        return {"label": label, "confidence": confidence, "box": [*corners]}

    def of(*found: dict[str, Any], wanted: tuple[dict[str, Any], ...] = (box(),)) -> str | None:
        return missed("boxes", {"boxes": [*wanted]}, output.Boxes([*found]))

    assert of(box()) is of(box(confidence=0.519)) is of(box(corners=(2, -2, 98, 52))) is None
    upright = box(corners=(0, 0, 50, 100))
    assert of(box(corners=(2, 0, 50, 100)), wanted=(upright,)) is None
    shown = "must give a 0.5 in [0, 0, 100, 50], but gives"
    for other, told in (
        (box("b"), "b 0.5 in [0, 0, 100, 50]"), (box(confidence=0.53), "a 0.53 in [0, 0, 100, 50]"),
        (box(corners=(2.1, 0, 100, 50)), "a 0.5 in [2.1, 0, 100, 50]"),
        (box(corners=(0, 0, 100, 47.9)), "a 0.5 in [0, 0, 100, 47.9]"),
    ):  # fmt: skip
        assert of(other) == f"{shown} {told}"
    assert of() == f"{shown} no other box"
    assert of(box("b"), box("c"), box("d"), box("e")) == (
        f"{shown} b 0.5 in [0, 0, 100, 50], c 0.5 in [0, 0, 100, 50], d 0.5 in [0, 0, 100, 50]"
    )
    assert of(box("b"), box()) == "must not give b 0.5 in [0, 0, 100, 50], but gives it"
    assert of(box(), wanted=(box(), box())) == f"{shown} no other box", "each is found once"


def test_tensors_are_looked_at_as_far_as_they_are_said() -> None:
    def of(wanted: list[Any], *data: Any) -> str | None:
        return missed("tensors", {"tensors": {"y": wanted}}, output.Tensors({"y": {"data": [*data]}}))

    assert of([1, 2.0], 1.0099, 1.9901, 9.0) is of([1000], 1009.9) is of(["a", True], "a", True) is of([]) is None
    assert of([1], 1.011) == "must give 1 as value 1 of y, but gives 1.011"
    assert of([1, 1000], 1.0, 1011.0) == "must give 1000 as value 2 of y, but gives 1011.0"
    assert of([7], 8) == "must give 7 as value 1 of y, but gives 8"
    assert of([1, 2], 1.0) == "must give 2 values of y at least, but gives 1"


def test_a_record_is_looked_at_as_far_as_it_is_said() -> None:
    def of(wanted: Any, found: Any) -> str | None:
        return missed("record", {"record": {"a": wanted}}, output.Object({"a": found, "more": 1}))

    same = [
        (1, 1.00099), (1000, 1000.99), ("x", "x"), (None, None), (True, True), ([1, {"b": 2}], [1.0, {"b": 2.001}]),
        ({}, {}), ([], []),
    ]  # fmt: skip
    for wanted, found in same:
        assert of(wanted, found) is None, wanted
    other = [
        (1, 1.00102), (1, True), (True, 1), (False, 0), (0, False), ("1", 1), (None, 0), ([1], [1, 2]), ([1, 2], [1]),
        ([1], [2]), ({"b": 1}, {"b": 1, "c": 2}), ({"b": 1, "c": 2}, {"b": 1}), ({"b": 1}, {"b": 2}), ({}, []),
    ]  # fmt: skip
    for wanted, found in other:
        assert of(wanted, found) == f"must give a {wanted}, but gives {found}"
    assert missed("record", {"record": {"b": 1}}, output.Object({"a": 1, "c": 2})) == "must give b, but gives a, c"
    assert missed("record", {"record": {"b": 1}}, output.Object({})) == "must give b, but gives nothing"


def test_a_text_is_told_around_where_it_is_another() -> None:
    letters = "".join(chr(place) for place in range(0x100, 0x180))

    def of(wanted: str, found: str) -> str | None:
        return missed("text", {"text": wanted}, output.Text(found))

    assert of(letters, letters) is None
    other = f"{letters[:64]}!{letters[65:]}"
    shown, gives = letters[44:104], f"{letters[44:64]}!{letters[65:104]}"
    assert of(letters, other) == (f"must give the text {shown!r}, but gives {gives!r}, different from character 65 on")
    assert of("abc", "abd") == "must give the text 'abc', but gives 'abd', different from character 3 on"
    assert of("abc", "ab") == "must give the text 'abc', but gives 'ab', different from character 3 on"
    assert of("", "ab") == "must give the text '', but gives 'ab', different from character 1 on"


def test_a_vector_is_looked_at_as_far_as_it_is_said() -> None:
    def of(*found: float) -> str | None:
        return missed("embedding", {"embedding": [0.5, 100]}, output.Embedding([*found]))

    assert of(0.5099, 100.99, 7.0) is of(0.4901, 99.01) is of(0.5) is None
    assert of(0.5101, 100.0) == "must give 0.5 as number 1 of its embedding, but gives 0.5101"
    assert of(0.5, 101.1) == "must give 100 as number 2 of its embedding, but gives 101.1"


def of_file(kind: str, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> str | None:
    return kinds.find(kind).missed(Golden({}, "f", wanted), found)


def test_segments_may_begin_and_end_a_tenth_of_a_second_earlier_or_later() -> None:
    def of(*edges: tuple[float, float]) -> str | None:
        found = {"segments": [{"start": start, "end": end} for start, end in edges]}
        return of_file("audio", {"segments": [{"start": 1, "end": 2}]}, found)

    assert of((1, 2)) is of((1.09, 1.91)) is of((0.91, 2.09)) is None
    for edges in ([], [(1, 2), (3, 4)], [(1.11, 2)], [(0.89, 2)], [(1, 2.11)], [(1, 1.89)]):
        segments = [{"start": start, "end": end} for start, end in edges]
        assert of(*edges) == f"must give [{{'start': 1, 'end': 2}}], but gives {segments}"


def test_lines_are_those_of_all_pages_in_order() -> None:
    pages = [{"lines": [{"text": "a"}, {"text": "b"}]}, {"lines": []}, {"lines": [{"text": "c"}]}]
    assert of_file("document", {"lines": ["a", "b", "c"]}, {"pages": pages}) is None
    assert of_file("document", {"lines": ["a"]}, {"pages": pages}) == "must give ['a'], but gives ['a', 'b', 'c']"


def test_files_beside_a_record_are_looked_at_where_they_are_said() -> None:
    found = {"rows": 1, "files": ["a.png"]}
    assert of_file("python-file", {"record": {"rows": 1}}, found) is None
    assert of_file("python-file", {"record": {"rows": 1}, "files": ["a.png"]}, found) is None
    told = "must give the files ['b.png'], but gives ['a.png']"
    assert of_file("python-file", {"record": {"rows": 1}, "files": ["b.png"]}, found) == told
    assert of_file("python-file", {"record": {}, "files": ["b"]}, {}) == "must give the files ['b'], but gives []"
    assert of_file("python-file", {"record": {"rows": 2}}, found) == "must give rows 2, but gives 1"
