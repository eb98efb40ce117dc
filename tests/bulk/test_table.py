"""Tables as pandas, spreadsheets and shells write them: the same answers, or one sentence for the whole file."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import tarfile
import zipfile
from typing import Any

import flask.testing
import pytest

from core import errors
from inference.manifest import Golden
from jobs.bulk import table
from tests.bulk.conftest import Run, Send
from tests.bulk.test_life import output, show, submit
from tests.conftest import Platform

Client = flask.testing.FlaskClient
BOM = "\ufeff"


@pytest.fixture
def golden(platform: Platform) -> Golden:
    return platform.catalog.resolve("tumor", None).manifest.golden[0]


def written(golden: Golden, *, mark: str = ",", comma: bool = False, **more: str) -> str:
    """A table of two rows with the columns of `tumor`, and with more of them in front."""
    values = {**more, **{name: str(value) for name, value in golden.inputs.items()}}
    if comma:
        values = {name: value.replace(".", ",") for name, value in values.items()}
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=mark).writerows([values, values.values(), values.values()])
    return file.getvalue()


@pytest.mark.parametrize(
    ("mark", "comma", "encoding"),
    [
        (";", False, "utf-8"),
        (";", True, "utf-8-sig"),
        (";", True, "utf-16"),
        ("\t", False, "utf-8"),
        ("\t", False, "utf-16-le"),
        ("\t", False, "utf-16-be"),
        (",", False, "utf-16"),
    ],
)
def test_a_spreadsheets_table_is_answered_as_any_other(
    client: Client, upload: Send, work: Run, golden: Golden, mark: str, comma: bool, encoding: str
) -> None:
    text = written(golden, mark=mark, comma=comma, id="ü")
    data = (BOM + text if encoding.endswith(("le", "be")) else text).encode(encoding)
    job_id = submit(client, upload(gzip.compress(data), "application/gzip", filename="rows.csv.gz"), model="tumor")
    work()
    assert [(row["id"], row["line"], row["prediction"]) for row in output(show(client, job_id))] == [
        ("ü", 2, golden.answer["prediction"]),
        ("ü", 3, golden.answer["prediction"]),
    ]


def test_rows_that_a_shell_wrote_as_utf_16_are_answered(client: Client, upload: Send, work: Run) -> None:
    data = '{"text": "Wunderbar, großartig"}\r\n{"text": "Great"}\r\n'.encode("utf-16")
    job_id = submit(client, upload(data))
    work()
    assert [row["line"] for row in output(show(client, job_id)) if "prediction" in row] == [1, 2]


def test_failed_rows_of_a_semicolon_table_are_handed_in_again(client: Client, upload: Send, work: Run) -> None:
    data = b'id;text;confidence_threshold\na;"one; two\nlines";9\nb;Great;\n'
    first = submit(client, upload(data, "text/csv"))
    work()
    failed = [row for row in output(show(client, first)) if "error" in row]
    assert [row["id"] for row in failed] == ["a"]
    again = client.post(f"/api/v1/jobs/{first}/retry?rows=failed").json["job_id"]
    work()
    assert output(show(client, again)) == failed


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"": "0"},
            "Column 1 has no name in the first line; pandas writes its index like this unless told index=False",
        ),
        ({"target": "1"}, "Not fields of the model, and to be left out of the file: target"),
        (
            {"Unnamed: 0": "0", "notes": ""},
            "Not fields of the model, and to be left out of the file: Unnamed: 0, notes",
        ),
    ],
    ids=["index", "target", "several"],
)
def test_a_column_too_many_is_told_once_for_the_file(
    client: Client, upload: Send, work: Run, golden: Golden, more: dict[str, Any], said: str
) -> None:
    job_id = submit(client, upload(written(golden, **more).encode(), "text/csv"), model="tumor")
    work()
    assert show(client, job_id)["error"] | {"details": None} == {
        "code": "INPUT_UNREADABLE", "message": said, "details": None
    }  # fmt: skip


def test_white_space_around_a_columns_name_is_told_as_that(client: Client, upload: Send, work: Run) -> None:
    job_id = submit(client, upload(b"id, text\n1, Great\n", "text/csv"))
    work()
    assert show(client, job_id)["error"]["message"] == "The first line has white space around a name: ' text'"


def test_a_column_that_is_named_twice_is_told_once_for_the_file(platform: Platform) -> None:
    fields = platform.catalog.resolve("sentiment", "1.0.0").manifest.fields
    with pytest.raises(errors.InputUnreadable, match="names a column twice: id"):
        table.check_columns(["text", "id", "id"], fields)


def test_a_required_column_that_is_missing_is_told_once_for_the_file(
    client: Client, upload: Send, work: Run, golden: Golden
) -> None:
    name = next(iter(golden.inputs))
    job_id = submit(client, upload(f"id,{name}\n1,2\n2,3\n".encode(), "text/csv"), model="tumor")
    work()
    message = show(client, job_id)["error"]["message"]
    assert message.startswith("The first line lacks required fields: ")
    assert name not in message.split(": ")[1].split(", ")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'[{"text": "a"}, {"text": "b"}]', "one JSON document"),
        (b'[\n{"text": "a"},\n{"text": "b"}\n]\n', "one JSON document"),
        (b'{\n  "text": "a"\n}\n', "one JSON document"),
        (b"id,text\n1,Great\n", "is a CSV"),
        (b"id;text\n1;Great\n", "is a CSV"),
    ],
)
def test_what_is_no_jsonl_is_told_once_for_the_file(
    client: Client, upload: Send, work: Run, data: bytes, said: str
) -> None:
    job_id = submit(client, upload(data))
    work()
    assert said in show(client, job_id)["error"]["message"]


def test_a_first_line_that_is_wrong_by_itself_spoils_no_other(client: Client, upload: Send, work: Run) -> None:
    job_id = submit(client, upload(b'# written today\n{"text": "Great"}\n'))
    work()
    assert [("error" in row) for row in output(show(client, job_id))] == [True, False]


def packed(kind: str) -> bytes:
    file, text = io.BytesIO(), b"text\nGreat\n"
    if kind == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("rows.csv", text)
    elif kind == "tar":
        with tarfile.open(fileobj=file, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("rows.csv"))
    else:
        return bz2.compress(text) if kind == "bz2" else lzma.compress(text)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"id,text\rr1,Great\r", "a carriage return stands outside of quotes"),
        (b'text\n"Great\n', "a quote is opened there, and never closed"),
        (b'text\n"Gr"eat"\n', "a quote within a cell must be written twice"),
        (gzip.compress(gzip.compress(b"text\nGreat\n")), "a gzip within a gzip"),
    ],
    ids=["carriage returns", "open quote", "quote in a cell", "gzip twice"],
)
def test_what_is_no_table_is_told_in_words_for_who_wrote_it(
    client: Client, upload: Send, work: Run, data: bytes, said: str
) -> None:
    job_id = submit(client, upload(data, "text/csv"))
    work()
    assert said in show(client, job_id)["error"]["message"]


@pytest.mark.parametrize("within", [bytes, gzip.compress], ids=["plain", "gzipped"])
@pytest.mark.parametrize(
    ("kind", "named"),
    [("zip", "a ZIP archive or a spreadsheet"), ("tar", "a tar archive"), ("bz2", "bzip2"), ("xz", "by xz")],
)
def test_another_kind_of_file_is_called_by_its_name(
    client: Client, upload: Send, work: Run, kind: str, named: str, within: Any
) -> None:
    job_id = submit(client, upload(within(packed(kind)), "text/csv"))
    work()
    assert named in show(client, job_id)["error"]["message"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("text\nGreat\n".encode("utf-16-le"), "byte order mark"),
        (BOM.encode("utf-16-le") + b"t\0e", "begins as UTF-16"),
        (BOM.encode("utf-16-le") + b"\0\xd8t\0", "begins as UTF-16"),
        ("text\nGreat\n".encode("utf-32"), "NUL byte"),
        ("text\nGrüße\n".encode("cp1252"), "Line 2 is not UTF-8"),
    ],
    ids=["no mark", "cut short", "half a pair", "UTF-32", "Windows"],
)
def test_text_in_another_encoding_says_what_to_do(
    client: Client, upload: Send, work: Run, data: bytes, said: str
) -> None:
    job_id = submit(client, upload(data, "text/csv"))
    work()
    assert said in show(client, job_id)["error"]["message"]


@pytest.mark.parametrize(
    ("cell", "kind", "mark", "read"),
    [
        ("True", "boolean", ",", True),
        ("FALSE", "boolean", ",", False),
        (" true ", "boolean", ",", True),
        ("1", "boolean", ",", "1"),
        ("yes", "boolean", ",", "yes"),
        ("1.0", "integer", ",", 1),
        ("-3.", "integer", ",", -3),
        ("1E+05", "integer", ",", 100_000),
        ("1.5", "integer", ",", 1.5),
        ("9007199254740993", "integer", ",", 9007199254740993),
        ("9007199254740992.0", "integer", ",", 2**53),
        ("9007199254740994.0", "integer", ",", 2.0**53 + 2),
        ("1e300", "integer", ",", 1e300),
        ("1_0", "integer", ",", "1_0"),
        ("1_000", "number", ",", "1_000"),
        ("\u0661", "integer", ",", "\u0661"),
        ("1,5", "number", ";", 1.5),
        ("-1,5e-3", "number", ";", -0.0015),
        ("1,5", "number", ",", "1,5"),
        ("1,5", "number", "\t", "1,5"),
        ("1.234,5", "number", ";", "1.234,5"),
        ("2,0", "integer", ";", 2),
        ("007", "string", ",", "007"),
        ("1,5", "string", ";", "1,5"),
        ("True", "string", ",", "True"),
        ("1.0", None, ",", "1.0"),
        ("[[1, 2.5], [3, 4]]", "tensor", ",", [[1, 2.5], [3, 4]]),
        ('["ü", "1_0"]', "tensor", ";", ["ü", "1_0"]),
        ("7", "tensor", ",", 7),
        ("a b", "tensor", ",", "a b"),
        ("[NaN]", "tensor", ",", "[NaN]"),
    ],
)
def test_a_cell_is_its_fields_type_or_stays_as_it_is(cell: str, kind: str | None, mark: str, read: Any) -> None:
    found = table.typed(cell, kind, mark)
    assert (found, type(found)) == (read, type(read))
