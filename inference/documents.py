"""Reading documents: lines are found on a page, cut out, and read one by one. Safe to share between threads.

Imported only where a document is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image

from core import errors
from inference import lines, pages
from inference.bundle import Bundle
from inference.given import probabilities
from inference.interrupt import Interrupt
from inference.limits import Limits
from inference.lines import Floats
from inference.opened import Emit, FileModel

OUTPUT = "fetch_name_0"
#: Of a page, to find its lines: a small one is enlarged to its shortest side, a large one reduced to its longest.
SHORTEST, LONGEST, MULTIPLE = 736, 2000, 32
#: Of a line as it is read; a longer one is squeezed.
HEIGHT, WIDEST = 48, 3840
#: What is read with less confidence may be upside down.
DOUBTFUL = 0.9
#: Finding the lines of a page takes about as long as reading so many.
FINDING = 15
#: What each network learned from: pixels from 0 to 1, less a mean, over a deviation, for blue, green, red. The one that
#: finds lines was raised on photographs, ImageNet's; given the other's figures it misses short lines on much white.
TO_FIND = np.array([(0.485, 0.456, 0.406), (0.229, 0.224, 0.225)], np.float32)
TO_READ = np.full((2, 3), 0.5, np.float32)
#: The first class of the network is "nothing new here".
BLANK = 0


class Reader(FileModel):
    """A bundle with two sessions: `detect` says which pixels of [1, 3, height, width] are text, `recognize` which
    characters follow each other in the line [1, 3, HEIGHT, width]."""

    OUTPUTS = frozenset({OUTPUT})

    def __init__(
        self, bundle: Bundle, detect: onnxruntime.InferenceSession, recognize: onnxruntime.InferenceSession
    ) -> None:
        super().__init__(bundle, detect, recognize)
        self._limits = Limits(bundle.manifest.options["max_pages"], bundle.manifest.options["max_pixels"])
        self._detect, self._recognize = detect, recognize
        characters = recognize.get_modelmeta().custom_metadata_map.get("character", "").split("\n")
        self._characters = np.array(["", *characters, " "])
        if recognize.get_outputs()[0].shape[-1:] != [len(self._characters)]:
            raise errors.BundleInvalid("recognize.onnx must give two classes more than its metadata has characters")

    def _answer(
        self,
        path: Path,
        inputs: Mapping[str, Any],
        progress: Callable[[float], None],
        emit: Emit,
        interrupt: Interrupt,
    ) -> dict[str, Any]:
        """The lines of text on every page of a PNG, JPEG, TIFF or PDF; each is a piece, with its page."""
        found: list[dict[str, Any]] = []
        document = pages.opened(path, self._limits, dpi=inputs["dpi"], interrupt=interrupt)
        for number in range(1, document.count + 1):
            page = document.page(number)
            read = []
            for line, done in self._lines(page, interrupt):
                if line is not None and line["confidence"] >= inputs["min_confidence"]:
                    read.append(line)
                    emit({"page": number, **line})
                progress((number - 1 + done) / document.count)
            ordered = [read[place] for place in lines.reading_order([np.array(line["box"]) for line in read])]
            found.append({"page": number, "width": page.width, "height": page.height, "lines": ordered})
        return {"pages": found, "page_count": len(found), "line_count": sum(len(item["lines"]) for item in found)}

    def _lines(self, page: Image.Image, interrupt: Interrupt) -> Iterator[tuple[dict[str, Any] | None, float]]:
        """Each line, with the fraction of the page that is done; at first None, when they are found."""
        boxes = self._find(page, interrupt)
        steps = FINDING + len(boxes)
        yield None, FINDING / steps
        for done, box in enumerate(boxes, start=FINDING + 1):
            text, confidence, corners = self._line(page, box, interrupt)
            line = {"text": text, "confidence": round(confidence, 4), "box": np.round(corners).astype(int).tolist()}
            yield line if text else None, done / steps

    def _find(self, page: Image.Image, interrupt: Interrupt) -> list[Floats]:
        """The corners of each line."""
        size = np.array(page.size)
        scale = min(max(1.0, SHORTEST / size.min()), LONGEST / size.max())
        width, height = (np.maximum(np.round(size * scale / MULTIPLE), 1) * MULTIPLE).astype(int).tolist()
        scaled = page.resize((width, height), Image.Resampling.BILINEAR)
        likely = self._run(self._detect, _pixels(scaled, TO_FIND), interrupt)[0]
        boxes = []
        for box in lines.find(likely):
            if interrupt.is_set:
                raise errors.ModelInterrupted
            boxes.append(np.clip(box * size / (width, height), 0, size))
        return boxes

    def _line(self, page: Image.Image, box: Floats, interrupt: Interrupt) -> tuple[str, float, Floats]:
        """What is written, with how much confidence, and the corners from where it begins."""
        read = (*self._read(_cut(page, box), interrupt), box)
        if read[1] >= DOUBTFUL:
            return read
        turned = np.roll(box, 2, axis=0)
        return max(read, (*self._read(_cut(page, turned), interrupt), turned), key=itemgetter(1))

    def _read(self, line: Image.Image, interrupt: Interrupt) -> tuple[str, float]:
        """What is written, and how sure the network is of its characters on average."""
        width = min(max(round(HEIGHT * line.width / line.height), HEIGHT // 2), WIDEST)
        scaled = line.resize((width, HEIGHT), Image.Resampling.BILINEAR)
        likely = self._run(self._recognize, _pixels(scaled, TO_READ), interrupt)
        best = likely.argmax(axis=1)
        # A character lasts as long as its class stays the same; a blank parts two that are alike.
        begins = (best != BLANK) & (np.diff(best, prepend=BLANK) != 0)
        text = "".join(self._characters[best[begins]].tolist())
        return text, float(likely.max(axis=1)[begins].mean()) if text else 0.0

    def _run(self, session: onnxruntime.InferenceSession, pixels: Floats, interrupt: Interrupt) -> Floats:
        [given] = session.run([OUTPUT], {"x": pixels}, interrupt.options)
        found = (1, *pixels.shape[2:]) if session is self._detect else (None, len(self._characters))
        likely: Floats = probabilities(self.bundle.manifest.name, OUTPUT, given, 1, *found)[0]
        return likely


def _pixels(image: Image.Image, learned: Floats) -> Floats:
    """[1, 3, height, width], as the network learned them."""
    mean, deviation = learned
    scaled = (np.asarray(image, np.float32)[:, :, ::-1] / 255 - mean) / deviation
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])


def _cut(page: Image.Image, box: Floats) -> Image.Image:
    """The line within four corners, as if it had been written straight."""
    left_top, right_top, right_foot, left_foot = box
    width, height = (max(1, round(float(np.hypot(*side)))) for side in (right_top - left_top, left_foot - left_top))
    corners = (*left_top, *left_foot, *right_foot, *right_top)
    return page.transform((width, height), Image.Transform.QUAD, corners, Image.Resampling.BICUBIC)
