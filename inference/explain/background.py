"""The rows that stand for what is usual, as a bundle has them: a line of JSON for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from core import errors
from inference import schema

if TYPE_CHECKING:
    from inference.bundle import Bundle

MOST_ROWS = 200
MAX_BYTES = 4 * 2**20


def rows(bundle: Bundle, name: str) -> Sequence[Mapping[str, Any]]:
    """Each as a checked input; raises BundleInvalid naming the line."""
    path = bundle.folder / name
    if path.stat().st_size > MAX_BYTES:
        raise errors.BundleInvalid(f"{path} is larger than {MAX_BYTES} bytes")
    found = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            found.append(schema.validate_inputs(bundle.manifest, orjson.loads(line)))
        except orjson.JSONDecodeError as error:
            raise errors.BundleInvalid(f"{path}, line {number}: is no JSON: {error}") from error
        except errors.InvalidInput as error:
            issue = f"{error.errors[0]['field']} {error.errors[0]['issue']}"
            raise errors.BundleInvalid(f"{path}, line {number}: {issue}") from error
        if number > MOST_ROWS:
            raise errors.BundleInvalid(f"{path} has more than {MOST_ROWS} lines")
    if not found:
        raise errors.BundleInvalid(f"{path} is empty: it must have a line of JSON for each usual input")
    return found
