"""Which kinds of models there are. A new kind is one class in one module, and one line here or an entry point."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points

from core import errors
from inference.kinds.audio import AudioKind
from inference.kinds.document import DocumentKind
from inference.kinds.image import ImageKind
from inference.kinds.kind import Kind
from inference.kinds.python import PythonKind
from inference.kinds.python_file import PythonFileKind
from inference.kinds.rows import RowKind
from inference.kinds.tabular import TabularKind
from inference.kinds.tensor import TensorKind
from inference.kinds.text import TextKind
from inference.kinds.tokens import TokensKind

ENTRY_POINTS = "coatcheck.kinds"
SHIPPED: Mapping[str, Kind] = {
    "tabular": TabularKind(),
    "text": TextKind(),
    "tokens": TokensKind(),
    "tensor": TensorKind(),
    "image": ImageKind(),
    "audio": AudioKind(),
    "document": DocumentKind(),
    "python": PythonKind(),
    "python-file": PythonFileKind(),
}


def names() -> list[str]:
    """Of the kinds that are installed."""
    return [*SHIPPED, *sorted(entry_points(group=ENTRY_POINTS).names)]


def find(name: str) -> Kind:
    """The kind of that name, ours or an installed package's, which says it with a Kind or by no more than an Encoder;
    raises BundleInvalid."""
    if name in SHIPPED:
        return SHIPPED[name]
    for entry in entry_points(group=ENTRY_POINTS, name=name):
        try:
            loaded = entry.load()
        except Exception as error:
            raise errors.BundleInvalid(f"kind '{name}' cannot be imported from {entry.value}: {error!r}") from error
        if isinstance(loaded, type) and issubclass(loaded, Kind):
            raise errors.BundleInvalid(f"kind '{name}' is {entry.value}, a class: name an object of it")
        return loaded if isinstance(loaded, Kind) else RowKind(loaded)
    raise errors.BundleInvalid(f"kind '{name}' is not installed; there are: {', '.join(names())}")
