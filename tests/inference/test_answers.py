"""What a graph may take and give, by whatever names: columns of every type, and labels, numbers and vectors."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from core import errors
from inference import bundle, check, model, schema, trial
from inference.manifest import Manifest
from inference.output import Embedding, Label, Numbers, Said
from tests import graphs
from tests.engines import ROOT
from tests.graphs import CONFIDENCE, GOOD, graph

ZIPMAP = """
  tidy = Softmax <axis = 1> (features)
  probabilities = ai.onnx.ml.ZipMap <{classes}> (tidy)
"""


def zipmap(classes: str, key: str = "string", name: str = "probabilities") -> bytes:
    """What converters make of a classifier by default: a map for each row."""
    head = '<ir_version: 10, opset_import: ["" : 17, "ai.onnx.ml" : 1]>'
    body = ZIPMAP.format(classes=classes).replace("probabilities", name)
    text = f"{head} g (float[N, 2] features) => (seq(map({key}, float)) {name}) {{ {body} }}"
    return bytes(onnx.parser.parse_model(text).SerializeToString())


def opened(folder: Path, made: bytes, **says: Any) -> model.GraphModel:
    """A bundle that keeps its promise."""
    loaded = bundle.load(graphs.bundle(folder / "bundle", made, **says))
    check.check(loaded)
    found = model.open_model(loaded)
    assert isinstance(found, model.GraphModel)
    return found


def answer(found: model.Model, **row: Any) -> Said:
    return found.predict([schema.validate_inputs(found.bundle.manifest, row)])[0]


SECOND = "apart = Sub (y, x) p = Sigmoid (apart)"


@pytest.mark.parametrize(
    "made",
    [
        zipmap('classlabels_strings = ["a", "b"]'),
        zipmap('classlabels_strings = ["a", "b"]', name="output_probability"),
        zipmap("classlabels_int64s = [0, 1]", key="int64"),
        graph("out = Softmax (features)", gives="float[N, 2] out"),
        graph("probabilities = Softmax (X)", takes="float[N, 2] X"),
        graph(GOOD, "double[N, 2] features", "double[N, 2] probabilities"),
        graph("both = Concat <axis = 1> (x, y) probabilities = Softmax (both)", "float[N, 1] x, float[N, 1] y"),
        graph(
            "label = ArgMax <axis = 1, keepdims = 0> (features) scores = Softmax (features)",
            gives="int64[N] label, float[N, 2] scores",
        ),
        graph(SECOND, "float[N, 1] x, float[N, 1] y", "float[N, 1] p"),
        graph(SECOND, "float[N] x, float[N] y", "float[N] p"),
    ],
)
def test_a_classifier_is_taken_as_it_is_exported(tmp_path: Path, made: bytes) -> None:
    said = answer(opened(tmp_path, made), x=2, y=1)
    assert isinstance(said, Label)
    assert said.label == "a"
    assert said.scores == pytest.approx({"a": CONFIDENCE, "b": 1 - CONFIDENCE})


FLAT = "place = Constant <value = int64[1] {0}> () flat = Squeeze (features, place)"
ROWED = graph("p = Identity (features)", gives="float[N, 2] p")
SAME = {"x": 0.25, "y": 0.75}


@pytest.mark.parametrize("size", ["2", "M"])
@pytest.mark.parametrize(
    ("says", "golden"),
    [
        ({"labels": ["a", "b"]}, {"prediction": "b", "confidence": 0.75}),
        ({"tags": ["a", "b"]}, {"tags": {"b": 0.75}}),
        ({"numbers": [{"name": "a"}, {"name": "b"}]}, {"prediction": {"a": 0.25, "b": 0.75}}),
        ({"embedding": 2}, {"embedding": [0.25, 0.75]}),
    ],
)
def test_a_graph_that_takes_one_row_may_answer_without_an_axis_for_rows(
    tmp_path: Path, says: dict[str, Any], golden: dict[str, Any], size: str
) -> None:
    made = graph(FLAT, "float[1, 2] features", f"float[{size}] flat")
    full = {"labels": None, **says, "golden": [{"inputs": SAME, **golden}]}
    found = opened(tmp_path / "one", made, max_batch=1, **full)
    assert answer(found, **SAME) == answer(opened(tmp_path / "two", ROWED, **full), **SAME)
    with pytest.raises(errors.BundleInvalid, match=r"\[rows, 2\]|neither more nor fewer rows at once"):
        opened(tmp_path / "many", made, **full)


def test_an_answer_without_an_axis_for_rows_has_its_whole_width(tmp_path: Path) -> None:
    made = graph(FLAT, "float[1, 2] features", "float[M] flat")
    golden = [{"inputs": SAME, "embedding": [0.25]}]
    with pytest.raises(errors.BundleInvalid, match=r"gives 'flat' \(float \[2\]\), but must give floats \[rows, 3\]"):
        opened(tmp_path, made, max_batch=1, labels=None, embedding=3, golden=golden)


def test_a_graph_gives_no_record(tmp_path: Path) -> None:
    golden = [{"inputs": SAME, "record": {"a": 1}}]
    with pytest.raises(errors.BundleInvalid, match="none of which can be a record, as only kind python gives"):
        opened(
            tmp_path,
            graph(FLAT, "float[1, 2] features", "float[M] flat"),
            labels=None,
            record={"a": {"type": "number"}},
            golden=golden,
        )


def test_maps_are_read_by_their_labels_whatever_the_order_in_model_yaml(tmp_path: Path) -> None:
    found = opened(tmp_path, zipmap('classlabels_strings = ["a", "b"]'), labels=["b", "a"])
    assert answer(found, x=2, y=1) == Label("a", CONFIDENCE, {"b": 0.268941, "a": CONFIDENCE})


TWO = "scores = Softmax (features) logits = Identity (features)"


def test_of_labels_whose_scores_are_told_as_equal_the_first_is_the_likeliest_for_everybody(tmp_path: Path) -> None:
    # Who explains an answer has only what is told; the second is larger by 6e-8.
    said = answer(opened(tmp_path, graph(GOOD)), x=0.0, y=2.4e-7)
    assert isinstance(said, Label)
    assert (said.label, said.confidence, [*said.scores]) == ("a", 0.5, ["a", "b"])
    assert {*said.scores.values()} == {0.5}


def test_where_two_outputs_can_be_the_answer_model_yaml_says_which(tmp_path: Path) -> None:
    made = graph(TWO, gives="float[N, 2] logits, float[N, 2] scores")
    assert answer(opened(tmp_path / "said", made, output="scores"), x=2, y=1)
    with pytest.raises(errors.BundleInvalid, match=r"which of them it is, such as output: logits"):
        opened(tmp_path / "unsaid", made)
    with pytest.raises(errors.BundleInvalid, match=r"has no output 'score', as output of model\.yaml says, but"):
        opened(tmp_path / "wrong", made, output="score")


SUM = "total = ReduceSum <keepdims = {keep}> (features, across)"
PRICE = [{"name": "price", "unit": "EUR"}]
HALF = {"inputs": {"x": 2.5, "y": 1}, "prediction": 3.5}


@pytest.mark.parametrize(("keep", "gives"), [(1, "float[N, 1] total"), (0, "float[N] total"), (1, "float[N, M] total")])
def test_a_regressor_gives_its_number(tmp_path: Path, keep: int, gives: str) -> None:
    made = graph(SUM.format(keep=keep), gives=gives)
    found = opened(tmp_path, made, labels=None, numbers=PRICE, golden=[HALF])
    assert answer(found, x=0.5, y=0.25) == Numbers({"price": 0.75})
    rows = [{"x": x, "y": 0} for x in range(5)]
    assert found.predict(rows) == [Numbers({"price": float(x)}) for x in range(5)]


def test_several_numbers_have_their_names(tmp_path: Path) -> None:
    golden = [{"inputs": {"x": 2.5, "y": 1}, "prediction": {"price": 2.5, "rent": 1}}]
    numbers = [{"name": "price"}, {"name": "rent"}]
    made = graph("both = Identity (features)", gives="float[N, 2] both")
    found = opened(tmp_path, made, labels=None, numbers=numbers, golden=golden)
    assert answer(found, x=7, y=-1) == Numbers({"price": 7, "rent": -1})


@pytest.mark.parametrize(("wanted", "right"), [(3.5034, True), (3.4966, True), (3.504, False), (3.496, False)])
def test_a_golden_number_may_differ_by_a_thousandth_of_its_size(tmp_path: Path, wanted: float, right: bool) -> None:
    says: dict[str, Any] = {"labels": None, "numbers": PRICE, "golden": [{**HALF, "prediction": wanted}]}
    made = graph(SUM.format(keep=1), gives="float[N, 1] total")
    if right:
        opened(tmp_path, made, **says)
        return
    with pytest.raises(errors.BundleInvalid, match=rf"golden example 1 must give price {wanted}, but gives 3\.5"):
        opened(tmp_path, made, **says)


def test_large_numbers_may_differ_in_their_last_digits_beside_other_rows(tmp_path: Path) -> None:
    # A hundred millionth of it, which is more than a thousandth.
    body = "far = ReduceMax <keepdims = 0> (features) tiny = Mul (far, zero) total = ReduceSum (features, across)"
    made = graph(f"{body} all = Add (total, tiny)", gives="float[N, 1] all")
    golden = [{"inputs": {"x": 1e8, "y": 1}, "prediction": 1e8}]
    opened(tmp_path, made, labels=None, numbers=PRICE, golden=golden)


def test_an_embedding_is_as_long_as_it_says_and_its_example_may_be_the_beginning(tmp_path: Path) -> None:
    made = graph("vector = Concat <axis = 1> (features, features)", gives="float[N, 4] vector")
    golden = [{"inputs": {"x": 2, "y": 1}, "embedding": [2, 1, 2]}]
    found = opened(tmp_path / "good", made, labels=None, embedding=4, golden=golden)
    assert answer(found, x=0.5, y=-1) == Embedding([0.5, -1, 0.5, -1])


@pytest.mark.parametrize(
    ("length", "begins", "told"),
    [
        (3, [2, 1], "must give floats [rows, 3], the embedding of model.yaml; where it is meant to, say labels, tags"),
        (4, [2, 3], "golden example 1 must give 3.0 as number 2 of its embedding, but gives 1.0"),
        (2, [2, 1, 2], "embedding of golden example 1 must have at most 2 numbers"),
    ],
)
def test_an_embedding_of_another_length_or_with_another_beginning_is_refused(
    tmp_path: Path, length: int, begins: list[float], told: str
) -> None:
    made = graph("vector = Concat <axis = 1> (features, features)", gives="float[N, 4] vector")
    golden = [{"inputs": {"x": 2, "y": 1}, "embedding": begins}]
    with pytest.raises(errors.BundleInvalid) as caught:
        opened(tmp_path, made, labels=None, embedding=length, golden=golden)
    assert told in caught.value.message


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ({"labels": None}, "labels is missing: one for each score that the graph gives, in its order; where it gives"),
        ({"numbers": PRICE}, "numbers is what comes out, and so is labels: say one of them"),
        ({"labels": None, "numbers": PRICE, "explanation": ["simple"], "golden": [HALF]}, "is for models that give la"),
        (
            {"labels": None, "numbers": [*PRICE, {"name": "price"}], "golden": [HALF]},
            "number 2 (price) is the same as number 1: price",
        ),
        (
            {"labels": None, "numbers": PRICE, "golden": [{**HALF, "prediction": "a"}]},
            "must be a number, but is the text",
        ),
        ({"labels": None, "numbers": [*PRICE, {"name": "rent"}], "golden": [HALF]}, "a number for each of price, rent"),
        ({"labels": None, "numbers": [{"unit": "EUR"}]}, "name of number 1 is missing"),
        ({"labels": None, "embedding": 0}, "embedding must be a whole number from 1 to 65536, but is the number 0"),
    ],
)
def test_what_comes_out_is_said_once_and_wholly(tmp_path: Path, says: Mapping[str, Any], told: str) -> None:
    with pytest.raises(errors.BundleInvalid) as caught:
        bundle.load(graphs.bundle(tmp_path / "bundle", **says))
    assert told in " ".join(caught.value.message.split())


#: By the type of a column: a graph that gives how much of it there is, values of fields that it takes, and what it is
#: handed for them.
COLUMNS: dict[str, dict[str, list[tuple[Any, Any]]]] = {
    "float": {"number": [(0.1, np.float32(0.1))], "integer": [(3, 3.0)], "boolean": [(True, 1.0)]},
    "double": {"number": [(0.1, 0.1)], "integer": [(2**53, 2.0**53)], "boolean": [(False, 0.0)]},
    "int64": {"integer": [(2**62, 2**62), (-5, -5)], "boolean": [(True, 1)]},
    "int32": {"integer": [(2**31 - 1, 2**31 - 1)], "boolean": [(True, 1)]},
    "bool": {"boolean": [(True, True), (False, False)]},
    "string": {"string": [("Übung", "Übung"), ("", "")]},
}
#: Of the types that a field may have, what a golden example says.
VALUES = {"number": 0.5, "integer": 1, "boolean": True, "string": "a"}


def column(kind: str, *, optional: bool = False, field: str = "number") -> tuple[bytes, dict[str, Any]]:
    """A graph with a column of this type among its inputs, and a field of this type for it."""
    made = graph(GOOD, f"float[N, 2] features, {kind}[N, 1] more", "float[N, 2] probabilities")
    fields = [
        {"name": "x", "type": "number", "input": "features"},
        {"name": "more", "type": field, **({"required": False} if optional else {})},
        {"name": "y", "type": "number", "input": "features"},
    ]
    more = {} if optional else {"more": VALUES[field]}
    golden = [{"inputs": {"x": 2, "y": 1, **more}, "prediction": "a", "confidence": CONFIDENCE}]
    return made, {"fields": fields, "golden": golden}


@pytest.mark.parametrize("field", VALUES)
@pytest.mark.parametrize("kind", COLUMNS)
def test_a_column_takes_the_fields_that_its_type_can_hold_and_no_others(tmp_path: Path, kind: str, field: str) -> None:
    made, says = column(kind, field=field)
    if field not in COLUMNS[kind]:
        with pytest.raises(errors.BundleInvalid, match=f"takes 'more' .*, but field more is {field}: it takes "):
            opened(tmp_path, made, **says)
        return
    found = opened(tmp_path, made, **says)
    for value, handed in COLUMNS[kind][field]:
        row = schema.validate_inputs(found.bundle.manifest, {"x": 2, "y": 1, "more": value})
        encoded = found.encode([row, row])
        assert encoded["features"].tolist() == [[2, 1], [2, 1]]
        assert encoded["more"].tolist() == [[handed], [handed]]
        assert found.predict([row])


@pytest.mark.parametrize("kind", COLUMNS)
def test_what_is_left_out_is_the_missing_value_of_its_column_where_it_has_one(tmp_path: Path, kind: str) -> None:
    made, says = column(kind, optional=True, field=next(iter(COLUMNS[kind])))
    if kind not in ("float", "double", "string"):
        with pytest.raises(errors.BundleInvalid, match=f"more may be left out, for which {kind} has no value: say req"):
            opened(tmp_path, made, **says)
        return
    found = opened(tmp_path, made, **says)
    row = schema.validate_inputs(found.bundle.manifest, {"x": 2, "y": 1})
    [[handed]] = found.encode([row])["more"].tolist()
    assert handed == "" if kind == "string" else np.isnan(handed)


@pytest.mark.parametrize(
    ("takes", "says"),
    [
        ("float[N, 1] x, float[N, 1] z", "takes 'x' (float [*, 1]), 'z' (float [*, 1]), and no 'y': say with field y"),
        ("float[N, 1] x, float[N, 1] y, float[N, 1] z", "takes 'z' (float [*, 1]), which no field of model.yaml names"),
        ("uint8[N, 2] u", "takes 'u' (uint8 [*, 2]): export it with one of float, double, int64, int32, bool, string"),
    ],
)
def test_an_input_without_fields_and_a_field_without_input_are_named(tmp_path: Path, takes: str, says: str) -> None:
    made = graph(
        "x = Cast <to = 1> (u) probabilities = Softmax (x)" if "u" in takes else "probabilities = Softmax (x)", takes
    )
    with pytest.raises(errors.BundleInvalid) as caught:
        opened(tmp_path, made)
    assert says in caught.value.message


@pytest.mark.parametrize(("kind", "bits"), [("int64", 63), ("int32", 31)])
def test_a_whole_number_that_a_column_cannot_hold_is_named(tmp_path: Path, kind: str, bits: int) -> None:
    made, says = column(kind, field="integer")
    found = opened(tmp_path, made, **says)
    for value in (2**bits - 1, -(2**bits)):
        assert answer(found, x=2, y=1, more=value)
    for value in (2**bits, 2**64 - 1):
        with pytest.raises(errors.ModelError, match=f"more holds a whole number that does not fit {kind}"):
            answer(found, x=2, y=1, more=value)


def test_a_text_goes_into_the_only_input_whatever_its_name(tmp_path: Path) -> None:
    body = """
      word = Constant <value = string[1] {"good"}> () same = Equal (words, word) score = Cast <to = 1> (same)
    """
    made = graph(body, "string[N, 1] words", "float[N, 1] score", opset=19)
    fields = [{"name": "text", "type": "string"}]
    golden = [{"inputs": {"text": " Good"}, "prediction": "b", "confidence": 1.0}]
    found = opened(tmp_path, made, kind="text", fields=fields, golden=golden)
    assert [said.label for said in graphs.labels(found, [{"text": "good"}, {"text": "bad"}])] == ["b", "a"]


#: How many tokens there are, and how many of them are of a second text.
COUNTS = """
  here = Cast <to = 1> (attention_mask) second = Cast <to = 1> ({types})
  count = ReduceSum (here, across) others = ReduceSum (second, across) vector = Concat <axis = 1> (count, others)
