"""Text that the model itself takes apart: strings go straight into the ONNX graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from inference.bundle import Bundle


class Text:
    """One string column `text` of shape [N, 1], lower-cased, white space folded."""

    def __init__(self, bundle: Bundle) -> None:
        self._field = str(bundle.manifest.options.get("field", "text"))

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        column = np.empty((len(rows), 1), dtype=object)
        # NUL would end the string inside ONNX Runtime.
        column[:, 0] = [" ".join(row[self._field].replace("\0", " ").lower().split()) for row in rows]
        return {"text": column}
