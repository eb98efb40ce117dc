"""Addresses of what an answer tells of, as the routes have them."""

from __future__ import annotations

import functools
from typing import Any

import flask

_MARK = "AN-ID"


def to(endpoint: str, **names: str) -> str:
    """The path of a route, with what stands in it; as `flask.url_for`, which takes a hundred times as long."""
    path = _pattern(endpoint, tuple(names))
    for name, value in names.items():
        path = path.replace(_MARK + name, value)
    return path


@functools.cache
def _pattern(endpoint: str, names: tuple[str, ...]) -> str:
    marks: dict[str, Any] = {name: _MARK + name for name in names}
    return flask.url_for(endpoint, **marks)
