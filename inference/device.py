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
#: Where this process has an arena; ONNX Runtime would put another in its place.
_shared: set[str] = set()


@dataclass(frozen=True)
class Device:
    """By the name of its execution provider in ONNX Runtime, and of its memory if sessions there share an arena, of
    which they may take `memory_mb` MiB together; 0 is all there is.

    An arena of a session's own keeps whatever its largest run took, where no other model finds room any more.
    """

    provider: str
    memory: str = ""
    memory_mb: int = 0

    def session(self, path: Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
        """A session of one graph; raises BundleInvalid, also when the device is not there."""
        import onnxruntime

        try:
            self._share(options)
            opened = onnxruntime.InferenceSession(str(path), options, providers=[self.provider])
        except Exception as error:
            text = str(error)
            what = "is no ONNX file, or damaged" if "INVALID_PROTOBUF" in text else "cannot be opened"
            fix = "; export it for an older opset" if "opset" in text or "IR version" in text else ""
            raise errors.BundleInvalid(f"{path} {what}{fix}. ONNX Runtime says: {said(error)}") from error
        # ONNX Runtime falls back to the CPU with no more than a warning.
        if opened.get_providers()[0] != self.provider:
            raise errors.BundleInvalid(f"{self.provider} was asked for, but only {opened.get_providers()} is there")
        return opened

    def _share(self, options: onnxruntime.SessionOptions) -> None:
        import onnxruntime as ort

        if not self.memory or self.provider not in ort.get_available_providers():
            return
        with _lock:
            if self.memory not in _shared:
                where = ort.OrtMemoryInfo(
                    self.memory, ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
                )
                limits = {"max_mem": self.memory_mb << 20, "arena_extend_strategy": AS_REQUESTED}
                ort.create_and_register_allocator_v2(self.provider, where, {}, ort.OrtArenaCfg(limits))
                _shared.add(self.memory)
        options.add_session_config_entry("session.use_env_allocators", "1")


CPU = Device(CPU_PROVIDER)


def named(name: str, memory_mb: int = 0) -> Device:
    """As COATCHECK_PROVIDER and COATCHECK_GPU_MEMORY_MB say it."""
    return Device("CUDAExecutionProvider", "Cuda", memory_mb) if name == "cuda" else CPU
