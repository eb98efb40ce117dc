"""Documents, whose lines of text are read: `inference.documents`."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from core import errors
from inference import keys
from inference.keys import Key
from inference.kinds import files
from inference.manifest import Golden

if TYPE_CHECKING:
    import onnxruntime

    from inference.bundle import Bundle
    from inference.opened import FileModel


class DocumentKind(files.FileKind):
    """A PDF or a picture; a golden example says the `lines` of text on all its pages."""

    graphs = ("detect.onnx", "recognize.onnx")
    content_types = ("application/pdf", "image/png", "image/jpeg", "image/tiff")
    #: It would keep for good what the largest page took.
    arena = False
    option_keys: ClassVar[Mapping[str, Key] | None] = {
        "max_pages": keys.whole(1, 2**31, required=True),
        "max_pixels": keys.whole(1, 2**31, required=True),
    }
    parameters: ClassVar[Mapping[str, str]] = {"dpi": "integer", "min_confidence": "number"}
    golden_keys: ClassVar[Mapping[str, Key]] = {**files.GOLDEN, "lines": keys.listed(keys.text(), required=True)}

    def opened(self, bundle: Bundle, *sessions: onnxruntime.InferenceSession) -> FileModel:
        # What reads a PDF is imported by its decoder alone.
        if importlib.util.find_spec("pypdfium2") is None:
            raise errors.ModelUnavailable("Documents need an extra: pip install -r requirements/documents.txt")
        from inference.documents import Reader

        return Reader(bundle, *sessions)

    def missed(self, golden: Golden, found: Mapping[str, Any]) -> str | None:
        wanted, read = golden.answer["lines"], [line["text"] for page in found["pages"] for line in page["lines"]]
        return None if read == wanted else f"must give {wanted}, but gives {read}"
