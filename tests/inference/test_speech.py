from __future__ import annotations

import random
import struct
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

from core import errors
from inference import bundle, model, schema, segments
from inference.audio import Listener
from inference.interrupt import Interrupt
from inference.segments import FRAME, Finder, Segment

SPEECH = Path(__file__).resolve().parents[2] / "bundles" / "speech"
RATE = 16_000

Listen = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def listener() -> Listener:
    opened = model.open_model(bundle.load(SPEECH))
    assert isinstance(opened, Listener)
    return opened


@pytest.fixture
def listen(listener: Listener) -> Listen:
    def run(path: Path, progress: Callable[[float], None] = lambda _: None, **asked: Any) -> dict[str, Any]:
        inputs = schema.validate_inputs(listener.bundle.manifest, asked)
        return listener.answer(path, inputs, progress=progress, interrupt=Interrupt())

    return run


@pytest.fixture(scope="module")
def golden() -> np.ndarray:
    samples, rate = soundfile.read(SPEECH / "golden.flac", dtype="float32")
    assert rate == RATE
    return samples


@pytest.fixture
def sound(tmp_path: Path, golden: np.ndarray) -> Path:
    """The golden audio as a WAV of 16 bits."""
    soundfile.write(tmp_path / "sound.wav", golden, RATE)
    return tmp_path / "sound.wav"


def repeated(path: Path, samples: np.ndarray, seconds: int) -> Path:
    with soundfile.SoundFile(path, "w", RATE, 1) as target:
        for _ in range(round(seconds * RATE / len(samples))):
            target.write(samples)
    return path


def edges(result: dict[str, Any]) -> np.ndarray:
    return np.array([(item["start"], item["end"]) for item in result["segments"]])


def test_the_result_adds_up(listen: Listen, golden: np.ndarray) -> None:
    result = listen(SPEECH / "golden.flac")
    found = edges(result)
    assert set(result) == {"segments", "duration_s", "speech_s"}
    assert result["duration_s"] == round(len(golden) / RATE, 3)
    assert result["speech_s"] == pytest.approx((found[:, 1] - found[:, 0]).sum(), abs=0.01)
    assert (np.diff(found.ravel()) > 0).all()
    assert 0 < found[0, 0] < found[-1, 1] < result["duration_s"]


@pytest.mark.parametrize(
    ("rate", "channels", "ending", "subtype"),
    [
        (16_000, 1, "wav", "PCM_16"),
        (8_000, 1, "wav", "PCM_16"),
        (44_100, 2, "wav", "PCM_16"),
        (44_100, 2, "flac", "PCM_24"),
        (11_025, 1, "wav", "ULAW"),
        (22_050, 1, "wav", "PCM_U8"),
        (96_000, 6, "wav", "FLOAT"),
    ],
)
def test_the_same_audio_gives_the_same_segments_in_any_form(
    listen: Listen, golden: np.ndarray, tmp_path: Path, rate: int, channels: int, ending: str, subtype: str
) -> None:
    samples = soxr.resample(golden, RATE, rate)
    path = tmp_path / f"sound.{ending}"
    soundfile.write(path, np.stack([samples] * channels, axis=1), rate, subtype=subtype)
    expected, found = listen(SPEECH / "golden.flac"), listen(path)
    assert edges(found) == pytest.approx(edges(expected), abs=0.1)
    assert found["duration_s"] == pytest.approx(expected["duration_s"], abs=0.001)


def test_blocks_that_are_shorter_than_a_frame_are_heard_together(
    listen: Listen, golden: np.ndarray, tmp_path: Path
) -> None:
    samples = golden[2 * RATE : 3 * RATE]
    soundfile.write(tmp_path / "plain.wav", samples, RATE)
    # Of so many channels and samples a second, a block has no more than 341 of ours.
    many = np.stack([soxr.resample(samples, RATE, 384_000)] * 32, axis=1)
    soundfile.write(tmp_path / "many.wav", many, 384_000)
    expected, found = edges(listen(tmp_path / "plain.wav")), edges(listen(tmp_path / "many.wav"))
    assert len(expected)
    assert found == pytest.approx(expected, abs=0.1)


def test_the_name_of_a_file_means_nothing(listen: Listen, sound: Path) -> None:
    expected = listen(sound)
    for name in ("sound.raw", "sound.flac", "sound"):
        assert listen(sound.rename(sound.with_name(name))) == expected
        sound = sound.with_name(name)


def test_a_wav_from_a_pipe_does_not_know_its_length_and_is_heard(listen: Listen, sound: Path) -> None:
    expected = listen(sound)
    data = sound.read_bytes()
    place = data.index(b"data") + 4
    for promised in (0xFFFFFFFF, 0x7FFFF000):
        sound.write_bytes(data[:place] + struct.pack("<I", promised) + data[place + 4 :])
        assert listen(sound) == expected


