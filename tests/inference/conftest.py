from __future__ import annotations

import gc
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inference import bundle, model, schema
from inference.interrupt import Interrupt
from inference.opened import FileModel
from tests import graphs
from tests.inference.paper import DOCUMENTS, Read


@pytest.fixture
def no_garbage_collected() -> Iterator[None]:
    """What goes meanwhile goes with the last who holds it."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(scope="session")
def reader() -> FileModel:
    opened = model.open_model(bundle.load(DOCUMENTS))
    assert isinstance(opened, FileModel)
    return opened


@pytest.fixture
def read(reader: FileModel, tmp_path: Path) -> Read:
    """Read the bytes of a file; `interrupt` and `progress` as the model takes them, all else is its input."""

    def run(
        data: bytes,
        progress: Callable[[float], None] = lambda _: None,
        interrupt: Interrupt | None = None,
        **inputs: Any,
    ) -> dict[str, Any]:
        (tmp_path / "file").write_bytes(data)
        checked = schema.validate_inputs(reader.bundle.manifest, inputs)
        return reader.answer(tmp_path / "file", checked, progress=progress, interrupt=interrupt or Interrupt())

    return run


@pytest.fixture
def bring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """The bundle of a class that is installed, by the body of its `predict`."""
    monkeypatch.syspath_prepend(tmp_path)

    def go(body: str, kind: str = "python", load: str = "pass", **says: Any) -> Path:
        name = f"c{uuid.uuid4().hex}"
        takes = "rows" if kind == "python" else "path, parameters, run"
        code = f"import numpy as np\nclass Kind:\n def load(self, folder): {load}\n def predict(self, {takes}):"
        graphs.plug_in(tmp_path, name, f"{code} {body}\n", "coatcheck.models")
        options = {"class": name, **says.pop("options", {})}
        folder = graphs.bundle(tmp_path / "bundles" / name, b"", kind=kind, inline=None, options=options, **says)
        (folder / "model.onnx").unlink()
        return folder

    return go
