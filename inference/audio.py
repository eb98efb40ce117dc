"""Listening to audio files: where there is speech. Safe to share between threads."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from inference import waveform
from inference.decoders.mono import RATE
from inference.given import floats, probabilities
from inference.interrupt import Interrupt
from inference.opened import Emit, FileModel
from inference.segments import FRAME, Finder, Segment
from inference.waveform import Samples

#: Each frame comes with the end of the one before it.
CONTEXT = 64
STATE = (1, 1, 128)


class Listener(FileModel):
    """A bundle with its ONNX session, which takes frames [N, CONTEXT + FRAME] and carries its state `h`, `c` along."""

    OUTPUTS = frozenset({"speech_probs", "hn", "cn"})

    def _answer(
        self,
        path: Path,
        inputs: Mapping[str, Any],
        progress: Callable[[float], None],
        emit: Emit,
        interrupt: Interrupt,
    ) -> dict[str, Any]:
        """The segments of speech in a WAV or FLAC file; each is a piece, as soon as it cannot change any more."""
        finder, length = Finder(**inputs), 0
        rest = np.zeros(CONTEXT, np.float32)
        h = c = np.zeros(STATE, np.float32)
        with contextlib.closing(waveform.blocks(path, interrupt)) as blocks:
            for block, done in blocks:
                length += len(block)
                # What is left of the last frame is silence.
                heard = np.pad(block, (0, -length % FRAME)) if done == 1.0 else block
                frames, rest = _frames(np.concatenate((rest, heard)))
                probabilities, h, c = self._run(frames, h, c, interrupt)
                finder.hear(probabilities.tolist())
                for segment in finder.settled():
                    emit(_shown(segment))
                progress(done)
        segments = finder.segments(length)
        for segment in finder.settled():
            emit(_shown(segment))
        return _result(segments, length)

    def _run(self, frames: Samples, h: Samples, c: Samples, interrupt: Interrupt) -> tuple[Samples, Samples, Samples]:
        """The probability of speech in each frame, and the state after the last one."""
        if not len(frames):
            return np.zeros(0, np.float32), h, c
        given = self._session.run(["speech_probs", "hn", "cn"], {"input": frames, "h": h, "c": c}, interrupt.options)
        name = self.bundle.manifest.name
        likely = probabilities(name, "speech_probs", given[0], len(frames))
        return likely, floats(name, "hn", given[1], *STATE), floats(name, "cn", given[2], *STATE)


def _frames(samples: Samples) -> tuple[Samples, Samples]:
    """The whole frames of what starts with a context, and the samples that the next ones start with."""
    count = (len(samples) - CONTEXT) // FRAME
    if not count:
        return np.zeros((0, CONTEXT + FRAME), np.float32), samples
    windows = np.lib.stride_tricks.sliding_window_view(samples, CONTEXT + FRAME)[::FRAME]
    return np.ascontiguousarray(windows), samples[count * FRAME :]


def _shown(segment: Segment) -> dict[str, float]:
    """In seconds."""
    start, end = segment
    return {"start": round(start / RATE, 3), "end": round(end / RATE, 3)}


def _result(segments: list[Segment], length: int) -> dict[str, Any]:
    return {
        "segments": [_shown(segment) for segment in segments],
        "duration_s": round(length / RATE, 3),
        "speech_s": round(sum(end - start for start, end in segments) / RATE, 3),
    }
