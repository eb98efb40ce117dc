"""An opened model: rows in, predictions out. Safe to share between threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime

from core import errors
from inference import kinds
from inference import threads as cpus
from inference.bundle import Bundle
from inference.interrupt import Interrupt

PROBABILITIES = "probabilities"


@dataclass(frozen=True, slots=True)
class Prediction:
    """`label` is the likeliest one, or the manifest's `below_threshold`; `confidence` is its probability."""

    label: str
    confidence: float
    scores: dict[str, float]


class Model:
    """A bundle with its ONNX session, whose output `probabilities` is float [N, labels]."""

    def __init__(self, bundle: Bundle, session: onnxruntime.InferenceSession) -> None:
        self.bundle = bundle
        self._session = session
        self._kind = kinds.find(bundle.manifest.kind)(bundle)

    @property
    def providers(self) -> list[str]:
        return list(self._session.get_providers())

    def signature(self) -> tuple[set[str], set[str]]:
        """The names that the graph takes and gives."""
        return {item.name for item in self._session.get_inputs()}, {item.name for item in self._session.get_outputs()}

    def predict(self, rows: Sequence[Mapping[str, Any]], interrupt: Interrupt | None = None) -> list[Prediction]:
        """Predict validated rows as one batch; raises ModelInterrupted if that was asked for, else ModelError."""
        try:
            inputs = self._kind.encode(rows)
            matrix = self._session.run([PROBABILITIES], inputs, interrupt.options if interrupt else None)[0]
        except Exception as error:
            if interrupt is not None and interrupt.is_set:
                raise errors.ModelInterrupted from error
            raise errors.ModelError(f"{self.bundle.manifest.name} failed: {type(error).__name__}") from error
        if not np.isfinite(matrix).all():
            raise errors.ModelError(f"{self.bundle.manifest.name} gave a number that is not finite")
        return self._predictions(rows, matrix)

    def _predictions(self, rows: Sequence[Mapping[str, Any]], matrix: np.ndarray[Any, Any]) -> list[Prediction]:
        labels, threshold = self.bundle.manifest.labels, self.bundle.manifest.threshold_field
        best = matrix.argmax(axis=1).tolist()
        found = []
        for row, scores, index in zip(rows, np.round(matrix.astype(float), 6).tolist(), best, strict=True):
            label = labels[index]
            if threshold is not None and scores[index] < row[threshold]:
                label = str(self.bundle.manifest.below_threshold)
            found.append(Prediction(label, scores[index], dict(zip(labels, scores, strict=True))))
        return found


def open_model(bundle: Bundle, *, providers: Sequence[str] = ("CPUExecutionProvider",), threads: int = 0) -> Model:
    """Make the session; call after the process was spawned. Raises BundleInvalid, also when a provider is not there."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or cpus.available()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(bundle.model_path), options, providers=list(providers))
    except Exception as error:
        raise errors.BundleInvalid(f"{bundle.model_path} cannot be opened: {error}") from error
    # ONNX Runtime falls back to the CPU with no more than a warning.
    if session.get_providers()[0] != providers[0]:
        raise errors.BundleInvalid(f"{providers[0]} was asked for, but only {session.get_providers()} is there")
    return Model(bundle, session)
