"""A probability for each label, and the likeliest one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from core import errors
from inference import faults, keys, nodes
from inference.answers.single import Scores
from inference.faults import Fault
from inference.given import ROUNDED, Floats
from inference.keys import Key
from inference.manifest import Golden, Manifest
from inference.output import Label, Said

#: Golden confidences may differ by this much between machines and providers.
TOLERANCE = 0.02


class Labels(Scores):
    """Floats [rows, labels] from 0 to 1; a map from label to probability for each row, as ZipMap gives it; or [rows, 1]
    or [rows] with the probability of the second of two labels."""

    key = "labels"
    own_keys: ClassVar[Mapping[str, Key]] = {
        "labels": keys.listed(keys.text(), least=2),
        "threshold_field": keys.text(allow_none=True),
        "below_threshold": keys.text(allow_none=True),
    }
    golden_keys: ClassVar[Mapping[str, Key]] = {
        "prediction": keys.text(required=True),
        "confidence": keys.number(0, 1, required=True),
    }
    probabilities = True
    said_as = Label

    @property
    def width(self) -> int:
        return len(self.manifest.labels)

    @property
    def wanted(self) -> str:
        labels = ", ".join(self.manifest.labels)
        return f"floats [rows, {self.width}], one for each label of model.yaml ({labels})"

    def fits(self, item: Any) -> bool:
        return self.fits_exactly(item) or (self.width == 2 and nodes.is_number(item))

    def fits_exactly(self, item: Any) -> bool:
        return nodes.MAPS in item.type or super().fits_exactly(item)

    def floats(self, value: Any) -> Any:
        if (
            self.width == 2
            and isinstance(value, np.ndarray)
            and value.dtype.kind == "f"
            and value.shape[1:] in ((), (1,))
        ):
            second = value.reshape(-1, 1)
            # What is no probability is told as it is.
            beyond = (second < -ROUNDED) | (second > 1 + ROUNDED)
            return np.concatenate([np.where(beyond, second, 1 - second.clip(0, 1)), second], axis=1)
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            return value
        by_name = [{str(name): score for name, score in row.items()} for row in value]
        return np.array([[row[name] for name in self._names(row)] for row in by_name], np.float32)

    def row(self, value: Any) -> Any:
        return self.by_name(value, self.manifest.labels)

    def _names(self, row: Mapping[str, float]) -> list[str]:
        """The keys of a map in the order of the labels: those themselves, or where it knows none of them, such as 0 and
        1, in its own order, which is sorted. Raises ModelError."""
        labels = self.manifest.labels
        strangers = row.keys() - set(labels)
        if not strangers and len(row) == len(labels):
            return list(labels)
        if len(strangers) == len(row) == len(labels):
            return list(row)
        known = ", ".join(labels)
        raise errors.ModelError(f"{self.manifest.name} gave scores for {', '.join(row)}, but its labels are {known}")

    def of(self, rows: Sequence[Mapping[str, Any]], matrix: Floats) -> list[Said]:
        labels, threshold = self.manifest.labels, self.manifest.threshold_field
        # As they are told: who explains an answer finds the same label by its scores.
        told = np.round(matrix.astype(float), 6)
        best = told.argmax(axis=1).tolist()
        found: list[Said] = []
        for row, scores, index in zip(rows, told.tolist(), best, strict=True):
            label = labels[index]
            if threshold is not None:
                # Such a manifest is not published any more.
                if row[threshold] is None:
                    raise errors.ModelError(f"{self.manifest.name} needs {threshold}, which was left out")
                if scores[index] < row[threshold]:
                    label = str(self.manifest.below_threshold)
            found.append(Label(label, scores[index], dict(zip(labels, scores, strict=True))))
        return found

    @classmethod
    def broken(cls, manifest: Manifest) -> Iterator[Fault]:
        name = manifest.threshold_field
        if (name is None) != (manifest.below_threshold is None):
            missing = "threshold_field" if name is None else "below_threshold"
            yield Fault((missing,), "is missing: threshold_field and below_threshold go together")
        if name is not None:
            fields = {field.name: field for field in manifest.fields}
            if name not in fields:
                yield Fault(("threshold_field",), f"must be one of the fields: {', '.join(fields)}")
            elif fields[name].type not in ("number", "integer") or not fields[name].always:
                yield Fault(("threshold_field",), "must name a number that is required or has a default")

    @classmethod
    def broken_golden(cls, manifest: Manifest, golden: Golden) -> Iterator[Fault]:
        said = golden.answer["prediction"]
        if said not in manifest.labels and said != manifest.below_threshold:
            yield Fault(("prediction",), f"must be one of: {faults.some(manifest.labels)}")

    @classmethod
    def missed(cls, golden: Golden, found: Label) -> str | None:
        label, confidence = golden.answer["prediction"], golden.answer["confidence"]
        if found.label == label and abs(found.confidence - confidence) <= TOLERANCE:
            return None
        return f"must give {label} {confidence}, but gives {found.label} {found.confidence}"

    @classmethod
    def golden(cls, found: Label) -> dict[str, Any]:
        return {"prediction": found.label, "confidence": found.confidence}

    @classmethod
    def hint(cls, answered: Iterable[tuple[Golden, Label]]) -> str:
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

    @classmethod
    def json_schema(cls, manifest: Manifest) -> dict[str, Any]:
        below = [] if manifest.below_threshold is None else [manifest.below_threshold]
        return {
            "type": "object",
            "properties": {
                "prediction": {"type": "string", "enum": [*dict.fromkeys([*manifest.labels, *below])]},
                "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            },
            "required": ["prediction", "confidence"],
        }
