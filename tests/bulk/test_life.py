"""A file from upload to output."""

from __future__ import annotations

import dataclasses
import gzip
import json
from typing import Any

import flask.testing
import pytest

from core import ids
from jobs.bulk import plan
from jobs.drain import Drainer
from jobs.shown import Rest
from tests.bulk.conftest import Run, Send, download, post_file
from tests.conftest import Platform
from tests.hands import with_tools
from tests.window import Window

Client = flask.testing.FlaskClient


def step(drainer: Drainer) -> None:
    """One claim, and no more."""
    dataclasses.replace(drainer, slice_s=0.0).drain("cpu", "wake")


def lines(rows: list[Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def submit(client: Client, upload_id: str, **asked: Any) -> str:
    answer = client.post("/api/v1/jobs", json={"upload_id": upload_id, **asked})
    assert answer.status_code == 202, answer.text
    return str(answer.json["job_id"])


def show(client: Client, job_id: str) -> dict[str, Any]:
    answer = client.get(f"/api/v1/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


def output(job: dict[str, Any], what: str = "output") -> list[dict[str, Any]]:
    return [json.loads(line) for line in download(job["result"][f"{what}_url"]).splitlines()]


ROWS = [{"id": f"r{number}", "text": "Lovely" if number % 2 else "Terrible"} for number in range(20_000)]


def padded(data: bytes) -> bytes:
    """Two members, each with zeros behind it, as from a tape."""
    half = data.index(b"\n", len(data) // 2) + 1
    return b"".join(gzip.compress(part) + bytes(3000) for part in (data[:half], data[half:]))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, padded], ids=["plain", "gzip", "padded gzip"])
def test_every_row_is_answered_in_order_with_its_id(client: Client, upload: Send, work: Run, pack: Any) -> None:
    job_id = submit(client, upload(pack(lines(ROWS)), filename="rows.jsonl.gz"))
    assert show(client, job_id)["status"] == "pending"
    work()
    job = show(client, job_id)
    assert (job["status"], job["progress"], job["rows"]) == (
        "completed",
        100,
        {"total": 20_000, "done": 20_000, "failed": 0},
    )
    found = output(job)
    assert [row["id"] for row in found] == [row["id"] for row in ROWS]
    assert [row["line"] for row in found] == list(range(1, 20_001))
    assert {row["prediction"] for row in found[1::2]} == {"positive"}
    assert "errors_url" not in job["result"]


def test_bad_rows_are_lines_of_the_output_and_of_the_error_file(client: Client, upload: Send, work: Run) -> None:
    data = b'{"text": "Fine", "id": 7}\n \t\n{"text": ""}\nnot json\n[1]\n{"text": "x", "id": true}\n{"text": "Good"}'
    job_id = submit(client, upload(data))
    work()
    job = show(client, job_id)
    assert job["rows"] == {"total": 6, "done": 6, "failed": 4}
    found = output(job)
    assert [row["line"] for row in found] == [1, 3, 4, 5, 6, 7]
    assert found[0]["id"] == 7
    assert [row["line"] for row in found if "error" in row] == [3, 4, 5, 6]
    assert found[1]["error"]["details"]["field"] == "text"
    assert found[2]["error"]["details"]["issue"].endswith("at column 1")
    assert output(job, "errors") == [row for row in found if "error" in row]


def test_fail_fast_ends_at_the_first_bad_row_and_names_it(client: Client, upload: Send, work: Run) -> None:
    rows = [*ROWS[:5000], {"id": "bad", "text": ""}, *ROWS[5000:]]
    job_id = submit(client, upload(lines(rows)), options={"return_errors": "fail_fast"})
    work()
    job = show(client, job_id)
    assert job["status"] == "failed"
    assert job["error"]["code"] == "INVALID_INPUT"
    assert (job["error"]["details"]["line"], job["error"]["details"]["id"]) == (5001, "bad")


def test_finished_parts_can_be_read_while_it_runs_and_after_a_cancel(
    client: Client, upload: Send, work: Run, drainer: Drainer, platform: Platform
) -> None:
    job_id = submit(client, upload(lines(ROWS)))
    for _ in ("plan", "one chunk"):
        step(drainer)
    running = show(client, job_id)
    assert (running["status"], running["rows"]["done"] > 0) == ("processing", True)
    assert client.post(f"/api/v1/jobs/{job_id}/cancel").json["status"] == "canceled"
    work()
    (part,) = client.get(f"/api/v1/jobs/{job_id}/parts").json["parts"]
    assert (part["first_line"], part["rows"]) == (1, 8192)
    assert len(download(part["url"]).splitlines()) == 8192
    open_ = platform.one("SELECT count(*) FROM jobs WHERE finished_at IS NULL AND tenant_id IS NOT NULL")
    assert open_[0] == 0


def test_chunks_are_nobodys_business(client: Client, upload: Send, work: Run, platform: Platform) -> None:
    job_id = submit(client, upload(lines(ROWS)))
    work()
    (chunk, *_) = platform.rows("SELECT id FROM jobs WHERE parent_id = :id", id=ids.parse_job_id(job_id))
    assert [job["job_id"] for job in client.get("/api/v1/jobs").json["jobs"]] == [job_id]
    assert client.get(f"/api/v1/jobs/{ids.job_id(chunk[0])}").status_code == 404
    assert client.post(f"/api/v1/jobs/{ids.job_id(chunk[0])}/cancel").status_code == 404


def test_each_row_is_charged_once(client: Client, upload: Send, work: Run, platform: Platform) -> None:
    job_id = submit(client, upload(lines(ROWS)))
    work()
    charged = platform.one(
        "SELECT sum(units) FROM usage WHERE job_id IN (SELECT id FROM jobs WHERE :id IN (id, parent_id))",
        id=ids.parse_job_id(job_id),
    )
    assert charged[0] == len(ROWS)


def test_the_result_is_a_redirect_to_the_output(client: Client, upload: Send, work: Run) -> None:
    job_id = submit(client, upload(lines(ROWS[:3])))
    assert client.get(f"/api/v1/jobs/{job_id}/result").status_code == 409
    work()
    answer = client.get(f"/api/v1/jobs/{job_id}/result")
    assert answer.status_code == 303
    assert len(download(answer.headers["Location"]).splitlines()) == 3


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0", "INPUT_UNREADABLE"),
        (gzip.compress(lines(ROWS), mtime=0)[:-20], "INPUT_UNREADABLE"),
        (gzip.compress(lines(ROWS), mtime=0)[:500] + b"\xff" * 500, "INPUT_UNREADABLE"),
        (b"\n\n  \n", "INPUT_UNREADABLE"),
        (b"\xef\xbb\xbf\n", "INPUT_UNREADABLE"),
        (b"\n" * 5_000_000, "INPUT_UNREADABLE"),
        (b'{"text": "' + b"x" * 5_000_000 + b'"}', "INPUT_TOO_LARGE"),
    ],
    ids=[
        "binary",
        "gzip cut short",
        "gzip damaged",
        "no rows",
        "a byte order mark",
        "megabytes of no rows",
        "a line of 5 MB",
    ],
)
def test_a_file_that_cannot_be_read_ends_the_job_with_its_reason(
    client: Client, upload: Send, work: Run, data: bytes, code: str
) -> None:
    job_id = submit(client, upload(data))
    work()
    job = show(client, job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", code)


def test_a_gzip_bomb_is_stopped_at_the_limit(client: Client, upload: Send, drainer: Drainer) -> None:
    job_id = submit(client, upload(gzip.compress(b"\n" * 40_000_000), "application/gzip", filename="b.jsonl.gz"))
    attempts = with_tools(drainer.attempts, max_unpacked_bytes=2_000_000)
    dataclasses.replace(drainer, attempts=attempts).drain("cpu", "wake")
    assert show(client, job_id)["error"]["code"] == "INPUT_TOO_LARGE"


def test_a_file_swapped_after_submit_ends_the_job(client: Client, work: Run) -> None:
    data = lines(ROWS[:10])
    made = client.post("/api/v1/uploads", json={"content_type": "application/x-ndjson", "size": len(data)}).json
    post_file(made["url"], made["fields"], data, "application/x-ndjson")
    job_id = submit(client, made["upload_id"])
    post_file(made["url"], made["fields"], data.replace(b"Lovely", b"Hateful"[:6]), "application/x-ndjson")
    work()
    assert show(client, job_id)["error"]["code"] == "INPUT_CHANGED"


def test_a_wrong_checksum_is_refused_by_the_store_and_where_it_is_not_before_anything_is_predicted(
    client: Client, work: Run, platform: Platform
) -> None:
    data = lines(ROWS[:10])
    body = {"content_type": "application/x-ndjson", "size": len(data), "sha256": "0" * 64}
    made = client.post("/api/v1/uploads", json=body).json
    assert post_file(made["url"], made["fields"], data, "application/x-ndjson").status == 400
    platform.store.put(made["fields"]["key"], data)
    job_id = submit(client, made["upload_id"])
    work()
    assert show(client, job_id)["error"]["code"] == "INPUT_CHANGED"
    assert show(client, job_id)["rows"]["total"] == 0


def test_rows_that_were_not_reached_are_not_done(client: Client, upload: Send, work: Run, drainer: Drainer) -> None:
    job_id = submit(client, upload(lines(ROWS)))
    for _ in ("plan", "one chunk"):
        step(drainer)
    client.post(f"/api/v1/jobs/{job_id}/cancel")
    work()
    assert show(client, job_id)["rows"] == {"total": 20_000, "done": 8192, "failed": 0}
    failing = submit(client, upload(b'{"text": ""}'), options={"return_errors": "fail_fast"})
    work()
    assert show(client, failing)["rows"]["done"] == 0


def test_what_a_route_does_not_read_is_refused(client: Client, upload: Send, work: Run) -> None:
    job_id = submit(client, upload(lines(ROWS[:2])))
    work()
    for verb in ("retry", "cancel"):
        answer = client.post(f"/api/v1/jobs/{job_id}/{verb}", json={"rows": "failed"})
        assert (answer.status_code, answer.json["error"]["details"]["field"]) == (422, "body")


def test_a_byte_order_mark_is_no_row(client: Client, upload: Send, work: Run) -> None:
    job_id = submit(client, upload(b'\xef\xbb\xbf\n{"id": 1, "text": "Good"}\n'))
    work()
    job = show(client, job_id)
    assert (job["rows"]["total"], [(row["id"], row["line"]) for row in output(job)]) == (1, [(1, 2)])


def test_the_name_of_a_field_is_told_as_far_as_it_helps(client: Client, upload: Send, work: Run) -> None:
    data = lines([{"text": "x", "k" * 1_000_000: 1}])
    job_id = submit(client, upload(data), options={"return_errors": "fail_fast"})
    work()
    assert show(client, job_id)["error"]["details"]["field"] == "k" * 200 + "…"


def test_cutting_a_file_takes_no_longer_than_the_job_may(client: Client, upload: Send, work: Run) -> None:
    upload_id = upload(gzip.compress(b"\n" * 30_000_000), "application/gzip", filename="rows.jsonl.gz")
    job_id = submit(client, upload_id, timeout_s=1)
    work()
    assert show(client, job_id)["error"]["code"] == "TIMED_OUT"


def test_a_file_of_too_many_chunks_is_refused(
    client: Client, upload: Send, work: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "MAX_CHUNKS", 1)
    job_id = submit(client, upload(lines(ROWS)))
    work()
    error = show(client, job_id)["error"]
    assert (error["code"], error["details"]) == ("INPUT_TOO_LARGE", {"limit": 1})


def test_a_row_with_thousands_of_fields_or_levels_is_one_short_error(client: Client, upload: Send, work: Run) -> None:
    deep = b"[" * 100 + b"]" * 100
    wide = json.dumps({f"k{number}": 1 for number in range(5000)}).encode()
    texts = (wide, deep, b'{"text": ' + deep + b"}", b"[" * 5000 + b"]" * 5000, b'{"' + b"k" * 100_000 + b'": 1}')
    job_id = submit(client, upload(b"\n".join((b'{"text": "Good"}', *texts))))
    work()
    found = output(show(client, job_id))
    issues = [row["error"]["details"]["issue"] for row in found[1:]]
    assert "5000 fields" in issues[0]
    assert ["64 levels" in issue for issue in issues[1:4]] == [True] * 3
    assert max(len(json.dumps(row)) for row in found) < 500


def test_a_file_is_one_task_of_flowers_and_its_chunks_are_none(
    client: Client, upload: Send, work: Run, drainer: Drainer, shown: Window, platform: Platform
) -> None:
    platform.truncate("job_events")
    job_id = submit(client, upload(lines(ROWS[:600])))
    work()
    Rest(drainer.board, "io@here/i/1").tell(platform.engine)
    drainer.board.flush()
    task = shown.shows(ids.parse_job_id(job_id), "SUCCESS")
    assert ("'kind': 'bulk'" in task.kwargs, task.runtime, len(shown.state.tasks)) == (True, None, 1)
