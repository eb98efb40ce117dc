"""`coatcheck models init`: what a trained object tells of its columns is in model.yaml, and what it answers is what the
object answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import yaml
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.feature_selection import RFE
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, OneHotEncoder, OrdinalEncoder

from inference.drafts import draft
from tests import graphs
from tests.cli.conftest import Run
from tests.cli.test_init import begun, refused, saved

RANDOM = np.random.default_rng(0)
CODES = RANDOM.integers(0, 4, 80)
NUMBERS = np.column_stack([CODES, RANDOM.random(80)])
#: Rows of a city, whether there is a lift, rooms and an area.
FLATS = np.array(
    [[city, lift, rooms, area] for city in ("Bern", "Genf") for lift in (True, False) for rooms in (2, 3)
     for area in (30.5, 80.5)], dtype=object)  # fmt: skip
RENT = np.array([200 * lift + 90 * rooms + 11 * area for _, lift, rooms, area in FLATS], dtype=float)
FIELDS = [
    {"name": "f0", "type": "string", "enum": ["Bern", "Genf"]},
    {"name": "f1", "type": "boolean"},
    {"name": "f2", "type": "integer", "enum": [2, 3]},
    {"name": "f3", "type": "number"},
]
FIX = "train make_pipeline(make_column_transformer((OrdinalEncoder(), [their columns]), remainder='passthrough'), "


def trees(**how: Any) -> Any:
    return lightgbm.LGBMRegressor(n_estimators=5, min_child_samples=2, verbose=-1, **how)


def says(run: Run, here: Path, model: object) -> dict[str, Any]:
    """What is in the model.yaml of a model that passes `check` as it is drawn."""
    found, text = begun(run, here, saved(here, "mine.joblib", model).name)
    assert found["issue"] is None
    drawn: dict[str, Any] = yaml.safe_load(text)
    return drawn


@pytest.mark.parametrize("columns", [[0, 1, 2], slice(0, 3)], ids=["places", "a slice"])
def test_a_column_is_of_the_type_of_its_categories_and_what_was_never_seen_is_not_taken(
    run: Run, tmp_path: Path, columns: Any
) -> None:
    encoder = make_column_transformer((OneHotEncoder(), columns), remainder="passthrough")
    model = make_pipeline(encoder, Ridge()).fit(FLATS, RENT)
    drawn = says(run, tmp_path, model)
    assert drawn["fields"] == FIELDS
    [golden] = drawn["golden"]
    assert golden["inputs"] == {"f0": "Bern", "f1": True, "f2": 2, "f3": 1}
    wanted = model.predict(np.array([["Bern", True, 2, 1]], dtype=object))[0]
    assert golden["prediction"] == pytest.approx(wanted, rel=1e-4)


def test_what_a_search_found_is_a_pipeline_as_any(run: Run, tmp_path: Path) -> None:
    encoder = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), [0, 1, 2]), remainder="passthrough")
    search = GridSearchCV(make_pipeline(encoder, Ridge()), {"ridge__alpha": [1, 2]}, cv=2).fit(FLATS, RENT)
    assert says(run, tmp_path, search)["fields"] == FIELDS


def test_the_comment_beside_a_number_says_what_else_it_may_be(run: Run, tmp_path: Path) -> None:
    for name, graph in {"one": graphs.graph(graphs.GOOD), "of": graphs.graph("both = Softmax (rest)",
                        "float[N, 1] age, float[N, 2] rest", "float[N, 2] both")}.items():  # fmt: skip
        (tmp_path / f"{name}.onnx").write_bytes(graph)
        _, text = begun(run, tmp_path, f"{name}.onnx")
        numbers = [line for line in text.splitlines() if "type: number" in line]
        told = "ay its minimum and maximum; integer if it is always whole, boolean if it is yes or no"
        assert [line for line in numbers if not line.endswith(told)] == []


def test_codes_that_lightgbm_was_given_are_whole(run: Run, tmp_path: Path) -> None:
    drawn = says(run, tmp_path, trees().fit(NUMBERS, CODES == 2, categorical_feature=[0]))
    assert [field["type"] for field in drawn["fields"]] == ["integer", "number"]


def test_what_turns_categories_into_codes_by_itself_is_refused_with_the_pipeline_that_takes_them(
    run: Run, tmp_path: Path
) -> None:
    coded = trees().fit(NUMBERS, CODES, categorical_feature=[0])
    # As of a DataFrame with a column of pandas' `category`.
    coded.booster_.pandas_categorical = [["Bern", "Genf"]]
    told = refused(run, saved(tmp_path, "mine.joblib", coded))
    assert f"holds a LGBMRegressor that was trained on categories by themselves, for which its graph {FIX}" in (
        told.replace("would take codes that no client knows: ", "")
    )
    histogram = HistGradientBoostingRegressor(max_iter=2, categorical_features=[0]).fit(NUMBERS, CODES)
    assert f"{FIX}HistGradientBoostingRegressor())" in refused(run, saved(tmp_path, "mine.joblib", histogram))
    encoder = make_column_transformer((OrdinalEncoder(), [0, 1, 2]), remainder="passthrough")
    drawn = says(run, tmp_path, make_pipeline(encoder, trees()).fit(FLATS, RENT))
    assert drawn["fields"] == FIELDS


@pytest.mark.parametrize(
    "model",
    [Normalizer("l1").fit(NUMBERS), LinearRegression().fit(NUMBERS, np.tile([0.25, 0.75], (80, 1)))],
    ids=["a transformer", "a regressor of shares"],
)
def test_numbers_that_are_one_together_are_no_labels_where_nothing_tells_classes_apart(
    run: Run, tmp_path: Path, model: Any
) -> None:
    assert "numbers" in says(run, tmp_path, model)


def test_one_that_ranks_gives_the_numbers_that_it_ranks_by(run: Run, tmp_path: Path) -> None:
    model = lightgbm.LGBMRanker(n_estimators=3, verbose=-1).fit(NUMBERS, CODES, group=[40, 40])
    drawn = says(run, tmp_path, model)
    assert drawn["golden"][0]["prediction"] == pytest.approx(model.predict(np.ones((1, 2)))[0], abs=1e-4)


def test_a_dataframe_of_pandas_tells_its_names_and_xgboost_its_types(run: Run, tmp_path: Path) -> None:
    pandas, xgboost = pytest.importorskip("pandas"), pytest.importorskip("xgboost")
    flats = pandas.DataFrame(FLATS[:, 1:], columns=["lift", "rooms", "area"])
    flats = flats.astype({"lift": bool, "rooms": int, "area": float})
    for class_ in (xgboost.XGBRegressor, xgboost.XGBRFRegressor, xgboost.XGBRanker):
        groups = {"qid": np.zeros(16, int)} if class_ is xgboost.XGBRanker else {}
        model = class_(n_estimators=3).fit(flats, np.arange(16), **groups)
        wanted = model.predict(flats.assign(lift=True, rooms=1, area=1.0)[:1])[0]
        drawn = says(run, tmp_path, model)
        assert [(field["name"], field["type"]) for field in drawn["fields"]] == [
            ("lift", "boolean"), ("rooms", "integer"), ("area", "number")]  # fmt: skip
        assert drawn["golden"][0]["prediction"] == pytest.approx(wanted, abs=1e-3)
        (tmp_path / "mine").rename(tmp_path / class_.__name__)
    (tmp_path / "city").mkdir()
    cities = flats.assign(city=pandas.Categorical(FLATS[:, 0]))
    for model in (trees(), xgboost.XGBRegressor(n_estimators=2, enable_categorical=True),
                  HistGradientBoostingRegressor(max_iter=2)):  # fmt: skip
        assert FIX in refused(run, saved(tmp_path / "city", "mine.joblib", model.fit(cities, RENT)))


def test_a_row_that_takes_no_time_to_speak_of_took_less_than_a_millisecond(run: Run, tmp_path: Path) -> None:
    assert (draft.told(0.0000123), draft.told(0.00321)) == ("less than 1 ms", "3.2 ms")
    (tmp_path / "mine.onnx").write_bytes(graphs.graph(graphs.GOOD))
    assert " 0.0 ms" not in begun(run, tmp_path, "mine.onnx")[1]


def test_which_columns_are_kept_is_no_answer(run: Run, tmp_path: Path) -> None:
    model = RFE(LogisticRegression(), n_features_to_select=1).fit(NUMBERS, CODES > 1)
    told = "holds a RFE, of which a graph gives the columns that it keeps, and no answer: train make_pipeline(RFE(…), "
    assert f"{told}LogisticRegression())" in refused(run, saved(tmp_path, "mine.joblib", model))
