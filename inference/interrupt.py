"""Ending a run from another thread."""

from __future__ import annotations

import onnxruntime


class Interrupt:
    """One run's stop button: ONNX Runtime looks at the flag between two nodes of the graph."""

    def __init__(self) -> None:
        self.options = onnxruntime.RunOptions()

    def set(self) -> None:
        self.options.terminate = True

    @property
    def is_set(self) -> bool:
        return bool(self.options.terminate)
