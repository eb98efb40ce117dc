"""Builds model.onnx from scikit-learn's Wisconsin breast cancer data (569 rows, 30 named measurements) as that of 1.0.0
is, and usual.jsonl from 100 of the rows that it has learned from; prints the `fields` and `golden` parts of model.yaml.

Run: python bundles/tumor-2/train.py   (needs the [train] extra)
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import yaml
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split

HERE = Path(__file__).parent


def main() -> None:
    data = load_breast_cancer()
    names = [name.replace(" ", "_") for name in data.feature_names]
    labels = np.array([str(name) for name in data.target_names])[data.target]
    train_x, test_x, train_y, test_y = train_test_split(
        data.data.astype(np.float32), labels, test_size=0.25, stratify=labels, random_state=0
    )
    model = GradientBoostingClassifier(random_state=0).fit(train_x, train_y)
    onnx_model = to_onnx(
        model, initial_types=[("features", FloatTensorType([None, 30]))], options={"zipmap": False}, target_opset=17
    )
    (HERE / "model.onnx").write_bytes(onnx_model.SerializeToString())
    usual = train_x[np.random.default_rng(0).choice(len(train_x), 100, replace=False)]
    rows = [{name: round(float(value), 5) for name, value in zip(names, row, strict=True)} for row in usual]
    (HERE / "usual.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    session = onnxruntime.InferenceSession(str(HERE / "model.onnx"), providers=["CPUExecutionProvider"])
    predicted, probabilities = session.run(None, {"features": test_x})
    print(
        f"# held out {len(test_y)}  accuracy {np.mean(predicted == test_y):.4f}  "
        f"macro F1 {f1_score(test_y, predicted, average='macro'):.4f}  labels {list(model.classes_)}"
    )
    fields = [
        {"name": name, "type": "number", "minimum": 0, "maximum": float(np.ceil(column.max() * 10))}
        for name, column in zip(names, data.data.T, strict=True)
    ]
    golden = [
        {
            "inputs": {name: round(float(value), 5) for name, value in zip(names, test_x[row], strict=True)},
            "prediction": str(predicted[row]),
            "confidence": round(float(probabilities[row].max()), 4),
        }
        for row in (int(np.argmax(predicted == "benign")), int(np.argmax(predicted == "malignant")))
    ]
    print(yaml.safe_dump({"fields": fields, "golden": golden}, sort_keys=False, width=110))


if __name__ == "__main__":
    main()
