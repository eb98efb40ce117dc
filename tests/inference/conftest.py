from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference import bundle, model, schema
from inference.interrupt import Interrupt
from inference.opened import FileModel
from tests.inference.paper import DOCUMENTS, Read


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
