from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core import errors
from inference import bundle, check

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the bundle, to break."""
    return Path(shutil.copytree(BUNDLES / "speech", tmp_path / "bundle"))


def test_the_golden_audio_travels_with_the_bundle(copy: Path, tmp_path: Path) -> None:
    loaded = bundle.load(copy)
    unpacked = bundle.unpack(bundle.pack(loaded), tmp_path / "out")
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
        ("{start: 0.834, end: 3.134}", "{start: 0.834}", "segments must be"),
        ("{start: 0.834, end: 3.134}", "{start: 0.834, end: late}", "segments must be"),
        ("{start: 0.834, end: 3.134}", "0.834", "segments must be"),
        ("file: golden.flac", "file: [golden.flac]", "file must be"),
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
        ("name: threshold", "name: loudness", "fields must be"),
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
