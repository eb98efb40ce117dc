"""What a model of pictures does where its model.yaml or its graph does not say, and how large its pictures may be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core import errors
from inference import bundle, images, pictures
from inference.interrupt import Interrupt
from tests.inference import drawn
from tests.inference.drawn import encoded, plain, row
from tests.inference.test_images import PICTURE, ZEROS, handed, opened, takes
from tests.inference.test_pictures import SMALL


def test_what_is_transparent_is_white_where_nothing_is_said_of_it(tmp_path: Path) -> None:
    clear = np.zeros((4, 5, 4), np.uint8)
    assert (handed(opened(tmp_path / "bundle"), clear) == 1).all()


def test_a_graph_that_does_not_say_its_shape_takes_the_size_that_is_said(tmp_path: Path) -> None:
    model = opened(tmp_path / "bundle", takes(shape=""), options={"size": [4, 5]}, golden=ZEROS)
    assert (handed(model)[0] == (PICTURE.transpose(2, 0, 1) / 255).astype(np.float32)).all()


@pytest.mark.parametrize(("size", "shown"), [(4096, True), (4097, False)])
def test_a_golden_picture_is_shown_up_to_a_size(tmp_path: Path, size: int, shown: bool) -> None:
    # What is in it nobody looks at before it is checked.
    picture = b"x" * size
    [golden] = bundle.load(drawn.bundle(tmp_path / "bundle", picture=picture)).manifest.golden
    assert golden.inputs == (row(picture) if shown else {})


def test_a_file_may_have_64_mebibytes_and_not_one_byte_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert images.MAX_BYTES == 64 * 1024**2
    model, path = opened(tmp_path / "bundle"), tmp_path / "file"
    path.write_bytes(plain(255, 0, 0))
    size = path.stat().st_size
    monkeypatch.setattr(images, "MAX_BYTES", size)
    assert model.picture(path, Interrupt())
    monkeypatch.setattr(images, "MAX_BYTES", size - 1)
    with pytest.raises(errors.InputTooLarge, match=f"^The picture has {size} bytes; it may have {size - 1}$"):
        model.picture(path, Interrupt())


def test_a_picture_may_be_as_long_as_a_side_may_be() -> None:
    sides = [encoded(Image.new("L", size)) for size in ((16_384, 1), (1, 16_384))]
    assert [type(found) for found in pictures.read(sides, SMALL, Interrupt())] == [pictures.Picture] * 2
