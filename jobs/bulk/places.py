"""Where everything of a bulk job lies in our store. What an attempt makes bears its number: no two share an object."""

from __future__ import annotations

import uuid

from jobs.payloads import Chunk


def folder(bulk_id: uuid.UUID) -> str:
    """The prefix of all of it."""
    return f"bulk/{bulk_id.hex}/"


def copy(bulk_id: uuid.UUID, attempt: int) -> str:
    """Its input, copied."""
    return f"{folder(bulk_id)}input.{attempt}"


def part(chunk: Chunk, attempt: int) -> str:
    """A chunk's answers and its errors, without their endings."""
    return f"{folder(chunk.parent)}parts/{chunk.part:06}.{attempt}"


def whole(bulk_id: uuid.UUID, what: str, attempt: int) -> str:
    """Its `output` or its `errors`."""
    return f"{folder(bulk_id)}{what}.{attempt}.jsonl"