"""


@pytest.mark.parametrize("types", ["token_type_ids", "attention_mask"])
def test_tokens_are_handed_in_with_their_types_where_the_graph_takes_them(tmp_path: Path, types: str) -> None:
    more = ", int64[N, L] token_type_ids" if types == "token_type_ids" else ""
    made = graph(
        f"same = Identity (input_ids) {COUNTS.format(types=types)}",
        f"int64[N, L] input_ids, int64[N, L] attention_mask{more}",
        "float[N, 2] vector",
    )
    says: dict[str, Any] = {
        "kind": "tokens", "labels": None, "embedding": 2, "fields": [{"name": "text", "type": "string"}],
        "golden": [{"inputs": {"text": "good film"}, "embedding": [4]}],
    }  # fmt: skip
    folder = graphs.bundle(tmp_path / "bundle", made, **says)
    shutil.copy(ROOT / "bundles" / "sentiment-2" / "tokenizer.json", folder)
    check.check(bundle.load(folder))
    found = model.open_model(bundle.load(folder))
    assert isinstance(found, model.Model)
    second = 0.0 if more else 4.0
    assert answer(found, text="good film") == Embedding([4.0, second])


def divided(kind: str) -> bytes:
    """A whole number by -1, beside another one."""
    body = f"""
      minus = Constant <value = {kind}[1] {{-1}}> () quotient = Div (a, minus) back = Cast <to = 1> (quotient)
      none = Mul (back, zero) other = Cast <to = 1> (b) idle = Mul (other, zero)
      both = Add (none, idle) some = Concat <axis = 1> (both, both) probabilities = Softmax <axis = 1> (some)
    """
    return graph(body, f"{kind}[N, 1] a, int32[N, 1] b")


@pytest.mark.parametrize("kind", ["int32", "int64"])
def test_the_smallest_number_of_each_column_is_tried_whatever_the_others_can_hold(tmp_path: Path, kind: str) -> None:
    fields = [{"name": name, "type": "integer"} for name in "ab"]
    golden = [{"inputs": {"a": 4, "b": 2}, "prediction": "a", "confidence": 0.5}]
    loaded = bundle.load(graphs.bundle(tmp_path / "bundle", divided(kind), fields=fields, golden=golden))
    with pytest.raises(errors.BundleInvalid, match="or the nearest it may be, ended the process: SIGFPE"):
        trial.run(loaded)


@pytest.mark.parametrize("wanted", [float("inf"), float("nan"), True, [1], None, {"price": 3.5}])
def test_a_golden_number_is_one(tmp_path: Path, wanted: object) -> None:
    golden = [{**HALF, "prediction": wanted}]
    with pytest.raises(errors.BundleInvalid, match="prediction of golden example 1 must be a number"):
        bundle.load(graphs.bundle(tmp_path / "bundle", labels=None, numbers=PRICE, golden=golden))


def test_maps_with_other_keys_than_labels_are_refused_by_name_unless_all_are_others(tmp_path: Path) -> None:
    golden = [{"inputs": {"x": 2, "y": 1}, "prediction": "hot", "confidence": 0.5}]
    with pytest.raises(errors.BundleInvalid, match="gave scores for cold, hot, but its labels are hot, colld"):
        opened(tmp_path, zipmap('classlabels_strings = ["cold", "hot"]'), labels=["hot", "colld"], golden=golden)


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ({"labels": None, "numbers": PRICE, "golden": [HALF], "threshold_field": "x", "below_threshold": "b"},
         "threshold_field is for models that give labels"),
        ({"fields": [{"name": "text", "type": "string", "input": "text"}], "kind": "text",
          "golden": [{"inputs": {"text": "a"}, "prediction": "a", "confidence": 1}]},
         "input of field 1 (text) is for tabular; text knows where its fields go"),
        ({"labels": None, "embedding": 65_536, "max_batch": 65, "golden": [{"inputs": {"x": 1, "y": 1},
          "embedding": [1]}]}, "max_batch must be at most 64 for vectors of 65536 numbers, but is the number 65"),
        ({"labels": None, "numbers": [{"name": f"n{i}"} for i in range(1001)], "golden": [HALF]},
         "numbers must have at most 1000 entries"),
    ],
    ids=["threshold", "input", "embedding", "numbers"],
)  # fmt: skip
def test_what_goes_with_something_else_is_refused(tmp_path: Path, says: Mapping[str, Any], told: str) -> None:
    with pytest.raises(errors.BundleInvalid) as caught:
        bundle.load(graphs.bundle(tmp_path / "bundle", **says))
    assert told in " ".join(caught.value.message.split())


@pytest.mark.parametrize("say", [{"default": 2**40, "required": False}, {"enum": [1, 2**40]}], ids=["default", "enum"])
def test_what_a_column_cannot_hold_is_no_default_and_no_choice(tmp_path: Path, say: Mapping[str, Any]) -> None:
    made, says = column("int32", field="integer")
    says["fields"][1] |= say
    with pytest.raises(errors.BundleInvalid, match=f"which cannot hold {2**40}, as field more may be"):
        opened(tmp_path, made, **says)


def test_probabilities_are_the_answer_of_labels_alone(tmp_path: Path) -> None:
    made = graph(
        "vector = Identity (features) probabilities = Softmax (features)",
        gives="float[N, 2] probabilities, float[N, 2] vector",
    )
    assert answer(opened(tmp_path / "labels", made), x=2, y=1)
    golden = [{"inputs": {"x": 2, "y": 1}, "embedding": [2, 1]}]
    with pytest.raises(errors.BundleInvalid, match="which of them it is, such as output: probabilities"):
        opened(tmp_path / "embedding", made, labels=None, embedding=2, golden=golden)
    found = opened(tmp_path / "said", made, labels=None, embedding=2, golden=golden, output="vector")
    assert answer(found, x=2, y=1) == Embedding([2, 1])


def test_scores_for_all_labels_come_before_a_number_that_may_be_one(tmp_path: Path) -> None:
    made = graph(
        "scores = Softmax (features) sum = ReduceSum (features, across)", gives="float[N, 1] sum, float[N, 2] scores"
    )
    assert answer(opened(tmp_path, made), x=2, y=1)


@pytest.mark.parametrize("score", [1.5, -0.5])
def test_a_score_that_is_no_probability_is_told_as_it_is(tmp_path: Path, score: float) -> None:
    made = graph("p = ReduceSum (features, across)", gives="float[N, 1] p")
    golden = [{"inputs": {"x": score, "y": 0}, "prediction": "b", "confidence": 1}]
    with pytest.raises(errors.BundleInvalid, match=f"gave 'p' with {score}, which is no probability"):
        opened(tmp_path, made, golden=golden)


@pytest.mark.parametrize(("score", "label"), [(1.0000001, "b"), (1.0009, "b"), (-1e-7, "a"), (-0.0009, "a")])
@pytest.mark.parametrize(("keep", "gives"), [(1, "float[N, 1] p"), (0, "float[N] p")])
def test_of_two_labels_the_right_one_is_certain_where_the_probability_of_the_second_is_rounded_too_far(
    tmp_path: Path, keep: int, gives: str, score: float, label: str
) -> None:
    made = graph(f"p = ReduceSum <keepdims = {keep}> (features, across)", gives=gives)
    golden = [{"inputs": {"x": 0.25, "y": 0.5}, "prediction": "b", "confidence": 0.75}]
    said = answer(opened(tmp_path, made, golden=golden), x=score, y=0)
    assert said == Label(label, 1.0, {"a": float(label == "a"), "b": float(label == "b")})


@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e5])
def test_numbers_that_mix_rows_are_refused_whatever_their_size(tmp_path: Path, scale: float) -> None:
    body = f"""
      size = Constant <value = float {{{scale}}}> () sum = ReduceSum (features, across) own = Mul (sum, size)
      mean = ReduceMean <axes = [0]> (own) total = Add (own, mean)
    """
    golden = [{"inputs": {"x": 0, "y": 0}, "prediction": 0}]
    with pytest.raises(errors.BundleInvalid, match="gives a row other scores beside another row than alone"):
        opened(tmp_path, graph(body, gives="float[N, 1] total"), labels=None, numbers=PRICE, golden=golden)


@pytest.mark.parametrize("said", ["a", "aa", ""])
def test_texts_that_mix_rows_are_refused_whatever_the_example_is(tmp_path: Path, said: str) -> None:
    body = f"""
      word = Constant <value = string[1] {{"{said}"}}> () same = Equal (words, word) own = Cast <to = 1> (same)
      axis = Constant <value = int64[1] {{0}}> () total = ReduceMean (own, axis)
      shape = Shape (own) all = Expand (total, shape)
    """
    made = graph(body, "string[N, 1] words", "float[N, 1] all", opset=19)
    golden = [{"inputs": {"words": said}, "prediction": 1}]
    with pytest.raises(errors.BundleInvalid, match="gives a row other scores beside another row than alone"):
        opened(tmp_path, made, labels=None, numbers=PRICE, fields=[{"name": "words", "type": "string"}], golden=golden)


def test_a_manifest_without_new_keys_is_one_of_an_earlier_release(tmp_path: Path) -> None:
    old = bundle.load(graphs.bundle(tmp_path / "old")).manifest
    assert not {"numbers", "embedding", "output"} & old.to_dict().keys()
    assert all("input" not in field for field in old.to_dict()["fields"])
    new = bundle.load(graphs.bundle(tmp_path / "new", labels=None, numbers=PRICE, output="z", golden=[HALF])).manifest
    for manifest in (old, new):
        assert Manifest.from_dict(manifest.to_dict()).to_dict() == manifest.to_dict()
    assert list(new.to_dict()["numbers"]) == [{"name": "price", "unit": "EUR", "description": ""}]
