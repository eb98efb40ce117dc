"""Files that a class gives beside its answer: which are taken, and what is said of all others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from core import errors
from inference import attachments, bundle, check
from inference.attachments import Attachments
from inference.output import Attachment
from tests.inference.test_python_bundles import FILE, Bring, refused

NAMES = "a name must have 1 to 100 letters, digits, spaces, '.', '_' and '-', a letter or a digit first"
TYPES = "a content type must be as image/png, in lower case, without parameters, of 100 characters at most"


def gave(*given: tuple[Any, Any, Any]) -> list[Attachment]:
    found: list[Attachment] = []
    files = Attachments("m", found.append)
    for each in given:
        files.add(*each)
    return found


@pytest.mark.parametrize("name", ["a", "a.png", "Plot 1-2_3.tar.gz", "0", "a" * 100, "a..b"])
@pytest.mark.parametrize("type_", ["image/png", "application/vnd.ms-excel", "image/svg+xml", f"text/{'x' * 95}"])
def test_plain_names_and_types_are_taken(name: str, type_: str) -> None:
    assert gave((name, b"x", type_)) == [Attachment(name, type_, b"x")]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("", "''"), (".", "'.'"), ("..", "'..'"), ("../x", "'../x'"), ("/x", "'/x'"), ("a/b", "'a/b'"),
        ("a\\b", r"'a\\b'"), ("-rf", "'-rf'"), (" a", "' a'"), ("a\n", r"'a\n'"), ("a\0b", r"'a\x00b'"),
        ('a"b', "'a\"b'"), ("Zürich", r"'Z\xfcrich'"), ("图.png", r"'\u56fe.png'"), ("\ud800", r"'\ud800'"),
        ("a" * 101, f"'{'a' * 60}\\u2026'"),
        ("!" * 60, f"'{'!' * 60}'"), (7, "a int"), (Path("a"), "a PosixPath"), (None, "a NoneType"),
    ],
)  # fmt: skip
def test_a_name_that_is_none_is_quoted_with_what_it_must_be(name: Any, shown: str) -> None:
    with pytest.raises(errors.ModelError) as caught:
        gave((name, b"x", "text/plain"))
    assert caught.value.message == f"m gave a file named {shown}: {NAMES}"


@pytest.mark.parametrize(
    "type_", ["", "png", "image/", "/png", "image/png/x", "Image/png", "text/html; charset=utf-8", "image/png\n",
              "ïmage/png", "text/plain\r\nX: y", f"text/{'x' * 96}", 7, None],
)  # fmt: skip
def test_a_content_type_that_is_none_is_refused(type_: Any) -> None:
    with pytest.raises(errors.ModelError, match=r"^m gave a file a as .*: ") as caught:
        gave(("a", b"x", type_))
    assert caught.value.message.endswith(TYPES)


@pytest.mark.parametrize("data", ["x", bytearray(b"x"), memoryview(b"x"), None, "/etc/hostname"])
def test_what_is_in_it_must_be_bytes_or_a_path(data: Any) -> None:
    with pytest.raises(errors.ModelError, match="must be bytes or a Path"):
        gave(("a", data, "text/plain"))


@pytest.mark.parametrize("second", ["a.png", "A.PNG"])
def test_a_name_is_given_once_whatever_its_case(second: str) -> None:
    with pytest.raises(errors.ModelError, match=f"^m gave a file named {second} twice$"):
        gave(("a.png", b"x", "image/png"), (second, b"y", "image/png"))


def test_there_may_be_so_many_and_no_more() -> None:
    most = [(f"f{number}", b"", "text/plain") for number in range(attachments.MOST)]
    assert len(gave(*most)) == 100
    with pytest.raises(errors.ModelError, match="gave a file one more after 100 others, which are as many as there"):
        gave(*most, ("one more", b"", "text/plain"))


def test_of_several_that_are_not_taken_the_first_is_told() -> None:
    files = Attachments("m", lambda _: None)
    for name in ("good", "/first", "/second"):
        with contextlib.suppress(errors.ModelError):
            files.add(name, b"x", "text/plain")
    assert "named '/first'" in str(files.failed)
    assert files.names == ["good"]


def as_bytes(_: Path, data: bytes) -> bytes:
    return data


def as_file(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("make", [as_bytes, as_file])
def test_each_may_have_so_many_bytes_and_all_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path, bytes], Any]
) -> None:
    assert (attachments.MOST_BYTES, attachments.MOST_IN_ALL) == (64 * 1024**2, 256 * 1024**2)
    monkeypatch.setattr(attachments, "MOST_BYTES", 10)
    monkeypatch.setattr(attachments, "MOST_IN_ALL", 15)

    def of(*sizes: int) -> list[Attachment]:
        return gave(*((f"f{size}", make(tmp_path / f"{size}", bytes(size)), "text/plain") for size in sizes))

    assert [len(file.data) for file in of(10, 5)] == [10, 5]
    with pytest.raises(errors.ModelError, match=r"^m gave a file f11 of more than 10 bytes, which a file may have$"):
        of(11)
    with pytest.raises(errors.ModelError, match=r"^m gave a file f6, with which they have 16 bytes; all may have 15$"):
        of(10, 6)


GIVES = "run.file('a.txt', b'x', 'text/plain'); return "


@pytest.mark.parametrize("files", [None, ["a.txt"]])
def test_a_golden_example_may_say_which_files_there_are(bring: Bring, files: list[str] | None) -> None:
    golden = {"file": "golden.csv", "record": {"lines": 2}, **({} if files is None else {"files": files})}
    folder = bring(f"{GIVES}{{'lines': 2}}", **{**FILE, "golden": [golden]})
    (folder / "golden.csv").write_text("a\nb\n")
    check.check(bundle.load(folder))


@pytest.mark.parametrize(
    ("says", "body", "issue"),
    [
        ({"files": []}, f"{GIVES}{{'lines': 2}}", "golden example 1 must give the files [], but gives ['a.txt']"),
        ({"files": ["b.txt"]}, f"{GIVES}{{'lines': 2}}", "must give the files ['b.txt'], but gives ['a.txt']"),
        ({"files": ["a.txt"]}, "return {'lines': 2}", "must give the files ['a.txt'], but gives []"),
        (
            {},
            "\n  try: run.file('..', b'', 'text/plain')\n  except Exception: pass\n  return {'lines': 2}",
            "cannot be run: small gave a file named '..': a name must have",
        ),
        ({}, "run.file('../a', b'', 'text/plain')", "cannot be run: small gave a file named '../a': a name must have"),
    ],
)
def test_a_class_that_gives_other_files_is_refused(bring: Bring, says: Any, body: str, issue: str) -> None:
    golden = {"file": "golden.csv", "record": {"lines": 2}, **says}
    folder = bring(body, **{**FILE, "golden": [golden]})
    (folder / "golden.csv").write_text("a\nb\n")
    assert issue in refused(folder)


def test_its_json_schema_says_what_a_result_has_of_each_file(bring: Bring) -> None:
    folder = bring("return {'lines': 2}", **FILE)
    (folder / "golden.csv").write_text("a\nb\n")
    found = bundle.load(folder).manifest.output_schema
    file = {"name": "a.txt", "content_type": "text/plain", "bytes": 1, "url": "https://files.example/a.txt"}
    jsonschema.validate({"lines": 2}, found)
    jsonschema.validate({"lines": 2, "files": [file, file], "expires_at": "2027-01-01T00:00:00Z"}, found)
    for key in file:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"lines": 2, "files": [{**file, key: None}]}, found)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"lines": 2, "files": [{name: file[name] for name in file if name != key}]}, found)


@pytest.mark.parametrize("key", ["files", "expires_at"])
def test_beside_files_an_answer_has_no_value_of_a_name_that_its_result_has_for_them(bring: Bring, key: str) -> None:
    golden = {"file": "golden.csv", "record": {key: 2}}
    says = {**FILE, "golden": [golden], "record": {key: {"type": "integer"}}}
    folders = [bring(f"{body}{{'{key}': 2}}", **says) for body in (GIVES, "return ")]
    for folder in folders:
        (folder / "golden.csv").write_text("a\nb\n")
    assert f"small gave files, beside which its answer may have no {key}" in refused(folders[0])
    check.check(bundle.load(folders[1]))
