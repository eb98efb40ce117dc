"""Recordings, in which speech is found: `inference.audio`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from inference import keys
from inference.faults import Fault
from inference.keys import Key
from inference.kinds import files
from inference.manifest import Golden, Manifest

if TYPE_CHECKING:
    import onnxruntime

    from inference.bundle import Bundle
    from inference.opened import FileModel

#: The edges of golden segments may differ by this much between machines and providers.
TOLERANCE_S = 0.1
_SEGMENT = {"start": keys.number(0, required=True), "end": keys.number(0, required=True)}


class AudioKind(files.FileKind):
    """A WAV or FLAC; a golden example says the `segments` of speech in it, in seconds."""

    content_types = ("audio/wav", "audio/flac")
    #: A second one has nothing to do where each frame of sound follows from the one before it.
    one_thread = True
    option_keys: ClassVar[Mapping[str, Key] | None] = {}
    parameters: ClassVar[Mapping[str, str]] = {
        "threshold": "number", "min_speech_ms": "integer", "min_silence_ms": "integer", "speech_pad_ms": "integer",
    }  # fmt: skip
    golden_keys: ClassVar[Mapping[str, Key]] = {
        **files.GOLDEN,
        "segments": keys.listed(keys.mapping(_SEGMENT), required=True),
    }

    def broken_golden(self, manifest: Manifest, golden: Golden) -> Iterator[Fault]:
        for number, segment in enumerate(golden.answer["segments"]):
            if segment["start"] > segment["end"]:
                yield Fault(("segments", number, "start"), f"must be at most its end, {segment['end']}")

    def opened(self, bundle: Bundle, *sessions: onnxruntime.InferenceSession) -> FileModel:
        from inference.audio import Listener

        return Listener(bundle, *sessions)

    def missed(self, golden: Golden, found: Mapping[str, Any]) -> str | None:
        wanted, segments = golden.answer["segments"], found["segments"]
        return None if _edges_agree(wanted, segments) else f"must give {wanted}, but gives {segments}"


def _edges_agree(expected: Sequence[Mapping[str, float]], found: Sequence[Mapping[str, float]]) -> bool:
    return len(expected) == len(found) and all(
        abs(one[edge] - other[edge]) <= TOLERANCE_S
        for one, other in zip(expected, found, strict=True)
        for edge in ("start", "end")
    )
