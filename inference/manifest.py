"""A bundle's promise: what its model.yaml says, once it has passed `inference.promise`."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core import errors

#: Releases before these keys know none of them.
NEWER = (
    "numbers", "embedding", "output", "input", "tags", "at_least", "text", "tensors", "dtype", "shape", "record",
    "boxes", "explain", "cache",
)  # fmt: skip

#: The level of explanation that says how much each feature moved the answer.
SHAP = "shap"


@dataclass(frozen=True)
class Field:
    """One input field, its type and its limits."""

    name: str
    type: str
    description: str = ""
    required: bool = True
    default: Any = None
    min_length: int | None = None
    max_length: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    enum: tuple[Any, ...] = ()
    input: str | None = None  #: of the graph, where it has another name
    dtype: str | None = None  #: of a tensor
    shape: tuple[int | None, ...] | None = None  #: of a tensor; None for any size

    @property
    def always(self) -> bool:
        """Whether there is a value in every input."""
        return self.required or self.default is not None


@dataclass(frozen=True)
class Number:
    """One of the numbers that a model gives."""

    name: str
    unit: str = ""
    description: str = ""


@dataclass(frozen=True)
class Tensor:
    """One of the tensors that a model gives."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]  #: None for any size
    description: str = ""
    output: str | None = None  #: of the graph, where it has another name


@dataclass(frozen=True)
class Boxes:
    """Boxes that a model gives, and from which outputs of its graph: one with six columns, or one beside `scores` and
    `classes`, or beside the scores of all classes and what was `selected` of them."""

    labels: tuple[str, ...]  #: of the classes, from `first_class` on
    boxes: str | None = None
    scores: str | None = None
    classes: str | None = None
    selected: str | None = None  #: as ONNX's NonMaxSuppression gives it
    count: str | None = None  #: how many boxes of a row there are; the others fill up
    format: str = "xyxy"
    units: str = "pixels"
    first_class: int = 0
    at_least: float = 0.5


@dataclass(frozen=True)
class Explain:
    """How SHAP values are made: `exact`, from the graph alone, or `sampled`, by so many questions; against the usual
    inputs in the file `background`, with the fields of a group as one feature. Each costs so many units more."""

    method: str
    background: str | None = None
    groups: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    evaluations: int = 512
    units: int = 1


@dataclass(frozen=True)
class Golden:
    """An input, or a file of the bundle with its parameters, and the answer that the model must give, checked at push
    and at load; how an answer is written is its kind's matter."""

    inputs: Mapping[str, Any]
    file: str | None
    answer: Mapping[str, Any]

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Golden:
        """What is neither input nor file is the answer."""
        answer = {name: value for name, value in raw.items() if name not in ("inputs", "file")}
        return cls(raw.get("inputs", {}), raw.get("file"), answer)

    def to_dict(self) -> dict[str, Any]:
        """What `from_dict` takes."""
        return {"inputs": self.inputs, **({} if self.file is None else {"file": self.file}), **self.answer}


