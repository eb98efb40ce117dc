"""What is explained in the benchmark of explanations: models in the form of their own library and as bundles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import onnxmltools
import orjson
import xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression

from inference import bundle
from inference.model import Model, open_model
from tests import graphs

Array = np.ndarray[Any, Any]
COLUMNS, ROWS, USUAL = 10, 600, 100
NAMES = [f"f{number}" for number in range(COLUMNS)]


@dataclass(frozen=True)
class Case:
    """A model that is trained on so many classes, 0 for a number, with or without holes in its rows; how it becomes a
    graph, and the numbers that its own library adds up for it."""

    name: str
    estimator: Any
    classes: int
    holes: bool
    graph: Callable[[Any, int], bytes]
    margins: Callable[[Any, Array], Array]


def data(case: Case) -> tuple[Array, Array]:
    if case.classes:
        rows, target = make_classification(ROWS, COLUMNS, n_informative=6, n_classes=case.classes, random_state=0)
    else:
        rows, target = make_regression(ROWS, COLUMNS, random_state=0)
        target = target / target.std()
    rows = rows.astype(np.float32)
    if case.holes:
        rows[np.random.default_rng(0).random(rows.shape) < 0.1] = np.nan
    return rows, target


def opened(folder: Path, graph: bytes, usual: Array, classes: int, names: Sequence[str] = NAMES, **how: Any) -> Model:
    """A bundle of the graph, with these usual rows, opened for one core."""
    if classes:
        golden: dict[str, Any] = {"inputs": {}, "prediction": "l0", "confidence": 0.5}
        says: dict[str, Any] = {"labels": [f"l{number}" for number in range(classes)]}
    else:
        golden, says = {"inputs": {}, "prediction": 0}, {"labels": None, "numbers": [{"name": "number"}]}
    graphs.bundle(
        folder, graph, fields=[{"name": name, "type": "number", "required": False} for name in names],
        golden=[golden], explanation=["shap"], explain={"method": "exact", "background": "usual.jsonl", **how}, **says,
    )  # fmt: skip
    (folder / "usual.jsonl").write_bytes(b"\n".join(orjson.dumps(row_of(names, row)) for row in usual))
    made = open_model(bundle.load(folder), threads=1)
    if not isinstance(made, Model):
        raise TypeError(folder)
    return made


def row_of(names: Sequence[str], values: Array) -> dict[str, float | None]:
    return {name: None if np.isnan(value) else float(value) for name, value in zip(names, values, strict=True)}


def of_sklearn(estimator: Any, classes: int) -> bytes:
    options = {"zipmap": False} if classes else None
    takes = np.zeros((1, estimator.n_features_in_), np.float32)
    return bytes(to_onnx(estimator, takes, options=options, target_opset=17).SerializeToString())


def of_lightgbm(estimator: Any, classes: int) -> bytes:
    takes = [("features", FloatTensorType([None, COLUMNS]))]
    options = {"zipmap": False} if classes else {}
    made = onnxmltools.convert_lightgbm(estimator, initial_types=takes, target_opset=15, **options)
    return bytes(made.SerializeToString())


def of_xgboost(estimator: Any, _: int) -> bytes:
    takes = [("features", FloatTensorType([None, COLUMNS]))]
    return bytes(onnxmltools.convert_xgboost(estimator, initial_types=takes, target_opset=15).SerializeToString())


def _probability(estimator: Any, rows: Array) -> Array:
    return estimator.predict_proba(rows)


def _decision(estimator: Any, rows: Array) -> Array:
    return estimator.decision_function(rows)


def _number(estimator: Any, rows: Array) -> Array:
    return estimator.predict(rows)


def _raw(estimator: Any, rows: Array) -> Array:
    return estimator.predict(rows, raw_score=True)


def _margin(estimator: Any, rows: Array) -> Array:
    return estimator.predict(rows, output_margin=True)


def _forest(kind: Any) -> Any:
    return kind(60, max_depth=8, random_state=0)


TREES = (
    Case("random forest", _forest(RandomForestClassifier), 2, False, of_sklearn, _probability),
    Case("random forest, three labels", _forest(RandomForestClassifier), 3, False, of_sklearn, _probability),
    Case("random forest, a number", _forest(RandomForestRegressor), 0, False, of_sklearn, _number),
    Case("extra trees", _forest(ExtraTreesClassifier), 2, False, of_sklearn, _probability),
    Case("gradient boosting", GradientBoostingClassifier(random_state=0), 2, False, of_sklearn, _decision),
    Case("gradient boosting, a number", GradientBoostingRegressor(random_state=0), 0, False, of_sklearn, _number),
    Case("LightGBM", lightgbm.LGBMClassifier(verbose=-1), 2, False, of_lightgbm, _raw),
    Case("LightGBM, missing values", lightgbm.LGBMClassifier(verbose=-1), 2, True, of_lightgbm, _raw),
    Case("LightGBM, three labels, missing values", lightgbm.LGBMClassifier(verbose=-1), 3, True, of_lightgbm, _raw),
    Case("LightGBM, a number, missing values", lightgbm.LGBMRegressor(verbose=-1), 0, True, of_lightgbm, _number),
    Case("XGBoost", xgboost.XGBClassifier(max_depth=5), 2, False, of_xgboost, _margin),
    Case("XGBoost, missing values", xgboost.XGBClassifier(max_depth=5), 2, True, of_xgboost, _margin),
    Case("XGBoost, three labels, missing values", xgboost.XGBClassifier(max_depth=5), 3, True, of_xgboost, _margin),
    Case("XGBoost, a number, missing values", xgboost.XGBRegressor(max_depth=5), 0, True, of_xgboost, _number),
)
LINEAR = (
    Case("logistic regression", LogisticRegression(), 2, False, of_sklearn, _decision),
    Case("logistic regression, three labels", LogisticRegression(), 3, False, of_sklearn, _decision),
    Case("linear regression", LinearRegression(), 0, False, of_sklearn, _number),
)
