"""`coatcheck models init`: what somebody has after it who brings no more than a graph, or a trained model."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import yaml
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests import graphs
from tests.cli.conftest import Run
from tests.conftest import ROOT

SUM = "one = ReduceSum <keepdims = 1> (features, across)"
PLAIN = [{"name": "f0", "type": "number"}, {"name": "f1", "type": "number"}]
#: What a graph takes and gives, and what of it is then in model.yaml.
GRAPHS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "scores that are probabilities": (
        graphs.graph(graphs.GOOD),
        {"kind": "tabular", "labels": ["label_0", "label_1"], "fields": PLAIN, "inline": True, "max_batch": 32},
    ),
    "one number": (
        graphs.graph(SUM, gives="float[N, 1] one"),
        {"numbers": [{"name": "one"}], "golden": [{"inputs": {"f0": 1, "f1": 1}, "prediction": 2.0}]},
    ),
    "several numbers": (
        graphs.graph("both = Add (features, features)", gives="float[N, 2] both"),
        {"numbers": [{"name": "both_0"}, {"name": "both_1"}]},
    ),
    "a number that is called a probability": (
        graphs.graph(f"{SUM} prob = Sigmoid (one)", gives="float[N, 1] prob"),
        {"labels": ["label_0", "label_1"]},
    ),
    "a number from 0 to 1 that is not called a probability": (
        graphs.graph(f"{SUM} share = Sigmoid (one)", gives="float[N, 1] share"), {"numbers": [{"name": "share"}]}),
    "a vector": (
        graphs.graph("vector = Identity (features)", "float[N, 20] features", "float[N, 20] vector"),
        {"embedding": 20},
    ),
    "several outputs": (
        graphs.graph(f"{graphs.GOOD} {SUM}", gives="float[N, 1] one, float[N, 2] probabilities"),
        {"labels": ["label_0", "label_1"], "output": "probabilities"},
    ),
    "an input for each column": (
        graphs.graph(
            "whole = Cast <to = 1> (age) both = Concat <axis = 1> (whole, rest) probabilities = Softmax (both)",
            "int32[N, 1] age, float[N, 2] rest",
            "float[N, 3] probabilities",
        ),
        {
            "fields": [
                {"name": "age", "type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
                {"name": "rest_0", "type": "number", "input": "rest"},
                {"name": "rest_1", "type": "number", "input": "rest"},
            ]
        },
    ),
    "a text": (
        graphs.graph("one = Shape (said) two = Cast <to = 1> (one) both = Expand (two, one)", "string[N, 1] said",
                     "float[N, 2] both"),
        {"kind": "text", "fields": [{"name": "text", "type": "string", "min_length": 1, "max_length": 1000}]},
    ),
    "a row at a time": (
        graphs.graph(graphs.GOOD, "float[1, 2] features", "float[1, 2] probabilities"), {"max_batch": 1}),
    "rows that are mixed": (
        graphs.graph("probabilities = Softmax <axis = 0> (features)"), {"max_batch": 1, "inline": False}),
    "a division that may end the API": (graphs.divides("whole", "other"), {"inline": False, "max_batch": 32}),
    "no answer to ones": (
        graphs.graph("less = Sub (features, one) odd = Div (zero, less) probabilities = Add (odd, features)"
                     .replace("one)", "ones)").replace("less =", "ones = Constant <value = float {1}> () less =")),
        {"golden": [{"inputs": {"f0": 0, "f1": 0}, "prediction": {"probabilities_0": 0.0, "probabilities_1": 0.0}}]},
    ),
}  # fmt: skip


def begun(run: Run, here: Path, name: str, *words: str) -> tuple[dict[str, Any], str]:
    """What `init` says of it, and the model.yaml that it wrote."""
    done = run("models", "init", name, *words, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    return found, (here / found["folder"] / "model.yaml").read_text()


def saved(folder: Path, name: str, model: object) -> Path:
    path = folder / name
    joblib.dump(model, path)
    return path


@pytest.mark.parametrize("case", GRAPHS)
def test_what_a_graph_shows_is_written_and_passes_check_as_it_is(run: Run, tmp_path: Path, case: str) -> None:
    made, wanted = GRAPHS[case]
    (tmp_path / "mine.onnx").write_bytes(made)
    found, text = begun(run, tmp_path, "mine.onnx")
    assert (found["model"], found["folder"], found["issue"]) == ("mine", "mine", None)
    says = yaml.safe_load(text)
    assert {key: says[key] for key in wanted} == wanted
    assert (tmp_path / "mine" / "model.onnx").read_bytes() == made


def test_every_line_that_wants_a_person_has_a_sentence_beside_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(graphs.graph(graphs.GOOD))
    _, text = begun(run, tmp_path, "mine.onnx")
    asked = {line.split(":")[0].strip(" -{") for line in text.splitlines() if "  # " in line}
    assert asked == {"summary", "licence", "labels", "inline", "name", "golden"}


def test_the_categories_and_labels_that_a_pipeline_was_trained_with_are_kept(run: Run, tmp_path: Path) -> None:
    rows = np.array([[20.0, "Bern"], [70.0, "Genf"], [30.0, "Bern"], [80.0, "Genf"]], dtype=object)
    columns = ColumnTransformer([("n", StandardScaler(), [0]), ("c", OneHotEncoder(), [1])])
    model = make_pipeline(columns, LogisticRegression()).fit(rows, ["stays", "leaves", "stays", "leaves"])
    found, text = begun(run, tmp_path, saved(tmp_path, "churn.joblib", model).name)
    says = yaml.safe_load(text)
    assert (found["issue"], says["labels"], says["output"]) == (None, ["leaves", "stays"], "probabilities")
    assert says["fields"] == [
        {"name": "f0", "type": "number"},
        {"name": "f1", "type": "string", "enum": ["Bern", "Genf"]},
    ]
    [golden] = says["golden"]
    assert golden["inputs"] == {"f0": 1, "f1": "Bern"}
    sure = dict(zip(model.classes_, model.predict_proba(np.array([[1.0, "Bern"]], dtype=object))[0], strict=True))
    assert sure[golden["prediction"]] == pytest.approx(golden["confidence"], abs=1e-4)


def test_the_names_of_columns_are_those_that_the_model_was_trained_with(run: Run, tmp_path: Path) -> None:
    model = Ridge().fit(np.eye(2), [1.0, 2.0])
    answers = float(model.predict(np.ones((1, 2)))[0])
    model.feature_names_in_ = np.array(["age", "on: sale"], dtype=object)
    path = tmp_path / "price.pkl"
    path.write_bytes(pickle.dumps(model))
    _, text = begun(run, tmp_path, path.name, "--name", "dear")
    says = yaml.safe_load(text)
    assert (says["name"], [field["name"] for field in says["fields"]]) == ("dear", ["age", "on: sale"])
    assert says["golden"][0]["prediction"] == pytest.approx(answers, abs=1e-4)


def test_a_graph_that_gives_a_map_for_each_row_has_the_labels_of_the_map(run: Run, tmp_path: Path) -> None:
    model = LogisticRegression().fit(np.eye(4, 2), ["no", "yes", "no", "yes"])
    made = to_onnx(model, initial_types=[("rows", FloatTensorType([None, 2]))])
    (tmp_path / "mine.onnx").write_bytes(made.SerializeToString())
    found, text = begun(run, tmp_path, "mine.onnx")
    says = yaml.safe_load(text)
    assert (found["issue"], says["labels"], says["output"]) == (None, ["no", "yes"], "output_probability")


def test_a_model_of_texts_takes_a_text(run: Run, tmp_path: Path) -> None:
    texts = ["A good thing", "A bad thing"] * 5
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, [1, 0] * 5)
    found, text = begun(run, tmp_path, saved(tmp_path, "mood.joblib", model).name)
    says = yaml.safe_load(text)
    assert (found["kind"], found["issue"], says["labels"]) == ("text", None, ["0", "1"])


class Runs:
    """What is in a pickle is run."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise ValueError('ran')",)


