"""A bundle's promise: what its model.yaml says, once it has passed `inference.promise`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Kinds that take a file, with the fields as parameters, and give what is in it; all others take rows and give labels.
FILE_KINDS = ("audio", "document")
#: Those of rows that ship.
ROW_KINDS = ("tabular", "text", "tokens")


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


@dataclass(frozen=True)
class Golden:
    """An input with the answer that the model must give, checked at push and at load."""

    inputs: Mapping[str, Any]
    prediction: str
    confidence: float


@dataclass(frozen=True)
class GoldenFile:
    """A file of the bundle with the segments, in seconds, that the model must find in it."""

    file: str
    segments: tuple[Mapping[str, float], ...]
    inputs: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class GoldenDocument:
    """A file of the bundle with the lines of text, of all its pages, that the model must read in it."""

    file: str
    lines: tuple[str, ...]
    inputs: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Manifest:
    """A model version as its bundle describes it."""

    name: str
    version: str
    kind: str
    summary: str
    licence: str
    fields: tuple[Field, ...]
    golden: tuple[Golden | GoldenFile | GoldenDocument, ...]
    labels: tuple[str, ...] = ()
    pool: str = "cpu"
    inline: bool = False  #: light enough to be answered by the API itself
    max_batch: int = 32  #: inputs that the model is handed at once
    units: int = 1  #: what one input costs
    explanation: tuple[str, ...] = ()
    threshold_field: str | None = None  #: the input field below which the answer is `below_threshold`
    below_threshold: str | None = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)  #: what the kind needs to know

    @classmethod
    def from_dict(cls, checked: Mapping[str, Any]) -> Manifest:
        """Of what `promise.read` has let through, now or when it was published."""
        golden = {"audio": _golden_file, "document": _golden_document}.get(checked["kind"], _golden)
        return cls(
            **{
                **checked,
                "fields": tuple(Field(**{**raw, "enum": tuple(raw.get("enum", ()))}) for raw in checked["fields"]),
                "golden": tuple(map(golden, checked["golden"])),
                "labels": tuple(checked.get("labels", ())),
                "explanation": tuple(checked.get("explanation", ())),
            }
        )

    @property
    def takes_file(self) -> bool:
        return self.kind in FILE_KINDS

    @property
    def shares_runs(self) -> bool:
        """Whether rows that have nothing to do with each other may be in one ONNX run."""
        return self.max_batch > 1

    def to_dict(self) -> dict[str, Any]:
        """What `from_dict` takes."""
        return dataclasses.asdict(self)


def _golden(raw: Mapping[str, Any]) -> Golden:
    return Golden(**raw)


def _golden_file(raw: Mapping[str, Any]) -> GoldenFile:
    return GoldenFile(**{**raw, "segments": tuple(raw["segments"])})


def _golden_document(raw: Mapping[str, Any]) -> GoldenDocument:
    return GoldenDocument(**{**raw, "lines": tuple(raw["lines"])})
