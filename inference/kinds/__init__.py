"""Input kinds of rows: how they become what the ONNX session takes. A new kind is one class in one module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any, Protocol

import numpy as np

from core import errors
from inference import promise
from inference.bundle import Bundle
from inference.kinds.tabular import Tabular
from inference.kinds.text import Text
from inference.kinds.tokens import Tokens

Rows = Sequence[Mapping[str, Any]]


class Kind(Protocol):
    """Made once per opened bundle; used by many threads."""

    def __init__(self, bundle: Bundle) -> None: ...

    def encode(self, rows: Rows) -> dict[str, np.ndarray[Any, Any]]:
        """Session inputs for a batch; the first axis is the row."""


SHIPPED: dict[str, type[Kind]] = {"text": Text, "tokens": Tokens, "tabular": Tabular}


def find(name: str) -> type[Kind]:
    """The kind of that name, ours or an installed package's; raises BundleInvalid."""
    if name in SHIPPED:
        return SHIPPED[name]
    for entry in entry_points(group=promise.ENTRY_POINTS, name=name):
        try:
            loaded: type[Kind] = entry.load()
        except Exception as error:
            raise errors.BundleInvalid(f"kind '{name}' cannot be imported from {entry.value}: {error!r}") from error
        return loaded
    raise errors.BundleInvalid(f"kind '{name}' is not installed; there are: {', '.join(promise.kinds())}")