def refused(run: Run, source: Path, *words: str) -> str:
    done = run("models", "init", str(source), *words)
    assert (done.code, done.out) == (1, ""), done.err
    assert sorted(source.parent.glob("*/")) == []
    return done.err


#: Of a graph that no draft can be written for, and what is said.
NO_DRAFT = {
    "nothing that goes in": (
        graphs.graph("probabilities = Constant <value = float[1, 2] {0, 1}> ()", ""), "takes nothing: export it with"),
    "a tensor for which an example has no room": (
        graphs.graph("flat = Flatten (cube)", "float[N, 5, 400, 400] cube", "float[N, 800000] flat"),
        "takes 'cube' of more than 300000 elements, for which a golden example has no room"),
    "a type that no kind takes": (
        graphs.graph("y = Identity (x)", "bfloat16[N, 2] x", "bfloat16[N, 2] y"),
        "takes 'x' (bfloat16 [*, 2]), which no kind takes: export it with one of float16, "),
    "no tensor that comes out": (
        graphs.graph("y = SequenceConstruct (features)", gives="seq(float[N, 2]) y"),
        "gives 'y' (seq(tensor(float))), none of which can be an answer"),
    "nothing finite": (
        graphs.graph("nothing = Sub (features, features) odd = Div (nothing, nothing)", gives="float[N, 2] odd"),
        "gives a number that is not finite"),
    "an opset of tomorrow": (graphs.graph(graphs.GOOD, opset=99), "export it for an older opset"),
    "no graph": (b"<html>", "is no ONNX file, or damaged"),
}  # fmt: skip


