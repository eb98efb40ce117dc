"""Folders, archives and manifests that are no bundle: each refused with a sentence, and nothing passed over."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from core import errors
from inference import bundle, check, model_yaml
from tests import graphs

TUMOR = Path(__file__).resolve().parents[2] / "bundles" / "tumor"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TUMOR, tmp_path / "bundle"))


def bomb() -> str:
    """Nine levels of nine aliases each: 387 million values."""
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    return "\n".join(["a0: &a0 x", *levels])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (bomb(), "alias"),
        ("options: &a {b: *a}", "alias"),
        ("options: !!timestamp x", "tag"),
        ("options: !!int ''", "tag"),
        ("options: !!bool maybe", "tag"),
        ("options: !!python/object/apply:os.system [id]", "tag"),
        ("options: {a: 2026-99-99}", "month"),
        ("options: {a: 0x_}", "looks like a date or a number, but is none"),
        ("options: {a: 99999999999999999999}", "64"),
        ("options: {1: a}", "'1' is no text as a key"),
        ("options: " + "[" * 3000 + "]" * 3000, "cannot be read"),
        ("options: " + "{a: " * 300 + "1" + "}" * 300, "cannot be read"),
        ("options: \ud800", "is not UTF-8"),
        ("#" * model_yaml.MAX_BYTES, "larger than"),
        ("options: 5", "options must be a mapping"),
        ("labels: 5", "labels must be a list"),
        ("explanation: [{}]", "explanation"),
        ("summary: 2026-01-01", "summary must be a text"),
        ("inline: 1", "inline must be true or false"),
        ("units: true", "units must be a whole number"),
        ("units: 99999999999", "units"),
        ("max_batch: many", "max_batch must be a whole number"),
        ("fields: 5", "fields must be a list"),
        ("fields: [5]", "field 1 must be a mapping"),
        ("fields: [{name: {}, type: number}]", "name of field 1 must be a text"),
        ("fields: [{name: a, type: number, enum: 5}]", "enum of field 1 .a. must be a list"),
        ("fields: [{name: a, type: number, minimum: x}]", "minimum of field 1 .a. must be a number"),
        ("golden: 5", "golden must be a list"),
        ("golden: [{inputs: 5, prediction: a, confidence: 1}]", "inputs of golden example 1 must be a mapping"),
        ("{kind: text, a: 1}", "a is unknown"),
        ("[]", "must be a mapping"),
    ],
)  # fmt: skip
def test_a_manifest_that_says_nothing_sensible_is_refused_with_a_sentence(copy: Path, text: str, says: str) -> None:
    path = copy / "model.yaml"
    name = text.partition(":")[0]
    raw = yaml.safe_load(path.read_text())
    # In place of what the shipped one says there, or of all of it.
    rest = yaml.safe_dump({key: raw[key] for key in raw if key != name}) if name in {*raw, "options"} else ""
    path.write_bytes(f"{rest}{text}\n".encode("utf-8", "surrogatepass"))
    with pytest.raises(errors.BundleInvalid, match=says):
        bundle.load(copy)


@pytest.mark.parametrize("value", [-(2**63) - 1, -(2**63), 2**63 - 1, 2**63, 2**64])
def test_a_whole_number_has_64_bits_with_its_sign(tmp_path: Path, value: int) -> None:
    (tmp_path / "model.yaml").write_text(f"a: {value}")
    if -(2**63) <= value < 2**63:
        assert model_yaml.read(tmp_path) == {"a": value}
    else:
        with pytest.raises(errors.BundleInvalid, match=f"'{value}' has more than 64 bits"):
            model_yaml.read(tmp_path)


def link(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def dangling(path: Path) -> None:
    path.symlink_to("/nowhere")


def folder_link(path: Path) -> None:
    path.symlink_to("/etc")


@pytest.mark.parametrize("make", [link, dangling, folder_link, os.mkfifo])
@pytest.mark.parametrize("name", ["extra", "model.yaml", "model.onnx"])
def test_what_is_no_plain_file_is_refused_by_its_name(copy: Path, make: Callable[[Path], None], name: str) -> None:
    (copy / name).unlink(missing_ok=True)
    make(copy / name)
    with pytest.raises(errors.BundleInvalid, match=f"{name} is a"):
        bundle.load(copy)


@pytest.mark.parametrize("name", [b"a\nb", b"\xff", b"x" * 200 + b"/" + b"y" * 200])
def test_a_name_that_cannot_be_shown_or_is_too_long_is_refused(copy: Path, name: bytes) -> None:
    path = os.path.join(os.fsencode(copy), name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Path(os.fsdecode(path)).write_bytes(b"x")
    with pytest.raises(errors.BundleInvalid, match="printable text"):
        bundle.load(copy)


def test_a_folder_of_too_many_or_too_large_files_is_refused(copy: Path) -> None:
    with (copy / "huge").open("wb") as stream:
        stream.truncate(bundle.MAX_BYTES + 1)
    with pytest.raises(errors.BundleInvalid, match="larger than"):
        bundle.load(copy)
    (copy / "huge").unlink()
    for number in range(bundle.MAX_FILES):
        (copy / f"{number}").touch()
    with pytest.raises(errors.BundleInvalid, match="more than"):
        bundle.load(copy)


def tar(*members: tuple[str, bytes] | tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return buffer.getvalue()


def special(kind: bytes, **facts: object) -> tarfile.TarInfo:
    found = tarfile.TarInfo("special")
    found.type = kind
    for name, value in facts.items():
        setattr(found, name, value)
    return found


def pax(**headers: str) -> bytes:
    info = tarfile.TarInfo("a")
    info.pax_headers = headers
    return tar(info)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "cannot be unpacked"),
        (b"x" * 10_000, "cannot be unpacked"),
        (tar(("a", b"x" * 5000))[:2000], "cannot be unpacked"),
        (tar(special(tarfile.SYMTYPE, linkname="/etc/passwd")), "not a plain file: 'special'"),
        (tar(special(tarfile.LNKTYPE, linkname="model.yaml")), "not a plain file: 'special'"),
        (tar(special(tarfile.CHRTYPE)), "not a plain file: 'special'"),
        (tar(special(tarfile.FIFOTYPE)), "not a plain file: 'special'"),
        (tar(special(tarfile.DIRTYPE)), "not a plain file: 'special'"),
        (tar(special(tarfile.GNUTYPE_SPARSE)), "(not a plain file|cannot be unpacked)"),
        (pax(**{"GNU.sparse.map": "x,y", "GNU.sparse.size": "z"}), "not a plain file"),
        (pax(**{"GNU.sparse.map": "0,1", "GNU.sparse.size": str(10**12)}), "not a plain file"),
        (pax(**{"GNU.sparse.size": "1", "GNU.sparse.numblocks": "1"}), "not a plain file"),
        # Whose map is at the beginning of the file itself, and would be read here.
        (pax(**{"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}), "not a plain file"),
        *((pax(size=size), "not a plain file: 'a'") for size in ("-1", "-512", "-1024")),
        (pax(size="9" * 30), "(larger|cannot be unpacked)"),
        (tar(("a/../../evil", b"x")), "not inside it"),
        (tar(("a", b"x"), ("./a", b"y")), "twice"),
        (tar(("a", b"x"), ("a/b", b"y")), "'a' as a file and as a folder"),
        (tar(("a/b", b"x"), ("a", b"y")), "'a' as a file and as a folder"),
        (tar(("x" * 300, b"x")), "at most 255 bytes"),
        (tar(("a\nb", b"x")), "printable"),
        (tar(*((f"{number}", b"") for number in range(bundle.MAX_FILES + 1))), "more than"),
    ],
)  # fmt: skip
def test_an_archive_that_holds_anything_but_files_is_refused_with_a_sentence(
    tmp_path: Path, data: bytes, says: str
) -> None:
    with pytest.raises(errors.BundleInvalid, match=says):
        bundle.unpack(io.BytesIO(data), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("folder", ["out", "nowhere/yet/out"])
def test_an_archive_is_unpacked_to_wherever_it_is_wanted(copy: Path, tmp_path: Path, folder: str) -> None:
    loaded = bundle.load(copy)
    bundle.unpack(io.BytesIO(graphs.pack(loaded)), tmp_path / folder)
    assert bundle.digest(tmp_path / folder) == loaded.digest


def test_a_header_with_any_byte_changed_is_refused_with_a_sentence_or_changes_nothing(
    copy: Path, tmp_path: Path
) -> None:
    loaded = bundle.load(copy)
    data = graphs.pack(loaded)
    for place in range(512):
        for byte in (0xFF, 0x2D):
            damaged = bytearray(data[:512])
            damaged[place] = byte
            damaged[148:156] = b" " * 8
            damaged[148:156] = b"%06o\0 " % sum(damaged)
            out = tmp_path / f"{place}-{byte}"
            try:
                bundle.unpack(io.BytesIO(bytes(damaged) + data[512:2048]), out)
            except errors.BundleInvalid:
                shutil.rmtree(out)


def test_a_kind_that_cannot_read_its_files_says_so(copy: Path) -> None:
    shutil.copy(TUMOR.parent / "sentiment-2" / "model.yaml", copy)
    with pytest.raises(errors.BundleInvalid, match=r"no file tokenizer\.json"):
        check.check(bundle.load(copy))
    (copy / "tokenizer.json").write_text("{")
    with pytest.raises(errors.BundleInvalid, match="kind 'tokens' cannot use it: Exception: EOF while parsing"):
        check.check(bundle.load(copy))
