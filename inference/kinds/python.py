"""What is answered by a class of an installed package, the data of which is in the bundle: `inference.python`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from core import errors
from inference import answers, installed, keys, schema
from inference.answers import records
from inference.answers.records import Records
from inference.faults import Fault
from inference.keys import Key
from inference.kinds import files
from inference.kinds.kind import Kind
from inference.kinds.rows import AnswersKind
from inference.manifest import Golden, Manifest

if TYPE_CHECKING:
    import onnxruntime

    from inference.bundle import Bundle
    from inference.model import Model
    from inference.opened import FileModel

_CLASS = {"class": keys.text(required=True)}


def _code(manifest: Manifest) -> str:
    return installed.told(installed.find(str(manifest.options["class"])))


class PythonKind(AnswersKind):
    """Rows; a golden example says what is answered, as for a graph that gives the same."""

    graphs = ()
    own_keys: ClassVar[Mapping[str, Key]] = answers.OWN_KEYS
    option_keys: ClassVar[Mapping[str, Key] | None] = _CLASS

    def broken(self, manifest: Manifest) -> Iterator[Fault]:
        yield from super().broken(manifest)
        yield from _not_installed(manifest)
        if manifest.inline:
            yield Fault(("inline",), "must be false: a class in Python cannot be ended when its time is over")

    def code(self, manifest: Manifest) -> str:
        return _code(manifest)

    def opened(self, bundle: Bundle, *sessions: onnxruntime.InferenceSession) -> Model:
        from inference.python import PythonModel

        return PythonModel(bundle)


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
        **_CLASS,
        "takes": keys.listed(keys.one_of(*content_types), least=1, required=True),
    }
    golden_keys: ClassVar[Mapping[str, Key]] = {**files.GOLDEN, **Records.golden_keys}

    def takes(self, manifest: Manifest) -> tuple[str, ...]:
        return tuple(manifest.options["takes"])

    def broken(self, manifest: Manifest) -> Iterator[Fault]:
        yield from Records.broken(manifest)
        yield from _not_installed(manifest)

    def broken_golden(self, manifest: Manifest, golden: Golden) -> Iterator[Fault]:
        yield from Records.broken_golden(manifest, golden)

    def output_schema(self, manifest: Manifest) -> dict[str, Any]:
        return {"$schema": schema.DIALECT, **records.json_schema(manifest)}

    def code(self, manifest: Manifest) -> str:
        return _code(manifest)

    def opened(self, bundle: Bundle, *sessions: onnxruntime.InferenceSession) -> FileModel:
        from inference.python import PythonFile

        return PythonFile(bundle)

    def missed(self, golden: Golden, found: Mapping[str, Any]) -> str | None:
        return records.missed(golden.answer["record"], found)


def _not_installed(manifest: Manifest) -> Iterator[Fault]:
    try:
        _code(manifest)
    except errors.BundleInvalid as error:
        yield Fault(("options", "class"), f"cannot be found: {error.message}")
