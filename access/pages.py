"""Lists that are read a page at a time, and stay in their order while there are new ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from core import errors

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some of a list; `next_cursor` is None on the last page."""

    items: Sequence[T]
    next_cursor: str | None


def cut(found: Sequence[T], limit: int, cursor: Callable[[T], str]) -> Page[T]:
    """The page of so many, of which one more was asked for; the next one begins behind the last of it."""
    items = found[:limit]
    return Page(items, cursor(items[-1]) if len(found) > limit else None)


def bad_cursor() -> errors.InvalidInput:
    """For a cursor that no page ends with."""
    return errors.InvalidInput.field("cursor", "is not the next_cursor of an earlier page")
