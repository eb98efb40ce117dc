"""Bundles of models in Python, for rows and for files: what keeps its promise is taken, and all else is a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from core import errors
from inference import bundle, check, kinds, model, opened
from inference.interrupt import Interrupt
from inference.manifest import Manifest
from tests import graphs
from tests.inference.test_python import RECORD, Bring, each


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
        ({"boxes": {"labels": ["a"], "boxes": "b", "scores": "s", "selected": "i"},
          "golden": [{"inputs": {"x": 2, "y": 1}, "boxes": []}]}, "selected of boxes is for graphs: give scores"),
        ({**RECORD, "record": {"sum": {"type": {"b": 1}}}}, "must be one of string, number, integer"),
        ({**RECORD, "record": {"sum": {"type": [[]]}}}, "must be one of string, number, integer"),
        ({**RECORD, "record": {"sum": "number"}}, "sum of record must be a mapping: its JSON Schema, such as"),
        ({**RECORD, "record": {"sum": {"type": "float"}}}, "must be one of string, number, integer"),
        ({**RECORD, "golden": [{"inputs": {"x": 2, "y": 1}, "record": {"total": 3}}]},
         "total of record of golden example 1 is not in the record of model.yaml: more, sum, words"),
    ],
)  # fmt: skip
def test_a_mistake_in_model_yaml_is_a_sentence(bring: Bring, says: dict[str, Any], issue: str) -> None:
    folder = bring(GIVES, **{"labels": None} if {"record", "boxes"} & {*says} else {})
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
    assert (listed.takes_file, listed.output_schema["required"]) == (False, ["prediction", "confidence"])
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


@pytest.mark.parametrize(("says", "told"), [("2", 1.0), ("-1", 0.0), ("float('nan')", 0.0), ("float('inf')", 1.0)])
def test_what_a_class_takes_for_progress_is_told_as_such(bring: Bring, says: str, told: float) -> None:
    found, done = file(bring(f"run.progress({says}); return {{'lines': 2}}", **FILE)), list[float]()
    found.answer(Path("none"), {"least": 0}, progress=done.append, interrupt=Interrupt())
    assert done == [told]


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


@pytest.mark.parametrize("call", ["emit({'n': n})", "progress(n)", "file(f'{n}', b'', 'text/plain')"])
def test_a_class_that_works_on_is_left_at_its_next_call_after_its_answer_was_wanted(bring: Bring, call: str) -> None:
    found = file(bring(f"\n  for n in range(3): run.{call}\n  return {{'lines': 2}}", **FILE))
    interrupt, heard = Interrupt(), list[Any]()

    def hear(told: Any) -> None:
        heard.append(told)
        interrupt.set()

    with pytest.raises(errors.ModelInterrupted):
        found.answer(Path("none"), {"least": 0}, progress=hear, emit=hear, interrupt=interrupt)
    assert len(heard) == 1


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
        (
            "return {'lines': 'x' * (16 << 20)}",
            "small gave what is no answer: its answer has 16777228 bytes as JSON; it may have 16777216",
        ),
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
