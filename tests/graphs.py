"""Small bundles around graphs written as text, for what a model of somebody else's may do."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import onnx.parser
import yaml

import inference.bundle
from inference.bundle import Bundle
from inference.model import Model, Rows
from inference.output import Label

#: Two numbers a row, and the likelier of two labels is the larger one.
GOOD = "probabilities = Softmax <axis = 1> (features)"
VALUES = "<float zero = {0}, float[3] zeros = {0, 0, 0}, int64 column = {0}, int64[1] across = {1}>"
#: The same, after as many turns of a loop as the largest number of all rows says.
TURNS = """
  most = ReduceMax <keepdims = 0> (features) turns = Cast <to = 7> (most) go = Cast <to = 9> (turns)
  end = Loop (turns, go, features) <body = b (int64 turn, bool on, float[N, 2] x) => (bool again, float[N, 2] y) {
    again = Identity (on) nothing = Mul (x, zero) y = Add (x, nothing)
  }>
  probabilities = Softmax <axis = 1> (end)
"""
#: So many turns never end.
ENDLESS = 1e12
FIELDS = [{"name": "x", "type": "number"}, {"name": "y", "type": "number"}]
#: Of x = 2, y = 1.
CONFIDENCE = 0.731059


def pack(loaded: Bundle) -> bytes:
    """A bundle as the tar that is stored."""
    buffer = io.BytesIO()
    inference.bundle.write(loaded, buffer)
    return buffer.getvalue()


def graph(
    body: str, takes: str = "float[N, 2] features", gives: str = "float[N, 2] probabilities", opset: int = 17
) -> bytes:
    """An ONNX file; `body` is what is between the braces."""
    head = f'<ir_version: 10, opset_import: ["" : {opset}]> g ({takes}) => ({gives})'
    return bytes(onnx.parser.parse_model(f"{head} {VALUES} {{ {body} }}").SerializeToString())


def external(location: str) -> bytes:
    """As GOOD, after adding two numbers that lie in another file."""
    model = onnx.load_from_string(graph("sum = Add (features, more) probabilities = Softmax <axis = 1> (sum)"))
    more = onnx.TensorProto(name="more", data_type=1, dims=[2], data_location=onnx.TensorProto.EXTERNAL)
    more.external_data.add(key="location", value=location)
    model.graph.initializer.append(more)
    return bytes(model.SerializeToString())


def divides(dividend: str, divisor: str, operator: str = "Div", whole: int = 7) -> bytes:
    """As GOOD, beside a division that changes nothing."""
    kind = {6: "int32", 7: "int64"}[whole]
    return graph(
        f"whole = Cast <to = {whole}> (features) other = Abs (whole) minus = Constant <value = {kind}[1] {{-1}}> () "
        f"two = Constant <value = {kind}[1] {{2}}> () quotient = {operator} ({dividend}, {divisor}) "
        "back = Cast <to = 1> (quotient) nothing = Mul (back, zero) sum = Add (nothing, features) "
        "probabilities = Softmax <axis = 1> (sum)"
    )


def manifest(**says: Any) -> dict[str, Any]:
    """What model.yaml of such a bundle says; None leaves a key out."""
    golden = [
        {"inputs": {"x": 2, "y": 1}, "prediction": "a", "confidence": CONFIDENCE},
        {"inputs": {"x": 1, "y": 2}, "prediction": "b", "confidence": CONFIDENCE},
    ]
    full: Mapping[str, Any] = {
        "name": "small", "version": "1.0.0", "kind": "tabular", "summary": "Which is larger?", "licence": "Apache-2.0",
        "fields": FIELDS, "labels": ["a", "b"], "inline": True, "golden": golden, **says,
    }  # fmt: skip
    return {key: value for key, value in full.items() if value is not None}


def bundle(folder: Path, made: bytes | None = None, **says: Any) -> Path:
    """A folder with both."""
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(graph(GOOD) if made is None else made)
    (folder / "model.yaml").write_text(yaml.safe_dump(manifest(**says)))
    return folder


def doubling(folder: Path, name: str, dtype: str, onnx_type: str, shape: list[Any], wide: str) -> Path:
    """A folder with a model of tensors that doubles its `x`, as `y`; `shape` is that of a row, and `wide` the same in
    the graph's words."""
    field = {"name": "x", "type": "tensor", "dtype": dtype, "shape": shape}
    made = graph("y = Add (x, x)", f"{onnx_type}[N, {wide}] x", f"{onnx_type}[N, {wide}] y")
    golden = [{"inputs": {"x": [1, 2, 3]}, "tensors": {"y": [2, 4, 6]}}]
    gives = [{"name": "y", "dtype": dtype, "shape": [*shape]}]
    return bundle(folder, made, kind="tensor", name=name, fields=[field], labels=None, tensors=gives, golden=golden)


def plug_in(folder: Path, name: str, code: str, group: str = "coatcheck.kinds") -> None:
    """A package whose module of this name brings a kind, or what else there is of that group, of this name, once the
    folder is on the path."""
    about = folder / f"{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[{group}]\n{name} = {name}:Kind\n")
    (folder / f"{name}.py").write_text(code)


def labels(model: Model, rows: Rows) -> list[Label]:
    """What a classifier says to these rows."""
    said = model.predict(rows)
    found = [item for item in said if isinstance(item, Label)]
    assert len(found) == len(said)
    return found