@dataclass(frozen=True, eq=False)
class Manifest:
    """A model version as its bundle describes it."""

    name: str
    version: str
    kind: str
    summary: str
    licence: str
    fields: tuple[Field, ...]
    golden: tuple[Golden, ...]
    labels: tuple[str, ...] = ()  #: what comes out: these, or
    numbers: tuple[Number, ...] = ()
    embedding: int | None = None  #: a vector of so many numbers
    tags: tuple[str, ...] = ()  #: those that are likely enough
    at_least: float | None = None  #: and how likely that is
    text: bool = False
    tensors: tuple[Tensor, ...] = ()
    boxes: Boxes | None = None
    record: Mapping[str, Any] = dataclasses.field(default_factory=dict)  #: of each value the JSON Schema
    output: str | None = None  #: of the graph, where more than one can be the answer
    pool: str = "cpu"
    inline: bool = False  #: light enough to be answered by the API itself
    max_batch: int = 32  #: inputs that the model is handed at once
    units: int = 1  #: what one input costs
    cache: bool | None = None  #: whether answers are kept; None for who asks for that
    explanation: tuple[str, ...] = ()
    explain: Explain | None = None  #: of the level SHAP
    threshold_field: str | None = None  #: the input field below which the answer is `below_threshold`
    below_threshold: str | None = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)  #: what the kind needs to know

    @classmethod
    def from_dict(cls, checked: Mapping[str, Any]) -> Manifest:
        """Of what `promise.read` has let through, now or when it was published."""
        boxes, explain = checked.get("boxes"), checked.get("explain")
        return cls(
            **{
                **checked,
                "fields": tuple(map(_field, checked["fields"])),
                "golden": tuple(map(Golden.from_dict, checked["golden"])),
                "labels": tuple(checked.get("labels", ())),
                "numbers": tuple(Number(**raw) for raw in checked.get("numbers", ())),
                "tags": tuple(checked.get("tags", ())),
                "tensors": tuple(Tensor(**{**raw, "shape": tuple(raw["shape"])}) for raw in checked.get("tensors", ())),
                "boxes": None if boxes is None else Boxes(**{**boxes, "labels": tuple(boxes["labels"])}),
                "explanation": tuple(checked.get("explanation", ())),
                "explain": None if explain is None else _explain(explain),
            }
        )

    @functools.cached_property
    def file_types(self) -> tuple[str, ...]:
        """What the file may be that the model takes whole; none, if it takes rows alone. Where its kind is not
        installed, nobody knows better."""
        from inference import kinds

        with contextlib.suppress(errors.BundleInvalid):
            return kinds.find(self.kind).takes(self)
        return ()

    @functools.cached_property
    def takes_rows(self) -> bool:
        """Whether it takes inputs, in requests and in files of rows; it may take a file as well."""
        from inference import kinds

        with contextlib.suppress(errors.BundleInvalid):
            return kinds.find(self.kind).takes_rows
        return True

    @property
    def output_schema(self) -> dict[str, Any]:
        """What it answers in the words of v1, as JSON Schema 2020-12; of a kind that is not installed here nobody knows
        more than that it is an object."""
        from inference import kinds

        with contextlib.suppress(errors.BundleInvalid):
            return kinds.find(self.kind).output_schema(self)
        return {"type": "object"}

    @property
    def classes(self) -> Sequence[str]:
        """What it may answer: labels, tags, or the names of what it finds in pictures."""
        return self.labels or self.tags or (self.boxes.labels if self.boxes else ())

    @property
    def takes_file(self) -> bool:
        return bool(self.file_types)

    @property
    def shares_runs(self) -> bool:
        """Whether rows that have nothing to do with each other may be in one ONNX run."""
        return self.max_batch > 1

    def asked_apart(self, level: str) -> bool:
        """Whether reasons on this level take so many questions that they are a job of their own kind."""
        return level == SHAP and self.explain is not None and self.explain.method == "sampled"

    def cost(self, level: str) -> int:
        """What one input costs in units, explained on this level."""
        more = self.explain.units if level == SHAP and self.explain is not None else 0
        return self.units + more

    def to_dict(self) -> dict[str, Any]:
        """What `from_dict` takes, of this release and of those before the keys of NEWER, as long as none is used."""
        found = {**dataclasses.asdict(self), "golden": [golden.to_dict() for golden in self.golden]}
        return _known(Manifest, found) | {"fields": [_known(Field, raw) for raw in found["fields"]]}


def _explain(raw: Mapping[str, Any]) -> Explain:
    return Explain(**{**raw, "groups": {name: tuple(fields) for name, fields in raw.get("groups", {}).items()}})


def _field(raw: Mapping[str, Any]) -> Field:
    shape = raw.get("shape")
    return Field(**{**raw, "enum": tuple(raw.get("enum", ())), "shape": None if shape is None else tuple(shape)})


def _known(of: type[Field | Manifest], raw: Mapping[str, Any]) -> dict[str, Any]:
    """Without the keys of NEWER that say no more than they do where they are left out."""
    newer = [field for field in dataclasses.fields(of) if field.name in NEWER]
    # A mapping has no default, as each manifest is made one of its own.
    unsaid = {field.name: {} if field.default is dataclasses.MISSING else field.default for field in newer}
    return {key: value for key, value in raw.items() if key not in unsaid or value != unsaid[key]}
