"""The processes that decode clients' files: what they may take, what they can reach, and how they end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from core import errors
from inference import guarded, pages, waveform
from inference.interrupt import Interrupt
from inference.limits import Limits
from local.child import start_time
from tests.conftest import until
from tests.inference.hostile import jpeg, pdf_of, png, segment
from tests.inference.paper import ROOT, resident_mib, saved, several, written

LIMITS = Limits(pages=200, pixels=36_000_000)


@pytest.fixture
def page(tmp_path: Path) -> Callable[..., Image.Image]:
    def decode(data: bytes, number: int = 1) -> Image.Image:
        (tmp_path / "file").write_bytes(data)
        return pages.opened(tmp_path / "file", LIMITS, dpi=72, interrupt=Interrupt()).page(number)

    return decode


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """More than goes into a pipe."""
    soundfile.write(tmp_path / "sound.wav", np.zeros(60 * 16_000), 16_000)
    return tmp_path / "sound.wav"


Running = tuple[Generator[bytes], int]


@pytest.fixture
def running(sound: Path) -> Generator[Callable[[Interrupt], Running]]:
    """A decoder in the middle of its file, and its pid."""
    with contextlib.ExitStack() as stack:

        def start(interrupt: Interrupt) -> Running:
            pieces = guarded.decoded("sound", sound, what="The file", interrupt=interrupt)
            stack.callback(pieces.close)
            assert next(pieces)
            [pid] = decoders(os.getpid())
            return pieces, pid

        yield start


def decoders(parent: int) -> list[int]:
    """The decoders of a process."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            ours = (path / "stat").read_text().rpartition(")")[2].split()[1] == str(parent)
            if ours and b"inference.decoders" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
    return found


