"""What a job comes to. This is the one place that knows how it is stored; `jobs.told` knows how it is shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core import errors
from inference.output import Boxes, Embedding, Explanation, Label, Numbers, Object, Record, Said, Tags, Tensors, Text


@dataclass(frozen=True, slots=True)
class Fault:
    """Why one input of several has no answer: `code`, `message`, and what more there is to say."""

    error: Mapping[str, Any]

    @classmethod
    def of(cls, error: errors.CoatcheckError) -> Fault:
        return cls(errors.body(error, most=1))


@dataclass(frozen=True, slots=True)
class Several:
    """What was said to each input of a list, in its order."""

    items: Sequence[Said | Fault]


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows of a file were answered, and how many of them have an error; where the answers and the errors lie
    in our store, None where there are none; whether the client's own URL took the answers, None where it has none."""

    rows: int
    failed: int
    output_key: str | None = None
    errors_key: str | None = None
    sent: bool | None = None
    send_error: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """The answers to some rows of a file, at `key` in our store, and those of them that are errors at `errors_key`."""

    key: str
    rows: int
    failed: int
    errors_key: str | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A result too large for the database: an object of so many bytes, which holds it as v1 tells it; and another one,
    where more was said."""

    stored_key: str
    bytes: int

    @property
    def said_key(self) -> str:
        """Where it lies as it was said."""
        return f"{self.stored_key.removesuffix('.json')}.said.json"


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that a model gave, at `key` in our store."""

    name: str
    content_type: str
    bytes: int
    key: str


@dataclass(frozen=True, slots=True)
class WithFiles:
    """What was found in a whole file, and the files that were given beside it."""

    answer: Record | Stored
    files: Sequence[Kept]


Result = Said | Record | Several | Rows | Part | Stored | WithFiles

_FORMS: Mapping[str, type[Any]] = {
    "label": Label, "tags": Tags, "numbers": Numbers, "embedding": Embedding, "text": Text, "tensors": Tensors,
    "boxes": Boxes, "object": Object, "record": Record, "fault": Fault, "several": Several, "rows": Rows, "part": Part,
    "stored": Stored, "with_files": WithFiles,
}  # fmt: skip
#: By the only key of what is told of them.
_ALONE: Mapping[str, Callable[[Any], Result | Fault]] = {
    "embedding": Embedding, "text": Text, "tensors": Tensors, "boxes": Boxes, "record": Object, "error": Fault,
}  # fmt: skip
_NAMES = {form: name for name, form in _FORMS.items()}


def dump(result: Result | Fault) -> dict[str, Any]:
    """As JSON: `form` says which it is; what has no value is left out."""
    if isinstance(result, Several):
        return {"form": _NAMES[Several], "items": [dump(item) for item in result.items]}
    if isinstance(result, WithFiles):
        files = [dataclasses.asdict(file) for file in result.files]
        return {"form": _NAMES[WithFiles], "answer": dump(result.answer), "files": files}
    values = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    if values.get("explained") is not None:
        values["explained"] = dataclasses.asdict(values["explained"])
    return {"form": _NAMES[type(result)], **{name: value for name, value in values.items() if value is not None}}


def load(stored: Mapping[str, Any]) -> Any:
    """What `dump` made; raises Unavailable for a form that only a later release knows.

    Of what has no `form` its keys say which it is: a large result as v1 tells it, where no more was said, and what
    releases before 0011 stored.
    """
    values = dict(stored)
    name = values.pop("form", None)
    if name is None:
        return _told(stored)
    if name not in _FORMS:
        raise errors.Unavailable(f"Results of form '{name}' are unknown here: a later release wrote them")
    if name == _NAMES[Several]:
        return Several([load(item) for item in values["items"]])
    if name == _NAMES[WithFiles]:
        return WithFiles(load(values["answer"]), [Kept(**file) for file in values["files"]])
    if "explained" in values:
        values["explained"] = Explanation(**values["explained"])
    return _FORMS[name](**values)


def with_faults(several: Several, faults: Mapping[str, Mapping[str, Any]]) -> Several:
    """With the errors of a list's bad inputs in their places, which releases before 0007 kept with the job."""
    made = iter(several.items)
    places = map(str, range(len(several.items) + len(faults)))
    return Several([Fault(faults[place]["error"]) if place in faults else next(made) for place in places])


def _told(stored: Mapping[str, Any]) -> Result | Fault:
    if "predictions" in stored:
        return Several([load(item) for item in stored["predictions"]])
    about = stored.get("explanation", {})
    scores = stored.get("scores", about.get("scores", {}))
    why = _reasons(about) if "feature_importance" in about else None
    if stored.keys() in ({"tags"}, {"tags", "explanation"}):
        told = {tag["label"]: tag["confidence"] for tag in stored["tags"]}
        return Tags([*told], scores or told)
    if len(stored) == 1 and (key := next(iter(stored))) in _ALONE:
        return _ALONE[key](stored[key])
    if stored.keys() in ({"prediction"}, {"prediction", "explanation"}):
        said = stored["prediction"]
        return Numbers(said if isinstance(said, dict) else {"prediction": said}, why)
    if {"prediction", "confidence"} <= stored.keys():
        return Label(stored["prediction"], stored["confidence"], scores, why)
    for form in (Stored, Part, Rows):
        needed = {field.name for field in dataclasses.fields(form) if field.default is dataclasses.MISSING}
        if needed <= stored.keys():
            return form(**stored)
    return Record(stored)


def _reasons(about: Mapping[str, Any]) -> Explanation:
    """Of what is told of them; an exact one has no errors."""
    features = sorted(about["feature_importance"], key=lambda each: int(each.get("place", 0)))
    off = [each["std_error"] for each in features if "std_error" in each]
    named = {field.name for field in dataclasses.fields(Explanation)}
    rest = {name: value for name, value in about.items() if name in named}
    names, scores = [each["feature"] for each in features], [each["score"] for each in features]
    return Explanation(features=names, scores=scores, std_errors=off or None, **rest)
