"""Models that a class of an installed package answers: what it may give, and what is said of all else."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from core import errors
from inference import bundle, check, kinds, model, opened
from inference.interrupt import Interrupt
from inference.manifest import Manifest
from inference.output import Embedding, Label, Numbers, Object, Said
from tests import graphs

Bring = Callable[..., Path]

LABELS: dict[str, Any] = {}
NUMBER = {"labels": None, "numbers": [{"name": "sum"}], "golden": [{"inputs": {"x": 2, "y": 1}, "prediction": 3}]}
NUMBERS = {
    "labels": None, "numbers": [{"name": "low"}, {"name": "high"}],
    "golden": [{"inputs": {"x": 2, "y": 1}, "prediction": {"low": 1, "high": 2}}],
}  # fmt: skip
VECTOR = {"labels": None, "embedding": 2, "golden": [{"inputs": {"x": 2, "y": 1}, "embedding": [2, 1]}]}
RECORD: dict[str, Any] = {
    "labels": None, "record": {"sum": {"type": "number"}, "words": {"type": ["array", "null"]}, "more": {}},
    "golden": [{"inputs": {"x": 2, "y": 1}, "record": {"sum": 3}}],
}  # fmt: skip


@pytest.fixture
def bring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bring:
    """The bundle of a class that is installed, by the body of its `predict`."""
    monkeypatch.syspath_prepend(tmp_path)

    def go(body: str, kind: str = "python", load: str = "pass", **says: Any) -> Path:
        name = f"c{uuid.uuid4().hex}"
        takes = "rows" if kind == "python" else "path, parameters, run"
        code = f"import numpy as np\nclass Kind:\n def load(self, folder): {load}\n def predict(self, {takes}):"
        graphs.plug_in(tmp_path, name, f"{code} {body}\n", "coatcheck.models")
        options = {"class": name, **says.pop("options", {})}
        folder = graphs.bundle(tmp_path / "bundles" / name, b"", kind=kind, inline=None, options=options, **says)
        (folder / "model.onnx").unlink()
        return folder

    return go


def rows(folder: Path) -> model.Model:
    found = model.open_model(bundle.load(folder))
    assert isinstance(found, model.Model)
    return found


def each(what: str) -> str:
    return f"return [{what} for row in rows]"


HALF = Label("a", 0.75, {"a": 0.75, "b": 0.25})


@pytest.mark.parametrize(
    ("says", "body", "said"),
    [
        (LABELS, each("{'b': 0.25, 'a': 0.75}"), HALF), (LABELS, each("[0.75, 0.25]"), HALF),
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
        (RECORD, each("dict(sum=np.float64(3), words=None, more={'deep': [np.array([1, 2]), 'x']})"),
         Object({"sum": 3.0, "words": None, "more": {"deep": [[1, 2], "x"]}})),
        (RECORD, each("dict(sum=3, words=(), more=True)"), Object({"sum": 3, "words": [], "more": True})),
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
    (NUMBERS, each("7"), "gave 'predict' as float64 [1, 1]"),
    (VECTOR, each("[1.0]"), "gave 'predict' as float64 [1, 1], but must give floats [1, 2]"),
    (RECORD, each("[1]"), "gave a list, but must give a mapping"),
    (RECORD, each("dict(sum=1)"), "gave a record with sum, but must give more, sum, words"),
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
    (LABELS, "raise ValueError('secret')", "failed: ValueError"),
    (LABELS, "raise SystemExit(3)", "failed: RuntimeError"),
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


def refused(folder: Path) -> str:
    with pytest.raises(errors.BundleInvalid) as caught:
        check.check(bundle.load(folder))
    return caught.value.message


GIVES = each("[0.731059, 0.268941] if row['x'] > row['y'] else [0.268941, 0.731059]")


def changed(folder: Path, **says: Any) -> Path:
    path = folder / "model.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **says}))
    return folder


def test_what_keeps_its_promise_is_taken_and_the_package_that_answers_is_named(bring: Bring) -> None:
    loaded = bundle.load(bring(GIVES))
    check.check(loaded)
    name = loaded.manifest.options["class"]
    assert kinds.find("python").code(loaded.manifest) == f"{name}:Kind of {name} 1.0"


@pytest.mark.parametrize(
    ("says", "issue"),
    [
        ({"inline": True}, "inline must be false: a class in Python cannot be ended when its time is over"),
        ({"options": {"class": "nobody"}},
         "class of options cannot be found: class 'nobody' is not installed; install the package"),
        ({"options": {}}, "class of options is missing"), ({"output": "x"}, "output is unknown"),
        ({"fields": [{**field, "input": "x"} for field in graphs.FIELDS]}, "python knows where its fields go"),
        ({"numbers": [{"name": "x"}]}, "numbers is what comes out, and so is labels: say one of them"),
        ({**RECORD, "record": {"sum": "number"}}, "sum of record must be a mapping: its JSON Schema, such as"),
        ({**RECORD, "record": {"sum": {"type": "float"}}}, "must be one of string, number, integer"),
        ({**RECORD, "golden": [{"inputs": {"x": 2, "y": 1}, "record": {"total": 3}}]},
         "total of record of golden example 1 is not in the record of model.yaml: more, sum, words"),
    ],
)  # fmt: skip
def test_a_mistake_in_model_yaml_is_a_sentence(bring: Bring, says: dict[str, Any], issue: str) -> None:
    folder = bring(GIVES, **{"labels": None} if "record" in says else {})
    assert issue in refused(changed(folder, **{key: value for key, value in says.items() if value is not None}))


def test_a_class_that_two_packages_bring_is_refused(bring: Bring, tmp_path: Path) -> None:
    folder = bring(GIVES)
    name = yaml.safe_load((folder / "model.yaml").read_text())["options"]["class"]
    about = tmp_path / f"second{name}-2.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: second{name}\nVersion: 2.0\n")
    (about / "entry_points.txt").write_text(f"[coatcheck.models]\n{name} = {name}:Other\n")
    assert f"class '{name}' is brought twice: as {name}:" in refused(folder)


@pytest.mark.parametrize(
    ("load", "issue"),
    [
        ("open(folder / 'weights.json')", "cannot be loaded: FileNotFoundError: [Errno 2] No such file"),
        ("raise SystemExit", "cannot be loaded: SystemExit: SystemExit"),
        ("__import__('not_there')", "cannot be loaded: ModuleNotFoundError: No module named 'not_there'"),
    ],
)
def test_a_class_that_cannot_be_loaded_is_a_sentence_with_its_line(bring: Bring, load: str, issue: str) -> None:
    said = refused(bring(GIVES, load=load))
    assert issue in said
    assert said.endswith(".py, line 3)")


@pytest.mark.parametrize(
    ("says", "body", "issue"),
    [
        ({}, "return [[len(rows) / 64, 1 - len(rows) / 64] for row in rows]", "must give a 0.731059, but gives b 0.98"),
        ({}, "n = 0.731 - 0.1 * (len(rows) > 1); return [[n, 1 - n] if row['x'] > row['y'] else [1 - n, n] for row in "
         "rows]", "gives a row other scores beside another row than alone, 0.1000 apart, in a batch of 2. Say max_"
         "batch: 1 in model.yaml, or mend predict: it has an answer for each row, which depends on no other row"),
        (RECORD, "return [dict(sum=row['x'] + row['y'], words=None, more=len(rows)) for row in rows]",
         "gives a row another answer beside another row than alone, in a batch of 2. Say max_batch: 1"),
        ({}, "return [[0.731059, 0.268941] if row['x'] > row['y'] else [0.268941, 0.731059] for row in rows[:1]]",
         "answers each of 2 rows alone, but not all at once: small gave 1 answers, but must"),
        (RECORD, each("dict(sum=row['x'], words=None, more=1)"), "golden example 1 must give sum 3, but gives 2.0"),
    ],
)  # fmt: skip
def test_a_class_that_does_not_keep_its_promise_is_refused(
    bring: Bring, says: dict[str, Any], body: str, issue: str
) -> None:
    assert issue in refused(bring(body, **says))


def test_where_its_package_is_not_installed_a_model_is_listed_and_not_opened(
    bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = bundle.load(bring(GIVES))
    monkeypatch.undo()
    listed = Manifest.from_dict(loaded.manifest.to_dict())
    assert (listed.takes_file, kinds.output_schema(listed)["required"]) == (False, ["prediction", "confidence"])
    with pytest.raises(errors.BundleInvalid, match=r"of the group coatcheck.models there are here: none$"):
        model.open_model(loaded)


FILE: dict[str, Any] = {
    "kind": "python-file", "labels": None, "fields": [{"name": "least", "type": "integer", "default": 0,
                                                       "required": False}],
    "record": {"lines": {"type": "integer"}}, "golden": [{"file": "golden.csv", "record": {"lines": 2}}],
    "options": {"takes": ["text/csv"]},
}  # fmt: skip


def file(folder: Path) -> opened.FileModel:
    (folder / "golden.csv").write_text("a\nb\n")
    check.check(bundle.load(folder))
    found = model.open_model(bundle.load(folder))
    assert isinstance(found, opened.FileModel)
    return found


LINES = """
  found = 0
  for place, line in enumerate(path.read_text().splitlines(True), 1):
   if len(line) > parameters["least"]:
    found += 1
    run.emit({"line": np.int64(place)})
   run.progress(place / 2)
  return {"lines": found}
