"""What every opened model is: a bundle with its ONNX sessions, if it has any. Safe to share between threads."""

from __future__ import annotations

import re
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import structlog

from core import errors
from inference.bundle import Bundle
from inference.interrupt import Interrupt
from inference.output import Attachment

if TYPE_CHECKING:
    import onnxruntime

#: What ONNX Runtime says may quote the whole graph.
MAX_SAID = 500
#: Numbers of errors, and places in ONNX Runtime's own source.
NOISE = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : |/onnxruntime_src/\S+ .*?\) ")

#: What it says when there is no memory: its arenas, also where they have a limit, the C++ library, CUDA, cuBLAS and
#: cuDNN.
_NO_MEMORY = re.compile(
    "Failed to allocate memory|smaller than requested bytes|free memory block despite|bad.alloc|out of memory|"
    "ALLOC(ATION)?_FAILED",
    re.IGNORECASE,
)

log = structlog.get_logger()


class Opened:
    """`OUTPUTS` are the names that the graph, or each of them, has to give."""

    OUTPUTS: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, bundle: Bundle, *sessions: onnxruntime.InferenceSession) -> None:
        self.bundle = bundle
        self._sessions = sessions

    @property
    def _session(self) -> onnxruntime.InferenceSession:
        return self._sessions[0]

    @property
    def graphs(self) -> list[tuple[Path, onnxruntime.InferenceSession]]:
        """Each graph's file, with its session."""
        return list(zip(self.bundle.graphs, self._sessions, strict=True))

    @property
    def providers(self) -> list[str]:
        return list(self._session.get_providers())

    @contextmanager
    def _answering(self, interrupt: Interrupt | None) -> Iterator[None]:
        """Around all that a model does for one answer: whatever goes wrong within is ModelInterrupted if that was asked
        for, else ModelError, which names no more than the class; what was said is in the log, and in `__cause__`."""
        name = self.bundle.manifest.name
        try:
            yield
        except errors.CoatcheckError:
            raise
        except Exception as error:
            if interrupt is not None and interrupt.is_set:
                raise errors.ModelInterrupted from error
            # Where ONNX Runtime was called from says nothing; of code of a kind it says all.
            log.warning("model_failed", model=name, error=said(error), exc_info=not _from_ort(error))
            if is_out_of_memory(error):
                raise errors.OutOfMemory(f"{name} has not enough memory for this input") from error
            raise errors.ModelError(f"{name} failed: {type(error).__name__}") from error


Emit = Callable[[Mapping[str, Any] | Attachment], None]


def _to_nobody(_: Mapping[str, Any] | Attachment) -> None:
    """Where only the whole answer is wanted."""


class FileModel(Opened, ABC):
    """A model whose input is a whole file, with the manifest's fields as parameters."""

    def answer(
        self,
        path: Path,
        inputs: Mapping[str, Any],
        *,
        progress: Callable[[float], None],
        interrupt: Interrupt,
        emit: Emit = _to_nobody,
    ) -> dict[str, Any]:
        """What is in the file, under validated parameters, in bounded memory.

        `progress` hears fractions up to 1.0, `emit` pieces of the answer as they are found, and
        files beside it. Raises InputUnreadable,
        InputTooLarge, Unavailable, ModelError, and ModelInterrupted if that was asked for.
        """
        with self._answering(interrupt):
            return self._answer(path, inputs, progress, emit, interrupt)

    @abstractmethod
    def _answer(
        self,
        path: Path,
        inputs: Mapping[str, Any],
        progress: Callable[[float], None],
        emit: Emit,
        interrupt: Interrupt,
    ) -> dict[str, Any]:
        """The same; what else it raises is the model's own failure."""


def said(error: BaseException) -> str:
    """What an error says, on one line of at most MAX_SAID characters."""
    text = " ".join(NOISE.sub("", str(error)).split()) or type(error).__name__
    return text if len(text) <= MAX_SAID else f"{text[:MAX_SAID]}…"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it is for want of memory, of the machine or of a device; libraries have no one kind of error for that."""
    if _from_ort(error):
        return _NO_MEMORY.search(str(error)) is not None
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"  # PyTorch's, CuPy's


def why(error: errors.CoatcheckError) -> str:
    """All there is to say about a failure, for operators: what was said underneath is in it."""
    cause = error.__cause__
    issue = " ".join(str(error.details[name]) for name in ("field", "issue") if name in error.details)
    text = f"{error.message}: {issue}" if issue else error.message
    if cause is None:
        return text
    if _from_ort(cause):
        return f"{text}. ONNX Runtime says: {said(cause)}"
    return f"{text}. Python says: {said(cause)}{where(cause)}"


def where(error: BaseException) -> str:
    """The line that raised it, if one did."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""


def _from_ort(error: BaseException) -> bool:
    return type(error).__module__.startswith("onnxruntime")
