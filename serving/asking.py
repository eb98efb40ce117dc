"""What a request says beside what it asks: which version, and on whose behalf."""

from __future__ import annotations

import re

from core import errors

_ROUTE_KEY = re.compile(r"[ -~]{1,128}")


def version(header: str | None, said: str | None) -> str | None:
    """The version that X-Model-Version or the request itself pins; raises InvalidInput where they disagree."""
    if header == "":
        raise errors.InvalidInput.field("X-Model-Version", "must not be empty: leave it out to pin no version")
    if header and said and header.removeprefix("v") != said.removeprefix("v"):
        raise errors.InvalidInput.field("model_version", f"is {said}, but the header X-Model-Version says {header}")
    return header or said


def route_key(given: str | None) -> str | None:
    """What X-Route-Key says; raises InvalidInput."""
    if given is not None and not _ROUTE_KEY.fullmatch(given):
        raise errors.InvalidInput.field("X-Route-Key", "must be 1 to 128 printable ASCII characters", received=given)
    return given