@pytest.mark.parametrize("count", [1, 7, 511, 512, 513, 16_000, 300_001])
def test_silence_holds_no_speech(listen: Listen, tmp_path: Path, count: int) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(count), RATE)
    expected = {"segments": [], "duration_s": round(count / RATE, 3), "speech_s": 0.0}
    assert listen(tmp_path / "silence.wav") == expected


def test_speech_up_to_the_last_sample_ends_there(listen: Listen, golden: np.ndarray, tmp_path: Path) -> None:
    start, end = 2 * RATE, 3 * RATE - 100
    soundfile.write(tmp_path / "cut.wav", golden[start:end], RATE)
    found = listen(tmp_path / "cut.wav")
    assert found["segments"][-1]["end"] == round((end - start) / RATE, 3)
    assert found["speech_s"] == round(found["speech_s"], 3) > 0


def test_parameters_decide(listen: Listen) -> None:
    path = SPEECH / "golden.flac"
    plain = listen(path)
    assert listen(path, threshold=0.5, min_speech_ms=250, min_silence_ms=100, speech_pad_ms=30) == plain
    assert len(listen(path, min_silence_ms=1000)["segments"]) == 2
    assert len(listen(path, min_speech_ms=1500)["segments"]) < len(plain["segments"])
    assert listen(path, threshold=0.99)["speech_s"] < plain["speech_s"]
    assert listen(path, speech_pad_ms=0)["speech_s"] < plain["speech_s"]
    assert listen(path, speech_pad_ms=60_000)["speech_s"] == plain["duration_s"]


@pytest.mark.parametrize(
    "inputs", [{"threshold": 1.1}, {"threshold": "0.5"}, {"min_speech_ms": 0.5}, {"speech_pad_ms": -1}, {"other": 1}]
)
def test_parameters_are_judged_by_the_manifest(listen: Listen, inputs: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidInput):
        listen(SPEECH / "golden.flac", **inputs)


def test_neighbours_share_a_gap_that_is_too_small_for_both() -> None:
    finder = Finder(threshold=0.5, min_speech_ms=0, min_silence_ms=32, speech_pad_ms=100)
    finder.hear([0.1, 0.9, 0.9, 0.1, 0.1, 0.9, 0.4, 0.1, 0.9, 0.9])
    assert finder.segments(5100) == [(0, 2048), (2048, 5100)]


def test_speech_goes_on_above_the_lower_threshold() -> None:
    finder = Finder(threshold=0.5, min_speech_ms=0, min_silence_ms=0, speech_pad_ms=0)
    finder.hear([0.1, 0.49, 0.5, 0.36, 0.36, 0.34, 0.49, 0.1])
    assert finder.segments(8 * 512) == [(2 * 512, 5 * 512)]


