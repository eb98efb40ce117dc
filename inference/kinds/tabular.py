"""Named numbers, in the order of the manifest's fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from inference.bundle import Bundle


class Tabular:
    """One matrix `features`, float32 [N, fields]; NaN, the missing value of ONNX's trees, for what was left out."""

    def __init__(self, bundle: Bundle) -> None:
        self._columns = [field.name for field in bundle.manifest.fields]

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        # NumPy makes NaN of None.
        return {"features": np.array([[row[name] for name in self._columns] for row in rows], dtype=np.float32)}
