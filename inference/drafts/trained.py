"""What a trained object of scikit-learn, LightGBM or XGBoost tells of itself: its parts, whether a graph of it would
answer as it does, and the columns that it was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core import errors

#: Where an object keeps what it was trained with.
_WITHIN = ("best_estimator_", "final_estimator_", "estimators_")
#: XGBoost's words for the types of columns, where they are known.
_XGBOOST = {"i": "boolean", "int": "integer"}
CODES = (
    "that was trained on categories by themselves, for which its graph would take codes that no client knows: train "
    "make_pipeline(make_column_transformer((OrdinalEncoder(), [their columns]), remainder='passthrough'), {model}()), "
    "which takes them as they are"
)


@dataclass(frozen=True)
class Seen:
    """The columns that it was trained on: the names that they had, the types of fields and the categories of those
    where they are known, by the name or else f0, f1; and whether it tells columns apart."""

    columns: Sequence[str] = ()
    names: Sequence[str] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    categories: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    apart: bool = False


def parts(model: Any) -> Iterator[Any]:
    """The model, the steps of a pipeline, and what it was put together of."""
    yield model
    for _, step in getattr(model, "steps", ()):
        yield from parts(step)
    for name in _WITHIN:
        within = getattr(model, name, None)
        for part in within if isinstance(within, list) else [within] if hasattr(within, "fit") else ():
            yield from parts(part)


def check(what: str, model: Any, within: Sequence[Any]) -> None:
    """Raises BundleInvalid for what is no trained model, or one whose graph would not answer as it does; `within` are
    its parts."""
    answers = hasattr(model, "predict") or hasattr(model, "transform")
    if isinstance(model, type) or not hasattr(model, "fit") or not answers:
        issue = "which is no trained model of scikit-learn, LightGBM or XGBoost with `fit` and `predict`"
        raise errors.BundleInvalid(f"{what}, {issue}, such as LGBMRegressor")
    if not hasattr(model, "n_features_in_") and not any(hasattr(part, "vocabulary_") for part in within):
        raise errors.BundleInvalid(f"{what} that is not trained, or takes no rows: call its `fit` before it is saved")
    if any(getattr(part, "voting", "") == "hard" for part in within):
        raise errors.BundleInvalid(f"{what} that counts votes, which are no probabilities: train it with voting='soft'")
    if hasattr(model, "classes_") and hasattr(model, "decision_function") and not hasattr(model, "predict_proba"):
        fix = "train CalibratedClassifierCV around it"
        raise errors.BundleInvalid(f"{what}, whose scores of labels are no probabilities: {fix}")
    if hasattr(model, "get_support") and hasattr(model, "predict"):
        issue = "of which a graph gives the columns that it keeps, and no answer"
        fix = f"train make_pipeline({type(model).__name__}(…), {type(model.estimator).__name__}())"
        raise errors.BundleInvalid(f"{what}, {issue}: {fix}")
    for part in within:
        if _has_codes(part):
            raise errors.BundleInvalid(f"{what} {CODES.format(model=type(part).__name__)}")


def _has_codes(part: Any) -> bool:
    """Whether LightGBM, XGBoost or a histogram of scikit-learn's turned categories into codes by itself."""
    if hasattr(part, "get_booster"):
        return "c" in (part.get_booster().feature_types or ())
    by_histogram = getattr(part, "is_categorical_", None) is not None
    return by_histogram or bool(getattr(getattr(part, "booster_", None), "pandas_categorical", None))


def seen(model: Any, within: Sequence[Any]) -> Seen:
    """Of a trained model with these parts."""
    columns = list(map(str, getattr(model, "feature_names_in_", ())))
    names = columns or [f"f{place}" for place in range(getattr(model, "n_features_in_", 0))]
    categories = {name: values for part in within for name, values in _categories(part, names)}
    types = dict(_types(model, names))
    types |= {name: type_ for name, values in categories.items() if (type_ := _type(values))}
    return Seen(columns, names, types, categories, any(hasattr(part, "transformers_") for part in within))


def _categories(part: Any, names: Sequence[str]) -> Iterator[tuple[str, Sequence[Any]]]:
    """Of a transformer of columns, those that it gives to an encoder of categories, with those it has seen."""
    for _, transformer, columns in getattr(part, "transformers_", ()):
        listed = _listed(columns, names)
        for step in parts(transformer):
            values = getattr(step, "categories_", ())
            if len(values) == len(listed):
                for column, each in zip(listed, values, strict=True):
                    yield column if isinstance(column, str) else names[int(column)], each.tolist()


def _listed(columns: Any, names: Sequence[str]) -> Sequence[Any]:
    """By their names or places; of a slice, only one of places says which."""
    if isinstance(columns, slice):
        return names[columns] if isinstance(columns.stop, int) else ()
    return () if isinstance(columns, str) else list(columns)


def _type(values: Sequence[Any]) -> str | None:
    """Of categories that are all booleans or all whole numbers."""
    return {frozenset({bool}): "boolean", frozenset({int}): "integer"}.get(frozenset(map(type, values)))


def _types(model: Any, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Of the columns that XGBoost was trained on as a DataFrame, and of codes that LightGBM was given as they are."""
    if hasattr(model, "get_booster"):
        for name, type_ in zip(names, model.get_booster().feature_types or (), strict=False):
            if type_ in _XGBOOST:
                yield name, _XGBOOST[type_]
    elif hasattr(model, "booster_"):
        for place in model.booster_.params.get("categorical_column", ()):
            yield names[place], "integer"
