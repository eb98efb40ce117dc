"""Rows of a CSV: where they begin and end, and what is left of them when they are handed in again."""

from __future__ import annotations

import csv
import gzip
import io

import flask.testing
import pytest

from jobs.bulk import plan, rows
from tests.bulk.conftest import Run, Send
from tests.bulk.test_life import output, show, submit
from tests.conftest import Platform

Client = flask.testing.FlaskClient


def test_it_is_read_by_its_header_with_the_fields_types(
    client: Client, upload: Send, work: Run, platform: Platform
) -> None:
    golden = platform.catalog.resolve("tumor", None).manifest.golden[0]
    names = list(golden.inputs)
    values = ",".join(str(golden.inputs[name]) for name in names)
    data = f'\ufeffid,{",".join(names)}\r\n"a\nb",{values}\r\nc,{values.replace(",", ",x", 1)}\r\nd,1\r\n'.encode()
    job_id = submit(client, upload(data, "text/csv"), model="tumor")
    work()
    found = output(show(client, job_id))
    assert (found[0]["id"], found[0]["prediction"], found[0]["line"]) == ("a\nb", golden.answer["prediction"], 2)
    assert found[1]["error"]["details"]["issue"] == "must be a number"
    assert "columns" in found[2]["error"]["details"]["issue"]


def test_one_that_names_no_field_of_the_model_says_what_it_names(client: Client, upload: Send, work: Run) -> None:
    job_id = submit(client, upload(b"id|text\n1|x\n", "text/csv"))
    work()
    assert "id|text" in show(client, job_id)["error"]["message"]


def test_a_long_cell_spoils_its_own_row_as_a_long_line_does(client: Client, upload: Send, work: Run) -> None:
    job_id = submit(client, upload(b"text\n" + b"x" * 200_000 + b"\nGood\n", "text/csv"))
    work()
    assert show(client, job_id)["rows"] == {"total": 2, "done": 2, "failed": 1}


def test_failed_rows_are_handed_in_again_as_they_were_written(client: Client, upload: Send, work: Run) -> None:
    texts = ["line one\nline two", "good", 'he said "hi"\r\nthere', "a\rb", "bad, very", ""]
    data = io.StringIO(newline="")
    csv.writer(data, quoting=csv.QUOTE_ALL).writerows(
        [
            ["id", "text", "confidence_threshold"],
            *([n, text, "" if text == "good" else 9] for n, text in enumerate(texts)),
        ]
    )
    first = submit(client, upload(data.getvalue().encode(), "text/csv"))
    work()
    failed = [row for row in output(show(client, first)) if "error" in row]
    assert [(row["id"], row["line"]) for row in failed] == [("0", 2), ("2", 5), ("3", 7), ("4", 8), ("5", 9)]
    job_id = first
    for _ in range(2):
        job_id = client.post(f"/api/v1/jobs/{job_id}/retry?rows=failed").json["job_id"]
        work()
        assert output(show(client, job_id)) == failed


def test_a_line_ends_with_a_newline_and_with_nothing_else(client: Client, upload: Send, work: Run) -> None:
    data = "id,text\n" + "".join(f'{number},"good\rday"\n' for number in range(9000))
    job_id = submit(client, upload(data.encode(), "text/csv"))
    work()
    assert [(row["id"], row["line"]) for row in output(show(client, job_id))] == [
        (str(number), number + 2) for number in range(9000)
    ]


@pytest.mark.parametrize(
    ("data", "line", "limit"),
    [
        (b"text," + b"h" * 65_536 + b"\nGood,\n", 1, plan.MAX_HEADER),
        (b'text,id\nGood,1\n"' + b"\n" * 5_000_000 + b'",2\n', 3, rows.MAX_ROW),
        (b"text\nGood\n" + b'"\n",' * 2_000_000 + b"x\n", 3, rows.MAX_ROW),
    ],
    ids=["first line", "one cell of many lines", "many cells of two lines"],
)
def test_a_row_is_too_long_over_however_many_lines(
    client: Client, upload: Send, work: Run, data: bytes, line: int, limit: int
) -> None:
    job_id = submit(client, upload(gzip.compress(data), "application/gzip", filename="rows.csv.gz"))
    work()
    error = show(client, job_id)["error"]
    assert (error["code"], error["details"]) == ("INPUT_TOO_LARGE", {"line": line, "limit": limit})
