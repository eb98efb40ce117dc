"""`coatcheck models init` for all that skl2onnx converts, as it comes: each is a bundle that answers, or a sentence."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pytest
import yaml
from skl2onnx._supported_operators import sklearn_operator_name_map
from sklearn.base import clone, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.ensemble import IsolationForest, VotingClassifier
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier, SGDClassifier
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsOneClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC

from core import errors
from inference.drafts import convert
from tests.cli.conftest import Run
from tests.cli.test_init import begun, refused, saved

# scikit-learn's of what converters ask for.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

NUMBERS = np.random.default_rng(0).uniform(1, 9, (40, 3))
CLASSES = np.where(NUMBERS[:, 0] > 5, "many", "few")
#: What answers, and the key of model.yaml that says so.
ANSWER: dict[str, tuple[Any, str]] = {
    "scores made probabilities": (CalibratedClassifierCV(SVC()), "labels"),
    "a linear one": (CalibratedClassifierCV(LinearSVC()), "labels"),
    "a loss with probabilities": (SGDClassifier(loss="log_loss"), "labels"),
    "a mixture": (GaussianMixture(2, random_state=0), "labels"),
    "a search": (GridSearchCV(LogisticRegression(), {"C": [1, 2]}), "labels"),
    "votes": (
        VotingClassifier([("a", LogisticRegression()), ("b", LogisticRegression())], voting="soft"), "labels"),
    "outliers": (IsolationForest(n_estimators=3), "numbers"),
    "distances from clusters": (KMeans(3, n_init=1), "numbers"),
}  # fmt: skip


@pytest.mark.parametrize("case", ANSWER)
def test_what_a_converter_has_other_options_or_outputs_for_answers_as_well(run: Run, tmp_path: Path, case: str) -> None:
    model, key = ANSWER[case]
    path = saved(tmp_path, "mine.joblib", clone(model).fit(NUMBERS, CLASSES))
    found, text = begun(run, tmp_path, path.name)
    assert (found["issue"], key in yaml.safe_load(text)) == (None, True)


NOT_TRAINED = "that is not trained, or takes no rows: call its `fit` before it is saved"
CALIBRATE = "whose scores of labels are no probabilities: train CalibratedClassifierCV around it"
#: What is refused, and what is said.
REFUSED: dict[str, tuple[Any, str]] = {
    "not trained": (LogisticRegression(), f"holds a LogisticRegression {NOT_TRAINED}"),
    "a pipeline that is not": (make_pipeline(StandardScaler(), Ridge()), f"holds a Pipeline {NOT_TRAINED}"),
    "nor one of LightGBM": (lightgbm.LGBMRegressor(), f"holds a LGBMRegressor {NOT_TRAINED}"),
    "of labels alone": (LabelEncoder().fit(CLASSES), f"holds a LabelEncoder {NOT_TRAINED}"),
    "a class": (LogisticRegression, "holds a type, which is no trained model of scikit-learn, LightGBM or XGBoost"),
    "what is within": (
        lightgbm.LGBMRegressor(n_estimators=1, verbose=-1).fit(NUMBERS, NUMBERS[:, 0]).booster_,
        "holds a Booster, which is no trained model of scikit-learn, LightGBM or XGBoost with `fit` and `predict`"),
    **{type(model).__name__: (model.fit(NUMBERS, CLASSES), f"holds a {type(model).__name__}, {CALIBRATE}")
       for model in (SVC(), LinearSVC(), RidgeClassifier(), SGDClassifier(), OneVsOneClassifier(LinearSVC()))},
    "what the converter refuses": (
        make_column_transformer((StandardScaler(), [-1])).fit(NUMBERS),
        "cannot be converted to ONNX. The converter says: "),
    "votes that are counted": (
        VotingClassifier([("a", LogisticRegression())]).fit(NUMBERS, CLASSES),
        "holds a VotingClassifier that counts votes, which are no probabilities: train it with voting='soft'"),
    "such a one in a pipeline": (make_pipeline(StandardScaler(), SVC()).fit(NUMBERS, CLASSES), CALIBRATE),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_answer_is_told_what_to_do(run: Run, tmp_path: Path, case: str) -> None:
    model, told = REFUSED[case]
    assert told in refused(run, saved(tmp_path, "mine.joblib", model))


#: What a class that needs some is made with.
PARTS = {
    "estimator": Ridge(), "estimators": [("a", Ridge()), ("b", Ridge(2))], "param_grid": {}, "param_distributions": {},
    "steps": [("a", StandardScaler()), ("b", Ridge())], "transformer_list": [("a", StandardScaler())],
    "transformers": [("a", StandardScaler(), [0, 1])],
}  # fmt: skip


def trained(class_: type) -> Any:
    """Of a class, as it comes; None where it is not for numbers in columns."""
    needs = [name for name, each in inspect.signature(class_).parameters.items() if each.default is each.empty]
    parts = {name: PARTS[name] for name in needs if name in PARTS}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            made = class_(**parts)
            return made.fit(NUMBERS, NUMBERS[:, 0] if is_regressor(made) or parts else CLASSES)
        except (TypeError, ValueError, AttributeError):
            return None


def test_all_that_skl2onnx_knows_is_converted_or_refused_with_a_sentence(tmp_path: Path) -> None:
    path, converted, told = tmp_path / "mine.joblib", 0, []
    for class_ in sorted(sklearn_operator_name_map, key=lambda each: each.__name__):
        if (model := trained(class_)) is not None:
            joblib.dump(model, path)
            try:
                converted += bool(convert.convert(path).graph)
            except errors.BundleInvalid as error:
                told.append(error.message)
    assert converted > 90
    assert [text for text in told if len(text) > 700 or not text.startswith(f"{path} ")] == []
