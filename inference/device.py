"""What runs graphs: the processor, or a GPU, whose memory all models of a process take from one arena."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core import errors
from inference.opened import said

if TYPE_CHECKING:
    import onnxruntime

CPU_PROVIDER = "CPUExecutionProvider"
#: Memory comes in pieces as large as is asked for: twice as much each time would soon be more than there is.
AS_REQUESTED = 1

_lock = threading.Lock()
#: The MiB of each arena that this process has; ONNX Runtime would put another in its place.
_arenas: dict[str, int] = {}


def load() -> None:
    """Import ONNX Runtime, which takes a quarter of a second, before anybody waits for it."""
    import onnxruntime  # noqa: F401


@dataclass(frozen=True)
class Device:
    """By the name of its execution provider in ONNX Runtime, and of its memory if sessions there share an arena, of
    which they may take `memory_mb` MiB together; 0 is all there is.

    An arena of a session's own keeps whatever its largest run took, where no other model finds room any more.
    """

    provider: str
    memory: str = ""
    memory_mb: int = 0

    def require(self) -> None:
        """Raises SettingsInvalid where the ONNX Runtime that is installed is not made for it."""
        if self.provider == CPU_PROVIDER:
            return
        import onnxruntime

        if self.provider not in onnxruntime.get_available_providers():
            raise errors.SettingsInvalid(
                "COATCHECK_PROVIDER=cuda is more than the ONNX Runtime here can do: install requirements/gpu.txt, "
                "or say COATCHECK_PROVIDER=cpu"
            )

    def prepare(self, options: onnxruntime.SessionOptions) -> None:
        """Once, for options that sessions here are to have; raises BundleInvalid where the device cannot be used."""
        # See `Interrupt`.
        import onnxruntime

        if not self.memory or self.provider not in onnxruntime.get_available_providers():
            return
        with _lock:
            try:
                self._share()
            except RuntimeError as error:
                issue = f"{self.provider} cannot be used here. ONNX Runtime says: {said(error)}"
                raise errors.BundleInvalid(issue) from error
        options.add_session_config_entry("session.use_env_allocators", "1")

    def session(self, path: Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
        """A session of one graph, by options that were prepared; raises BundleInvalid, also when the device is not
        there."""
        import onnxruntime

        try:
            opened = onnxruntime.InferenceSession(str(path), options, providers=[self.provider])
        except Exception as error:
            text = str(error)
            what = "is no ONNX file, or damaged" if "INVALID_PROTOBUF" in text else "cannot be opened"
            fix = "; export it for an older opset" if "opset" in text or "IR version" in text else ""
            raise errors.BundleInvalid(f"{path} {what}{fix}. ONNX Runtime says: {said(error)}") from error
        # ONNX Runtime falls back to the CPU with no more than a warning.
        if opened.get_providers()[0] != self.provider:
            there = f"{self.provider} was asked for, but only {opened.get_providers()} is there"
            raise errors.BundleInvalid(f"{there}: install requirements/gpu.txt, or say COATCHECK_PROVIDER=cpu")
        return opened

    def _share(self) -> None:
        """Raises RuntimeError."""
        import onnxruntime as ort

        if self.memory in _arenas:
            if _arenas[self.memory] != self.memory_mb:
                raise RuntimeError(f"its arena has {_arenas[self.memory]} MiB, not {self.memory_mb}")
            return
        # CUDA's own libraries come as packages, beside which nothing looks for them.
        ort.preload_dlls()
        where = ort.OrtMemoryInfo(self.memory, ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
        limits = {"max_mem": self.memory_mb << 20, "arena_extend_strategy": AS_REQUESTED}
        ort.create_and_register_allocator_v2(self.provider, where, {}, ort.OrtArenaCfg(limits))
        _arenas[self.memory] = self.memory_mb


CPU = Device(CPU_PROVIDER)


def named(name: str, memory_mb: int = 0) -> Device:
    """As COATCHECK_PROVIDER and COATCHECK_GPU_MEMORY_MB say it."""
    return Device("CUDAExecutionProvider", "Cuda", memory_mb) if name == "cuda" else CPU
