"""A WAV or FLAC file as 16 kHz mono, by libsndfile and soxr, a block at a time, however long it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO

import numpy as np
import soundfile
import soxr

from core import errors
from inference.decoders import confined
from inference.decoders.mono import DONE, RATE

#: Beyond these a rate is a damaged header, and a few bytes could claim days.
RATES = range(1_000, 768_001)
#: A few megabytes of FLAC can be weeks of silence.
MAX_HOURS, MAX_CHANNELS = 24, 32
#: RF64 (EBU Tech 3306) is a WAV that may be over 4 GiB.
FORMATS = frozenset({"WAV", "WAVEX", "RF64", "FLAC"})
#: A block is so many seconds at most, and so many samples of all channels together: what bounds memory, and the time
#: between two looks at the interrupt.
BLOCK_S = 8
BLOCK_SAMPLES = 2**18

#: libsndfile quietly reads a WAV to the end of the file, and says in its log what the header had promised; of an
#: RF64, by its frames.
_CUT_SHORT = re.compile(r"^data : (?P<promised>\d+) \(should be (?P<there>\d+)\)", re.MULTILINE)
_CUT_SHORT_RF64 = re.compile(r"frame count (?P<there>\d+) does not match value from 'ds64' chunk of (?P<promised>\d+)")
#: What programs that write into a pipe promise, as they cannot know: from here up to 2^32 - 1.
_ENDLESS = 0x7FFFF000
#: The length of a FLAC that does not know it.
_UNKNOWN = 2**63 - 1


def decode(file: IO[bytes]) -> Iterator[bytes]:
    """Raises InputUnreadable, InputTooLarge."""
    try:
        # By descriptor: a path's ending would be believed, and some endings ask for more arguments.
        with soundfile.SoundFile(file.fileno(), closefd=False) as sound:
            _check(sound)
            yield from _blocks(sound)
    except soundfile.LibsndfileError as error:
        raise errors.InputUnreadable(f"The file cannot be decoded as WAV or FLAC: {error.error_string}") from error


def _blocks(sound: soundfile.SoundFile) -> Iterator[bytes]:
    """The next samples, with the fraction of the file that has been read: 1.0 with the last block, and only then."""
    resampler = soxr.ResampleStream(sound.samplerate, RATE, 1, dtype="float32")
    size = max(1, min(BLOCK_S * sound.samplerate, BLOCK_SAMPLES // sound.channels))
    done = 0
    while done < sound.frames:
        block = sound.read(size, dtype="float32", always_2d=True)
        if not len(block):
            raise errors.InputUnreadable(f"The file ends after {done} of {sound.frames} samples")
        done += len(block)
        mono = block.mean(axis=1)
        if not np.isfinite(mono).all():
            raise errors.InputUnreadable("The file holds samples that are not finite numbers")
        heard = resampler.resample_chunk(mono, last=done == sound.frames)
        yield DONE.pack(done / sound.frames) + heard.tobytes()


def _check(sound: soundfile.SoundFile) -> None:
    if sound.format not in FORMATS:
        raise errors.InputUnreadable(f"The file is {sound.format_info}; it must be WAV or FLAC")
    if sound.samplerate not in RATES:
        raise errors.InputUnreadable(f"The file claims {sound.samplerate} samples a second")
    if sound.channels > MAX_CHANNELS:
        raise errors.InputTooLarge(f"The file has {sound.channels} channels; it may have {MAX_CHANNELS}")
    if sound.frames == _UNKNOWN:
        raise errors.InputUnreadable("The file does not say how long it is, as a FLAC written into a pipe does not")
    if sound.frames == 0:
        raise errors.InputUnreadable("The file holds no samples")
    if sound.frames > MAX_HOURS * 3600 * sound.samplerate:
        raise errors.InputTooLarge(f"The file is longer than {MAX_HOURS} hours")
    for pattern, unit, endless in ((_CUT_SHORT, "bytes of samples", _ENDLESS), (_CUT_SHORT_RF64, "frames", _UNKNOWN)):
        if (found := pattern.search(sound.extra_info)) is not None:
            there, promised = int(found["there"]), int(found["promised"])
            if there < promised < endless:
                raise errors.InputUnreadable(f"The file is cut short: {there} of {promised} {unit}")


if __name__ == "__main__":
    confined.run(decode)
