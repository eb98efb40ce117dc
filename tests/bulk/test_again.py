"""The rows of an ended job that have no answer, handed in again."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID, uuid4

import flask.testing
import pytest

from core import errors, ids
from jobs.bulk import places, plan
from jobs.drain import Drainer
from jobs.job import Claimed
from tests.bulk.conftest import Run, Send
from tests.bulk.test_life import ROWS, lines, output, show, step, submit
from tests.conftest import Platform, until

Client = flask.testing.FlaskClient


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_only_the_failed_rows_can_be_handed_in_again(
    client: Client, upload: Send, work: Run, drainer: Drainer, platform: Platform, form: str
) -> None:
    rows = [{"id": f"r{number}", "text": f"Fine, {number}\nand so on"} for number in range(9000)]
    if form == "csv":
        data = "id,text\n" + "".join(f'{row["id"]},"{row["text"]}"\n' for row in rows)
        upload_id = upload(data.encode(), "text/csv")
    else:
        upload_id = upload(lines(rows))
    job_id = submit(client, upload_id)
    step(drainer)
    second = "WHERE kind = 'chunk' AND inputs ->> 'part' = '1'"
    platform.execute(f"UPDATE jobs SET status = 'processing', attempt = 1, lease_expires_at = now() {second}")
    platform.execute(f"UPDATE jobs SET status = 'failed', error = CAST(:lost AS json) {second}", lost='{"code": "X"}')
    work()
    before = output(show(client, job_id))
    failed = [row for row in before if "error" in row]
    assert [row["id"] for row in failed] == [row["id"] for row in rows[8192:]]
    again = client.post(f"/api/v1/jobs/{job_id}/retry?rows=failed")
    assert again.status_code == 202, again.text
    work()
    found = output(show(client, again.json["job_id"]))
    assert [(row["line"], row["id"]) for row in found] == [(row["line"], row["id"]) for row in failed]
    assert {row["prediction"] for row in found} == {"positive"}
    answer = client.post(f"/api/v1/jobs/{again.json['job_id']}/retry?rows=failed")
    error = answer.json["error"]
    assert (answer.status_code, error["code"]) == (409, "JOB_STATE_CONFLICT")
    assert (error["message"], error["details"]) == (
        "No row of this job has failed",
        {"field": "rows", "issue": "0 failed"},
    )


@pytest.mark.parametrize("gone", ["its files", "all of it"])
def test_the_failed_rows_of_a_job_that_is_forgotten_by_now_are_not_said_to_be_none(
    client: Client, upload: Send, work: Run, platform: Platform, gone: str
) -> None:
    first = submit(client, upload(lines([{"text": "Fine"}, {"text": ""}])))
    work()
    second = client.post(f"/api/v1/jobs/{first}/retry?rows=failed").json["job_id"]
    work()
    assert show(client, second)["rows"] == {"total": 1, "done": 1, "failed": 1}
    forgotten = ids.parse_job_id(first)
    platform.store.delete_all(places.folder(forgotten))
    if gone == "all of it":
        platform.execute("DELETE FROM jobs WHERE parent_id = :id", id=forgotten)
        platform.execute("DELETE FROM jobs WHERE id = :id", id=forgotten)
    third = client.post(f"/api/v1/jobs/{second}/retry").json["job_id"]
    work()
    job = show(client, third)
    assert (job["status"], job["error"]["code"]) == ("failed", "INPUT_CHANGED")
    assert "is forgotten" in job["error"]["message"]


def test_of_a_job_that_was_canceled_before_any_row_was_reached_all_rows_have_no_answer(
    client: Client, upload: Send, work: Run
) -> None:
    job_id = submit(client, upload(lines(ROWS[:5])))
    client.post(f"/api/v1/jobs/{job_id}/cancel")
    again = client.post(f"/api/v1/jobs/{job_id}/retry?rows=failed")
    assert again.status_code == 202, again.text
    work()
    assert [row["id"] for row in output(show(client, again.json["job_id"]))] == [row["id"] for row in ROWS[:5]]


def test_a_job_that_was_not_made_from_a_file_of_rows_has_none_to_hand_in_again(
    client: Client, platform: Platform
) -> None:
    for inputs in ({"text": "x"}, [{"text": "x"}]):
        job_id = client.post("/api/v1/jobs", json={"inputs": inputs}).json["job_id"]
        client.post(f"/api/v1/jobs/{job_id}/cancel")
        refused = client.post(f"/api/v1/jobs/{job_id}/retry?rows=failed")
        assert (refused.status_code, refused.json["error"]["details"]) == (
            422,
            {"field": "rows", "issue": "is for jobs that were made from a file of rows"},
        )
        assert platform.rows("SELECT FROM jobs WHERE retry_of = :id", id=ids.parse_job_id(job_id)) == []


def test_rows_that_are_handed_in_again_are_cut_by_their_bytes_too(
    client: Client, upload: Send, work: Run, platform: Platform
) -> None:
    rows = [{"id": number, "text": "x" * 2_500_000} for number in range(3)]
    job_id = submit(client, upload(lines(rows)))
    work()
    again = client.post(f"/api/v1/jobs/{job_id}/retry?rows=failed").json["job_id"]
    work()
    assert show(client, again)["rows"] == {"total": 3, "done": 3, "failed": 3}
    chunks = "SELECT count(*) FROM jobs WHERE parent_id = :id"
    assert platform.one(chunks, id=ids.parse_job_id(again)) == (2,)


def test_looking_for_the_rows_that_failed_takes_no_longer_than_the_job_may(
    platform: Platform, drainer: Drainer
) -> None:
    job = Claimed(uuid4(), UUID(int=0), "bulk", 1, 4, "sentiment", "1.0.0", 0, {}, {}, "req")
    (held,) = drainer.leases.hold([job])

    def found() -> Iterator[tuple[int, bytes]]:
        until(lambda: held.timed_out)
        yield 1, b"{}"

    with pytest.raises(errors.ModelInterrupted):
        plan.make_again(platform.store, held, found(), None, key=f"tests/{job.id.hex}", max_batch=1)
