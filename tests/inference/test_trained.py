"""What trained objects tell of themselves, XGBoost's and LightGBM's as well where they are not installed."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import skl2onnx

from core import errors
from inference.drafts import convert, trained
from inference.drafts.trained import Seen


class Model:
    """With what such an object has besides."""

    def __init__(self, **has: Any) -> None:
        self.n_features_in_ = 3
        vars(self).update(has)

    def fit(self) -> None:
        """It is trained."""

    def predict(self) -> None:
        """It answers."""


class Boosted(Model):
    """As XGBoost's are."""

    def get_booster(self) -> Any:
        return self.__dict__["booster"]


class Sure(Model):
    """It tells classes apart."""

    def predict_proba(self) -> None:
        """So sure."""


def boosted(types: Sequence[str] | None, **has: Any) -> Boosted:
    return Boosted(booster=SimpleNamespace(feature_types=types, feature_names=["a", "b", "c"]), **has)


def seen(model: Any, *within: Any) -> Seen:
    return trained.seen(model, [model, *within])


def test_the_types_of_columns_are_those_that_a_library_kept() -> None:
    unnamed = ["f0", "f1", "f2"]
    assert seen(Model()) == seen(boosted(None)) == Seen([], unnamed, {}, {})
    assert seen(boosted(["i", "int", "float"])) == Seen([], unnamed, {"f0": "boolean", "f1": "integer"}, {})
    named = boosted(["float", "i"], feature_names_in_=np.array(["age", "new", "size"]))
    assert seen(named) == Seen(["age", "new", "size"], ["age", "new", "size"], {"new": "boolean"}, {})
    codes = Model(booster_=SimpleNamespace(params={"categorical_column": [2, 0]}))
    assert seen(codes) == Seen([], unnamed, {"f2": "integer", "f0": "integer"}, {})
    assert seen(Model(booster_=SimpleNamespace(params={}))) == Seen([], unnamed, {}, {})


def encoder(*values: list[Any]) -> Any:
    return SimpleNamespace(categories_=[np.array(each, object) for each in values])


CITIES, YES, ROOMS, MIXED = ["Bern", "Genf"], [False, True], [2, 3], [1, "x"]


@pytest.mark.parametrize(
    ("columns", "encodes", "categories", "types"),
    [
        ([0, 2], encoder(CITIES, ROOMS), {"f0": CITIES, "f2": ROOMS}, {"f2": "integer"}),
        (slice(1, 3), encoder(YES, MIXED), {"f1": YES, "f2": MIXED}, {"f1": "boolean"}),
        (["f1"], encoder(CITIES), {"f1": CITIES}, {}), (np.array([1]), encoder(YES), {"f1": YES}, {"f1": "boolean"}),
        # Of names only pandas knows what is between them, and a text alone is no list of columns.
        (slice("f0", "f1"), encoder(CITIES, CITIES), {}, {}), ("f1", encoder(CITIES, CITIES), {}, {}),
        ([0], SimpleNamespace(), {}, {}), ([0], encoder(CITIES, CITIES), {}, {}),
        ([0], SimpleNamespace(steps=[("a", SimpleNamespace()), ("b", encoder(CITIES))]), {"f0": CITIES}, {}),
    ],
    ids=range(9),
)  # fmt: skip
def test_the_categories_of_columns_are_those_of_their_encoder(
    columns: Any, encodes: Any, categories: Mapping[str, list[Any]], types: Mapping[str, str]
) -> None:
    of_columns = SimpleNamespace(transformers_=[("drop", "drop", [1]), ("name", encodes, columns)])
    found = seen(Model(), of_columns)
    assert (found.categories, found.types, found.apart) == (categories, types, True)


HARD = "counts votes, which are no probabilities"
NOTHING = "which is no trained model of scikit-learn, LightGBM or XGBoost"
CODES = "that was trained on categories by themselves"


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (Model(), None), (boosted(None), None), (boosted(["q", "i"]), None), (Model(voting="soft"), None),
        (Model(is_categorical_=None), None), (Model(booster_=SimpleNamespace(pandas_categorical=[])), None),
        (boosted(["q", "c"]), CODES), (Model(is_categorical_=np.array([True])), CODES),
        (Model(booster_=SimpleNamespace(pandas_categorical=[["a"]])), CODES), (Model(voting="hard"), HARD),
        (Model, NOTHING), (SimpleNamespace(fit=1), NOTHING), (SimpleNamespace(predict=1), NOTHING),
        (SimpleNamespace(fit=1, transform=1), "that is not trained, or takes no rows"),
        (SimpleNamespace(fit=1, transform=1, n_features_in_=2), None),
        (SimpleNamespace(fit=1, transform=1, n_features_in_=2, get_support=1), None),
        (SimpleNamespace(fit=1, predict=1, vocabulary_={}), None),
        (Model(classes_=[0, 1], decision_function=1), "whose scores of labels are no probabilities"),
        (Sure(classes_=[0, 1], decision_function=1), None), (Model(classes_=[0, 1]), None),
        (Model(decision_function=1), None),
        (Model(get_support=1, estimator=Sure()), r"train make_pipeline\(Model\(…\), Sure"),
    ],
    ids=range(22),
)  # fmt: skip
def test_what_a_graph_would_answer_otherwise_is_refused(model: Any, told: str | None) -> None:
    if told is None:
        trained.check("It is one", model, [model])
        return
    with pytest.raises(errors.BundleInvalid, match=rf"^It is one.* {told}"):
        trained.check("It is one", model, [model])


@pytest.mark.parametrize("model", [boosted(["q"] * 3), Sure(lowercase=True, vocabulary_={}, flatten_transform=True)])
def test_a_converter_is_handed_what_it_can_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Any) -> None:
    handed: list[tuple[Any, dict[str, Any]]] = []

    def to_onnx(of: Any, **how: Any) -> None:
        handed.append((of, how))
        raise ValueError("seen")

    monkeypatch.setattr(skl2onnx, "to_onnx", to_onnx)
    (tmp_path / "mine.pkl").write_bytes(pickle.dumps(model))
    with pytest.raises(errors.BundleInvalid, match="The converter says: ValueError: seen"):
        convert.convert(tmp_path / "mine.pkl")
    [(of, how)] = handed
    [(name, takes)] = how["initial_types"]
    assert how["target_opset"]["ai.onnx.ml"] == 3
    if isinstance(model, Boosted):
        assert (of.booster.feature_names, of.booster.feature_types) == (None, None)
        assert (name, type(takes).__name__, takes.shape) == ("features", "FloatTensorType", [None, 3])
        assert "options" not in how
    else:
        assert (of.lowercase, of.flatten_transform) == (False, False)
        assert (name, type(takes).__name__, takes.shape) == ("text", "StringTensorType", [None, 1])
        assert how["options"] == {id(of): {"zipmap": False}}