@pytest.mark.parametrize("case", NO_DRAFT)
def test_what_no_draft_can_be_written_for_is_one_sentence_and_leaves_no_folder(
    run: Run, tmp_path: Path, case: str
) -> None:
    made, told = NO_DRAFT[case]
    (tmp_path / "mine.onnx").write_bytes(made)
    said = refused(run, tmp_path / "mine.onnx")
    assert said.startswith(f"Error: {tmp_path / 'mine.onnx'} ")
    assert told in said


def test_a_graph_of_tokens_wants_its_tokenizer_beside_it(run: Run, tmp_path: Path) -> None:
    shipped = ROOT / "bundles" / "sentiment-2"
    shutil.copyfile(shipped / "model.onnx", tmp_path / "mood.onnx")
    assert f"{tmp_path / 'mood.onnx'} is for tokens, which need tokenizer.json" in refused(run, tmp_path / "mood.onnx")
    (tmp_path / "tokenizer.json").write_text("{")
    assert f"{tmp_path / 'mood.onnx'} cannot be handed rows: " in refused(run, tmp_path / "mood.onnx")
    shutil.copyfile(shipped / "tokenizer.json", tmp_path / "tokenizer.json")
    found, text = begun(run, tmp_path, "mood.onnx")
    assert (found["kind"], found["issue"]) == ("tokens", None)
    assert yaml.safe_load(text)["labels"] == ["label_0", "label_1"]


def test_what_lies_in_the_folder_already_is_left_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(graphs.graph(graphs.GOOD))
    (tmp_path / "mine").mkdir()
    assert begun(run, tmp_path, "mine.onnx")[0]["issue"] is None
    (tmp_path / "mine" / "model.yaml").write_text("mine")
    done = run("models", "init", str(tmp_path / "mine.onnx"))
    assert (done.code, done.out, "mine has something in it already: say another --out" in done.err) == (1, "", True)
    assert (tmp_path / "mine" / "model.yaml").read_text() == "mine"


def test_what_comes_with_a_graph_goes_with_it(run: Run, tmp_path: Path) -> None:
    for name, content in (("net.onnx", graphs.graph(graphs.GOOD)), ("net.onnx.data", b"1"), ("other.bin", b"2")):
        (tmp_path / name).write_bytes(content)
    begun(run, tmp_path, "net.onnx", "--out", "new/one")
    assert {path.name for path in (tmp_path / "new" / "one").iterdir()} == {"model.onnx", "model.yaml", "net.onnx.data"}


def test_a_file_that_runs_code_is_said_in_the_help_and_its_failure_is_one_sentence(run: Run, tmp_path: Path) -> None:
    assert "runs whatever code is in its file" in " ".join(run("models", "init", "--help").out.split())
    (tmp_path / "odd.pkl").write_bytes(pickle.dumps(Runs()))
    assert "odd.pkl cannot be loaded: ValueError: ran" in refused(run, tmp_path / "odd.pkl")


def test_what_is_missing_is_said_with_how_it_is_installed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, "price.joblib", Ridge().fit(np.eye(2), [1.0, 2.0]))
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "skl2onnx", None)
        assert "skl2onnx is not installed here: pip install scikit-learn skl2onnx" in refused(run, path)
    (tmp_path / "gone.pkl").write_bytes(b"cnosuch.thing\nModel\n.")
    told = refused(run, tmp_path / "gone.pkl")
    assert "gone.pkl needs nosuch, which is not installed here: pip install nosuch" in told


def test_what_is_no_trained_model_is_one_sentence(run: Run, tmp_path: Path) -> None:
    assert "price.joblib holds a dict, which is no trained model" in refused(run, saved(tmp_path, "price.joblib", {}))
    assert "holds a Ridge that is not trained" in refused(run, saved(tmp_path, "price.joblib", Ridge()))
    done = run("models", "init", str(tmp_path / "price.joblib"), "--name", "Dear Me")
    assert (done.code, "must be 1 to 63 of a-z" in done.err) == (2, True)
    (tmp_path / "price.h5").write_bytes(b"1")
    done = run("models", "init", str(tmp_path / "price.h5"))
    assert (done.code, "Invalid value for SOURCE: must end in one of .onnx, .joblib, .pkl" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("path", "name"),
    [("My Net v2.onnx", "my-net-v2"), ("churn/model.onnx", "churn"), ("2.onnx", "model"), ("ä9_x.onnx", "x")],
)
def test_a_model_is_called_as_its_file_is(run: Run, tmp_path: Path, path: str, name: str) -> None:
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_bytes(graphs.graph(graphs.GOOD))
    assert begun(run, tmp_path, path, "--out", "new")[0]["model"] == name


def test_a_file_that_is_not_there_is_said_to_be_missing(run: Run, tmp_path: Path) -> None:
    done = run("models", "init", str(tmp_path / "none.onnx"))
    assert (done.code, done.out) == (2, "")
    assert "does not exist" in done.err
