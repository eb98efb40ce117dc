"""What a job is made from, by its kind, as its row keeps it. A prediction's inputs are the client's own JSON."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Upload:
    """A file in our store, with the digest (base64) that it was announced with, if it was."""

    key: str
    etag: str
    sha256: str | None = None

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class AtUrl:
    """A file at a client's URL, which is sealed; `etag` is None where its store tells none."""

    url: str
    etag: str | None

    def to_json(self) -> dict[str, Any]:
        return {"url": self.url, "etag": self.etag, "sha256": None}


Source = Upload | AtUrl


def source(kept: Mapping[str, Any]) -> Source:
    """What their `to_json` made."""
    if "url" in kept:
        return AtUrl(kept["url"], kept["etag"])
    return Upload(kept["key"], kept["etag"], kept["sha256"])


@dataclass(frozen=True)
class WholeFile:
    """A file that is the input, and what was said beside it."""

    source: Source
    fields: Mapping[str, Any]

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> WholeFile:
        return cls(source(kept), kept["fields"])

    def to_json(self) -> dict[str, Any]:
        return {**self.source.to_json(), "fields": self.fields}


@dataclass(frozen=True)
class FileOfRows:
    """A file whose rows are inputs, written as `format` (jsonl or csv), and where its client wants the answers, which
    is sealed."""

    source: Source
    format: str
    output_url: str | None = None

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> FileOfRows:
        return cls(source(kept), kept["format"], kept.get("output_url"))

    def to_json(self) -> dict[str, Any]:
        wanted = {} if self.output_url is None else {"output_url": self.output_url}
        return {**self.source.to_json(), "format": self.format, **wanted}


@dataclass(frozen=True)
class Bundle:
    """A bundle as a tar, and whether its version is to answer when nobody asks for another."""

    source: Upload
    stable: bool

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Bundle:
        return cls(Upload(kept["key"], kept["etag"], kept["sha256"]), kept["stable"])

    def to_json(self) -> dict[str, Any]:
        return {**self.source.to_json(), "stable": self.stable}


@dataclass(frozen=True)
class FailedRows:
    """The rows of an ended job that have no answer."""

    failed_of: uuid.UUID

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> FailedRows:
        return cls(uuid.UUID(kept["failed_of"]))

    def to_json(self) -> dict[str, Any]:
        return {"failed_of": self.failed_of.hex}


def rows(kept: Mapping[str, Any]) -> FileOfRows | FailedRows:
    """What their `to_json` made."""
    return FailedRows.from_json(kept) if "failed_of" in kept else FileOfRows.from_json(kept)


@dataclass(frozen=True)
class Chunk:
    """Bytes `start` to `end` of a file in our store, of which the first is on line `line` (from 1): `part` of a job.

    `header_end` is how many bytes the first line of a CSV takes; `lines` is where each row was at first, of rows that
    are answered again.
    """

    #: Of the jobs that have such a payload.
    KIND: ClassVar = "chunk"

    parent: uuid.UUID
    key: str
    etag: str
    header_end: int | None
    part: int
    start: int
    end: int
    line: int
    rows: int
    lines: list[int] | None = None

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Chunk:
        values = {field.name: kept[field.name] for field in dataclasses.fields(cls)}
        return cls(**{**values, "parent": uuid.UUID(kept["parent"])})

    def to_json(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "parent": self.parent.hex}
