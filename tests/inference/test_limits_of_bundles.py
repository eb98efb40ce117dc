"""What a bundle may hold: at each limit, and one beyond it; and what in its folder is no part of it."""

from __future__ import annotations

import gzip
import io
import tarfile
from contextlib import nullcontext
from pathlib import Path

import pytest

from core import errors
from inference import bundle, model_yaml
from inference.explain import background
from tests import graphs
from tests.inference.test_hostile_bundles import pax, tar


def unpacked(folder: Path, data: bytes) -> list[str]:
    bundle.unpack(io.BytesIO(data), folder)
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_limits_are_those_that_are_promised() -> None:
    assert (bundle.MAX_BYTES, bundle.MAX_FILES, bundle.MAX_NAME) == (2 * 1024**3, 1000, 255)
    assert (model_yaml.MAX_BYTES, background.MAX_BYTES, background.MOST_ROWS) == (1024**2, 4 * 1024**2, 200)


def test_there_may_be_so_many_files_of_so_many_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MAX_FILES", 2)
    monkeypatch.setattr(bundle, "MAX_BYTES", 10)
    assert unpacked(tmp_path / "most", tar(("a", bytes(4)), ("b", bytes(6)))) == ["a", "b"]
    with pytest.raises(errors.BundleInvalid, match="more than 2 files"):
        bundle.unpack(io.BytesIO(tar(("a", b""), ("b", b""), ("c", b""))), tmp_path / "many")
    with pytest.raises(errors.BundleInvalid, match="larger than 10 bytes"):
        bundle.unpack(io.BytesIO(tar(("a", bytes(4)), ("b", bytes(7)))), tmp_path / "large")


def test_a_name_may_have_so_many_bytes_with_its_folders(tmp_path: Path) -> None:
    longest = f"{'a' * 127}/{'b' * 127}"
    assert unpacked(tmp_path / "longest", tar((longest, b""))) == [longest]
    with pytest.raises(errors.BundleInvalid, match="at most 255 bytes"):
        bundle.unpack(io.BytesIO(tar((f"{longest}b", b""))), tmp_path / "longer")


def test_what_is_said_about_a_file_is_no_longer_than_it_may_be(tmp_path: Path) -> None:
    # With its length, its name and a line feed, 4096 bytes.
    assert unpacked(tmp_path / "most", pax(comment="x" * 4082)) == ["a"]
    with pytest.raises(errors.BundleInvalid, match="not a plain file"):
        bundle.unpack(io.BytesIO(pax(comment="x" * 4083)), tmp_path / "more")


