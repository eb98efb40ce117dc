"""Whether a caller may hand in a file."""

from __future__ import annotations

from access import keys
from access.keys import Caller
from core import errors
from jobs import uploads
from serving.serving import Serving


def check(serving: Serving, caller: Caller, *, content_type: str, size: int) -> None:
    """Of so many bytes; raises InvalidInput, and Forbidden for a bundle that the caller may not publish, and where its
    tier has no uploads."""
    if content_type == uploads.BUNDLE:
        caller.require(keys.MODELS)
    if not caller.tier.max_uploads:
        raise errors.Forbidden(f"Tier '{caller.tier.name}' has no uploads", details={"limit": 0})
    limit = min(serving.settings.files.max_upload_bytes, caller.tier.max_upload_bytes)
    if size > limit:
        raise errors.InvalidInput.field("size", f"must be at most {limit} bytes", received=size)
