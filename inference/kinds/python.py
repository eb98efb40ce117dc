"""Rows that a class of an installed package answers, with the data of the bundle: `inference.python`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from inference import answers, installed
from inference.faults import Fault
from inference.keys import Key
from inference.kinds.rows import AnswersKind
from inference.manifest import Manifest

if TYPE_CHECKING:
    import onnxruntime

    from inference.bundle import Bundle
    from inference.model import Model


class PythonKind(AnswersKind):
    """Rows; a golden example says what is answered, as for a graph that gives the same."""

    graphs = ()
    own_keys: ClassVar[Mapping[str, Key]] = answers.OWN_KEYS
    option_keys: ClassVar[Mapping[str, Key] | None] = installed.OPTION

    def broken(self, manifest: Manifest) -> Iterator[Fault]:
        yield from super().broken(manifest)
        yield from installed.broken(manifest)
        if manifest.boxes and manifest.boxes.selected:
            yield Fault(("boxes", "selected"), "is for graphs: give scores and classes of the boxes that were selected")
        if manifest.inline:
            yield Fault(("inline",), "must be false: a class in Python cannot be ended when its time is over")

    def code(self, manifest: Manifest) -> str:
        return installed.code(manifest)

    def opened(self, bundle: Bundle, *sessions: onnxruntime.InferenceSession) -> Model:
        from inference.python import PythonModel

        return PythonModel(bundle)
