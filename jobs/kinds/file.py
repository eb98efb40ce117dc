"""One whole file, which is the input."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from core import errors
from core.seal import Purpose
from inference.images import Images
from inference.opened import FileModel
from inference.output import Record, Said
from jobs.kinds.kind import Kind, Tools, inference
from jobs.lease import Held
from jobs.outcome import Outcome, stopped
from jobs.payloads import WholeFile


class File(Kind):
    """The payload is a `WholeFile`."""

    name = "file"
    sealed: ClassVar = {"url": Purpose.INPUT_URL}

    def run(self, tools: Tools, held: Sequence[Held]) -> list[Outcome]:
        [mine] = held
        model, payload = tools.shelf.reader(tools.version(mine.job)), WholeFile.from_json(mine.job.inputs)
        with inference(held):
            return [_answer(model, mine, payload, tools.sources.open(mine.job, payload.source))]


def _answer(model: FileModel | Images, held: Held, payload: WholeFile, source: Iterator[bytes]) -> Outcome:
    """What the model makes of a file; raises what `source` raises, InputUnreadable, InputTooLarge, ModelError."""
    held.begin(held.interrupt)
    with tempfile.NamedTemporaryFile(prefix="coatcheck-file-") as file:
        for piece in source:
            if not held.wanted:
                return stopped(held)
            file.write(piece)
        file.flush()
        started = time.perf_counter()
        try:
            result = _found(model, held, Path(file.name), payload)
        except errors.ModelInterrupted:
            return stopped(held)
    return Outcome(held, result, units=model.bundle.manifest.units, run_s=time.perf_counter() - started)


def _found(model: FileModel | Images, held: Held, path: Path, payload: WholeFile) -> Record | Said:
    if isinstance(model, Images):
        return model.picture(path, held.interrupt)
    return Record(model.answer(path, payload.fields, progress=held.advance, emit=held.emit, interrupt=held.interrupt))
