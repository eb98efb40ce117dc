"""One whole file, which is the input."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from core import errors
from core.seal import Purpose
from inference.images import Images
from inference.opened import FileModel
from inference.output import Attachment, Record, Said
from jobs.kinds.kind import Kind, Tools, inference
from jobs.lease import Held
from jobs.outcome import Outcome, stopped
from jobs.payloads import WholeFile
from jobs.result import Kept, WithFiles
from storage.objects import Store


class File(Kind):
    """The payload is a `WholeFile`."""

    name = "file"
    leaves_files = True
    sealed: ClassVar = {"url": Purpose.INPUT_URL}

    def run(self, tools: Tools, held: Sequence[Held]) -> list[Outcome]:
        [mine] = held
        model, payload = tools.shelf.reader(tools.version(mine.job)), WholeFile.from_json(mine.job.inputs)
        with inference(held):
            source = tools.sources.open(mine.job, payload.source)
            # No two attempts share an object.
            told = _Told(mine, tools.store, f"{self.folder(mine.job.id)}{mine.job.attempt}.")
            return [_answer(model, told, payload, source)]


class _Told:
    """What one attempt tells on the way; of it, files are kept in our store under this prefix."""

    def __init__(self, held: Held, store: Store, prefix: str) -> None:
        self.held = held
        self.kept: list[Kept] = []
        self._store, self._prefix = store, prefix

    def hear(self, piece: Mapping[str, Any] | Attachment) -> None:
        """Raises Unavailable."""
        if not isinstance(piece, Attachment):
            self.held.emit(piece)
            return
        key = f"{self._prefix}{len(self.kept)}"
        self._store.put(key, piece.data)
        self.kept.append(Kept(piece.name, piece.content_type, len(piece.data), key))


def _answer(model: FileModel | Images, told: _Told, payload: WholeFile, source: Iterator[bytes]) -> Outcome:
    """What the model makes of a file; raises what `source` raises, InputUnreadable, InputTooLarge, ModelError."""
    held = told.held
    held.begin(held.interrupt)
    with tempfile.NamedTemporaryFile(prefix="coatcheck-file-") as file:
        for piece in source:
            if not held.wanted:
                return stopped(held)
            file.write(piece)
        file.flush()
        started = time.perf_counter()
        try:
            result = _found(model, told, Path(file.name), payload)
        except errors.ModelInterrupted:
            return stopped(held)
    return Outcome(held, result, units=model.bundle.manifest.units, run_s=time.perf_counter() - started)


def _found(model: FileModel | Images, told: _Told, path: Path, payload: WholeFile) -> Record | Said | WithFiles:
    progress, interrupt = told.held.advance, told.held.interrupt
    if isinstance(model, Images):
        return model.picture(path, interrupt)
    found = Record(model.answer(path, payload.fields, progress=progress, emit=told.hear, interrupt=interrupt))
    return WithFiles(found, told.kept) if told.kept else found
