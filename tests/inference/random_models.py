"""ONNX models made at random on columns, with what model.yaml has to say of each and rows that it takes."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from inference import tensors

Array = np.ndarray[Any, Any]
Row = dict[str, Any]
Draw = random.Random

NAMES = (
    "x",
    "Größe",
    "a b",
    "in/0",
    "out.1",
    "0",
    "input",
    "日本",
    "probabilities",
    "data:0",
    "it's",
    'say "x"',
    "{x}",
    "%s",
)
OPSETS = (13, 15, 17, 19, 21)
COLUMNS = ("float", "double", "int64", "int32", "bool", "string")
WORDS = ("red", "grün", "", "b l u e")
TYPES = {
    "float": TensorProto.FLOAT, "double": TensorProto.DOUBLE, "float16": TensorProto.FLOAT16, "bool": TensorProto.BOOL,
    "string": TensorProto.STRING, **{f"{s}int{b}": getattr(TensorProto, f"{s}int{b}".upper())
                                     for s in ("", "u") for b in (8, 16, 32, 64)},
}  # fmt: skip
NUMPY = {known.onnx: known.numpy for known in tensors.DTYPES.values()}


@dataclass
class Made:
    """`fed` makes of rows what the graph takes, `broken` says what was done to it that must not be taken for right,
    `runs` whether it can be run all the same, and `shared` whether rows may be in one run."""

    graph: bytes
    says: dict[str, Any]
    rows: list[Row]
    fed: Callable[[Sequence[Row]], dict[str, Array]]
    output: str
    broken: str = ""
    shared: bool = True
    runs: bool = True

    def run(self, rows: Sequence[Row], threads: int) -> Any:
        """What ONNX Runtime gives, called plainly."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 4
        session = onnxruntime.InferenceSession(self.graph, options, providers=["CPUExecutionProvider"])
        return session.run([self.output], self.fed(rows))[0]


@dataclass
class Parts:
    """Of a graph that is being made."""

    draw: Draw
    names: list[str] = field(default_factory=lambda: list(NAMES))
    nodes: list[Any] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    takes: list[Any] = field(default_factory=list)
    gives: list[Any] = field(default_factory=list)
    count: int = 0

    def name(self) -> str:
        return self.names.pop(self.draw.randrange(len(self.names)))

    def node(self, operator: str, *takes: str, made: str = "", **how: Any) -> str:
        self.count += 1
        made = made or f"_{self.count}"
        self.nodes.append(helper.make_node(operator, takes, [made], **how))
        return made

    def value(self, value: Array) -> str:
        self.count += 1
        self.values.append(onnx.numpy_helper.from_array(value, f"_{self.count}"))
        return f"_{self.count}"

    def bytes(self) -> bytes:
        graph = helper.make_graph(self.nodes, "g", self.takes, self.gives, self.values)
        opsets = [helper.make_opsetid("", self.draw.choice(OPSETS)), helper.make_opsetid("ai.onnx.ml", 2)]
        return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


def plain(value: Any) -> Any:
    """As JSON has it, and no list twice, which YAML would point at."""
    return json.loads(json.dumps(value))


def cell(draw: Draw, kind: str) -> Any:
    match kind:
        case "string":
            return draw.choice(WORDS)
        case "bool":
            return draw.random() < 0.5
        case "int64" | "int32":
            return draw.randint(-5, 5)
    return round(draw.uniform(-3, 3), 3)


def column_field(draw: Draw, name: str, kind: str, into: str | None) -> dict[str, Any]:
    type_ = {"string": "string", "bool": "boolean", "int64": "integer", "int32": "integer"}.get(kind, "number")
    return {"name": name, "type": type_, **({} if into is None else {"input": into})}


