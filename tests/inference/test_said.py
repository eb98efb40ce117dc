"""What a model's failures say: to clients the class alone, to operators all, on one line of bounded length."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import errors
from inference import bundle, model, opened
from inference.given import floats, probabilities
from inference.model import Model
from tests import graphs


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("one\n two\t three", "one two three"), ("", "ValueError"), (" \n", "ValueError"),
        ("x" * 500, "x" * 500), ("x" * 501, f"{'x' * 500}…"),
        ("[ONNXRuntimeError] : 1 : FAIL : Load model failed", "Load model failed"),
        ("a /onnxruntime_src/core/a.cc:12 void f(int) failed", "a failed"),
    ],
)  # fmt: skip
def test_an_error_is_said_on_one_line_without_noise(text: str, says: str) -> None:
    assert opened.said(ValueError(text)) == says


def failed(cause: BaseException | None, **details: str) -> errors.CoatcheckError:
    made = errors.ModelError("It failed")
    made.details.update(details)
    made.__cause__ = cause
    return made


@pytest.mark.parametrize(
    ("cause", "details", "says"),
    [
        (None, {}, "It failed"),
        (None, {"field": "x", "issue": "is odd"}, "It failed: x is odd"),
        (None, {"issue": "is odd"}, "It failed: is odd"),
        (ValueError("no"), {}, "It failed. Python says: no"),
        (ValueError("no"), {"field": "x", "issue": "is odd"}, "It failed: x is odd. Python says: no"),
    ],
)
def test_operators_are_told_what_was_said_underneath(
    cause: BaseException | None, details: dict[str, str], says: str
) -> None:
    assert opened.why(failed(cause, **details)) == says


@pytest.fixture
def small(tmp_path: Path) -> Model:
    found = model.open_model(bundle.load(graphs.bundle(tmp_path / "bundle")))
    assert isinstance(found, Model)
    return found


def test_what_onnx_runtime_said_has_its_name(small: Model) -> None:
    with pytest.raises(errors.ModelError) as caught, small._answering(None):
        small._session.run(["nothing"], {})
    assert caught.value.message == "small failed: ValueError"
    with pytest.raises(errors.ModelError) as caught, small._answering(None):
        small._session.run(None, {"features": np.zeros((2, 3), np.float32)})
    assert caught.value.message == "small failed: InvalidArgument"
    assert ". ONNX Runtime says: Got invalid dimensions" in opened.why(caught.value)


def test_a_lack_of_memory_may_be_tried_again_and_what_the_platform_says_itself_stays_as_it_is(small: Model) -> None:
    with (
        pytest.raises(errors.OutOfMemory, match=r"^small has not enough memory for this input$"),
        small._answering(None),
    ):
        raise MemoryError
    with pytest.raises(errors.InputTooLarge, match=r"^as it is$"), small._answering(None):
        raise errors.InputTooLarge("as it is")


@pytest.mark.parametrize(
    ("given", "shape", "says"),
    [
        (np.zeros((2, 3), np.float32), (2, 3), None), (np.zeros((2, 3), np.float64), (None, 3), None),
        (np.zeros((2, 3), np.float16), (2, None), None),
        (np.zeros((2, 3), np.float32), (3, 3), "float32 [2, 3], but must give floats [3, 3]"),
        (np.zeros((2, 3), np.float32), (None, 2), "float32 [2, 3], but must give floats [*, 2]"),
        (np.zeros((2, 3), np.float32), (2,), "float32 [2, 3], but must give floats [2]"),
        (np.zeros((2,), np.float32), (2, 3), "float32 [2], but must give floats [2, 3]"),
        (np.zeros((2,), np.int64), (2,), "int64 [2], but must give floats [2]"),
        (np.array(["a"], object), (1,), "text [1], but must give floats [1]"),
        (np.array(["a"]), (1,), "text [1], but must give floats [1]"),
        ([{"a": 1}], (1,), "a list of dict, but must give floats [1]"),
        ([], (1,), "a list, but must give floats [1]"),
        (None, (1,), "a NoneType, but must give floats [1]"),
    ],
)  # fmt: skip
def test_what_a_graph_gives_is_floats_of_the_shape_that_is_wanted(
    given: Any, shape: tuple[int | None, ...], says: str | None
) -> None:
    if says is None:
        assert floats("small", "out", given, *shape) is given
    else:
        with pytest.raises(errors.ModelError) as caught:
            floats("small", "out", given, *shape)
        assert caught.value.message == f"small gave 'out' as {says}"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_no_answer(value: float) -> None:
    with pytest.raises(errors.ModelError, match=r"^small gave 'out' with a number that is not finite$"):
        floats("small", "out", np.array([0, value]), 2)


@pytest.mark.parametrize(
    ("value", "becomes"),
    [(0, 0), (1, 1), (0.5, 0.5), (1.0009, 1), (-0.0009, 0), (1.0011, None), (-0.0011, None), (7, None), (-7, None)],
)
def test_a_probability_may_be_rounded_over_its_end_a_little(value: float, becomes: float | None) -> None:
    given = np.array([0.5, value])
    if becomes is not None:
        assert probabilities("small", "out", given, 2).tolist() == [0.5, becomes]
    else:
        with pytest.raises(errors.ModelError) as caught:
            probabilities("small", "out", given, 2)
        issue = f"with {value:g}, which is no probability: end the graph with a softmax or a sigmoid"
        assert caught.value.message == f"small gave 'out' {issue}"