def test_a_decoder_has_nothing_of_our_environment(
    running: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COATCHECK_SECRET_KEY", "k" * 32)
    _, pid = running(Interrupt())
    given = Path(f"/proc/{pid}/environ").read_bytes().rstrip(b"\0").split(b"\0")
    assert {item.partition(b"=")[0] for item in given} == {b"PYTHONPATH", b"OPENBLAS_NUM_THREADS"}
    assert b"OPENBLAS_NUM_THREADS=1" in given


def test_a_decoder_may_open_write_and_start_nothing(running: Callable[..., Running]) -> None:
    _, pid = running(Interrupt())
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    limits = {line[:26].strip(): line[26:].split()[:2] for line in lines}
    assert limits["Max address space"] == [str(2**30)] * 2
    assert int(limits["Max cpu time"][0]) <= 60 + 5
    assert limits["Max cpu time"][1] == "3600"
    for what, most in (("core file size", 0), ("file size", 0), ("processes", 0), ("open files", 4)):
        assert limits[f"Max {what}"] == [str(most)] * 2
    assert len(list(Path(f"/proc/{pid}/fd").iterdir())) == 4
    assert [os.readlink(f"/proc/{pid}/fd/{number}") for number in (0, 2)] == [os.devnull] * 2
    assert "NoNewPrivs:\t1" in Path(f"/proc/{pid}/status").read_text()
    assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "1000\n"
    assert os.getsid(pid) == pid


def test_a_decoder_that_is_killed_is_its_files_failure(running: Callable[..., Running]) -> None:
    pieces, pid = running(Interrupt())
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(errors.InputUnreadable, match="The file cannot be decoded, or not within 1024 MiB and 60 s"):
        list(pieces)


def test_a_decoder_that_hangs_ends_with_the_wish_to_stop(running: Callable[..., Running]) -> None:
    interrupt = Interrupt()
    pieces, pid = running(interrupt)
    os.kill(pid, signal.SIGSTOP)
    threading.Timer(0.2, interrupt.set).start()
    used_s = time.thread_time()
    with pytest.raises(errors.ModelInterrupted):
        list(pieces)
    assert time.thread_time() - used_s < 0.1, "to wait for it costs nothing"
    assert not Path(f"/proc/{pid}").exists()


def test_a_decoder_that_says_nothing_for_long_is_given_up(
    running: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert guarded.SILENT_S == 300
    pieces, pid = running(Interrupt())
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr(guarded, "SILENT_S", 0.2)
    with pytest.raises(errors.InputUnreadable):
        list(pieces)
    assert not Path(f"/proc/{pid}").exists()


def test_a_decoder_ends_with_whoever_stops_reading(running: Callable[..., Running]) -> None:
    pieces, pid = running(Interrupt())
    pieces.close()
    assert not Path(f"/proc/{pid}").exists()


def test_no_decoder_is_left_when_its_worker_is_killed(sound: Path) -> None:
    code = f"""
import pathlib, time
from inference import guarded, interrupt
pieces = guarded.decoded("sound", pathlib.Path({str(sound)!r}), what="", interrupt=interrupt.Interrupt())
next(pieces)
print(flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        worker.stdout.readline()
        [pid] = decoders(worker.pid)
        # A decoder that waits for nothing, and would not notice that nobody reads.
        os.kill(pid, signal.SIGSTOP)
        worker.kill()
    until(lambda: start_time(pid) is None)


def test_a_decoder_whose_parent_is_gone_already_decodes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(saved(written(), "PNG"))
    command = [sys.executable, "-m", "inference.decoders.picture", "0", str(tmp_path / "file"), "1", "1000000", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")


@pytest.mark.parametrize("between", [b"", b"\xff" * 9, segment(0xFE, b"\xff\xd9" * 9), b"\xff\xd0\xff\0hidden"])
def test_a_jpeg_of_thousands_of_scans_is_refused_however_it_is_written(
    page: Callable[[bytes], Image.Image], between: bytes
) -> None:
    with pytest.raises(errors.InputTooLarge, match="more than 64 scans"):
        page(jpeg(12_000, between=between))


def test_scans_within_a_preview_are_not_the_pictures(page: Callable[[bytes], Image.Image]) -> None:
    preview = segment(0xE1, jpeg(1000, side=8))
    made = jpeg(64, side=80).replace(b"\xff\xd8", b"\xff\xd8" + preview, 1)
    assert page(made).size == (80, 80)


@pytest.mark.parametrize("size", [(1, 36_000_000), (16_385, 1)])
def test_a_side_that_is_too_long_is_refused(page: Callable[[bytes], Image.Image], size: tuple[int, int]) -> None:
    before = resident_mib()
    with pytest.raises(errors.InputTooLarge, match="a side may have 16384"):
        page(png(*size, depth=8, colour=0, pixel_bytes=1))
    assert resident_mib() - before < 50


def test_a_page_of_thousands_of_tags_is_refused(page: Callable[[bytes], Image.Image]) -> None:
    tags = dict.fromkeys(range(40_000, 41_001), 1)
    with pytest.raises(errors.InputTooLarge, match="Page 1 has more than 1000 tags"):
        page(saved(written(), "TIFF", tiffinfo=tags))


def test_a_tiff_whose_pages_lead_back_to_the_first_is_refused(page: Callable[..., Image.Image]) -> None:
    data = bytearray(saved(Image.new("L", (9, 9)), "TIFF"))
    start = int.from_bytes(data[4:8], "little")
    end = start + 2 + 12 * int.from_bytes(data[start : start + 2], "little")
    data[end : end + 4] = data[4:8]
    with pytest.raises((errors.InputTooLarge, errors.InputUnreadable)):
        page(bytes(data), number=2)


#: A new process starts with the peak of the one that started it: so one that is small starts the decoder.
_PEAK = """
import os, resource, subprocess, sys
command = [sys.executable, "-m", sys.argv[1], str(os.getpid()), *sys.argv[2:]]
subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_mib(decoder: str, path: Path, *asked: int) -> float:
    """What a decoder took at most."""
    command = [sys.executable, "-c", _PEAK, f"inference.decoders.{decoder}", str(path), *map(str, asked)]
    return int(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout) / 1024


@pytest.mark.parametrize(
    "make",
    [
        lambda: png(6000, 6000, depth=16, colour=6, pixel_bytes=8),
        lambda: jpeg(64),
        lambda: several("TIFF", Image.new("RGBA", (6000, 6000)), compression="tiff_lzw"),
    ],
    ids=["sixteen bits and alpha", "progressive", "lzw"],
)
def test_the_largest_picture_is_held_little_more_than_once(tmp_path: Path, make: Callable[[], bytes]) -> None:
    (tmp_path / "file").write_bytes(make())
    # As Pillow holds it, it is 137 MiB; libjpeg holds a progressive one as well, in two bytes a colour.
    assert peak_mib("picture", tmp_path / "file", LIMITS.pages, LIMITS.pixels, 1, 72) < 550
    before = resident_mib()
    found = pages.opened(tmp_path / "file", LIMITS, dpi=72, interrupt=Interrupt()).page(1)
    assert found.size == (6000, 6000)
    assert resident_mib() - before < 137 + 50


def test_a_picture_that_takes_long_ends_with_the_wish_to_stop(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(pdf_of(jpeg(12_000)))
    interrupt = Interrupt()
    document = pages.opened(tmp_path / "file", LIMITS, dpi=72, interrupt=interrupt)
    threading.Timer(1, interrupt.set).start()
    with pytest.raises(errors.ModelInterrupted):
        document.page(1)


@pytest.mark.parametrize(
    ("make", "number", "what"),
    [
        (lambda: saved(written(), "PNG"), 0, "The file"),
        (lambda: saved(written(), "PDF"), 0, "The PDF"),
        (lambda: saved(written(), "PNG"), 1, "Page 1"),
        (lambda: saved(written(), "PDF"), 1, "Page 1"),
    ],
    ids=["picture", "pdf", "page of a picture", "page of a pdf"],
)
def test_what_a_decoder_failed_at_is_told_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[], bytes], number: int, what: str
) -> None:
    (tmp_path / "file").write_bytes(make())
    document = pages.opened(tmp_path / "file", LIMITS, dpi=72, interrupt=Interrupt())
    # Given up before it can have begun.
    monkeypatch.setattr(guarded, "SILENT_S", -1)
    monkeypatch.setattr(guarded, "LOOK_S", 0.001)
    with pytest.raises(errors.InputUnreadable, match=f"^{what} cannot be decoded, or not within 1024 MiB and 60 s$"):
        document.page(1) if number else pages.opened(document.path, LIMITS, dpi=72, interrupt=Interrupt())


def heard(path: Path) -> int:
    return sum(len(block) for block, _ in waveform.blocks(path, Interrupt()))


def test_a_sound_of_too_many_channels_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "many.wav", np.zeros((1000, 33)), 16_000)
    with pytest.raises(errors.InputTooLarge, match="33 channels; it may have 32"):
        heard(tmp_path / "many.wav")


def test_a_sound_that_claims_to_be_longer_than_a_day_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.flac", np.zeros(1000), 16_000)
    data = bytearray((tmp_path / "long.flac").read_bytes())
    data[22:26] = (16_000 * 3600 * 24 + 1).to_bytes(4)
    (tmp_path / "long.flac").write_bytes(data)
    with pytest.raises(errors.InputTooLarge, match="longer than 24 hours"):
        heard(tmp_path / "long.flac")
