from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest

from core import errors
from inference import bundle, check
from inference.manifest import Manifest
from tests import graphs

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the bundle, to break."""
    return Path(shutil.copytree(BUNDLES / "speech", tmp_path / "bundle"))


def test_the_golden_audio_travels_with_the_bundle(copy: Path, tmp_path: Path) -> None:
    loaded = bundle.load(copy)
    bundle.unpack(io.BytesIO(graphs.pack(loaded)), tmp_path / "out")
    unpacked = bundle.load(tmp_path / "out")
    check.check(unpacked)
    assert unpacked.digest == loaded.digest
    assert not (unpacked.folder / "build.py").exists()


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("max_batch: 1\n", "max_batch: 1\nlabels: [a, b]\n", "labels"),
        ("inline: false", "inline: true", "inline"),
        ("file: golden.flac", "file: other.flac", "other.flac"),
        ("file: golden.flac", "file: ../golden.flac", "golden.flac"),
        ("file: golden.flac", "prediction: yes", "prediction"),
        ("{start: 0.834, end: 3.134}", "{start: 0.834}", "end of segment 1 of golden example 1 is missing"),
        (
            "{start: 0.834, end: 3.134}",
            "{start: 0.834, end: late}",
            "end of segment 1 of golden example 1 must be a number",
        ),
        ("{start: 0.834, end: 3.134}", "0.834", "segment 1 of golden example 1 must be a mapping"),
        ("file: golden.flac", "file: [golden.flac]", "file of golden example 1 must be a text"),
        ("kind: audio", "kind: text", "golden"),
    ],
)
def test_a_manifest_that_does_not_fit_its_kind_is_refused(copy: Path, old: str, new: str, named: str) -> None:
    text = (copy / "model.yaml").read_text()
    assert old in text
    (copy / "model.yaml").write_text(text.replace(old, new))
    with pytest.raises(errors.BundleInvalid, match=named):
        bundle.load(copy)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("start: 0.834", "start: 1.034", "golden example 1 must give"),
        ("name: threshold", "name: loudness", "fields must hold"),
        ("file: golden.flac", "file: LICENSE", "golden example 1 cannot be run"),
    ],
)
def test_a_bundle_that_breaks_its_promise_is_refused(copy: Path, old: str, new: str, named: str) -> None:
    text = (copy / "model.yaml").read_text()
    assert old in text
    (copy / "model.yaml").write_text(text.replace(old, new))
    with pytest.raises(errors.BundleInvalid, match=named):
        check.check(bundle.load(copy))


def test_a_graph_of_another_kind_is_refused(copy: Path) -> None:
    shutil.copy(BUNDLES / "tumor" / "model.onnx", copy / "model.onnx")
    with pytest.raises(errors.BundleInvalid, match="no output"):
        check.check(bundle.load(copy))


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """A copy of the bundle with two graphs, to break."""
    return Path(shutil.copytree(BUNDLES / "extra" / "documents", tmp_path / "documents"))


def test_a_bundle_with_two_graphs_answers_its_golden_example_wherever_it_travels(
    documents: Path, tmp_path: Path
) -> None:
    loaded = bundle.load(documents)
    bundle.unpack(io.BytesIO(graphs.pack(loaded)), tmp_path / "out")
    unpacked = bundle.load(tmp_path / "out")
    check.check(unpacked)
    assert unpacked.digest == loaded.digest
    assert Manifest.from_dict(loaded.manifest.to_dict()).to_dict() == loaded.manifest.to_dict()


@pytest.mark.parametrize("name", ["detect.onnx", "recognize.onnx"])
def test_a_bundle_that_lacks_one_of_its_graphs_is_refused(documents: Path, name: str) -> None:
    (documents / name).unlink()
    with pytest.raises(errors.BundleInvalid, match=f"has no file {name}"):
        bundle.load(documents)


@pytest.mark.parametrize(
    ("name", "named"), [("detect.onnx", "no output"), ("recognize.onnx", "two classes more than its metadata")]
)
def test_a_graph_in_the_wrong_place_is_refused(documents: Path, name: str, named: str) -> None:
    shutil.copy(BUNDLES / "tumor" / "model.onnx", documents / name)
    with pytest.raises(errors.BundleInvalid, match=named):
        check.check(bundle.load(documents))


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("- Coat check", "- Goat check", "golden example 1 must give"),
        ("- Coat check", "- [Coat, check]", "line 1 of golden example 1 must be a text"),
        ("name: dpi", "name: zoom", "fields must hold"),
        ("max_pixels: 36000000", "max_lines: 3", "max_lines of options is unknown; did you mean max_pixels?"),
        ("max_pages: 200", "max_pages: many", "max_pages of options must be a whole number"),
        ("file: golden.png", "file: NOTICE", "golden example 1 cannot be run"),
        ("file: golden.png", "file: [golden.png]", "file of golden example 1 must be a text"),
    ],
)
def test_a_document_bundle_that_breaks_its_promise_is_refused(documents: Path, old: str, new: str, named: str) -> None:
    text = (documents / "model.yaml").read_text()
    assert old in text
    (documents / "model.yaml").write_text(text.replace(old, new))
    with pytest.raises(errors.BundleInvalid, match=named):
        check.check(bundle.load(documents))
