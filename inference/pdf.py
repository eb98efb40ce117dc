"""The pages of a PDF, drawn by PDFium in a process of its own.

A few bytes can make it take any amount of memory and time, and it is not made for threads. Here all that ends with the
process, which is given nothing but the file.
"""

from __future__ import annotations

import io
import math
import os
import resource
import subprocess
import sys
from pathlib import Path

import pypdfium2
from PIL import Image
from pypdfium2 import raw

from core import errors
from inference.interrupt import Interrupt
from inference.limits import Limits

POINTS_PER_INCH = 72
#: What a page may take to be drawn.
MEMORY_BYTES, CPU_S = 2**30, 60
#: How often a wish to stop is looked at meanwhile.
LOOK_S = 0.1
#: How the process ends when it knows what is wrong; its output is the sentence.
TOO_LARGE, UNREADABLE = 3, 4
REFUSED = {TOO_LARGE: errors.InputTooLarge, UNREADABLE: errors.InputUnreadable}


def count(path: Path, interrupt: Interrupt) -> int:
    """How many pages there are; raises InputUnreadable, ModelInterrupted."""
    return int(_ask("The PDF", interrupt, path))


def page(path: Path, number: int, limits: Limits, *, dpi: int, interrupt: Interrupt) -> Image.Image:
    """Raises InputUnreadable, InputTooLarge, ModelInterrupted."""
    drawn = _ask(f"Page {number}", interrupt, path, number, dpi, limits.pixels)
    return Image.open(io.BytesIO(drawn), formats=("PPM",))


def _ask(what: str, interrupt: Interrupt, *asked: object) -> bytes:
    command = [sys.executable, "-m", "inference.pdf", *map(str, asked)]
    # Not our own environment, which holds secrets.
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(  # noqa: S603 - it is this very file
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, process_group=0
    ) as process:
        try:
            answer = _finished(process, interrupt)
        finally:
            process.kill()
    if process.returncode in REFUSED:
        raise REFUSED[process.returncode](answer.decode())
    if process.returncode:
        raise errors.InputUnreadable(f"{what} cannot be drawn, or not within {MEMORY_BYTES >> 20} MiB and {CPU_S} s")
    return answer


def _finished(process: subprocess.Popen[bytes], interrupt: Interrupt) -> bytes:
    """What it wrote; raises ModelInterrupted."""
    while True:
        try:
            return process.communicate(timeout=LOOK_S)[0]
        except subprocess.TimeoutExpired:
            if interrupt.is_set:
                raise errors.ModelInterrupted from None


def main(path: str, *asked: str) -> int:
    """Write the number of pages to standard output, or one of them as a PPM."""
    for what, most in ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CPU, CPU_S), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(what, (most, most))
    try:
        answer = _drawn(_open(path), *map(int, asked)) if asked else b"%d" % len(_open(path))
    except (errors.InputTooLarge, errors.InputUnreadable) as error:
        sys.stdout.write(error.message)
        return TOO_LARGE if isinstance(error, errors.InputTooLarge) else UNREADABLE
    sys.stdout.buffer.write(answer)
    return 0


def _open(path: str) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if error.err_code == raw.FPDF_ERR_PASSWORD:
            raise errors.InputUnreadable("The PDF is protected by a password") from error
        raise errors.InputUnreadable("The PDF is damaged, or has no pages") from error


def _drawn(document: pypdfium2.PdfDocument, number: int, dpi: int, pixels: int) -> bytes:
    limits, scale = Limits(pages=len(document), pixels=pixels), dpi / POINTS_PER_INCH
    try:
        page = document[number - 1]
    except pypdfium2.PdfiumError as error:
        raise errors.InputUnreadable(f"Page {number} is damaged") from error
    limits.check_size(number, *(math.ceil(side * scale) for side in page.get_size()))
    for picture in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE]):
        limits.check_size(number, *picture.get_px_size())
    bitmap = page.render(scale=scale, rev_byteorder=True)
    return b"P6 %d %d 255\n" % (bitmap.width, bitmap.height) + bytes(bitmap.buffer)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