def tabular(draw: Draw) -> Made:
    """A linear model on columns: all in a matrix, each by itself, or in groups."""
    parts, fields, groups = Parts(draw), list[dict[str, Any]](), list[tuple[str, str, list[str], bool]]()
    count = draw.choice((1, 1, 2, 3))
    axis: Any = draw.choice(("N", "batch size", None))
    alone = draw.random() < 0.15
    floats = []
    for _ in range(count):
        kind, width, into = draw.choice(COLUMNS), draw.randint(1, 3), parts.name()
        flat = width == 1 and draw.random() < 0.4
        names = [f"{into}.{place}" if width > 1 or draw.random() < 0.5 else into for place in range(width)]
        said = None if count == 1 or names == [into] else into
        fields += [column_field(draw, name, kind, said) for name in names]
        groups.append((into, kind, names, flat))
        shape = [1 if alone else axis] + ([] if flat else [width])
        parts.takes.append(helper.make_tensor_value_info(into, TYPES[kind], shape))
        number = into
        if kind == "string":
            keys: dict[str, Any] = {"keys_strings": list(WORDS), "values_floats": [0.5, 1.5, -1.0, 2.0]}
            number = parts.node("LabelEncoder", into, domain="ai.onnx.ml", default_float=0.0, **keys)
        elif kind != "float":
            number = parts.node("Cast", into, to=TensorProto.FLOAT)
        floats.append(parts.node("Reshape", number, parts.value(np.array([-1, width], np.int64))) if flat else number)
    draw.shuffle(fields)
    rows = [{f["name"]: None for f in fields} for _ in range(5)]
    for _, kind, names, _flat in groups:
        for row in rows:
            row.update({name: cell(draw, kind) for name in names})
    order = [f["name"] for f in fields]
    handed = [(i, k, sorted(n, key=order.index), f) for i, k, n, f in groups]

    def fed(given: Sequence[Row]) -> dict[str, Array]:
        return {
            into: np.array([[row[name] for name in names] for row in given], NUMPY[kind]).reshape(
                (len(given),) if flat else (len(given), len(names))
            )
            for into, kind, names, flat in handed
        }

    whole = floats[0] if count == 1 else parts.node("Concat", *floats, axis=1)
    says = {"kind": "tabular", "fields": fields, "max_batch": 1 if alone else 32}
    width = sum(len(names) for _, _, names, _ in groups)
    return head(parts, whole, width, Made(b"", says, rows, fed, "", shared=not alone), axis)


def head(parts: Parts, whole: str, width: int, made: Made, axis: Any) -> Made:
    """What comes of columns of floats: labels, tags, numbers, a vector, tensors or a text."""
    draw, says, out = parts.draw, made.says, parts.name()
    kind = draw.choice((*HEADS, "labels"))
    if draw.random() < 0.25:
        made.broken = draw.choice(("an input", "an output", "a type", "too many", "is not finite", "mixes rows"))
    if (kind == "text" and made.broken in ("too many", "is not finite", "mixes rows")) or not made.shared:
        # There the graph is right.
        made.broken = ""
    if made.broken == "mixes rows":
        total = parts.node("ReduceSum", whole, parts.value(np.array([0], np.int64)), keepdims=1)
        whole = parts.node("Add", whole, total)
    elif made.broken == "is not finite":
        whole = parts.node("Log", parts.node("Neg", parts.node("Exp", whole)))
    count = draw.randint(2, 4)
    weights = np.array([[draw.uniform(-0.6, 0.6) for _ in range(count)] for _ in range(width)], np.float32)
    if kind in ("labels", "numbers") and draw.random() < 0.4:
        weights = weights[:, :1]
    scores = parts.node("MatMul", whole, parts.value(weights))
    columns = weights.shape[1]
    told = 2 if kind == "labels" and columns == 1 else columns
    names = [f"{kind} {place}" for place in range(told + (made.broken == "too many"))]
    says["exactly"] = made.broken == ""
    HEADS[kind](parts, says, scores, out, names, [axis, columns])
    del says["exactly"]
    made.output = out
    if draw.random() < 0.3:
        other = parts.name()
        parts.node("Identity", scores, made=other)
        parts.gives.append(helper.make_tensor_value_info(other, TensorProto.FLOAT, [axis, columns]))
        if kind != "tensors":
            says["output"] = out
    draw.shuffle(parts.gives)
    spoil(made, parts)
    made.graph = parts.bytes()
    return made


def spoil(made: Made, parts: Parts) -> None:
    """What can be wrong in model.yaml alone."""
    says = made.says
    if made.broken == "an input":
        says["fields"][0]["input"] = "nothing of this name"
    elif made.broken == "an output" and "tensors" in says:
        says["tensors"][0]["output"] = "nothing of this name"
    elif made.broken == "an output":
        says["output"] = "nothing of this name"
    elif made.broken == "a type":
        wrong = "number" if says["fields"][0]["type"] == "string" else "string"
        says["fields"][0] |= {"type": wrong}
        name = says["fields"][0]["name"]
        for row in made.rows:
            row[name] = 1.5 if wrong == "number" else "a"
        made.runs = False


