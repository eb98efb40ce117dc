"""Models that take pictures: what model.yaml says, what the graph is handed, and what is refused."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import errors
from inference import bundle, check, images, schema
from inference.images import Images
from inference.interrupt import Interrupt
from inference.model import open_model
from inference.output import Numbers
from tests import graphs
from tests.inference import drawn
from tests.inference.drawn import encoded, noise, plain, row

PICTURE = noise(4, 5)
GRAY = noise(4, 5, 1)
#: What `takes` answers.
ZEROS: list[dict[str, Any]] = [{"file": "golden.png", "prediction": {"red": 0, "green": 0, "blue": 0}}]


def opened(folder: Path, made: bytes | None = None, **says: Any) -> Images:
    model = open_model(bundle.load(drawn.bundle(folder, made, **says)))
    assert isinstance(model, Images)
    return model


def refused(folder: Path, made: bytes | None = None, **says: Any) -> str:
    with pytest.raises(errors.BundleInvalid) as caught:
        check.check(bundle.load(drawn.bundle(folder, made, **says)))
    return caught.value.message


def handed(model: Images, picture: drawn.Pixels = PICTURE) -> np.ndarray[Any, Any]:
    """What the graph gets for it."""
    [(name, value)] = model.encode([row(encoded(picture))]).items()
    assert name == "img"
    return value


def takes(kind: str = "float", shape: str = "N, 3, 4, 5", more: str = "") -> bytes:
    """A graph that takes this, and gives three zeros a row whatever it holds."""
    return graphs.graph(
        "rows = Shape <start = 0, end = 1> (img) three = Constant <value = int64[1] {3}> () "
        "sizes = Concat <axis = 0> (rows, three) mean = ConstantOfShape (sizes)",
        f"{kind}[{shape}] img{more}",
        "float[N, 3] mean",
    )


def numbers(said: object) -> list[float]:
    assert isinstance(said, Numbers)
    return [round(value, 4) for value in said.values.values()]


def test_a_model_of_pictures_keeps_its_promise(tmp_path: Path) -> None:
    check.check(bundle.load(drawn.bundle(tmp_path / "bundle")))


def test_one_that_does_not_is_told_what_it_gives(tmp_path: Path) -> None:
    golden = [{"file": "golden.png", "prediction": {"red": 0.5, "green": 0.4, "blue": 0}}]
    assert "golden example 1 must give red 0.5, but gives 1.0" in refused(tmp_path / "bundle", golden=golden)


def test_pixels_are_from_0_to_1_by_channel_where_nothing_else_is_said(tmp_path: Path) -> None:
    found = handed(opened(tmp_path / "bundle"))
    assert (found.dtype, found.shape) == (np.float32, (1, 3, 4, 5))
    assert (found[0] == (PICTURE.transpose(2, 0, 1) / 255).astype(np.float32)).all()


IMAGENET = {"mean": [0.485, 0.456, 0.406], "deviation": [0.229, 0.224, 0.225]}
PLANES = PICTURE.transpose(2, 0, 1)[None].astype(float)


@pytest.mark.parametrize(
    ("kind", "shape", "options", "wanted"),
    [
        ("float", "N, 3, 4, 5", {"scale": 1}, PLANES),
        ("float", "N, 3, 4, 5", {"scale": 0.5, "mean": [1, 2, 3]}, PLANES / 2 - np.reshape([1, 2, 3], (3, 1, 1))),
        ("float", "N, 3, 4, 5", {"mean": [0.5] * 3, "deviation": [0.5] * 3}, (PLANES / 255 - 0.5) / 0.5),
        ("float", "N, 3, 4, 5", {"deviation": [1, 2, 4]}, PLANES / 255 / np.reshape([1, 2, 4], (3, 1, 1))),
        ("float", "N, 3, 4, 5", IMAGENET,
         (PLANES / 255 - np.reshape(IMAGENET["mean"], (3, 1, 1))) / np.reshape(IMAGENET["deviation"], (3, 1, 1))),
        ("float", "N, 3, 4, 5", {"channels": "BGR"}, PLANES[:, ::-1] / 255),
        # The first mean is that of blue.
        ("float", "N, 3, 4, 5", {"channels": "BGR", "scale": 1, "mean": [1, 0, 0]},
         PLANES[:, ::-1] - np.reshape([1, 0, 0], (3, 1, 1))),
        ("float", "N, 4, 5, 3", {"layout": "NHWC"}, PLANES.transpose(0, 2, 3, 1) / 255),
        ("float16", "N, 3, 4, 5", {}, PLANES / 255),
        ("double", "N, 3, 4, 5", {}, PLANES / 255),
        ("uint8", "N, 3, 4, 5", {}, PLANES),
        ("uint8", "N, 4, 5, 3", {"layout": "NHWC", "channels": "BGR"}, PLANES[:, ::-1].transpose(0, 2, 3, 1)),
        ("float", "N, C, H, W", {"size": [4, 5]}, PLANES / 255),
        ("float", "N, 3, H, W", {"size": [4, 5]}, PLANES / 255),
    ],
)  # fmt: skip
def test_the_graph_is_handed_what_the_options_say(
    tmp_path: Path, kind: str, shape: str, options: dict[str, Any], wanted: np.ndarray[Any, Any]
) -> None:
    model = opened(tmp_path / "bundle", takes(kind, shape), options=options, golden=ZEROS)
    dtype, found = np.dtype({"float": "float32", "double": "float64"}.get(kind, kind)), handed(model)
    assert found.dtype == dtype
    if kind == "double":
        assert np.allclose(found, wanted, rtol=1e-15, atol=0)
    else:
        assert (found == wanted.astype(dtype)).all()
    check.check(model.bundle)


@pytest.mark.parametrize(
    ("shape", "options", "wanted"),
    [
        ("3, 4, 5", {}, PLANES[0] / 255),
        ("3, H, W", {"size": [4, 5]}, PLANES[0] / 255),
        ("4, 5, 3", {"layout": "NHWC"}, PICTURE / 255),
    ],
)
def test_a_graph_of_one_picture_is_handed_it_without_an_axis_for_rows(
    tmp_path: Path, shape: str, options: dict[str, Any], wanted: np.ndarray[Any, Any]
) -> None:
    made = graphs.graph(
        "one = ReduceMean <axes = [0, 1, 2], keepdims = 0> (img) three = Constant <value = int64[1] {3}> () "
        "mean = Expand (one, three)",
        f"float[{shape}] img",
        "float[3] mean",
    )
    mean = float(np.mean(PICTURE / 255))
    golden = [{"file": "golden.png", "prediction": {"red": mean, "green": mean, "blue": mean}}]
    says = {"options": options, "golden": golden, "max_batch": 1}
    model = opened(tmp_path / "bundle", made, picture=encoded(PICTURE), **says)
    assert (handed(model) == wanted.astype(np.float32)).all()
    check.check(model.bundle)


def test_a_gray_model_is_handed_one_channel(tmp_path: Path) -> None:
    options = {"channels": "L", "mean": [0.1], "deviation": [0.3]}
    model = opened(tmp_path / "bundle", takes(shape="N, 1, 4, 5"), options=options, golden=ZEROS)
    assert (handed(model, GRAY)[0, 0] == ((GRAY / 255 - 0.1) / 0.3).astype(np.float32)).all()


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_a_picture_of_another_shape_is_fitted_as_the_options_say(tmp_path: Path, fit: str) -> None:
    model = opened(tmp_path / "bundle", options={"scale": 1, "fit": fit, "background": 50})
    stripe = np.zeros((4, 20, 3), np.uint8)
    stripe[:, 6:14] = 200
    found = handed(model, stripe)[0, 0]
    assert (found.max() > 150, (found == 50).any(), (found == 0).any()) == {
        "stretch": (True, False, True), "crop": (True, False, False), "pad": (True, True, True),
    }[fit]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "shape", "options", "says"),
    [
        ("float", "N, 3, 4, 5", {"size": [4, 6]}, "but options of model.yaml make [rows, 3, 4, 6]"),
        ("float", "N, 3, 4, 5", {"layout": "NHWC"}, "but options of model.yaml make [rows, 3, 4, 3]"),
        ("float", "N, 3, 4, 5", {"channels": "L"}, "but options of model.yaml make [rows, 1, 4, 5]"),
        ("float", "3, 4, 5", {}, "with no axis for rows: say max_batch: 1 in model.yaml, or export it with a"),
        ("float", "4, 5", {}, "which does not say how large pictures are: say options.size"),
        ("float", "4, 5", {"size": [4, 5]}, "but options of model.yaml make [rows, 3, 4, 5]: say layout, channels"),
        ("float", "N, 3, H, W", {}, "which does not say how large pictures are: say options.size, as [height, width]"),
        ("float", "N, 3, 4, W", {}, "which does not say how large pictures are"),
        ("float", "N, 3, 4097, 5", {}, "a side of pictures may have 4096"),
        ("float", "N, 3, H, W", {"size": [4096, 4096]}, "max_batch must be at most 5 for pictures of that size"),
        ("int64", "N, 3, 4, 5", {}, "export it with one of float, float16, double, uint8 for this input"),
        *(("uint8", "N, 3, 4, 5", {name: value}, f"as they are: leave out options.{name}, or export it with floats")
          for name, value in (("scale", 1), ("mean", [0, 0, 0]), ("deviation", [1, 1, 1]))),
        ("float16", "N, 3, 4, 5", {"scale": 1000}, "which cannot hold 255000, as scale, mean and deviation make"),
    ],
)  # fmt: skip
def test_a_graph_that_cannot_take_such_pictures_is_refused(
    tmp_path: Path, kind: str, shape: str, options: dict[str, Any], says: str
) -> None:
    assert says in refused(tmp_path / "bundle", takes(kind, shape), options=options, golden=ZEROS)


def test_a_graph_that_takes_something_else_as_well_is_refused(tmp_path: Path) -> None:
    made = takes(more=", float[N] other")
    assert "export it with one input for the picture" in refused(tmp_path / "bundle", made, golden=ZEROS)


def test_rows_that_change_each_others_answers_are_noticed_though_all_examples_are_one_picture(tmp_path: Path) -> None:
    body = "f = ReduceMean <axes = [2, 3], keepdims = 0> (img) most = ReduceMax <axes = [0]> (f) mean = Div (f, most)"
    made = graphs.graph(body, "float[N, 3, 4, 5] img", "float[N, 3] mean")
    golden = [{"file": "golden.png", "prediction": {"red": 1, "green": 1, "blue": 1}}]
    said = refused(tmp_path / "bundle", made, picture=plain(10, 20, 30), golden=golden)
    assert "gives a row other scores beside another row than alone" in said


@pytest.mark.parametrize(
    ("picture", "says"),
    [
        (b"no picture", "golden example 1 cannot be encoded: The picture cannot be read as PNG, JPEG or WebP"),
        (b"", "golden example 1 cannot be encoded: Input validation failed: image must not be empty"),
        (bytes(3 * 2**20 + 1), "image exceeds maximum length of 4194304 characters, which are 3 MiB of a picture"),
    ],
)
def test_a_golden_picture_that_is_none_is_told(tmp_path: Path, picture: bytes, says: str) -> None:
    assert says in refused(tmp_path / "bundle", picture=picture)


def test_a_golden_picture_that_is_not_there_is_told(tmp_path: Path) -> None:
    golden = [{"file": name, "prediction": dict(ZEROS[0]["prediction"])} for name in ("golden.png", "../golden.png")]
    assert "has no file ../golden.png, which a golden example names" in refused(tmp_path / "bundle", golden=golden)


def test_a_small_golden_picture_is_the_example_and_a_large_one_is_not(tmp_path: Path) -> None:
    small, large = plain(255, 102, 0), encoded(noise(100, 100))
    [golden] = bundle.load(drawn.bundle(tmp_path / "small", picture=small)).manifest.golden
    assert golden.inputs == row(small)
    [golden] = bundle.load(drawn.bundle(tmp_path / "large", picture=large)).manifest.golden
    assert (golden.inputs, golden.file) == ({}, "golden.png")


def test_what_is_wrong_with_a_row_is_said_in_its_place(tmp_path: Path) -> None:
    model = opened(tmp_path / "bundle", fields=[{"name": "photo", "type": "image"}])
    rows = [row(data, "photo") for data in (plain(255, 0, 0), b"no", plain(0, 0, 255))]
    first, second, third = model.each(rows)
    assert (numbers(first), numbers(third)) == ([1, 0, 0], [0, 0, 1])
    assert isinstance(second, errors.InputUnreadable)
    assert second.message == "The picture cannot be read as PNG, JPEG or WebP"
    assert second.details == {"field": "photo", "issue": "cannot be read as PNG, JPEG or WebP"}
    assert isinstance(model.each([rows[1]])[0], errors.InputUnreadable)
    with pytest.raises(errors.InputUnreadable):
        model.predict(rows)


def test_a_file_is_answered_as_a_row_with_it_is(tmp_path: Path) -> None:
    model, path = opened(tmp_path / "bundle"), tmp_path / "file"
    path.write_bytes(encoded(PICTURE))
    assert model.picture(path, Interrupt()) == model.predict([row(encoded(PICTURE))])[0]


def test_a_file_may_be_larger_than_a_row_and_has_a_limit_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, path = opened(tmp_path / "bundle"), tmp_path / "file"
    path.write_bytes(encoded(noise(1200, 1200), compress_level=0))
    assert path.stat().st_size > schema.MOST_ENCODED
    assert len(numbers(model.picture(path, Interrupt()))) == 3
    monkeypatch.setattr(images, "MAX_BYTES", path.stat().st_size - 1)
    with pytest.raises(errors.InputTooLarge, match="has 4322653 bytes; it may have 4322652"):
        model.picture(path, Interrupt())


def judged(folder: Path, value: object) -> list[str]:
    manifest = bundle.load(drawn.bundle(folder)).manifest
    try:
        schema.validate_inputs(manifest, {"image": value})
    except errors.InvalidInput as error:
        return [f"{fault['field']} {fault['issue']}" for fault in error.errors]
    return []


BASE64 = (
    "must be base64 of a picture: the alphabet with + and /, padded with =, without line breaks or a data: in front"
)
GOOD = base64.b64encode(b"\xfb\xef\xff\x00").decode()


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (GOOD, None),
        (GOOD.rstrip("="), BASE64),
        (f"{GOOD}=", BASE64),
        (f"{GOOD}\n", BASE64),
        (f" {GOOD}", BASE64),
        (GOOD.replace("+", "-").replace("/", "_"), BASE64),
        (f"data:image/png;base64,{GOOD}", BASE64),
        # The last bits stand for nothing, and have to be nothing.
        (GOOD.replace("A==", "B=="), BASE64),
        ("löwe", BASE64),
        ("====", BASE64),
        ("", "must not be empty"),
        (None, "must not be null"),
        (7, "must be a string, a picture in base64"),
        ({"b64": GOOD}, "must be a string, a picture in base64"),
        ("\ud800", "contains a lone surrogate, which is not a character"),
        ("A" * 2**22, None),
        ("A" * (2**22 + 4), "exceeds maximum length of 4194304 characters, which are 3 MiB of a picture; hand in a "
         "larger one as a file"),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_base64_has_one_form(tmp_path: Path, value: object, says: str | None) -> None:
    assert judged(tmp_path / "bundle", value) == ([] if says is None else [f"image {says}"])


def test_people_and_programs_are_told_what_goes_in(tmp_path: Path) -> None:
    fields = [{"name": "photo", "type": "image", "description": "Of a leaf"}]
    said = schema.json_schema(bundle.load(drawn.bundle(tmp_path / "bundle", fields=fields)).manifest)
    assert said["properties"]["photo"] == {
        "type": "string", "contentEncoding": "base64", "description": "Of a leaf", "minLength": 1, "maxLength": 2**22,
        "anyOf": [{"contentMediaType": f"image/{name}"} for name in ("png", "jpeg", "webp")],
    }  # fmt: skip
    assert said["required"] == ["photo"]
