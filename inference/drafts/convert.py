"""A trained object of scikit-learn, LightGBM or XGBoost as an ONNX graph, by the converter that its makers keep."""

from __future__ import annotations

import contextlib
import importlib
import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core import errors
from inference.opened import said

#: What a graph is made from, by the end of the file's name, and the module that reads it.
READERS = {".joblib": "joblib", ".pkl": "pickle", ".pickle": "pickle"}
#: What skl2onnx does not know by itself: onnxmltools' name of the class, and where its converter is.
_ADDED: Mapping[str, tuple[str, str]] = {
    "LGBMClassifier": ("LightGbmLGBMClassifier", "lightgbm.operator_converters.LightGbm:convert_lightgbm"),
    "LGBMRegressor": ("LightGbmLGBMRegressor", "lightgbm.operator_converters.LightGbm:convert_lightgbm"),
    "XGBClassifier": ("XGBoostXGBClassifier", "xgboost.operator_converters.XGBoost:convert_xgboost"),
    "XGBRegressor": ("XGBoostXGBRegressor", "xgboost.operator_converters.XGBoost:convert_xgboost"),
}
#: The newest operators of trees that converters write.
TREES = 3
#: What skl2onnx 1.20 needs where it writes booleans as whole numbers, as for HistGradientBoostingClassifier.
OLDER = "Install an older protobuf: pip install 'protobuf<7'"
#: The one input where all columns are numbers, or where a text is the whole row.
MATRIX, TEXT = "features", "text"


@dataclass(frozen=True)
class Converted:
    """A graph, and what the object knew and the graph does not say: the names of the columns that it was trained on,
    its classes, and by their column the categories it has seen."""

    graph: bytes = b""
    columns: Sequence[str] = ()
    labels: Sequence[str] = ()
    categories: Mapping[str, Sequence[Any]] = field(default_factory=dict)


def convert(path: Path) -> Converted:
    """Load the object in a file, which runs whatever code is in it, and convert it; raises BundleInvalid saying what is
    missing or what the converter refused."""
    model = _loaded(path)
    parts = list(_parts(model))
    _check(f"{path} holds a {type(model).__name__}", model, parts)
    skl2onnx = _module("skl2onnx", "scikit-learn skl2onnx")
    opset = {"": skl2onnx.get_latest_tested_opset_version(), "ai.onnx.ml": TREES}
    for part in parts:
        if type(part).__name__ in _ADDED and type(part).__module__.split(".")[0] in ("lightgbm", "xgboost"):
            _add(skl2onnx, part)
    columns = list(map(str, getattr(model, "feature_names_in_", ())))
    names = columns or [f"f{place}" for place in range(getattr(model, "n_features_in_", 0))]
    categories = {name: values for part in parts for name, values in _categories(part, names)}
    classes = getattr(model, "classes_", ())
    try:
        made = _made(skl2onnx, model, initial_types=_takes(model, parts, names, categories), target_opset=opset)
    # Whatever the makers of models and converters raise.
    except Exception as error:
        first = _first(error)
        fix = f" {OLDER}" if "AttributeProto" in str(first) else ""
        raise errors.BundleInvalid(
            f"{path} cannot be converted to ONNX. The converter says: {type(first).__name__}: {said(first)}{fix}"
        ) from error
    return Converted(made.SerializeToString(), columns, [str(label) for label in classes], categories)


def _check(what: str, model: Any, parts: Sequence[Any]) -> None:
    """Raises BundleInvalid for what is no trained model, or one whose scores of labels are no probabilities."""
    answers = hasattr(model, "predict") or hasattr(model, "transform")
    if isinstance(model, type) or not hasattr(model, "fit") or not answers:
        issue = "which is no trained model of scikit-learn, LightGBM or XGBoost with `fit` and `predict`"
        raise errors.BundleInvalid(f"{what}, {issue}, such as LGBMRegressor")
    if not hasattr(model, "n_features_in_") and not any(hasattr(part, "vocabulary_") for part in parts):
        raise errors.BundleInvalid(f"{what} that is not trained, or takes no rows: call its `fit` before it is saved")
    if hasattr(model, "classes_") and hasattr(model, "decision_function") and not hasattr(model, "predict_proba"):
        fix = "train CalibratedClassifierCV around it"
        raise errors.BundleInvalid(f"{what}, whose scores of labels are no probabilities: {fix}")


