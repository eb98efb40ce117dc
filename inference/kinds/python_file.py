"""Whole files that a class of an installed package answers, with the data of the bundle: `inference.python`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from inference import installed, keys, schema
from inference.answers import records
from inference.answers.records import Records
from inference.faults import Fault
from inference.keys import Key
from inference.kinds import files
from inference.kinds.kind import Kind
from inference.manifest import Golden, Manifest

if TYPE_CHECKING:
    import onnxruntime

    from inference.bundle import Bundle
    from inference.opened import FileModel


_FILE = {"name": "string", "content_type": "string", "bytes": "integer", "url": "string"}
#: What a result has beside the record, where the class gave files.
_BESIDE: Mapping[str, Any] = {
    "files": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {name: {"type": type_} for name, type_ in _FILE.items()},
            "required": [*_FILE],
        },
    },
    "expires_at": {"type": "string", "format": "date-time"},
}


class PythonFileKind(Kind):
    """Whole files, of the types that `options.takes` names; a golden example says a `record`, or a part of it."""

    graphs = ()
    content_types = (
        "application/x-ndjson", "text/csv", "application/gzip", "audio/wav", "audio/flac", "application/pdf",
        "image/png", "image/jpeg", "image/tiff",
    )  # fmt: skip
    needs_fields = False
    own_keys: ClassVar[Mapping[str, Key]] = Records.own_keys
    option_keys: ClassVar[Mapping[str, Key] | None] = {
        **installed.OPTION,
        "takes": keys.listed(keys.one_of(*content_types), least=1, required=True),
    }
    golden_keys: ClassVar[Mapping[str, Key]] = {
        **files.GOLDEN, **Records.golden_keys, "files": keys.listed(keys.text()),
    }  # fmt: skip

    def takes(self, manifest: Manifest) -> tuple[str, ...]:
        return tuple(manifest.options["takes"])

    def broken(self, manifest: Manifest) -> Iterator[Fault]:
        yield from Records.broken(manifest)
        yield from installed.broken(manifest)

    def broken_golden(self, manifest: Manifest, golden: Golden) -> Iterator[Fault]:
        yield from Records.broken_golden(manifest, golden)

    def output_schema(self, manifest: Manifest) -> dict[str, Any]:
        found = records.json_schema(manifest)
        return {"$schema": schema.DIALECT, **found, "properties": {**_BESIDE, **found.get("properties", {})}}

    def code(self, manifest: Manifest) -> str:
        return installed.code(manifest)

    def opened(self, bundle: Bundle, *sessions: onnxruntime.InferenceSession) -> FileModel:
        from inference.python import PythonFile

        return PythonFile(bundle)

    def missed(self, golden: Golden, found: Mapping[str, Any]) -> str | None:
        given = found.get("files", [])
        if given != golden.answer.get("files", given):
            return f"must give the files {golden.answer['files']}, but gives {given}"
        return records.missed(golden.answer["record"], found)