"""


def test_a_class_answers_a_file_and_tells_pieces_and_progress_on_the_way(bring: Bring) -> None:
    found = file(bring(LINES, **FILE))
    told: list[Any] = []
    done: list[float] = []
    path = found.bundle.folder / "golden.csv"
    said = found.answer(path, {"least": 1}, progress=done.append, emit=told.append, interrupt=Interrupt())
    assert (said, told, done) == ({"lines": 2}, [{"line": 1}, {"line": 2}], [0.5, 1.0])
    assert found.bundle.manifest.file_types == ("text/csv",)


@pytest.mark.parametrize("call", ["run.emit({})", "run.progress(0.5)", "pass"])
@pytest.mark.parametrize("hides", [True, False])
def test_a_file_that_nobody_wants_any_more_is_left_at_the_next_call(bring: Bring, call: str, hides: bool) -> None:
    kept = f"\n  try: {call}\n  except Exception: pass\n  return {{'lines': 2}}"
    found = file(bring(kept if hides else f"{call}; return {{'lines': 2}}", **FILE))
    interrupt = Interrupt()
    interrupt.set()
    with pytest.raises(errors.ModelInterrupted):
        found.answer(Path("none"), {"least": 0}, progress=lambda _: None, interrupt=interrupt)
    assert found.answer(Path("none"), {"least": 0}, progress=lambda _: None, interrupt=Interrupt()) == {"lines": 2}


@pytest.mark.parametrize(
    ("body", "issue"),
    [
        ("run.emit(7)", "small told a int, but must tell mappings"),
        (
            "run.emit({'x': float('nan')})",
            "small told what is no piece of an answer: a piece.x is a number",
        ),
        (
            "run.emit({'x': 'y' * 65536})",
            "small told what is no piece of an answer: a piece has 65544 bytes as JSON; it may have 65536",
        ),
        ("return 7", "small gave a int, but must give a mapping"),
        ("return {'lines': '2'}", "small gave a str as lines, but must give integer"),
        ("return {'rows': 2}", "small gave a record with rows, but must give lines"),
        ("raise ValueError('secret')", "small failed: ValueError"),
    ],
)
def test_what_is_no_answer_to_a_file_is_the_models_error_in_a_sentence(bring: Bring, body: str, issue: str) -> None:
    folder = bring(body, **FILE)
    (folder / "golden.csv").write_text("a\nb\n")
    assert f"golden example 1 cannot be run: {issue}" in refused(folder)


def test_a_file_model_may_have_no_parameters_and_no_record_but_types_of_files(bring: Bring) -> None:
    bare = {**FILE, "fields": None, "record": None}
    folder = bring("return {'lines': 2}", **bare)
    assert file(folder).bundle.manifest.fields == ()
    assert "takes of options is missing" in refused(changed(folder, options={"class": folder.name}))
    issue = "takes 1 of options must be one of application/x-ndjson, text/csv"
    assert issue in refused(changed(folder, options={"class": folder.name, "takes": ["text/xml"]}))