@pytest.mark.parametrize(
    ("data", "says"),
    [(gzip.compress(tar(("a", b"x"))), "cannot be unpacked"), (tar((".", b"x")), "not inside it: '.'")],
    ids=["packed smaller", "the folder itself"],
)
def test_an_archive_is_a_plain_one_with_names_in_it(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(errors.BundleInvalid, match=says):
        bundle.unpack(io.BytesIO(data), tmp_path / "out")


def test_folders_travel_with_all_that_is_in_them_and_how_a_model_was_made_does_not(tmp_path: Path) -> None:
    folder = graphs.bundle(tmp_path / "bundle")
    for name in ("a/deep/one", "a/two", "z"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    loaded = bundle.load(folder)
    for name in ("train.py", "build.py", "__pycache__/train.pyc", "a/__pycache__/x.pyc"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("how it was made")
    assert bundle.digest(folder) == loaded.digest
    kept = ["a/deep/one", "a/two", "model.onnx", "model.yaml", "z"]
    assert unpacked(tmp_path / "out", graphs.pack(loaded)) == kept
    assert bundle.digest(tmp_path / "out") == loaded.digest
    # Somewhere else it is a file like any other.
    (folder / "a" / "train.py").write_text("")
    assert bundle.digest(folder) != loaded.digest


@pytest.mark.parametrize(("count", "told"), [(0, ""), (5, "abcde"), (6, "abcde")])
def test_of_other_graphs_a_few_are_named(tmp_path: Path, count: int, told: str) -> None:
    folder = graphs.bundle(tmp_path / "bundle")
    (folder / "model.onnx").unlink()
    for name in "abcdef"[:count]:
        (folder / f"{name}.onnx").write_bytes(b"x")
    holds = f"; it holds {', '.join(f'{name}.onnx' for name in told)}" if told else ""
    with pytest.raises(errors.BundleInvalid) as caught:
        bundle.load(folder)
    assert caught.value.message == f"{folder} has no file model.onnx{holds}"


def read(folder: Path, text: str) -> object:
    (folder / "model.yaml").write_text(text)
    return model_yaml.read(folder)


def test_model_yaml_may_have_so_many_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_yaml, "MAX_BYTES", 4)
    assert read(tmp_path, "a: 1") == {"a": 1}
    with pytest.raises(errors.BundleInvalid, match=r"model\.yaml is larger than 4 bytes$"):
        read(tmp_path, "a: 12")


def test_a_character_that_no_text_has_is_told_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(errors.BundleInvalid) as caught:
        read(tmp_path, "a: \x01")
    assert caught.value.message.endswith(
        "model.yaml cannot be read: unacceptable character #x0001: special characters are not allowed at position 3"
    )


@pytest.mark.parametrize(("length", "shown"), [(errors.MAX_NAME, ""), (errors.MAX_NAME + 1, "…")])
def test_a_long_key_is_shown_by_its_beginning(tmp_path: Path, length: int, shown: str) -> None:
    key = "k" * length
    with pytest.raises(errors.BundleInvalid) as caught:
        read(tmp_path, f"{key}: 1\n{key}: 2")
    assert caught.value.message.endswith(f"line 2: '{'k' * errors.MAX_NAME}{shown}' is there twice")


def lines(folder: Path, count: int) -> int:
    """How many usual inputs are read of so many."""
    says = {"method": "sampled", "background": "usual.jsonl"}
    graphs.bundle(folder, explanation=["shap"], explain=says)
    (folder / "usual.jsonl").write_bytes(b'{"x": 1, "y": 2}\n' * count)
    return len(background.rows(bundle.load(folder), "usual.jsonl"))


def test_there_may_be_so_many_usual_inputs(tmp_path: Path) -> None:
    assert lines(tmp_path / "most", 200) == 200
    with pytest.raises(errors.BundleInvalid, match="has more than 200 lines"):
        lines(tmp_path / "more", 201)


def test_a_file_of_usual_inputs_may_have_so_many_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "MAX_BYTES", 17)
    assert lines(tmp_path / "most", 1) == 1
    with pytest.raises(errors.BundleInvalid, match="is larger than 17 bytes"):
        lines(tmp_path / "more", 2)


def test_an_archive_may_be_read_from_a_file(tmp_path: Path) -> None:
    """Written the older way, in which a long name is a header of its own."""
    name, stream = f"{'a' * 90}/{'b' * 90}", io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo(name))
    stream.seek(0)
    bundle.unpack(stream, tmp_path / "out")
    assert (tmp_path / "out" / name).is_file()


@pytest.mark.parametrize(("things", "refused"), [(bundle.MAX_COMMON, False), (bundle.MAX_COMMON + 1, True)])
def test_little_may_be_said_about_all_files_which_each_of_them_is_told(
    tmp_path: Path, things: int, refused: bool
) -> None:
    packed, about = io.BytesIO(), {f"k{number}": "v" for number in range(things)}
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT, pax_headers=about) as archive:
        archive.addfile(tarfile.TarInfo("a"), io.BytesIO())
    packed.seek(0)
    with pytest.raises(errors.BundleInvalid, match="more than 16 things about all") if refused else nullcontext():
        bundle.unpack(packed, tmp_path / "out")


def test_what_is_no_part_of_a_bundle_is_not_unpacked_beside_what_is_tried(tmp_path: Path) -> None:
    data = tar(*((name, b"x") for name in ("train.py", "build.py", "__pycache__/a", "a/__pycache__/b", "a/train.py")))
    bundle.unpack(io.BytesIO(data), tmp_path / "out")
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == [tmp_path / "out" / "a" / "train.py"]
