"""What every opened model is: a bundle with its ONNX sessions. Safe to share between threads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import onnxruntime

from core import errors
from inference.bundle import Bundle
from inference.interrupt import Interrupt


class Opened:
    """`OUTPUTS` are the names that the graph, or each of them, has to give."""

    OUTPUTS: ClassVar[frozenset[str]]

    def __init__(self, bundle: Bundle, *sessions: onnxruntime.InferenceSession) -> None:
        self.bundle = bundle
        self._sessions = sessions
        self._session = sessions[0]

    @property
    def providers(self) -> list[str]:
        return list(self._session.get_providers())

    def outputs(self) -> set[str]:
        """The names that every graph gives."""
        return set.intersection(*({item.name for item in session.get_outputs()} for session in self._sessions))

    @contextmanager
    def _running(self, interrupt: Interrupt | None) -> Iterator[None]:
        """What goes wrong within is ModelInterrupted if that was asked for, else ModelError."""
        try:
            yield
        except Exception as error:
            if interrupt is not None and interrupt.is_set:
                raise errors.ModelInterrupted from error
            raise errors.ModelError(f"{self.bundle.manifest.name} failed: {type(error).__name__}") from error

    def _not_finite(self) -> errors.ModelError:
        return errors.ModelError(f"{self.bundle.manifest.name} gave a number that is not finite")


class FileModel(Opened, ABC):
    """A model whose input is a whole file, with the manifest's fields as parameters."""

    @abstractmethod
    def answer(
        self, path: Path, inputs: Mapping[str, Any], *, progress: Callable[[float], None], interrupt: Interrupt
    ) -> dict[str, Any]:
        """What is in the file, under validated parameters, in bounded memory.

        `progress` hears fractions up to 1.0. Raises InputUnreadable, InputTooLarge, ModelError, and ModelInterrupted
        if that was asked for.
        """
