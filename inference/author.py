"""For who writes a class that answers: what one looks like, and what it is given. It need not be derived from these."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from core import errors
from inference.interrupt import Interrupt

InputRefused = errors.InputRefused


class AnswersRows(Protocol):
    """Made without arguments, and loaded, once for each opened bundle; called by one thread at a time."""

    def load(self, folder: Path) -> None:
        """Read what the bundle holds."""

    def predict(self, rows: list[dict[str, Any]]) -> Sequence[Any]:
        """An answer for each row, in their order; raises InputRefused, with a sentence for the client, where one cannot
        be answered: each is then asked for alone."""


class AnswersFile(Protocol):
    """The same for whole files."""

    def load(self, folder: Path) -> None:
        """Read what the bundle holds."""

    def predict(self, path: Path, parameters: dict[str, Any], run: Run) -> Mapping[str, Any]:
        """What is in the file; raises InputRefused with a sentence for the client."""


class Run:
    """The job that a file is answered for. Each call raises ModelInterrupted when nobody wants the answer any more:
    so call one of them often, and let it through."""

    def __init__(
        self,
        emit: Callable[[Any], None],
        file: Callable[[str, bytes | Path, str], None],
        progress: Callable[[float], None],
        interrupt: Interrupt,
    ) -> None:
        self._emit, self._file, self._progress, self._interrupt = emit, file, progress, interrupt

    def emit(self, piece: Mapping[str, Any]) -> None:
        """Tell whoever follows the job what was found, before its end."""
        self._look()
        self._emit(piece)

    def file(self, name: str, data: bytes | Path, content_type: str) -> None:
        """Give a file beside the answer, such as `plot.png`, of the type `image/png`. A Path is read at once; its own
        name is not told."""
        self._look()
        self._file(name, data, content_type)

    def progress(self, done: float) -> None:
        """How much of the work is done, from 0 to 1."""
        self._look()
        # In this order NaN is 0.
        self._progress(min(max(0.0, float(done)), 1.0))

    def _look(self) -> None:
        if self._interrupt.is_set:
            raise errors.ModelInterrupted
