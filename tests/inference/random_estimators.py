"""Models of scikit-learn at random, as skl2onnx converts them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from tests.inference.random_models import OPSETS, WORDS, Array, Draw, Made, Row, cell

CLASSIFIERS: Sequence[Callable[[], Any]] = (
    LogisticRegression, GaussianNB, lambda: DecisionTreeClassifier(max_depth=3, random_state=0),
    lambda: RandomForestClassifier(9, max_depth=4, random_state=0),
    lambda: GradientBoostingClassifier(n_estimators=5, random_state=0),
    lambda: MLPClassifier((4,), max_iter=30, random_state=0),
)  # fmt: skip
REGRESSORS: Sequence[Callable[[], Any]] = (
    LinearRegression, Ridge, lambda: DecisionTreeRegressor(max_depth=3, random_state=0),
    lambda: RandomForestRegressor(9, max_depth=4, random_state=0),
    lambda: MLPRegressor(hidden_layer_sizes=(4,), max_iter=30, random_state=0),
)  # fmt: skip
TYPES = {"float": FloatTensorType, "int64": Int64TensorType, "string": StringTensorType}
FIELDS = {"float": "number", "int64": "integer", "string": "string"}
VECTORS: Sequence[Callable[[], Any]] = (lambda: PCA(2), lambda: KMeans(3, n_init=1, random_state=0))


def converted(draw: Draw, model: Any, types: Sequence[tuple[str, Any]], **options: Any) -> Any:
    how = {"options": {id(model): options}} if options else {}
    return to_onnx(model, initial_types=[*types], target_opset={"": draw.choice(OPSETS), "ai.onnx.ml": 3}, **how)


@dataclass
class Drawn:
    """The last step of a pipeline, and what model.yaml says of it."""

    last: Any
    wanted: Array | None
    says: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)
    broken: str = ""


def drawn(draw: Draw, numbers: Array) -> Drawn:
    kind = draw.choice(("labels", "labels", "tags", "numbers", "numbers", "embedding"))
    if kind == "labels":
        wanted = (numbers[:, 0] > 0).astype(int) + draw.choice((0, 1)) * (numbers[:, 1] > 1)
        labels = [f"label {each}" for each in sorted({*wanted.tolist()})]
        return Drawn(draw.choice(CLASSIFIERS)(), wanted, {"labels": labels}, {"zipmap": draw.choice((True, False))})
    if kind == "tags":
        says = {"tags": ["p", "q"], "at_least": None}
        return Drawn(OneVsRestClassifier(LogisticRegression()), (numbers > 0.5).astype(int), says, {"zipmap": False})
    if kind == "numbers":
        last, several = draw.choice(REGRESSORS)(), draw.random() < 0.5
        names = ("first", "second") if several else ("one",)
        # skl2onnx puts the numbers of a row below each other.
        broken = "is converted wrong" if several and isinstance(last, MLPRegressor) else ""
        wanted = numbers * 3 if several else numbers.sum(axis=1)
        return Drawn(last, wanted, {"numbers": [{"name": name} for name in names]}, broken=broken)
    last = draw.choice(VECTORS)()
    return Drawn(last, None, {"embedding": 3 if isinstance(last, KMeans) else 2})


def estimator(draw: Draw) -> Made:
    """On columns of numbers alone, or of numbers, whole numbers and categories."""
    mixed = draw.random() < 0.4
    kinds = {"a": "float", "b_c": "float", "n": "int64", "word": "string"} if mixed else dict.fromkeys("xyz", "float")
    rows: list[Row] = [{name: cell(draw, kind) for name, kind in kinds.items()} for _ in range(60)]
    table = np.array([[*row.values()] for row in rows], object if mixed else np.float32)
    chosen = drawn(draw, table[:, :2].astype(float))
    steps = [("s", StandardScaler(), [0, 1, 2]), ("h", OneHotEncoder(handle_unknown="ignore"), [3])]
    first = ColumnTransformer(steps, sparse_threshold=0) if mixed else StandardScaler()
    types = [(draw.choice(("X", "float_input", "features")), FloatTensorType([None, 3]))]
    if mixed:
        types = [(name, TYPES[kind]([None, 1])) for name, kind in kinds.items()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = converted(draw, make_pipeline(first, chosen.last).fit(table, chosen.wanted), types, **chosen.options)
    gives = [item.name for item in made.graph.output]
    # Classifiers give the best label first, and KMeans the cluster.
    output = gives[-1]
    fields = [{"name": name, "type": FIELDS[kind]} for name, kind in kinds.items()]
    says = {
        "kind": "tabular",
        "fields": fields,
        **chosen.says,
        **({"output": output} if isinstance(chosen.last, KMeans) else {}),
    }
    return Made(
        made.SerializeToString(), says, rows[:5], lambda given: fed(given, kinds, types), output, chosen.broken,
        runs=not chosen.broken,
    )  # fmt: skip


def fed(given: Sequence[Row], kinds: Mapping[str, str], types: Sequence[tuple[str, Any]]) -> dict[str, Array]:
    if len(types) == 1:
        return {types[0][0]: np.array([[*row.values()] for row in given], np.float32)}
    numpy = {"float": np.float32, "int64": np.int64, "string": object}
    return {name: np.array([[row[name]] for row in given], numpy[kind]) for name, kind in kinds.items()}


def words(draw: Draw) -> Made:
    """A classifier of texts, which takes strings apart itself."""
    texts = [
        " ".join(draw.choice((*WORDS, "big", "small")) for _ in range(draw.randint(1, 6))) + " a" for _ in range(40)
    ]
    model = make_pipeline(TfidfVectorizer(token_pattern="[a-zA-Z]+", lowercase=False), LogisticRegression())
    model.fit(texts, ["big" in text for text in texts])
    made = converted(draw, model, [("text_in", StringTensorType([None, 1]))], zipmap=False)
    rows: list[Row] = [{"text": text} for text in texts[:5]]
    says = {"kind": "text", "labels": ["no", "yes"], "fields": [{"name": "text", "type": "string"}]}

    def given(rows: Sequence[Row]) -> dict[str, Array]:
        return {"text_in": np.array([[" ".join(row["text"].lower().split())] for row in rows], object)}

    return Made(made.SerializeToString(), says, rows, given, made.graph.output[1].name)
