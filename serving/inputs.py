"""Whether what was handed in fits the model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from core import errors
from inference import schema
from inference.manifest import SHAP, Manifest
from jobs.job import ReturnErrors
from registry.versions import Resolved
from serving.serving import Serving
from serving.values import Ask

#: What `explain: true` means: the best level that the model offers.
BEST = "best"
#: Inputs of one request whose reasons take hundreds of questions each.
MOST_ASKED = 16


def resolve(serving: Serving, ask: Ask) -> Resolved:
    """The version that answers; raises ModelNotFound, VersionNotFound, VersionRetired, Forbidden for a model that the
    key is not for, Unavailable."""
    resolved = serving.catalog.resolve(ask.model, ask.version, ask.unit)
    ask.caller.bounds.check_model(resolved.model)
    return resolved


@contextmanager
def asked_of(resolved: Resolved) -> Iterator[None]:
    """Around all that is asked of a version: whoever gets no answer is told of which, unless it is a job's of another,
    and who breaks its rules is led to them."""
    try:
        yield
    except errors.CoatcheckError as error:
        error.served = error.served or (resolved.version, resolved.route)
        if isinstance(error, errors.InvalidInput):
            error.see = (resolved.model, resolved.version)
        raise


def takes_rows(resolved: Resolved) -> Resolved:
    """Raises InvalidInput for a model whose input is a file."""
    if not resolved.manifest.takes_rows:
        issue = f"{resolved.model} takes a file: POST /api/jobs with upload_id or input_url"
        raise errors.InvalidInput.field("model", issue)
    return resolved


def one(manifest: Manifest, raw: object) -> dict[str, Any]:
    """One checked input; raises InvalidInput."""
    return schema.validate_inputs(manifest, raw)


def many(
    manifest: Manifest, raw: list[Any], return_errors: str, *, most: int
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """The good inputs of a list in order, and by their places the errors of the others; raises InvalidInput naming the
    item if none may be bad, BatchTooLarge."""
    limit(len(raw), most)
    good: list[dict[str, Any]] = []
    refused: dict[str, dict[str, Any]] = {}
    for place, item in enumerate(raw):
        try:
            good.append(schema.validate_inputs(manifest, item, name=f"inputs.{place}"))
        except errors.InvalidInput as error:
            if return_errors != ReturnErrors.INDIVIDUAL:
                raise
            refused[str(place)] = {"error": errors.body(error, most=1)}
    return good, refused


def most(manifest: Manifest, level: str, usual: int) -> int:
    """How many inputs a list may have that is explained on this level, where it may usually have so many."""
    return min(usual, MOST_ASKED) if manifest.asked_apart(level) else usual


def in_file(resolved: Resolved, level: str) -> None:
    """Raises InvalidInput where rows of a file cannot be explained on this level: each would be many questions."""
    if resolved.manifest.asked_apart(level):
        issue = f"{level} asks {resolved.model} hundreds of times for each input: hand in up to {MOST_ASKED} as inputs"
        raise errors.InvalidInput.field("options.explain", issue)


def limit(count: int, most: int) -> None:
    """Raises InvalidInput, BatchTooLarge."""
    if not count:
        raise errors.InvalidInput.field("inputs", "must not be empty")
    if count > most:
        raise errors.BatchTooLarge(
            errors=[{"field": "inputs", "issue": f"exceeds maximum of {most} items", "received_length": count}]
        )


def explain(resolved: Resolved, ask: Ask, *asked: str | None) -> str:
    """The level asked for in one place or the other, if the model offers it; raises InvalidInput."""
    level = _level(resolved, *asked)
    if ask.tolerance is not None and level != SHAP:
        raise errors.InvalidInput.field(
            "options.explain_tolerance", f"is for explanations: say options.explain: {SHAP}"
        )
    if ask.strict and ask.tolerance is None:
        raise errors.InvalidInput.field("options.explain_strict", "is for options.explain_tolerance: say one")
    return level


def _level(resolved: Resolved, *asked: str | None) -> str:
    levels = {level for level in asked if level is not None} or {""}
    if len(levels) > 1:
        raise errors.InvalidInput.field("options.explain", "says something other than ?explain in the address")
    level, offered = levels.pop(), resolved.manifest.explanation
    if level == BEST and offered:
        return offered[-1]
    if level and level not in offered:
        said, offers = "true" if level == BEST else level, ", ".join(offered) or "none"
        issue = f"'{said}' is not offered by {resolved.model} {resolved.version}; it offers: {offers}"
        raise errors.InvalidInput.field("options.explain", issue)
    return level
