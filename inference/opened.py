"""What every opened model is: a bundle with its ONNX session. Safe to share between threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import onnxruntime

from core import errors
from inference.bundle import Bundle
from inference.interrupt import Interrupt


class Opened:
    """`OUTPUTS` are the names that the graph has to give."""

    OUTPUTS: ClassVar[frozenset[str]]

    def __init__(self, bundle: Bundle, session: onnxruntime.InferenceSession) -> None:
        self.bundle = bundle
        self._session = session

    @property
    def providers(self) -> list[str]:
        return list(self._session.get_providers())

    def signature(self) -> tuple[set[str], set[str]]:
        """The names that the graph takes and gives."""
        return {item.name for item in self._session.get_inputs()}, {item.name for item in self._session.get_outputs()}

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
