"""Models that a class of an installed package answers: what it may give, and what is said of all else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from core import errors
from inference import bundle, check, model
from inference.interrupt import Interrupt
from inference.output import Boxes, Embedding, Label, Numbers, Object, Said, Tags, Tensors, Text

Bring = Callable[..., Path]

LABELS: dict[str, Any] = {}
TEXT = {"labels": None, "text": True, "golden": [{"inputs": {"x": 2, "y": 1}, "text": "3"}]}
NUMBER = {"labels": None, "numbers": [{"name": "sum"}], "golden": [{"inputs": {"x": 2, "y": 1}, "prediction": 3}]}
NUMBERS = {
    "labels": None, "numbers": [{"name": "low"}, {"name": "high"}],
    "golden": [{"inputs": {"x": 2, "y": 1}, "prediction": {"low": 1, "high": 2}}],
}  # fmt: skip
TAGS = {"labels": None, "tags": ["warm", "loud"], "golden": [{"inputs": {"x": 2, "y": 1}, "tags": {"loud": 0.75}}]}
VECTOR = {"labels": None, "embedding": 2, "golden": [{"inputs": {"x": 2, "y": 1}, "embedding": [2, 1]}]}
RECORD: dict[str, Any] = {
    "labels": None, "record": {"sum": {"type": "number"}, "words": {"type": ["array", "null"]}, "more": {}},
    "golden": [{"inputs": {"x": 2, "y": 1}, "record": {"sum": 3}}],
}  # fmt: skip
COUNT: dict[str, Any] = {
    "labels": None, "record": {"count": {"type": "integer"}},
    "golden": [{"inputs": {"x": 2, "y": 1}, "record": {"count": 3}}],
}  # fmt: skip
#: TorchVision's names.
BOXES: dict[str, Any] = {
    "labels": None, "boxes": {"labels": ["a", "b"], "boxes": "boxes", "scores": "scores", "classes": "labels"},
    "golden": [{"inputs": {"x": 2, "y": 1}, "boxes": []}],
}  # fmt: skip
COLUMNS = {**BOXES, "boxes": {"labels": ["a", "b"]}}


def tensor(dtype: str) -> dict[str, Any]:
    """What model.yaml says where one tensor of one axis comes out."""
    golden = [{"inputs": {"x": 2, "y": 1}, "tensors": {"t": []}}]
    return {"labels": None, "tensors": [{"name": "t", "dtype": dtype, "shape": [None]}], "golden": golden}


def one_tensor(dtype: str, data: list[Any]) -> Tensors:
    """What is then told of it."""
    return Tensors({"t": {"dtype": dtype, "shape": [len(data)], "data": data}})


def rows(folder: Path) -> model.Model:
    found = model.open_model(bundle.load(folder))
    assert isinstance(found, model.Model)
    return found


def each(what: str) -> str:
    return f"return [{what} for row in rows]"


HALF = Label("a", 0.75, {"a": 0.75, "b": 0.25})
ONE_BOX = Boxes([{"label": "b", "confidence": 0.75, "box": [0.0, 1.0, 2.0, 3.0]}])
LOUD = Tags(["loud"], {"warm": 0.25, "loud": 0.75})


@pytest.mark.parametrize(
    ("says", "body", "said"),
    [
        (LABELS, each("{'b': 0.25, 'a': 0.75}"), HALF), (LABELS, each("[0.75, 0.25]"), HALF),
        (TAGS, each("{'loud': 0.75, 'warm': 0.25}"), LOUD), (TAGS, each("[0.25, 0.75]"), LOUD),
        (LABELS, each("(np.float32(0.75), np.float64(0.25))"), HALF),
        (LABELS, "return np.array([[0.75, 0.25]] * len(rows), np.float32)", HALF),
        (LABELS, "return ([0.75, 0.25] for row in rows)", HALF),
        (LABELS, each("[True, False] and [1, 0]"), Label("a", 1.0, {"a": 1.0, "b": 0.0})),
        (NUMBER, each("row['x'] + row['y']"), Numbers({"sum": 3.0})), (NUMBER, each("[7]"), Numbers({"sum": 7.0})),
        (NUMBER, each("{'sum': np.int32(7)}"), Numbers({"sum": 7.0})),
        (NUMBER, "return np.array([row['x'] / 3 for row in rows])", Numbers({"sum": 2 / 3})),
        (NUMBERS, each("{'high': 2, 'low': 0.1}"), Numbers({"low": 0.1, "high": 2.0})),
        (NUMBERS, each("np.array([0.1, 2], np.float32)"), Numbers({"low": 0.1, "high": 2.0})),
        (VECTOR, each("[row['x'], row['y']]"), Embedding([2.0, 1.0])),
        (BOXES, each("dict(boxes=np.array([[0, 1, 2, 3]], np.float32), scores=np.array([0.75]), labels=np.array([1]))"),
         ONE_BOX),
        (BOXES, each("dict(boxes=[[0, 1, 2, 3]], scores=[0.75], labels=[1])"), ONE_BOX),
        (BOXES, each("dict(boxes=[], scores=[], labels=[])"), Boxes([])),
        (COLUMNS, each("[[0, 1, 2, 3, 0.75, 1], [0, 1, 2, 3, 0.25, 0]]"), ONE_BOX), (COLUMNS, each("[]"), Boxes([])),
        (RECORD, each("dict(sum=np.float64(3), words=None, more={'deep': [np.array([1, 2]), 'x']})"),
         Object({"sum": 3.0, "words": None, "more": {"deep": [[1, 2], "x"]}})),
        (tensor("int8"), each("dict(t=[1, -2])"), one_tensor("int8", [1, -2])),
        (tensor("float32"), each("dict(t=np.array([7]))"), one_tensor("float32", [7.0])),
        (tensor("string"), each("dict(t=['a', ''])"), one_tensor("string", ["a", ""])),
        (tensor("string"), each("dict(t=np.array(['a\\0', 'b'], object))"), one_tensor("string", ["a\0", "b"])),
        (tensor("string"), each("dict(t=['a\\0', 'b'])"), one_tensor("string", ["a\0", "b"])),
        (RECORD, each("dict(sum=3, words=(), more=True)"), Object({"sum": 3, "words": [], "more": True})),
        (COUNT, each("dict(count=2.0)"), Object({"count": 2.0})), (TEXT, each("'a\\0'"), Text("a\0")),
    ],
)  # fmt: skip
def test_a_class_may_give_its_answers_as_python_and_numpy_have_them(
    bring: Bring, says: dict[str, Any], body: str, said: Said
) -> None:
    found = rows(bring(body, **says)).predict([{"x": 2.0, "y": 1.0}] * 2)
    assert found == [said, said]


WRONG: list[tuple[dict[str, Any], str, str]] = [
    (LABELS, "return None", "gave a NoneType, but must give a list with an answer for each row"),
    (LABELS, "return 'ab'", "gave a str, but must give a list with an answer for each row"),
    (LABELS, "return {'a': 0.5}", "gave a dict, but must give a list with an answer for each row"),
    (LABELS, "return []", "gave 0 answers, but must give one for each of 1 rows"),
    (LABELS, "return [[0.5, 0.5]] * 3", "gave 3 answers, but must give one for each of 1 rows"),
    (LABELS, each("{'a': 0.5, 'c': 0.5}"), "gave scores for a, c, but its labels are a, b"),
    (TAGS, each("{'warm': 0.5}"), "gave scores for warm, but its tags are warm, loud"),
    (LABELS, each("{}"), "gave scores for nothing, but its labels are a, b"),
    (LABELS, each("'a'"), "gave 'predict' as text [1], but must give floats [1, 2]"),
    (LABELS, each("['0.5', '0.5']"), "gave 'predict' as text [1, 2], but must give floats [1, 2]"),
    (LABELS, each("[True, False]"), "gave 'predict' as bool [1, 2], but must give floats [1, 2]"),
    (LABELS, each("[0.5, None]"), "gave 'predict' as text [1, 2], but must give floats [1, 2]"),
    (LABELS, each("[0.5, [0.5]]"), "gave answers that are not of one length"),
    (LABELS, each("[0.5, 0.25, 0.25]"), "gave 'predict' as float64 [1, 3], but must give floats [1, 2]"),
    (LABELS, each("[0.5, 1.5]"), "gave 'predict' with 1.5, which is no probability"),
    (LABELS, each("[0.5, float('nan')]"), "gave 'predict' with a number that is not finite"),
    (NUMBER, each("float('inf')"), "gave 'predict' with a number that is not finite"),
    (NUMBER, each("None"), "gave 'predict' as text [1, 1], but must give floats [1, 1]"),
    (NUMBER, each("{'total': 1}"), "gave total, but its numbers are sum"),
    (NUMBER, each("{}"), "gave nothing, but its numbers are sum"),
    (NUMBERS, each("7"), "gave 'predict' as float64 [1, 1]"),
    (VECTOR, each("[1.0]"), "gave 'predict' as float64 [1, 1], but must give floats [1, 2]"),
    (RECORD, each("[1]"), "gave a list, but must give a mapping"),
    (RECORD, each("dict(sum=1)"), "gave a record with sum, but must give more, sum, words"),
    (RECORD, each("{}"), "gave a record with nothing, but must give more, sum, words"),
    (COUNT, each("dict(count=2.5)"), "gave a float as count, but must give integer"),
    (RECORD, each("dict(sum=1, words=2.0, more=1)"), "gave a float as words, but must give array or null"),
    (RECORD, each("dict(sum='1', words=None, more=1)"), "gave a str as sum, but must give number"),
    (RECORD, each("dict(sum=True, words=None, more=1)"), "gave a bool as sum, but must give number"),
    (RECORD, each("dict(sum=None, words=None, more=1)"), "gave null as sum, but must give number"),
    (RECORD, each("dict(sum=1, words='x', more=1)"), "gave a str as words, but must give array or null"),
    (RECORD, each("dict(sum=1, words=[], more=float('nan'))"), "its answer.more is a number that is not finite"),
    (RECORD, each("dict(sum=1, words=[], more=np.array([1, np.inf]))"), "its answer.more[1] is a number that is not f"),
    (RECORD, each("dict(sum=1, words=[{1, 2}], more=1)"), "its answer.words[0] is a set, for which JSON has no form"),
    (RECORD, each("dict(sum=1, words=[], more=2**64)"), "its answer.more is a whole number of more than 64 bits"),
    (RECORD, each("dict(sum=1, words=[], more={1: 2})"), "its answer.more has a key that is no text, but a int"),
    (RECORD, each("dict(sum=1, words=[], more='\\ud800')"), "its answer.more has a lone surrogate"),
    (RECORD, each("dict(sum=1, words=[], more=b'x')"), "its answer.more is a bytes, for which JSON has no form"),
    (RECORD, each("dict(sum=1, words=[], more='x' * (1 << 20))"), "bytes as JSON; it may have 1048576"),
    (RECORD, "a = []; a.append(a); return [dict(sum=1, words=a, more=1)]", "is nested deeper than 64"),
    (TEXT, each("'\\ud800'"), "gave a lone surrogate, which is no character, but must give texts"),
    (TEXT, each("b'x'"), "gave a bytes, but must give texts"),
    (tensor("int8"), each("dict(t=[300, -300])"), "gave t with what is not a whole number from -128 to 127"),
    (tensor("int8"), each("dict(t=[0.5])"), "gave t as float64 [1, 1], but must give int8"),
    (tensor("bool"), each("dict(t=[1])"), "gave t as int64 [1, 1], but must give bool"),
    (tensor("float32"), each("dict(t=[True])"), "gave t as bool [1, 1], but must give float32"),
    (tensor("string"), each("dict(t=['a', None])"), "gave t with what is not a text"),
    (tensor("string"), each("dict(t=['a', 1])"), "gave t with what is not a text"),
    (tensor("string"), each("dict(t=[True, 'a'])"), "gave t with what is not a text"),
    (tensor("string"), each("dict(t=['\\ud800'])"), "gave t with what is not a text"),
    (tensor("int8"), each("[1]"), "must give t in a mapping for each row, of one shape for all"),
    (tensor("string"), each("dict(t=[['a'], ['b', 'c']])"), "must give t in a mapping for each row, of one shape"),
    (BOXES, each("[[0, 1, 2, 3, 0.75, 1]]"), "must give a mapping with boxes, scores, labels for each row"),
    (BOXES, each("dict(boxes=[[0, 1, 2, 3]], scores=[0.75])"), "must give a mapping with boxes, scores, labels for"),
    (BOXES, each("dict(boxes=[[0, 1, 2, 3]], scores=[], labels=[])"), "gave 'scores' as float64 [0], but must give fl"),
    (BOXES, each("dict(boxes=[[0, 1, 2, 3]], scores=[0.75], labels=['b'])"), "gave 'labels' as text [1] for a row,"),
    (COLUMNS, each("[[0, 1, 2, 3]]"), "as float64 [1, 4] for a row, but must give floats [boxes, 6]"),
    (COLUMNS, each("[[0, 1], [2]]"), "must give numbers [boxes, 6] for each row"),
    (COLUMNS, each("'boxes'"), "as text [] for a row, but must give floats [boxes, 6]"),
    (COLUMNS, each("None"), "as text [] for a row, but must give floats [boxes, 6]"),
    (LABELS, "raise ValueError('secret')", "failed: ValueError"),
    (LABELS, "raise SystemExit(3)", "failed: SystemExit"),
    (LABELS, "raise KeyboardInterrupt", "failed: KeyboardInterrupt"),
    (LABELS, "raise type('Own', (BaseException,), {})", "failed: Own"),
    (LABELS, "raise MemoryError", "has not enough memory for this input"),
    (LABELS, "raise RecursionError", "failed: RecursionError"),
    (LABELS, "raise StopIteration", "failed: StopIteration"),
]  # fmt: skip


@pytest.mark.parametrize(("says", "body", "issue"), WRONG)
def test_what_is_no_answer_is_the_models_error_in_a_sentence(
    bring: Bring, says: dict[str, Any], body: str, issue: str
) -> None:
    found = rows(bring(body, **says))
    with pytest.raises(errors.ModelError) as caught:
        found.predict([{"x": 2.0, "y": 1.0}])
    assert caught.value.message.startswith("small ")
    assert issue in caught.value.message
    assert "secret" not in caught.value.message
    assert len(caught.value.message) < 300


def test_what_a_class_refuses_is_told_in_its_own_words(bring: Bring) -> None:
    found = rows(bring("from inference.author import InputRefused; raise InputRefused('x is before y')"))
    with pytest.raises(errors.InputRefused, match=r"^x is before y$") as caught:
        found.predict([{"x": 2.0, "y": 1.0}])
    assert (caught.value.code, caught.value.retryable) == ("INPUT_REFUSED", False)


def test_operators_are_told_the_line_that_failed(bring: Bring) -> None:
    folder = bring("return rows[7]")
    with pytest.raises(errors.BundleInvalid) as caught:
        check.check(bundle.load(folder))
    assert "golden example 1 cannot be run: small failed: IndexError. Python says: list index out" in str(caught.value)
    assert str(caught.value).endswith(".py, line 4)")


def test_what_a_class_does_to_its_rows_is_nobody_elses_matter(bring: Bring) -> None:
    found = rows(bring("return [[row.pop('x'), 1 - row.pop('y')] for row in rows]"))
    asked = [{"x": 0.5, "y": 0.5}]
    assert found.predict(asked) == found.predict(asked)


def test_one_thread_at_a_time_calls_it(bring: Bring) -> None:
    busy = "self.busy = getattr(self, 'busy', 0) + 1; import time; time.sleep(0.02); n = self.busy; self.busy -= 1; "
    found = rows(bring(f"{busy}return [n for row in rows]", **NUMBER))
    with ThreadPoolExecutor(4) as pool:
        said = [*pool.map(lambda _: found.predict([{"x": 2.0, "y": 1.0}]), range(8))]
    assert said == [[Numbers({"sum": 1.0})]] * 8


def test_a_run_that_nobody_wants_is_not_begun_and_its_answer_is_not_given(bring: Bring) -> None:
    found = rows(bring("self.calls = getattr(self, 'calls', 0) + 1; import time; time.sleep(row_s(rows)); return [self."
                       "calls for row in rows]\ndef row_s(rows): return rows[0]['x']", **NUMBER))  # fmt: skip
    interrupt = Interrupt()
    threading.Timer(0.05, interrupt.set).start()
    with pytest.raises(errors.ModelInterrupted):
        found.predict([{"x": 0.3, "y": 1.0}], interrupt)
    with pytest.raises(errors.ModelInterrupted):
        found.predict([{"x": 0.0, "y": 1.0}], interrupt)
    assert found.predict([{"x": 0.0, "y": 1.0}]) == [Numbers({"sum": 2.0})]


def test_one_that_waits_for_its_turn_is_not_begun_when_nobody_wants_it_any_more(bring: Bring) -> None:
    found = rows(bring("import time; time.sleep(0.3); return [0 for row in rows]", **NUMBER))
    interrupt = Interrupt()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(found.predict, [{"x": 0.0, "y": 1.0}])
        time.sleep(0.05)
        second = pool.submit(found.predict, [{"x": 0.0, "y": 1.0}], interrupt)
        interrupt.set()
        assert isinstance(second.exception(), errors.ModelInterrupted)
        assert first.result() == [Numbers({"sum": 0.0})]
