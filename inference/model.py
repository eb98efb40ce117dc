"""A model that takes rows and gives predictions, and opening a model of any kind."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import structlog

from core import errors
from inference import answers, kinds
from inference import threads as cpus
from inference.bundle import Bundle
from inference.device import CPU, CPU_PROVIDER, Device
from inference.explain.explainer import Explainer
from inference.explain.wanted import ALL, Wanted
from inference.given import Array, Floats
from inference.interrupt import Interrupt
from inference.kinds.rows import RowKind
from inference.opened import FileModel, Opened, is_out_of_memory, said
from inference.output import Said

if TYPE_CHECKING:
    import onnxruntime

log = structlog.get_logger()

Row = Mapping[str, Any]
Rows = Sequence[Row]


class Model(Opened, ABC):
    """A model that takes rows, whatever runs them; what it answers is said by `inference.answers`."""

    #: What may be done about rows that cannot be answered beside others, and about those that are answered otherwise.
    EXPORT: ClassVar[str]
    MEND: ClassVar[str]
    #: Whether rows that came together have a run each.
    apart = False

    def __init__(self, bundle: Bundle, *sessions: onnxruntime.InferenceSession) -> None:
        super().__init__(bundle, *sessions)
        self._answer = answers.of(bundle.manifest)(bundle.manifest)

    @property
    @abstractmethod
    def named(self) -> str:
        """What answers, in a sentence for operators."""

    @property
    def gives_probabilities(self) -> bool:
        return self._answer.probabilities

    def found(self, rows: Rows) -> list[list[Array]]:
        """What validated rows that have a run together are answered by: for each of them its part of what that gave,
        output by output. Raises ModelError."""
        with self._answering(None):
            made = self._run(rows, None)
        return [[array[place : place + 1] for array in made] for place in range(len(rows))]

    def predict(self, rows: Rows, interrupt: Interrupt | None = None) -> list[Said]:
        """Predict validated rows, at least one; raises ModelInterrupted if that was asked for, else ModelError."""
        with self._answering(interrupt):
            return self._answer.said(rows, self._runs(rows, interrupt))

    def scores(self, rows: Rows, interrupt: Interrupt | None = None) -> Floats:
        """The numbers that the answers are made of, [rows, numbers], where they are made of one such output; raises as
        `predict`."""
        size = self.bundle.manifest.max_batch
        parts = (rows[start : start + size] for start in range(0, len(rows), size))
        with self._answering(interrupt):
            return np.concatenate([run[0] for part in parts for run in self._runs(part, interrupt)])

    def explained(
        self,
        rows: Rows,
        said: Sequence[Said],
        interrupt: Interrupt | None = None,
        wanted: Wanted = ALL,
    ) -> list[Said]:
        """What was said to these rows, each with how much every feature moved it, as the manifest's `explain` says.
        Raises as `predict`."""
        with self._answering(interrupt):
            return self._explainer.explained(rows, said, interrupt, wanted)

    @functools.cached_property
    def _explainer(self) -> Explainer:
        return Explainer(self)

    def each(self, rows: Rows, interrupt: Interrupt | None = None) -> list[Said | errors.CoatcheckError]:
        """The same, with its own error in the place of a row that cannot be read."""
        return [*self.predict(rows, interrupt)]

    def _runs(self, rows: Rows, interrupt: Interrupt | None) -> list[list[Array]]:
        """What as many runs give as the rows need, as `Answer.said` takes it: of rows for which there is no memory in
        one run, each half has its own."""
        try:
            return [self._run(rows, interrupt)]
        except Exception as error:
            if len(rows) == 1 or not is_out_of_memory(error):
                raise
            log.warning("batch_halved", model=self.bundle.manifest.name, rows=len(rows), error=said(error))
        half = len(rows) // 2
        return [*self._runs(rows[:half], interrupt), *self._runs(rows[half:], interrupt)]

    @abstractmethod
    def _run(self, rows: Rows, interrupt: Interrupt | None) -> list[Array]:
        """What one run gives."""


class GraphModel(Model):
    """A bundle with its ONNX session, whose outputs, or some of them, are the answer."""

    EXPORT = "export the graph with a first axis of any size"
    MEND = "mend the graph: a Softmax or a mean over the first axis and dynamic quantisation do that"

    def __init__(self, bundle: Bundle, *sessions: onnxruntime.InferenceSession, kind: RowKind) -> None:
        super().__init__(bundle, *sessions)
        self.apart = kind.apart and self.providers[0] == CPU_PROVIDER
        try:
            self._encoder = kind.encoder(bundle, self._session.get_inputs())
        except errors.BundleInvalid:
            raise
        except Exception as error:
            issue = f"kind '{bundle.manifest.kind}' cannot use it: {type(error).__name__}: {said(error)}"
            raise errors.BundleInvalid(f"{bundle.folder}: {issue}") from error
        [graph] = bundle.graphs
        self._answer.choose(graph, self._session.get_outputs())

    @property
    def named(self) -> str:
        return str(self.bundle.graphs[0])

    def encode(self, rows: Rows) -> dict[str, Array]:
        """What the graph is handed for validated rows; raises ModelError."""
        with self._answering(None):
            return {name: np.asarray(value) for name, value in self._encoder.encode(rows).items()}

    def _runs(self, rows: Rows, interrupt: Interrupt | None) -> list[list[Array]]:
        if not self.apart or len(rows) == 1:
            return super()._runs(rows, interrupt)
        outputs, options = self._answer.outputs, interrupt.options if interrupt else None
        every = [self._encoder.encode([row]) for row in rows]
        # Nothing else stands between two runs: each time that Python is needed, its other threads may have to be waited
        # for, and many rows of a file run beside each other.
        return self._answer.read_apart([self._session.run(outputs, inputs, options) for inputs in every])

    def _run(self, rows: Rows, interrupt: Interrupt | None) -> list[Array]:
        inputs = self._encoder.encode(rows)
        given = self._session.run(self._answer.outputs, inputs, interrupt.options if interrupt else None)
        return self._answer.read(given, len(rows))


def open_model(bundle: Bundle, *, device: Device = CPU, threads: int = 0) -> Model | FileModel:
    """Make the sessions; call after the process was spawned. Raises BundleInvalid, also when the device is not there,
    and ModelUnavailable when an extra is not installed."""
    # See `Interrupt`.
    import onnxruntime

    kind = kinds.find(bundle.manifest.kind)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1 if kind.one_thread else threads or cpus.available()
    options.inter_op_num_threads = 1
    # A thread that waits in a loop for work takes a core from everybody else on the machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = kind.arena
    # Whatever it has to say of an error is in the exception.
    options.log_severity_level = 4
    device.prepare(options)
    return kind.opened(bundle, *(device.session(path, options) for path in bundle.graphs))
