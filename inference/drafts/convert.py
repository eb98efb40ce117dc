"""A trained object of scikit-learn, LightGBM or XGBoost as an ONNX graph, by the converter that its makers keep."""

from __future__ import annotations

import contextlib
import importlib
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core import errors
from inference.drafts import trained
from inference.drafts.trained import Seen
from inference.opened import said

#: What a graph is made from, by the end of the file's name, and the module that reads it.
READERS = {".joblib": "joblib", ".pkl": "pickle", ".pickle": "pickle"}
#: What skl2onnx does not know by itself: onnxmltools' name of the class, and where its converter is.
_LIGHTGBM, _XGBOOST = (
    "lightgbm.operator_converters.LightGbm:convert_lightgbm", "xgboost.operator_converters.XGBoost:convert_xgboost"
)  # fmt: skip
_ADDED: Mapping[str, tuple[str, str]] = {
    "LGBMClassifier": ("LightGbmLGBMClassifier", _LIGHTGBM),
    "LGBMRegressor": ("LightGbmLGBMRegressor", _LIGHTGBM),
    "LGBMRanker": ("LightGbmLGBMRegressor", _LIGHTGBM),
    "XGBClassifier": ("XGBoostXGBClassifier", _XGBOOST),
    "XGBRFClassifier": ("XGBoostXGBClassifier", _XGBOOST),
    "XGBRegressor": ("XGBoostXGBRegressor", _XGBOOST),
    "XGBRFRegressor": ("XGBoostXGBRegressor", _XGBOOST),
    "XGBRanker": ("XGBoostXGBRegressor", _XGBOOST),
}
#: The newest operators of trees that converters write.
TREES = 3
#: What skl2onnx 1.20 needs where it writes booleans as whole numbers, as for HistGradientBoostingClassifier.
OLDER = "Install an older protobuf: pip install 'protobuf<7'"
#: The one input where all columns are numbers, or where a text is the whole row.
MATRIX, TEXT = "features", "text"


@dataclass(frozen=True)
class Converted:
    """A graph, and what the object knew and the graph does not say: its columns, and its classes, or None where it is
    known to tell no classes apart."""

    graph: bytes = b""
    seen: Seen = field(default_factory=Seen)
    labels: Sequence[str] | None = ()


def convert(path: Path) -> Converted:
    """Load the object in a file, which runs whatever code is in it, and convert it; raises BundleInvalid saying what is
    missing or what the converter refused."""
    model = _loaded(path)
    parts = list(trained.parts(model))
    trained.check(f"{path} holds a {type(model).__name__}", model, parts)
    skl2onnx = _module("skl2onnx", "scikit-learn skl2onnx")
    opset = {"": skl2onnx.get_latest_tested_opset_version(), "ai.onnx.ml": TREES}
    seen = trained.seen(model, parts)
    for part in parts:
        _prepare(skl2onnx, part)
    try:
        made = _made(skl2onnx, model, initial_types=_takes(model, parts, seen), target_opset=opset)
    # Whatever the makers of models and converters raise.
    except Exception as error:
        first = _first(error)
        fix = f" {OLDER}" if "AttributeProto" in str(first) else ""
        raise errors.BundleInvalid(
            f"{path} cannot be converted to ONNX. The converter says: {type(first).__name__}: {said(first)}{fix}"
        ) from error
    # What gives one output, such as the columns that RFE keeps, gives no label with its scores.
    classifies = hasattr(model, "predict_proba") and len(made.graph.output) > 1
    labels = [str(label) for label in getattr(model, "classes_", ())] if classifies else None
    return Converted(made.SerializeToString(), seen, labels)


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


def _prepare(skl2onnx: Any, part: Any) -> None:
    """What a converter refuses or does not need is taken from a part, where its answers are the same without."""
    if type(part).__name__ in _ADDED and type(part).__module__.split(".")[0] in ("lightgbm", "xgboost"):
        _add(skl2onnx, part)
    if hasattr(part, "vocabulary_"):
        # The text comes so already, and ONNX Runtime would need a locale of the machine's for it.
        part.lowercase = False
    if hasattr(part, "flatten_transform"):
        # How votes are shown that nobody asks for.
        part.flatten_transform = False
    if hasattr(part, "get_booster"):
        # The converter knows the columns by their number alone, and thresholds as they are for numbers.
        part.get_booster().feature_names = part.get_booster().feature_types = None


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


def _takes(model: Any, parts: Sequence[Any], seen: Seen) -> list[tuple[str, Any]]:
    """Each input's name and type: a column each where the model tells columns apart, else one matrix."""
    types = importlib.import_module("skl2onnx.common.data_types")
    if any(hasattr(part, "vocabulary_") for part in parts):
        return [(TEXT, types.StringTensorType([None, 1]))]
    if seen.apart:
        texts = {name for name, values in seen.categories.items() if all(isinstance(value, str) for value in values)}
        return [
            (name, (types.StringTensorType if name in texts else types.FloatTensorType)([None, 1]))
            for name in seen.names
        ]
    return [(MATRIX, types.FloatTensorType([None, int(model.n_features_in_)]))]
