"""Builds model.onnx, LICENSE and golden.flac.

Model, fetched as a Python package:
  silero-vad 6.2.3 (MIT)  its `sequence` graph, which runs many frames at once and gives, bit for bit, what the default
                          one gives frame by frame

Run: python bundles/speech/build.py   (golden.flac is made anew only where espeak-ng is installed, here 1.51)
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import soundfile
import soxr

HERE = Path(__file__).parent
PACKAGE = "silero-vad==6.2.3"
RATE = 16_000
#: Seconds of silence, or a voice and what it says.
SCRIPT: list[float | tuple[str, str]] = [
    0.8,
    ("en-us", "The coat check is open until ten. Hand in your coat, and take a ticket."),
    1.2,
    ("en-gb+f3", "Come back later for the result."),
    0.9,
]


def wheel(folder: Path) -> zipfile.ZipFile:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), PACKAGE]
    subprocess.run(command, check=True)
    return zipfile.ZipFile(next(folder.glob("silero_vad-*.whl")))


def spoken(voice: str, sentence: str, folder: Path) -> np.ndarray:
    target = folder / "spoken.wav"
    subprocess.run(["espeak-ng", "-v", voice, "-s", "150", "-w", str(target), sentence], check=True)
    samples, rate = soundfile.read(target, dtype="float32")
    return soxr.resample(samples, rate, RATE)


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        with wheel(Path(scratch)) as package:
            (HERE / "model.onnx").write_bytes(package.read("silero_vad/data/silero_vad_16k_sequence.onnx"))
            licence = next(name for name in package.namelist() if name.endswith("/LICENSE"))
            (HERE / "LICENSE").write_bytes(package.read(licence))
        if shutil.which("espeak-ng"):
            parts = [
                np.zeros(round(part * RATE), np.float32) if isinstance(part, float) else spoken(*part, Path(scratch))
                for part in SCRIPT
            ]
            soundfile.write(HERE / "golden.flac", np.concatenate(parts), RATE, subtype="PCM_16")


if __name__ == "__main__":
    main()
