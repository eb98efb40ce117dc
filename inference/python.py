"""Models whose answers an installed class gives. Safe to share between threads: each calls its class one at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from core import errors
from inference import installed
from inference.answers import records
from inference.attachments import Attachments
from inference.author import AnswersFile, AnswersRows, Run
from inference.bundle import Bundle
from inference.given import Array
from inference.interrupt import Interrupt
from inference.model import Model, Rows
from inference.opened import Emit, FileModel, said, where
from inference.plain import NotPlain, plain

#: The largest answer to a file, and the largest piece of one, in bytes of JSON.
MOST_BYTES, MOST_OF_PIECE = 16 << 20, 64 << 10

#: What a result has beside an answer with files.
BESIDE = ("files", "expires_at")

log = structlog.get_logger()


class _Class:
    """An object of an installed class, with the bundle's files."""

    def __init__(self, bundle: Bundle) -> None:
        """Raises BundleInvalid."""
        manifest = bundle.manifest
        entry = installed.find(str(manifest.options["class"]))
        self.where = installed.told(entry)
        try:
            self._made = entry.load()()
            self._made.load(bundle.folder)
        except BaseException as error:
            issue = f"{type(error).__name__}: {said(error)}{where(error)}"
            raise errors.BundleInvalid(f"{bundle.folder}: {self.where} cannot be loaded: {issue}") from error
        self._lock, self._name = threading.Lock(), manifest.name
        log.info("class_loaded", model=manifest.name, version=manifest.version, code=self.where)

    @contextmanager
    def alone(self, interrupt: Interrupt | None) -> Iterator[Any]:
        """The object, while nobody else has it. A call cannot be ended from outside: before it and behind it is looked
        whether anybody still wants it; raises ModelInterrupted."""
        with self._lock:
            _look(interrupt)
            try:
                yield self._made
            except Exception:
                raise
            # It may not end the process, whatever it asks for.
            except BaseException as error:
                raise errors.ModelError(f"{self._name} failed: {type(error).__name__}") from error
            _look(interrupt)


def _look(interrupt: Interrupt | None) -> None:
    if interrupt is not None and interrupt.is_set:
        raise errors.ModelInterrupted


class PythonModel(Model):
    """A bundle with a class that answers rows."""

    EXPORT = MEND = "mend predict: it has an answer for each row, which depends on no other row"

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle)
        self._class = _Class(bundle)

    @property
    def named(self) -> str:
        return f"{self.bundle.folder}: {self._class.where}"

    def given(self, rows: Rows, interrupt: Interrupt | None = None) -> list[Any]:
        """What the class gives to copies of the rows, which it may change, whatever that is; raises ModelInterrupted if
        that was asked for, else ModelError."""
        name = self.bundle.manifest.name
        with self._answering(interrupt), self._class.alone(interrupt) as made:
            model: AnswersRows = made
            given: object = model.predict([dict(row) for row in rows])
            if isinstance(given, (str, bytes, Mapping)) or not hasattr(given, "__iter__"):
                wanted = "a list with an answer for each row"
                raise errors.ModelError(f"{name} gave a {type(given).__name__}, but must give {wanted}")
            found = list(given)
        if len(found) != len(rows):
            raise errors.ModelError(f"{name} gave {len(found)} answers, but must give one for each of {len(rows)} rows")
        return found

    def _run(self, rows: Rows, interrupt: Interrupt | None) -> list[Array]:
        return self._answer.read(self._answer.gathered(self.given(rows, interrupt)), len(rows))


class PythonFile(FileModel):
    """A bundle with a class that answers whole files."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle)
        self._class = _Class(bundle)

    def _answer(
        self,
        path: Path,
        inputs: Mapping[str, Any],
        progress: Callable[[float], None],
        emit: Emit,
        interrupt: Interrupt,
    ) -> dict[str, Any]:
        name = self.bundle.manifest.name

        def told(piece: object) -> None:
            try:
                found = plain(piece, MOST_OF_PIECE, "a piece")
            except NotPlain as error:
                raise errors.ModelError(f"{name} told what is no piece of an answer: {error}") from None
            if not isinstance(found, dict):
                raise errors.ModelError(f"{name} told a {type(piece).__name__}, but must tell mappings")
            emit(found)

        attached = Attachments(name, emit)
        with self._class.alone(interrupt) as made:
            model: AnswersFile = made
            given = model.predict(path, dict(inputs), Run(told, attached.add, progress, interrupt))
        if attached.failed:
            raise attached.failed
        found = records.checked(self.bundle.manifest, given, MOST_BYTES)
        if attached.names and (taken := [key for key in BESIDE if key in found]):
            raise errors.ModelError(f"{name} gave files, beside which its answer may have no {' and no '.join(taken)}")
        return found
