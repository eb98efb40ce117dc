"""An input has the same exact reasons to the last digit, alone and in company: requests and files are answered so."""

from __future__ import annotations

from pathlib import Path

import pytest
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType

from inference.output import Label, Numbers
from tests.inference.test_exact import TRAINED, USUAL, data, explained, made, row_of


@pytest.mark.parametrize("name", ["boosted", "forest of three", "line", "scaled line"])
def test_company_changes_no_digit(name: str, tmp_path: Path) -> None:
    estimator, classes, _ = TRAINED[name]
    rows, target = data(classes)
    trained = to_onnx(
        estimator.fit(rows, target), initial_types=[("features", FloatTensorType([None, 5]))],
        options={"zipmap": False} if classes else None, target_opset=17,
    )  # fmt: skip
    groups = {"some": ["a", "c", "d"]}
    opened = made(tmp_path / "b", trained.SerializeToString(), rows[:USUAL], classes, groups=groups)
    together = [row_of(row) for row in rows[20:90]]
    said = opened.explained(together, opened.predict(together))
    for row, one in zip(rows[20:90], said, strict=True):
        alone, _ = explained(opened, row)
        assert isinstance(one, Label | Numbers)
        assert one.explained is not None
        assert (one.explained.scores, one.explained.base_value) == (alone.scores, alone.base_value)
        assert one.explained.value == alone.value
