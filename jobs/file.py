"""A job whose input is one whole file."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from core import errors
from inference.opened import FileModel
from jobs import run
from jobs.lease import Held


def answer(model: FileModel, held: Held, source: Iterator[bytes]) -> run.Outcome:
    """What the model makes of a file; raises what `source` raises, InputUnreadable, InputTooLarge, ModelError."""
    held.begin(held.interrupt)
    with tempfile.NamedTemporaryFile(prefix="coatcheck-file-") as file:
        for piece in source:
            if not held.wanted:
                return run.stopped(held)
            file.write(piece)
        file.flush()
        started = time.perf_counter()
        try:
            result = model.answer(
                Path(file.name), held.job.inputs["fields"], progress=held.advance, interrupt=held.interrupt
            )
        except errors.ModelInterrupted:
            return run.stopped(held)
    return run.Outcome(held, result, units=model.bundle.manifest.units, run_s=time.perf_counter() - started)
