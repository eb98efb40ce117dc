"""Kinds whose models take rows and give a probability for each label."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from inference import keys
from inference.faults import Fault
from inference.keys import Key
from inference.kinds.kind import Kind
from inference.manifest import Golden, Manifest
from inference.output import Label

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime

    from inference.bundle import Bundle
    from inference.model import Model

#: Golden confidences may differ by this much between machines and providers.
TOLERANCE = 0.02


class Encoder(Protocol):
    """How rows become what the ONNX session takes: made once for each opened bundle, used by many threads."""

    def __init__(self, bundle: Bundle) -> None: ...

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        """Session inputs for a batch; the first axis is the row."""


class RowKind(Kind):
    """A kind by its encoder; as it stands, one of which no more is known."""

    #: Whether rows that came together have a run each, on a CPU.
    apart: bool = False
    own_keys: ClassVar[Mapping[str, Key]] = {
        "labels": keys.listed(
            keys.text(),
            least=2,
            required=True,
            missing="is missing: one for each score that the graph gives, in its order; a model that gives a number is "
            "not supported yet",
        ),
        "threshold_field": keys.text(allow_none=True),
        "below_threshold": keys.text(allow_none=True),
    }
    golden_keys: ClassVar[Mapping[str, Key]] = {
        "inputs": keys.mapping(required=True),
        "prediction": keys.text(required=True),
        "confidence": keys.number(0, 1, required=True),
    }

    def __init__(self, encoder: Callable[[Bundle], Encoder]) -> None:
        self.encoder = encoder

    def broken_golden(self, manifest: Manifest, golden: Golden) -> Iterator[Fault]:
        if golden.answer["prediction"] not in {*manifest.labels, manifest.below_threshold}:
            yield Fault(("prediction",), f"must be one of: {', '.join(manifest.labels)}")

    def opened(self, bundle: Bundle, *sessions: onnxruntime.InferenceSession) -> Model:
        from inference.model import Model

        return Model(bundle, *sessions, kind=self)

    def missed(self, golden: Golden, found: Label) -> str | None:
        label, confidence = golden.answer["prediction"], golden.answer["confidence"]
        if found.label == label and abs(found.confidence - confidence) <= TOLERANCE:
            return None
        return f"must give {label} {confidence}, but gives {found.label} {found.confidence}"

    def hint(self, answered: Iterable[tuple[Golden, Label]]) -> str:
        """What to do where every example is answered as surely as it should be, but some by another label."""
        wanted: dict[str, str] = {}
        for golden, found in answered:
            label = golden.answer["prediction"]
            if abs(found.confidence - golden.answer["confidence"]) > TOLERANCE:
                return ""
            if wanted.setdefault(found.label, label) != label:
                return ""
        if len(set(wanted.values())) < len(wanted):
            return ""
        mixed = [f"{given} where {right} is right" for given, right in sorted(wanted.items()) if given != right]
        surely = f"all are as sure as they should be, but it gives {', '.join(mixed)}"
        return f"; {surely}: put labels in the order of the graph's outputs"