def labelled(parts: Parts, says: dict[str, Any], scores: str, out: str, names: list[str], shape: list[Any]) -> None:
    says["labels"] = names
    if shape[1] == 1:
        flat = parts.draw.random() < 0.5
        one = parts.node("Sigmoid", scores)
        parts.node("Reshape", one, parts.value(np.array([-1] if flat else [-1, 1], np.int64)), made=out)
        parts.gives.append(helper.make_tensor_value_info(out, TensorProto.FLOAT, shape[: 1 if flat else 2]))
    elif parts.draw.random() < 0.3:
        likely = parts.node("Softmax", scores, axis=1)
        keys = (
            {"classlabels_strings": names[: shape[1]]}
            if parts.draw.random() < 0.5
            else {"classlabels_int64s": list(range(shape[1]))}
        )
        parts.node("ZipMap", likely, made=out, domain="ai.onnx.ml", **keys)
        key = TensorProto.STRING if "classlabels_strings" in keys else TensorProto.INT64
        value = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
        maps = helper.make_map_type_proto(key, value)
        parts.gives.append(helper.make_value_info(out, helper.make_sequence_type_proto(maps)))
    else:
        parts.node("Softmax", scores, made=out, axis=1)
        parts.gives.append(helper.make_tensor_value_info(out, TensorProto.FLOAT, shape))


def tagged(parts: Parts, says: dict[str, Any], scores: str, out: str, names: list[str], shape: list[Any]) -> None:
    says |= {"tags": names, "at_least": parts.draw.choice((None, 0.3, 0.9))}
    parts.node("Sigmoid", scores, made=out)
    parts.gives.append(helper.make_tensor_value_info(out, TensorProto.FLOAT, shape))


def numbered(parts: Parts, says: dict[str, Any], scores: str, out: str, names: list[str], shape: list[Any]) -> None:
    says["numbers"] = [{"name": name} for name in names]
    kind = parts.draw.choice(("float", "double"))
    if shape[1] == 1 and parts.draw.random() < 0.5:
        scores, shape = parts.node("Reshape", scores, parts.value(np.array([-1], np.int64))), shape[:1]
    parts.node("Cast", scores, made=out, to=TYPES[kind])
    parts.gives.append(helper.make_tensor_value_info(out, TYPES[kind], shape))


def embedded(parts: Parts, says: dict[str, Any], scores: str, out: str, names: list[str], shape: list[Any]) -> None:
    says["embedding"] = len(names)
    parts.node("Cast", scores, made=out, to=TensorProto.FLOAT16)
    parts.gives.append(helper.make_tensor_value_info(out, TensorProto.FLOAT16, shape))


def shaped(parts: Parts, says: dict[str, Any], scores: str, out: str, names: list[str], shape: list[Any]) -> None:
    whole = [name for name in TYPES if name not in ("string", "float16") and name[0] != "u"]
    kind = parts.draw.choice(whole) if says["exactly"] else "float"
    dtype = next(name for name, known in tensors.DTYPES.items() if known.onnx == kind)
    sizes = [len(names), 1]
    says["tensors"] = [{"name": "mine", "dtype": dtype, "shape": sizes, "output": out}]
    cast = parts.node("Cast", scores, to=TYPES[kind])
    parts.node("Reshape", cast, parts.value(np.array([-1, shape[1], 1], np.int64)), made=out)
    parts.gives.append(helper.make_tensor_value_info(out, TYPES[kind], [shape[0], shape[1], 1]))


def written(parts: Parts, says: dict[str, Any], scores: str, out: str, names: list[str], shape: list[Any]) -> None:
    says["text"] = True
    best = parts.node("ArgMax", scores, axis=1, keepdims=0)
    keys = {
        "keys_int64s": list(range(shape[1])),
        "values_strings": [f"{WORDS[0]}\n{name}" for name in names[: shape[1]]],
    }
    parts.node("LabelEncoder", best, made=out, domain="ai.onnx.ml", **keys)
    parts.gives.append(helper.make_tensor_value_info(out, TensorProto.STRING, shape[:1]))


HEADS: Mapping[str, Callable[[Parts, dict[str, Any], str, str, list[str], list[Any]], None]] = {
    "labels": labelled, "tags": tagged, "numbers": numbered, "embedding": embedded, "tensors": shaped, "text": written,
}  # fmt: skip