@pytest.mark.parametrize("pad", [0, 30, 400])
def test_what_is_told_on_the_way_is_what_is_found_in_the_end_and_costs_no_more_for_what_was_before(
    pad: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    padded = segments._padded

    def counted(found: Sequence[Segment], *more: int) -> list[Segment]:
        looked.append(len(found))
        return padded(found, *more)

    monkeypatch.setattr(segments, "_padded", counted)
    drawn = random.Random(pad)
    finder = Finder(threshold=0.5, min_speech_ms=0, min_silence_ms=30, speech_pad_ms=pad)
    told: list[Segment] = []
    frames = 0
    for _ in range(2000):
        block = [drawn.choice((0.0, 0.9)) for _ in range(drawn.randrange(1, 9))]
        finder.hear(block)
        frames += len(block)
        told += finder.settled()
    found = finder.segments(frames * FRAME)
    assert told + finder.settled() == found
    assert looked.pop() <= 9
    assert looked.pop() == len(found) > 500
    assert max(looked) <= 9


def test_progress_rises_to_one(listen: Listen, golden: np.ndarray, tmp_path: Path) -> None:
    heard: list[float] = []
    listen(repeated(tmp_path / "long.flac", golden, 120), heard.append)
    assert len(heard) >= 15
    assert heard == sorted(set(heard))
    assert (heard[0] > 0, heard[-1]) == (True, 1.0)


def test_another_thread_ends_a_run_long_before_its_end(listener: Listener, golden: np.ndarray, tmp_path: Path) -> None:
    path, heard, interrupt = repeated(tmp_path / "long.wav", golden, 3600), [], Interrupt()
    begun, ended, raised = threading.Event(), threading.Event(), []

    def progress(fraction: float) -> None:
        heard.append(fraction)
        begun.set()

    def run() -> None:
        inputs = schema.validate_inputs(listener.bundle.manifest, {})
        try:
            listener.answer(path, inputs, progress=progress, interrupt=interrupt)
        except errors.ModelInterrupted as error:
            raised.append(error)
        ended.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert begun.wait(30)
    interrupt.set()
    assert ended.wait(30)
    thread.join()
    assert len(raised) == 1
    assert heard[-1] < 0.5


def test_a_run_that_is_told_to_stop_on_its_way_hears_no_further_block(listener: Listener, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", np.zeros(60 * RATE), RATE)
    heard, interrupt = [], Interrupt()

    def progress(fraction: float) -> None:
        heard.append(fraction)
        interrupt.set()

    inputs = schema.validate_inputs(listener.bundle.manifest, {})
    with pytest.raises(errors.ModelInterrupted):
        listener.answer(tmp_path / "long.wav", inputs, progress=progress, interrupt=interrupt)
    assert len(heard) == 1


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def test_memory_does_not_grow_with_the_file(listen: Listen, golden: np.ndarray, tmp_path: Path) -> None:
    listen(SPEECH / "golden.flac")
    path, seen = repeated(tmp_path / "long.flac", golden, 1800), [resident_mib()]
    listen(path, lambda _: seen.append(resident_mib()))
    # As an array, the audio would be 110 MiB.
    assert max(seen) - seen[0] < 20


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def scrambled(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(value ^ 0xA5 for value in data[middle : middle + 4000]) + data[middle + 4000 :]


def of_unknown_length(flac: bytes) -> bytes:
    return flac[:21] + bytes([flac[21] & 0xF0, 0, 0, 0, 0]) + flac[26:]


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda wav, flac: b"", "cannot be decoded"),
        (lambda wav, flac: b"a text, and a long one" * 100, "cannot be decoded"),
        (lambda wav, flac: wav[:30], "cannot be decoded"),
        (lambda wav, flac: cut(wav), "cut short"),
        (lambda wav, flac: wav[:-2], "cut short"),
        (lambda wav, flac: flac[:30], "cannot be decoded"),
        (lambda wav, flac: cut(flac), "cannot be decoded"),
        (lambda wav, flac: flac[:-3], "cannot be decoded"),
        (lambda wav, flac: scrambled(flac), "cannot be decoded"),
        (lambda wav, flac: of_unknown_length(flac), "how long"),
    ],
    ids=[
        "empty",
        "text",
        "wav-head",
        "wav-half",
        "wav-end",
        "flac-head",
        "flac-half",
        "flac-end",
        "flac-broken",
        "pipe",
    ],
)
def test_a_file_that_cannot_be_decoded_is_refused(
    listen: Listen, sound: Path, make: Callable[[bytes, bytes], bytes], named: str
) -> None:
    made = make(sound.read_bytes(), (SPEECH / "golden.flac").read_bytes())
    sound.write_bytes(made)
    with pytest.raises(errors.InputUnreadable, match=named):
        listen(sound)


@pytest.mark.parametrize("form", ["AIFF", "OGG", "W64", "AU"])
def test_other_formats_are_refused(listen: Listen, golden: np.ndarray, tmp_path: Path, form: str) -> None:
    soundfile.write(tmp_path / "sound.wav", golden, RATE, format=form)
    with pytest.raises(errors.InputUnreadable, match="must be WAV or FLAC"):
        listen(tmp_path / "sound.wav")


@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_a_file_without_samples_is_refused(listen: Listen, tmp_path: Path, ending: str) -> None:
    soundfile.write(tmp_path / f"none.{ending}", np.zeros(0), RATE)
    with pytest.raises(errors.InputUnreadable):
        listen(tmp_path / f"none.{ending}")


@pytest.mark.parametrize("rate", [1, 2_000_000_000])
def test_a_rate_that_no_microphone_has_is_refused(
    listen: Listen, golden: np.ndarray, tmp_path: Path, rate: int
) -> None:
    soundfile.write(tmp_path / "sound.wav", golden[:1000], rate)
    with pytest.raises(errors.InputUnreadable, match="claims"):
        listen(tmp_path / "sound.wav")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_sample_that_is_no_number_is_refused(
    listen: Listen, golden: np.ndarray, tmp_path: Path, value: float
) -> None:
    samples = golden.copy()
    samples[1000] = value
    soundfile.write(tmp_path / "sound.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(errors.InputUnreadable, match="not finite"):
        listen(tmp_path / "sound.wav")


def test_a_wav_for_more_than_four_gigabytes_is_heard_as_any_other(
    listen: Listen, sound: Path, golden: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "sound.rf64"
    soundfile.write(path, golden, RATE, format="RF64", subtype="PCM_16")
    assert listen(path) == listen(sound)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(errors.InputUnreadable, match=r"^The file is cut short: \d+ of \d+ frames$"):
        listen(path)
