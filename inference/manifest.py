"""What `model.yaml` says: the bundle's promise, checked word by word."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml
from yaml.composer import ComposerError

from core import errors

FIELD_TYPES = ("string", "number", "integer", "boolean")
POOLS = ("cpu", "gpu")
EXPLANATIONS = ("simple",)
#: Kinds that take a file, with the fields as parameters, and give what is in it; all others take rows and give labels.
FILE_KINDS = ("audio", "document")
#: The largest model.yaml.
MAX_BYTES = 1 << 20
_MAX_UNITS = 2**31 - 1
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_VERSION = re.compile(r"\d+\.\d+\.\d+")


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
    max_batch: int = 32  #: inputs per ONNX run
    units: int = 1  #: what one input costs
    explanation: tuple[str, ...] = ()
    threshold_field: str | None = None  #: the input field below which the answer is `below_threshold`
    below_threshold: str | None = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)  #: what the kind needs to know

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Manifest:
        """Raises BundleInvalid naming what is missing, unknown or wrong."""
        values = _only(cls, raw, "model.yaml")
        values["fields"] = tuple(_field(item) for item in raw["fields"])
        golden = {"audio": _golden_file, "document": _golden_document}.get(str(raw["kind"]), _golden)
        values["golden"] = tuple(golden(item) for item in raw["golden"])
        for name in ("labels", "explanation"):
            values[name] = tuple(values.get(name, ()))
        manifest = cls(**values)
        _check(manifest)
        return manifest

    @property
    def takes_file(self) -> bool:
        return self.kind in FILE_KINDS

    def to_dict(self) -> dict[str, Any]:
        """What `from_dict` takes."""
        return dataclasses.asdict(self)


def load(folder: Path) -> Manifest:
    """Read `folder/model.yaml`; raises BundleInvalid."""
    path = folder / "model.yaml"
    try:
        with path.open("rb") as stream:
            text = stream.read(MAX_BYTES + 1)
        raw = yaml.load(text[:MAX_BYTES], _Plain)  # noqa: S506 - a SafeLoader
        # As it is kept: with texts for keys, 64 bits, and an end.
        orjson.dumps(raw)
    # A date that is none is a ValueError, what is nested without end a RecursionError.
    except (OSError, yaml.YAMLError, ValueError, RecursionError, orjson.JSONEncodeError) as error:
        raise errors.BundleInvalid(f"{path} cannot be read: {error}") from error
    if len(text) > MAX_BYTES:
        raise errors.BundleInvalid(f"{path} is larger than {MAX_BYTES} bytes")
    if not isinstance(raw, dict):
        raise errors.BundleInvalid(f"{path} must be a mapping")
    return Manifest.from_dict(raw)


class _Plain(yaml.SafeLoader):
    """Without aliases, a few lines of which stand for more than any memory holds, and without tags, which call for
    values that the text is not."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "tag", None) is not None:
            raise ComposerError(None, None, "found an alias or a tag; write the value", event.start_mark)
        return super().compose_node(parent, index)


def _only(cls: type[Any], raw: Mapping[str, Any], where: str) -> dict[str, Any]:
    known = {item.name: item for item in dataclasses.fields(cls)}
    if not isinstance(raw, Mapping):
        raise errors.BundleInvalid(f"{where} must be a mapping")
    if unknown := sorted(set(raw) - set(known)):
        raise errors.BundleInvalid(f"{where}: unknown: {', '.join(unknown)}")
    needed = {
        name
        for name, item in known.items()
        if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    }
    if missing := sorted(needed - set(raw)):
        raise errors.BundleInvalid(f"{where}: missing: {', '.join(missing)}")
    for name, value in raw.items():
        if not _is(value, str(known[name].type)):
            raise errors.BundleInvalid(f"{where}: {name} must be {_named(str(known[name].type))}")
    return dict(raw)


def _is(value: object, declared: str) -> bool:
    """Whether YAML's or JSON's value is one for a field that is declared so in the classes above."""
    if declared == "Any":
        return True
    wanted, _, or_none = declared.partition(" | ")
    if value is None or isinstance(value, bool):
        return or_none == "None" if value is None else wanted == "bool"
    return isinstance(value, (list, tuple) if wanted.startswith("tuple") else _TYPES[wanted])


_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "str": str,
    "bool": bool,
    "int": int,
    "float": (int, float),
    "Mapping[str, Any]": Mapping,
}


def _named(declared: str) -> str:
    wanted = declared.partition(" | ")[0].partition("[")[0]
    return _NAMES.get(wanted, "a list")


_NAMES = {
    "str": "a text",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "Mapping": "a mapping",
}


def _golden(raw: Mapping[str, Any]) -> Golden:
    return Golden(**_only(Golden, raw, "golden"))


def _golden_document(raw: Mapping[str, Any]) -> GoldenDocument:
    values = _with_file(GoldenDocument, raw)
    if not (isinstance(values["lines"], (list, tuple)) and all(isinstance(line, str) for line in values["lines"])):
        raise errors.BundleInvalid("golden: lines must be a list of texts")
    values["lines"] = tuple(values["lines"])
    return GoldenDocument(**values)


def _golden_file(raw: Mapping[str, Any]) -> GoldenFile:
    values = _with_file(GoldenFile, raw)
    if not (isinstance(values["segments"], (list, tuple)) and all(map(_is_segment, values["segments"]))):
        raise errors.BundleInvalid("golden: segments must be a list of {start, end} in seconds")
    values["segments"] = tuple(values["segments"])
    return GoldenFile(**values)


def _with_file(cls: type[Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    values = _only(cls, raw, "golden")
    if not isinstance(values["file"], str):
        raise errors.BundleInvalid("golden: file must be the name of a file")
    return values


def _is_segment(raw: object) -> bool:
    return (
        isinstance(raw, Mapping)
        and set(raw) == {"start", "end"}
        and all(isinstance(value, (int, float)) for value in raw.values())
    )


def _field(raw: Mapping[str, Any]) -> Field:
    values = _only(Field, raw, "fields")
    values["enum"] = tuple(values.get("enum", ()))
    field = Field(**values)
    if field.type not in FIELD_TYPES:
        raise errors.BundleInvalid(f"fields.{field.name}.type must be one of {', '.join(FIELD_TYPES)}")
    return field


def _check(manifest: Manifest) -> None:
    rules = {
        "name": bool(_NAME.fullmatch(str(manifest.name))),
        "version": bool(_VERSION.fullmatch(str(manifest.version))),
        "pool": manifest.pool in POOLS,
        "max_batch": 1 <= manifest.max_batch <= 4096,
        "units": 0 <= manifest.units <= _MAX_UNITS,
        "labels": _labels(manifest),
        "fields": len({field.name for field in manifest.fields}) == len(manifest.fields) > 0,
        "golden": len(manifest.golden) > 0,
        "explanation": all(level in EXPLANATIONS for level in manifest.explanation),
        "threshold_field": (manifest.threshold_field is None) == (manifest.below_threshold is None)
        and manifest.threshold_field in {None, *(field.name for field in manifest.fields)},
        "inline": not (manifest.inline and (manifest.pool != "cpu" or manifest.takes_file)),
    }
    if broken := [name for name, holds in rules.items() if not holds]:
        raise errors.BundleInvalid(f"model.yaml of {manifest.name}: wrong: {', '.join(broken)}")


def _labels(manifest: Manifest) -> bool:
    if manifest.takes_file:
        return not manifest.labels
    return len(manifest.labels) >= 2 and all(isinstance(label, str) for label in manifest.labels)