def _made(skl2onnx: Any, model: Any, **how: Any) -> Any:
    """Without a map for each row, which is slower to make and to read, where there is a choice."""
    if hasattr(model, "predict_proba"):
        # So skl2onnx says that the converter has no such option.
        with contextlib.suppress(NameError):
            return skl2onnx.to_onnx(model, options={id(model): {"zipmap": False}}, **how)
    return skl2onnx.to_onnx(model, **how)


def _first(error: BaseException) -> BaseException:
    """What others were raised from: those quote all numbers of a model."""
    return error if error.__cause__ is None else _first(error.__cause__)


def _loaded(path: Path) -> Any:
    reader = READERS[path.suffix]
    module = pickle if reader == "pickle" else _module(reader, reader)
    try:
        with path.open("rb") as stream:
            return module.load(stream)
    except ModuleNotFoundError as error:
        package = str(error.name).split(".")[0]
        package = {"sklearn": "scikit-learn"}.get(package, package)
        raise errors.BundleInvalid(
            f"{path} needs {error.name}, which is not installed here: pip install {package}, in the version it was "
            "trained with"
        ) from error
    except OSError:
        raise
    # What is in a pickle is code, and raises what it likes.
    except Exception as error:
        raise errors.BundleInvalid(f"{path} cannot be loaded: {type(error).__name__}: {said(error)}") from error


def _module(name: str, packages: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise errors.BundleInvalid(f"{name} is not installed here: pip install {packages}") from error


def _parts(model: Any) -> Iterator[Any]:
    """The model and, of a pipeline, its steps."""
    yield model
    for _, step in getattr(model, "steps", ()):
        yield from _parts(step)


def _add(skl2onnx: Any, part: Any) -> None:
    """Make onnxmltools' converter of LightGBM or XGBoost known to skl2onnx."""
    _module("onnxmltools", "onnxmltools")
    alias, where = _ADDED[type(part).__name__]
    module, name = where.split(":")
    converter = getattr(importlib.import_module(f"onnxmltools.convert.{module}"), name)
    shapes = importlib.import_module("skl2onnx.common.shape_calculator")
    if hasattr(part, "classes_"):
        shape, options = (
            shapes.calculate_linear_classifier_output_shapes,
            {"zipmap": [True, False], "nocl": [True, False]},
        )
    else:
        shape, options = shapes.calculate_linear_regressor_output_shapes, {}
    skl2onnx.update_registered_converter(type(part), alias, shape, converter, options=options)
    if hasattr(part, "get_booster"):
        # The converter knows the columns by their number alone.
        part.get_booster().feature_names = None


def _categories(part: Any, names: Sequence[str]) -> Iterator[tuple[str, Sequence[Any]]]:
    """Of a transformer of columns, those that it gives to an encoder of categories, with those it has seen."""
    for _, transformer, columns in getattr(part, "transformers_", ()):
        # By their names or places; a slice says neither.
        listed = [] if isinstance(columns, (str, slice)) else list(columns)
        for step in _parts(transformer):
            seen = getattr(step, "categories_", ())
            if len(seen) == len(listed):
                for column, values in zip(listed, seen, strict=True):
                    yield column if isinstance(column, str) else names[int(column)], values.tolist()


def _takes(
    model: Any, parts: Sequence[Any], names: Sequence[str], categories: Mapping[str, Sequence[Any]]
) -> list[tuple[str, Any]]:
    """Each input's name and type: a column each where the model tells columns apart, else one matrix."""
    types = importlib.import_module("skl2onnx.common.data_types")
    if readers := [part for part in parts if hasattr(part, "vocabulary_")]:
        for part in readers:
            # The text comes so already, and ONNX Runtime would need a locale of the machine's for it.
            part.lowercase = False
        return [(TEXT, types.StringTensorType([None, 1]))]
    if any(hasattr(part, "transformers_") for part in parts):
        texts = {name for name, values in categories.items() if all(isinstance(value, str) for value in values)}
        return [
            (name, (types.StringTensorType if name in texts else types.FloatTensorType)([None, 1])) for name in names
        ]
    return [(MATRIX, types.FloatTensorType([None, int(model.n_features_in_)]))]
