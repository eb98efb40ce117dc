"""A result in the words of v1: as the API shows it, as webhooks tell it, and as it stands in files that jobs make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core import database
from inference.manifest import SHAP
from inference.output import Boxes, Embedding, Explanation, Label, Numbers, Object, Record, Said, Tags, Tensors, Text
from jobs.job import Claimed
from jobs.result import Fault, Part, Result, Rows, Several, Stored, WithFiles

#: A webhook carries a result up to this size; the receiver asks for a larger one.
MOST_BYTES = 8192


def v1(result: Result | Fault, explain: str) -> dict[str, Any]:
    """What is shown of it where that level of explanation was asked for; of files how much is in them."""
    match result:
        case Several():
            return {"predictions": [v1(item, explain) for item in result.items]}
        case Fault():
            return {"error": result.error}
        case Record():
            return dict(result.found)
        case Rows() | Part():
            return {"rows": result.rows, "failed": result.failed}
        case Stored():
            return {"bytes": result.bytes}
        case WithFiles():
            files = [
                {"name": kept.name, "content_type": kept.content_type, "bytes": kept.bytes} for kept in result.files
            ]
            return {**v1(result.answer, explain), "files": files}
        case said:
            return _answer(said, explain)


def tells_all(result: Result) -> bool:
    """Whether what v1 tells of it may be all that was said; of labels and tags there are scores."""
    said = result.items if isinstance(result, Several) else [result]
    return not any(isinstance(item, Label | Tags) for item in said)


def _answer(said: Said, explain: str) -> dict[str, Any]:
    match said:
        case Label():
            return {"prediction": said.label, "confidence": said.confidence, **_explained(said, explain)}
        case Tags():
            tags = [{"label": tag, "confidence": said.scores[tag]} for tag in said.tags]
            return {"tags": tags, **_explained(said, explain)}
        case Numbers():
            values = dict(said.values)
            told = values if len(values) > 1 else next(iter(values.values()))
            return {"prediction": told, **_explained(said, explain)}
        case Embedding():
            return {"embedding": list(said.vector)}
        case Object():
            return {"record": dict(said.value)}
        case Text():
            return {"text": said.text}
        case Tensors():
            return {"tensors": dict(said.tensors)}
        case Boxes():
            return {"boxes": [dict(box) for box in said.boxes]}


def _explained(found: Label | Tags | Numbers, explain: str) -> dict[str, Any]:
    if explain == SHAP and not isinstance(found, Tags):
        return {} if found.explained is None else {"explanation": _reasons(found.explained)}
    if explain and not isinstance(found, Numbers):
        return {"explanation": {"method": "scores", "scores": found.scores}}
    return {}


def _reasons(why: Explanation) -> dict[str, Any]:
    """What moved the answer most comes first, with its place among all; how far off a score may be is told where it is
    not exact."""
    off: Sequence[float | None] = why.std_errors or [None] * len(why.scores)
    features = [
        {"feature": feature, "place": place, "score": score, **({} if error is None else {"std_error": error})}
        for place, (feature, score, error) in enumerate(zip(why.features, why.scores, off, strict=True))
    ]
    return {
        "method": "SHAP",
        "feature_importance": sorted(features, key=lambda each: -abs(each["score"])),
        "algorithm": why.algorithm,
        "output": why.output,
        "scale": why.scale,
        "base_value": why.base_value,
        "value": why.value,
        "additivity_error": why.additivity_error,
        "evaluations": why.evaluations,
        **({"cut_short": True} if why.cut_short else {}),
    }


def to_receivers(job: Claimed, result: Result) -> str | None:
    """As JSON what receivers of its end are told, None where they have to ask; raises orjson.JSONEncodeError. Also for
    a job that has none yet: one may be registered before it ends."""
    if isinstance(result.answer if isinstance(result, WithFiles) else result, Stored):
        return None
    said = database.dumps(v1(result, explain_of(job)))
    return said if len(said.encode()) <= MOST_BYTES else None


def explain_of(job: Claimed) -> str:
    """The level of explanation that its client asked for."""
    return str(job.options.get("explain", ""))
