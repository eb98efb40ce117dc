"""A folder that a command makes: whole, or not at all."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cli.failures import Failure
from inference import model_yaml


def in_use(folder: Path) -> Failure:
    return Failure(f"{folder} has something in it already: say another --out", code="FOLDER_IN_USE")


@contextlib.contextmanager
def made(folder: Path) -> Iterator[Path]:
    """Where to make it; in the end it is `folder`. Where that was there, it stays the same, which somebody may be in,
    and what it has already stays as it is; model.yaml comes last."""
    whole = folder.resolve()
    whole.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=whole.parent, prefix=".coatcheck-") as scratch:
        new = Path(scratch) / "bundle"
        yield new
        if not whole.exists():
            new.rename(whole)
            return
        for item in sorted(new.iterdir(), key=lambda path: path.name == model_yaml.NAME):
            if not (whole / item.name).exists():
                shutil.move(item, whole / item.name)
