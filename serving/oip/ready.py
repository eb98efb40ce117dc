"""Whether a model can be asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from core import errors
from registry.shelf import Shelf
from registry.versions import Resolved


def check(shelf: Shelf, readiness: Callable[[], Mapping[str, Any]], found: Resolved) -> None:
    """That it opens here, or that somebody works who runs it; raises ModelUnavailable."""
    if found.manifest.inline:
        try:
            shelf.predictor(found)
        except errors.BundleInvalid as error:
            raise errors.ModelUnavailable(str(error)) from error
    elif not readiness()["pools"].get(found.manifest.pool, {}).get("workers"):
        raise errors.ModelUnavailable(f"No worker of pool '{found.manifest.pool}', which runs it, has been heard of")
